//! One connection that speaks TCRP: frames in, replies out, and a port announcement at its end.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::Context;
use crate::address::Origin;
use crate::alert::Alert;
use crate::chat::Reply;
use crate::config::{Budgets, ConnectionConfig, LINGER};
use crate::connection::{Connection, ReadOutcome, WriteOutcome};
use crate::ids::MemberId;
use crate::metrics::{Counter, Metrics};
use crate::protocol::stream::Completion;
use crate::protocol::{Decoded, Frame, Status, Token, decode, frame, reply, request};

/// How large what is under way on a connection may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferLimits {
    /// Bytes of a request's payload.
    payload: usize,
    /// Bytes of one read.
    pub(super) read: usize,
    /// Bytes of input after which a request that is not whole is refused.
    input: usize,
    /// No further request is answered while this many bytes of replies wait for the peer to read them,
    /// so that a peer that only asks costs this and one reply.
    unsent: usize,
    /// Bytes of a list of rooms.
    list: usize,
}

impl BufferLimits {
    /// While there is memory.
    pub(super) fn plenty(config: &ConnectionConfig) -> Self {
        let payload = config.max_payload;
        Self { payload, read: usize::MAX, input: usize::MAX, unsent: 64 * 1024, list: payload }
    }

    /// While the connections have used up what there is for all: a request that asks for a place in a
    /// room still fits, and its reply.
    pub(super) fn scarce(config: &ConnectionConfig) -> Self {
        let payload = config.max_payload;
        Self { payload, read: SCARCE, input: SCARCE, unsent: 1, list: payload.min(SCARCE) }
    }
}

/// Bytes of input, and of output, that a connection may have whatever the others have. Names and
/// passwords of the longest come to 1,600 bytes in a request.
const SCARCE: usize = 4096;

/// What a frame echoes that answers no request.
const NO_OPERATION: u8 = 0;

/// Bytes of a port announcement.
const PORT_SIZE: usize = 2;

/// What a session did with its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// All it could.
    Done,
    /// Its budget; there is more to do.
    More,
    /// The connection is gone.
    Failed,
    /// Time has run out for it: there is nothing more to do.
    Over,
}

/// What a session waits for; each has its own deadline, counted from when the waiting began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The first byte of a request.
    Request,
    /// The rest of a frame.
    Frame,
    /// The peer to read its replies.
    Reader,
    /// The peer to end its half.
    End,
    /// The end of the delay of its request.
    Turn,
}

/// State of the request at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It was not handled yet.
    Fresh,
    /// It is delayed until this time.
    At(Instant),
    /// Its delay is over.
    Due,
}

/// A TCP connection and what TCRP has to remember of it.
pub(super) struct Session {
    pub(super) connection: Connection<TcpStream>,
    /// The way back to the peer; a member's datagrams take it, at the port that it announces.
    origin: Origin,
    /// The member of the last success, to whom an announced port belongs.
    last_entered: Option<MemberId>,
    pub(super) heard_at: Instant,
    waiting: Waiting,
    since: Instant,
    turn: Turn,
    /// The peer has ended its half while its request was delayed.
    has_ended: bool,
}

impl Session {
    pub(super) fn new(stream: TcpStream, origin: Origin, now: Instant) -> Self {
        Self {
            connection: Connection::new(stream),
            origin,
            last_entered: None,
            heard_at: now,
            waiting: Waiting::Request,
            since: now,
            turn: Turn::Fresh,
            has_ended: false,
        }
    }

    /// Reads and answers as far as the budgets go.
    pub(super) fn serve(
        &mut self,
        context: &mut Context,
        scratch: &mut [u8],
        limits: &BufferLimits,
        budgets: &Budgets,
    ) -> Served {
        let (mut bytes, mut requests) = (budgets.connection_bytes, budgets.requests);
        loop {
            match self.next_step(limits) {
                Step::Wait => return self.end_turn(Served::Done, context.now),
                Step::Answer if requests == 0 => return self.end_turn(Served::More, context.now),
                Step::Answer => {
                    requests -= 1;
                    self.answer(context, limits);
                }
                Step::Refuse { operation, why, limit } => {
                    context.alert(limit, self.peer());
                    self.refuse(operation, why, &mut context.metrics);
                }
                Step::End => self.end_input(context),
                Step::Read if bytes == 0 => return self.end_turn(Served::More, context.now),
                Step::Read => match self.connection.fill(scratch) {
                    ReadOutcome::Filled(size) => {
                        bytes = bytes.saturating_sub(size);
                        self.heard_at = context.now;
                    }
                    ReadOutcome::Drained => {}
                    // Some clients end their half after a request, which must still be answered.
                    ReadOutcome::Ended if self.has_to_wait() => self.has_ended = true,
                    ReadOutcome::Ended => self.end_input(context),
                    ReadOutcome::Failed(_) => {
                        // A client that closes with bytes of ours unread resets the connection,
                        // and nothing more can come behind its port.
                        self.take_announcement(context);
                        return Served::Failed;
                    }
                },
            }
        }
    }

