//! Repair budget: the bytes that may be sent to a member again.
//!
//! A token bucket that grows by the bytes that the member confirms, so that one that makes progress
//! is served as fast as it can receive, and slowly by time, so that one whose confirmations are lost
//! is not left behind. A member that asks for everything again and again confirms nothing, and gets
//! the slow rate.

use std::time::{Duration, Instant};

use crate::token_bucket::{TokenBucket, time_for};

/// Bytes in a full bucket.
const FULL: u64 = 64 * 1024;

/// Bytes by which it grows in a second.
const RATE: u64 = 16 * 1024;

/// Time in which an empty bucket fills.
const DEPTH: Duration = Duration::from_secs(FULL / RATE);

/// One member's budget; a new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RepairBudget {
    bucket: TokenBucket,
}

impl RepairBudget {
    /// Adds confirmed bytes.
    pub(super) fn refill(&mut self, confirmed: usize, now: Instant) {
        self.bucket.put_back(time_for(confirmed as u64, RATE), now);
    }

    /// Returns the number of bytes that may be sent.
    pub(super) fn left(self, now: Instant) -> usize {
        let left = self.bucket.left(DEPTH, now).as_nanos() as u64;
        // Rounded, because the time of a byte is not a whole number of nanoseconds.
        ((left * RATE + 500_000_000) / 1_000_000_000) as usize
    }

    /// Takes bytes that are sent.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) {
        self.bucket.take(time_for(bytes as u64, RATE), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_budget_grows_by_confirmation() {
        let (start, mut budget) = (Instant::now(), RepairBudget::default());
        assert_eq!(budget.left(start), 64 * 1024);
        budget.take(64 * 1024, start);
        assert_eq!(budget.left(start), 0);
        budget.refill(1000, start);
        assert_eq!(budget.left(start), 1000);
        assert_eq!(budget.left(start + Duration::from_secs(1)), 1000 + 16 * 1024);
        assert_eq!(budget.left(start + Duration::from_secs(100_000)), 64 * 1024);
        budget.refill(usize::MAX, start);
        assert_eq!(budget.left(start), 64 * 1024);
    }
}
