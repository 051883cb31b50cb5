//! A turn of delivery: waiting output, handed out in jobs.

use std::time::Instant;

use super::feed::{Feed, Part};
use super::ordered::{MAX_TRAIN, OrderedStream};
use super::plain::Cut;
use super::unicast::UnicastQueue;
use super::{Feeds, Workspace};
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, RoomId};
use crate::protocol::Form;

/// Limit for the datagrams of one room before the next room has its turn.
const QUANTUM: usize = 512;

/// Repairs get at most this part of a turn's datagrams, and so do farewells: new entries go before
/// lost ones.
const SHARE_OF_REPAIRS: usize = 4;

/// Limit for the groups of members at one cursor that a room's turn serves, each of which costs a
/// look at all members. After their first delivery all members are at the same cursor.
const MAX_GROUPS: usize = 8;

impl Feeds {
    /// Hands waiting output to `send` until `budget` datagrams are sent or nothing is left that
    /// could be. `send` gets a job and the number of datagrams of it to send at most. `charge` gets
    /// the bytes of history that each member was sent.
    ///
    /// Rooms take turns: see `schedule.rs`. A room whose rest waits for a full socket is put aside
    /// until [`Feeds::resume_stalled`]. Farewells to ended members go after the rooms.
    pub fn deliver(
        &mut self,
        budget: usize,
        now: Instant,
        mut send: impl FnMut(Job<'_>, usize) -> Receipt,
        mut charge: impl FnMut(MemberId, usize),
    ) -> Receipt {
        let share = (budget / SHARE_OF_REPAIRS).max(1);
        let kept = if self.farewells.has_output() { share } else { 0 };
        let mut total = self.deliver_rooms(budget - kept, share, now, &mut send);
        let left = budget.saturating_sub(total.sent + total.dropped);
        total.add(self.deliver_farewells(left, &mut send));
        self.work.history.drain(..).for_each(|(member, bytes)| charge(member, bytes));
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
        while left > 0 && self.farewells.has_output() {
            let Workspace { shares, pool, .. } = &mut self.work;
            let receipt = self.farewells.deliver(left, shares, pool, send);
            // Members without an address cost no datagram, but they cost time.
            left = left.saturating_sub((receipt.sent + receipt.dropped).max(1));
            total.add(receipt);
        }
        total
    }

    /// Returns true if [`Feeds::deliver`] would find something to do.
    pub fn has_output(&self) -> bool {
        !self.schedule.is_empty() || self.farewells.has_output()
    }

    /// Returns true if output waits, for its turn or for a socket.
    pub fn has_undelivered(&self) -> bool {
        self.has_output() || !self.stalled.is_empty() || !self.farewells.is_empty()
    }

    /// Puts the feeds that waited for a socket back into the schedule: one is writable again.
    pub fn resume_stalled(&mut self, now: Instant) {
        self.farewells.resume();
        for room in std::mem::take(&mut self.stalled) {
            if let Some(feed) = self.feeds.get_mut(room) {
                feed.is_stalled = false;
                if let Some(ordered) = &mut feed.ordered {
                    ordered.unblock(now);
                }
            }
            self.set_rest_alarm(room);
            self.queue(room);
        }
    }

    fn deliver_room(
        &mut self,
        room: RoomId,
        quantum: usize,
        repairs: &mut usize,
        now: Instant,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let Some(feed) = self.feeds.get_mut(room) else { return Receipt::default() };
        feed.is_ready = false;
        // A feed that does not wait for a socket is not told when one becomes writable.
        if let Some(ordered) = feed.ordered.as_mut().filter(|_| !feed.is_stalled) {
            ordered.unblock(now);
        }
        let (work, total) = (&mut self.work, Receipt::default());
        let mut turn = Turn { work, now, left: quantum, cut: Cut::default(), total };
        turn.run(feed, repairs, send);
        let Turn { left, cut, total, .. } = turn;
        feed.settle(cut, &mut self.work.pool, &mut self.ended_members, now);
        self.memory.recount(feed);
        self.set_tail_alarm(room);
        self.set_rest_alarm(room);
        self.put_back(room, left == 0, total.blocked, *repairs == 0);
        total
    }

    /// Decides where a feed goes after its turn.
    fn put_back(&mut self, room: RoomId, exhausted: bool, blocked: bool, rationed: bool) {
        let Some(feed) = self.feeds.get_mut(room) else { return };
        if feed.is_delivered() {
            return self.end_if_empty(room);
        }
        let has_stream_output = feed.ordered.as_ref().is_some_and(|ordered| ordered.has_output());
        let waits = feed.ordered.as_ref().is_some_and(|ordered| ordered.is_blocked());
        let is_cut = exhausted || has_stream_output || feed.holds_unicast();
        let is_stopped = (blocked || waits) && !is_cut;
        // A feed that goes on, because it has output for other sockets, waits for the full sockets
        // all the same: otherwise these would be tried again in each of its turns.
        if (waits || is_stopped) && !feed.is_stalled {
            feed.is_stalled = true;
            self.stalled.push(room);
        }
        if rationed && !exhausted && !has_stream_output && feed.has_only_repairs() {
            feed.is_ready = true;
            self.schedule.push_rationed(feed.line, room);
        } else if !is_stopped {
            feed.is_ready = true;
            self.schedule.push_backlogged(feed.line, room);
        }
    }
}

/// Returns true if a receipt with so much budget was cut by a full socket, and not by the budget.
fn is_blocked(receipt: Receipt, budget: usize) -> bool {
    receipt.blocked && receipt.sent + receipt.dropped < budget
}

/// One feed's turn.
struct Turn<'a> {
    work: &'a mut Workspace,
    now: Instant,
    /// Datagrams that may still be sent.
    left: usize,
    /// The cursors at which the delivery was cut, by form.
    cut: Cut,
    total: Receipt,
}

