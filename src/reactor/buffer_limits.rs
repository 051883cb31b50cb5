//! Limits for the buffers of one connection.

use crate::config::ConnectionConfig;

/// Bytes of input and of output that every connection may buffer, even while memory is scarce. A
/// request with the longest names and passwords has 1,600 bytes.
pub(super) const GUARANTEED: usize = 4096;

/// Bytes that a peer may leave unread before nothing more is done for it, while there is memory.
const UNREAD: usize = 64 * 1024;

/// Limits for the input and output that a connection may buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferLimits {
    /// Bytes of a request's payload.
    pub(super) payload: usize,
    /// Bytes of one read.
    pub(super) read: usize,
    /// Bytes of input at which an incomplete request is refused, and of the largest response of HTTP.
    pub(super) input: usize,
    /// Unread bytes of replies at which no further request is answered, so that a peer that never
    /// reads costs this much and one reply.
    pub(super) unsent: usize,
    /// Unread bytes of units, beyond which a carried member is blocked (C3).
    pub(super) units: usize,
    /// Bytes of the list of rooms.
    pub(super) list: usize,
    /// True if a message on a WebSocket may come in fragments, which are kept until it is whole.
    pub(super) fragments: bool,
}

impl BufferLimits {
    /// Returns the limits while there is memory.
    pub(super) fn normal(config: &ConnectionConfig) -> Self {
        let payload = config.max_payload;
        Self {
            payload,
            read: usize::MAX,
            input: usize::MAX,
            unsent: UNREAD,
            units: UNREAD,
            list: payload,
            fragments: true,
        }
    }

    /// Returns the limits while the connections together have used up their memory. A request to
    /// enter a room and its reply still fit, and so does the largest unit.
    pub(super) fn scarce(config: &ConnectionConfig) -> Self {
        let payload = config.max_payload;
        Self {
            payload,
            read: GUARANTEED,
            input: GUARANTEED,
            unsent: 1,
            units: GUARANTEED,
            list: payload.min(GUARANTEED),
            fragments: false,
        }
    }
}
