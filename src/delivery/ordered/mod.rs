//! A room's stream: one order of entries for all who take it, each with a cursor of its own.
//!
//! Everyone gets the same bytes. A member that is slow, or whose socket is full, falls behind in the
//! ring and holds up nobody; a cursor that has fallen below the ring is told how much is gone. What
//! a member has lost on the way it asks for again, within its ration.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `ring.rs` | the last entries |
//! | `packing.rs` | entries packed into datagrams |
//! | `cursor.rs`, `cursors.rs` | a member's cursor; all of them |
//! | `positions.rs` | how many cursors stand where |
//! | `credit.rs` | limit for what a member that catches up gets before it confirms |
//! | `repairs.rs`, `repair_budget.rs` | what is sent again, and how much of it |
//! | `tail_probe.rs` | telling a room that fell silent what came last |

mod credit;
mod cursor;
mod cursors;
mod packing;
mod positions;
mod repair_budget;
mod repairs;
mod ring;
mod tail_probe;

use std::ops::ControlFlow;
use std::time::Instant;

use super::entry_log::Pool;
use super::unicast::UnicastQueue;
use crate::fanout::Share;
use crate::ids::MemberId;
use crate::protocol::stream::Header;
use crate::protocol::stream::upstream::Range;

pub(crate) use cursor::Cursor;
use cursor::{Place, Standing};
use cursors::Cursors;
pub(crate) use packing::PacketTrain;
use repairs::Repairs;
pub(crate) use ring::{FIRST_CAPACITY, Ring};
pub(crate) use tail_probe::TailProbe;

/// The most datagrams that a member gets before those at other cursors have their turn: as many as
/// the kernel cuts one message into.
pub(crate) const MAX_TRAIN: usize = 64;

/// Limit for a member that is behind: some 40 KB.
const MAX_LATE_TRAIN: usize = 32;

/// Placeholder for the tag in datagrams for many members: the sender writes the tag of each member.
const UNTAGGED: u32 = 0;

/// Options of a new member's stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamOptions {
    /// First bytes of each datagram to the member.
    pub tag: u32,
    /// Identifies this life of the room, if its stream begins with this member.
    pub life: u32,
    /// Number of earlier entries that the member gets, as far as they are kept.
    pub history: u32,
}

/// The start of a member's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// First bytes of each datagram to the member.
    pub tag: u32,
    /// Identifies this life of the room.
    pub life: u32,
    /// Number of the first entry that the member gets.
    pub first: u64,
}

/// The stream of one room, from its first stream member to the room's end.
#[derive(Debug)]
pub(crate) struct OrderedStream {
    /// Identifies this life of the room.
    pub(crate) life: u32,
    pub(crate) ring: Ring,
    cursors: Cursors,
    turns: Turns,
    /// The room's entry in the timers, for the next member to wake.
    pub(crate) rest_alarm: Option<Instant>,
    /// Earliest time at which a member is to be woken.
    wake_at: Option<Instant>,
    pub(crate) tail: TailProbe,
    repairs: Repairs,
}

/// The order in which members are sent to. Those that keep up and those that are behind take turns,
/// so that neither wait for the other.
#[derive(Debug, Default)]
struct Turns {
    is_of_late: bool,
    /// The number of the cursor to begin with, of those that keep up: after the last one that was
    /// sent to.
    current: u32,
    /// The number of the cursor to begin with, of those that are behind.
    late: u32,
}

impl Turns {
    fn first(&mut self) -> &mut u32 {
        if self.is_of_late { &mut self.late } else { &mut self.current }
    }
}

impl OrderedStream {
    pub(crate) fn new(life: u32) -> Self {
        Self {
            life,
            ring: Ring::new(),
            cursors: Cursors::default(),
            turns: Turns::default(),
            rest_alarm: None,
            wake_at: None,
            tail: TailProbe::default(),
            repairs: Repairs::default(),
        }
    }

    /// Returns the header of a datagram without numbered entries to one member.
    pub(crate) fn header(&self, number: u32) -> Header {
        let tag = self.find(number).map_or(0, |cursor| cursor.tag);
        Header { tag, sequence: self.ring.end() }
    }

    // Who is in it.

    /// Adds the cursor of a member, whose number is above all before.
    pub(crate) fn seat(
        &mut self,
        (member, number): (MemberId, u32),
        options: &StreamOptions,
        now: Instant,
    ) {
        let end = self.ring.end();
        let first = end.saturating_sub(u64::from(options.history)).max(self.ring.first());
        // A cut message would look like another one.
        let first = self.ring.align(first);
        self.cursors.push(Cursor::new((member, number), options.tag, (first, end), now));
    }

