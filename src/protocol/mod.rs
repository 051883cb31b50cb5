//! The wire: bytes to values and back, without any input or output.
//!
//! reactor-chat speaks TCRP, the protocol of a whole family of chat clients. Requests and replies
//! are frames on TCP ([`frame`], [`request`], [`reply`]); messages and notices are datagrams on UDP
//! ([`datagram`], [`notice`]), or [`stream`] with the delivery of that name. Their statements have numbers, of which `tests/statements.rs` is the list. The numbers W1 to W38 in the tests' names are the statements of the
//! protocol that a test holds; the README tells the protocol in full.
//!
//! Codecs eat bytes and give values. "Not yet" is a value too, so that input may be cut anywhere.

pub mod datagram;
pub mod frame;
pub mod name;
pub mod notice;
pub mod reply;
pub mod request;
pub mod status;
pub mod stream;
pub mod token;

pub use frame::{Decoded, Frame, decode};
pub use notice::{Language, Notice};
pub use request::{Delivery, Entrant, Form, Operation, Request};
pub use status::Status;
pub use token::Token;
