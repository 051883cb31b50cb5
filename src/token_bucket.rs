//! A token bucket in one time stamp: the generic cell rate algorithm of ATM (ITU-T I.371).
//!
//! The bucket is stored as the time when it will be full again. To take tokens moves that time by
//! the interval in which they grow back, so there is no count to refresh.

use std::time::{Duration, Instant};

/// A bucket; a new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenBucket {
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// Returns true if `cost` can be taken from a bucket of `depth`. Both are the time in which as
    /// much grows again. A full bucket grants any cost, because one above the depth would never
    /// pass.
    pub(crate) fn has(&self, cost: Duration, depth: Duration, now: Instant) -> bool {
        self.wait(cost, depth, now).is_zero()
    }

    /// Returns the time until `cost` can be taken.
    pub(crate) fn wait(&self, cost: Duration, depth: Duration, now: Instant) -> Duration {
        let debt = self.debt(now);
        debt.min((debt + cost).saturating_sub(depth))
    }

    /// Takes `cost` if the bucket has it. Returns false if not.
    pub(crate) fn try_take(&mut self, cost: Duration, depth: Duration, now: Instant) -> bool {
        let has_cost = self.has(cost, depth, now);
        if has_cost {
            self.take(cost, now);
        }
        has_cost
    }

    /// Returns the part of a bucket of `depth` that is left.
    pub(crate) fn left(&self, depth: Duration, now: Instant) -> Duration {
        depth.saturating_sub(self.debt(now))
    }

    /// Returns `amount` to the bucket, which does not become more than full.
    pub(crate) fn put_back(&mut self, amount: Duration, now: Instant) {
        self.full_at = Some(now + self.debt(now).saturating_sub(amount));
    }

    /// Takes `cost` from the bucket.
    pub(crate) fn take(&mut self, cost: Duration, now: Instant) {
        self.full_at = Some(now + self.debt(now) + cost);
    }

    /// Returns the time when the bucket will be full again, if anything was ever taken.
    pub(crate) fn full_at(&self) -> Option<Instant> {
        self.full_at
    }

    fn debt(&self, now: Instant) -> Duration {
        self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// Returns the time in which `amount` grows at `rate` a second.
pub(crate) fn time_for(amount: u64, rate: u64) -> Duration {
    Duration::from_nanos(amount.saturating_mul(1_000_000_000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Duration = Duration::from_millis(100);
    const DEPTH: Duration = Duration::from_secs(5);

    fn take_all(bucket: &mut TokenBucket, now: Instant) -> usize {
        let take = |_| bucket.has(ONE, DEPTH, now).then(|| bucket.take(ONE, now));
        (0..1000).map_while(take).count()
    }

    #[test]
    fn t10_rate_holds_after_a_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::default();
        assert_eq!(take_all(&mut bucket, start), 50);
        assert_eq!(take_all(&mut bucket, start + Duration::from_secs(1)), 10);
    }

    #[test]
    fn t10_bucket_holds_one_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::default();
        bucket.take(ONE, start);
        assert_eq!(take_all(&mut bucket, start + Duration::from_secs(10_000)), 50);
    }

    #[test]
    fn t10_full_bucket_grants_any_cost() {
        let start = Instant::now();
        let mut bucket = TokenBucket::default();
        let large = DEPTH * 3;
        assert!(bucket.has(large, DEPTH, start));
        bucket.take(large, start);
        assert!(!bucket.has(ONE, DEPTH, start + DEPTH));
        assert!(bucket.has(ONE, DEPTH, start + DEPTH * 2 + ONE));
    }
}
