//! The figures of the table: samples of several runs, summarized for each scenario, mode and target.

use std::io;

use hdrhistogram::Histogram;

use super::flood;
use super::idle::Quiet;
use super::loss::Repairs;
use super::sample::{Sample, new_histogram};
use super::scenario::Delivery;
use super::sockets::Costs;

/// Everything that was measured.
pub struct Results {
    pub rows: Vec<Row>,
    pub curve: Vec<Point>,
}

impl Results {
    /// # Errors
    /// If a server delivered nothing at all.
    pub fn check(&self) -> io::Result<()> {
        match self.rows.iter().find(|row| row.server.delivered == 0) {
            Some(row) => {
                Err(io::Error::other(format!("nothing was delivered in {}", row.scenario)))
            }
            None => Ok(()),
        }
    }
}

/// One scenario in one mode.
pub struct Row {
    pub scenario: &'static str,
    pub delivery: Delivery,
    /// "rate" or "saturation".
    pub mode: &'static str,
    pub server: Figure,
    /// Ratios refer to the first one. A server that runs elsewhere has none.
    pub floors: Vec<(&'static str, Figure)>,
    pub basis: Basis,
    pub extra: Option<Extra>,
}

/// Figures of some scenarios only.
pub enum Extra {
    Quiet(Quiet),
    Repairs(Box<Repairs>),
    Flood(Box<flood::Outcome>),
    Sockets(Costs),
}

/// Selects the figures that a ratio compares: the server's is divided by the floor's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// CPU time a delivery.
    Cost,
    /// Exchanges a second.
    Rate,
}

impl Row {
    /// Returns the ratio of a figure to that of the first floor.
    pub fn ratio(&self, figure: &Figure) -> Option<f64> {
        let (_, floor) = self.floors.first()?;
        match self.basis {
            Basis::Cost => Some(figure.us.as_ref()?.median / floor.us.as_ref()?.median),
            Basis::Rate => Some(figure.per_s.median / floor.per_s.median),
        }
    }
}

/// A value over several runs.
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self { median: values[values.len() / 2], least, most })
    }
}

/// One target in one mode of one scenario, over all runs.
pub struct Figure {
    pub in_flight: Option<usize>,
    /// Like `delivered`, of the run that lost most.
    pub offered: u64,
    pub delivered: u64,
    pub per_s: Spread,
    /// Messages put off, in the run with most of them.
    pub put_off: Option<u64>,
    /// CPU time a delivery, in microseconds.
    pub us: Option<Spread>,
    /// p50, p99 and p99.9, in microseconds.
    pub percentiles: [f64; 3],
    /// All runs together.
    pub latency: Histogram<u64>,
    /// Load of our busiest thread in the busiest run.
    pub load: f64,
}

impl Figure {
    pub fn of(samples: &[Sample], in_flight: Option<usize>) -> Self {
        let worst = samples.iter().max_by_key(|sample| sample.offered - sample.delivered);
        let spread = |of: &dyn Fn(&Sample) -> f64| Spread::of(samples.iter().map(of));
        let nothing = || Spread { median: 0.0, least: 0.0, most: 0.0 };
        let percentile = |quantile| {
            let of = move |sample: &Sample| sample.latency.value_at_quantile(quantile) as f64;
            spread(&of).map_or(0.0, |spread| spread.median)
        };
        let mut latency = new_histogram();
        for sample in samples {
            latency.add(&sample.latency).expect("histograms of the same bounds");
        }
        Self {
            in_flight,
            offered: worst.map_or(0, |sample| sample.offered),
            delivered: worst.map_or(0, |sample| sample.delivered),
            per_s: spread(&|sample| sample.delivered_per_s).unwrap_or_else(nothing),
            put_off: samples.iter().filter_map(|sample| sample.put_off).max(),
            us: spread(&|sample| match sample.cpu {
                Some(cpu) => cpu.as_secs_f64() * 1e6 / sample.delivered as f64,
                None => f64::NAN,
            }),
            percentiles: [0.5, 0.99, 0.999].map(percentile),
            latency,
            load: samples.iter().map(|sample| sample.load).fold(0.0, f64::max),
        }
    }

    pub fn lost(&self) -> u64 {
        self.offered - self.delivered
    }
}

/// A point of the rate curve.
pub struct Point {
    pub target: &'static str,
    /// Deliveries a second if nothing is lost.
    pub offered: f64,
    pub delivered: f64,
}
