//! HTTP on a connection: requests in, responses out, and events for a viewer.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::grant::{is_private, printable};
use super::tcrp::Next;
use super::websocket::WebSocketRequests;
use crate::address::Peer;
use crate::connection::{Connection, Transport};
use crate::metrics::Counter;
use crate::web::{Decoded, Head, Response, Server, Status, Then, Visitor, decode};

/// The first four bytes of requests. As TCRP they would be an unknown operation with an impossible size (H1).
const METHODS: [&[u8; 4]; 10] =
    [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"CONN", b"TRAC", b"PATC", b"PRI "];

/// Limit for the viewers at a time. Each gets some kilobytes twice a second.
const MAX_VIEWERS: usize = 32;

/// The use of a connection with HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Requests and responses.
    Requests,
    /// Events for a viewer, whose input is dropped.
    Events,
    /// None: the input is that of a WebSocket.
    Upgraded,
}

/// State of HTTP on one connection.
pub(super) struct Http {
    peer: Peer,
    mode: Mode,
    /// Time of the last answer. The first bytes are none: the first head has no more time than others.
    answered_at: Option<Instant>,
}

impl Http {
    /// Returns the state of a connection whose first bytes begin a request of HTTP, and `Some(None)` if they
    /// begin none. Returns `None` while they are too few.
    pub(super) fn begin(first: &[u8], peer: Peer, context: &Context) -> Option<Option<Self>> {
        if context.web.is_off() {
            return Some(None);
        }
        let http = Self { peer, mode: Mode::Requests, answered_at: None };
        Some(begins_request(first)?.then_some(http))
    }

    pub(super) fn answered_at(&self) -> Option<Instant> {
        self.answered_at
    }

    /// Returns true while events go to a viewer.
    pub(super) fn is_viewer(&self) -> bool {
        self.mode == Mode::Events
    }

    /// Answers the requests of the input in their order, at most `requests`.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection<impl Transport>,
        requests: &mut usize,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Next {
        if self.mode == Mode::Events {
            connection.consume(connection.input().len());
        }
        while connection.is_open() && self.mode == Mode::Requests {
            if connection.unsent() >= limits.unsent {
                return Next::Wait;
            }
            let response = match decode(connection.input()) {
                Decoded::Incomplete if connection.pending_input() < limits.input => break,
                Decoded::Whole(_) if *requests == 0 => return Next::Yield,
                Decoded::Incomplete => refusal(Status::ServiceUnavailable),
                Decoded::Invalid(status) => refusal(status),
                Decoded::Whole(head) => {
                    *requests -= 1;
                    let response = self.respond(&head, connection, context, limits);
                    let size = head.size();
                    connection.consume(size);
                    response
                }
            };
            self.send(connection, response, context);
        }
        Next::input(connection)
    }

    /// Returns the requests of the WebSocket that the connection is from now on, if it is one.
    pub(super) fn upgrade(&self, now: Instant) -> Option<WebSocketRequests> {
        (self.mode == Mode::Upgraded).then(|| WebSocketRequests::new(self.peer, now))
    }

    /// Returns true if [`Http::advance`] has something to do.
    pub(super) fn can_advance(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> bool {
        if !connection.is_open() || self.mode != Mode::Requests {
            return connection.is_readable();
        }
        let is_incomplete = || matches!(decode(connection.input()), Decoded::Incomplete);
        connection.unsent() < limits.unsent && (connection.is_readable() || !is_incomplete())
    }

    /// Handles the end of the peer's half. All whole requests are answered.
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
        self.send(connection, refusal(Status::RequestTimeout), context);
    }

    /// Tells the peer that another connection needs its place. A viewer's response has begun already.
    pub(super) fn evict(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        if self.mode == Mode::Events {
            connection.finish();
        } else {
            self.send(connection, refusal(Status::ServiceUnavailable), context);
        }
    }

    /// Separates the connection from what it had: it is freed.
    pub(super) fn release(&mut self, context: &mut Context) {
        if self.mode == Mode::Events {
            self.mode = Mode::Requests;
            context.figures.close_viewer(context.now);
        }
    }

    fn respond(
        &self,
        head: &Head<'_>,
        connection: &Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Response {
        let Some(site) = context.web.site() else { return refusal(Status::NotFound) };
        let visitor = Visitor {
            ip: self.peer.ip(),
            needs_tls: context.tls.is_required() && !is_private(self.peer, connection),
            quic_port: context.quic_port(self.peer),
        };
        let site = Arc::clone(site);
        let response = site.answer(head, visitor, context);
        log::debug!(
            "{}: {}: {}",
            self.peer,
            printable(head.target().as_bytes()),
            response.status.line()
        );
        match response.bytes.len() <= limits.input {
            true => response,
            false => refusal(Status::ServiceUnavailable),
        }
    }

    /// Queues a response. The use of the connection changes as it says.
    fn send(
        &mut self,
        connection: &mut Connection<impl Transport>,
        response: Response,
        context: &mut Context,
    ) {
        context.metrics.count(Counter::HttpRequests);
        if response.status.is_refusal() {
            context.metrics.count(Counter::HttpRefused);
        }
        connection.send(response.bytes);
        self.answered_at = Some(context.now);
        match response.then {
            Then::Continue => {}
            Then::Upgrade => self.mode = Mode::Upgraded,
            Then::End => connection.finish(),
            Then::Watch => {
                self.mode = Mode::Events;
                context.figures.open_viewer(context.now);
            }
        }
    }
}

impl Context {
    /// Returns the port of QUIC at the address that a peer has connected to. Users of Unix sockets have none.
    fn quic_port(&self, peer: Peer) -> Option<u16> {
        let Peer::Remote(way) = peer else { return None };
        let mut addrs = self.datagrams.local_addrs().filter(|_| self.web.has_quic());
        addrs.nth(way.socket).map(|address| address.port())
    }
}

impl Server for Context {
    fn is_certified(&self, name: &str) -> bool {
        self.tls.is_certified(name)
    }

    fn certificate_hashes(&self) -> Vec<String> {
        self.tls.certificate_hashes()
    }

    fn figures(&mut self) -> Bytes {
        self.figures.note_asked(self.now);
        self.loop_json()
    }

    fn first_event(&mut self) -> Bytes {
        self.loop_json()
    }

    fn counters(&mut self) -> String {
        self.open_metrics()
    }

    fn has_space_for_viewer(&self) -> bool {
        self.figures.viewers() < MAX_VIEWERS
    }
}

/// Returns the refusal of input that is no request, or not now.
fn refusal(status: Status) -> Response {
    Response::refusal(status, status.line())
}

/// Returns true if these bytes begin a request of HTTP, and `None` while they are too few.
fn begins_request(first: &[u8]) -> Option<bool> {
    Some(METHODS.contains(&first.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_four_bytes_decide() {
        assert_eq!(begins_request(b"GET"), None);
        assert_eq!(begins_request(b"GET /"), Some(true));
        assert_eq!(begins_request(b"\x05\x01\0\0"), Some(false));
        assert_eq!(begins_request(b"GETS"), Some(false));
    }
}