    /// Writes what waits, and says whether the session can go on with what it had put off for that.
    pub(super) fn flush(&mut self, limits: &BufferLimits, now: Instant) -> Served {
        match self.connection.flush() {
            WriteOutcome::Failed(_) => return Served::Failed,
            WriteOutcome::Flushed | WriteOutcome::Blocked => self.note_waiting(now),
        }
        match self.next_step(limits) {
            Step::Wait => Served::Done,
            _ => Served::More,
        }
    }

    /// A deadline has come up.
    pub(super) fn expire(&mut self, context: &mut Context) -> Served {
        match self.waiting {
            // Time decides that this was a port, and no more: the connection goes on.
            Waiting::Frame if self.is_announcement() => {
                self.take_announcement(context);
            }
            Waiting::Frame => {
                context.metrics.count(Counter::TimedOut);
                self.refuse(self.operation(), Status::Malformed, &mut context.metrics);
            }
            Waiting::Request => {
                context.metrics.count(Counter::TimedOut);
                self.connection.finish();
            }
            Waiting::Reader => {
                context.metrics.count(Counter::TimedOut);
                return Served::Over;
            }
            Waiting::End => return Served::Over,
            Waiting::Turn => self.turn = Turn::Due,
        }
        self.end_turn(Served::More, context.now)
    }

    /// Begins the end of a connection that nobody waits for.
    pub(super) fn finish(&mut self, now: Instant) {
        self.connection.finish();
        self.note_waiting(now);
    }

    /// When [`Session::expire`] is due.
    pub(super) fn deadline(&self, config: &ConnectionConfig) -> Option<Instant> {
        if let (Waiting::Turn, Turn::At(at)) = (self.waiting, self.turn) {
            return Some(at);
        }
        let limit: Option<Duration> = match self.waiting {
            Waiting::Request => config.connect_timeout,
            Waiting::Frame | Waiting::Reader => config.handshake_timeout,
            Waiting::End => Some(LINGER),
            Waiting::Turn => None,
        };
        limit.map(|limit| self.since + limit)
    }

    fn next_step(&self, limits: &BufferLimits) -> Step {
        let read = if self.connection.is_readable() { Step::Read } else { Step::Wait };
        if !self.connection.is_open() {
            return read;
        }
        if self.connection.unsent() >= limits.unsent {
            return Step::Wait;
        }
        if self.has_to_wait() {
            // Only a read notices a reset. Later requests wait too.
            return if self.connection.input().len() < SCARCE { read } else { Step::Wait };
        }
        match decode(self.connection.input(), limits.payload) {
            Decoded::Incomplete if self.has_ended => Step::End,
            Decoded::Incomplete if self.connection.input().len() >= limits.input => {
                let (why, limit) = (Status::ServerFull, Alert::BufferMemory);
                Step::Refuse { operation: self.operation(), why, limit }
            }
            Decoded::Incomplete => read,
            Decoded::Whole(_) => Step::Answer,
            Decoded::TooLarge { operation } => {
                Step::Refuse { operation, why: Status::Malformed, limit: Alert::Payload }
            }
        }
    }

    fn end_turn(&mut self, served: Served, now: Instant) -> Served {
        self.note_waiting(now);
        served
    }

    /// Answers the frame that the input begins with.
    fn answer(&mut self, context: &mut Context, limits: &BufferLimits) {
        let Decoded::Whole(frame) = decode(self.connection.input(), limits.payload) else { return };
        let mut entered = None;
        let outcome = carry_out(&frame, &self.origin, self.turn, context, limits.list);
        let (status, completion) = match outcome {
            Ok(Reply::Later { at }) => {
                self.turn = Turn::At(at);
                return;
            }
            Ok(Reply::Entered { member, token, stream }) => {
                entered = Some(member);
                (Status::Success, Some(secret(token, stream)))
            }
            Ok(Reply::Resumed { member, token, stream }) => {
                entered = Some(member);
                context.datagrams.forget(member);
                (Status::Success, Some(secret(token, stream)))
            }
            Ok(Reply::Rooms(list)) => (Status::Success, Some(list)),
            Err(status) => (status, None),
        };
        let (operation, room) = (frame.operation, request::echoed_room(&frame));
        let mut replies = vec![reply::acknowledgement(operation, room, status)];
        replies.extend(completion.map(|payload| reply::completion(operation, room, &payload)));
        context.metrics.count_reply(status);
        log::debug!(
            "{}: operation {operation}, room \"{}\": {status}",
            self.origin.remote,
            shown(frame.room),
        );
        self.connection.consume(frame.size());
        if entered.is_some() {
            self.release_member(context);
            self.last_entered = entered;
        }
        for reply in replies {
            self.connection.send(reply);
        }
        self.turn = Turn::Fresh;
        // The next frame has its own time, even if its first byte is here already.
        self.waiting = Waiting::Request;
        self.since = context.now;
    }

    /// Answers what is no frame, or not to become one. There is no telling where the next one would
    /// begin, so it is the last answer.
    fn refuse(&mut self, operation: u8, why: Status, metrics: &mut Metrics) {
        metrics.count_reply(why);
        log::debug!("{}: no frame: {why}", self.origin.remote);
        self.connection.send(reply::acknowledgement(operation, b"", why));
        self.connection.finish();
    }

