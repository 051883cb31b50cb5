//! The member's side of stream delivery, for any client: [`StreamReceiver`] takes the room's stream
//! in and asks again for what is missing, [`StreamSender`] sends messages until they are taken.
//!
//! There is no socket, no thread and no clock in here. The caller owns the UDP socket and the loop:
//! it puts in what it received and says what time it is, and it sends what comes out, with its token
//! before it (as any message, by [`protocol::datagram`](crate::protocol::datagram)). The rules are
//! the statements S3 to S10 and S16 of the protocol; their numbers are in the names of the tests.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use reactor_chat::protocol::stream::{Entry, Header};
//! use reactor_chat::stream::{Event, StreamReceiver, StreamSender};
//!
//! // What the completion of the create or join request said: tag 7, next 40, expected 1, member 3.
//! let now = Instant::now();
//! let mut receiver = StreamReceiver::new(7, 40, Duration::from_secs(20), now);
//! let mut sender = StreamSender::new(3, 1, "lobby");
//! sender.push(b"hello").expect("nothing is open yet");
//!
//! // After whatever happened: send until there is nothing to send.
//! let mut body = Vec::new();
//! while receiver.poll_transmit(now, &mut body) || sender.poll_transmit(now, &mut body) {
//!     // socket.send(token, then body)
//! }
//!
//! // Then wait for the socket, but no longer than until the earlier of these.
//! let wait_until = receiver.poll_timeout().into_iter().chain(sender.poll_timeout()).min();
//! assert!(wait_until.is_some());
//! receiver.handle_timeout(now);
//! sender.handle_timeout(now);
//!
//! // A datagram came: here it is written by hand, and holds the relayed message.
//! let mut datagram = Vec::new();
//! Header { tag: 7, sequence: 40 }.encode(&mut datagram);
//! Entry::Message { member: 3, id: 1, name: b"ann", text: b"hello" }.encode(&mut datagram);
//! receiver.handle_datagram(&datagram, now, |event| {
//!     sender.handle_event(&event, now);
//!     if let Event::Message { name, text, .. } = event {
//!         println!("{}: {}", name.escape_ascii(), text.escape_ascii());
//!     }
//! });
//! assert_eq!((receiver.next(), sender.open()), (41, 0));
//! ```

//! # The rest of a client
//!
//! 1. Send a create or join request over TCP ([`frame::encode`](crate::protocol::frame), its payload
//!    is JSON, as src/protocol/PROTOCOL.md tells), read two frames, and make a
//!    [`Completion`](crate::protocol::stream::Completion) of the second one's payload.
//! 2. Open a UDP socket at the IP that the TCP connection had, and connect it: what comes from other
//!    addresses is not to be put in. Receive with [`MAX_DOWNSTREAM`] bytes. Errors of sending and
//!    receiving are like a loss: `ConnectionRefused` says no more than that nothing listens now.
//! 3. Put every body behind room and token with [`encode_upstream`], which appends. Which of the two
//!    is asked first what it has to send does not matter.
//!    No datagram of the sender exceeds [`MAX_PACKED`] bytes with room and token: a long message goes
//!    out in parts, and comes back joined (S16).
//! 4. A message of one's own is an [`Event::Message`] with the completion's `member` and the id that
//!    [`StreamSender::push`] gave. What is put off (code 8) is sent again by the sender; texts of
//!    asides are for people.
//! 5. When [`StreamReceiver::unanswered`] has grown to 3, the server does not answer; to 4, it is time
//!    to resume over TCP, and if that is refused with status 2, to join again.
//! 6. To leave, push `/exit` and go on until [`Event::ends_membership`]. After any end, go on for what
//!    [`StreamReceiver::is_complete`] misses as long as you like; the server answers for 60 s if the
//!    room was closed.
//!
//! [`MAX_PACKED`]: crate::protocol::stream::MAX_PACKED
//! [`MAX_DOWNSTREAM`]: crate::protocol::datagram::MAX_DOWNSTREAM
//! [`encode_upstream`]: crate::protocol::datagram::encode_upstream

mod gaps;
mod keep_alive;
mod reassembly;
mod receiver;
mod reorder_buffer;
mod rtt;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::StreamReceiver;
pub use sender::{MAX_OPEN, MAX_OPEN_BYTES, PushError, StreamSender};

use crate::protocol::stream::Code;

/// What a receiver hands on. Names and texts come from the network: they are not checked, and a
/// terminal must not be given their control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A member said this. The parts of a long message are joined (S16).
    Message {
        /// The entry's number in the room: that of the last part.
        number: u64,
        /// The number of the member that said it.
        member: u32,
        /// The id that it gave the message, or its last part; 0 from members without stream
        /// delivery.
        id: u32,
        /// Its name.
        name: &'a [u8],
        /// What it said.
        text: &'a [u8],
        /// It was missing for a while, or waited here for one that was: when it comes tells nothing
        /// of the round trip.
        is_late: bool,
    },
    /// The server says this to everyone.
    Notice {
        /// The entry's number in the room.
        number: u64,
        /// What it is about, a [`Code`] if it is known.
        code: u8,
        /// The member that it is about, 0 for several.
        member: u32,
        /// That member's name; empty for several.
        name: &'a [u8],
        /// The same for people.
        text: &'a [u8],
    },
    /// The server says this to us alone. It is handed on at once and has no place in the order.
    Aside {
        /// What it is about, a [`Code`] if it is known.
        code: u8,
        /// The id that our next message must have.
        expected: u32,
        /// The message that it answers, 0 for none.
        id: u32,
        /// The same for people; often empty.
        text: &'a [u8],
    },
    /// These entries are gone for good: the server no longer holds them.
    Gone {
        /// The number of the first.
        first: u64,
        /// How many.
        count: u64,
    },
}

impl Event<'_> {
    /// The reason, if this says that we are no member any more: an aside that we left, were silent
    /// for too long, that the room was closed, that we were removed or that the server stops. The
    /// receiver goes on with what is missing below the end: the server answers for another 60 s
    /// (S13).
    pub fn ends_membership(&self) -> Option<Code> {
        let Self::Aside { code, .. } = *self else { return None };
        let ends =
            [Code::Left, Code::TimedOut, Code::RoomClosed, Code::Removed, Code::ServerStopping];
        Code::from_byte(code).filter(|code| ends.contains(code))
    }
}
