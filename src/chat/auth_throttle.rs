//! Limits guesses of passwords and tokens, by subnet and by room.
//!
//! A peer with many subnets has as many times the guesses. So once a room has seen many wrong
//! passwords, further passwords for it, right or wrong, wait in order for time slots. The name of a
//! missing room counts as a room, because a difference would reveal hidden rooms.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use super::subnet_buckets::{Buckets, SubnetBuckets};
use crate::subnet::Subnet;

/// Time that fills a bucket.
const DEPTH: Duration = Duration::from_secs(60);

/// Limit for wrong passwords at one room, as a multiple of the limit of one subnet. It is more than
/// a /48 has, so that no single peer slows a room. To guess a million passwords at this rate takes
/// days.
const ROOM: u32 = 6;

/// Longest wait for a slot. Programs and people still wait this long for a reply.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Wrong passwords and tokens of the last minute.
#[derive(Debug)]
pub(super) struct AuthThrottle {
    subnets: SubnetBuckets,
    /// Rooms by a keyed hash of the name: with a random key nobody can choose names that collide.
    rooms: Buckets<u64>,
    hasher: RandomState,
}

/// Time at which a password is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckTime {
    Now,
    At(Instant),
    /// Not within [`LONGEST_WAIT`].
    TooLate,
}

impl AuthThrottle {
    /// Returns empty tables, with `capacity` entries each.
    pub(super) fn new(capacity: usize) -> Self {
        let (subnets, rooms) = (SubnetBuckets::new(capacity), Buckets::new(capacity));
        Self { subnets, rooms, hasher: RandomState::new() }
    }

    /// Returns true if one more guess is allowed, where `limit` are allowed in a minute.
    pub(super) fn has_left(&self, peer: Subnet, limit: Option<u32>, now: Instant) -> bool {
        limit.is_none_or(|limit| self.subnets.has(peer, time_for_one(limit), DEPTH, now))
    }

    /// Counts a wrong guess. Over the limit no guess is checked, so none is counted.
    pub(super) fn note(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        if let Some(limit) = limit.filter(|_| self.has_left(peer, limit, now)) {
            self.subnets.take(peer, time_for_one(limit), now);
        }
    }

    /// Counts a wrong token, as long as half of the guesses are left: after a restart of the server every
    /// member has one, and those behind one address must not lock each other out of their rooms.
    pub(super) fn note_token(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        if let Some(limit) = limit
            && self.subnets.has(peer, time_for_one(limit), DEPTH / 2, now)
        {
            self.subnets.take(peer, time_for_one(limit), now);
        }
    }

    /// Counts a wrong password at a room, where one subnet has `limit` guesses in a minute. A room
    /// without free slots counts no more: members' mistypes do not wait for slots, and must not shut
    /// strangers out for longer.
    pub(super) fn note_at(&mut self, room: &str, limit: Option<u32>, now: Instant) {
        let Some(limit) = limit else { return };
        let (room, cost) = (self.hasher.hash_one(room), time_for_one_at_room(limit));
        if self.rooms.wait(room, cost, DEPTH, now) <= LONGEST_WAIT {
            self.rooms.take(room, cost, now);
        }
    }

    /// Takes a slot for a password at a room. A password that has to wait is counted as a wrong
    /// one, because it is not checked yet.
    pub(super) fn take_slot(&mut self, room: &str, limit: Option<u32>, now: Instant) -> CheckTime {
        let Some(limit) = limit else { return CheckTime::Now };
        let (room, cost) = (self.hasher.hash_one(room), time_for_one_at_room(limit));
        let wait = self.rooms.wait(room, cost, DEPTH, now);
        if wait.is_zero() {
            return CheckTime::Now;
        }
        if wait > LONGEST_WAIT {
            return CheckTime::TooLate;
        }
        self.rooms.take(room, cost, now);
        CheckTime::At(now + wait)
    }

    /// Returns the time when [`AuthThrottle::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.subnets.next_deadline(), self.rooms.next_deadline()].into_iter().flatten().min()
    }

    /// Removes an entry whose bucket is full again. Returns true if there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        self.subnets.expire(now) || self.rooms.expire(now)
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.subnets.len() + self.rooms.len()
    }
}

fn time_for_one(limit: u32) -> Duration {
    DEPTH / limit.max(1)
}

fn time_for_one_at_room(limit: u32) -> Duration {
    time_for_one(limit) / ROOM
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn subnet(number: u32) -> Subnet {
        Subnet::of(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn t9_guesses_are_limited_by_subnet() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = AuthThrottle::new(9);
        let guess_all = |guesses: &mut AuthThrottle, now| {
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
        // A guess over the limit was not checked, so it does not count.
        (0..1000).for_each(|_| guesses.note(subnet(1), limit, start));
        assert_eq!(guess_all(&mut guesses, start + Duration::from_secs(6)), 2);
        assert!(guesses.has_left(subnet(2), limit, start));
        assert!(guesses.has_left(subnet(1), None, start), "0 is no limit");
    }

    #[test]
    fn t9_tokens_leave_half_of_the_guesses() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = AuthThrottle::new(9);
        (0..1000).for_each(|_| guesses.note_token(subnet(1), limit, start));
        let mut left = 0;
        while guesses.has_left(subnet(1), limit, start) {
            guesses.note(subnet(1), limit, start);
            left += 1;
        }
        assert_eq!(left, 10);
    }

    #[test]
    fn a1_mistypes_fill_no_later_slots() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = AuthThrottle::new(9);
        (0..1000).for_each(|_| guesses.note_at("r", limit, start));
        assert_eq!(guesses.take_slot("r", limit, start), CheckTime::TooLate);
        let later = start + LONGEST_WAIT + Duration::from_secs(1);
        assert_eq!(guesses.take_slot("r", limit, later), CheckTime::Now);
    }

    #[test]
    fn a1_a_guessed_room_gives_slots() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = AuthThrottle::new(9);
        let wrong = |guesses: &mut AuthThrottle, now| {
            let slot = guesses.take_slot("r", limit, now);
            if slot == CheckTime::Now {
                guesses.note_at("r", limit, now);
            }
            slot
        };
        (0..120).for_each(|_| assert_eq!(wrong(&mut guesses, start), CheckTime::Now));
        for half_seconds in 1..=8 {
            let at = start + Duration::from_millis(500) * half_seconds;
            assert_eq!(wrong(&mut guesses, start), CheckTime::At(at));
        }
        assert_eq!(wrong(&mut guesses, start), CheckTime::TooLate);
        assert_eq!(guesses.take_slot("s", limit, start), CheckTime::Now, "another room");
        assert_eq!(guesses.take_slot("r", None, start), CheckTime::Now, "0 is no limit");
        let later = start + Duration::from_secs(5);
        assert_eq!(wrong(&mut guesses, later), CheckTime::Now);
        assert_eq!(guesses.len(), 1);
        while guesses.expire(later + DEPTH) {}
        assert_eq!((guesses.len(), guesses.next_deadline()), (0, None));
    }
}
