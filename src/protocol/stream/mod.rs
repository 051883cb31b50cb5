//! Stream delivery on the wire: numbered entries to the members, numbered messages from them.
//!
//! A room's stream is a sequence of entries that is the same for everyone. [`downstream`] is what
//! members get, [`upstream`] what they send in the place of a message, [`completion`] what a member
//! is told when it enters. The numbers S1 to S15 in the tests' names are the statements of the
//! protocol that a test holds.

pub mod completion;
pub mod downstream;
pub mod upstream;

pub use completion::Completion;
pub use downstream::{Code, Entry, Header};
pub use upstream::Upstream;

/// Datagrams that hold several entries have at most so many bytes: they pass every link whole (RFC
/// 8200 promises 1,280 with the headers). One entry alone may be longer.
pub const MAX_PACKED: usize = 1200;

/// Earlier entries that a newcomer may see at most.
pub const MAX_HISTORY: u32 = 1024;

/// Datagrams with which one repair request is answered at most.
pub const MAX_REPAIR: usize = 16;
