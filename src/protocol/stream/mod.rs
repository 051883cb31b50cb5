//! Stream delivery on the wire: numbered entries to the members, numbered messages from them.
//!
//! A room's stream is one sequence of entries for everyone. [`completion`] is the answer to a member
//! that joins, [`downstream`] has the datagrams to members, [`upstream`] the bodies of those from
//! them, and [`parts`] splits long messages. S1 to S17 in the names of tests are the statements of the
//! protocol that these tests hold. A client uses the state machines in [`crate::stream`].

pub mod completion;
pub mod downstream;
pub mod parts;
pub mod upstream;

pub use completion::Completion;
pub use downstream::{Code, Entry, Header};
pub use upstream::Upstream;

/// The most bytes of a datagram, in either direction. It passes every link whole: RFC 8200 requires
/// 1,280 bytes with the headers of IPv6 and UDP (48). 30 of the rest are for a seal, and some for
/// the frames of QUIC, so that one packing serves all members. A longer text travels in parts (S16).
pub const MAX_PACKED: usize = 1150;

/// The most bytes of an entry, with its size, so that it fits a datagram.
pub const MAX_ENTRY: usize = MAX_PACKED - downstream::HEADER_SIZE;

/// The most bytes of a message that the server joins from parts (S16).
pub const MAX_TEXT: usize = 4096;

/// The most earlier entries that a new member may see (S12).
pub const MAX_HISTORY: u32 = 1024;

/// The most datagrams in the answer to one repair request (S11).
pub const MAX_REPAIR: usize = 16;
