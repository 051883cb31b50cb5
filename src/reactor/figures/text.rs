//! The texts of `/loop.json` and `/metrics`. Both have the same gauges and counters.

use std::fmt;

use serde::{Serialize, Serializer};

use super::watch::StepFigures;
#[cfg(doc)]
use crate::config::Budgets;
use crate::metrics::{Exposition, Metrics, Samples};

/// A value that rises and falls, or several with one name.
pub(in crate::reactor) struct Gauge {
    pub(in crate::reactor) name: &'static str,
    pub(in crate::reactor) help: &'static str,
    pub(in crate::reactor) value: Value,
}

/// The value of a [`Gauge`].
pub(in crate::reactor) enum Value {
    One(u64),
    /// A label, and a value for each value of the label.
    By(&'static str, Vec<(&'static str, u64)>),
}

/// The content of `/loop.json`, but for the gauges and counters. Times are in milliseconds unless they say
/// otherwise.
#[derive(Serialize)]
pub(super) struct LoopJson<'a> {
    /// Time since the start of the server.
    pub(super) uptime: u64,
    /// Time since the first of the present viewers came.
    pub(super) watched: u64,
    pub(super) viewers: usize,
    /// Turns since the start of the server.
    pub(super) turns: u64,
    pub(super) strip_turns: Vec<u64>,
    pub(super) limits: &'a Limits,
    pub(super) steps: Vec<StepFigures>,
    #[serde(serialize_with = "gauges")]
    pub(super) gauges: &'a [Gauge],
    #[serde(serialize_with = "counters")]
    pub(super) counters: &'a Metrics,
}

impl fmt::Display for LoopJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All keys are texts, so nothing can fail.
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The limits of a turn: see [`Budgets`].
#[derive(Serialize)]
pub(super) struct Limits {
    /// Microseconds.
    pub(super) slice: u128,
    pub(super) events: usize,
    pub(super) accepts: usize,
    pub(super) datagrams: usize,
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    pub(super) timers: usize,
    pub(super) deliveries: usize,
}

fn gauges<S: Serializer>(gauges: &[Gauge], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(gauges.iter().map(|gauge| (gauge.name, &gauge.value)))
}

fn counters<S: Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    let families = metrics.families().into_iter();
    serializer.collect_map(families.map(|family| (family.name, Counts(family.samples))))
}

/// An object with these members.
struct Pairs<'a>(&'a [(&'static str, u64)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(value) => serializer.serialize_u64(*value),
            Self::By(_, values) => Pairs(values).serialize(serializer),
        }
    }
}

/// The values of a family: a number, or an object by reason or by status.
struct Counts(Samples);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Samples::One(count) => serializer.serialize_u64(*count),
            Samples::ByReason(counts) => Pairs(counts).serialize(serializer),
            Samples::ByStatus(counts) => serializer.collect_map(counts.iter().enumerate()),
        }
    }
}

/// Returns the text of `/metrics`.
pub(super) fn open_metrics(turns: u64, gauges: &[Gauge], counters: &Metrics) -> String {
    let mut text = Exposition::default();
    text.counter("turns", "Turns of the loop.", turns);
    for gauge in gauges {
        match &gauge.value {
            Value::One(value) => text.gauge(gauge.name, gauge.help, value),
            Value::By(label, values) => {
                text.gauges((gauge.name, label), gauge.help, values.iter().copied());
            }
        }
    }
    text.counters(counters);
    text.finish()
}
