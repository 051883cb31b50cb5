//! A stream member's cursor in the ring, and the entries that it has confirmed.

use std::mem;
use std::time::{Duration, Instant};

use super::credit::{Credit, LEAST};
use super::repair_budget::RepairBudget;
use crate::delivery::cursors::Cursor;
use crate::delivery::ring::Ring;
use crate::fanout::Share;
use crate::ids::MemberId;

/// The end of the entries of a live member.
const FOREVER: u64 = u64::MAX;

/// Pause between two trains to a member that catches up. With trains of 40 KB that is some 40 MB a
/// second. Without a pause the receiver's socket, 208 KiB by default on Linux, would overflow.
const REST: Duration = Duration::from_millis(1);

/// Delay of history after a limit was reached.
const PUT_OFF: Duration = Duration::from_millis(100);

/// First and longest interval between questions to a member whose credit is used up.
const FIRST_ASK: Duration = Duration::from_millis(250);
const LAST_ASK: Duration = Duration::from_secs(16);

/// Limit for the `have`s that a member misses in a row while it has not confirmed all that it was
/// sent.
const MOST_MISSED: u8 = 3;

/// Limit for the bytes of history charged at once: a train.
const PAID_AT_ONCE: usize = 40_000;

/// The relation of a member to new entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No datagram has proved its address: nothing is sent to it.
    Unproved,
    /// It gets new entries at once. The ring keeps the entries that it has still to get.
    Current,
    /// It joined late, or its socket was full: it gets a train at a time until it is current, and
    /// delays nobody meanwhile.
    Behind,
    /// It is behind, has just got a train, and gets the next after a pause.
    Resting,
    /// It is behind and its credit is used up: it gets only questions until it confirms.
    Spent,
    /// It has missed several `have`s in a row: it gets only questions until one comes.
    Unresponsive,
    /// It may not ask for repairs any more: the cursor is to be freed.
    Dropped,
}

/// The state of a cursor, by which cursors are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It gets entries as they are appended, from this cursor on.
    Current(u64),
    /// It catches up, and can be sent to now.
    Behind,
    /// It catches up, and pauses or has to confirm.
    Resting,
    /// Its socket is full.
    Blocked,
    /// The outbox of its connection is full.
    Full,
    /// It has ended and got everything, or can't be sent to any more: it can be freed.
    Finished,
    /// It can't be sent to yet.
    OutOfReach,
}

impl Place {
    /// Returns true if both are in one state, perhaps at different positions.
    pub(super) fn is_like(self, other: Self) -> bool {
        mem::discriminant(&self) == mem::discriminant(&other)
    }
}

/// A cursor in a stream.
#[derive(Debug)]
pub(super) struct OrderedCursor {
    pub(super) member: MemberId,
    /// The member's number in the room.
    pub(super) number: u32,
    /// First bytes of each datagram to the member.
    pub(super) tag: u32,
    /// The number of the first entry that it gets.
    pub(super) first: u64,
    /// The number of the next entry to send.
    pub(super) next: u64,
    /// The member has confirmed everything below this number.
    pub(super) have: u64,
    until: u64,
    pub(super) repair_budget: RepairBudget,
    pub(super) standing: Standing,
    credit: Credit,
    /// Entries below this number are history: they are from before its join, or were sent on an
    /// earlier path.
    pub(super) history_until: u64,
    /// Bytes of history charged to the limits and not sent yet.
    paid: usize,
    /// Time at which its pause is over or it is asked again.
    pub(super) wake_at: Option<Instant>,
    /// Checks since its last `have` at which it had not confirmed all that it was sent.
    missed: u8,
    /// Interval before the next question.
    ask_after: Duration,
    /// True if it waits for a full socket.
    pub(super) is_blocked: bool,
    /// True if the answer to its last repair request is still to be sent.
    pub(super) is_in_repair: bool,
    /// True if its member is carried: see `carried.rs`.
    pub(super) is_carried: bool,
}

impl Cursor for OrderedCursor {
    fn member(&self) -> MemberId {
        self.member
    }

    fn number(&self) -> u32 {
        self.number
    }

    fn is_live(&self) -> bool {
        self.until == FOREVER
    }
}

impl OrderedCursor {
    /// Returns the cursor of a member that joins when the ring ends at `end`, and may see entries
    /// from `first` on.
    pub(super) fn new(
        (member, number): (MemberId, u32),
        tag: u32,
        (first, end): (u64, u64),
    ) -> Self {
        Self {
            member,
            number,
            tag,
            first,
            next: first,
            have: first,
            until: FOREVER,
            repair_budget: RepairBudget::default(),
            standing: Standing::Unproved,
            credit: Credit::new(),
            history_until: end,
            paid: 0,
            wake_at: None,
            missed: 0,
            ask_after: FIRST_ASK,
            is_blocked: false,
            is_in_repair: false,
            is_carried: false,
        }
    }

