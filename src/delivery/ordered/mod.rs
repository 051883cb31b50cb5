//! Stream delivery: one order of numbered entries for all members of a room that take it.
//!
//! All members get the same bytes. A member that is slow, or whose socket is full, falls behind in
//! the ring and delays nobody; a cursor that has fallen below the ring gets the count of the lost
//! entries. A member asks again for entries that were lost on the way, within its repair budget.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `cursor.rs` | a member's cursor |
//! | `carried.rs` | cursors of carried members |
//! | `turns.rs` | trains of entries, and the order of their receivers |
//! | `tracked.rs`, `positions.rs` | all cursors, and counts of them by state and position |
//! | `credit.rs` | limit for the bytes that a member that catches up gets before it confirms |
//! | `repairs.rs`, `repair_budget.rs` | entries that are sent again, and their limit |
//! | `tail_probe.rs` | announcing the last entry after a room goes quiet |

mod carried;
mod credit;
mod cursor;
mod positions;
mod repair_budget;
mod repairs;
mod tail_probe;
mod tracked;
mod turns;

use std::time::Instant;

use super::cursors::Cursor;
use super::entry_log::Pool;
use super::packing::PacketTrain;
use super::ring::Ring;
use super::unicast::UnicastQueue;
use crate::ids::MemberId;
use crate::protocol::stream::Header;
use crate::protocol::stream::upstream::Range;
use crate::timers::Deadline;

use cursor::{OrderedCursor, Standing};
use repairs::{RepairLane, Repairs};
use tail_probe::{TailLane, TailProbe};
use tracked::TrackedCursors;
use turns::Turns;

pub(super) use turns::MAX_TRAIN;

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

/// The stream of one room, from its first stream member to the end of the room.
#[derive(Debug)]
pub(super) struct OrderedStream {
    /// Identifies this life of the room.
    life: u32,
    pub(super) ring: Ring,
    cursors: TrackedCursors,
    turns: Turns,
    /// Deadline of the next member to wake.
    pub(super) rest: Deadline,
    /// Earliest time at which a member is to be woken.
    wake_at: Option<Instant>,
    pub(super) tail: TailProbe,
    repairs: Repairs,
}

impl OrderedStream {
    pub(super) fn new(life: u32) -> Self {
        Self {
            life,
            ring: Ring::new(),
            cursors: TrackedCursors::default(),
            turns: Turns::default(),
            rest: Deadline::default(),
            wake_at: None,
            tail: TailProbe::default(),
            repairs: Repairs::default(),
        }
    }

    /// Returns the header of a datagram without numbered entries to one member.
    pub(super) fn header(&self, number: u32) -> Header {
        let tag = self.find(number).map_or(0, |cursor| cursor.tag);
        Header { tag, sequence: self.ring.end() }
    }

    // Members.

    /// Adds the cursor of a member, whose number is above all before.
    pub(super) fn seat(&mut self, (member, number): (MemberId, u32), options: &StreamOptions) {
        let end = self.ring.end();
        let first = end.saturating_sub(u64::from(options.history)).max(self.ring.first());
        // A cut message would look like another one.
        let first = self.ring.align(first);
        self.cursors.push(OrderedCursor::new((member, number), options.tag, (first, end)));
    }

    /// Returns the start of a member's stream.
    pub(super) fn start_of(&self, number: u32) -> Option<StreamStart> {
        let cursor = self.find(number)?;
        Some(StreamStart { tag: cursor.tag, life: self.life, first: cursor.first })
    }

    fn find(&self, number: u32) -> Option<&OrderedCursor> {
        self.cursors.find(number)
    }

