//! The message in a datagram from a member with stream delivery: `kind u8 | body`, or nothing at all as
//! a keep-alive (S4).
//!
//! ```
//! use reactor_chat::protocol::stream::{Upstream, upstream};
//!
//! let mut message = Vec::new();
//! upstream::encode_message(1, b"hello", &mut message);
//! assert_eq!(upstream::parse(&message), Some(Upstream::Message { id: 1, text: b"hello" }));
//! ```

const KIND_MESSAGE: u8 = 0;
const KIND_HAVE: u8 = 1;
const KIND_REPAIR: u8 = 2;
const KIND_PART: u8 = 3;

/// The bytes of a message or a part beside its text: kind and id.
pub const MESSAGE_OVERHEAD: usize = 1 + 4;

/// The bytes of one range in a repair request.
const RANGE_SIZE: usize = 10;

/// A parsed message from a member with stream delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream<'a> {
    /// A sign of life.
    KeepAlive,
    /// A message or a command, or the last part of one.
    Message {
        /// The id, counted up from 1.
        id: u32,
        /// The text, unchecked.
        text: &'a [u8],
    },
    /// A part of a message or a command that is not the last one (S16).
    Part {
        /// The id of the part, counted as those of messages.
        id: u32,
        /// The text of the part, unchecked. It may end within a character.
        text: &'a [u8],
    },
    /// Confirms that all entries below a number have arrived.
    Have {
        /// The number.
        next: u64,
    },
    /// Requests these entries again.
    Repair(Ranges<'a>),
}

/// A range of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The number of the first entry.
    pub from: u64,
    /// The number of entries.
    pub count: u16,
}

/// The ranges of a repair request, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges<'a> {
    bytes: &'a [u8],
}

impl Ranges<'_> {
    /// Iterates over the ranges in their order on the wire.
    pub fn iter(&self) -> impl Iterator<Item = Range> {
        self.bytes.chunks_exact(RANGE_SIZE).filter_map(|bytes| {
            let (from, count) = bytes.split_first_chunk()?;
            let count = u16::from_be_bytes(*count.first_chunk()?);
            Some(Range { from: u64::from_be_bytes(*from), count })
        })
    }
}

/// Parses the message of a datagram. Returns `None` if it is invalid or of an unknown kind.
pub fn parse(message: &[u8]) -> Option<Upstream<'_>> {
    let Some((&kind, body)) = message.split_first() else { return Some(Upstream::KeepAlive) };
    match kind {
        KIND_MESSAGE => {
            let (id, text) = body.split_first_chunk()?;
            Some(Upstream::Message { id: u32::from_be_bytes(*id), text })
        }
        KIND_PART => {
            let (id, text) = body.split_first_chunk()?;
            Some(Upstream::Part { id: u32::from_be_bytes(*id), text })
        }
        KIND_HAVE => {
            let next = u64::from_be_bytes(body.try_into().ok()?);
            Some(Upstream::Have { next })
        }
        KIND_REPAIR if !body.is_empty() && body.len().is_multiple_of(RANGE_SIZE) => {
            Some(Upstream::Repair(Ranges { bytes: body }))
        }
        _ => None,
    }
}

/// Appends a message to `out`.
pub fn encode_message(id: u32, text: &[u8], out: &mut Vec<u8>) {
    out.push(KIND_MESSAGE);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(text);
}

/// Appends a part of a message that is not the last one to `out`.
pub fn encode_part(id: u32, text: &[u8], out: &mut Vec<u8>) {
    out.push(KIND_PART);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(text);
}

/// Appends the confirmation that all entries below `next` have arrived to `out`.
pub fn encode_have(next: u64, out: &mut Vec<u8>) {
    out.push(KIND_HAVE);
    out.extend_from_slice(&next.to_be_bytes());
}

/// Appends a request to repair these entries to `out`. It is invalid without a range.
pub fn encode_repair(ranges: impl IntoIterator<Item = Range>, out: &mut Vec<u8>) {
    out.push(KIND_REPAIR);
    for Range { from, count } in ranges {
        out.extend_from_slice(&from.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_empty_body_keeps_alive() {
        assert_eq!(parse(b""), Some(Upstream::KeepAlive));
    }

    #[test]
    fn s5_message_layout() {
        let mut bytes = Vec::new();
        encode_message(258, b"hi", &mut bytes);
        assert_eq!(bytes, b"\0\0\0\x01\x02hi");
        assert_eq!(bytes.len(), MESSAGE_OVERHEAD + "hi".len());
        assert_eq!(parse(&bytes), Some(Upstream::Message { id: 258, text: b"hi" }));
        assert_eq!(parse(b"\0\0\0\0"), None, "an id that is cut");
    }

    #[test]
    fn s16_part_layout() {
        let mut bytes = Vec::new();
        encode_part(258, b"hi", &mut bytes);
        assert_eq!(bytes, b"\x03\0\0\x01\x02hi");
        assert_eq!(parse(&bytes), Some(Upstream::Part { id: 258, text: b"hi" }));
        assert_eq!(parse(b"\x03\0\0\0"), None, "an id that is cut");
    }

    #[test]
    fn s8_have_layout() {
        let mut bytes = Vec::new();
        encode_have(1 << 40, &mut bytes);
        assert_eq!(bytes, b"\x01\0\0\x01\0\0\0\0\0");
        assert_eq!(parse(&bytes), Some(Upstream::Have { next: 1 << 40 }));
        assert_eq!(parse(&bytes[..8]), None);
        bytes.push(0);
        assert_eq!(parse(&bytes), None);
    }

    #[test]
    fn s10_repair_layout() {
        let ranges = [Range { from: 3, count: 2 }, Range { from: u64::MAX, count: u16::MAX }];
        let mut bytes = Vec::new();
        encode_repair(ranges, &mut bytes);
        assert_eq!(bytes.len(), 1 + 2 * RANGE_SIZE);
        let Some(Upstream::Repair(read)) = parse(&bytes) else { panic!("a repair request") };
        assert_eq!(read.iter().collect::<Vec<_>>(), ranges);
        assert_eq!(parse(&bytes[..1]), None, "no range");
        assert_eq!(parse(&bytes[..20]), None, "a range that is cut");
    }

    #[test]
    fn s5_unknown_kinds_are_rejected() {
        assert_eq!(parse(b"\x04"), None);
        assert_eq!(parse(b"hello"), None);
    }
}
