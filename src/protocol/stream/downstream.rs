//! Datagrams to a member: `tag u32 | sequence u64 | entries`, each entry `size u16 | kind u8 | body`
//! (S2, S3).
//!
//! Invalid bytes end a datagram. The entries before them still count.
//!
//! ```
//! use reactor_chat::protocol::stream::downstream::parse;
//! use reactor_chat::protocol::stream::{Entry, Header};
//!
//! let mut datagram = Vec::new();
//! Header { tag: 7, sequence: 40 }.encode(&mut datagram);
//! Entry::Message { member: 3, id: 1, name: b"ann", text: b"hello" }.encode(&mut datagram);
//!
//! let (header, mut entries) = parse(&datagram).expect("a header");
//! assert_eq!((header.tag, header.sequence), (7, 40));
//! assert!(matches!(entries.next(), Some(Entry::Message { text: b"hello", .. })));
//! ```

/// The size of a header, in bytes.
pub const HEADER_SIZE: usize = 12;

/// The offset of the kind in an entry, behind its size.
pub const KIND_AT: usize = 2;

/// The bytes of an entry's size and kind.
pub const ENTRY_OVERHEAD: usize = 3;

/// The bytes of a message beside name and text: size, kind, member, id and the name's size.
pub const MESSAGE_OVERHEAD: usize = ENTRY_OVERHEAD + 4 + 4 + 1;

/// The bytes of a notice beside name and text: size, kind, code, member and the name's size.
pub const NOTICE_OVERHEAD: usize = ENTRY_OVERHEAD + 1 + 4 + 1;

/// The bytes of an aside beside its text: size, kind, code, expected id and id.
pub const ASIDE_OVERHEAD: usize = ENTRY_OVERHEAD + 1 + 4 + 4;

const KIND_MESSAGE: u8 = 0;
const KIND_NOTICE: u8 = 1;
const KIND_ASIDE: u8 = 2;
/// The kind of a part of a message that is not the last one.
pub const KIND_PART: u8 = 3;
const KIND_GONE: u8 = 4;

/// The header of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tag of the membership to which the datagram is sent.
    pub tag: u32,
    /// The number of the first numbered entry. Without one, the number of the room's next entry.
    pub sequence: u64,
}

impl Header {
    /// Appends the header to `out`.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
    }
}

/// The kind of a notice or an aside (S4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// A member joined.
    Joined = 1,
    /// A member left.
    Left = 2,
    /// A member was removed for silence.
    TimedOut = 3,
    /// The host removed a member.
    Kicked = 4,
    /// The room was closed.
    RoomClosed = 5,
    /// A member became the host.
    NewHost = 6,
    /// You were removed.
    Removed = 7,
    /// The message was not taken, because it came too fast: send it again later.
    RateLimited = 8,
    /// The message was taken, but is not relayed.
    Refused = 9,
    /// The answer to a command.
    Answer = 10,
    /// The state of the membership, without a text.
    State = 12,
    /// The server stops or restarts, which closes the room: join again a little later.
    ServerStopping = 13,
}

impl Code {
    const ALL: [Self; 12] = [
        Self::Joined,
        Self::Left,
        Self::TimedOut,
        Self::Kicked,
        Self::RoomClosed,
        Self::NewHost,
        Self::Removed,
        Self::RateLimited,
        Self::Refused,
        Self::Answer,
        Self::State,
        Self::ServerStopping,
    ];

    /// Returns the code of a byte from the wire, or `None` if it is unknown.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == byte)
    }
}

/// An entry of a datagram. Names and texts are unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A message from a member.
    Message {
        /// The member's number in the room.
        member: u32,
        /// The id that the member gave the message; 0 from members with plain delivery.
        id: u32,
        /// The member's name.
        name: &'a [u8],
        /// The text of the message.
        text: &'a [u8],
    },
    /// A part of a message that is not the last one (S16). The last part is an [`Entry::Message`].
    Part {
        /// The member's number in the room.
        member: u32,
        /// The id of the message, which all its parts share.
        id: u32,
        /// The member's name.
        name: &'a [u8],
        /// The text of the part. It may end within a character.
        text: &'a [u8],
    },
    /// A notice from the server to everyone.
    Notice {
        /// The kind of notice: a [`Code`], unless the server is newer than this library.
        code: u8,
        /// The number of the member that it is about, 0 for several.
        member: u32,
        /// That member's name; empty for several.
        name: &'a [u8],
        /// The notice for people.
        text: &'a [u8],
    },
    /// A notice from the server to one member. It takes no number and is not repaired.
    Aside {
        /// The kind of notice: a [`Code`], unless the server is newer than this library.
        code: u8,
        /// The id that the member's next message must have.
        expected: u32,
        /// The id of the message that it answers, 0 for none.
        id: u32,
        /// The notice for people; often empty.
        text: &'a [u8],
    },
    /// Entries that the server no longer holds.
    Gone {
        /// The number of entries.
        count: u32,
    },
    /// An entry of an unknown kind. It takes no number.
    Unknown,
}

