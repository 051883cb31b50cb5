//! The address of a sealed member (E10): where it was proved to be, and where it may be now.
//!
//! A datagram with a newest number names an address. From a proved IP it proves the port too. Another
//! IP may be forged: whoever copies a datagram on its way, and is faster, can send it from anywhere. So
//! such an address is proved only by the answer to a challenge that went there.

use std::time::{Duration, Instant};

use crate::address::{Endpoint, Origin, PeerAddr};
use crate::seal::{Control, OVERHEAD};

/// Least time between two challenges to one member.
const CHALLENGE_INTERVAL: Duration = Duration::from_secs(1);

/// Size of a challenge, as a datagram.
pub(super) const CHALLENGE_SIZE: u64 = (Control::SIZE + OVERHEAD) as u64;

/// The address of one member.
#[derive(Debug)]
pub(super) struct MemberAddress {
    /// The proved address, to which everything goes.
    proved: Option<Endpoint>,
    /// The last address that is not proved. Few members have one at any time.
    candidate: Option<Box<Candidate>>,
    /// Time of the next challenge at the earliest.
    next_challenge: Instant,
}

/// An address that is not proved.
#[derive(Debug)]
struct Candidate {
    origin: Origin,
    /// Bytes of datagrams with a newest number that came from there. Others count for nothing, because
    /// anybody can repeat them.
    received: u64,
    /// Bytes of challenges.
    sent: u64,
    /// The value of all challenges that go there, so that a late answer is right too.
    value: Option<[u8; 8]>,
}

/// The meaning of a datagram for the address of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It came from the proved address.
    Proved,
    /// It came from another address, which is proved now.
    Moved,
    /// It came from an address that is not proved.
    Unproved,
    /// As above, and a challenge to that address is due.
    ChallengeDue,
}

impl MemberAddress {
    pub(super) fn new(now: Instant) -> Self {
        Self { proved: None, candidate: None, next_challenge: now }
    }

    /// Notes where a datagram of `size` bytes with a newest number came from. `vouched` is an IP that the
    /// caller knows to be the member's, in addition to that of the proved address.
    pub(super) fn note_newest(
        &mut self,
        origin: &Origin,
        size: usize,
        vouched: Option<PeerAddr>,
        now: Instant,
    ) -> Finding {
        let from = origin.remote;
        if self.proved == Some(from) {
            self.candidate = None;
            return Finding::Proved;
        }
        let is_known_ip = self.proved.is_some_and(|proved| proved.ip() == from.ip());
        if is_known_ip || vouched == Some(PeerAddr::of(from)) {
            self.prove(from);
            return Finding::Moved;
        }
        let candidate = self.candidate.take().filter(|known| known.origin.remote == from);
        let mut candidate = candidate.unwrap_or_else(|| Candidate::new(*origin).into());
        candidate.origin = *origin;
        candidate.received += size as u64;
        let is_due = candidate.may_challenge() && now >= self.next_challenge;
        self.candidate = Some(candidate);
        if is_due { Finding::ChallengeDue } else { Finding::Unproved }
    }

    /// Handles the answer to a challenge. Returns true if it proves the address that it came from.
    pub(super) fn note_answer(&mut self, from: Endpoint, value: [u8; 8]) -> bool {
        let is_right = self.candidate.as_ref().is_some_and(|candidate| {
            candidate.origin.remote == from && candidate.value == Some(value)
        });
        if is_right {
            self.prove(from);
        }
        is_right
    }

    /// Returns true if an address was proved.
    pub(super) fn is_proved(&self) -> bool {
        self.proved.is_some()
    }

    /// Returns the challenge that is due, and where it must go. `random` becomes its value if it is the
    /// first one that goes there.
    pub(super) fn challenge(&mut self, random: [u8; 8], now: Instant) -> Option<(Origin, [u8; 8])> {
        let candidate = self.candidate.as_mut().filter(|candidate| candidate.may_challenge())?;
        if now < self.next_challenge {
            return None;
        }
        self.next_challenge = now + CHALLENGE_INTERVAL;
        candidate.sent += CHALLENGE_SIZE;
        Some((candidate.origin, *candidate.value.get_or_insert(random)))
    }

    fn prove(&mut self, at: Endpoint) {
        self.proved = Some(at);
        self.candidate = None;
    }
}

impl Candidate {
    fn new(origin: Origin) -> Self {
        Self { origin, received: 0, sent: 0, value: None }
    }

