//! The protocol on a connection that carries a member (C1): units in, units out. On a WebSocket, each unit
//! is a binary message (H6).
//!
//! It begins behind the completion of a request. The member's deadlines are those of the chat. A
//! connection ends with its member, or its member loses it: the chat decides what that means.

#[cfg(test)]
mod tests;

use std::time::Instant;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::framing::Framing;
use super::taken::Taken;
use super::tcrp::Next;
use crate::connection::{BufferPool, Connection, Transport};
use crate::fanout::{Job, Receipt, Share};
use crate::ids::MemberId;
use crate::metrics::Counter;
use crate::protocol::stream::Code;

/// Bytes of the limit for unread units that numbered entries leave free, so that an answer or the
/// reason of an end still has space. An aside has at most 1,150 bytes (S2).
const RESERVE: usize = 2048;

/// A connection that was full takes more once this part of the limit is unread at most. Half of a
/// kernel's buffer is left to write then, so a fast reader is never idle.
const RESUME_AT: usize = 4;

/// State of a connection that carries a member.
pub(super) struct Carried {
    member: MemberId,
    framing: Framing,
    /// Time of the last whole unit.
    taken_at: Instant,
    /// True while the connection is the member's path.
    is_path: bool,
    /// True until the chat knows that the connection has ended.
    is_counted: bool,
    /// True from the first unit without space until most are read.
    is_full: bool,
}

impl Carried {
    pub(super) fn new(member: MemberId, framing: Framing, now: Instant) -> Self {
        Self { member, framing, taken_at: now, is_path: true, is_counted: true, is_full: false }
    }

    pub(super) fn member(&self) -> MemberId {
        self.member
    }

    pub(super) fn taken_at(&self) -> Instant {
        self.taken_at
    }

    /// Returns true while the connection is the member's path.
    pub(super) fn is_path(&self) -> bool {
        self.is_path
    }

    /// Returns true if the peer has ended its half: no units come, and the last ones may still go.
    pub(super) fn is_ending(&self) -> bool {
        self.is_path && !self.is_counted
    }

    /// Returns true if a unit has begun, and is waited for.
    pub(super) fn is_in_unit(&self, connection: &Connection<impl Transport>) -> bool {
        let has_begun = connection.pending_input() > 0 || self.framing.is_within_message();
        self.is_reading() && has_begun
    }

    /// Returns the bytes of memory that it holds, beyond the little that each one keeps.
    pub(super) fn held_bytes(&self) -> usize {
        self.framing.held_bytes()
    }

    /// Returns the time of the next [`Carried::ping`].
    pub(super) fn ping_at(&self) -> Option<Instant> {
        self.framing.ping_at()
    }

    /// Hands the units of the input to the chat, at most `units`.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection<impl Transport>,
        units: &mut usize,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Next {
        loop {
            if let Some(next) = self.pause(connection, limits) {
                return next;
            }
            match self.framing.has_input(connection.input()) {
                // It may have ended before it carried the member: while the request was delayed.
                false if connection.has_peer_ended() => self.handle_end(connection, context),
                false => {
                    self.framing.rest();
                    return Next::input(connection);
                }
                true if *units == 0 => return Next::Yield,
                true => {
                    *units -= 1;
                    self.take(connection, context, limits);
                }
            }
        }
    }

    fn take(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) {
        let Context { chat, metrics, now, .. } = context;
        let member = self.member;
        let taken = self.framing.take(connection, |content| {
            let outcome = chat.handle_carried(member, content, *now);
            metrics.count(Counter::Units);
            metrics.count(outcome.counter());
        });
        match taken {
            Taken::Message => self.taken_at = *now,
            Taken::Alive => chat.note_alive(member, *now),
            Taken::Nothing if self.framing.is_within_message() && !limits.fragments => {
                self.framing.say_scarce(connection);
                self.end(connection, context);
            }
            Taken::Nothing => {}
            Taken::End => self.end(connection, context),
            Taken::TooLong => {
                metrics.count(Counter::TooLong);
                self.end(connection, context);
            }
        }
    }

