//! The wire format for both ends: bytes to values and back, without any I/O.
//!
//! reactor-chat speaks TCRP, a protocol that other chat clients and servers speak too. Requests and
//! replies are frames on TCP ([`frame`], [`request`], [`reply`]). Messages and notices are datagrams on
//! UDP ([`datagram`], [`notice`]), or a [`stream`] with order and repair.
//!
//! Decoders take all input so far and keep nothing. They return "incomplete" as a value, so input may
//! arrive in any pieces. The [protocol page](#the-protocol) below is the specification. The tests
//! that hold one of its statements have its number in their names.
//!
//! # A client in ten steps
//!
//! 1. Connect over TCP to [`DEFAULT_TCP_PORT`] of the server, and keep the local IP of the connection.
//! 2. Check the names that the user typed with [`name::room_name`] and [`name::user_name`].
//! 3. Send a [`Request`] as [`request::encode`] writes it.
//! 4. Read until [`reply::decode`] returns more than [`Incomplete`](reply::DecodedReply::Incomplete). A
//!    refusal has a [`Status`].
//! 5. Get the [`Token`] from the payload with [`reply::Admission::parse`]. A page of the list of rooms
//!    is parsed by [`room_list::parse_page`].
//! 6. Bind a UDP socket to the local IP of step 1 and connect it to [`DEFAULT_UDP_PORT`].
//! 7. Send an empty message with [`datagram::encode_upstream`]: it tells the server your port. Repeat it
//!    after 0.25 and 1 s, because it may be lost, and then every 20 s, also while the user is silent.
//! 8. Send what the user types with the same function. [`command`] writes commands and escapes messages
//!    that begin with `/`.
//! 9. Receive datagrams of up to [`datagram::MAX_DOWNSTREAM`] bytes. With named delivery, parse them with
//!    [`datagram::parse_named`]. With stream delivery, leave steps 7 to 9 to
//!    [`StreamReceiver`](crate::stream::StreamReceiver) and [`StreamSender`](crate::stream::StreamSender);
//!    still write what the user types with [`command`], and pass it to `StreamSender::push`.
//! 10. Send [`command::EXIT`] to leave. End when a notice satisfies [`notice::ends_membership`].
//!
//! To encrypt, speak TLS 1.3 on the connection of step 1, ask for a [seal](request::PathWishes::seal) in
//! step 3, and get [`SealTerms`] in step 5. Then put `seal::Sealer` and `seal::ClientOpener` around the
//! datagrams of steps 7 to 9. Seal the message alone, without room name and token (E7).
//! Do not go on without the terms, drop datagrams that do not open, and answer challenges (E10).
//!
//! Where UDP is blocked, ask for [carrying](request::PathWishes::carry) in step 3. The messages then
//! travel on the connection of step 1, as [units](carried).
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use std::net::{TcpStream, UdpSocket};
//!
//! use reactor_chat::protocol::datagram::{MAX_DOWNSTREAM, Named, encode_upstream, parse_named};
//! use reactor_chat::protocol::reply::{self, Admission, DecodedReply};
//! use reactor_chat::protocol::request::{self, PathWishes};
//! use reactor_chat::protocol::{
//!     DEFAULT_TCP_PORT, DEFAULT_UDP_PORT, Delivery, Entrant, Form, Request, name,
//! };
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut tcp = TcpStream::connect(("127.0.0.1", DEFAULT_TCP_PORT))?;
//!     let room = name::room_name(b"lobby").ok_or("not a room name")?;
//!     let name = name::user_name("ann").ok_or("not a user name")?;
//!     let delivery = Delivery::Plain(Form::Named);
//!     let path = PathWishes::default();
//!     let ann = Entrant { room, name, password: None, delivery, history: 0, path };
//!     tcp.write_all(&request::encode(&Request::Join(ann)))?;
//!
//!     let mut input = Vec::new();
//!     let token = loop {
//!         let mut chunk = [0; 4096];
//!         let size = tcp.read(&mut chunk)?;
//!         input.extend_from_slice(&chunk[..size]);
//!         match reply::decode(&input, 4096) {
//!             DecodedReply::Incomplete if size > 0 => {}
//!             DecodedReply::Granted { payload, .. } => {
//!                 break Admission::parse(payload).ok_or("no token")?.token();
//!             }
//!             other => return Err(format!("{other:?}").into()),
//!         }
//!     };
//!
//!     let udp = UdpSocket::bind((tcp.local_addr()?.ip(), 0))?;
//!     udp.connect((tcp.peer_addr()?.ip(), DEFAULT_UDP_PORT))?;
//!     for message in ["", "hello"] {
//!         let mut datagram = Vec::new();
//!         encode_upstream("lobby", token, message.as_bytes(), &mut datagram);
//!         udp.send(&datagram)?;
//!     }
//!     let mut buffer = [0; MAX_DOWNSTREAM];
//!     loop {
//!         let size = udp.recv(&mut buffer)?;
//!         match parse_named(&buffer[..size]) {
//!             Some(Named::Message { name, message }) => {
//!                 println!("{}: {}", name.escape_ascii(), message.escape_ascii());
//!             }
//!             Some(Named::Notice(text)) => println!("{}", text.escape_ascii()),
//!             None => {}
//!         }
//!     }
//! }
//! ```
#![doc = include_str!("PROTOCOL.md")]

pub mod bans;
pub mod carried;
pub mod command;
pub mod datagram;
pub mod frame;
mod hex;
pub mod members;
pub mod name;
pub mod notice;
pub mod reply;
pub mod request;
pub mod room_list;
pub mod seal;
pub mod status;
pub mod stream;
pub mod token;

pub use datagram::Form;
pub use frame::{Decoded, Frame, decode};
pub use notice::{Language, Notice};
pub use request::{Delivery, Entrant, Operation, Request};
pub use room_list::RoomInfo;
pub use seal::{Cipher, Ciphers, SealTerms, Secret};
pub use status::Status;
pub use token::Token;

/// The TCP port for requests that servers and clients of this protocol use by default.
pub const DEFAULT_TCP_PORT: u16 = 9001;

/// The UDP port for messages that servers and clients of this protocol use by default.
pub const DEFAULT_UDP_PORT: u16 = 9002;
