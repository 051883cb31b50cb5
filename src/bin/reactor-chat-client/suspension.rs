//! Detects suspensions of the whole program: a sleeping machine, or SIGSTOP.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Measures the time from one turn of the loop to the next. CLOCK_BOOTTIME counts while the machine
/// is suspended, and the monotonic clock of the deadlines does not (`clock_gettime(2)`).
pub(crate) struct SuspensionClock {
    last: Duration,
}

impl SuspensionClock {
    pub(crate) fn new() -> Self {
        Self { last: since_boot() }
    }

    /// Returns the time since the last call.
    pub(crate) fn take(&mut self) -> Duration {
        let now = since_boot();
        now.saturating_sub(std::mem::replace(&mut self.last, now))
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // Neither part is negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_b_each_pause_is_measured_once() {
        let mut suspension = SuspensionClock::new();
        suspension.last = suspension.last.saturating_sub(Duration::from_secs(10));
        assert!(suspension.take() >= Duration::from_secs(10));
        assert!(suspension.take() < Duration::from_secs(10));
    }
}
