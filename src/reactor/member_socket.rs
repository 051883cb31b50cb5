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

    /// Tells the peer that there is no memory for a message in fragments.
    pub(super) fn say_scarce(&self, connection: &mut Connection<impl Transport>) {
        say(connection, CloseCode::TRY_AGAIN_LATER);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, ErrorKind, Write};

    use crate::connection::{ReadOutcome, Received as Arrival};

    /// A transport whose peer has sent these bytes, and which keeps what is written.
    #[derive(Default)]
    struct Line {
        input: Vec<u8>,
        output: Vec<u8>,
    }

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.output.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Line {
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Arrival> {
            let size = self.input.len();
            buffer[..size].copy_from_slice(&self.input);
            self.input.clear();
            if size > 0 { Ok(Arrival::Bytes(size)) } else { Err(ErrorKind::WouldBlock.into()) }
        }

        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const PING: [u8; 2] = [0x89, 0];
    /// A masked pong without content.
    const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

    struct Stage {
        socket: MemberSocket,
        connection: Connection<Line>,
    }

    impl Stage {
        fn new(now: Instant) -> Self {
            let socket = MemberSocket::new(WebSocket::default(), now);
            Self { socket, connection: Connection::new(Line::default()) }
        }

        /// Pings at the time for it. Returns the outcome, and what was written.
        fn ping(&mut self, is_full: bool) -> (bool, Vec<u8>) {
            let now = self.socket.ping_at();
            let is_alive = self.socket.ping(&mut self.connection, is_full, now);
            self.connection.flush();
            (is_alive, std::mem::take(&mut self.connection.transport_mut().output))
        }

        fn pong(&mut self) -> Taken {
            self.connection.transport_mut().input = PONG.to_vec();
            self.connection.note_readable();
            assert_eq!(self.connection.fill(&mut [0; 64]), ReadOutcome::Filled(PONG.len()));
            self.socket.take(&mut self.connection, |_| panic!("no message"))
        }
    }

    #[test]
    fn h7_no_pong_for_60_s_is_the_end() {
        let start = Instant::now();
        let mut stage = Stage::new(start);
        for seconds in [20, 40, 60] {
            assert_eq!(stage.socket.ping_at(), start + Duration::from_secs(seconds));
            assert_eq!(stage.ping(false), (true, PING.to_vec()));
        }
        assert_eq!(stage.ping(false), (false, vec![0x88, 2, 3, 0xe9]), "at 80 s, with code 1001");
    }

    #[test]
    fn h7_pong_begins_the_time_anew() {
        let mut stage = Stage::new(Instant::now());
        for _ in 0..3 {
            for _ in 0..3 {
                assert_eq!(stage.ping(false), (true, PING.to_vec()));
            }
            assert_eq!(stage.pong(), Taken::Alive);
        }
    }

    #[test]
    fn h7_full_connection_gets_no_pings() {
        let mut stage = Stage::new(Instant::now());
        assert_eq!(stage.ping(false).1, PING);
        for _ in 0..9 {
            assert_eq!(stage.ping(true), (true, Vec::new()), "its pongs are not read");
        }
        for _ in 0..3 {
            assert_eq!(stage.ping(false), (true, PING.to_vec()));
        }
    }
}
