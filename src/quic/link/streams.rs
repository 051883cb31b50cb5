//! The streams of a connection: bytes that wait for flow control, and units that are not whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use quinn_proto::{Connection, StreamId};

use crate::protocol::carried::{DecodedUnit, MAX_UP, SIZE_FIELD, decode};

/// The use of a stream of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It begins with a request.
    Request,
    /// Its request is not answered yet.
    Asked,
    /// It carries units of a member.
    Member,
}

/// The bytes of the peer on one stream of the session.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    pub(super) role: Role,
    /// True if the peer has ended its half.
    pub(super) has_ended: bool,
}

/// The beginning of an inbox.
pub(super) enum Taken {
    /// Nothing whole, or nothing that may be taken now.
    Nothing,
    /// The content of a unit, on a stream of this role.
    Unit(Role, Bytes),
    /// A unit that is too long.
    TooLarge,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), role: Role::Request, has_ended: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the unit at the beginning. After a request none is taken until the answer.
    pub(super) fn take(&mut self) -> Taken {
        if self.role == Role::Asked || self.bytes.is_empty() {
            return Taken::Nothing;
        }
        match decode(&self.bytes, MAX_UP) {
            DecodedUnit::Incomplete => Taken::Nothing,
            DecodedUnit::TooLarge { .. } => Taken::TooLarge,
            DecodedUnit::Whole(content) => {
                let content = Bytes::copy_from_slice(content);
                self.bytes.drain(..SIZE_FIELD + content.len());
                let role = self.role;
                if role == Role::Request {
                    self.role = Role::Asked;
                }
                Taken::Unit(role, content)
            }
        }
    }
}

/// Bytes to the peer that flow control has not taken.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// True if our half ends behind them.
    is_last: bool,
}

/// Bytes that wait to be written, on all streams.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    boxes: BTreeMap<StreamId, Outbox>,
}

impl Outboxes {
    /// Returns the bytes that wait on a stream.
    pub(super) fn waiting(&self, stream: StreamId) -> usize {
        self.boxes.get(&stream).map_or(0, |outbox| outbox.bytes.len())
    }

    /// Returns true if nothing waits on any stream.
    pub(super) fn are_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// Writes bytes behind those that wait. Our half of the stream ends behind them if they are the last.
    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        stream: StreamId,
        bytes: &[u8],
        is_last: bool,
    ) {
        let outbox = self.boxes.entry(stream).or_default();
        outbox.bytes.extend_from_slice(bytes);
        outbox.is_last |= is_last;
        self.flush(connection, stream);
    }

    /// Writes what waits, as far as flow control allows. The peer may have stopped the stream: then it is dropped.
    pub(super) fn flush(&mut self, connection: &mut Connection, stream: StreamId) {
        let Some(outbox) = self.boxes.get_mut(&stream) else { return };
        let mut send = connection.send_stream(stream);
        let (mut written, mut is_stopped) = (0, false);
        while written < outbox.bytes.len() {
            match send.write(&outbox.bytes[written..]) {
                Ok(count) => written += count,
                Err(quinn_proto::WriteError::Blocked) => break,
                Err(_) => {
                    is_stopped = true;
                    break;
                }
            }
        }
        outbox.bytes.drain(..written);
        if is_stopped || outbox.bytes.is_empty() {
            if outbox.is_last {
                // The peer may have stopped it, which ends it too.
                let _ = send.finish();
            }
            self.boxes.remove(&stream);
        }
    }

    /// Drops what waits on a stream.
    pub(super) fn drop(&mut self, stream: StreamId) {
        self.boxes.remove(&stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h8_one_request_is_taken_at_a_time() {
        let mut inbox = Inbox::new();
        inbox.push(b"\0\x02{}\0\x01x\0");
        assert!(matches!(inbox.take(), Taken::Unit(Role::Request, content) if content == "{}"));
        assert!(matches!(inbox.take(), Taken::Nothing), "the answer comes first");
        inbox.role = Role::Member;
        assert!(matches!(inbox.take(), Taken::Unit(Role::Member, content) if content == "x"));
        assert!(matches!(inbox.take(), Taken::Nothing) && !inbox.bytes.is_empty());
        inbox.push(b"\0");
        assert!(matches!(inbox.take(), Taken::Unit(Role::Member, content) if content.is_empty()));
        inbox.push(b"\x10\x01");
        assert!(matches!(inbox.take(), Taken::TooLarge), "4,097 bytes");
    }
}
