//! The waiting output, handed out in jobs.

use super::Chat;
use super::member::Member;
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, RoomId};

/// The most datagrams of one room before the next room has its turn.
const QUANTUM: usize = 512;

impl Chat {
    /// Hands waiting output to `send` until `budget` datagrams are sent or nothing is left that
    /// could be. `send` gets a job and how many datagrams of it to send at most.
    ///
    /// Rooms take turns; a room that is not finished goes to the back of the queue of those, behind
    /// every room that has just become busy. A room whose rest waits for a full socket is put aside
    /// until [`Chat::resume_stalled`].
    pub fn deliver(
        &mut self,
        budget: usize,
        mut send: impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let mut total = Receipt::default();
        let mut left = budget;
        while left > 0
            && let Some(room) = self.fresh.pop_front().or_else(|| self.backlogged.pop_front())
        {
            let receipt = self.deliver_room(room, left.min(QUANTUM), &mut send);
            // A room whose members have no address costs no datagram, but not nothing.
            left = left.saturating_sub((receipt.sent + receipt.dropped).max(1));
            total.sent += receipt.sent;
            total.dropped += receipt.dropped;
            total.blocked |= receipt.blocked;
        }
        total
    }

    /// Whether [`Chat::deliver`] would find something to do.
    pub fn has_output(&self) -> bool {
        !self.fresh.is_empty() || !self.backlogged.is_empty()
    }

    /// Puts the rooms that waited for a socket back in the queue: one is writable again.
    pub fn resume_stalled(&mut self) {
        for room_id in std::mem::take(&mut self.stalled) {
            if let Some(room) = self.rooms.get_mut(room_id) {
                room.is_stalled = false;
            }
            self.queue(room_id);
        }
    }

    /// Frees members and rooms that are delivered to the end; `freed` is told of each member. Only
    /// here does an id stop to find somebody.
    pub fn reap(&mut self, mut freed: impl FnMut(MemberId)) {
        for member in self.ended.drain(..) {
            self.members.remove(member);
            freed(member);
        }
        for room in self.closed.drain(..) {
            self.rooms.remove(room);
        }
    }

    /// The member, unless it has ended and only waits to be reaped.
    pub(super) fn live(&self, id: MemberId) -> Option<&Member> {
        let member = self.members.get(id)?;
        (self.tokens.get(&member.token) == Some(&id)).then_some(member)
    }

    fn deliver_room(
        &mut self,
        room_id: RoomId,
        quantum: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let mut total = Receipt::default();
        let Some(room) = self.rooms.get_mut(room_id) else { return total };
        room.is_ready = false;
        let mut cut = None;
        for delivery in room.next_order() {
            let left = quantum - (total.sent + total.dropped);
            room.share_out(delivery, &mut self.shares);
            if self.shares.is_empty() || left == 0 {
                continue;
            }
            let log = room.log(delivery);
            let to = &mut self.shares;
            let receipt = send(Job { bytes: log.bytes(), entries: log.entries(), to }, left);
            total.sent += receipt.sent;
            total.dropped += receipt.dropped;
            total.blocked |= receipt.blocked;
            cut = cut.or(room.take_back(delivery, &self.shares));
        }
        room.settle(cut, &mut self.pool, &mut self.ended);
        let exhausted = total.sent + total.dropped >= quantum;
        self.put_back(room_id, exhausted, total.blocked);
        total
    }

    /// Decides where a room goes after its turn.
    fn put_back(&mut self, room_id: RoomId, exhausted: bool, blocked: bool) {
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        if room.is_delivered() {
            if room.is_closing && room.is_empty() {
                self.closed.push(room_id);
            }
        } else if blocked && !exhausted {
            if !room.is_stalled {
                room.is_stalled = true;
                self.stalled.push(room_id);
            }
        } else {
            room.is_ready = true;
            self.backlogged.push_back(room_id);
        }
    }
}
