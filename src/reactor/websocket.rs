//! Requests on a WebSocket (H6), as text messages. From a grant on, `member_socket.rs` has the WebSocket.

use std::time::Instant;

use super::Context;
use super::buffer_limits::{BufferLimits, GUARANTEED};
use super::framing::Framing;
use super::grant::{Answer, Attempt, is_private};
use super::member_socket::{MemberSocket, read_frame, say};
use super::tcrp::Next;
use crate::address::Peer;
use crate::connection::{Connection, Transport};
use crate::ids::MemberId;
use crate::metrics::Counter;
use crate::protocol::request::ObjectRequest;
use crate::protocol::{Status, reply};
use crate::web::websocket::{self, CloseCode, Ending, Received, WebSocket};

/// A request that the chat has delayed.
struct Delayed {
    text: String,
    /// The end of the delay; `None` once it is over.
    until: Option<Instant>,
}

/// Requests on a WebSocket that carries no member.
pub(super) struct WebSocketRequests {
    socket: WebSocket,
    peer: Peer,
    delayed: Option<Delayed>,
    /// Time of the last answer.
    answered_at: Instant,
}

impl WebSocketRequests {
    pub(super) fn new(peer: Peer, now: Instant) -> Self {
        Self { socket: WebSocket::default(), peer, delayed: None, answered_at: now }
    }

    /// Returns the form of the messages of the member that the WebSocket carries from now on.
    pub(super) fn take_framing(&mut self, now: Instant) -> Framing {
        let socket = std::mem::take(&mut self.socket);
        Framing::WebSocket(MemberSocket::new(socket, now))
    }

    pub(super) fn answered_at(&self) -> Instant {
        self.answered_at
    }

    /// Returns the end of the delay if a request is delayed.
    pub(super) fn delayed_until(&self) -> Option<Instant> {
        self.delayed.as_ref().and_then(|delayed| delayed.until)
    }

    /// Ends the delay of the request.
    pub(super) fn end_delay(&mut self) {
        if let Some(delayed) = &mut self.delayed {
            delayed.until = None;
        }
    }

    /// Returns true if fragments of a request have come, and its last one has not.
    pub(super) fn is_within_message(&self) -> bool {
        self.socket.is_within_message()
    }

    /// Returns the bytes of memory that it holds, beyond the little that each one keeps.
    pub(super) fn held_bytes(&self) -> usize {
        let delayed = self.delayed.as_ref().map_or(0, |delayed| delayed.text.len());
        self.socket.held_bytes() + delayed
    }

    /// Answers the messages of the input, at most `requests` frames.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection<impl Transport>,
        requests: &mut usize,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Next {
        loop {
            if let Some(next) = self.pause(connection, limits) {
                return next;
            }
            let is_delayed = self.delayed.is_some();
            match is_delayed || websocket::has_frame(connection.input()) {
                false if connection.has_peer_ended() => connection.finish(),
                false => {
                    self.socket.rest();
                    return Next::input(connection);
                }
                true if *requests == 0 => return Next::Yield,
                true => {
                    *requests -= 1;
                    if let Some(member) = self.answer_next(connection, context, limits) {
                        return Next::Carry(member);
                    }
                }
            }
        }
    }

    /// Returns true if [`WebSocketRequests::advance`] has something to do.
    pub(super) fn can_advance(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> bool {
        let next = self.pause(connection, limits).unwrap_or_else(|| {
            let has_request = self.delayed.is_some() || websocket::has_frame(connection.input());
            Next::turn_or_input(has_request, connection)
        });
        !matches!(next, Next::Wait)
    }

    /// Returns what to do while no request is answered.
    fn pause(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> Option<Next> {
        if !connection.is_open() {
            return Some(Next::input(connection));
        }
        if connection.unsent() >= limits.unsent {
            return Some(Next::Wait);
        }
        // Only a read notices a reset. Later requests wait too.
        let has_space = connection.input().len() < GUARANTEED;
        self.delayed_until().map(|_| if has_space { Next::input(connection) } else { Next::Wait })
    }

    /// Answers the delayed request, or the next frame. Returns the member that the connection carries from
    /// now on, if any.
    fn answer_next(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Option<MemberId> {
        if let Some(Delayed { text, .. }) = self.delayed.take() {
            return self.answer(&text, true, connection, context, limits);
        }
        match read_frame(&mut self.socket, connection) {
            Received::Text(text) => {
                return self.answer(text.as_str(), false, connection, context, limits);
            }
            Received::Binary(_) => end(connection, CloseCode::UNSUPPORTED),
            Received::Closed(Ending::TooLong) => {
                context.metrics.count(Counter::TooLong);
                connection.finish();
            }
            Received::Closed(_) => connection.finish(),
            Received::Nothing if self.socket.is_within_message() && !limits.fragments => {
                end(connection, CloseCode::TRY_AGAIN_LATER);
            }
            Received::Pong | Received::Nothing => {}
        }
        None
    }

    fn answer(
        &mut self,
        text: &str,
        was_delayed: bool,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Option<MemberId> {
        let (status, payload, member) =
            match self.execute(text, was_delayed, connection, context, limits) {
                Answer::Later(at) => {
                    self.delayed = Some(Delayed { text: text.into(), until: Some(at) });
                    return None;
                }
                Answer::Refused(status) => (status, None, None),
                Answer::Granted(grant) => (Status::Success, grant.payload, grant.carried),
            };
        let mut message = Vec::new();
        websocket::text(&reply::to_object(status, payload.as_deref()), &mut message);
        connection.send(message);
        self.answered_at = context.now;
        member
    }

    fn execute(
        &self,
        text: &str,
        was_delayed: bool,
        connection: &Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Answer {
        let object = match ObjectRequest::parse(text.as_bytes()) {
            Ok(object) => object,
            Err(status) => {
                context.metrics.count_reply(status);
                log::debug!("{}: no request: {status}", self.peer);
                return Answer::Refused(status);
            }
        };
        let attempt = Attempt {
            frame: &object.frame(),
            peer: self.peer,
            is_private: is_private(self.peer, connection),
            is_carried: true,
            is_quic: false,
            was_delayed,
            max_list: limits.list,
        };
        attempt.answer(context)
    }

    /// Handles the end of the peer's half.
    pub(super) fn handle_end(&mut self, connection: &mut Connection<impl Transport>) {
        connection.finish();
    }

    /// Handles the deadline of a request that has begun.
    pub(super) fn expire_message(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        context.metrics.count(Counter::TimedOut);
        end(connection, CloseCode::POLICY);
    }

    /// Tells the peer that another connection needs its place.
    pub(super) fn evict(&mut self, connection: &mut Connection<impl Transport>) {
        end(connection, CloseCode::TRY_AGAIN_LATER);
    }

    /// Tells the peer that the connection ends.
    pub(super) fn say_end(&mut self, connection: &mut Connection<impl Transport>) {
        say(connection, CloseCode::GOING_AWAY);
    }
}

/// Ends the connection, and tells the peer why.
fn end(connection: &mut Connection<impl Transport>, code: CloseCode) {
    say(connection, code);
    connection.finish();
}
