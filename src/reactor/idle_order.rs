//! LRU order of connections by last input, globally and per peer, used to pick an eviction victim.

use std::collections::HashMap;
use std::time::Instant;

use crate::ids::ConnId;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// The place of a connection in the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// It is gone.
    #[default]
    None,
    /// It counts, and may be evicted. Its last input came at this time.
    Idle(Instant),
    /// It counts, and is never evicted.
    Kept,
}

impl Place {
    fn since(self) -> Option<Instant> {
        match self {
            Self::Idle(since) => Some(since),
            Self::None | Self::Kept => None,
        }
    }
}

/// The answer to the question for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// There is space.
    Free,
    /// There is space once this connection is evicted, which has been idle longest.
    InPlaceOf(ConnId),
    /// There is none, because those that are never evicted take all of it.
    None {
        /// A connection over the limit, which was refused before.
        over: Option<ConnId>,
    },
}

/// Connections in the order of their last input.
#[derive(Debug)]
pub(super) struct IdleOrder {
    all: Group,
    /// Peers without a connection have no entry.
    peers: HashMap<Subnet, Group>,
}

impl IdleOrder {
    pub(super) fn new() -> Self {
        Self { all: Group::new(), peers: HashMap::new() }
    }

    /// Moves a connection of `peer` from one place to another.
    pub(super) fn change(&mut self, (peer, id): (Subnet, ConnId), old: Place, new: Place) {
        if old == new {
            return;
        }
        self.all.change(id, old, new);
        let own = self.peers.entry(peer).or_insert_with(Group::new);
        own.change(id, old, new);
        if own.len() == 0 {
            self.peers.remove(&peer);
        }
    }

    /// Returns the number of connections, and of those of a peer.
    #[cfg(feature = "webtransport")]
    pub(super) fn counts(&self, peer: Subnet) -> (usize, usize) {
        (self.all.len(), self.peers.get(&peer).map_or(0, Group::len))
    }

    /// Returns the space for one more connection, if there may be `limit` of them.
    pub(super) fn space(&self, limit: Option<usize>) -> Space {
        self.all.space(limit)
    }

    /// Returns the space for one more connection of a peer, if it may have `limit` of them.
    pub(super) fn space_of_peer(&self, peer: Subnet, limit: Option<usize>) -> Space {
        self.peers.get(&peer).map_or(Space::Free, |own| own.space(limit))
    }
}

/// Connections that share a limit.
#[derive(Debug)]
struct Group {
    idle: Timers<ConnId>,
    /// Number of connections that are never evicted.
    kept: usize,
}

impl Group {
    fn new() -> Self {
        Self { idle: Timers::new(), kept: 0 }
    }

    fn change(&mut self, id: ConnId, old: Place, new: Place) {
        self.idle.change(id, old.since(), new.since());
        self.kept += usize::from(new == Place::Kept);
        self.kept -= usize::from(old == Place::Kept);
    }

    fn len(&self) -> usize {
        self.idle.len() + self.kept
    }

    fn space(&self, limit: Option<usize>) -> Space {
        match (limit, self.idle.first()) {
            (Some(limit), over) if self.kept >= limit => Space::None { over },
            (Some(limit), Some(victim)) if self.len() >= limit => Space::InPlaceOf(victim),
            _ => Space::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;
    use std::net::IpAddr;
    use std::time::Duration;

    fn peer(text: &str) -> Subnet {
        Subnet::of(text.parse::<IpAddr>().expect("an address").into())
    }

    fn id(slot: u32) -> ConnId {
        ConnId(Key { slot, generation: 0 })
    }

    #[test]
    fn t4_full_peer_loses_its_own_idle_one() {
        let start = Instant::now();
        let at = |seconds| Place::Idle(start + Duration::from_secs(seconds));
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let mut order = IdleOrder::new();
        order.change((other, id(0)), Place::None, at(0));
        order.change((one, id(1)), Place::None, at(1));
        order.change((one, id(2)), Place::None, at(2));
        assert_eq!(order.space_of_peer(one, Some(2)), Space::InPlaceOf(id(1)));
        assert_eq!(order.space_of_peer(other, Some(2)), Space::Free);
        assert_eq!(order.space(Some(3)), Space::InPlaceOf(id(0)));
        assert_eq!(order.space(Some(4)), Space::Free);
        order.change((one, id(1)), at(1), at(3));
        assert_eq!(order.space_of_peer(one, Some(2)), Space::InPlaceOf(id(2)));
        for (peer, slot, heard_at) in [(other, 0, at(0)), (one, 1, at(3)), (one, 2, at(2))] {
            order.change((peer, id(slot)), heard_at, Place::None);
        }
        assert_eq!((order.all.len(), order.peers.len()), (0, 0));
    }

    #[test]
    fn c3_kept_connection_never_gives_way() {
        let (one, mut order) = (peer("192.0.2.1"), IdleOrder::new());
        let idle = Place::Idle(Instant::now());
        order.change((one, id(1)), Place::None, idle);
        order.change((one, id(2)), Place::None, idle);
        order.change((one, id(1)), idle, Place::Kept);
        assert_eq!(order.space(Some(2)), Space::InPlaceOf(id(2)));
        order.change((one, id(2)), idle, Place::Kept);
        assert_eq!(order.space(Some(2)), Space::None { over: None });
        order.change((one, id(3)), Place::None, idle);
        assert_eq!(order.space_of_peer(one, Some(2)), Space::None { over: Some(id(3)) });
        assert_eq!(order.space(None), Space::Free);
        order.change((one, id(3)), idle, Place::None);
        order.change((one, id(1)), Place::Kept, Place::None);
        assert_eq!(order.space_of_peer(one, Some(2)), Space::Free);
    }
}
