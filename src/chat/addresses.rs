//! Ownership of addresses: finds the member that may use an address.
//!
//! A datagram with a member's token proves that its program is where the datagram came from. A port
//! that was announced over TCP proves nothing: a peer could announce the port of another program at
//! its IP. So every member that has only announced an address loses it when another member proves
//! it. Members that have ended lose it too, so that the new owner gets no datagrams of another
//! room. Several live members keep an address that each of them has proved, because a program can
//! be in two rooms with one socket.

use std::time::Instant;

use super::Chat;
use super::member::Port;
use super::path::Path;
use crate::address::{Endpoint, PeerAddr};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::Delivery;
use crate::subnet::Subnet;

/// Claim of a member to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// A live member has proved the address.
    Proved,
    /// An ended member has proved the address.
    ProvedByEnded,
    /// A live member has announced the address.
    Announced,
}

impl Claim {
    /// Returns true if an ended member with this port loses it.
    fn is_above_ended(self, port: Port) -> bool {
        self == Self::Proved || matches!(port, Port::Announced(_))
    }
}

impl Chat {
    /// Handles a port that a member announced over TCP. Returns true if the member's datagrams go
    /// to that port from now on. The port is refused if
    ///
    /// - it is 0, or another live member at the same IP uses it,
    /// - a datagram has shown the real port, or another member has proved the announced one,
    /// - the member has stream delivery, which only a datagram of its own starts,
    /// - the member is sealed, and only its own datagrams show its address,
    /// - the member is carried, so that nothing goes to a port,
    /// - the member has moved to another IP since,
    /// - its IP has reached the limit of announced ports.
    pub fn handle_announcement(&mut self, member: MemberId, endpoint: Endpoint) -> bool {
        let Some(known) = self.directory.live(member) else { return false };
        let (peer, port) = (PeerAddr::of(endpoint), endpoint.port());
        if known.peer != peer || known.path != Path::Clear {
            return false;
        }
        let is_settled = matches!(known.port, Port::Learnt(_) | Port::Lost);
        let own = known.address() == Some((peer, port));
        let takes_stream = known.delivery == Delivery::Stream;
        if port == 0
            || is_settled
            || takes_stream
            || (!own && self.peers.quotas.is_taken(peer, port))
        {
            return false;
        }
        if !known.is_announced() && self.has_announced_enough(Subnet::of(peer)) {
            self.peers.alerts.note(Alert::Unproved, peer);
            return false;
        }
        self.set_address(member, peer, Port::Announced(port));
        self.withdraw_from_ended((peer, port), Claim::Announced);
        true
    }

    /// Removes and returns a member that has lost its address. The caller must stop sending to it
    /// before the next delivery.
    pub fn poll_withdrawn(&mut self) -> Option<MemberId> {
        let has_none = |id: &MemberId| {
            let member = self.directory.members.get(*id);
            member.is_some_and(|member| member.port.number().is_none())
        };
        // The member may have sent a datagram since, and so have an address again.
        std::iter::from_fn(|| self.withdrawn.pop()).find(has_none)
    }

    /// Notes that a member has sent something, from this address if its datagrams go there from now
    /// on.
    pub(super) fn note_heard(&mut self, id: MemberId, at: Option<Endpoint>, now: Instant) {
        if let Some(member) = self.directory.members.get_mut(id) {
            member.has_been_heard = true;
        }
        if let Some(at) = at {
            self.learn_address(id, at, now);
        }
    }

    /// Notes the address that a member's datagram came from.
    pub(super) fn learn_address(&mut self, id: MemberId, at: Endpoint, now: Instant) {
        let (peer, port) = (PeerAddr::of(at), at.port());
        let Some(known) = self.directory.members.get_mut(id) else { return };
        known.has_been_heard = true;
        if (known.home, known.port) == (peer, Port::Learnt(port)) {
            return;
        }
        let had_none = known.port.number().is_none();
        self.set_address(id, peer, Port::Learnt(port));
        self.settle_replaced(id, now);
        self.withdraw_from_announcer((peer, port), now);
        self.withdraw_from_ended((peer, port), Claim::Proved);
        if had_none {
            self.prove_stream(id, now);
        }
    }

    /// Notes the address that an ended member's datagram came from. Another member may have
    /// announced it since.
    pub(super) fn learn_address_of_ended(&mut self, id: MemberId, at: Endpoint, now: Instant) {
        let (peer, port) = (PeerAddr::of(at), at.port());
        let Some(known) = self.directory.members.get_mut(id) else { return };
        let had_lost_it = known.port == Port::Lost;
        self.peers.quotas.forget_ended(id, known);
        (known.home, known.port) = (peer, Port::Learnt(port));
        self.peers.quotas.note_ended(id, known);
        self.withdraw_from_announcer((peer, port), now);
        self.withdraw_from_ended((peer, port), Claim::ProvedByEnded);
        if had_lost_it {
            self.prove_stream(id, now);
        }
    }

    /// Resumes the stream of a member whose address is proved, or that needs none because it is
    /// carried.
    pub(super) fn prove_stream(&mut self, id: MemberId, now: Instant) {
        let Some(to) = self.recipient(id) else { return };
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.prove(&to, now, |member, bytes| limits.pay(member, bytes));
    }

    fn set_address(&mut self, id: MemberId, home: PeerAddr, port: Port) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        self.peers.quotas.count_out(id, member);
        (member.home, member.port) = (home, port);
        self.peers.quotas.count_in(id, member);
    }

    /// Takes a proved address from the one member, if any, that has only announced it.
    fn withdraw_from_announcer(&mut self, (peer, port): (PeerAddr, u16), now: Instant) {
        if let Some(announcer) = self.peers.quotas.announcer(peer, port) {
            self.set_address(announcer, peer, Port::Lost);
            self.withdrawn.push(announcer);
            self.check_unproved_of(announcer, now);
        }
    }

    /// Takes an address from ended members with a weaker claim.
    fn withdraw_from_ended(&mut self, (peer, port): (PeerAddr, u16), claim: Claim) {
        let Self { peers, directory, withdrawn, .. } = self;
        let before = withdrawn.len();
        withdrawn.extend(peers.quotas.ended_at(peer, port).filter(|ended| {
            directory.members.get(*ended).is_some_and(|member| claim.is_above_ended(member.port))
        }));
        for index in before..self.withdrawn.len() {
            let ended = self.withdrawn[index];
            let Some(member) = self.directory.members.get_mut(ended) else { continue };
            self.peers.quotas.forget_ended(ended, member);
            member.port = Port::Lost;
            self.feeds.disprove(&member.recipient(ended));
        }
    }
}