impl Entry<'_> {
    /// Returns the number of numbers that the entry takes.
    pub fn numbers(&self) -> u64 {
        match self {
            Self::Message { .. } | Self::Part { .. } | Self::Notice { .. } => 1,
            Self::Gone { count } => u64::from(*count),
            Self::Aside { .. } | Self::Unknown => 0,
        }
    }

    /// Appends the entry with its size to `out`. [`Entry::Unknown`] appends nothing.
    ///
    /// # Panics
    /// If a name is longer than 255 bytes, or the entry longer than 65,535. Valid names and messages
    /// never are.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        match *self {
            Self::Message { member, id, name, text } => {
                out.push(KIND_MESSAGE);
                extend_with_message((member, id), name, text, out);
            }
            Self::Part { member, id, name, text } => {
                out.push(KIND_PART);
                extend_with_message((member, id), name, text, out);
            }
            Self::Notice { code, member, name, text } => {
                out.extend_from_slice(&[KIND_NOTICE, code]);
                out.extend_from_slice(&member.to_be_bytes());
                extend_with_name(name, out);
                out.extend_from_slice(text);
            }
            Self::Aside { code, expected, id, text } => {
                out.extend_from_slice(&[KIND_ASIDE, code]);
                out.extend_from_slice(&expected.to_be_bytes());
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(text);
            }
            Self::Gone { count } => {
                out.push(KIND_GONE);
                out.extend_from_slice(&count.to_be_bytes());
            }
            Self::Unknown => return out.truncate(start),
        }
        let size = u16::try_from(out.len() - start - 2).expect("at most 65,535 bytes");
        out[start..start + 2].copy_from_slice(&size.to_be_bytes());
    }

    /// Parses the bytes behind an entry's size.
    fn parse(bytes: &[u8]) -> Option<Entry<'_>> {
        let (&kind, body) = bytes.split_first()?;
        Some(match kind {
            KIND_MESSAGE => {
                let (member, id, name, text) = split_message(body)?;
                Entry::Message { member, id, name, text }
            }
            KIND_PART => {
                let (member, id, name, text) = split_message(body)?;
                Entry::Part { member, id, name, text }
            }
            KIND_NOTICE => {
                let (&code, body) = body.split_first()?;
                let (member, body) = split_u32(body)?;
                let (name, text) = split_name(body)?;
                Entry::Notice { code, member, name, text }
            }
            KIND_ASIDE => {
                let (&code, body) = body.split_first()?;
                let (expected, body) = split_u32(body)?;
                let (id, text) = split_u32(body)?;
                Entry::Aside { code, expected, id, text }
            }
            KIND_GONE => Entry::Gone { count: split_u32(body)?.0 },
            _ => Entry::Unknown,
        })
    }
}

/// Appends the body that a message and each of its parts have.
fn extend_with_message((member, id): (u32, u32), name: &[u8], text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&member.to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
    extend_with_name(name, out);
    out.extend_from_slice(text);
}

fn extend_with_name(name: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(name.len()).expect("a name of at most 255 bytes"));
    out.extend_from_slice(name);
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// Splits the body of a message or of a part: the sender's number, the message's id, name and text.
fn split_message(body: &[u8]) -> Option<(u32, u32, &[u8], &[u8])> {
    let (member, body) = split_u32(body)?;
    let (id, body) = split_u32(body)?;
    let (name, text) = split_name(body)?;
    Some((member, id, name, text))
}

fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&size, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(size))
}

/// An iterator over the entries of a datagram. It ends at a size of 0 or at the last byte, where
/// padding begins, and at an invalid entry.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Returns the bytes of the next entry, with its size, and the parsed entry.
    pub fn next_with_bytes(&mut self) -> Option<(&'a [u8], Entry<'a>)> {
        let (size, _) = self.rest.split_first_chunk()?;
        let size = usize::from(u16::from_be_bytes(*size));
        let (bytes, rest) = self.rest.split_at_checked(2 + size)?;
        let entry = Entry::parse(&bytes[2..])?;
        self.rest = rest;
        Some((bytes, entry))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        Some(self.next_with_bytes()?.1)
    }
}

