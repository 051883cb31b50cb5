//! Handshakes in progress, per peer and in a turn.

use std::collections::HashMap;

use crate::config::MAX_HANDSHAKES_IP;
use crate::metrics::{Counter, Metrics};
use crate::subnet::Subnet;

/// Handshakes of all connections.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// Handshakes in progress. Peers without one have no entry.
    peers: HashMap<Subnet, u32>,
    /// Number that may be answered in a turn.
    budget: usize,
    /// Number that may still be answered in this turn.
    left: usize,
    done: u64,
    failed: u64,
    refused: u64,
}

impl Handshakes {
    pub(super) fn new(budget: usize) -> Self {
        Self { peers: HashMap::new(), budget, left: budget, done: 0, failed: 0, refused: 0 }
    }

    /// Ends a turn. Adds what was counted in it to the metrics.
    pub(super) fn end_turn(&mut self, metrics: &mut Metrics) {
        self.left = self.budget;
        metrics.add(Counter::Handshakes, std::mem::take(&mut self.done));
        metrics.add(Counter::HandshakesFailed, std::mem::take(&mut self.failed));
        metrics.add(Counter::HandshakesRefused, std::mem::take(&mut self.refused));
    }

    /// Returns true if a further handshake may be answered in this turn.
    pub(super) fn has_budget(&self) -> bool {
        self.left > 0
    }

    /// Notes that a handshake was answered: the key exchange and the signature are done.
    pub(super) fn note_answer(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Begins a handshake of a peer. Returns false if the peer has too many.
    pub(super) fn begin(&mut self, peer: Subnet) -> bool {
        let count = self.peers.entry(peer).or_default();
        if *count == MAX_HANDSHAKES_IP {
            self.refused += 1;
            return false;
        }
        *count += 1;
        true
    }

    /// Ends a handshake that was begun.
    pub(super) fn end(&mut self, peer: Subnet, is_done: bool) {
        *if is_done { &mut self.done } else { &mut self.failed } += 1;
        if let Some(count) = self.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(text: &str) -> Subnet {
        Subnet::of(text.parse::<IpAddr>().expect("an address").into())
    }

    #[test]
    fn e4_peer_has_eight_handshakes() {
        let mut handshakes = Handshakes::new(16);
        let (one, other) = (peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        for _ in 0..MAX_HANDSHAKES_IP {
            assert!(handshakes.begin(one));
        }
        assert!(!handshakes.begin(peer("2001:db8::2")), "of the same subnet");
        assert!(handshakes.begin(other));
        handshakes.end(one, true);
        assert!(handshakes.begin(one));
        handshakes.end(other, false);
        (0..MAX_HANDSHAKES_IP).for_each(|_| handshakes.end(one, false));
        assert!(handshakes.peers.is_empty());
        let mut metrics = Metrics::default();
        handshakes.end_turn(&mut metrics);
        handshakes.end_turn(&mut metrics);
        let counts = [Counter::Handshakes, Counter::HandshakesFailed, Counter::HandshakesRefused];
        assert_eq!(counts.map(|counter| metrics.get(counter)), [1, 9, 1]);
    }

    #[test]
    fn e4_turn_answers_its_budget() {
        let mut handshakes = Handshakes::new(2);
        for _ in 0..2 {
            assert!(handshakes.has_budget());
            handshakes.note_answer();
        }
        assert!(!handshakes.has_budget());
        handshakes.end_turn(&mut Metrics::default());
        assert!(handshakes.has_budget());
    }
}
