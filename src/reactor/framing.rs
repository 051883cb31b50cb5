//! The form of a carried member's messages on its connection: units (C1), or messages of a WebSocket (H6).

use std::time::Instant;

use super::member_socket::MemberSocket;
use super::taken::Taken;
use crate::connection::{Connection, Transport};
use crate::fanout::{TAG_SIZE, Tag};
use crate::protocol::carried::{DecodedUnit, MAX_UP, SIZE_FIELD, decode, encode};
use crate::protocol::stream::Code;

/// The form of a carried member's messages.
pub(super) enum Framing {
    /// Units.
    Units,
    /// Binary messages of a WebSocket.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "there is no WebSocket"))]
    WebSocket(MemberSocket),
}

impl Framing {
    /// Returns true if [`Framing::take`] can take something from this input.
    pub(super) fn has_input(&self, input: &[u8]) -> bool {
        match self {
            Self::Units => decode(input, MAX_UP) != DecodedUnit::Incomplete,
            Self::WebSocket(socket) => socket.has_input(input),
        }
    }

    /// Takes the next piece of the input, and passes the content of a whole message on.
    pub(super) fn take(
        &mut self,
        connection: &mut Connection<impl Transport>,
        pass_on: impl FnOnce(&[u8]),
    ) -> Taken {
        match self {
            Self::Units => take_unit(connection, pass_on),
            Self::WebSocket(socket) => socket.take(connection, pass_on),
        }
    }

    /// Frees what no incomplete message needs.
    pub(super) fn rest(&mut self) {
        if let Self::WebSocket(socket) = self {
            socket.rest();
        }
    }

    /// Returns true if a message has begun and is not complete, although all input was taken.
    pub(super) fn is_within_message(&self) -> bool {
        matches!(self, Self::WebSocket(socket) if socket.is_within_message())
    }

    /// Returns the bytes of memory that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        if let Self::WebSocket(socket) = self { socket.held_bytes() } else { 0 }
    }

    /// Returns the size on the connection of a message with a content of this size.
    pub(super) fn size_of(&self, content: usize) -> usize {
        match self {
            Self::Units => SIZE_FIELD + content,
            Self::WebSocket(socket) => socket.size_of(content),
        }
    }

    /// Encodes a message. In a tagged job, the member's tag replaces the first bytes of the content.
    pub(super) fn encode(&self, content: &[u8], tag: Option<Tag>, out: &mut Vec<u8>) {
        match self {
            Self::Units => encode(content, out),
            Self::WebSocket(socket) => socket.encode(content, out),
        }
        if let Some(tag) = tag {
            let start = out.len() - content.len();
            out[start..start + TAG_SIZE].copy_from_slice(&tag);
        }
    }

    /// Returns true if the server can still send messages when the peer has ended its half.
    pub(super) fn outlives_input(&self) -> bool {
        matches!(self, Self::Units)
    }

    /// Returns the time of the next [`Framing::ping`].
    pub(super) fn ping_at(&self) -> Option<Instant> {
        if let Self::WebSocket(socket) = self { Some(socket.ping_at()) } else { None }
    }

    /// Asks the peer for a sign of life, unless the connection `is_full`. Returns false if earlier
    /// questions were not answered for too long.
    pub(super) fn ping(
        &mut self,
        connection: &mut Connection<impl Transport>,
        is_full: bool,
        now: Instant,
    ) -> bool {
        if let Self::WebSocket(socket) = self {
            socket.ping(connection, is_full, now)
        } else {
            true
        }
    }

    /// Tells the peer that the member has ended for the reason of this code, or without one has another
    /// path.
    pub(super) fn say_end(&self, connection: &mut Connection<impl Transport>, code: Option<Code>) {
        if let Self::WebSocket(socket) = self {
            socket.say_end(connection, code);
        }
    }

    /// Tells the peer that there is no memory for a message in fragments.
    pub(super) fn say_scarce(&self, connection: &mut Connection<impl Transport>) {
        if let Self::WebSocket(socket) = self {
            socket.say_scarce(connection);
        }
    }

    /// Tells the peer that its time for a message is over.
    pub(super) fn say_late(&self, connection: &mut Connection<impl Transport>) {
        if let Self::WebSocket(socket) = self {
            socket.say_late(connection);
        }
    }
}

fn take_unit(connection: &mut Connection<impl Transport>, pass_on: impl FnOnce(&[u8])) -> Taken {
    match decode(connection.input(), MAX_UP) {
        DecodedUnit::Incomplete => Taken::Nothing,
        DecodedUnit::Whole(content) => {
            pass_on(content);
            let size = SIZE_FIELD + content.len();
            connection.consume(size);
            Taken::Message
        }
        DecodedUnit::TooLarge { size } => {
            log::debug!("a unit of {size} bytes ends its connection");
            Taken::TooLong
        }
    }
}
