//! The waiting output, handed out in jobs.

use std::time::Instant;

use super::member::Member;
use super::room::{Part, Room};
use super::{Alarm, Chat};
use crate::config::ChatConfig;
use crate::delivery::entry_log::Pool;
use crate::delivery::ordered::{MAX_TRAIN, OrderedStream, PacketTrain};
use crate::delivery::plain::Cut;
use crate::delivery::unicast::UnicastQueue;
use crate::fanout::{Job, Receipt, Share};
use crate::ids::{MemberId, RoomId};
use crate::protocol::Form;
use crate::slots::Slots;

/// The most datagrams of one room before the next room has its turn.
const QUANTUM: usize = 512;

/// Of a turn's datagrams, what repairs and farewells may be at most, each: what is said now goes
/// before what was lost.
const SHARE_OF_REPAIRS: usize = 4;

/// The most groups of members at one cursor that a room's turn serves, each of which costs a look
/// at all of its members. After their first delivery all stand at the same cursor.
const MAX_GROUPS: usize = 8;

/// Limit for the members, and for the rooms, that one call frees: about half a millisecond of work.
const MAX_FREED: usize = 1024;

impl Chat {
    /// Hands waiting output to `send` until `budget` datagrams are sent or nothing is left that
    /// could be. `send` gets a job and how many datagrams of it to send at most.
    ///
    /// Rooms take turns: see `schedule.rs`. A room whose rest waits for a full socket is put aside
    /// until [`Chat::resume_stalled`]. Farewells to ended members go after the rooms.
    pub fn deliver(
        &mut self,
        budget: usize,
        now: Instant,
        mut send: impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        self.end_closing(budget);
        let share = (budget / SHARE_OF_REPAIRS).max(1);
        let kept = if self.tombstones.farewells.has_output() { share } else { 0 };
        let mut total = self.deliver_rooms(budget - kept, share, now, &mut send);
        let left = budget.saturating_sub(total.sent + total.dropped);
        total.add(self.deliver_farewells(left, &mut send));
        total
    }

    fn deliver_rooms(
        &mut self,
        budget: usize,
        mut repairs: usize,
        now: Instant,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let (mut left, mut total) = (budget, Receipt::default());
        self.schedule.end_ration();
        while left > 0
            && let Some(room) = self.schedule.pop()
        {
            let receipt = self.deliver_room(room, left.min(QUANTUM), &mut repairs, now, send);
            // A room whose members have no address costs no datagram, but not nothing.
            left = left.saturating_sub((receipt.sent + receipt.dropped).max(1));
            total.add(receipt);
        }
        total
    }

    /// Sends farewells to members that have ended.
    fn deliver_farewells(
        &mut self,
        budget: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let (mut left, mut total) = (budget, Receipt::default());
        while left > 0 && self.tombstones.farewells.has_output() {
            let Self { tombstones, shares, pool, .. } = self;
            let receipt = tombstones.farewells.deliver(left, shares, pool, send);
            // Members without an address cost no datagram, but they cost time.
            left = left.saturating_sub((receipt.sent + receipt.dropped).max(1));
            total.add(receipt);
        }
        total
    }

    /// Whether [`Chat::deliver`] would find something to do.
    pub fn has_output(&self) -> bool {
        !self.schedule.is_empty()
            || !self.closing.is_empty()
            || self.tombstones.farewells.has_output()
    }

    /// Whether somebody is still to be told of what has happened: at the end of the server, whether
    /// to wait.
    pub fn has_last_words(&self) -> bool {
        self.has_output() || !self.stalled.is_empty() || self.tombstones.has_untold()
    }

    /// Puts the rooms that waited for a socket back in the queue: one is writable again.
    pub fn resume_stalled(&mut self, now: Instant) {
        self.tombstones.farewells.resume();
        for room_id in std::mem::take(&mut self.stalled) {
            if let Some(room) = self.rooms.get_mut(room_id) {
                room.is_stalled = false;
                if let Some(stream) = &mut room.stream {
                    stream.unblock(now);
                }
            }
            self.set_rest_alarm(room_id);
            self.queue(room_id);
        }
    }

    /// Returns true if [`Chat::reap`] would find something to do.
    pub fn has_garbage(&self) -> bool {
        !self.ended.is_empty() || !self.closed.is_empty()
    }

