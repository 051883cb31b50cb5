//! Measurements of the turns while somebody watches: a ring of columns, one for each second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::durations::Durations;
use crate::reactor::steps::Step;

/// Number of steps.
pub(super) const STEPS: usize = 10;
/// All steps, in their order.
pub(super) const ALL: [Step; STEPS] = [
    Step::Wait,
    Step::NoteReadiness,
    Step::HandleSignals,
    Step::Accept,
    Step::ReadDatagrams,
    Step::ReadConnections,
    Step::ExpireTimers,
    Step::Deliver,
    Step::Flush,
    Step::Reap,
];

/// Seconds in the heat strip.
const COLUMNS: usize = 60;
/// Seconds that the percentiles are about. A shorter time would be noise, and a longer one would still show
/// a load that has ended.
const RECENT: usize = 10;
/// Duration of a column.
const SECOND: Duration = Duration::from_secs(1);

/// The limit that ended a step before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::reactor) enum Limit {
    /// The most events that one wait returns.
    Events,
    /// A number of pieces of work.
    Budget,
    /// The time slice.
    Slice,
}

/// One second.
#[derive(Clone, Default)]
struct Column {
    turns: u64,
    steps: [Cell; STEPS],
}

/// One step in one second.
#[derive(Clone, Copy, Default)]
struct Cell {
    busy: Duration,
    longest: Duration,
    /// Turns in which work was left over.
    left: u64,
}

/// Measurements of one step.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct StepFigures {
    step: Step,
    /// Times that it ran in the last ten seconds, and its durations in nanoseconds.
    count: u64,
    median: u64,
    p99: u64,
    longest: u64,
    /// Of those, turns in which it left work over, and the limit that was reached last.
    left: u64,
    limit: Option<Limit>,
    /// One number for each second that has ended, the oldest first: microseconds in the step, its longest
    /// duration in microseconds, and turns in which it left work over.
    strip_busy: Vec<u64>,
    strip_longest: Vec<u64>,
    strip_left: Vec<u64>,
}

/// Measurements since a viewer came.
pub(super) struct Watch {
    /// The end of the last step, if it was measured.
    boundary: Option<Instant>,
    /// Seconds that have ended, the newest last.
    columns: VecDeque<Column>,
    /// The second that goes on.
    column: Column,
    column_began: Instant,
    /// Durations of each step in the last seconds. The first one goes on.
    recent: VecDeque<Box<[Durations; STEPS]>>,
    limits: [Option<Limit>; STEPS],
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            boundary: None,
            columns: VecDeque::new(),
            column: Column::default(),
            column_began: now,
            recent: VecDeque::from([Box::default()]),
            limits: [None; STEPS],
        }
    }

    /// Begins a turn, whose wait has ended at `now`. A wait counts in the second of its end.
    pub(super) fn begin_turn(&mut self, now: Instant) {
        while now.saturating_duration_since(self.column_began) >= SECOND {
            self.end_column();
        }
        self.column.turns += 1;
    }

    /// Notes that a step has ended at `now`. `left` is the limit that it has reached with work left over.
    pub(super) fn end_step(&mut self, step: Step, now: Instant, left: Option<Limit>) {
        let Some(began) = self.boundary.replace(now) else { return };
        let duration = now.saturating_duration_since(began);
        let cell = &mut self.column.steps[step as usize];
        cell.busy += duration;
        cell.longest = cell.longest.max(duration);
        if left.is_some() {
            cell.left += 1;
            self.limits[step as usize] = left;
        }
        if let Some(durations) = self.recent.front_mut() {
            durations[step as usize].note(duration);
        }
    }

    /// Ends a second. After a long wait there are several, of which all but the first are empty.
    fn end_column(&mut self) {
        self.column_began += SECOND;
        self.columns.push_back(std::mem::take(&mut self.column));
        if self.columns.len() > COLUMNS {
            self.columns.pop_front();
        }
        // The memory of the oldest second is reused.
        let mut oldest = match self.recent.len() {
            RECENT.. => self.recent.pop_back().unwrap_or_default(),
            _ => Box::default(),
        };
        oldest.iter_mut().for_each(|durations| *durations = Durations::default());
        self.recent.push_front(oldest);
    }

    /// Returns the number of turns in each second that has ended, the oldest first.
    pub(super) fn turns(&self) -> Vec<u64> {
        self.columns.iter().map(|column| column.turns).collect()
    }

    /// Returns the measurements of each step.
    pub(super) fn steps(&self) -> Vec<StepFigures> {
        ALL.map(|step| self.step(step)).into()
    }

    fn step(&self, step: Step) -> StepFigures {
        let index = step as usize;
        let mut durations = Durations::default();
        self.recent.iter().for_each(|second| durations.add(&second[index]));
        let strip = |of: fn(&Cell) -> u64| {
            self.columns.iter().map(|column| of(&column.steps[index])).collect()
        };
        let recent = self.columns.iter().rev().take(RECENT - 1).chain([&self.column]);
        let left = recent.map(|column| column.steps[index].left).sum();
        StepFigures {
            step,
            count: durations.len(),
            median: durations.percentile(50),
            p99: durations.percentile(99),
            longest: durations.longest(),
            left,
            limit: self.limits[index].filter(|_| left > 0),
            strip_busy: strip(|cell| microseconds(cell.busy)),
            strip_longest: strip(|cell| microseconds(cell.longest)),
            strip_left: strip(|cell| cell.left),
        }
    }
}

