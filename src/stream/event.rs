//! The events that a receiver delivers.

use crate::protocol::stream::Code;

/// An event of a stream, as a [`StreamReceiver`](super::StreamReceiver) delivers it.
///
/// Names and texts come from the network unchecked. Remove control characters before you write them
/// to a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message from a member. The parts of a long message are joined (S16).
    Message {
        /// The entry's number in the room. For a long message, that of its last part.
        number: u64,
        /// The number of the member that sent it.
        member: u32,
        /// The id that the member gave the message or its last part; 0 from members with plain
        /// delivery.
        id: u32,
        /// The member's name.
        name: &'a [u8],
        /// The text of the message.
        text: &'a [u8],
        /// The entry was missing for a while, or waited for one that was. Its arrival then does not
        /// measure the round trip.
        is_late: bool,
    },
    /// A notice from the server to everyone.
    Notice {
        /// The entry's number in the room.
        number: u64,
        /// The kind of notice: a [`Code`], unless the server is newer than this library.
        code: u8,
        /// The number of the member that it is about, 0 for several.
        member: u32,
        /// That member's name; empty for several.
        name: &'a [u8],
        /// The notice for people.
        text: &'a [u8],
    },
    /// A notice from the server to us alone. It has no place in the order and is delivered at once.
    Aside {
        /// The kind of notice: a [`Code`], unless the server is newer than this library.
        code: u8,
        /// The id that our next message must have.
        expected: u32,
        /// The id of the message that it answers, 0 for none.
        id: u32,
        /// The notice for people; often empty.
        text: &'a [u8],
    },
    /// Entries that are lost for good: the server no longer holds them.
    Gone {
        /// The number of the first one.
        first: u64,
        /// The number of entries.
        count: u64,
    },
}

impl Event<'_> {
    /// Returns the reason if this event ends our membership: an aside that says that we left, timed
    /// out or were removed, that the room was closed, or that the server stops.
    ///
    /// The receiver still repairs the entries below the end: the server answers for another 60 s
    /// (S13).
    pub fn ends_membership(&self) -> Option<Code> {
        let Self::Aside { code, .. } = *self else { return None };
        let ends =
            [Code::Left, Code::TimedOut, Code::RoomClosed, Code::Removed, Code::ServerStopping];
        Code::from_byte(code).filter(|code| ends.contains(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_five_asides_end_membership() {
        let ends =
            [Code::Left, Code::TimedOut, Code::RoomClosed, Code::Removed, Code::ServerStopping];
        let ends = ends.map(|code| code as u8);
        for code in 0..=255 {
            let aside = Event::Aside { code, expected: 1, id: 0, text: b"" };
            assert_eq!(aside.ends_membership().is_some(), ends.contains(&code), "{code}");
            let notice = Event::Notice { number: 1, code, member: 3, name: b"", text: b"" };
            assert_eq!(notice.ends_membership(), None);
        }
    }
}
