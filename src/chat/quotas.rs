//! Usage of each peer: its members, its members without a proved address, its rooms, and the ports
//! in use. Entries that count nothing are removed, so the tables are never larger than the number of
//! members and rooms.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::member::Member;
use super::path::{Path, PathCounts};
use crate::address::PeerAddr;
use crate::ids::{Key, MemberId};
use crate::subnet::Subnet;
use crate::timers::Timers;

/// Usage of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Live members.
    pub(super) members: u32,
    /// Live members whose port was announced and is not proved.
    pub(super) announced: u32,
    /// Live carried members, detached ones included.
    pub(super) carried: u32,
    /// Open rooms that it has created.
    pub(super) rooms: u32,
}

/// The live members at one address.
#[derive(Debug, Default)]
struct PortUsers {
    /// Members may share a port, because a program can be in two rooms with one socket.
    count: u32,
    /// The member that has only announced the port, if any.
    announcer: Option<MemberId>,
}

/// Usage by peer and by port.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    usages: HashMap<Subnet, Usage>,
    /// Members without a known port and without a connection, in the order of their last datagram
    /// or token. Peers without such members have no entry.
    unproved: HashMap<Subnet, Timers<MemberId>>,
    ports: HashMap<(PeerAddr, u16), PortUsers>,
    /// Number of live members whose path is a connection, detached ones included.
    carried: usize,
    paths: PathCounts,
    /// Ended members, by the address to which their farewells go.
    ended: BTreeSet<(PeerAddr, u16, MemberId)>,
}

impl Quotas {
    /// Counts a member in its current state.
    pub(super) fn count_in(&mut self, id: MemberId, member: &Member) {
        let peer = Subnet::of(member.peer);
        let is_announced = u32::from(member.is_announced());
        let is_carried = u32::from(member.path.has_connection());
        self.change(peer, |usage| {
            usage.members += 1;
            usage.announced += is_announced;
            usage.carried += is_carried;
        });
        if member.is_unproved() {
            let own = self.unproved.entry(peer).or_insert_with(Timers::new);
            own.change(id, None, Some(member.heard_at));
        }
        self.carried += usize::from(member.path.has_connection());
        *self.paths.of(member.path, member.detached_at.is_some()) += 1;
        if let Some(address) = member.address() {
            let users = self.ports.entry(address).or_default();
            users.count += 1;
            if member.is_announced() {
                users.announcer = Some(id);
            }
        }
    }

    /// Removes a member from the counts. It must not have changed since it was counted.
    pub(super) fn count_out(&mut self, id: MemberId, member: &Member) {
        let peer = Subnet::of(member.peer);
        let is_announced = u32::from(member.is_announced());
        let is_carried = u32::from(member.path.has_connection());
        self.change(peer, |usage| {
            usage.members -= 1;
            usage.announced -= is_announced;
            usage.carried -= is_carried;
        });
        if member.is_unproved()
            && let Some(own) = self.unproved.get_mut(&peer)
        {
            own.change(id, Some(member.heard_at), None);
            if own.len() == 0 {
                self.unproved.remove(&peer);
            }
        }
        self.carried -= usize::from(member.path.has_connection());
        *self.paths.of(member.path, member.detached_at.is_some()) -= 1;
        if let Some(address) = member.address()
            && let Some(users) = self.ports.get_mut(&address)
        {
            users.count -= 1;
            if member.is_announced() {
                users.announcer = None;
            }
            if users.count == 0 {
                self.ports.remove(&address);
            }
        }
    }

    /// Notes that a member has sent something. Its address may still be unproved, if it is sealed.
    pub(super) fn note_input(&mut self, id: MemberId, member: &mut Member, now: Instant) {
        if member.is_unproved()
            && let Some(own) = self.unproved.get_mut(&Subnet::of(member.peer))
        {
            own.change(id, Some(member.heard_at), Some(now));
        }
        member.heard_at = now;
    }

    /// Returns how many unproved members without a connection this peer has.
    pub(super) fn unproved(&self, peer: Subnet) -> usize {
        self.unproved.get(&peer).map_or(0, Timers::len)
    }

    /// Returns the unproved member that has waited longest.
    pub(super) fn oldest_unproved(&self, peer: Subnet) -> Option<MemberId> {
        self.unproved.get(&peer)?.first()
    }