    /// Returns the live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.cursors.live()
    }

    /// Ends a member: it gets what was appended up to now.
    pub(super) fn end(&mut self, number: u32) {
        self.cursors.end(number, self.ring.end());
    }

    /// Ends all members.
    pub(super) fn end_all(&mut self) {
        self.cursors.end_all(self.ring.end());
    }

    /// Frees the cursor of an ended member that may not ask any more.
    pub(super) fn drop_cursor(&mut self, number: u32) {
        self.cursors.drop(number);
    }

    /// Returns true if no member is left, live or ended.
    pub(super) fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    // Entries.

    /// Returns the first entry that a member that keeps up has still to get, or the end.
    fn unsent(&self) -> u64 {
        let end = self.ring.end();
        self.cursors.positions().lowest().map_or(end, |lowest| lowest.min(end))
    }

    /// Returns the bytes that a member that keeps up has still to get.
    fn waiting_bytes(&self) -> usize {
        self.ring.size(self.unsent().max(self.ring.first()), self.ring.end())
    }

    /// Returns true if an entry of so many bytes needs a larger ring: this one would drop entries for
    /// it, or waiting entries would fill more than half of it.
    pub(super) fn wants_larger_ring(&self, entry: usize) -> bool {
        !self.ring.has_space_for(entry) || !self.has_half_for(entry)
    }

    /// Returns true if waiting entries take half of the ring at most, with one of so many bytes.
    fn has_half_for(&self, entry: usize) -> bool {
        self.waiting_bytes() + entry <= (self.ring.capacity() / 2).max(entry)
    }

    /// Returns true if there is space for a message of so many bytes: it drops no entry that is still
    /// to be sent, and leaves half of the ring for repairs.
    pub(super) fn has_space_for(&self, entry: usize) -> bool {
        self.has_space_for_notice(entry) && self.has_half_for(entry)
    }

    /// Returns true if there is space for a notice, which may use all of the ring.
    pub(super) fn has_space_for_notice(&self, entry: usize) -> bool {
        self.ring.first_after(entry) <= self.unsent().max(self.ring.first())
    }

    /// Appends an entry, or all parts of a message. A message counts in the rhythm of the room.
    pub(super) fn append(&mut self, is_message: bool, entry: &[u8]) {
        if is_message {
            self.tail.note_message();
        }
        self.ring.push_message(entry);
    }

    /// Returns the header of a unicast to one member.
    pub(super) fn unicast_header(&self, number: u32) -> Header {
        // With the end of the ring, a member that catches up would ask for entries not sent yet.
        let late = self.find(number).filter(|cursor| cursor.is_late());
        let sequence = late.map_or(self.ring.end(), |cursor| cursor.next);
        Header { sequence, ..self.header(number) }
    }

    // Reports of members.

    /// Notes that a member's address is proved, or that it is carried now. It gets entries once it is
    /// woken.
    pub(super) fn prove(&mut self, number: u32, is_carried: bool, now: Instant) {
        self.cursors.change(number, self.ring.end(), |cursor| cursor.prove(is_carried, now));
    }

    /// Stops sending to a member until it proves its address again.
    pub(super) fn disprove(&mut self, number: u32, is_carried: bool) {
        self.cursors.change(number, self.ring.end(), |cursor| cursor.disprove(is_carried));
    }

    #[cfg(test)]
    pub(super) fn cursor_capacity(&self) -> usize {
        self.cursors.all().capacity()
    }

    /// Notes that a member has everything below `next`. Returns true if it is to be woken.
    pub(super) fn confirm(&mut self, number: u32, next: u64, now: Instant) -> bool {
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

    /// Checks whether a member confirms what it is sent: see [`OrderedCursor::check_confirmation`].
    pub(super) fn check_confirmation(&mut self, number: u32, now: Instant) {
        let Self { ring, cursors, wake_at, .. } = self;
        cursors.change(number, ring.end(), |cursor| {
            cursor.check_confirmation(now);
            note_earlier(wake_at, cursor.wake_at);
        });
    }

    /// Prepares the answer to a repair request, as far as the member's budget goes.
    pub(super) fn repair(
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

    // Turns.

    /// Returns the answers to repair requests that wait.
    pub(super) fn repairs(&self) -> &UnicastQueue {
        &self.repairs.queue
    }

    /// Returns the lane of these answers.
    pub(super) fn repair_lane(&mut self) -> RepairLane<'_> {
        RepairLane { repairs: &mut self.repairs, cursors: &mut self.cursors }
    }

    /// Returns the lane of the tail probe.
    pub(super) fn tail_lane(&mut self) -> TailLane<'_> {
        TailLane(self)
    }

    /// Returns the time of the next wake-up, if it is before the deadline that is set.
    pub(super) fn rest_due(&self) -> Option<Instant> {
        let alarm = self.rest.at();
        self.wake_at.filter(|at| alarm.is_none_or(|alarm| *at < alarm))
    }

    /// Wakes one member that has proved its port or confirmed something: see [`OrderedCursor::wake`].
    pub(super) fn wake(
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
    pub(super) fn wake_all(
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

    /// Notes that the sockets that were full are writable again.
    pub(super) fn unblock(&mut self, now: Instant) {
        if self.is_blocked() {
            let Self { ring, cursors, wake_at, .. } = self;
            cursors.change_all(ring.end(), |cursor| {
                cursor.unblock(now);
                note_earlier(wake_at, cursor.wake_at);
            });
        }
    }

    /// Ends a turn: frees the cursors of ended members that have got everything, except in a closed
    /// room, whose members may still ask. Notes when everybody who keeps up has everything.
    pub(super) fn settle(&mut self, is_closed: bool, now: Instant) {
        if !is_closed {
            self.cursors.free_finished();
        }
        let end = self.ring.end();
        if self.unsent() == end {
            self.tail.note_delivered(end, now);
        }
    }

    /// Returns true if there is output, except repairs, that could be sent at once.
    pub(super) fn has_output(&self) -> bool {
        self.unsent() < self.ring.end()
            || self.cursors.positions().has_behind()
            || self.tail.is_under_way()
    }

    /// Returns true if all output is delivered, as far as members can be reached.
    pub(super) fn is_delivered(&self) -> bool {
        !self.has_output() && !self.is_blocked() && self.repairs.queue.is_empty()
    }

    /// Returns true if a member waits for a full socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.cursors.positions().has_blocked()
    }

    /// Drops all waiting entries. Returns the number of deliveries that were dropped at most.
    pub(super) fn abandon(&mut self) -> usize {
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
}

/// Replaces `time` by `other` if that is earlier.
fn note_earlier(time: &mut Option<Instant>, other: Option<Instant>) {
    *time = [*time, other].into_iter().flatten().min();
}
