//! The cursors of carried members, whose datagrams travel on a connection (C1 to C3).
//!
//! TCP loses nothing and has a flow control of its own, so such a cursor has no credit, no pauses, no
//! questions and no tail probes. It waits for nothing but space in the outbox of its own connection.
//! Meanwhile it keeps no entries in the ring, and delays nobody. While its member is detached, it is
//! out of reach.
//!
//! A carried member that has ended asks for no repairs, so its cursor is freed once it has got all
//! its entries, also in a closed room.

use std::mem;
use std::time::Instant;

use super::OrderedStream;
use super::cursor::{OrderedCursor, Standing};
use crate::ids::MemberId;

impl OrderedCursor {
    /// Moves the member to a connection. The path before may have lost what it has not confirmed, so
    /// that is sent again. It counts as history, because a peer may resume again and again.
    pub(super) fn attach(&mut self, now: Instant) {
        self.history_until = self.history_until.max(self.next);
        self.next = self.next.min(self.have);
        self.fall_behind(now);
    }

    /// Notes that the outbox of its connection has space. Returns true if it has waited for that.
    fn resume(&mut self) -> bool {
        let was_blocked = self.is_carried && mem::take(&mut self.is_blocked);
        if was_blocked && self.standing == Standing::Current {
            self.standing = Standing::Behind;
        }
        was_blocked
    }
}

impl OrderedStream {
    /// Notes that the outbox of a carried member has space. Returns true if it has waited for that.
    pub(in crate::delivery) fn resume(&mut self, number: u32) -> bool {
        let mut was_blocked = false;
        self.cursors.change(number, self.ring.end(), |cursor| was_blocked = cursor.resume());
        was_blocked
    }

    /// Frees the cursors of ended carried members that have got everything or are detached, and lists
    /// these members.
    pub(in crate::delivery) fn collect_finished_carried(&mut self, ended: &mut Vec<MemberId>) {
        self.cursors.drop_finished_carried(|cursor| ended.push(cursor.member));
    }
}
