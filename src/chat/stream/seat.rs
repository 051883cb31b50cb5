//! A stream member's place in its room: a cursor into the ring, and what it has confirmed.

use std::mem;
use std::time::Instant;

use super::answers::Answers;
use super::ration::Ration;
use crate::ids::MemberId;

/// Until when a live member gets what is appended.
const FOREVER: u64 = u64::MAX;

/// How a member stands to what is said now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No datagram of its own has proved its port: nothing is sent to it.
    Unproved,
    /// It gets what is said as it is said. What waits for it is not pushed out of the ring.
    Current,
    /// It came late, or its socket was full: it gets a train at a time until it is current, and holds
    /// up nobody meanwhile.
    Behind,
    /// It is behind, has just got a train, and gets the next after a pause.
    Resting,
    /// It may not ask any more: the seat is to be freed.
    Dropped,
}

/// The state of a seat, as a delivery counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It gets entries as they are appended, from this cursor on.
    Current(u64),
    /// It catches up, and can be sent to now.
    Behind,
    /// It catches up, and pauses.
    Resting,
    /// Its socket is full.
    Blocked,
    /// It has ended and got everything, or can't be sent to any more: it can be freed.
    Finished,
    /// It can't be sent to yet.
    OutOfReach,
}

impl Place {
    /// Returns true if both get entries alike, at whatever cursor.
    pub(super) fn is_like(self, other: Self) -> bool {
        mem::discriminant(&self) == mem::discriminant(&other)
    }
}

/// A place in a stream.
#[derive(Debug)]
pub(in crate::chat) struct Seat {
    pub(in crate::chat) member: MemberId,
    /// The member's number in the room; seats stand in the order of these.
    pub(in crate::chat) number: u32,
    /// The id that its next message must have.
    pub(in crate::chat) expected: u32,
    /// The number of the first entry that it may see.
    pub(in crate::chat) first: u64,
    /// The cursor: the number of the next entry to send.
    pub(in crate::chat) next: u64,
    /// Everything below has arrived, it says.
    pub(in crate::chat) have: u64,
    until: u64,
    pub(in crate::chat) ration: Ration,
    pub(super) answers: Answers,
    pub(super) standing: Standing,
    /// The socket that leads to it is full.
    pub(super) is_blocked: bool,
    /// An answer to its last repair request is still to be sent.
    pub(super) is_in_repair: bool,
}

impl Seat {
    pub(super) fn new(member: MemberId, number: u32, first: u64, now: Instant) -> Self {
        Self {
            member,
            number,
            expected: 1,
            first,
            next: first,
            have: first,
            until: FOREVER,
            ration: Ration::new(now),
            answers: Answers::default(),
            standing: Standing::Unproved,
            is_blocked: false,
            is_in_repair: false,
        }
    }

    pub(in crate::chat) fn is_live(&self) -> bool {
        self.until == FOREVER
    }

    /// The member has ended: it gets what comes before this number.
    pub(super) fn end(&mut self, until: u64) {
        self.until = self.until.min(until);
    }

    /// Where its entries end, in a ring that ends at `end`.
    pub(super) fn limit(&self, end: u64) -> u64 {
        self.until.min(end)
    }

    /// Returns its state, as a delivery counts it.
    pub(super) fn place(&self) -> Place {
        match self.standing {
            _ if self.is_finished() => Place::Finished,
            Standing::Unproved | Standing::Dropped => Place::OutOfReach,
            Standing::Resting => Place::Resting,
            Standing::Current | Standing::Behind if self.is_blocked => Place::Blocked,
            Standing::Current => Place::Current(self.next),
            Standing::Behind => Place::Behind,
        }
    }

    /// Whether it has ended and got everything, or can't be sent to.
    pub(super) fn is_finished(&self) -> bool {
        let is_out_of_reach = matches!(self.standing, Standing::Unproved | Standing::Dropped);
        !self.is_live() && (is_out_of_reach || self.next >= self.until)
    }

    /// Whether it was sent everything up to `end`.
    pub(super) fn is_at(&self, end: u64) -> bool {
        self.standing == Standing::Current && !self.is_blocked && self.next == end
    }

    /// Moves the cursor to what was sent. A seat that catches up pauses then.
    pub(super) fn advance(&mut self, next: u64) {
        self.next = self.next.max(next);
        if self.standing == Standing::Behind {
            self.standing = Standing::Resting;
        }
    }

    /// A seat that has got everything, in a ring that ends at `end`, is not behind any more.
    pub(super) fn catch_up(&mut self, end: u64) {
        let is_late = matches!(self.standing, Standing::Behind | Standing::Resting);
        if is_late && self.next >= self.limit(end) {
            (self.standing, self.is_blocked) = (Standing::Current, false);
        }
    }

    /// A datagram of its own has come: it can be sent to.
    pub(super) fn prove(&mut self) {
        (self.standing, self.is_blocked) = (Standing::Behind, false);
    }

    /// It is somewhere else now, where nothing has come from yet.
    pub(super) fn disprove(&mut self) {
        (self.standing, self.is_blocked) = (Standing::Unproved, false);
    }

    /// Ends its pause.
    pub(super) fn end_rest(&mut self) {
        if self.standing == Standing::Resting {
            self.standing = Standing::Behind;
        }
    }

    /// Its socket is full no more.
    pub(super) fn unblock(&mut self) {
        if std::mem::take(&mut self.is_blocked) && self.standing == Standing::Current {
            self.standing = Standing::Behind;
        }
    }
}
