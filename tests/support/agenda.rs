//! The planned steps of a simulated history, in the order of their times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Steps with their times since the start. Steps of one time keep the order in which they were planned.
#[derive(Debug)]
pub struct Agenda<T> {
    steps: BinaryHeap<Reverse<(Duration, u64, T)>>,
    planned: u64,
}

impl<T: Ord> Agenda<T> {
    pub fn new() -> Self {
        Self { steps: BinaryHeap::new(), planned: 0 }
    }

    pub fn plan(&mut self, at: Duration, step: T) {
        self.planned += 1;
        self.steps.push(Reverse((at, self.planned, step)));
    }

    /// Returns the time of the next step.
    pub fn next(&self) -> Option<Duration> {
        self.steps.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes and returns the next step, if it is due.
    pub fn pop_due(&mut self, now: Duration) -> Option<T> {
        self.next().filter(|at| *at <= now)?;
        self.steps.pop().map(|Reverse((.., step))| step)
    }
}