    /// Returns true if a challenge would not be more than what came from there. So nobody can use the
    /// server to send more bytes to a third party than it sends itself.
    fn may_challenge(&self) -> bool {
        self.sent + CHALLENGE_SIZE <= self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn origin(remote: &str) -> Origin {
        let remote: SocketAddr = remote.parse().expect("an address");
        Origin { socket: 0, local: None, remote: remote.into() }
    }

    const HOME: &str = "192.0.2.1:9";
    const AWAY: &str = "198.51.100.1:9";

    /// Returns a member that has proved [`HOME`].
    fn at_home(now: Instant) -> MemberAddress {
        let mut address = MemberAddress::new(now);
        let home = origin(HOME);
        let vouched = Some(PeerAddr::of(home.remote));
        assert_eq!(address.note_newest(&home, 30, vouched, now), Finding::Moved);
        address
    }

    #[test]
    fn e10_same_ip_moves_at_once() {
        let now = Instant::now();
        let mut address = at_home(now);
        let note =
            |address: &mut MemberAddress, from| address.note_newest(&origin(from), 30, None, now);
        assert_eq!(note(&mut address, HOME), Finding::Proved);
        assert_eq!(note(&mut address, "192.0.2.1:10"), Finding::Moved);
        assert_eq!(note(&mut address, "192.0.2.1:10"), Finding::Proved);
        assert_eq!(note(&mut address, "192.0.2.2:10"), Finding::Unproved);
        assert_eq!(note(&mut address, "192.0.2.1:10"), Finding::Proved);
    }

    #[test]
    fn e10_challenge_waits_for_bytes() {
        let now = Instant::now();
        let mut address = at_home(now);
        let away = origin(AWAY);
        let needed = CHALLENGE_SIZE as usize;
        assert_eq!(address.note_newest(&away, needed - 1, None, now), Finding::Unproved);
        assert_eq!(address.challenge([1; 8], now), None);
        assert_eq!(address.note_newest(&away, 1, None, now), Finding::ChallengeDue);
        assert_eq!(address.challenge([1; 8], now), Some((away, [1; 8])));
        let later = now + CHALLENGE_INTERVAL;
        assert_eq!(address.challenge([2; 8], later), None, "nothing came since");
        assert_eq!(address.note_newest(&away, needed, None, later), Finding::ChallengeDue);
        assert_eq!(address.challenge([2; 8], later), Some((away, [1; 8])), "the same value");
    }

    #[test]
    fn e10_one_challenge_a_second() {
        let now = Instant::now();
        let mut address = at_home(now);
        let (mut sent, mut at) = (0, now);
        while at < now + 10 * CHALLENGE_INTERVAL {
            // The address changes all the time, and what it has proved is forgotten each time.
            for from in [AWAY, HOME, "198.51.100.2:9"] {
                address.note_newest(&origin(from), 1_000, None, at);
                sent += usize::from(address.challenge([1; 8], at).is_some());
            }
            at += Duration::from_millis(10);
        }
        assert_eq!(sent, 10);
    }

    #[test]
    fn e10_answer_comes_from_there() {
        let now = Instant::now();
        let mut address = at_home(now);
        let away = origin(AWAY);
        assert!(!address.note_answer(away.remote, [0; 8]), "there was no challenge");
        assert_eq!(address.note_newest(&away, 100, None, now), Finding::ChallengeDue);
        assert!(!address.note_answer(away.remote, [0; 8]), "it was not sent");
        address.challenge([7; 8], now).expect("a challenge");
        for (from, value) in [(HOME, [7; 8]), ("198.51.100.1:10", [7; 8]), (AWAY, [8; 8])] {
            assert!(!address.note_answer(origin(from).remote, value), "{from} {value:?}");
        }
        assert!(address.note_answer(away.remote, [7; 8]));
        assert_eq!(address.note_newest(&away, 30, None, now), Finding::Proved);
        assert!(!address.note_answer(away.remote, [7; 8]), "it is used up");
    }

    #[test]
    fn e10_return_ends_the_challenge() {
        let now = Instant::now();
        let mut address = at_home(now);
        let away = origin(AWAY);
        address.note_newest(&away, 100, None, now);
        address.challenge([7; 8], now).expect("a challenge");
        assert_eq!(address.note_newest(&origin(HOME), 30, None, now), Finding::Proved);
        assert!(!address.note_answer(away.remote, [7; 8]), "the member is at home again");
    }

    #[test]
    fn e10_vouched_ip_needs_no_challenge() {
        let now = Instant::now();
        let mut address = at_home(now);
        let (away, vouched) = (origin(AWAY), Some(PeerAddr::of(origin(AWAY).remote)));
        let other = origin("198.51.100.2:9");
        assert_eq!(address.note_newest(&other, 30, vouched, now), Finding::Unproved);
        assert_eq!(address.note_newest(&away, 30, vouched, now), Finding::Moved);
    }
}
