//! Limits wrong passwords and tokens, by the subnet that gave them.

use std::time::{Duration, Instant};

use super::debts::Debts;
use crate::subnet::Subnet;

/// A bucket holds what grows in this time.
const DEPTH: Duration = Duration::from_secs(60);

/// Wrong passwords and tokens of the last minute.
#[derive(Debug)]
pub(super) struct Guesses {
    debts: Debts,
}

impl Guesses {
    /// Returns an empty table that counts `capacity` subnets one by one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { debts: Debts::new(capacity) }
    }

    /// Returns true if one more is allowed, where `limit` are allowed in a minute.
    pub(super) fn has_left(&self, peer: Subnet, limit: Option<u32>, now: Instant) -> bool {
        limit.is_none_or(|limit| self.debts.has(peer, time_for_one(limit), DEPTH, now))
    }

    /// Counts a wrong one. Beyond the limit nothing was looked at, so nothing is counted.
    pub(super) fn note(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        if let Some(limit) = limit.filter(|_| self.has_left(peer, limit, now)) {
            self.debts.take(peer, time_for_one(limit), now);
        }
    }

    /// Counts a wrong token, as long as half of the guesses are left: after a restart of the server every
    /// member has one, and those behind one address must not lock each other out of their rooms.
    pub(super) fn note_token(&mut self, peer: Subnet, limit: Option<u32>, now: Instant) {
        if let Some(limit) = limit
            && self.debts.has(peer, time_for_one(limit), DEPTH / 2, now)
        {
            self.debts.take(peer, time_for_one(limit), now);
        }
    }

    /// Returns the time when [`Guesses::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.debts.next_deadline()
    }

    /// Forgets a subnet that has waited long enough. Returns true if there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        self.debts.expire(now)
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.debts.len()
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
        let mut guesses = Guesses::new(9);
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
    fn t9_wrong_tokens_leave_half_of_the_guesses() {
        let (start, limit) = (Instant::now(), Some(20));
        let mut guesses = Guesses::new(9);
        (0..1000).for_each(|_| guesses.note_token(subnet(1), limit, start));
        let mut left = 0;
        while guesses.has_left(subnet(1), limit, start) {
            guesses.note(subnet(1), limit, start);
            left += 1;
        }
        assert_eq!(left, 10);
    }
}