/// Returns a duration in microseconds, rounded up, so that only nothing is zero.
fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a turn that waits for 1 ms and has one busy step of 2 ms.
    fn turn(watch: &mut Watch, now: &mut Instant, busy: Step, left: Option<Limit>) {
        *now += Duration::from_millis(1);
        watch.begin_turn(*now);
        for step in &ALL {
            if *step == busy {
                *now += Duration::from_millis(2);
            }
            watch.end_step(*step, *now, left.filter(|_| *step == busy));
        }
    }

    #[test]
    fn h12_steps_are_timed_between_boundaries() {
        let mut now = Instant::now();
        let mut watch = Watch::new(now);
        for _ in 0..10 {
            turn(&mut watch, &mut now, Step::Deliver, Some(Limit::Slice));
        }
        let [wait, .., deliver, flush, _] = &watch.steps()[..] else { panic!("few steps") };
        // Nothing is known of the beginning of the first wait.
        assert_eq!((wait.count, wait.longest), (9, 1_000_000));
        assert_eq!((deliver.count, deliver.longest), (10, 2_000_000));
        assert_eq!((deliver.left, deliver.limit), (10, Some(Limit::Slice)));
        assert_eq!((flush.count, flush.longest, flush.left, flush.limit), (10, 0, 0, None));
        assert!(watch.turns().is_empty(), "the first second goes on");
    }

    #[test]
    fn h12_strip_has_a_column_each_second() {
        let mut now = Instant::now();
        let mut watch = Watch::new(now);
        for _ in 0..1_000 {
            turn(&mut watch, &mut now, Step::Accept, None);
        }
        let turns = watch.turns();
        assert_eq!(turns.len(), 2, "3 ms a turn are 3 s, and the third goes on");
        assert!(turns.iter().all(|turns| (333..=334).contains(turns)), "{turns:?}");
        let accept = &watch.steps()[Step::Accept as usize];
        assert_eq!(accept.strip_busy.len(), 2);
        assert!(accept.strip_busy.iter().all(|busy| (664_000..=668_000).contains(busy)));
        assert_eq!(accept.strip_longest, [2_000, 2_000]);

        now += Duration::from_secs(100);
        turn(&mut watch, &mut now, Step::Accept, None);
        assert_eq!(watch.turns().len(), COLUMNS, "older seconds are forgotten");
        assert_eq!(watch.steps()[Step::Accept as usize].strip_busy, [0; COLUMNS]);
        assert_eq!(watch.steps()[Step::Accept as usize].count, 1, "and so are their durations");
    }
}
