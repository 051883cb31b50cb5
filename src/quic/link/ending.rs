//! The end of a session and of its connection.
//!
//! A member that ends first gets the rest of its stream, then the browser's script has a moment to read it, because
//! a browser drops what the script has not read when the session closes. Then the session closes with its
//! code, and the browser ends the connection.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{StreamId, VarInt};

use super::Link;
use crate::quic::count::{Count, Counts};
use crate::quic::event::Event;
use crate::quic::h3;

/// Time for a browser to take the rest of a stream.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);

/// Time for its script to read that.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// Time for a browser to see that the session is closed, and to end the connection.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// The stage of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quic) enum Stage {
    /// Its handshake is not done.
    Handshake,
    /// It has no member.
    Open,
    /// It has a member.
    Member,
    /// The rest of the member's stream is on its way.
    Finishing { code: u32 },
    /// The script reads the rest of the stream.
    Reading { code: u32 },
    /// The session is closed, and the browser ends the connection.
    Closing,
    /// The connection is closed.
    Closed,
}

impl Stage {
    /// Returns true if the session takes requests and messages.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Member)
    }
}

impl Link {
    /// Returns true if the connection is closed. QUIC keeps it for a moment, to answer late packets.
    pub(in crate::quic) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Ends the session of a member that does not need it any more, with this code.
    pub(in crate::quic) fn end(&mut self, code: u32, now: Instant) {
        let Some(member) = self.member.as_mut().filter(|member| member.is_path) else { return };
        member.is_path = false;
        let stream = member.stream;
        self.outboxes.write(&mut self.connection, stream, &[], true);
        (self.stage, self.due) = (Stage::Finishing { code }, Some(now + HANDED_OVER_WITHIN));
    }

    /// Ends a connection that carries nobody.
    pub(in crate::quic) fn end_without_member(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Handshake | Stage::Open) {
            self.close_connection(h3::code::NO_ERROR, now);
        }
    }

    /// Ends the session because the peer has ended its half of the member's stream.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.stage == Stage::Member {
            self.release();
            self.close_session(0, now);
        }
    }

    /// Notes that the peer has all of a stream that we have ended.
    pub(super) fn note_finished(&mut self, stream: StreamId, now: Instant) {
        if let Stage::Finishing { code } = self.stage
            && self.is_of_member(stream)
        {
            (self.stage, self.due) = (Stage::Reading { code }, Some(now + READ_WITHIN));
        }
    }

    /// Acts on the end of the stage.
    pub(super) fn expire(&mut self, counts: &mut Counts, now: Instant) {
        match self.stage {
            Stage::Handshake | Stage::Open => {
                counts.note(Count::TimedOut);
                if self.stage == Stage::Handshake {
                    counts.note(Count::HandshakesFailed);
                }
                self.close_connection(h3::code::NO_ERROR, now);
            }
            Stage::Finishing { code } | Stage::Reading { code } => self.close_session(code, now),
            Stage::Closing => self.close_connection(h3::code::NO_ERROR, now),
            Stage::Member | Stage::Closed => self.due = None,
        }
    }

    fn close_session(&mut self, code: u32, now: Instant) {
        self.http.close(code, "");
        self.wait_for_end(now);
    }

    /// Notes that the session is closed on both sides. Chromium reports an error in place of the code if the end
    /// of the connection follows at once. It ends the connection itself.
    pub(super) fn note_closed_session(&mut self, now: Instant) {
        self.release();
        if !self.is_closed() {
            self.wait_for_end(now);
        }
    }

    fn wait_for_end(&mut self, now: Instant) {
        (self.stage, self.due) = (Stage::Closing, Some(now + CLOSED_WITHIN));
    }

    /// Ends the connection for a fault of its peer.
    pub(super) fn fail(&mut self, code: u64, reason: &str, counts: &mut Counts, now: Instant) {
        log::debug!("{}: {reason}", self.first.remote);
        counts.note(Count::Faults);
        self.close(code, reason, now);
    }

    /// Ends the connection. Its session has ended.
    pub(super) fn close_connection(&mut self, code: u64, now: Instant) {
        self.close(code, "", now);
    }

    fn close(&mut self, code: u64, reason: &str, now: Instant) {
        // The codes of HTTP/3 are below 2^62.
        let code = VarInt::from_u64(code).unwrap_or_default();
        self.connection.close(now, code, Bytes::copy_from_slice(reason.as_bytes()));
        self.drop_state();
    }

    /// Notes that QUIC has lost the connection.
    pub(super) fn note_lost(&mut self, counts: &mut Counts) {
        if self.stage == Stage::Handshake {
            counts.note(Count::HandshakesFailed);
        }
        self.drop_state();
    }

    fn drop_state(&mut self) {
        self.release();
        (self.stage, self.due) = (Stage::Closed, None);
        self.inboxes.clear();
        self.outboxes = Default::default();
        self.readable.clear();
        self.has_datagrams = false;
    }

    /// Tells the owner, once, that the connection of a member has ended.
    fn release(&mut self) {
        if let Some(member) = self.member.take() {
            self.events.push_back(Event::Ended { member: member.id, was_path: member.is_path });
        }
    }
}