    /// Frees a portion of the members and rooms that have no output left, and calls `freed` with
    /// each member. Ids become invalid only here.
    pub fn reap(&mut self, mut freed: impl FnMut(MemberId)) {
        for _ in 0..self.ended.len().min(MAX_FREED) {
            let Some(member) = self.ended.pop() else { break };
            self.end_if_closing(member);
            if self.members.get(member).is_some_and(|member| member.end.is_some()) {
                // It has all entries of its room, but not yet the notice of its end.
                continue;
            }
            // It may be listed twice: by its seat, and by its farewell.
            if let Some(gone) = self.members.remove(member) {
                self.quotas.forget_ended(member, &gone);
                freed(member);
            }
        }
        // A closing member must find its room, so members are freed first.
        if !self.ended.is_empty() {
            return;
        }
        for _ in 0..self.closed.len().min(MAX_FREED) {
            let Some(room_id) = self.closed.pop() else { return };
            let Some(room) = self.rooms.remove(room_id) else { continue };
            self.schedule.leave(room.line);
            if let Some(stream) = room.stream {
                self.timers.change(Alarm::Tail(room_id), stream.tail.alarm, None);
                self.timers.change(Alarm::Rest(room_id), stream.rest_alarm, None);
                let is_there = |room| self.rooms.get(room).is_some();
                self.history.forget(room_id, stream.ring.capacity(), is_there);
            }
        }
    }

    /// Returns the member, unless it has ended and waits to be reaped, or its room is closed.
    pub(super) fn live(&self, id: MemberId) -> Option<&Member> {
        let member = self.members.get(id)?;
        let is_open = self.rooms.get(member.room).is_some_and(|room| !room.is_closed());
        (is_open && self.tokens.get(&member.token) == Some(&id)).then_some(member)
    }

    /// A room may have fallen silent.
    pub(super) fn step_tail(&mut self, room_id: RoomId, now: Instant) {
        let room = self.rooms.get_mut(room_id);
        let Some(stream) = room.and_then(|room| room.stream.as_mut()) else { return };
        // The entry that came up is gone from the timers already.
        stream.tail.alarm = None;
        let is_told = stream.tail.step(now);
        self.set_tail_alarm(room_id);
        if is_told {
            self.queue(room_id);
        }
    }

    /// Sets the alarm for a room's next step, unless there is one: if that comes too early, because
    /// the room speaks, it is set again then.
    fn set_tail_alarm(&mut self, room_id: RoomId) {
        let room = self.rooms.get_mut(room_id).filter(|room| !room.is_closed());
        let Some(stream) = room.and_then(|room| room.stream.as_mut()) else { return };
        if stream.tail.alarm.is_none() {
            stream.tail.alarm = stream.tail.due();
            self.timers.change(Alarm::Tail(room_id), None, stream.tail.alarm);
        }
    }

    fn deliver_room(
        &mut self,
        room_id: RoomId,
        quantum: usize,
        repairs: &mut usize,
        now: Instant,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let Some(room) = self.rooms.get_mut(room_id) else { return Receipt::default() };
        room.is_ready = false;
        // Nobody will say that the socket is writable to a room that does not wait for it.
        if let Some(stream) = room.stream.as_mut().filter(|_| !room.is_stalled) {
            stream.unblock(now);
        }
        let mut delivery = RoomDelivery {
            members: &mut self.members,
            config: &self.config,
            now,
            pool: &mut self.pool,
            shares: &mut self.shares,
            train: &mut self.train,
            left: quantum,
            cut: [None; _],
            total: Receipt::default(),
        };
        delivery.run(room, repairs, send);
        let RoomDelivery { left, cut, total, .. } = delivery;
        room.settle(cut, &mut self.pool, &mut self.ended, now);
        self.recount_backlog(room_id);
        self.set_tail_alarm(room_id);
        self.set_rest_alarm(room_id);
        self.put_back(room_id, left == 0, total.blocked, *repairs == 0);
        total
    }

    /// Decides where a room goes after its turn.
    fn put_back(&mut self, room_id: RoomId, exhausted: bool, blocked: bool, rationed: bool) {
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        if room.is_delivered() {
            return self.close_if_empty(room_id);
        }
        let has_stream_output = room.stream.as_ref().is_some_and(|stream| stream.has_output());
        let waits = room.stream.as_ref().is_some_and(|stream| stream.is_blocked());
        let is_cut = exhausted || has_stream_output || room.holds_asides();
        let is_stopped = (blocked || waits) && !is_cut;
        // A room that goes on, because others can be sent to, waits for the full sockets all the
        // same: else they would be asked again in each of its turns.
        if (waits || is_stopped) && !room.is_stalled {
            room.is_stalled = true;
            self.stalled.push(room_id);
        }
        if rationed && !exhausted && !has_stream_output && room.has_only_repairs() {
            room.is_ready = true;
            self.schedule.push_rationed(room.line, room_id);
        } else if !is_stopped {
            room.is_ready = true;
            self.schedule.push_backlogged(room.line, room_id);
        }
    }

    /// Marks a closed room to be freed when nobody is left in it. A room in the queue is freed
    /// after its turn.
    pub(super) fn close_if_empty(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get(room_id)
            && room.is_closed()
            && !room.is_ready
            && !room.is_stalled
            && room.is_empty()
            && room.is_delivered()
        {
            self.closed.push(room_id);
        }
    }
}

/// Whether a receipt with so much budget was cut by a full socket, and not by the budget.
fn is_blocked(receipt: Receipt, budget: usize) -> bool {
    receipt.blocked && receipt.sent + receipt.dropped < budget
}

