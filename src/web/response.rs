//! Responses as bytes (RFC 9112, section 4).
//!
//! They have no `Date`: the loop has no clock with a date (RFC 9110, section 6.6.1).

use super::status::Status;

/// Fields of every response: a browser guesses no type, tells nobody where a link was, and shows us in no frame
/// and no foreign page.
const COMMON: &str = "X-Content-Type-Options: nosniff\r\n\
     Referrer-Policy: no-referrer\r\n\
     X-Frame-Options: DENY\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\n";

/// The policy of everything but pages: it does nothing.
const INERT: &str = "default-src 'none'; frame-ancestors 'none'";

/// The type of plain texts.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// The type of JSON.
pub(super) const JSON: &str = "application/json";

/// The use of a connection behind a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Further requests.
    Continue,
    /// Nothing: it ends.
    End,
    /// Events for a viewer, until one side ends it.
    Watch,
    /// A WebSocket.
    Upgrade,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The bytes, first those of the head.
    pub bytes: Vec<u8>,
    head_size: usize,
    /// The status in them.
    pub status: Status,
    /// The use of the connection behind them.
    pub then: Then,
}

impl Response {
    /// Returns the refusal of a request, with a reason for the person who reads it.
    #[must_use]
    pub fn refusal(status: Status, why: &str) -> Self {
        ResponseHead::of_data(status, TEXT).with(format!("{why}\n").as_bytes())
    }

    /// Returns the response to HEAD: it announces the size of the content, and has none. Its memory goes
    /// too, because the limits for what is unread count bytes.
    #[must_use]
    pub(super) fn without_content(mut self) -> Self {
        self.bytes.truncate(self.head_size);
        self.bytes.shrink_to_fit();
        self
    }
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead {
    status: Status,
    text: String,
    ends: bool,
}

impl ResponseHead {
    pub(super) fn new(status: Status) -> Self {
        let text = format!("HTTP/1.1 {}\r\n{COMMON}", status.line());
        Self { status, text, ends: status.ends() }
    }

    /// Returns the head of a response that is no page, and that no cache may keep.
    pub(super) fn of_data(status: Status, content_type: &str) -> Self {
        Self::new(status)
            .field("Content-Type", content_type)
            .field("Cache-Control", "no-store")
            .field("Content-Security-Policy", INERT)
    }

    /// Adds a field. Name and value are ours, or parts of a request that were checked.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        self.text += &format!("{name}: {value}\r\n");
        self
    }

    /// Lets the connection end behind the response if `ends`.
    pub(super) fn ending(mut self, ends: bool) -> Self {
        self.ends |= ends;
        self
    }

    /// Returns the response with this content, whose size is announced.
    pub(super) fn with(self, content: &[u8]) -> Response {
        let mut response = self.announcing(content.len());
        response.bytes.extend_from_slice(content);
        response
    }

    /// Returns the response to HEAD where a content of this size would follow.
    pub(super) fn announcing(self, size: usize) -> Response {
        let response = match self.status {
            Status::NotModified => self,
            _ => self.field("Content-Length", &size.to_string()),
        };
        match response.ends {
            true => response.field("Connection", "close").before(Then::End),
            false => response.before(Then::Continue),
        }
    }

    /// Returns a response without content, behind which the connection has this use.
    pub(super) fn before(self, then: Then) -> Response {
        let bytes = (self.text + "\r\n").into_bytes();
        Response { head_size: bytes.len(), bytes, status: self.status, then }
    }
}
