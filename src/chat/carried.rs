//! Carried members: their messages travel on the connection of their last request (C1 to C3).
//!
//! Nothing is lost on a connection, so the address counts as proved. A member is told its end once: by a
//! notice, or in stream delivery by an aside behind its last entry. Then [`Chat::poll_path_end`] returns
//! the member, and its connection is to be finished.
//!
//! A connection may also end first. Then a stream member is *detached*: nobody else notices, and a
//! resume attaches it again. Other members leave, because without a cursor they would miss what is
//! said meanwhile.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::inbound::PLAIN;
use super::member::{LastAside, Member};
use super::{Alarm, Chat, Path};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::fanout::{Audience, Extent, Job, NO_TAG, Receipt, Share};
use crate::ids::MemberId;
use crate::protocol::stream::Code;
use crate::protocol::{Delivery, Status};
use crate::subnet::Subnet;

/// Time for a connection to take the last entries of an ended member. A peer may leave a reply unread
/// for as long (`--handshake-timeout`).
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(10);

/// A turn's datagrams are for last asides up to this part.
const SHARE_OF_ASIDES: usize = 4;

/// Carried members that have ended, or have another path.
#[derive(Debug, Default)]
pub(super) struct Partings {
    /// Number of members whose last aside was not handed over yet.
    untold: usize,
    /// Last asides of members that have all their entries.
    asides: VecDeque<(MemberId, Box<[u8]>)>,
    /// Members that have got their last aside and are to be freed.
    told: Vec<MemberId>,
    /// Members that do not need their connection any more.
    path_ends: Vec<PathEnd>,
    /// Members on QUIC whose messages travel on their stream from now on.
    turned: Vec<MemberId>,
}

/// The end of a path that is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathEnd {
    /// The member.
    pub member: MemberId,
    /// The reason of the member's end (S4). `None` if it has another path.
    pub code: Option<Code>,
}

impl Partings {
    /// Returns true if a last aside can be handed out.
    pub(super) fn has_output(&self) -> bool {
        !self.asides.is_empty()
    }

    /// Returns true if a member has still to get its last aside.
    pub(super) fn has_untold(&self) -> bool {
        self.untold > 0
    }

    /// Returns true if members are to be freed.
    pub(super) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// Removes and returns a member that has got everything.
    pub(super) fn pop_told(&mut self) -> Option<MemberId> {
        self.told.pop()
    }

    /// Notes that a member does not need its connection any more.
    pub(super) fn note_path_end(&mut self, member: MemberId, code: Option<Code>) {
        self.path_ends.push(PathEnd { member, code });
    }

    /// Notes that the messages of a member on QUIC travel on its stream from now on.
    pub(super) fn note_turned(&mut self, member: MemberId) {
        self.turned.push(member);
    }

    /// Removes and returns a member on QUIC whose messages travel on its stream from now on.
    pub(super) fn pop_turned(&mut self) -> Option<MemberId> {
        self.turned.pop()
    }

    /// Hands out last asides, at most `budget`.
    fn deliver(
        &mut self,
        budget: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let mut total = Receipt::default();
        for _ in 0..budget {
            let Some((member, bytes)) = self.asides.front() else { break };
            let (receipt, is_done) = send_one(*member, bytes, send);
            total.add(receipt);
            if !is_done {
                break;
            }
            self.told.push(*member);
            self.asides.pop_front();
            self.untold -= 1;
        }
        total
    }
}

/// Sends a datagram to one member. Returns true if it does not have to wait.
fn send_one(
    member: MemberId,
    bytes: &[u8],
    send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
) -> (Receipt, bool) {
    let entries = [Extent { end: bytes.len() as u32, audience: Audience::Only(member) }];
    let mut to = [Share { member, cursor: 0, next: 0, until: 1, tag: NO_TAG }];
    let receipt = send(Job { bytes, entries: &entries, to: &mut to, is_tagged: false }, 1);
    (receipt, to[0].next == to[0].until)
}

impl Chat {
    // Inputs and outputs.

    /// Notes that the path of a carried member has space again.
    pub fn resume_member(&mut self, member: MemberId) {
        let Some(to) = self.recipient(member) else { return };
        self.feeds.resume_member(&to);
    }

    /// Notes that the connection that is a member's path has ended. It counts as one of the member's
    /// connections, so no [`Chat::handle_disconnect`] may follow. If the member has another path
    /// since, that call is the right one: the end of its old connection ends nothing.
    pub fn handle_path_end(&mut self, member: MemberId, now: Instant) {
        self.handle_disconnect(member, now);
        // A member that has ended waits for nothing more.
        self.resume_member(member);
        match self.directory.live(member).filter(|known| known.is_attached()) {
            Some(Member { delivery: Delivery::Stream, .. }) => self.detach(member, now),
            Some(Member { delivery: Delivery::Plain(_), .. }) => self.leave(member, PLAIN, now),
            None => {}
        }
    }

