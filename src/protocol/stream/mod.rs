//! Stream delivery on the wire: numbered entries to the members, numbered messages from them.
//!
//! A room's stream is a sequence of entries that is the same for everyone. [`downstream`] is what
//! members get, [`upstream`] what they send in the place of a message, [`completion`] what a member
//! is told when it enters. The numbers S1 to S17 in the tests' names are the statements of the
//! protocol that a test holds.

pub mod completion;
pub mod downstream;
pub mod parts;
pub mod upstream;

pub use completion::Completion;
pub use downstream::{Code, Entry, Header};
pub use upstream::Upstream;

/// The most bytes of a datagram, in either direction. It passes every link whole: RFC 8200 promises
/// 1,280 bytes with the headers. A longer text travels in parts (S16).
pub const MAX_PACKED: usize = 1200;

/// The most bytes of an entry, its size included: it fits a datagram alone.
pub const MAX_ENTRY: usize = MAX_PACKED - downstream::HEADER_SIZE;

/// The most bytes of a message whose parts the server keeps until the last one has come (S16).
pub const MAX_TEXT: usize = 4096;

/// Earlier entries that a newcomer may see at most.
pub const MAX_HISTORY: u32 = 1024;

/// Datagrams with which one repair request is answered at most.
pub const MAX_REPAIR: usize = 16;
