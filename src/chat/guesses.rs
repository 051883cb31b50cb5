//! Wrong passwords and tokens, counted by who gave them, so that nobody can try many.
//!
//! Counted is only who still has to wait for its bucket to be full again, and of those only so many:
//! whoever has many subnets has as many times the guesses in any case.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// A bucket holds what grows in this time.
const DEPTH: Duration = Duration::from_secs(60);

/// The most subnets that are counted. Beyond them the one that has guessed least is forgotten.
const MAX_COUNTED: usize = 16_384;

/// Who has guessed wrong in the last minute.
#[derive(Debug)]
pub(super) struct Guesses {
    buckets: HashMap<Subnet, Bucket>,
    forgotten_at: Timers<Subnet>,
}

impl Guesses {
    pub(super) fn new() -> Self {
        Self { buckets: HashMap::new(), forgotten_at: Timers::new() }
    }

    /// Whether one more may be made, if there may be so many a minute.
    pub(super) fn has_left(&self, peer: Subnet, limit: Option<u32>, now: Instant) -> bool {
        let bucket = self.buckets.get(&peer).copied().unwrap_or_default();
        limit.is_none_or(|limit| bucket.has(time_for_one(limit), DEPTH, now))
    }

    /// Counts a wrong one. Beyond the limit nothing was looked at, so nothing is counted.
    pub(super) fn note(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        let Some(limit) = limit.filter(|_| self.has_left(peer, limit, now)) else { return };
        if self.buckets.len() >= MAX_COUNTED
            && !self.buckets.contains_key(&peer)
            && let Some(least) = self.forgotten_at.first()
        {
            self.forget(least);
        }
        let bucket = self.buckets.entry(peer).or_default();
        let before = bucket.full_at();
        bucket.take(time_for_one(limit), now);
        self.forgotten_at.change(peer, before, bucket.full_at());
    }

    /// Counts a wrong token, as long as half of the guesses are left: after a restart of the server every
    /// member has one, and those behind one address must not lock each other out of their rooms.
    pub(super) fn note_token(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        let bucket = self.buckets.get(&peer).copied().unwrap_or_default();
        if limit.is_some_and(|limit| bucket.has(time_for_one(limit), DEPTH / 2, now)) {
            self.note(peer, limit, now);
        }
    }

    /// When [`Guesses::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.forgotten_at.next()
    }

    /// Forgets somebody whose bucket is full again; gives whether there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let due = self.forgotten_at.pop_due(now);
        due.is_some_and(|(_, peer)| self.buckets.remove(&peer).is_some())
    }

    /// How many are counted.
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    fn forget(&mut self, peer: Subnet) {
        if let Some(bucket) = self.buckets.remove(&peer) {
            self.forgotten_at.change(peer, bucket.full_at(), None);
        }
    }
}

fn time_for_one(limit: u32) -> Duration {
    DEPTH / limit.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn subnet(number: u32) -> Subnet {
        Subnet::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn t9_so_many_a_minute_and_others_do_not_pay_for_it() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = Guesses::new();
        let guess_all = |guesses: &mut Guesses, now| {
            (0..1000)
                .take_while(|_| {
                    let has_left = guesses.has_left(subnet(1), limit, now);
                    if has_left {
                        guesses.note(subnet(1), limit, now);
                    }
                    has_left
                })
                .count()
        };
        assert_eq!(guess_all(&mut guesses, start), 20);
        // What was not looked at does not count.
        (0..1000).for_each(|_| guesses.note(subnet(1), limit, start));
        assert_eq!(guess_all(&mut guesses, start + Duration::from_secs(6)), 2);
        assert!(guesses.has_left(subnet(2), limit, start));
        assert!(guesses.has_left(subnet(1), None, start), "0 is no limit");
    }

    #[test]
    fn t9_who_has_guessed_least_of_a_crowd_is_not_forgotten_for_guessing_on() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = Guesses::new();
        for number in (1..MAX_COUNTED as u32).flat_map(|number| [number; 3]) {
            guesses.note(subnet(number), limit, start);
        }
        let guess = |_| {
            let has_left = guesses.has_left(subnet(0), limit, start);
            guesses.note(subnet(0), limit, start);
            has_left
        };
        assert_eq!((0..100).map(guess).filter(|has_left| *has_left).count(), 20);
    }

    #[test]
    fn t9_who_has_waited_is_forgotten_and_a_crowd_is_bounded() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = Guesses::new();
        for number in 0..2 * MAX_COUNTED as u32 {
            guesses.note(subnet(number), limit, start);
        }
        assert_eq!(guesses.len(), MAX_COUNTED);
        let later = start + DEPTH;
        while guesses.expire(later) {}
        assert_eq!((guesses.len(), guesses.next_deadline()), (0, None));
    }
}
