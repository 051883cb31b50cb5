//! How many messages a member may still send: a token bucket in one time stamp.
//!
//! The bucket is kept as the moment when it will be full again. Taking a token moves that moment by
//! the time a token takes to grow; a bucket is empty when the moment is a whole bucket away. This is
//! the generic cell rate algorithm of ATM (ITU-T I.371), the same thing without a count to refresh.

use std::time::{Duration, Instant};

/// The bucket holds what grows in this time, so that a burst of lines pasted into a terminal goes
/// through.
const BURST: Duration = Duration::from_secs(5);

/// One member's bucket; a new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    full_at: Option<Instant>,
}

impl Allowance {
    /// Takes a token, if there is one, from a bucket that grows by `rate` tokens a second.
    pub(super) fn take(&mut self, rate: u32, now: Instant) -> bool {
        let one = Duration::from_secs(1) / rate.max(1);
        let full_at = self.full_at.filter(|at| *at > now).unwrap_or(now) + one;
        let taken = full_at - now <= BURST;
        if taken {
            self.full_at = Some(full_at);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        let burst = (0..1000).filter(|_| allowance.take(10, start)).count();
        assert_eq!(burst, 50);
        let second_later = start + Duration::from_secs(1);
        let next = (0..1000).filter(|_| allowance.take(10, second_later)).count();
        assert_eq!(next, 10);
    }

    #[test]
    fn a_bucket_never_holds_more_than_a_burst() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        assert!(allowance.take(1, start));
        let much_later = start + Duration::from_secs(10_000);
        assert_eq!((0..1000).filter(|_| allowance.take(1, much_later)).count(), 5);
    }
}