    /// Returns the start of a member's stream.
    pub(crate) fn start_of(&self, number: u32) -> Option<StreamStart> {
        let cursor = self.find(number)?;
        Some(StreamStart { tag: cursor.tag, life: self.life, first: cursor.first })
    }

    fn find(&self, number: u32) -> Option<&Cursor> {
        self.cursors.find(number)
    }

    /// Live members with their numbers, in the order of joining.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.cursors.live()
    }

    /// Ends a member: it gets what was appended up to now.
    pub(crate) fn end(&mut self, number: u32) {
        self.cursors.end(number, self.ring.end());
    }

    pub(crate) fn end_all(&mut self) {
        self.cursors.end_all(self.ring.end());
    }

    /// Frees the cursor of a member that ended and may not ask any more.
    pub(crate) fn drop_cursor(&mut self, number: u32) {
        self.cursors.drop(number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    // What is said.

    /// Returns the number from which on entries are still to be sent to a member that keeps up.
    fn unsent(&self) -> u64 {
        let end = self.ring.end();
        self.cursors.positions().lowest().map_or(end, |lowest| lowest.min(end))
    }

    /// Bytes that are still to be sent to somebody who could be sent to.
    fn waiting_bytes(&self) -> usize {
        self.ring.size(self.unsent().max(self.ring.first()), self.ring.end())
    }

    /// Whether a larger ring would serve an entry of so many bytes: this one would push something
    /// out for it, or has no half free of what is still to be sent.
    pub(crate) fn wants_larger_ring(&self, entry: usize) -> bool {
        !self.ring.has_space_for(entry) || !self.has_half_for(entry)
    }

    /// Whether what is to be sent takes half of the ring at most, with an entry of so many bytes.
    fn has_half_for(&self, entry: usize) -> bool {
        self.waiting_bytes() + entry <= (self.ring.capacity() / 2).max(entry)
    }

    /// Whether an entry of so many bytes can be taken: it pushes nothing out that is still to be
    /// sent, and half of the ring stays for what was lost on the way.
    pub(crate) fn has_space_for(&self, entry: usize) -> bool {
        self.has_space_for_notice(entry) && self.has_half_for(entry)
    }

    /// The same for a notice, which has all of the ring.
    pub(crate) fn has_space_for_notice(&self, entry: usize) -> bool {
        self.ring.first_after(entry) <= self.unsent().max(self.ring.first())
    }

    /// Appends an entry, or all parts of a message. A message counts in the rhythm of the room.
    pub(crate) fn append(&mut self, is_message: bool, entry: &[u8]) {
        if is_message {
            self.tail.note_message();
        }
        self.ring.push_message(entry);
    }

    /// Returns the header of a unicast to one member.
    pub(crate) fn unicast_header(&self, number: u32) -> Header {
        // With the end of the ring, a member that catches up would ask for entries not sent yet.
        let late = self.find(number).filter(|cursor| cursor.is_late());
        let sequence = late.map_or(self.ring.end(), |cursor| cursor.next);
        Header { sequence, ..self.header(number) }
    }

    // What a member says of it.

    /// Notes that a member's port is proved. It is sent to once it is woken.
    pub(crate) fn prove(&mut self, number: u32, now: Instant) {
        self.cursors.change(number, self.ring.end(), |cursor| cursor.prove(now));
    }

    /// Nothing is sent to a member until it proves its port again.
    pub(crate) fn disprove(&mut self, number: u32) {
        self.cursors.change(number, self.ring.end(), Cursor::disprove);
    }

    /// How many members it has memory for.
    #[cfg(test)]
    pub(crate) fn cursor_capacity(&self) -> usize {
        self.cursors.capacity()
    }

    /// Notes that a member has everything below `next`. Returns true if it is to be woken.
    pub(crate) fn confirm(&mut self, number: u32, next: u64, now: Instant) -> bool {
        let Self { ring, cursors, .. } = self;
        let mut is_woken = false;
        cursors.change(number, ring.end(), |cursor| {
            let next = next.min(cursor.limit(ring.end()));
            let before = cursor.have.max(ring.first());
            let bytes = ring.size(before, before.max(next.min(cursor.next)));
            is_woken = cursor.confirm(next, bytes, now);
        });
        is_woken
    }

    /// Checks whether a member confirms what it is sent: see [`Cursor::check_confirmation`].
    pub(crate) fn check_confirmation(&mut self, number: u32, now: Instant) {
        let Self { ring, cursors, wake_at, .. } = self;
        cursors.change(number, ring.end(), |cursor| {
            cursor.check_confirmation(now);
            note_earlier(wake_at, cursor.wake_at);
        });
    }

    /// Prepares the answer to a repair request, as far as the member's ration goes.
    pub(crate) fn repair(
        &mut self,
        number: u32,
        ranges: impl Iterator<Item = Range>,
        train: &mut PacketTrain,
        pool: &mut Pool,
        now: Instant,
    ) {
        let Self { ring, cursors, repairs, .. } = self;
        let Some(cursor) = cursors.find_mut(number) else { return };
        repairs.prepare(cursor, ranges, ring, train, pool, now);
    }

    // What is to be sent.

    /// Packs what waits at one cursor, and collects those whose cursor stands where one of its
    /// datagrams begins, until they get `max` datagrams together. Returns whether there is
    /// anything.
    ///
    /// Of those that keep up, the lowest cursor goes first: they stay together, so that one train
    /// serves all, and nobody holds up the ring.
    pub(crate) fn share_out(
        &mut self,
        train: &mut PacketTrain,
        shares: &mut Vec<Share>,
        max: usize,
    ) -> bool {
        shares.clear();
        let end = self.ring.end();
        let has_current = self.unsent() < end;
        let has_late = self.cursors.positions().has_behind();
        self.turns.is_of_late = has_late && !(self.turns.is_of_late && has_current);
        let place = match (self.turns.is_of_late, self.cursors.positions().lowest()) {
            (true, _) => Place::Behind,
            (false, Some(lowest)) if has_current => Place::Current(lowest),
            (false, _) => return false,
        };
        let first = *self.turns.first();
        let leader = self.cursors.in_turn(first).find(|cursor| cursor.place() == place);
        let Some(leader) = leader else { return false };
        let (next, limit, budget) = (leader.next, leader.limit(end), leader.budget());
        match place {
            Place::Behind => {
                let bytes = budget;
                train.pack_late(&self.ring, UNTAGGED, (next, limit), (MAX_LATE_TRAIN, bytes));
            }
            _ => train.pack(&self.ring, UNTAGGED, (next, limit), MAX_TRAIN),
        }
        self.collect_group(train, shares, (place, limit), max);
        true
    }

    /// Collects the cursors in one state that a train serves, up to the same `limit`.
    fn collect_group(
        &mut self,
        train: &PacketTrain,
        shares: &mut Vec<Share>,
        (place, limit): (Place, u64),
        max: usize,
    ) {
        let (first, until, end) = (*self.turns.first(), train.len(), self.ring.end());
        // When a train is cut at its length, the rest is short for cursors in its second half. These
        // get a train of their own.
        let is_served = |next: u64| {
            let index = train.index(next)?;
            (index <= until / 2 || train.number(until) == limit).then_some(index)
        };
        let range = train.number(0)..train.number(until);
        let mut expected = match place {
            Place::Current(_) => {
                self.cursors.positions().count(range, |next| is_served(next).is_some())
            }
            _ => usize::MAX,
        };
        let mut left = max;
        for cursor in self.cursors.in_turn(first) {
            if expected == 0 {
                return;
            }
            if cursor.place().is_like(place)
                && cursor.limit(end) == limit
                && let Some(next) = is_served(cursor.next)
                && (place != Place::Behind || train.size(next, until) <= cursor.budget())
            {
                let datagrams = (until - next) as usize;
                if datagrams > left && !shares.is_empty() {
                    return;
                }
                shares.push(cursor.share(next, until));
                left = left.saturating_sub(datagrams);
                expected -= 1;
            }
        }
    }

    /// Takes back what [`OrderedStream::share_out`] gave, moved on as far as it was sent. With `is_blocked`
    /// those that were not sent to wait for a socket. `charge` gets the bytes of history that a
    /// member was sent.
    pub(crate) fn take_back(
        &mut self,
        train: &PacketTrain,
        shares: &[Share],
        is_blocked: bool,
        now: Instant,
        mut charge: impl FnMut(MemberId, usize),
    ) {
        let mut shares = shares.iter().peekable();
        let Self { ring, cursors, turns, wake_at, .. } = self;
        let first = turns.first();
        let mut next_first = *first;
        cursors.change_in_turn(*first, ring.end(), |cursor| {
            let Some(share) = shares.next_if(|share| share.member == cursor.member) else {
                return ControlFlow::Continue(());
            };
            let is_done = share.next == share.until;
            let sent = train.index(cursor.next).map_or(0, |index| train.size(index, share.next));
            let history = cursor.advance(train.number(share.next), sent, is_done, now);
            if history > 0 {
                charge(cursor.member, history);
            }
            if is_done {
                // After the highest number the turn goes back to the lowest.
                next_first = cursor.number.wrapping_add(1);
            } else {
                cursor.is_blocked = is_blocked;
            }
            note_earlier(wake_at, cursor.wake_at);
            match shares.peek() {
                Some(_) => ControlFlow::Continue(()),
                None => ControlFlow::Break(()),
            }
        });
        *first = next_first;
    }

    /// ReplyBudget to repair requests that wait.
    pub(crate) fn repairs(&self) -> &UnicastQueue {
        self.repairs.asides()
    }

    /// Forgets the repairs that were sent.
    pub(crate) fn take_back_repairs(&mut self, shares: &[Share], pool: &mut Pool) {
        self.repairs.take_back(shares, &mut self.cursors, pool);
    }

    /// Returns the time of the next wake-up, if it is before the alarm.
    pub(crate) fn rest_due(&self) -> Option<Instant> {
        let alarm = self.rest_alarm;
        self.wake_at.filter(|at| alarm.is_none_or(|alarm| *at < alarm))
    }

    /// Wakes one member that has proved its port or confirmed something: see [`Cursor::wake`].
    pub(crate) fn wake(
        &mut self,
        number: u32,
        now: Instant,
        mut pay: impl FnMut(MemberId, usize) -> bool,
    ) {
        let Self { ring, cursors, wake_at, .. } = self;
        cursors.change(number, ring.end(), |cursor| {
            cursor.wake(ring, now, &mut pay);
            note_earlier(wake_at, cursor.wake_at);
        });
    }

    /// Wakes all members whose time has come, and calls `ask` with the header of a question for
    /// each that has to confirm.
    pub(crate) fn wake_all(
        &mut self,
        now: Instant,
        mut pay: impl FnMut(MemberId, usize) -> bool,
        mut ask: impl FnMut(MemberId, Header),
    ) {
        self.wake_at = None;
        let Self { ring, cursors, wake_at, .. } = self;
        if !cursors.positions().has_resting() {
            return;
        }
        cursors.change_all(ring.end(), |cursor| {
            if cursor.wake(ring, now, &mut pay) {
                ask(cursor.member, Header { tag: cursor.tag, sequence: cursor.next });
            }
            note_earlier(wake_at, cursor.wake_at);
        });
    }

    /// The sockets that were full are so no more.
    pub(crate) fn unblock(&mut self, now: Instant) {
        if self.is_blocked() {
            let Self { ring, cursors, wake_at, .. } = self;
            cursors.change_all(ring.end(), |cursor| {
                cursor.unblock(now);
                note_earlier(wake_at, cursor.wake_at);
            });
        }
    }

    /// After a delivery: frees the cursors of those that ended and got everything, except in a closed
    /// room, whose members may still ask, and notes when everyone who keeps up has everything.
    pub(crate) fn settle(&mut self, is_closed: bool, now: Instant) {
        if !is_closed {
            self.cursors.free_finished();
        }
        let end = self.ring.end();
        if self.unsent() == end {
            self.tail.note_delivered(end, now);
        }
    }

    /// Whether there is something that could be sent at once, but for repairs.
    pub(crate) fn has_output(&self) -> bool {
        self.unsent() < self.ring.end()
            || self.cursors.positions().has_behind()
            || self.tail.is_under_way()
    }

    /// Whether everything is delivered that could be, and no repair waits.
    pub(crate) fn is_delivered(&self) -> bool {
        !self.has_output() && !self.is_blocked() && self.repairs.asides().is_empty()
    }

    /// Whether something waits for a socket.
    pub(crate) fn is_blocked(&self) -> bool {
        self.cursors.positions().has_blocked()
    }

    /// Passes over everything that waits; gives how many entries that are at most.
    pub(crate) fn abandon_backlog(&mut self) -> usize {
        let end = self.ring.end();
        let mut abandoned = 0;
        self.cursors.change_all(end, |cursor| {
            if cursor.is_live() && cursor.standing != Standing::Unproved {
                abandoned += (end - cursor.next) as usize;
                cursor.next = end;
            }
        });
        abandoned
    }

    /// Collects at most `max` members that have not confirmed the last entry, and packs the datagram
    /// that tells them of it. Gives whether a round is under way.
    pub(crate) fn share_out_tail(
        &mut self,
        train: &mut PacketTrain,
        shares: &mut Vec<Share>,
        max: usize,
    ) -> bool {
        shares.clear();
        let Some(start) = self.tail.round() else { return false };
        let end = self.ring.end();
        train.pack_sequence(UNTAGGED, end);
        let mut next = None;
        for cursor in self.cursors.starting_at(start) {
            if shares.len() == max {
                next = Some(cursor.number);
                break;
            }
            if cursor.is_live() && cursor.is_at(end) && cursor.have < end {
                shares.push(cursor.share(0, 1));
            }
        }
        self.tail.set_round(next);
        true
    }
}

/// Replaces `time` by `other` if that is earlier.
fn note_earlier(time: &mut Option<Instant>, other: Option<Instant>) {
    *time = [*time, other].into_iter().flatten().min();
}
