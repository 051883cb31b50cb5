//! HTTP on a connection: requests in, pages and figures out.

use std::time::Instant;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::figures::OPEN_METRICS_TYPE;
use super::tcrp::Next;
use crate::address::Peer;
use crate::connection::{Connection, Transport};
use crate::metrics::Counter;

/// The first four bytes of requests. As TCRP they would be an unknown operation with an impossible size (H1).
const METHODS: [&[u8; 4]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"CONN", b"TRAC", b"PATC", b"PRI "];

/// State of HTTP on one connection.
pub(super) struct Http {
    /// Time of the last answer.
    answered_at: Instant,
}

impl Http {
    /// Returns the state of a connection whose first bytes begin a request of HTTP, and `Some(None)` if they
    /// begin none. Returns `None` while they are too few.
    pub(super) fn begin(first: &[u8], _: Peer, now: Instant) -> Option<Option<Self>> {
        let method = first.first_chunk()?;
        Some(METHODS.contains(&method).then_some(Self { answered_at: now }))
    }

    pub(super) fn answered_at(&self) -> Instant {
        self.answered_at
    }

    /// Answers the requests of the input, at most `requests`.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection<impl Transport>,
        _: &mut usize,
        context: &mut Context,
        _: &BufferLimits,
    ) -> Next {
        if connection.is_open() && connection.input().ends_with(b"\r\n\r\n") {
            let target = connection.input().split(|byte| *byte == b' ').nth(1).map(<[u8]>::to_vec);
            match target.as_deref() {
                Some(b"/metrics") => {
                    self.answer(connection, OPEN_METRICS_TYPE, context.open_metrics().as_bytes());
                }
                Some(b"/loop.json") => {
                    self.answer(connection, "application/json", &context.loop_json());
                }
                Some(b"/events") => {
                    context.figures.open_viewer(context.now);
                    let text = context.loop_json();
                    let event = [b"retry: 500\ndata: ", &*text, b"\n\n"].concat();
                    self.answer(connection, "text/event-stream", &event);
                    context.figures.close_viewer(context.now);
                }
                _ => self.refuse(connection, "404 Not Found"),
            }
        }
        if connection.is_readable() { Next::Read } else { Next::Wait }
    }

    /// Returns true if [`Http::advance`] has something to do.
    pub(super) fn can_advance(
        &self,
        connection: &Connection<impl Transport>,
        _: &BufferLimits,
    ) -> bool {
        connection.is_readable()
    }

    /// Handles the end of the peer's half.
    pub(super) fn handle_end(&mut self, connection: &mut Connection<impl Transport>) {
        connection.finish();
    }

    /// Handles the deadline of a head.
    pub(super) fn expire_head(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        context.metrics.count(Counter::TimedOut);
        self.refuse(connection, "408 Request Timeout");
    }

    /// Tells the peer that another connection needs its place.
    pub(super) fn evict(&mut self, connection: &mut Connection<impl Transport>) {
        self.refuse(connection, "503 Service Unavailable");
    }

    fn answer(&self, connection: &mut Connection<impl Transport>, kind: &str, content: &[u8]) {
        let size = content.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        );
        connection.send([head.as_bytes(), content].concat());
        connection.finish();
    }

    fn refuse(&self, connection: &mut Connection<impl Transport>, status: &str) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        connection.send(head.into_bytes());
        connection.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_four_bytes_decide() {
        let peer = Peer::Local { uid: 0 };
        let begins = |first| Http::begin(first, peer, Instant::now()).map(|http| http.is_some());
        assert_eq!(begins(b"GET"), None);
        assert_eq!(begins(b"GET /"), Some(true));
        assert_eq!(begins(b"\x05\x01\0\0"), Some(false));
        assert_eq!(begins(b"GETS"), Some(false));
    }
}