    /// Removes and returns the end of a path: the member has ended and everything for it was handed
    /// over, or it has moved to datagrams. A member that has moved to
    /// another connection is not returned. The caller must ask after each delivery and after each
    /// [`Chat::reap`].
    pub fn poll_path_end(&mut self) -> Option<PathEnd> {
        self.partings.path_ends.pop()
    }

    // Limits.

    /// Checks that a peer may have one more member on this path. `known` is one that may count for it
    /// already.
    pub(super) fn check_carried_of(
        &mut self,
        (peer, path): (PeerAddr, Path),
        known: Option<MemberId>,
    ) -> Result<(), Status> {
        let subnet = Subnet::of(peer);
        let known = known.and_then(|id| self.directory.members.get(id));
        let is_counted = known
            .is_some_and(|known| known.path.has_connection() && Subnet::of(known.peer) == subnet);
        if path.has_connection() && !is_counted && self.has_carried_enough(subnet) {
            return Err(self.refuse_limited(peer, Alert::ConnectionsIp, Status::RateLimited));
        }
        Ok(())
    }

    /// Checks that a member may have this path. `leaving` is the member that it replaces, or itself.
    pub(super) fn check_carried(
        &mut self,
        (peer, path): (PeerAddr, Path),
        leaving: Option<MemberId>,
    ) -> Result<(), Status> {
        let leaving = leaving.and_then(|id| self.directory.members.get(id));
        let leaving = leaving.is_some_and(|known| known.path.has_connection());
        let others = self.peers.quotas.carried() - usize::from(leaving);
        if path.has_connection() && self.config.max_carried.is_some_and(|limit| others >= limit) {
            return Err(self.refuse_limited(peer, Alert::Carried, Status::ServerFull));
        }
        Ok(())
    }

    // Paths.

    /// Notes that a member's path is a connection from now on. It needs no proof of an address.
    pub(super) fn attach(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        member.has_been_heard = true;
        if member.check_at.is_none() {
            self.end_limit(id, now);
        }
        self.settle_replaced(id, now);
        self.prove_stream(id, now);
    }

    /// Notes that the path of a member is no connection any more. If its connection `is_open`, it is to
    /// be finished.
    pub(super) fn leave_connection(&mut self, id: MemberId, is_open: bool, now: Instant) {
        self.start_checks(id, now);
        if is_open {
            self.partings.note_path_end(id, None);
        }
    }

    /// Keeps the cursor and the name of a stream member whose connection has ended. Without
    /// `--replace-silent` the member has timed out at once.
    fn detach(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        member.detached_at = Some(now);
        self.peers.quotas.note_detached(member.path);
        self.feeds.disprove(&member.recipient(id));
        self.expire_member(id, now);
    }

    /// Returns the time at which a detached member has timed out.
    pub(super) fn detached_until(&self, id: MemberId) -> Option<Instant> {
        let at = self.directory.members.get(id)?.detached_at?;
        Some(at + self.config.replace_silent.unwrap_or_default())
    }

    // Ends.

    /// Keeps the last aside of a carried stream member that has lost its room and its token, until
    /// it has all entries from before its end. A detached one has no program that could be told.
    pub(super) fn keep_last_aside(&mut self, id: MemberId, aside: Box<[u8]>, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        if member.is_attached() {
            member.last_aside = LastAside::Waiting(aside);
            self.partings.untold += 1;
            let due = now + HANDED_OVER_WITHIN;
            self.timers.set(Alarm::Parting(id), &mut member.deadline, Some(due));
        }
    }

    /// Drops the last entries of an ended member whose connection takes none.
    pub(super) fn expire_parting(&mut self, id: MemberId) {
        if let Some(to) = self.recipient(id) {
            self.feeds.forget(&to);
        }
    }

    /// Queues the last aside of a member that has all its entries. Returns false if it has none.
    pub(super) fn say_last_aside(&mut self, id: MemberId) -> bool {
        let Some(member) = self.directory.members.get_mut(id) else { return false };
        match mem::replace(&mut member.last_aside, LastAside::Queued) {
            LastAside::None => return false,
            // A member that was given up may have got all its entries since.
            LastAside::Queued => {}
            LastAside::Waiting(aside) => {
                self.timers.set(Alarm::Parting(id), &mut member.deadline, None);
                self.partings.asides.push_back((id, aside));
            }
        }
        true
    }

    /// Hands out last asides, with a part of the budget.
    pub(super) fn deliver_last_asides(
        &mut self,
        budget: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        self.partings.deliver(budget.div_ceil(SHARE_OF_ASIDES), send)
    }
}
