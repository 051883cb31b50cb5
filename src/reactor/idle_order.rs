//! LRU order of connections by last input, globally and per peer, used to pick an eviction victim.

use std::collections::HashMap;
use std::time::Instant;

use crate::ids::ConnId;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// Connections in the order of their last input.
#[derive(Debug)]
pub(super) struct IdleOrder {
    all: Timers<ConnId>,
    /// Peers without a connection have no entry.
    peers: HashMap<Subnet, Timers<ConnId>>,
}

impl IdleOrder {
    pub(super) fn new() -> Self {
        Self { all: Timers::new(), peers: HashMap::new() }
    }

    /// Moves a connection of `peer` from the time `old` to `new`; `None` means that it is not in the order.
    pub(super) fn change(
        &mut self,
        (peer, id): (Subnet, ConnId),
        old: Option<Instant>,
        new: Option<Instant>,
    ) {
        if old == new {
            return;
        }
        self.all.change(id, old, new);
        let own = self.peers.entry(peer).or_insert_with(Timers::new);
        own.change(id, old, new);
        if own.len() == 0 {
            self.peers.remove(&peer);
        }
    }

    /// Returns the connection that has been idle longest, if there are `limit` connections.
    pub(super) fn first_if_full(&self, limit: Option<usize>) -> Option<ConnId> {
        self.all.first().filter(|_| limit.is_some_and(|limit| self.all.len() >= limit))
    }

    /// Returns the connection of a peer that has been idle longest, if the peer has `limit` connections.
    pub(super) fn first_of_peer_if_full(
        &self,
        peer: Subnet,
        limit: Option<usize>,
    ) -> Option<ConnId> {
        let own = self.peers.get(&peer)?;
        own.first().filter(|_| limit.is_some_and(|limit| own.len() >= limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;
    use std::net::IpAddr;
    use std::time::Duration;

    #[test]
    fn t4_full_peer_loses_its_own_idle_one() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let id = |slot| ConnId(Key { slot, generation: 0 });
        let peer = |text: &str| Subnet::of(text.parse::<IpAddr>().expect("an address").into());
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let mut idle_order = IdleOrder::new();
        idle_order.change((other, id(0)), None, at(0));
        idle_order.change((one, id(1)), None, at(1));
        idle_order.change((one, id(2)), None, at(2));
        assert_eq!(idle_order.first_of_peer_if_full(one, Some(2)), Some(id(1)));
        assert_eq!(idle_order.first_of_peer_if_full(other, Some(2)), None);
        assert_eq!(idle_order.first_if_full(Some(3)), Some(id(0)));
        assert_eq!(idle_order.first_if_full(Some(4)), None);
        idle_order.change((one, id(1)), at(1), at(3));
        assert_eq!(idle_order.first_of_peer_if_full(one, Some(2)), Some(id(2)));
        for (peer, slot, heard_at) in [(other, 0, at(0)), (one, 1, at(3)), (one, 2, at(2))] {
            idle_order.change((peer, id(slot)), heard_at, None);
        }
        assert_eq!((idle_order.all.len(), idle_order.peers.len()), (0, 0));
    }
}