    /// Returns true if [`Carried::advance`] has something to do.
    pub(super) fn can_advance(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> bool {
        let next = self.pause(connection, limits).unwrap_or_else(|| {
            Next::turn_or_input(self.framing.has_input(connection.input()), connection)
        });
        !matches!(next, Next::Wait)
    }

    /// Returns what to do while no units are taken.
    fn pause(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> Option<Next> {
        if !connection.is_open() {
            return Some(Next::input(connection));
        }
        // A peer that reads nothing may still send pings.
        let has_space = connection.unsent() < limits.units;
        (!self.is_reading() || !has_space).then_some(Next::Wait)
    }

    /// Returns false while no units are read: the peer would get answers that have no space.
    fn is_reading(&self) -> bool {
        !self.is_full && self.is_counted
    }

    /// Appends the entries of a member's share as units, at most `budget`. A unit has no space if more
    /// than `limit` bytes would be unread, and the peer takes none of them now. Entries of a stream wait
    /// then, others are dropped.
    pub(super) fn append(
        &mut self,
        connection: &mut Connection<impl Transport>,
        pool: &mut BufferPool,
        (job, share): (&Job<'_>, &mut Share),
        (budget, limit): (usize, usize),
    ) -> Receipt {
        let limit = if job.is_tagged { limit - RESERVE } else { limit };
        let mut receipt = Receipt::default();
        while receipt.sent < budget
            && let Some(index) = share.seek(job.entries)
        {
            let content = job.datagram(index);
            if self.has_space(connection, content, limit) {
                let tag = job.is_tagged.then_some(share.tag);
                connection.append(pool, |out| self.framing.encode(content, tag, out));
                receipt.sent += 1;
            } else if job.is_tagged {
                receipt.blocked = true;
                break;
            } else {
                receipt.dropped += 1;
            }
            share.next += 1;
        }
        receipt
    }

    /// Returns true if a unit has space, perhaps after a flush. Otherwise the connection is full from
    /// now on.
    fn has_space(
        &mut self,
        connection: &mut Connection<impl Transport>,
        content: &[u8],
        limit: usize,
    ) -> bool {
        let size = self.framing.size_of(content.len());
        if !self.is_full && connection.unsent() + size > limit {
            // A burst is longer than the limit. The flush of the turn meets a failure again.
            let _ = connection.flush();
        }
        let has_space = connection.unsent() + size <= limit;
        self.is_full |= !has_space;
        has_space
    }

    /// Notes that units were written. Wakes the member if the connection was full and has space again.
    pub(super) fn note_written(
        &mut self,
        connection: &Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) {
        if self.take_space(connection, limits.units) && self.is_path {
            context.chat.resume_member(self.member);
        }
    }

    /// Returns true, once, if the connection was full and has space again.
    fn take_space(&mut self, connection: &Connection<impl Transport>, limit: usize) -> bool {
        let has_space = self.is_full && connection.unsent() <= limit / RESUME_AT;
        self.is_full &= !has_space;
        has_space
    }

    /// Handles the end of the peer's half. With units, the member may still get its last entries.
    pub(super) fn handle_end(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        match self.is_path {
            true if self.framing.outlives_input() => self.release(context),
            true => self.end(connection, context),
            false => connection.finish(),
        }
    }

    /// Handles the deadline of a unit that has begun.
    pub(super) fn expire_unit(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        context.metrics.count(Counter::TimedOut);
        self.framing.say_late(connection);
        self.end(connection, context);
    }

    /// Asks the peer for a sign of life, or ends the connection of one that gave none for too long.
    pub(super) fn ping(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        if !self.framing.ping(connection, self.is_full, context.now) {
            context.metrics.count(Counter::TimedOut);
            self.end(connection, context);
        }
    }

    /// Ends the connection for a fault of its peer.
    fn end(&mut self, connection: &mut Connection<impl Transport>, context: &mut Context) {
        connection.finish();
        self.release(context);
        self.is_path = false;
    }

    /// Notes that the member does not need the connection any more: it has ended for the reason of this
    /// code, or without one has another path.
    pub(super) fn leave_path(
        &mut self,
        connection: &mut Connection<impl Transport>,
        code: Option<Code>,
    ) {
        if self.is_path {
            self.framing.say_end(connection, code);
        }
        self.is_path = false;
    }

    /// Tells the chat, once, that the connection has ended.
    pub(super) fn release(&mut self, context: &mut Context) {
        if std::mem::take(&mut self.is_counted) {
            match self.is_path {
                true => context.chat.handle_path_end(self.member, context.now),
                false => context.chat.handle_disconnect(self.member, context.now),
            }
        }
    }
}
