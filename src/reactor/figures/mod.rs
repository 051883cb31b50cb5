//! The figures of `/loop` and `/metrics`.
//!
//! Turns are measured only while somebody watches: a viewer is an open `/events`, or a request for
//! `/loop.json` within the last seconds. Without viewers no clock is read for the figures, and a turn costs
//! an addition and a copy more.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `watch.rs` | measurements of the turns, in columns of a second |
//! | `durations.rs` | durations of a step, and their percentiles |
//! | `tally.rs` | the connections by protocol and state |
//! | `text.rs` | both texts |

mod durations;
mod tally;
mod text;
mod watch;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::EVENTS;
use super::memory_estimate::estimate;
use super::steps::Step;
use crate::config::Config;
use crate::metrics::Metrics;
use text::{Limits, LoopJson};
use watch::Watch;

pub(super) use tally::Tally;
pub(super) use text::{Gauge, Value};
pub(super) use watch::Limit;

/// Pause between two texts for the viewers (H2).
const TICK: Duration = Duration::from_millis(500);

/// Time for which a request for `/loop.json` counts as a viewer.
const ASKED: Duration = Duration::from_secs(5);

/// The state of the figures, apart from the objects that they are about.
pub(super) struct Figures {
    began: Instant,
    turns: u64,
    /// Open `/events`.
    viewers: usize,
    /// End of the time for which the last `/loop.json` counts as a viewer.
    asked_until: Option<Instant>,
    /// There while somebody watches.
    watching: Option<Watching>,
    limits: Limits,
    ceilings: Ceilings,
    connections: ConnectionFigures,
}

/// Limits for memory in bytes. `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ceilings {
    /// An upper bound for the whole server that follows from the other limits.
    pub(super) whole: Option<u64>,
    pub(super) backlog: Option<usize>,
    pub(super) history: Option<usize>,
    pub(super) buffers: Option<usize>,
}

/// The state that exists only while somebody watches.
struct Watching {
    since: Instant,
    watch: Watch,
    /// Time of the next text.
    tick_at: Instant,
    /// The last text.
    text: Option<Bytes>,
}

/// The connections at the end of the last turn.
#[derive(Clone, Copy, Default)]
pub(super) struct ConnectionFigures {
    pub(super) tally: Tally,
    /// Connections that wait to be served, to get an answer to a hello, and to be flushed.
    pub(super) queues: [usize; 3],
    /// Bytes in their buffers.
    pub(super) buffered: usize,
}