    /// Returns the number of live carried members, detached ones included.
    pub(super) fn carried(&self) -> usize {
        self.carried
    }

    /// Returns the numbers of live members by path.
    pub(super) fn paths(&self) -> PathCounts {
        self.paths
    }

    /// Counts a member of this path as detached from now on.
    pub(super) fn note_detached(&mut self, path: Path) {
        *self.paths.of(path, false) -= 1;
        *self.paths.of(path, true) += 1;
    }

    /// Counts a room.
    pub(super) fn count_room_in(&mut self, creator: Subnet) {
        self.change(creator, |usage| usage.rooms += 1);
    }

    /// Removes a room from the counts.
    pub(super) fn count_room_out(&mut self, creator: Subnet) {
        self.change(creator, |usage| usage.rooms -= 1);
    }

    /// Returns the usage of a peer.
    pub(super) fn usage(&self, peer: Subnet) -> Usage {
        self.usages.get(&peer).copied().unwrap_or_default()
    }

    /// Returns true if a live member has this port.
    pub(super) fn is_taken(&self, peer: PeerAddr, port: u16) -> bool {
        self.ports.contains_key(&(peer, port))
    }

    /// Returns the live member that has announced this port without proving it.
    pub(super) fn announcer(&self, peer: PeerAddr, port: u16) -> Option<MemberId> {
        self.ports.get(&(peer, port))?.announcer
    }

    /// Notes the address of a member that has ended.
    pub(super) fn note_ended(&mut self, id: MemberId, member: &Member) {
        if let Some((peer, port)) = member.address() {
            self.ended.insert((peer, port, id));
        }
    }

    /// Forgets the address of a member that has ended.
    pub(super) fn forget_ended(&mut self, id: MemberId, member: &Member) {
        if let Some((peer, port)) = member.address() {
            self.ended.remove(&(peer, port, id));
        }
    }

    /// Returns the ended members whose farewells go to this address.
    pub(super) fn ended_at(&self, peer: PeerAddr, port: u16) -> impl Iterator<Item = MemberId> {
        let [first, last] = [0, u32::MAX].map(|end| MemberId(Key { slot: end, generation: end }));
        self.ended.range((peer, port, first)..=(peer, port, last)).map(|(.., member)| *member)
    }

    /// Returns the number of ended members that have an address.
    pub(super) fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.usages.len() + self.ports.len()
    }

    fn change(&mut self, peer: Subnet, change: impl FnOnce(&mut Usage)) {
        let usage = self.usages.entry(peer).or_default();
        change(usage);
        if *usage == Usage::default() {
            self.usages.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::member::Port;
    use crate::ids::Key;
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    #[test]
    fn quotas_end_at_zero() {
        let (peer, now) = (PeerAddr::from(Ipv4Addr::LOCALHOST), Instant::now());
        let subnet = Subnet::of(peer);
        let mut peers = Quotas::default();
        let ports = [Port::Unknown, Port::Announced(7), Port::Learnt(7), Port::Unknown];
        let members: Vec<(MemberId, Member)> = (0..)
            .zip(ports)
            .map(|(slot, port)| {
                let id = MemberId(Key { slot, generation: 0 });
                let at = now - Duration::from_secs(u64::from(slot));
                (id, Member { port, ..Member::for_test(peer, at) })
            })
            .collect();
        members.iter().for_each(|(id, member)| peers.count_in(*id, member));
        peers.count_room_in(subnet);
        let usage = Usage { members: 4, announced: 1, carried: 0, rooms: 1 };
        assert_eq!((peers.usage(subnet), peers.is_taken(peer, 7)), (usage, true));
        assert_eq!(
            (peers.unproved(subnet), peers.oldest_unproved(subnet)),
            (2, Some(members[3].0))
        );
        peers.count_out(members[1].0, &members[1].1);
        assert!(peers.is_taken(peer, 7), "the other one still has it");
        for (id, member) in [&members[0], &members[2], &members[3]] {
            peers.count_out(*id, member);
        }
        peers.count_room_out(subnet);
        assert_eq!((peers.is_taken(peer, 7), peers.len(), peers.unproved.len()), (false, 0, 0));
    }
}
