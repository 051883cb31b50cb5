//! A turn of delivery: waiting output, handed out in jobs.

use std::time::Instant;

use super::feed::{Feed, Part};
use super::lane::{Lane, Workspace, send_lane};
use super::ordered::{MAX_TRAIN, OrderedStream};
use super::plain::Plain;
use super::{Feeds, Recipient};
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, RoomId};

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
        total.add(self.deliver_farewells(left, now, &mut send));
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
        now: Instant,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let (mut left, mut total) = (budget, Receipt::default());
        while left > 0 && self.farewells.has_output() {
            let receipt = self.farewells.deliver(left, &mut self.work, now, send);
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
                feed.unblock(now);
            }
            self.set_rest_alarm(room);
            self.queue(room);
        }
    }

    /// Delivers again to a carried member that was blocked: the outbox of its connection has space. No
    /// other member is looked at.
    pub fn resume_member(&mut self, to: &Recipient) {
        if to.is_carried
            && let Some(ordered) = self.ordered_mut(to.room)
            && ordered.resume(to.number)
        {
            self.queue(to.room);
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
        if !feed.is_stalled {
            feed.unblock(now);
        }
        let (work, total) = (&mut self.work, Receipt::default());
        let mut turn = Turn { work, now, left: quantum, total, send };
        turn.run(feed, repairs);
        let Turn { left, total, .. } = turn;
        feed.settle(&mut self.work.pool, &mut self.ended_members, now);
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
        let (has_entries, waits) = (feed.has_entries(), feed.is_blocked());
        let is_cut = exhausted || has_entries || feed.holds_unicast();
        let is_stopped = (blocked || waits) && !is_cut;
        // A feed that goes on, because it has output for other sockets, waits for the full sockets
        // all the same: otherwise these would be tried again in each of its turns.
        if (waits || is_stopped) && !feed.is_stalled {
            feed.is_stalled = true;
            self.stalled.push(room);
        }
        if rationed && !exhausted && !has_entries && feed.has_only_repairs() {
            feed.is_ready = true;
            self.schedule.push_rationed(feed.line, room);
        } else if !is_stopped {
            feed.is_ready = true;
            self.schedule.push_backlogged(feed.line, room);
        }
    }
}

/// One feed's turn.
struct Turn<'a, S> {
    work: &'a mut Workspace,
    now: Instant,
    /// Datagrams that may still be sent.
    left: usize,
    total: Receipt,
    send: &'a mut S,
}

impl<S: FnMut(Job<'_>, usize) -> Receipt> Turn<'_, S> {
    /// Sends unicasts behind the entries that were appended before them, unless that takes too long.
    /// The last datagram to anybody is that the room is closed. Repairs go behind all that is new.
    fn run(&mut self, feed: &mut Feed, repairs: &mut usize) {
        if feed.is_closed || feed.has_held_unicast_enough() {
            self.send_unicast(feed);
        }
        for part in feed.next_order() {
            match (part, &mut feed.ordered) {
                (Part::Plain(form), _) => self.send_plain(&mut feed.plain[form as usize]),
                (Part::Ordered, Some(ordered)) => self.send_ordered(ordered),
                (Part::Ordered, None) => {}
            }
        }
        if self.is_cut_by_budget(feed) {
            feed.hold_unicast();
        } else {
            self.send_unicast(feed);
            self.send_repairs(feed, repairs);
        }
    }

    fn send_plain(&mut self, plain: &mut Plain) {
        self.total.withheld += plain.drop_excess(self.now);
        for _ in 0..MAX_GROUPS {
            // The author of a message gets nothing, and neither do members without an address or
            // with a full socket. Their part of the budget goes to those behind them.
            let Some(sent) = self.send(plain, self.left) else { return };
            if !plain.is_cut() || (sent > 0 && self.left < MAX_TRAIN) {
                return;
            }
        }
    }

    fn send_ordered(&mut self, ordered: &mut OrderedStream) {
        let was_blocked = self.total.blocked;
        for _ in 0..MAX_GROUPS {
            if !self.has_space_for_train() || self.send(ordered, self.left).is_none() {
                break;
            }
        }
        self.send(&mut ordered.tail_lane(), self.left);
        // The room waits for full sockets, but not for the full outboxes of carried members.
        self.total.blocked = was_blocked || ordered.is_blocked();
    }

    /// Returns false if a train would be cut, unless it is the first: members that get parts of
    /// trains cost more, and are at cursors of their own. The room goes on in its next turn.
    fn has_space_for_train(&self) -> bool {
        self.left >= MAX_TRAIN || (self.left > 0 && self.total.sent == 0)
    }

    /// Returns true if entries are left that could be sent in a longer turn. Members whose socket is
    /// full do not count: nobody waits for them.
    fn is_cut_by_budget(&self, feed: &Feed) -> bool {
        let has_output = feed.ordered.as_ref().is_some_and(|ordered| ordered.has_output());
        let is_plain_cut = feed.plain.iter().any(Plain::is_cut) && !self.total.blocked;
        is_plain_cut || (self.left < MAX_TRAIN && has_output)
    }

    fn send_unicast(&mut self, feed: &mut Feed) {
        feed.release_unicast();
        self.send(&mut feed.unicast, self.left);
    }

    fn send_repairs(&mut self, feed: &mut Feed, budget: &mut usize) {
        if let Some(ordered) = &mut feed.ordered {
            let budget_of_turn = self.left.min(*budget);
            let sent = self.send(&mut ordered.repair_lane(), budget_of_turn).unwrap_or(0);
            self.total.repairs += sent;
            *budget -= sent;
        }
    }

    /// Sends at most `budget` datagrams of a lane. Returns their number, or `None` if there was
    /// nothing to send.
    fn send(&mut self, lane: &mut impl Lane, budget: usize) -> Option<usize> {
        let receipt = send_lane(lane, self.work, budget, self.now, self.send)?;
        let sent = receipt.sent + receipt.dropped;
        self.left = self.left.saturating_sub(sent);
        self.total.add(receipt);
        Some(sent)
    }
}
