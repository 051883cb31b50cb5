//! Plain delivery: the members of a room that get a datagram for each entry, all in one form.
//!
//! Entries wait in a log, encoded once. Each member has a cursor in it, and an entry is forgotten
//! as soon as everybody has it.

use std::mem;
use std::time::{Duration, Instant};

use super::cursors::{Cursor, Cursors};
use super::entry_log::{EntryLog, Pool};
use super::lane::{Lane, Outcome, Workspace};
use crate::fanout::{Audience, HEADERS, Job, NO_TAG, Share};
use crate::ids::MemberId;
use crate::token_bucket::{TokenBucket, time_for};

/// Rate of a silent member, in bytes a second with IP and UDP headers.
const SILENT_RATE: u64 = 16 * 1024;

/// Time in which the bucket of a silent member fills.
const SILENT_DEPTH: Duration = Duration::from_secs(1);

/// A member's cursor in the log.
#[derive(Debug)]
struct PlainCursor {
    member: MemberId,
    number: u32,
    /// The number of the next entry to send.
    next: u64,
    /// The number after the last entry to send, once the member has ended.
    until: Option<u64>,
    /// Its limit while it is silent.
    limit: Option<Box<Limit>>,
    /// True if it waits for a full socket.
    is_blocked: bool,
}

/// The limit of a silent member.
#[derive(Debug, Default)]
struct Limit {
    bucket: TokenBucket,
    /// Entries below this number are paid for or were dropped.
    paid: u64,
}

impl Limit {
    /// Pays for an entry of `size` bytes. Returns false if the bucket does not have as many.
    fn pay(&mut self, size: usize, now: Instant) -> bool {
        let cost = time_for((size + HEADERS) as u64, SILENT_RATE);
        self.bucket.try_take(cost, SILENT_DEPTH, now)
    }
}

impl Cursor for PlainCursor {
    fn member(&self) -> MemberId {
        self.member
    }

    fn number(&self) -> u32 {
        self.number
    }

    fn is_live(&self) -> bool {
        self.until.is_none()
    }
}

impl PlainCursor {
    /// Returns the first entry to send and the one after the last, unless there is none.
    fn waiting(&self, log: &EntryLog) -> Option<(u64, u64)> {
        let until = self.until.unwrap_or(log.end());
        (self.next < until).then_some((self.next, until))
    }

    /// Returns the entries that may be sent now.
    fn sendable(&self, log: &EntryLog) -> Option<(u64, u64)> {
        let (next, until) = self.waiting(log).filter(|_| !self.is_blocked)?;
        let until = self.limit.as_ref().map_or(until, |limit| limit.paid.min(until));
        (next < until).then_some((next, until))
    }

    /// Pays for waiting entries as far as the limit goes, and drops entries in front that exceed it.
    /// Returns the number of dropped entries.
    fn drop_excess(&mut self, log: &EntryLog, now: Instant) -> usize {
        let Some((first, until)) = self.waiting(log) else { return 0 };
        let Some(limit) = &mut self.limit else { return 0 };
        limit.paid = limit.paid.max(first);
        while limit.paid < until {
            if limit.pay(log.size(limit.paid), now) {
                limit.paid += 1;
            } else if limit.paid == self.next {
                limit.paid += 1;
                self.next += 1;
            } else {
                break;
            }
        }
        (self.next - first) as usize
    }

    fn is_finished(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }
}

/// The members in one form, and the entries that wait for them.
#[derive(Debug, Default)]
pub(super) struct Plain {
    cursors: Cursors<PlainCursor>,
    log: EntryLog,
    /// Number of cursors with a limit.
    limited: usize,
    /// Number of cursors that wait for a full socket.
    blocked: usize,
    /// The cursor at which the last turn was cut: the next one begins there, so that members behind
    /// it get their turn.
    rest: Option<u32>,
}

impl Plain {
    // Members.

    /// Adds a member, whose number is above all earlier ones. It gets what is appended from now on.
    pub(super) fn seat(&mut self, member: MemberId, number: u32) {
        let next = self.log.end();
        let (until, limit, is_blocked) = (None, None, false);
        self.cursors.push(PlainCursor { member, number, next, until, limit, is_blocked });
    }

    /// Ends a member: it gets what was appended up to now.
    pub(super) fn end(&mut self, number: u32) {
        if let Some(index) = self.cursors.index(number) {
            self.end_at(index);
        }
    }

    /// Ends all members.
    pub(super) fn end_all(&mut self) {
        (0..self.cursors.len()).for_each(|index| self.end_at(index));
    }

    fn end_at(&mut self, index: usize) {
        let cursor = self.cursors.get_mut(index);
        if cursor.is_live() {
            cursor.until = Some(self.log.end());
            self.limited -= usize::from(cursor.limit.take().is_some());
            self.cursors.note_ended(1);
        }
    }

    /// Limits a silent member: it gets a few bytes a second, and the rest is dropped.
    pub(super) fn limit(&mut self, number: u32) {
        let Some(index) = self.cursors.index(number) else { return };
        let cursor = self.cursors.get_mut(index);
        if cursor.is_live() && cursor.limit.is_none() {
            cursor.limit = Some(Box::default());
            self.limited += 1;
        }
    }

