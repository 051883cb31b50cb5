//! CPU time of the steps of a turn.
//!
//! Only a build with the feature `step-times` measures it, and logs every new maximum of a step. No
//! step waits for anything, so CPU time is the right measure: it leaves out other programs on the
//! same machine.

#[cfg(feature = "step-times")]
use std::{cell::RefCell, collections::BTreeMap, time::Duration};

#[cfg(feature = "step-times")]
use rustix::time::{ClockId, clock_gettime};

#[cfg(feature = "step-times")]
thread_local! {
    /// The longest time of each step.
    static LONGEST: RefCell<BTreeMap<&'static str, Duration>> = RefCell::default();
}

/// Runs a step of the turn.
#[cfg(not(feature = "step-times"))]
pub(super) fn step(_name: &'static str, work: impl FnOnce()) {
    work();
}

/// Runs a step of the turn and measures it.
#[cfg(feature = "step-times")]
pub(super) fn step(name: &'static str, work: impl FnOnce()) {
    let start = cpu_time();
    work();
    let time = cpu_time().saturating_sub(start);
    LONGEST.with_borrow_mut(|longest| {
        let longest = longest.entry(name).or_default();
        if time > *longest {
            *longest = time;
            log::info!("longest time of step {name}: {time:?}");
        }
    });
}

/// Returns the CPU time that this thread has used.
#[cfg(feature = "step-times")]
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