/// Parses a datagram. Returns `None` if it is too short for a header.
pub fn parse(datagram: &[u8]) -> Option<(Header, Entries<'_>)> {
    let (tag, rest) = split_u32(datagram)?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let sequence = u64::from_be_bytes(*sequence);
    Some((Header { tag, sequence }, Entries { rest }))
}

/// Iterates over the entries in these bytes, which follow each other directly.
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes }
}

/// Parses one entry with its size, such as [`Entries::next_with_bytes`] returns.
pub fn parse_entry(bytes: &[u8]) -> Option<Entry<'_>> {
    entries(bytes).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Entry<'static>; 5] {
        [
            Entry::Message { member: 7, id: 9, name: b"bob", text: b"hi" },
            Entry::Part { member: 7, id: 9, name: b"bob", text: b"hi" },
            Entry::Notice { code: 1, member: 7, name: b"bob", text: b"bob joined" },
            Entry::Aside { code: 12, expected: 3, id: 0, text: b"" },
            Entry::Gone { count: 5 },
        ]
    }

    fn datagram(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        Header { tag: 0xaabb_ccdd, sequence: 258 }.encode(&mut out);
        entries.iter().for_each(|entry| entry.encode(&mut out));
        out
    }

    #[test]
    fn s1_entry_layout() {
        let [message, part, notice, aside, gone] = all();
        assert_eq!(datagram(&[]), b"\xaa\xbb\xcc\xdd\0\0\0\0\0\0\x01\x02");
        let body = |entry| datagram(&[entry])[HEADER_SIZE..].to_vec();
        assert_eq!(body(message).len(), MESSAGE_OVERHEAD + "bob".len() + "hi".len());
        assert_eq!(body(notice).len(), NOTICE_OVERHEAD + "bob".len() + "bob joined".len());
        assert_eq!(body(message), b"\0\x0f\0\0\0\0\x07\0\0\0\x09\x03bobhi");
        assert_eq!(body(part), b"\0\x0f\x03\0\0\0\x07\0\0\0\x09\x03bobhi");
        assert_eq!(body(notice), b"\0\x14\x01\x01\0\0\0\x07\x03bobbob joined");
        assert_eq!(body(aside).len(), ASIDE_OVERHEAD);
        assert_eq!(body(aside), b"\0\x0a\x02\x0c\0\0\0\x03\0\0\0\0");
        assert_eq!(body(gone), b"\0\x05\x04\0\0\0\x05");
        assert_eq!(all().map(|entry| entry.numbers()), [1, 1, 1, 0, 5]);
    }

    #[test]
    fn s2_padding_ends_a_datagram() {
        let mut bytes = datagram(&all());
        let header = Header { tag: 0xaabb_ccdd, sequence: 258 };
        for padding in [0, 1, 2, 40] {
            bytes.resize(datagram(&all()).len() + padding, 0);
            let (read, entries) = parse(&bytes).unwrap();
            assert_eq!((read, entries.collect::<Vec<_>>()), (header, all().to_vec()));
        }
    }

    #[test]
    fn s2_kept_entry_is_parsed_again() {
        let bytes = datagram(&all());
        let mut entries = parse(&bytes).unwrap().1;
        while let Some((kept, entry)) = entries.next_with_bytes() {
            assert_eq!(parse_entry(kept), Some(entry));
        }
        assert_eq!(parse_entry(b""), None);
    }

    #[test]
    fn s2_unknown_kind_is_skipped() {
        let mut bytes = datagram(&[]);
        bytes.extend_from_slice(b"\0\x03\x09xx");
        all()[0].encode(&mut bytes);
        let entries: Vec<_> = parse(&bytes).unwrap().1.collect();
        assert_eq!(entries, [Entry::Unknown, all()[0]]);
        assert_eq!(entries[0].numbers(), 0);
    }

    #[test]
    fn s2_cut_datagram_keeps_whole_entries() {
        let bytes = datagram(&all());
        for cut in 0..bytes.len() {
            let Some((_, entries)) = parse(&bytes[..cut]) else {
                assert!(cut < HEADER_SIZE);
                continue;
            };
            let entries: Vec<_> = entries.collect();
            assert!(
                entries.len() < all().len() && entries[..] == all()[..entries.len()],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn s4_codes() {
        for code in 0..=255 {
            assert_eq!(Code::from_byte(code).is_some(), matches!(code, 1..=10 | 12 | 13), "{code}");
        }
    }
}