    /// Returns a share of a train for the cursor with this index: the datagrams from `next` to
    /// before `until`.
    pub(super) fn share(&self, index: usize, next: u32, until: u32) -> Share {
        // A room with as many members as an index can count does not fit into memory.
        let cursor = index as u32;
        Share { member: self.member, cursor, next, until, tag: self.tag.to_be_bytes() }
    }

    /// Ends the member: it gets the entries before this number.
    pub(super) fn end(&mut self, until: u64) {
        self.until = self.until.min(until);
    }

    /// Returns the end of its entries, in a ring that ends at `end`.
    pub(super) fn limit(&self, end: u64) -> u64 {
        self.until.min(end)
    }

    /// Returns its state.
    pub(super) fn place(&self) -> Place {
        match self.standing {
            _ if self.is_finished() => Place::Finished,
            Standing::Unproved | Standing::Dropped => Place::OutOfReach,
            Standing::Resting | Standing::Spent | Standing::Unresponsive => Place::Resting,
            Standing::Current | Standing::Behind if self.is_blocked && self.is_carried => {
                Place::Full
            }
            Standing::Current | Standing::Behind if self.is_blocked => Place::Blocked,
            Standing::Current => Place::Current(self.next),
            Standing::Behind => Place::Behind,
        }
    }

    /// Returns true if it has ended, and has got everything or cannot be reached.
    pub(super) fn is_finished(&self) -> bool {
        let is_out_of_reach = matches!(self.standing, Standing::Unproved | Standing::Dropped);
        !self.is_live() && (is_out_of_reach || self.next >= self.until)
    }

    /// Returns true if it was sent everything up to `end`.
    pub(super) fn is_at(&self, end: u64) -> bool {
        self.standing == Standing::Current && !self.is_blocked && self.next == end
    }

    /// Returns true if it is catching up.
    pub(super) fn is_late(&self) -> bool {
        matches!(
            self.standing,
            Standing::Behind | Standing::Resting | Standing::Spent | Standing::Unresponsive
        )
    }

    /// Returns the end of the entries that may be repaired. Entries that a cursor was not sent yet
    /// come with its credit, not as repairs.
    pub(super) fn repairable(&self, end: u64) -> u64 {
        match self.standing {
            Standing::Unresponsive => self.first,
            _ if self.is_late() => self.next,
            _ => self.limit(end),
        }
    }

    fn is_in_history(&self) -> bool {
        self.next < self.history_until
    }

    /// Returns the number of bytes that a cursor that catches up may be sent now.
    pub(super) fn budget(&self) -> usize {
        let paid = if self.is_in_history() { self.paid } else { usize::MAX };
        self.credit_left().min(paid)
    }

    /// Returns the bytes that may be sent before a confirmation. TCP has a flow control of its own.
    fn credit_left(&self) -> usize {
        if self.is_carried { usize::MAX } else { self.credit.left() }
    }

    fn has_credit(&self) -> bool {
        self.is_carried || self.credit.has_left()
    }

    /// Moves the cursor to `next` after `sent` bytes. Returns the number of bytes that are history.
    pub(super) fn advance(&mut self, next: u64, sent: usize, is_done: bool, now: Instant) -> usize {
        let history = if self.is_in_history() { sent } else { 0 };
        self.next = self.next.max(next);
        if self.standing == Standing::Behind {
            self.paid = self.paid.saturating_sub(history);
            if !self.is_carried {
                self.credit.take(sent);
                self.rest(is_done, now);
            } else if self.budget() < LEAST {
                // The next part of the history is to be paid.
                self.fall_behind(now);
            }
        }
        history
    }

    /// Starts the pause after a train, or the wait for a confirmation when the credit is used up. A
    /// whole train ends with a question.
    fn rest(&mut self, is_done: bool, now: Instant) {
        if is_done && !self.credit.has_left() {
            (self.standing, self.wake_at) = (Standing::Spent, Some(now + FIRST_ASK));
        } else if is_done || self.budget() < LEAST {
            (self.standing, self.wake_at) = (Standing::Resting, Some(now + REST));
        }
    }

    /// Makes a cursor current that has got everything, in a ring that ends at `end`.
    pub(super) fn catch_up(&mut self, end: u64) {
        let is_at_end = self.next >= self.limit(end);
        if is_at_end && self.is_late() && self.standing != Standing::Unresponsive {
            (self.standing, self.is_blocked) = (Standing::Current, false);
        }
        if !self.is_late() {
            self.wake_at = None;
        }
    }

