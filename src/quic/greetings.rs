//! Handshakes: the packets that wait for them, and how many a peer may have in progress.
//!
//! To answer a client's hello costs a key exchange and a signature. So packets of connections whose handshake
//! is not done wait in one queue, from which a turn takes a few hellos.

use std::collections::{HashMap, VecDeque};

use quinn_proto::{ConnectionEvent, Incoming};

use crate::address::Origin;
use crate::config::MAX_HANDSHAKES_IP;
use crate::ids::QuicId;
use crate::subnet::Subnet;

/// Limit for the packets that wait. At four hellos in a turn of about a millisecond, the last one waits for a
/// tenth of a second, and a client repeats its packets after a second.
pub(super) const MAX_GREETINGS: usize = 512;

/// Hellos answered in a turn.
const BUDGET: usize = 4;

/// A packet of a handshake.
pub(super) enum Greeting {
    /// The first packet of a connection, whose address is proved.
    First(Box<Incoming>, Origin),
    /// A later packet.
    Later(QuicId, Box<ConnectionEvent>, Origin),
}

/// The connections of a peer.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    connections: usize,
    /// Those of them whose handshake is not done.
    handshakes: u32,
}

/// Packets of handshakes, and the connections of each peer.
pub(super) struct Greetings {
    queue: VecDeque<Greeting>,
    /// Hellos that may still be answered in this turn.
    left: usize,
    peers: HashMap<Subnet, Usage>,
}

impl Greetings {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), left: BUDGET, peers: HashMap::new() }
    }

    /// Returns true if a further packet may wait.
    pub(super) fn has_space(&self) -> bool {
        self.queue.len() < MAX_GREETINGS
    }

    pub(super) fn push(&mut self, greeting: Greeting) {
        self.queue.push_back(greeting);
    }

    /// Removes and returns the next packet, unless the budget of this turn is used up.
    pub(super) fn pop(&mut self) -> Option<Greeting> {
        if self.left == 0 { None } else { self.queue.pop_front() }
    }

    /// Returns true if packets wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Notes that a hello was answered.
    pub(super) fn note_answer(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Ends a turn: its budget is whole again.
    pub(super) fn end_turn(&mut self) {
        self.left = BUDGET;
    }

    /// Returns the number of connections of a peer.
    pub(super) fn connections_of(&self, peer: Subnet) -> usize {
        self.peers.get(&peer).map_or(0, |usage| usage.connections)
    }

    /// Begins a connection of a peer, and its handshake. Returns false if the peer has too many handshakes.
    pub(super) fn begin(&mut self, peer: Subnet) -> bool {
        let usage = self.peers.entry(peer).or_default();
        let is_allowed = usage.handshakes < MAX_HANDSHAKES_IP;
        if is_allowed {
            usage.connections += 1;
            usage.handshakes += 1;
        }
        is_allowed
    }

    /// Notes that a handshake that was begun is done, or that its connection has ended before.
    pub(super) fn end_handshake(&mut self, peer: Subnet) {
        if let Some(usage) = self.peers.get_mut(&peer) {
            usage.handshakes -= 1;
        }
    }

    /// Notes that a connection is gone.
    pub(super) fn end(&mut self, peer: Subnet) {
        if let Some(usage) = self.peers.get_mut(&peer) {
            usage.connections -= 1;
            if usage.connections == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn h8_peer_has_eight_handshakes() {
        let peer = |ip: &str| Subnet::of(ip.parse::<IpAddr>().expect("an address").into());
        let (one, other) = (peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        let mut greetings = Greetings::new();
        (0..MAX_HANDSHAKES_IP).for_each(|_| assert!(greetings.begin(one)));
        assert!(!greetings.begin(peer("2001:db8::2")), "of the same subnet");
        assert!(greetings.begin(other));
        greetings.end_handshake(one);
        assert!(greetings.begin(one));
        assert_eq!((greetings.connections_of(one), greetings.connections_of(other)), (9, 1));
        (0..8).for_each(|_| greetings.end_handshake(one));
        (0..9).for_each(|_| greetings.end(one));
        assert_eq!((greetings.connections_of(one), greetings.peers.len()), (0, 1));
    }
}