impl Turn<'_> {
    /// Unicasts come behind what was said before them, if that does not take for ever; and the last
    /// word of all is that the room is closed. Repairs come behind all that is new.
    fn run(
        &mut self,
        feed: &mut Feed,
        repairs: &mut usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        if feed.is_closed || feed.has_held_unicast_enough() {
            self.send_unicast(feed, send);
        }
        self.send_parts(feed, send);
        if self.is_cut_by_budget(feed) {
            feed.hold_unicast();
        } else {
            self.send_unicast(feed, send);
            self.send_repairs(feed, repairs, send);
        }
    }

    fn send_parts(&mut self, feed: &mut Feed, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        for part in feed.next_order() {
            match (part, &mut feed.ordered) {
                (Part::Plain(form), _) => self.send_log(feed, form, send),
                (Part::Ordered, Some(ordered)) => self.send_stream(ordered, send),
                (Part::Ordered, None) => {}
            }
        }
    }

    fn send_log(
        &mut self,
        feed: &mut Feed,
        form: Form,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        self.total.withheld += feed.plain.drop_excess(form, self.now);
        feed.plain.share_out(form, &mut self.work.shares);
        let log = feed.plain.log(form);
        if self.left > 0 && !self.work.shares.is_empty() {
            let (bytes, entries) = (log.bytes(), log.entries());
            let job = Job { bytes, entries, to: &mut self.work.shares, is_tagged: false };
            let receipt = send(job, self.left);
            self.account(receipt);
        }
        self.cut[form as usize] = feed.plain.take_back(form, &self.work.shares);
    }

    fn send_stream(
        &mut self,
        ordered: &mut OrderedStream,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        for _ in 0..MAX_GROUPS {
            if !self.has_space_for_train() {
                break;
            }
            let Workspace { train, shares, .. } = &mut *self.work;
            if !ordered.share_out(train, shares, self.left) {
                break;
            }
            let receipt = send(train.job(shares), self.left);
            self.take_back(ordered, is_blocked(receipt, self.left));
            self.account(receipt);
        }
        let Workspace { train, shares, .. } = &mut *self.work;
        if self.left > 0 && ordered.share_out_tail(train, shares, self.left) {
            let receipt = send(train.job(shares), self.left);
            self.account(receipt);
        }
    }

    /// Notes how much of a train was sent.
    fn take_back(&mut self, ordered: &mut OrderedStream, is_blocked: bool) {
        let Workspace { train, shares, history, .. } = self.work;
        ordered.take_back(train, shares, is_blocked, self.now, |member, bytes| {
            history.push((member, bytes));
        });
    }

    /// Returns false if a train would be cut, unless it is the first: members that get parts of
    /// trains cost more, and are at cursors of their own. The room goes on in its next turn.
    fn has_space_for_train(&self) -> bool {
        self.left >= MAX_TRAIN || (self.left > 0 && self.total.sent == 0)
    }

    /// Returns true if a backlog is left that could be sent in a longer turn. Members whose socket
    /// is full do not count: nobody waits for them.
    fn is_cut_by_budget(&self, feed: &Feed) -> bool {
        let is_log_cut = self.cut != Cut::default() && !self.total.blocked;
        let is_stream_cut = self.left < MAX_TRAIN
            && feed.ordered.as_ref().is_some_and(|ordered| ordered.has_output());
        is_log_cut || is_stream_cut
    }

    fn send_unicast(&mut self, feed: &mut Feed, send: &mut impl FnMut(Job<'_>, usize) -> Receipt) {
        if !feed.unicast.is_empty() {
            feed.release_unicast();
            self.send_queue(&feed.unicast, self.left, send);
            feed.unicast.take_back(&self.work.shares, &mut self.work.pool);
        }
    }

    fn send_repairs(
        &mut self,
        feed: &mut Feed,
        budget: &mut usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) {
        let Some(ordered) = &mut feed.ordered else { return };
        if !ordered.repairs().is_empty() {
            let sent = self.send_queue(ordered.repairs(), self.left.min(*budget), send);
            *budget -= sent;
            ordered.take_back_repairs(&self.work.shares, &mut self.work.pool);
        }
    }

    /// Sends at most `budget` datagrams of a queue. Returns the number.
    fn send_queue(
        &mut self,
        queue: &UnicastQueue,
        budget: usize,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> usize {
        queue.share_out(&mut self.work.shares);
        if budget == 0 {
            return 0;
        }
        let receipt = send(queue.job(&mut self.work.shares), budget);
        self.account(receipt);
        receipt.sent + receipt.dropped
    }

    fn account(&mut self, receipt: Receipt) {
        self.left = self.left.saturating_sub(receipt.sent + receipt.dropped);
        self.total.add(receipt);
    }
}
