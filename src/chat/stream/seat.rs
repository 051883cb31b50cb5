//! A stream member's place in its room: a cursor into the ring, and what it has confirmed.

use std::time::Instant;

use super::ration::Ration;
use crate::ids::MemberId;

/// Until when a live member gets what is appended.
const FOREVER: u64 = u64::MAX;

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
    /// A datagram of its own has proved its port: it may be sent to.
    pub(super) is_proved: bool,
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
            is_proved: false,
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

    /// Whether it has ended and got everything, or never proved that it is there.
    pub(super) fn is_finished(&self) -> bool {
        !self.is_live() && (!self.is_proved || self.next >= self.until)
    }

    /// Whether there is something to send to it now.
    pub(super) fn waits(&self, end: u64) -> bool {
        self.is_proved && !self.is_blocked && self.next < self.limit(end)
    }
}
