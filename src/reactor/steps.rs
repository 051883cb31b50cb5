//! The steps of a turn.
//!
//! The figures of `/loop` measure them while somebody watches: see `figures/`. A build with the feature
//! `step-times` also logs every new maximum of their CPU time. No step but the first waits, so CPU time
//! leaves out other programs on the same machine.

#[cfg(feature = "step-times")]
use std::{cell::RefCell, collections::BTreeMap, time::Duration};

#[cfg(feature = "step-times")]
use rustix::time::{ClockId, clock_gettime};

use serde::Serialize;

use super::Reactor;

/// A step of a turn, in the order of the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Wait,
    NoteReadiness,
    HandleSignals,
    Accept,
    ReadDatagrams,
    ReadConnections,
    ExpireTimers,
    Deliver,
    Flush,
    Reap,
}

impl Reactor {
    /// Runs a step of the turn.
    pub(super) fn step<R>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> R) -> R {
        let result = measure(step, || work(self));
        self.note_step(step);
        result
    }
}

#[cfg(feature = "step-times")]
thread_local! {
    /// The longest CPU time of each step.
    static LONGEST: RefCell<BTreeMap<Step, Duration>> = RefCell::default();
}

#[cfg(not(feature = "step-times"))]
fn measure<R>(_: Step, work: impl FnOnce() -> R) -> R {
    work()
}

/// Runs a step and measures its CPU time.
#[cfg(feature = "step-times")]
fn measure<R>(step: Step, work: impl FnOnce() -> R) -> R {
    let start = cpu_time();
    let result = work();
    let time = cpu_time().saturating_sub(start);
    LONGEST.with_borrow_mut(|longest| {
        let longest = longest.entry(step).or_default();
        if time > *longest {
            *longest = time;
            log::info!("longest time of step {step:?}: {time:?}");
        }
    });
    result
}

/// Returns the CPU time that this thread has used.
#[cfg(feature = "step-times")]
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
