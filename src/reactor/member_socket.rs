//! The WebSocket of a member (H6, H7): binary messages, pings and close codes. Requests before the
//! membership are in `websocket.rs`.

use std::time::{Duration, Instant};

use super::taken::Taken;
use crate::connection::{Connection, Transport};
use crate::protocol::stream::Code;
use crate::web::websocket::{self, CloseCode, Ending, Received, WebSocket};

/// Time from one ping to the next. Many routers forget a connection of which nothing came for 30 seconds.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Time after which a peer has gone that answers no ping: three of them may be lost on the way.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// The close code of a member that has another path. The code of its end (S4) is added for others.
const MOVED: u16 = 4000;

/// The WebSocket of a member.
pub(super) struct MemberSocket {
    socket: WebSocket,
    ping_at: Instant,
    /// Time of the first ping since the last pong.
    unanswered_since: Option<Instant>,
}

impl MemberSocket {
    pub(super) fn new(socket: WebSocket, now: Instant) -> Self {
        Self { socket, ping_at: now + PING_INTERVAL, unanswered_since: None }
    }

    /// Returns true if [`MemberSocket::take`] can take something from this input.
    pub(super) fn has_input(&self, input: &[u8]) -> bool {
        websocket::has_frame(input)
    }

    /// Takes the next frame of the input, and passes the content of a whole message on.
    pub(super) fn take(
        &mut self,
        connection: &mut Connection<impl Transport>,
        pass_on: impl FnOnce(&[u8]),
    ) -> Taken {
        match read_frame(&mut self.socket, connection) {
            Received::Binary(content) => {
                pass_on(&content);
                Taken::Message
            }
            Received::Pong => {
                self.unanswered_since = None;
                Taken::Alive
            }
            Received::Nothing => Taken::Nothing,
            Received::Text(_) => {
                say(connection, CloseCode::UNSUPPORTED);
                Taken::End
            }
            Received::Closed(Ending::TooLong) => Taken::TooLong,
            Received::Closed(_) => Taken::End,
        }
    }

    /// Frees what no unfinished message needs.
    pub(super) fn rest(&mut self) {
        self.socket.rest();
    }

    /// Returns true if fragments of a message have come, and its last one has not.
    pub(super) fn is_within_message(&self) -> bool {
        self.socket.is_within_message()
    }

    /// Returns the bytes of memory that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.socket.held_bytes()
    }

    /// Returns the size of a frame with a content of this size.
    pub(super) fn size_of(&self, content: usize) -> usize {
        websocket::framed_size(content)
    }

    /// Encodes a message.
    pub(super) fn encode(&self, content: &[u8], out: &mut Vec<u8>) {
        websocket::begin_binary(content.len(), out);
        out.extend_from_slice(content);
    }

    /// Returns the time of the next ping.
    pub(super) fn ping_at(&self) -> Instant {
        self.ping_at
    }

    /// Sends a ping, unless the connection `is_full`: then nothing is read from the peer either. Returns
    /// false if the peer has answered none for too long.
    pub(super) fn ping(
        &mut self,
        connection: &mut Connection<impl Transport>,
        is_full: bool,
        now: Instant,
    ) -> bool {
        self.ping_at = now + PING_INTERVAL;
        if is_full {
            self.unanswered_since = None;
            return true;
        }
        if now - *self.unanswered_since.get_or_insert(now) >= ANSWERED_WITHIN {
            say(connection, CloseCode::GOING_AWAY);
            return false;
        }
        let mut ping = Vec::new();
        websocket::ping(&mut ping);
        connection.send(ping);
        true
    }

    /// Tells the peer that the member has ended for the reason of this code, or without one has another
    /// path.
    pub(super) fn say_end(&self, connection: &mut Connection<impl Transport>, code: Option<Code>) {
        say(connection, CloseCode(MOVED + code.map_or(0, |code| code as u16)));
    }

    /// Tells the peer that its time for a message is over.
    pub(super) fn say_late(&self, connection: &mut Connection<impl Transport>) {
        say(connection, CloseCode::POLICY);
    }
}

/// Reads the frame at the beginning of the input, and queues the answers to it.
pub(super) fn read_frame(
    socket: &mut WebSocket,
    connection: &mut Connection<impl Transport>,
) -> Received {
    let mut answers = Vec::new();
    let (size, received) = socket.read(connection.input(), &mut answers);
    connection.consume(size);
    connection.send(answers);
    received
}

/// Queues a close frame.
pub(super) fn say(connection: &mut Connection<impl Transport>, code: CloseCode) {
    let mut frame = Vec::new();
    websocket::close(code, &mut frame);
    connection.send(frame);
}