/// One room's turn.
struct RoomDelivery<'a> {
    members: &'a mut Slots<MemberId, Member>,
    config: &'a ChatConfig,
    now: Instant,
    pool: &'a mut Pool,
    shares: &'a mut Vec<Share>,
    train: &'a mut PacketTrain,
    /// Datagrams that may still be sent.
    left: usize,
    /// The seats at which the delivery was cut, by form.
    cut: Cut,
    total: Receipt,
}

impl RoomDelivery<'_> {
    /// UnicastQueue come behind what was said before them, if that does not take for ever; and the last word
    /// of all is that the room is closed. Repairs come behind all that is new.
    fn run(
        &mut self,
        room: &mut Room,
        repairs: &mut usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        if room.is_closed() || room.has_held_asides_enough() {
            self.send_asides(room, send);
        }
        self.send_parts(room, send);
        if self.is_cut_by_budget(room) {
            room.hold_asides();
        } else {
            self.send_asides(room, send);
            self.send_repairs(room, repairs, send);
        }
    }

    fn send_parts(&mut self, room: &mut Room, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        for part in room.next_order() {
            match (part, &mut room.stream) {
                (Part::Each(form), _) => self.send_log(room, form, send),
                (Part::Stream, Some(stream)) => self.send_stream(stream, send),
                (Part::Stream, None) => {}
            }
        }
    }

    fn send_log(
        &mut self,
        room: &mut Room,
        form: Form,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        self.total.withheld += room.each.drop_excess(form, self.now);
        room.each.share_out(form, self.shares);
        let log = room.each.log(form);
        if self.left > 0 && !self.shares.is_empty() {
            let (bytes, entries) = (log.bytes(), log.entries());
            let job = Job { bytes, entries, to: self.shares, is_tagged: false };
            let receipt = send(job, self.left);
            self.account(receipt);
        }
        self.cut[form as usize] = room.each.take_back(form, self.shares);
    }

    fn send_stream(
        &mut self,
        stream: &mut OrderedStream,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        for _ in 0..MAX_GROUPS {
            if !self.has_space_for_train() || !stream.share_out(self.train, self.shares, self.left)
            {
                break;
            }
            let receipt = send(self.train.job(self.shares), self.left);
            self.take_back(stream, is_blocked(receipt, self.left));
            self.account(receipt);
        }
        if self.left > 0 && stream.share_out_tail(self.train, self.shares, self.left) {
            let receipt = send(self.train.job(self.shares), self.left);
            self.account(receipt);
        }
    }

    /// Notes how much of a train was sent. History is charged to the member's own limit.
    fn take_back(&mut self, stream: &mut OrderedStream, is_blocked: bool) {
        let Self { train, shares, members, config, now, .. } = self;
        stream.take_back(train, shares, is_blocked, *now, |id, bytes| {
            if let Some(member) = members.get_mut(id) {
                member.message_budget.take_history(bytes, config, *now);
            }
        });
    }

    /// Returns false if a train would be cut, unless it is the first: members that get parts of
    /// trains cost more, and are at cursors of their own. The room goes on in its next turn.
    fn has_space_for_train(&self) -> bool {
        self.left >= MAX_TRAIN || (self.left > 0 && self.total.sent == 0)
    }

    /// Whether there is a backlog that could be sent, had the turn not ended: members whose socket is
    /// full are nobody's to wait for.
    fn is_cut_by_budget(&self, room: &Room) -> bool {
        let is_log_cut = self.cut != Cut::default() && !self.total.blocked;
        let is_stream_cut =
            self.left < MAX_TRAIN && room.stream.as_ref().is_some_and(|stream| stream.has_output());
        is_log_cut || is_stream_cut
    }

    fn send_asides(&mut self, room: &mut Room, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        if !room.asides.is_empty() {
            room.release_asides();
            self.send_each(&room.asides, self.left, send);
            room.asides.take_back(self.shares, self.pool);
        }
    }

    fn send_repairs(
        &mut self,
        room: &mut Room,
        budget: &mut usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        let Some(stream) = &mut room.stream else { return };
        if !stream.repairs().is_empty() {
            let sent = self.send_each(stream.repairs(), self.left.min(*budget), send);
            *budget -= sent;
            stream.take_back_repairs(self.shares, self.pool);
        }
    }

    /// Sends what has one reader each, at most so many datagrams, and gives how many.
    fn send_each(
        &mut self,
        asides: &UnicastQueue,
        budget: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> usize {
        asides.share_out(self.shares);
        if budget == 0 {
            return 0;
        }
        let receipt = send(asides.job(self.shares), budget);
        self.account(receipt);
        receipt.sent + receipt.dropped
    }

    fn account(&mut self, receipt: Receipt) {
        self.left = self.left.saturating_sub(receipt.sent + receipt.dropped);
        self.total.add(receipt);
    }
}
