//! What a member gets: `tag u32 | sequence u64 | entries`, each entry `size u16 | kind u8 | body`.
//!
//! Everything is read with the same care on both sides of the wire: bytes that make no sense end
//! the datagram, they do not spoil what came before them.

/// Bytes of the tag and the sequence.
pub const HEADER_SIZE: usize = 12;

/// Offset of the kind in an entry, behind its size.
pub const KIND_AT: usize = 2;

/// Bytes of an entry's size and kind.
pub const ENTRY_OVERHEAD: usize = 3;

/// Bytes of a message beside name and text: member, id and the name's size.
pub const MESSAGE_OVERHEAD: usize = ENTRY_OVERHEAD + 4 + 4 + 1;

/// Bytes of a notice beside name and text: code, member and the name's size.
pub const NOTICE_OVERHEAD: usize = ENTRY_OVERHEAD + 1 + 4 + 1;

/// Bytes of an aside beside its text: code, expected id and id.
pub const ASIDE_OVERHEAD: usize = ENTRY_OVERHEAD + 1 + 4 + 4;

const KIND_MESSAGE: u8 = 0;
const KIND_NOTICE: u8 = 1;
const KIND_ASIDE: u8 = 2;
/// The kind of a part of a message, with more to come.
pub const KIND_PART: u8 = 3;
const KIND_GONE: u8 = 4;

/// What every datagram begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Tag of the membership to which the datagram is sent.
    pub tag: u32,
    /// The number of the first entry that takes one; without such an entry, the number that the
    /// room gives next.
    pub sequence: u64,
}

impl Header {
    /// Writes the header behind what `out` holds.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
    }
}

/// What a notice or an aside is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Somebody became a member.
    Joined = 1,
    /// Somebody left.
    Left = 2,
    /// Somebody was removed for silence.
    TimedOut = 3,
    /// The host removed somebody.
    Kicked = 4,
    /// The room is no more.
    RoomClosed = 5,
    /// Somebody became the host.
    NewHost = 6,
    /// You were removed.
    Removed = 7,
    /// It came too fast and was not taken: send it again, later.
    RateLimited = 8,
    /// It was taken and not relayed.
    Refused = 9,
    /// The answer to a command.
    Answer = 10,
    /// How things stand, without a text.
    State = 12,
    /// The server stops or restarts, and the room ends with it: come back a little later.
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

    /// The code of a byte from the wire.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == byte)
    }
}

/// One entry, as it lies in a datagram. Texts are not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A member said this.
    Message {
        /// Its number in the room.
        member: u32,
        /// The id that it gave the message; 0 from members without stream delivery.
        id: u32,
        /// Its name.
        name: &'a [u8],
        /// What it said.
        text: &'a [u8],
    },
    /// A part of a message, with more to come (S16). The last part is an [`Entry::Message`].
    Part {
        /// The sender's number in the room.
        member: u32,
        /// The id of the message, the same in each of its parts.
        id: u32,
        /// The sender's name.
        name: &'a [u8],
        /// The part. It may end within a character.
        text: &'a [u8],
    },
    /// The server says this to everyone.
    Notice {
        /// What it is about, as a byte: there may be more codes one day.
        code: u8,
        /// The member that it is about, 0 for several.
        member: u32,
        /// That member's name; empty for several.
        name: &'a [u8],
        /// The same for people.
        text: &'a [u8],
    },
    /// The server says this to one member alone. It takes no number and is not repaired.
    Aside {
        /// What it is about.
        code: u8,
        /// The id that the member's next message must have.
        expected: u32,
        /// The message that it answers, 0 for none.
        id: u32,
        /// The same for people; often empty.
        text: &'a [u8],
    },
    /// Entries that are no longer held: nobody gets them any more.
    Gone {
        /// How many.
        count: u32,
    },
    /// Of a kind that is not known here. It takes no number.
    Unknown,
}

impl Entry<'_> {
    /// How many numbers the entry takes.
    pub fn numbers(&self) -> u64 {
        match self {
            Self::Message { .. } | Self::Part { .. } | Self::Notice { .. } => 1,
            Self::Gone { count } => u64::from(*count),
            Self::Aside { .. } | Self::Unknown => 0,
        }
    }

    /// Writes the entry, size first, behind what `out` holds. [`Entry::Unknown`] writes nothing.
    ///
    /// # Panics
    /// If a name is longer than 255 bytes or the whole longer than 65,535: names and messages are
    /// checked at the door.
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

    /// Makes sense of what follows an entry's size.
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

/// Writes the body that a message and each of its parts have.
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

/// The entries of a datagram, one after the other. A size of 0, and fewer than two bytes, end it:
/// the rest is padding. So does what makes no sense.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The bytes of the next entry, its size included, and what they mean.
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

/// Makes sense of a datagram; `None` if it is too short for a header.
pub fn parse(datagram: &[u8]) -> Option<(Header, Entries<'_>)> {
    let (tag, rest) = split_u32(datagram)?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let sequence = u64::from_be_bytes(*sequence);
    Some((Header { tag, sequence }, Entries { rest }))
}

/// Returns the entries that stand in these bytes one behind the other, each with its size.
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes }
}

/// Makes sense of one entry that was kept with its size, as [`Entries::next_with_bytes`] gave it.
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
