//! What each peer has: members, those of them without a proved address, rooms, and which ports of its
//! addresses are taken. Entries that count nothing are removed, so this is never larger than what
//! members and rooms there are.

use std::collections::HashMap;
use std::net::IpAddr;

use super::member::Port;
use crate::subnet::Subnet;

/// What one peer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Live members.
    pub(super) members: u32,
    /// Those of them whose port is not known.
    pub(super) unproved: u32,
    /// Rooms that it has made and that can be joined.
    pub(super) rooms: u32,
}

/// Counts by peer and by port.
#[derive(Debug, Default)]
pub(super) struct Peers {
    tallies: HashMap<Subnet, Tally>,
    /// Two members may share a port: a program can be in two rooms with one socket.
    ports: HashMap<(IpAddr, u16), u32>,
}

impl Peers {
    /// Counts a member with this port in.
    pub(super) fn count_in(&mut self, ip: IpAddr, port: Port) {
        let is_unproved = u32::from(port == Port::Unknown);
        self.change(Subnet::of(ip), |tally| {
            tally.members += 1;
            tally.unproved += is_unproved;
        });
        if let Port::Announced(port) | Port::Learnt(port) = port {
            *self.ports.entry((ip, port)).or_insert(0) += 1;
        }
    }

    /// Counts a member with this port out.
    pub(super) fn count_out(&mut self, ip: IpAddr, port: Port) {
        let is_unproved = u32::from(port == Port::Unknown);
        self.change(Subnet::of(ip), |tally| {
            tally.members -= 1;
            tally.unproved -= is_unproved;
        });
        if let Port::Announced(port) | Port::Learnt(port) = port
            && let Some(count) = self.ports.get_mut(&(ip, port))
        {
            *count -= 1;
            if *count == 0 {
                self.ports.remove(&(ip, port));
            }
        }
    }

    /// Counts a room in.
    pub(super) fn count_room_in(&mut self, creator: Subnet) {
        self.change(creator, |tally| tally.rooms += 1);
    }

    /// Counts a room out.
    pub(super) fn count_room_out(&mut self, creator: Subnet) {
        self.change(creator, |tally| tally.rooms -= 1);
    }

    /// What this peer has.
    pub(super) fn tally(&self, peer: Subnet) -> Tally {
        self.tallies.get(&peer).copied().unwrap_or_default()
    }

    /// Whether a member has this port.
    pub(super) fn is_taken(&self, ip: IpAddr, port: u16) -> bool {
        self.ports.contains_key(&(ip, port))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.tallies.len() + self.ports.len()
    }

    fn change(&mut self, peer: Subnet, change: impl FnOnce(&mut Tally)) {
        let tally = self.tallies.entry(peer).or_default();
        change(tally);
        if *tally == Tally::default() {
            self.tallies.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_counted_in_is_counted_out() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut peers = Peers::default();
        for port in [Port::Unknown, Port::Announced(7), Port::Learnt(7)] {
            peers.count_in(ip, port);
        }
        peers.count_room_in(Subnet::of(ip));
        let tally = Tally { members: 3, unproved: 1, rooms: 1 };
        assert_eq!((peers.tally(Subnet::of(ip)), peers.is_taken(ip, 7)), (tally, true));
        peers.count_out(ip, Port::Announced(7));
        assert!(peers.is_taken(ip, 7), "the other one has it still");
        peers.count_out(ip, Port::Learnt(7));
        peers.count_out(ip, Port::Unknown);
        peers.count_room_out(Subnet::of(ip));
        assert_eq!((peers.is_taken(ip, 7), peers.len()), (false, 0));
    }
}