impl Figures {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let budgets = &config.budgets;
        Self {
            began: now,
            turns: 0,
            viewers: 0,
            asked_until: None,
            watching: None,
            limits: Limits {
                slice: budgets.slice.as_micros(),
                events: EVENTS,
                accepts: budgets.accepts,
                datagrams: budgets.datagrams,
                connections: budgets.connections,
                handshakes: budgets.handshakes,
                timers: budgets.timers,
                deliveries: budgets.deliveries,
            },
            ceilings: Ceilings {
                whole: estimate(config),
                backlog: config.chat.backlog_memory,
                history: config.chat.history_memory,
                buffers: config.connections.buffer_memory,
            },
            connections: ConnectionFigures::default(),
        }
    }

    /// Notes that an `/events` has begun.
    pub(super) fn open_viewer(&mut self, now: Instant) {
        self.viewers += 1;
        self.begin(now);
    }

    /// Notes that an `/events` has ended.
    pub(super) fn close_viewer(&mut self, now: Instant) {
        self.viewers = self.viewers.saturating_sub(1);
        self.end_if_unwatched(now);
    }

    /// Notes that `/loop.json` was asked for: somebody watches from now on, for a while.
    pub(super) fn note_asked(&mut self, now: Instant) {
        self.asked_until = Some(now + ASKED);
        self.begin(now);
    }

    /// Returns the last text, if there is one.
    pub(super) fn text(&self) -> Option<Bytes> {
        self.watching.as_ref().and_then(|watching| watching.text.clone())
    }

    /// Returns the number of open `/events`.
    pub(super) fn viewers(&self) -> usize {
        self.viewers
    }

    /// Returns true while the steps are measured.
    pub(super) fn is_watched(&self) -> bool {
        self.watching.is_some()
    }

    /// Notes that the wait of a turn has ended at `now`.
    pub(super) fn begin_turn(&mut self, now: Instant) {
        self.turns += 1;
        if let Some(watching) = &mut self.watching {
            watching.watch.begin_turn(now);
        }
    }

    /// Notes that a step has ended. `left` is the limit that it has reached with work left over.
    pub(super) fn end_step(&mut self, step: Step, left: Option<Limit>) {
        if let Some(watching) = &mut self.watching {
            watching.watch.end_step(step, Instant::now(), left);
        }
    }

    /// Keeps the state of the connections at the end of a turn.
    pub(super) fn note_connections(&mut self, tally: &Tally, queues: [usize; 3], buffered: usize) {
        self.connections = ConnectionFigures { tally: *tally, queues, buffered };
    }

    /// Returns the connections at the end of the last turn.
    pub(super) fn connections(&self) -> &ConnectionFigures {
        &self.connections
    }

    /// Returns the limits for memory.
    pub(super) fn ceilings(&self) -> Ceilings {
        self.ceilings
    }

    /// Returns the time of the next text, while somebody watches.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.watching.as_ref().map(|watching| watching.tick_at)
    }

    /// Returns true if a text is due. Ends the measurements when nobody watches any more.
    pub(super) fn take_tick(&mut self, now: Instant) -> bool {
        self.end_if_unwatched(now);
        match &mut self.watching {
            Some(watching) if watching.tick_at <= now => {
                watching.tick_at = now + TICK;
                true
            }
            _ => false,
        }
    }

    /// Returns the text of `/loop.json`, and keeps it until the next tick.
    pub(super) fn loop_json(
        &mut self,
        gauges: &[Gauge],
        counters: &Metrics,
        now: Instant,
    ) -> Bytes {
        let since = |then| milliseconds(now.saturating_duration_since(then));
        let watching = self.watching.as_ref();
        let text = LoopJson {
            uptime: since(self.began),
            watched: watching.map_or(0, |watching| since(watching.since)),
            viewers: self.viewers,
            turns: self.turns,
            strip_turns: watching.map(|watching| watching.watch.turns()).unwrap_or_default(),
            limits: &self.limits,
            steps: watching
                .map_or_else(|| Watch::new(now).steps(), |watching| watching.watch.steps()),
            gauges,
            counters,
        };
        let text = Bytes::from(text.to_string());
        if let Some(watching) = &mut self.watching {
            watching.text = Some(text.clone());
        }
        text
    }

    /// Returns the text of `/metrics`.
    pub(super) fn open_metrics(&self, gauges: &[Gauge], counters: &Metrics) -> String {
        text::open_metrics(self.turns, gauges, counters)
    }

    fn begin(&mut self, now: Instant) {
        let (watch, tick_at) = (Watch::new(now), now + TICK);
        self.watching.get_or_insert(Watching { since: now, watch, tick_at, text: None });
    }

    fn end_if_unwatched(&mut self, now: Instant) {
        let is_asked = self.asked_until.is_some_and(|until| now < until);
        if self.viewers == 0 && !is_asked {
            self.watching = None;
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> (Figures, Instant) {
        let now = Instant::now();
        (Figures::new(&crate::reactor::tests::config(), now), now)
    }

    #[test]
    fn h12_measured_only_while_viewed() {
        let (mut figures, now) = figures();
        assert!(!figures.is_watched());
        assert_eq!(figures.next_deadline(), None);
        figures.open_viewer(now);
        figures.open_viewer(now);
        assert!(figures.is_watched());
        figures.close_viewer(now);
        assert_eq!(figures.next_deadline(), Some(now + TICK), "one is left");
        figures.close_viewer(now);
        assert!(!figures.is_watched());
    }

    #[test]
    fn h12_request_counts_as_viewer() {
        let (mut figures, now) = figures();
        figures.note_asked(now);
        assert_eq!(figures.text(), None);
        assert!(figures.take_tick(now + TICK));
        let text = figures.loop_json(&[], &Metrics::default(), now);
        assert_eq!(figures.text(), Some(text));
        assert!(figures.take_tick(now + ASKED - TICK));
        assert!(!figures.take_tick(now + ASKED));
        assert!(!figures.is_watched());
    }

    #[test]
    fn h2_events_come_twice_a_second() {
        let (mut figures, now) = figures();
        figures.open_viewer(now);
        let ticks = (0..10_000).filter(|ms| figures.take_tick(now + Duration::from_millis(*ms)));
        assert_eq!(ticks.count(), 19);
    }
}