    /// Notes that the address of the member is proved.
    pub(super) fn prove(&mut self, is_carried: bool, now: Instant) {
        (self.is_carried, self.is_blocked) = (is_carried, false);
        match self.standing {
            _ if is_carried => self.attach(now),
            Standing::Unresponsive => self.wake_at = Some(now + REST),
            _ => self.fall_behind(now),
        }
    }

    /// Checks whether its member has confirmed all that it was sent. After several checks without
    /// a `have`, it gets only questions.
    pub(super) fn check_confirmation(&mut self, now: Instant) {
        if self.have >= self.next {
            self.missed = 0;
        } else if self.missed < MOST_MISSED {
            self.missed += 1;
        } else if self.is_live() && self.can_be_sent_to() && self.standing != Standing::Unresponsive
        {
            (self.standing, self.is_blocked) = (Standing::Unresponsive, false);
            self.wake_at.get_or_insert(now);
        }
    }

    fn can_be_sent_to(&self) -> bool {
        !matches!(self.standing, Standing::Unproved | Standing::Dropped)
    }

    /// Makes it catch up once it is woken, at this time.
    pub(super) fn fall_behind(&mut self, wake_at: Instant) {
        (self.standing, self.wake_at) = (Standing::Resting, Some(wake_at));
    }

    /// Notes that the member has another address, or none.
    pub(super) fn disprove(&mut self, is_carried: bool) {
        self.is_carried = is_carried;
        (self.standing, self.is_blocked) = (Standing::Unproved, false);
        self.wake_at = None;
    }

    /// Drops the cursor of a member that has ended and may not ask any more. It is never woken again.
    pub(super) fn drop(&mut self) {
        (self.standing, self.wake_at) = (Standing::Dropped, None);
    }

    /// Handles a confirmation of everything below `next`; `bytes` of that were sent and not
    /// confirmed before. Entries that were not sent are skipped and add no credit. Returns true if
    /// the member is to be woken.
    pub(super) fn confirm(&mut self, next: u64, bytes: usize, now: Instant) -> bool {
        let is_news = self.have < next.min(self.next);
        if is_news {
            self.repair_budget.refill(bytes, now);
            self.credit.confirm(bytes, next >= self.next);
        }
        self.have = self.have.max(next);
        self.next = self.next.max(next);
        self.missed = 0;
        let is_woken = match self.standing {
            Standing::Unresponsive => true,
            Standing::Spent => is_news && self.credit.has_left(),
            _ => false,
        };
        if is_woken {
            self.fall_behind(now + REST);
        }
        is_woken
    }

    /// Ends the pause if its time has come and credit and limits allow it: `pay` charges bytes of
    /// history, and returns false if a limit is reached. Returns true if the member is to be asked
    /// for a confirmation.
    pub(super) fn wake(
        &mut self,
        ring: &Ring,
        now: Instant,
        pay: &mut impl FnMut(MemberId, usize) -> bool,
    ) -> bool {
        if self.wake_at.is_none_or(|at| at > now) {
            return false;
        }
        let is_unresponsive = self.standing == Standing::Unresponsive;
        if is_unresponsive || !self.has_credit() {
            let standing = if is_unresponsive { self.standing } else { Standing::Spent };
            (self.standing, self.wake_at) = (standing, Some(now + self.ask_after));
            self.ask_after = (2 * self.ask_after).min(LAST_ASK);
            return true;
        }
        if self.is_paid(ring, pay) {
            (self.standing, self.wake_at) = (Standing::Behind, None);
            self.ask_after = FIRST_ASK;
        } else {
            (self.standing, self.wake_at) = (Standing::Resting, Some(now + PUT_OFF));
        }
        false
    }

    /// Returns true if the limits allow the next datagram. Only history is charged here: later
    /// messages were charged to their senders.
    fn is_paid(&mut self, ring: &Ring, pay: &mut impl FnMut(MemberId, usize) -> bool) -> bool {
        if self.budget() >= LEAST {
            return true;
        }
        let first = self.next.max(ring.first());
        let rest = ring.size(first, self.history_until.max(first));
        // Adds an estimate for headers and padding.
        let bytes = (rest + rest / 4 + LEAST).min(PAID_AT_ONCE).min(self.credit_left());
        let is_paid = pay(self.member, bytes);
        if is_paid {
            self.paid += bytes;
        }
        is_paid
    }

    /// Notes that its socket is writable again.
    pub(super) fn unblock(&mut self, now: Instant) {
        if self.is_carried || !mem::take(&mut self.is_blocked) || self.standing != Standing::Current
        {
            return;
        }
        match self.credit.has_left() {
            true => self.standing = Standing::Behind,
            false => self.fall_behind(now),
        }
    }
}
