//! HTTP/3 and WebTransport for one connection: bytes in, actions out. It knows no socket, no clock and no
//! type of the QUIC library.
//!
//! It serves one purpose, a session per connection: the client's extended CONNECT, its streams and
//! datagrams, and the end with a code. Any other request gets the status 404. All drafts of
//! draft-ietf-webtrans-http3 that browsers speak are served, because they differ in their SETTINGS only.
//!
//! Wrong input costs a stream or the connection of its sender, as RFC 9114 says. A stream costs 16 bytes
//! until its type is known, a request up to 2,048 bytes, and unknown input counts in a budget.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `action.rs`, `error.rs` | actions for the owner; errors, and their codes |
//! | `stream.rs` | the streams of the peer, and the rules for their frames |
//! | `session.rs` | the session, from its request to its end |
//! | `request.rs`, `settings.rs` | the request for a session; the settings of both ends |
//! | `frame.rs`, `capsule.rs`, `varint.rs` | frames, the capsule that closes a session, and their integers |
//! | `qpack/` | fields of requests and responses |
//! | `skipped.rs` | the budget for unknown input |

mod action;
mod capsule;
mod error;
mod frame;
mod qpack;
mod request;
mod session;
mod settings;
mod skipped;
mod stream;
mod varint;

use std::collections::BTreeMap;

pub use self::action::Action;
pub use self::error::{Error, application_code, code};
pub use self::request::SessionRequest;
pub use self::settings::control_stream;

use self::error::Fault;
use self::session::Session;
use self::skipped::Skipped;
use self::stream::{Shared, Stream};

/// The encoder, for clients and tests.
pub mod encode {
    pub use super::capsule::put_close;
    pub use super::frame::{DATA, HEADERS, SESSION_STREAM, SETTINGS, put as put_frame};
    pub use super::qpack::put_section;
    pub use super::varint::{put as put_varint, take as take_varint};
}

/// Name of HTTP/3 in the TLS handshake (RFC 9114, section 3.1).
pub const ALPN: &[u8] = b"h3";

/// Limit for streams of the peer at once. It is above the limits that the transport parameters set.
const MAX_STREAMS: usize = 16;

/// State of a connection.
#[derive(Debug)]
pub struct Http3 {
    streams: BTreeMap<u64, Stream>,
    shared: Shared,
}

impl Default for Http3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Http3 {
    /// Returns the state of a new connection. Its owner opens a unidirectional stream with the content of
    /// [`control_stream`], and never ends it.
    #[must_use]
    pub fn new() -> Self {
        let skipped = Skipped::default();
        let shared = Shared { session: Session::new(), skipped, has_critical: [false; 3] };
        Self { streams: BTreeMap::new(), shared }
    }

    /// Takes bytes of a stream that the peer opened. Returns `Some` once the stream belongs to the open
    /// session: the bytes of the application, maybe none yet.
    ///
    /// # Errors
    /// The connection must be closed.
    pub fn handle_bytes<'a>(
        &mut self,
        stream: u64,
        mut bytes: &'a [u8],
    ) -> Result<Option<&'a [u8]>, Error> {
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&stream) {
            self.shared.session.abort(stream, code::REQUEST_REJECTED);
            return Ok(None);
        }
        let state = self.streams.entry(stream).or_insert_with(|| Stream::new(stream));
        let result = state.handle_bytes(stream, &mut bytes, &mut self.shared);
        let is_content = matches!(state, Stream::Content) && self.shared.session.id().is_some();
        self.settle(stream, result)?;
        Ok(is_content.then_some(bytes))
    }

    /// Notes that the peer has finished a stream.
    ///
    /// # Errors
    /// The connection must be closed.
    pub fn handle_finish(&mut self, stream: u64) -> Result<(), Error> {
        self.handle_end(stream, false)
    }

    /// Notes that the peer has reset a stream.
    ///
    /// # Errors
    /// The connection must be closed.
    pub fn handle_reset(&mut self, stream: u64) -> Result<(), Error> {
        self.handle_end(stream, true)
    }

    fn handle_end(&mut self, stream: u64, is_reset: bool) -> Result<(), Error> {
        let state = self.streams.remove(&stream).unwrap_or_else(|| Stream::new(stream));
        let result = state.handle_end(stream, is_reset, &mut self.shared);
        self.settle(stream, result)
    }

    /// Ends the stream that a fault costs, or returns the error that costs the connection.
    fn settle(&mut self, stream: u64, result: Result<(), Fault>) -> Result<(), Error> {
        match result {
            Ok(()) => Ok(()),
            Err(Fault::Connection(error)) => Err(error),
            Err(Fault::Stream(code)) => {
                self.shared.session.end(stream, 0);
                self.shared.session.abort(stream, code);
                Ok(())
            }
        }
    }

    /// Returns the content of a datagram of the open session, and `None` for any other datagram.
    ///
    /// # Errors
    /// The connection must be closed.
    pub fn handle_datagram<'a>(&self, mut datagram: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        const MAX_QUARTER: u64 = (1 << 60) - 1;
        match varint::take(&mut datagram) {
            Some(quarter @ 0..=MAX_QUARTER) => {
                Ok((self.session() == Some(4 * quarter)).then_some(datagram))
            }
            _ => Err(Error { code: code::DATAGRAM_ERROR, reason: "invalid quarter stream id" }),
        }
    }

    /// Appends the bytes before the content of a datagram: the id of the session's stream, divided by four
    /// (RFC 9297, section 2.1). Without a session it appends nothing.
    pub fn put_datagram_header(&self, out: &mut Vec<u8>) {
        if let Some(session) = self.session() {
            varint::put(out, session / 4);
        }
    }

    /// Returns the next action. Call it until `None` after each other call.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.shared.session.poll_action();
        if let Some(Action::Stop { stream, .. }) = action {
            self.streams.remove(&stream);
        }
        action
    }

    /// Answers [`Action::Request`]: a status of 200 to 299 opens the session, any other refuses it.
    pub fn answer(&mut self, status: u16) {
        self.shared.session.answer(status);
    }

    /// Ends the session with a code and a reason of at most 1,024 bytes. [`Action::Closed`] follows when the
    /// peer has seen it. Until then the connection should live.
    pub fn close(&mut self, code: u32, reason: &str) {
        self.shared.session.close(code, reason);
    }

    /// Returns the id of the open session, which is the number of its stream.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        self.shared.session.id()
    }
}

#[cfg(test)]
mod tests;