    /// Ends the limit of a member.
    pub(super) fn end_limit(&mut self, number: u32) {
        if let Some(index) = self.cursors.index(number) {
            let limit = self.cursors.get_mut(index).limit.take();
            self.limited -= usize::from(limit.is_some());
        }
    }

    /// Notes that a member's address is lost: nothing waits for its socket any more.
    pub(super) fn disprove(&mut self, number: u32) {
        if let Some(index) = self.cursors.index(number) {
            let was_blocked = mem::take(&mut self.cursors.get_mut(index).is_blocked);
            self.blocked -= usize::from(was_blocked);
        }
    }

    /// Returns true if a member still has a cursor, live or not.
    pub(super) fn has_cursor(&self, number: u32) -> bool {
        self.cursors.index(number).is_some()
    }

    /// Returns the live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.cursors.live()
    }

    /// Returns true if no member is left, live or not.
    pub(super) fn is_empty(&self) -> bool {
        self.cursors.len() == 0
    }

    #[cfg(test)]
    pub(super) fn cursor_capacity(&self) -> usize {
        self.cursors.capacity()
    }

    // Entries.

    /// Returns the bytes that somebody has still to get.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.log.waiting_bytes()
    }

    /// Returns the bytes of memory in use for entries.
    pub(super) fn held_bytes(&self) -> usize {
        self.log.held_bytes()
    }

    /// Appends an entry that `encode` writes, unless nobody is there to get it.
    pub(super) fn append(
        &mut self,
        audience: Audience,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.cursors.has_live() {
            self.log.push(audience, pool, encode);
        }
    }

    /// Drops all waiting entries. Returns the number of deliveries that were dropped at most.
    pub(super) fn abandon(&mut self) -> usize {
        let mut abandoned = 0;
        for cursor in self.cursors.iter_mut() {
            if let Some((next, until)) = cursor.waiting(&self.log) {
                abandoned += (until - next) as usize;
                cursor.next = until;
            }
        }
        self.unblock();
        self.rest = None;
        abandoned
    }

    // Turns.

    /// Drops entries that exceed the limits of silent members. Returns the number of deliveries.
    pub(super) fn drop_excess(&mut self, now: Instant) -> usize {
        if self.limited == 0 {
            return 0;
        }
        let log = &self.log;
        self.cursors.iter_mut().map(|cursor| cursor.drop_excess(log, now)).sum()
    }

    /// Returns true if the last turn was cut by its budget.
    pub(super) fn is_cut(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns true if a member waits for a full socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// Notes that the sockets that were full are writable again.
    pub(super) fn unblock(&mut self) {
        if mem::take(&mut self.blocked) > 0 {
            self.cursors.iter_mut().for_each(|cursor| cursor.is_blocked = false);
        }
    }

    /// Frees the cursors of ended members that have got everything, and lists these members.
    pub(super) fn collect_finished(&mut self, ended: &mut Vec<MemberId>) {
        if self.cursors.ended() == 0 {
            return;
        }
        self.cursors.retain(|cursor| {
            let is_finished = cursor.is_finished();
            if is_finished {
                ended.push(cursor.member);
            }
            !is_finished
        });
    }

    /// Forgets the entries that everybody has got.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        if self.log.is_empty() {
            return;
        }
        // Members are only walked if some of them still wait.
        let is_behind = self.is_cut() || self.is_blocked() || self.limited > 0;
        let behind = self.cursors.iter().filter(|_| is_behind);
        let lowest = behind.filter_map(|cursor| cursor.waiting(&self.log)).map(|(next, _)| next);
        if let Some(buffers) = self.log.forget_before(lowest.min().unwrap_or(self.log.end())) {
            pool.give_back(buffers);
        }
    }

    /// Returns true if all output is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.cursors.ended() == 0 && self.log.is_empty()
    }
}

impl Lane for Plain {
    /// Begins where the last turn was cut.
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool {
        work.shares.clear();
        let first = self.rest.take().unwrap_or(0);
        if self.log.is_empty() {
            return false;
        }
        let mut left = max;
        for (index, cursor) in self.cursors.in_turn(first) {
            let Some((next, until)) = cursor.sendable(&self.log) else { continue };
            if left == 0 {
                self.rest = Some(cursor.number);
                break;
            }
            left = left.saturating_sub((until - next) as usize);
            let [next, until] = [next, until].map(|number| self.log.index(number));
            // A log with as many members as an index can count does not fit into memory.
            let (member, index) = (cursor.member, index as u32);
            work.shares.push(Share { member, cursor: index, next, until, tag: NO_TAG });
        }
        !work.shares.is_empty()
    }

    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a> {
        self.log.job(&mut work.shares)
    }

    fn take_back(&mut self, work: &mut Workspace, outcome: Outcome) {
        let mut cut = None;
        for share in &work.shares {
            let cursor = self.cursors.get_mut(share.cursor as usize);
            cursor.next = self.log.number(share.next);
            if share.next == share.until {
                continue;
            }
            if outcome.is_blocked {
                cursor.is_blocked = true;
                self.blocked += 1;
            } else {
                cut.get_or_insert(cursor.number);
            }
        }
        self.rest = cut.or(self.rest);
    }
}
