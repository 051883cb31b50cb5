//! How much a member may have sent again: a bucket of bytes.
//!
//! It is refilled by what the member confirms, so that one that makes progress is served as fast as
//! it can take it, and slowly by time, so that one whose confirmations are lost is not left behind.
//! One that asks for everything again and again confirms nothing and gets the slow rate.

use std::time::{Duration, Instant};

/// A full bucket, in bytes.
const FULL: u32 = 64 * 1024;

/// What time adds, in bytes a second.
const RATE: u64 = 16 * 1024;

/// When time alone has filled an empty bucket.
const FULL_AFTER: Duration = Duration::from_secs(FULL as u64 / RATE);

/// One member's bucket; a new one is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepairBudget {
    left: u32,
    refilled_at: Instant,
}

impl RepairBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { left: FULL, refilled_at: now }
    }

    /// Adds what was confirmed.
    pub(crate) fn refill(&mut self, confirmed: usize) {
        let confirmed = u32::try_from(confirmed).unwrap_or(FULL);
        self.left = self.left.saturating_add(confirmed).min(FULL);
    }

    /// How many bytes may be sent.
    pub(crate) fn left(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.refilled_at).min(FULL_AFTER);
        // Whole bytes only, so that asking often does not keep the bucket from growing.
        let bytes = passed.as_nanos() as u64 * RATE / 1_000_000_000;
        if bytes > 0 {
            self.refill(bytes as usize);
            self.refilled_at = match passed < FULL_AFTER {
                true => self.refilled_at + Duration::from_nanos(bytes * 1_000_000_000 / RATE),
                false => now,
            };
        }
        self.left as usize
    }

    /// Takes what was sent.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_a_ration_grows_with_time_and_with_what_is_confirmed() {
        let start = Instant::now();
        let mut ration = RepairBudget::new(start);
        assert_eq!(ration.left(start), 64 * 1024);
        ration.take(64 * 1024);
        assert_eq!(ration.left(start), 0);
        ration.refill(1000);
        assert_eq!(ration.left(start), 1000);
        assert_eq!(ration.left(start + Duration::from_secs(1)), 1000 + 16 * 1024);
        assert_eq!(ration.left(start + Duration::from_secs(100_000)), 64 * 1024);
    }

    #[test]
    fn s11_asking_often_neither_adds_to_it_nor_takes_from_it() {
        let start = Instant::now();
        let mut ration = RepairBudget::new(start);
        ration.take(64 * 1024);
        for step in 1..=100_000u32 {
            ration.left(start + Duration::from_micros(10) * step);
        }
        let left = ration.left(start + Duration::from_secs(1));
        assert!((16 * 1024 - 2..=16 * 1024).contains(&left), "{left}");
    }
}
