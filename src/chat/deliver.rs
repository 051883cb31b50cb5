//! The waiting output, handed out in jobs.

use super::Chat;
use super::log::{Log, Pool};
use super::member::Member;
use super::room::{Cut, Room};
use crate::fanout::{Job, Receipt, Share};
use crate::ids::{MemberId, RoomId};

/// The most datagrams of one room before the next room has its turn.
const QUANTUM: usize = 512;

/// How many fresh rooms go before a backlogged one has its turn.
const FRESH_IN_A_ROW: usize = 8;

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
            && let Some(room) = self.next_room()
        {
            let receipt = self.deliver_room(room, left.min(QUANTUM), &mut send);
            // A room whose members have no address costs no datagram, but not nothing.
            left = left.saturating_sub((receipt.sent + receipt.dropped).max(1));
            total.add(receipt);
        }
        total
    }

    /// Fresh rooms first, but a backlogged one after every few of them.
    fn next_room(&mut self) -> Option<RoomId> {
        if self.fresh_in_a_row < FRESH_IN_A_ROW
            && let Some(room) = self.fresh.pop_front()
        {
            self.fresh_in_a_row += 1;
            return Some(room);
        }
        self.fresh_in_a_row = 0;
        self.backlogged.pop_front().or_else(|| self.fresh.pop_front())
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
        let Some(room) = self.rooms.get_mut(room_id) else { return Receipt::default() };
        room.is_ready = false;
        let mut delivery = RoomDelivery {
            pool: &mut self.pool,
            shares: &mut self.shares,
            left: quantum,
            cut: [None; _],
            total: Receipt::default(),
        };
        // Asides come behind what was said before them, if that does not take for ever; and the last
        // word of all is that the room is closed.
        if room.is_closing || room.has_held_asides_enough() {
            delivery.send_asides(room, send);
        }
        delivery.send_logs(room, send);
        if delivery.is_cut_by_budget() {
            room.hold_asides();
        } else {
            delivery.send_asides(room, send);
        }
        let RoomDelivery { left, cut, total, .. } = delivery;
        room.settle(cut, &mut self.pool, &mut self.ended);
        self.put_back(room_id, left == 0, total.blocked);
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

/// One room's turn.
struct RoomDelivery<'a> {
    pool: &'a mut Pool,
    shares: &'a mut Vec<Share>,
    /// Datagrams that may still be sent.
    left: usize,
    /// The seats at which the delivery was cut, by form.
    cut: Cut,
    total: Receipt,
}

impl RoomDelivery<'_> {
    fn send_logs(&mut self, room: &mut Room, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        for form in room.next_order() {
            room.share_out(form, self.shares);
            self.send_shares(room.log(form), send);
            self.cut[form as usize] = room.take_back(form, self.shares);
        }
    }

    /// Whether there is a backlog that could be sent, had the turn not ended: members whose socket is
    /// full are nobody's to wait for.
    fn is_cut_by_budget(&self) -> bool {
        self.cut != Cut::default() && !self.total.blocked
    }

    fn send_asides(&mut self, room: &mut Room, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        if !room.asides().is_empty() {
            room.share_out_asides(self.shares);
            self.send_shares(room.asides(), send);
            room.take_back_asides(self.shares, self.pool);
        }
    }

    fn send_shares(&mut self, log: &Log, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        if self.left > 0 && !self.shares.is_empty() {
            let job = Job { bytes: log.bytes(), entries: log.entries(), to: self.shares };
            let receipt = send(job, self.left);
            self.left = self.left.saturating_sub(receipt.sent + receipt.dropped);
            self.total.add(receipt);
        }
    }
}
