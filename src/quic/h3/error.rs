//! Error codes of HTTP/3, QPACK and WebTransport.

/// RFC 9114, section 8.1, RFC 9204, section 8.3, RFC 9297, section 5.2, and
/// draft-ietf-webtrans-http3, section 9.5.
pub mod code {
    /// Malformed HTTP datagram.
    pub const DATAGRAM_ERROR: u64 = 0x33;
    /// No error. Used where the rest of a request is not wanted.
    pub const NO_ERROR: u64 = 0x100;
    /// A stream of a kind that the peer may not open, or not twice.
    pub const STREAM_CREATION_ERROR: u64 = 0x103;
    /// A stream ended that must live as long as the connection.
    pub const CLOSED_CRITICAL_STREAM: u64 = 0x104;
    /// A frame that is not allowed here.
    pub const FRAME_UNEXPECTED: u64 = 0x105;
    /// A frame with a wrong layout or size.
    pub const FRAME_ERROR: u64 = 0x106;
    /// The peer exceeds a limit of ours.
    pub const EXCESSIVE_LOAD: u64 = 0x107;
    /// An id that cannot be one.
    pub const ID_ERROR: u64 = 0x108;
    /// Wrong SETTINGS.
    pub const SETTINGS_ERROR: u64 = 0x109;
    /// The control stream does not begin with SETTINGS.
    pub const MISSING_SETTINGS: u64 = 0x10a;
    /// A request that was not processed.
    pub const REQUEST_REJECTED: u64 = 0x10b;
    /// The stream ended before the request was complete.
    pub const REQUEST_INCOMPLETE: u64 = 0x10d;
    /// A malformed request or capsule.
    pub const MESSAGE_ERROR: u64 = 0x10e;
    /// A field section that cannot be decoded.
    pub const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
    /// A wrong instruction on the peer's encoder stream.
    pub const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
    /// A wrong instruction on the peer's decoder stream.
    pub const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;
    /// A stream of a session that does not exist.
    pub const BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
    /// The session of a stream has ended.
    pub const SESSION_GONE: u64 = 0x170d_7b68;
}

/// A reason to close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Application error code for CONNECTION_CLOSE.
    pub code: u64,
    /// The reason for the log and the peer.
    pub reason: &'static str,
}

/// The cost of wrong input: its stream, or the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Both sides of the stream end with this code.
    Stream(u64),
    /// The connection closes.
    Connection(Error),
}

impl Fault {
    pub(super) const fn connection(code: u64, reason: &'static str) -> Self {
        Self::Connection(Error { code, reason })
    }
}

/// Returns the QUIC code of an application's code, for streams of a session. The range leaves out the
/// codes 0x1f * n + 0x21, which RFC 9114 reserves (draft-ietf-webtrans-http3, section 4.4).
#[must_use]
pub fn application_code(code: u32) -> u64 {
    const FIRST: u64 = 0x52e4_a40f_a8db;
    let code = u64::from(code);
    FIRST + code + code / 0x1e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h8_application_codes_fit_the_range() {
        assert_eq!(application_code(0), 0x52e4_a40f_a8db);
        assert_eq!(application_code(u32::MAX), 0x52e5_ac98_3162);
        assert!((0..1000).all(|code| !(application_code(code) - 0x21).is_multiple_of(0x1f)));
    }
}