    /// Tells the peer, unasked, that its slot is needed for another connection. This decides as the
    /// deadline would that two bytes were a port.
    pub(super) fn give_way(&mut self, why: Status, context: &mut Context) {
        if self.is_announcement() {
            self.take_announcement(context);
        }
        self.refuse(NO_OPERATION, why, &mut context.metrics);
    }

    /// The IP at the other end.
    pub(super) fn peer(&self) -> IpAddr {
        self.origin.remote.ip()
    }

    /// The peer has ended its half; what it asked before is still answered.
    fn end_input(&mut self, context: &mut Context) {
        if self.is_announcement() {
            self.take_announcement(context);
        } else if !self.connection.input().is_empty() {
            self.refuse(self.operation(), Status::Malformed, &mut context.metrics);
        }
        self.connection.finish();
        self.release_member(context);
    }

    /// Separates the connection from its member: it has ended, or makes another member.
    pub(super) fn release_member(&mut self, context: &mut Context) {
        if let Some(member) = self.last_entered.take() {
            context.chat.handle_disconnect(member, context.now);
        }
    }

    /// Two bytes behind a success, and nothing more, are the member's UDP port. Only the end of the
    /// stream or of the time for a frame shows that nothing more comes.
    fn is_announcement(&self) -> bool {
        self.last_entered.is_some() && self.connection.input().len() == PORT_SIZE
    }

    fn take_announcement(&mut self, context: &mut Context) {
        let (Some(member), &[high, low]) = (self.last_entered, self.connection.input()) else {
            return;
        };
        self.connection.consume(PORT_SIZE);
        let port = u16::from_be_bytes([high, low]);
        let origin = Origin { remote: self.origin.remote.with_port(port), ..self.origin };
        let is_taken = !context.datagrams.is_own_address(&origin)
            && context.chat.handle_announcement(member, origin.remote.socket_addr());
        if is_taken {
            context.metrics.count(Counter::Announcements);
            context.datagrams.announce(member, &origin);
            super::forget_withdrawn(&mut context.chat, &mut context.datagrams);
        }
    }

    /// Returns true if its request is delayed.
    fn has_to_wait(&self) -> bool {
        matches!(self.turn, Turn::At(_))
    }

    /// The operation of the frame that has begun to arrive.
    fn operation(&self) -> u8 {
        frame::operation_of(self.connection.input())
    }

    /// Notes what the session waits for now; the time for it runs from when that began.
    fn note_waiting(&mut self, now: Instant) {
        let waiting = if self.connection.unsent() > 0 {
            Waiting::Reader
        } else if !self.connection.is_open() {
            Waiting::End
        } else if self.has_to_wait() {
            Waiting::Turn
        } else if !self.connection.input().is_empty() {
            Waiting::Frame
        } else {
            Waiting::Request
        };
        if waiting != self.waiting {
            self.waiting = waiting;
            self.since = now;
        }
    }
}

/// What a session can do next.
enum Step {
    /// Answer the frame that is there.
    Answer,
    /// Refuse what can't become a frame, or not now.
    Refuse { operation: u8, why: Status, limit: Alert },
    /// Read on.
    Read,
    /// End the input, because nothing more comes.
    End,
    /// Nothing, before an event or a deadline.
    Wait,
}

fn carry_out(
    frame: &Frame<'_>,
    origin: &Origin,
    turn: Turn,
    context: &mut Context,
    max_list: usize,
) -> Result<Reply, Status> {
    let request = request::parse(frame)?;
    let (peer, now, chat) = (origin.remote.ip(), context.now, &mut context.chat);
    match turn {
        Turn::Due => chat.handle_delayed_request(peer, &request, draw, max_list, now),
        _ => chat.handle_request(peer, &request, draw, max_list, now),
    }
}

/// 128 bits that nobody can guess. Without randomness there are none, and so no new member.
fn draw() -> Option<[u8; 16]> {
    let mut bits = [0; 16];
    match getrandom::fill(&mut bits) {
        Ok(()) => Some(bits),
        Err(error) => {
            log::error!("no randomness for a token: {error}");
            None
        }
    }
}

/// The payload of a completion: the token, and for a stream what else has to be known of it.
fn secret(token: Token, stream: Option<Completion>) -> Vec<u8> {
    match stream {
        Some(completion) => completion.encode(),
        None => token.to_wire().to_vec(),
    }
}

/// What a peer sent, fit for a log: cut, and nothing in it that a terminal obeys.
fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let cut = &bytes[..bytes.len().min(SHOWN)];
    String::from_utf8_lossy(cut).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_what_a_peer_sent_is_escaped_and_cut() {
        assert_eq!(shown("ab\x1b[2J\n\u{202e}\"日本".as_bytes()), r#"ab\u{1b}[2J\n\u{202e}\"日本"#);
        assert_eq!(shown(&[b'x'; 300]).len(), 64);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }
}
