//! What a member sends in the place of a message: `kind u8 | body`, or nothing at all to keep alive.

const KIND_MESSAGE: u8 = 0;
const KIND_HAVE: u8 = 1;
const KIND_REPAIR: u8 = 2;
const KIND_PART: u8 = 3;

/// Bytes of a message, or of a part, beside its text: kind and id.
pub const MESSAGE_OVERHEAD: usize = 1 + 4;

/// Bytes of one range of a repair request.
const RANGE_SIZE: usize = 10;

/// What a member sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream<'a> {
    /// It is there.
    KeepAlive,
    /// A message or a command, or the last part of one.
    Message {
        /// Its id, counted up from 1.
        id: u32,
        /// What it says, not checked yet.
        text: &'a [u8],
    },
    /// A part of a message or a command, with more to come (S16).
    Part {
        /// Its own id, counted as those of messages.
        id: u32,
        /// The part, not checked yet. It may end within a character.
        text: &'a [u8],
    },
    /// Every entry below this number has arrived.
    Have {
        /// The number.
        next: u64,
    },
    /// These entries are to be sent again.
    Repair(Ranges<'a>),
}

/// Entries from a number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u16,
}

/// The ranges of a repair request, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges<'a> {
    bytes: &'a [u8],
}

impl Ranges<'_> {
    /// One after the other, in the order in which they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = Range> {
        self.bytes.chunks_exact(RANGE_SIZE).filter_map(|bytes| {
            let (from, count) = bytes.split_first_chunk()?;
            let count = u16::from_be_bytes(*count.first_chunk()?);
            Some(Range { from: u64::from_be_bytes(*from), count })
        })
    }
}

/// Makes sense of what stands in the place of a message; `None` if there is no sense in it.
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

/// Writes a message behind what `out` holds.
pub fn encode_message(id: u32, text: &[u8], out: &mut Vec<u8>) {
    out.push(KIND_MESSAGE);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(text);
}

/// Writes a part of a message, with more to come, behind what `out` holds.
pub fn encode_part(id: u32, text: &[u8], out: &mut Vec<u8>) {
    out.push(KIND_PART);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(text);
}

/// Writes that everything below `next` has arrived.
pub fn encode_have(next: u64, out: &mut Vec<u8>) {
    out.push(KIND_HAVE);
    out.extend_from_slice(&next.to_be_bytes());
}

/// Writes a request to send these entries again. Without a range it means nothing.
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
