//! The wire: bytes to values and back, without any input or output.
//!
//! reactor-chat speaks TCRP, the protocol of a whole family of chat clients. Requests and replies
//! are frames on TCP ([`frame`], [`request`], [`reply`]); messages and notices are datagrams on UDP
//! ([`datagram`], [`notice`]), or a [`stream`] for who asks for that. The page below tells the
//! protocol in full. Its statements have numbers, W1 to W38 and S1 to S15, which stand in the names of the
//! tests that hold them; `tests/statements.rs` is the list.
//!
//! Codecs eat bytes and give values. "Not yet" is a value too, so that input may be cut anywhere.
#![doc = include_str!("PROTOCOL.md")]

pub mod bans;
pub mod command;
pub mod datagram;
pub mod frame;
pub mod members;
pub mod name;
pub mod notice;
pub mod reply;
pub mod request;
pub mod room_list;
pub mod status;
pub mod stream;
pub mod token;

pub use datagram::Form;
pub use frame::{Decoded, Frame, decode};
pub use notice::{Language, Notice};
pub use request::{Delivery, Entrant, Operation, Request};
pub use room_list::RoomInfo;
pub use status::Status;
pub use token::Token;

/// The TCP port for requests that servers and clients of this protocol use by default.
pub const DEFAULT_TCP_PORT: u16 = 9001;

/// The UDP port for messages that servers and clients of this protocol use by default.
pub const DEFAULT_UDP_PORT: u16 = 9002;
