//! Actions that the codec needs from the owner of the connection.

use super::request::SessionRequest;

/// One thing to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Append bytes to our side of a stream, at most 1,100 of them.
    Write {
        /// The stream.
        stream: u64,
        /// The bytes, maybe none.
        bytes: Vec<u8>,
        /// The stream ends behind them.
        finish: bool,
    },
    /// Send STOP_SENDING. No byte of this stream may be passed on afterwards.
    Stop {
        /// The stream.
        stream: u64,
        /// Application error code.
        code: u64,
    },
    /// Reset our side of a stream.
    Reset {
        /// The stream.
        stream: u64,
        /// Application error code.
        code: u64,
    },
    /// Answer this request for a session with `Http3::answer`, now or later.
    Request(SessionRequest),
    /// The session has ended, or the request for it was withdrawn. Its streams and datagrams have ended too.
    Closed {
        /// Code of the peer, 0 without one.
        code: u32,
    },
}
