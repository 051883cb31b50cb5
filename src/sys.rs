//! The system calls that std, mio and socket2 lack, and all of this crate's `unsafe`.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `address.rs` | socket addresses in the kernel's format |
//! | `batch.rs` | receiving and sending datagrams in batches (recvmmsg(2), sendmmsg(2)) |
//! | `control.rs` | control messages: local addresses, segments, dropped datagrams (cmsg(3)) |
//! | `socket.rs` | options and state of sockets, and the user at the other end |
//! | `process.rs` | open descriptors, permissions, the clock, ignored signals |
//!
//! Every function is safe to call and turns errno into an [`io::Error`](std::io::Error). The caller decides
//! what an error means.
#![allow(
    unsafe_code,
    reason = "these calls have no safe form in std or mio; each block says why it is sound"
)]

mod address;
mod batch;
mod control;
mod process;
mod socket;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use batch::{Arrival, BATCH, MAX_ARRIVAL, MAX_SEGMENTS, Outgoing, ReceiveBatch, SendBatch};
pub use process::{
    effective_user, ignore_signal, is_ignored, may_change, monotonic_time, raise_descriptor_limit,
    with_umask,
};
pub use socket::{
    enable_gro, enable_overflow_count, enable_packet_info, let_routers_fragment, peer_user,
    queued_bytes, request_buffers,
};
