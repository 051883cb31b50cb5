//! Token buckets by subnet or by another key, in bounded memory.
//!
//! A full table must not drop a bucket that is not full, because a peer with many addresses could
//! push out its own. So an entry is removed only when its bucket is full again. While the table has
//! no space, new keys share one bucket for newcomers, with a rate of its own.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::subnet::Subnet;
use crate::timers::Timers;
use crate::token_bucket::TokenBucket;

/// Wider IPv6 prefixes that have a bucket beside that of the /64, and their rates as multiples of
/// the rate of a /64. A customer of a provider gets a /56 or a /48 (RFC 6177, section 2): 256 or
/// 65,536 subnets.
const WIDER: [(u32, u32); 2] = [(56, 2), (48, 5)];

/// Rate of all newcomers together, as a multiple of the rate of one key. It is enough for people,
/// and a million guesses at this rate take days.
const NEWCOMERS: u32 = 12;

/// Buckets by key, at most `capacity`.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    capacity: usize,
    buckets: HashMap<K, TokenBucket>,
    settled_at: Timers<K>,
    newcomers: TokenBucket,
}

impl<K: Copy + Eq + Hash + Ord> Buckets<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            buckets: HashMap::new(),
            settled_at: Timers::new(),
            newcomers: TokenBucket::default(),
        }
    }

    /// Returns true if `cost` can be taken from a bucket of this depth.
    pub(super) fn has(&self, key: K, cost: Duration, depth: Duration, now: Instant) -> bool {
        self.wait(key, cost, depth, now).is_zero()
    }

    /// Returns the time until `cost` can be taken from a bucket of this depth.
    pub(super) fn wait(&self, key: K, cost: Duration, depth: Duration, now: Instant) -> Duration {
        match self.buckets.get(&key) {
            Some(bucket) => bucket.wait(cost, depth, now),
            None if self.is_full(now) => self.newcomers.wait(cost / NEWCOMERS, depth, now),
            None => Duration::ZERO,
        }
    }

    /// Takes `cost` from the bucket of this key, or from that of the newcomers.
    pub(super) fn take(&mut self, key: K, cost: Duration, now: Instant) {
        if !self.buckets.contains_key(&key) && self.is_full(now) && !self.expire(now) {
            return self.newcomers.take(cost / NEWCOMERS, now);
        }
        let bucket = self.buckets.entry(key).or_default();
        let before = bucket.full_at();
        bucket.take(cost, now);
        self.settled_at.change(key, before, bucket.full_at());
    }

    /// Returns the time when [`Buckets::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.settled_at.next()
    }

    /// Removes an entry whose bucket is full again. Returns true if there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let due = self.settled_at.pop_due(now);
        due.is_some_and(|(_, key)| self.buckets.remove(&key).is_some())
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Returns true if there is no space for a new key.
    fn is_full(&self, now: Instant) -> bool {
        let has_settled = self.settled_at.next().is_some_and(|at| at <= now);
        self.buckets.len() >= self.capacity && !has_settled
    }
}

/// Buckets of subnets. An IPv6 /64 is charged to its own bucket, and to those of its /56 and /48.
#[derive(Debug)]
pub(super) struct SubnetBuckets {
    subnets: Buckets<Subnet>,
    wider: [Buckets<Subnet>; WIDER.len()],
}

impl SubnetBuckets {
    /// Returns empty tables, with `capacity` entries for each prefix length.
    pub(super) fn new(capacity: usize) -> Self {
        Self { subnets: Buckets::new(capacity), wider: WIDER.map(|_| Buckets::new(capacity)) }
    }

    /// Returns true if a subnet can take `cost` from a bucket of this depth. Both are the time in
    /// which as much is refilled for one subnet.
    pub(super) fn has(
        &self,
        subnet: Subnet,
        cost: Duration,
        depth: Duration,
        now: Instant,
    ) -> bool {
        let mut wider = WIDER.iter().zip(&self.wider);
        self.subnets.has(subnet, cost, depth, now)
            && wider.all(|((length, shares), table)| {
                let prefix = subnet.prefix(*length);
                prefix.is_none_or(|prefix| table.has(prefix, cost / *shares, depth, now))
            })
    }

