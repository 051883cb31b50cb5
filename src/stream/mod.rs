//! The member's end of stream delivery, for any client: [`StreamReceiver`] puts the room's stream in
//! order and requests missing entries again, [`StreamSender`] sends messages until the server has
//! taken them.
//!
//! Both are state machines without a socket, a thread or a clock. The caller owns the UDP socket and
//! the loop. It feeds received datagrams in, passes the time with every call, and sends what comes
//! out. The rules are the statements S3 to S10 and S16 of the [protocol](crate::protocol); their
//! numbers are in the names of the tests.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use reactor_chat::protocol::stream::{Entry, Header};
//! use reactor_chat::stream::{Event, StreamReceiver, StreamSender};
//!
//! // From the completion of the create or join request: tag 7, next 40, expected 1, member 3.
//! let now = Instant::now();
//! let mut receiver = StreamReceiver::new(7, 40, Duration::from_secs(20), now);
//! let mut sender = StreamSender::new(3, 1, "lobby");
//! sender.push(b"hello").expect("an empty queue has space");
//!
//! // After each event of the loop: send until there is nothing left to send.
//! let mut body = Vec::new();
//! while receiver.poll_transmit(now, &mut body) || sender.poll_transmit(now, &mut body) {
//!     // socket.send(room and token, then body)
//! }
//!
//! // Wait for the socket, but not beyond the earlier of the two timeouts.
//! let wait_until = receiver.poll_timeout().into_iter().chain(sender.poll_timeout()).min();
//! assert!(wait_until.is_some());
//! receiver.handle_timeout(now);
//! sender.handle_timeout(now);
//!
//! // A datagram came. This one is written by hand and holds our relayed message.
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
//!
//! # Notes for the loop
//!
//! The [ten steps to a client](crate::protocol#a-client-in-ten-steps) lead here. In the loop:
//!
//! * Connect the UDP socket, so that it takes datagrams from the server only. Bind it to the IP that
//!   the TCP connection has: the server accepts no other. Receive with a buffer of
//!   [`MAX_DOWNSTREAM`] bytes.
//! * Treat errors of sending and receiving as loss. `ConnectionRefused` only says that nothing
//!   listens at the moment.
//! * Put each body behind room and token with [`encode_upstream`], which appends. The order in which
//!   you poll receiver and sender does not matter. With room and token, no datagram of the sender
//!   exceeds [`MAX_PACKED`] bytes: a long message goes out in parts and comes back joined (S16).
//! * A sealed membership has a `Sealer` in place of room and token, and a `ClientOpener` before
//!   [`StreamReceiver::handle_datagram`] (module `seal`, cargo feature `tls`). Its socket may change
//!   networks: send two `have`s from the new address, and answer the server's challenge.
//! * Your own message comes back as an [`Event::Message`] with the completion's `member` and the id
//!   that [`StreamSender::push`] returned. The sender repeats messages that are refused for the rate
//!   (code 8). The texts of asides are for people.
//! * Three in [`StreamReceiver::unanswered`] mean that the server does not answer. At four, resume
//!   over TCP; if that is refused with status 2, join again. After a resume keep both machines. After
//!   a new join make new ones, and push the texts of [`StreamSender::into_open`] again.
//! * If UDP is blocked, resume with `carry` in the request, and call [`StreamReceiver::carry`] and
//!   [`StreamSender::carry`] with each new connection. The bodies and datagrams then travel as units
//!   of the connection (C1), without room and token. When it ends, resume over another one at once.
//! * To leave, push `/exit` and continue until [`Event::ends_membership`]. After any end, continue
//!   until [`StreamReceiver::is_complete`] if you want the last entries: after a room was closed,
//!   the server answers for another 60 s.
//!
//! [`MAX_PACKED`]: crate::protocol::stream::MAX_PACKED
//! [`MAX_DOWNSTREAM`]: crate::protocol::datagram::MAX_DOWNSTREAM
//! [`encode_upstream`]: crate::protocol::datagram::encode_upstream

#[cfg(test)]
mod carrying_tests;
mod event;
mod gaps;
#[cfg(test)]
mod golden_tests;
mod keep_alive;
mod open_part;
mod reassembly;
mod receiver;
mod reorder_buffer;
mod rtt;
mod sender;
mod sequencer;
#[cfg(test)]
mod tests;

pub use event::Event;
pub use receiver::StreamReceiver;
pub use sender::{MAX_OPEN, MAX_OPEN_BYTES, PushError, StreamSender};