    /// Takes `cost` from the buckets of a subnet.
    pub(super) fn take(&mut self, subnet: Subnet, cost: Duration, now: Instant) {
        self.subnets.take(subnet, cost, now);
        for ((length, shares), table) in WIDER.iter().zip(&mut self.wider) {
            if let Some(prefix) = subnet.prefix(*length) {
                table.take(prefix, cost / *shares, now);
            }
        }
    }

    /// Returns the time when [`SubnetBuckets::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.tables().filter_map(Buckets::next_deadline).min()
    }

    /// Removes an entry whose bucket is full again. Returns true if there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        self.subnets.expire(now) || self.wider.iter_mut().any(|table| table.expire(now))
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.tables().map(Buckets::len).sum()
    }

    fn tables(&self) -> impl Iterator<Item = &Buckets<Subnet>> {
        std::iter::once(&self.subnets).chain(&self.wider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const MINUTE: Duration = Duration::from_secs(60);
    /// Twenty a minute.
    const COST: Duration = Duration::from_secs(3);
    const CAPACITY: usize = 1_000;

    fn v4(number: u32) -> Subnet {
        Subnet::of(Ipv4Addr::from_bits(number).into())
    }

    /// Returns a /64 of 2001:db8::/48, or of a later /48.
    fn v6(number: u64) -> Subnet {
        let bits = u128::from(0x2001_0db8_0000_0000 + number) << 64;
        Subnet::of(Ipv6Addr::from_bits(bits).into())
    }

    /// Takes `COST` from each subnet as often as allowed. Returns the number of times.
    fn take_all(
        debts: &mut SubnetBuckets,
        subnets: impl Iterator<Item = Subnet>,
        now: Instant,
    ) -> usize {
        let mut count = 0;
        for subnet in subnets {
            while debts.has(subnet, COST, MINUTE, now) {
                debts.take(subnet, COST, now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a1_a_48_takes_as_much_as_five_64s() {
        let (start, mut debts) = (Instant::now(), SubnetBuckets::new(CAPACITY));
        assert_eq!(take_all(&mut debts, (0..1).map(v6), start), 20);
        assert_eq!(take_all(&mut debts, (0..256).map(v6), start), 20, "of one /56");
        assert_eq!(take_all(&mut debts, (0..17_000).map(v6), start), 60);
        assert_eq!(take_all(&mut debts, (1 << 16..(1 << 16) + 1).map(v6), start), 20, "another");
        let later = start + MINUTE;
        assert_eq!(take_all(&mut debts, (0..17_000).map(v6), later), 100);
    }

    #[test]
    fn a1_newcomers_share_a_bucket() {
        let (start, mut debts) = (Instant::now(), SubnetBuckets::new(CAPACITY));
        let full = CAPACITY as u32;
        assert_eq!(take_all(&mut debts, (0..full).map(v4), start), 20 * CAPACITY);
        let all = || (0..3 * full).map(v4);
        assert_eq!(take_all(&mut debts, all(), start), 12 * 20, "the share of newcomers");
        assert_eq!(debts.len(), CAPACITY);
        let later = start + MINUTE / 2;
        assert_eq!(take_all(&mut debts, all(), later), 10 * CAPACITY + 12 * 10);
    }

    #[test]
    fn a1_a_full_bucket_is_removed() {
        let (start, mut debts) = (Instant::now(), SubnetBuckets::new(2));
        debts.take(v4(1), COST, start);
        debts.take(v4(2), COST * 2, start);
        debts.take(v4(3), COST, start);
        debts.take(v6(1), COST, start);
        assert_eq!((debts.len(), debts.next_deadline()), (4, Some(start + COST / 5)));
        assert!(!debts.expire(start));
        let later = start + COST;
        debts.take(v4(4), MINUTE, later);
        assert!(!debts.has(v4(4), COST, MINUTE, later), "it took the entry of a full bucket");
        while debts.expire(later + MINUTE) {}
        assert_eq!((debts.len(), debts.next_deadline()), (0, None));
    }

    #[test]
    fn a1_link_local_has_no_wider_prefix() {
        let (start, mut debts) = (Instant::now(), SubnetBuckets::new(CAPACITY));
        let neighbours =
            (1..=50).map(|last| Subnet::of(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last).into()));
        assert_eq!(take_all(&mut debts, neighbours, start), 50 * 20);
    }
}
