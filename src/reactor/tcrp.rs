//! TCRP on a connection: frames in, replies out, and a port announcement at its end.

use std::time::Instant;

use super::Context;
use super::buffer_limits::{BufferLimits, GUARANTEED};
use super::grant::{Answer, Attempt, Grant, is_private};
use crate::address::{Origin, Peer, PeerAddr};
use crate::alert::Alert;
use crate::connection::{Connection, Transport};
use crate::ids::MemberId;
use crate::metrics::{Counter, Metrics};
use crate::protocol::{Decoded, Frame, Status, decode, frame, reply, request};

/// The operation in a frame that answers no request.
const NO_OPERATION: u8 = 0;

/// Bytes of a port announcement.
const PORT_SIZE: usize = 2;

/// The need of the protocol before it can continue.
pub(super) enum Next {
    /// More input.
    Read,
    /// A further turn, because the budget of requests is used up.
    Yield,
    /// An event or a deadline.
    Wait,
    /// Another protocol: the connection carries this member from now on.
    Carry(MemberId),
}

impl Next {
    /// Returns the need of more input, if there may be some.
    pub(super) fn input(connection: &Connection<impl Transport>) -> Self {
        if connection.is_readable() { Self::Read } else { Self::Wait }
    }

    /// Returns the need of a further turn if there is a whole request or message, or if the end of the peer's
    /// half is to be handled. Otherwise returns the need of more input.
    pub(super) fn turn_or_input(has_whole: bool, connection: &Connection<impl Transport>) -> Self {
        match has_whole || connection.has_peer_ended() {
            true => Self::Yield,
            false => Self::input(connection),
        }
    }
}

/// State of the request at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestState {
    New,
    DelayedUntil(Instant),
    DelayOver,
}

/// The next action on a connection.
enum Step {
    /// Answer the frame at the start of the input.
    Answer,
    /// Refuse input that cannot become a frame, or not now.
    Refuse {
        operation: u8,
        why: Status,
        limit: Alert,
    },
    Read,
    /// End the input, because nothing more comes.
    EndInput,
    Wait,
}

/// State of TCRP on one connection.
pub(super) struct Tcrp {
    /// The peer. Datagrams of its member take the way back to it, to the port that it announces.
    peer: Peer,
    /// The member of the last success, to which an announced port belongs.
    last_entered: Option<MemberId>,
    request: RequestState,
    /// Time of the last answer.
    answered_at: Instant,
    /// True if the peer has ended its half while its request was delayed.
    has_ended: bool,
}

impl Tcrp {
    pub(super) fn new(peer: Peer, now: Instant) -> Self {
        Self {
            peer,
            last_entered: None,
            request: RequestState::New,
            answered_at: now,
            has_ended: false,
        }
    }

    pub(super) fn peer(&self) -> PeerAddr {
        self.peer.addr()
    }

    pub(super) fn answered_at(&self) -> Instant {
        self.answered_at
    }

    /// Returns the end of the delay if the request is delayed.
    pub(super) fn delayed_until(&self) -> Option<Instant> {
        match self.request {
            RequestState::DelayedUntil(at) => Some(at),
            RequestState::New | RequestState::DelayOver => None,
        }
    }

    /// Ends the delay of the request.
    pub(super) fn end_delay(&mut self) {
        self.request = RequestState::DelayOver;
    }

    /// Handles the input as far as it goes, and at most `requests` requests.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection<impl Transport>,
        requests: &mut usize,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Next {
        loop {
            match self.next_step(connection, limits) {
                Step::Read => return Next::Read,
                Step::Wait => return Next::Wait,
                Step::Answer if *requests == 0 => return Next::Yield,
                Step::Answer => {
                    *requests -= 1;
                    if let Some(member) = self.answer(connection, context, limits) {
                        return Next::Carry(member);
                    }
                }
                Step::Refuse { operation, why, limit } => {
                    context.alert(limit, self.peer());
                    let is_private = is_private(self.peer, connection);
                    let needs_tls = context.tls.is_required() && !is_private;
                    let why = if needs_tls { Status::EncryptionRequired } else { why };
                    self.refuse(connection, operation, why, &mut context.metrics);
                }
                Step::EndInput => self.end_input(connection, context),
            }
        }
    }

    /// Returns true if [`Tcrp::advance`] has something to do.
    pub(super) fn can_advance(
        &self,
        connection: &Connection<impl Transport>,
        limits: &BufferLimits,
    ) -> bool {
        !matches!(self.next_step(connection, limits), Step::Wait)
    }

    /// Handles the end of the peer's half. Some clients end it after a request, which must still be
    /// answered.
    pub(super) fn handle_end(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        match self.delayed_until() {
            Some(_) => self.has_ended = true,
            None => self.end_input(connection, context),
        }
    }

    /// Handles the loss of the connection. A client that closes with bytes of ours unread resets it,
    /// and then nothing more can follow its port.
    pub(super) fn handle_loss(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        self.take_announcement(connection, context);
    }

    /// Handles the deadline of a frame. It decides that two bytes were a port; then the connection
    /// stays open.
    pub(super) fn expire_frame(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        if self.is_announcement(connection) {
            self.take_announcement(connection, context);
        } else {
            context.metrics.count(Counter::TimedOut);
            let operation = frame::operation_of(connection.input());
            self.refuse(connection, operation, Status::Malformed, &mut context.metrics);
        }
    }

    /// Tells the peer that another connection needs its place. As at the deadline, two bytes of input
    /// are a port.
    pub(super) fn evict(
        &mut self,
        connection: &mut Connection<impl Transport>,
        why: Status,
        context: &mut Context,
    ) {
        if self.is_announcement(connection) {
            self.take_announcement(connection, context);
        }
        self.refuse(connection, NO_OPERATION, why, &mut context.metrics);
    }

    /// Separates the connection from its member: it has ended, or enters as another member.
    pub(super) fn release_member(&mut self, context: &mut Context) {
        if let Some(member) = self.last_entered.take() {
            context.chat.handle_disconnect(member, context.now);
        }
    }

    fn next_step(&self, connection: &Connection<impl Transport>, limits: &BufferLimits) -> Step {
        let read = if connection.is_readable() { Step::Read } else { Step::Wait };
        if !connection.is_open() {
            return read;
        }
        if connection.unsent() >= limits.unsent {
            return Step::Wait;
        }
        let input = connection.input();
        if self.delayed_until().is_some() {
            // Only a read notices a reset. Later requests wait too.
            return if input.len() < GUARANTEED { read } else { Step::Wait };
        }
        match decode(input, limits.payload) {
            Decoded::Incomplete if self.has_ended => Step::EndInput,
            Decoded::Incomplete if connection.pending_input() >= limits.input => {
                let (why, limit) = (Status::ServerFull, Alert::BufferMemory);
                Step::Refuse { operation: frame::operation_of(input), why, limit }
            }
            Decoded::Incomplete => read,
            Decoded::Whole(_) => Step::Answer,
            Decoded::TooLarge { operation } => {
                Step::Refuse { operation, why: Status::Malformed, limit: Alert::Payload }
            }
        }
    }

    /// Executes the request at the start of the input and queues its reply, unless the chat delays it.
    /// Returns the member that the connection carries from now on, if any.
    fn answer(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Option<MemberId> {
        let Decoded::Whole(frame) = decode(connection.input(), limits.payload) else { return None };
        let attempt = Attempt {
            frame: &frame,
            peer: self.peer,
            is_private: is_private(self.peer, connection),
            is_carried: self.peer.is_local(),
            is_quic: false,
            was_delayed: self.request == RequestState::DelayOver,
            max_list: limits.list,
        };
        let (status, grant) = match attempt.answer(context) {
            Answer::Later(at) => {
                self.request = RequestState::DelayedUntil(at);
                return None;
            }
            Answer::Refused(status) => (status, Grant::default()),
            Answer::Granted(grant) => (Status::Success, grant),
        };
        let size = frame.size();
        let replies = encode_replies(&frame, status, grant.payload);
        connection.consume(size);
        replies.into_iter().flatten().for_each(|reply| connection.send(reply));
        if grant.member.is_some() || grant.carried.is_some() {
            self.release_member(context);
            self.last_entered = grant.member;
        }
        self.request = RequestState::New;
        self.answered_at = context.now;
        grant.carried
    }

    /// Refuses input that is no frame. The start of a next frame cannot be found, so this is the last
    /// reply.
    fn refuse(
        &self,
        connection: &mut Connection<impl Transport>,
        operation: u8,
        why: Status,
        metrics: &mut Metrics,
    ) {
        metrics.count_reply(why);
        log::debug!("{}: no frame: {why}", self.peer);
        connection.send(reply::acknowledgement(operation, b"", why));
        connection.finish();
    }

    fn end_input(&mut self, connection: &mut Connection<impl Transport>, context: &mut Context) {
        if self.is_announcement(connection) {
            self.take_announcement(connection, context);
        } else if !connection.input().is_empty() {
            let operation = frame::operation_of(connection.input());
            self.refuse(connection, operation, Status::Malformed, &mut context.metrics);
        }
        connection.finish();
        self.release_member(context);
    }

    /// Returns true if the input is two bytes after a success: the member's UDP port. Only the end of
    /// the stream, or of the time for a frame, shows that nothing more comes.
    fn is_announcement(&self, connection: &Connection<impl Transport>) -> bool {
        self.last_entered.is_some() && connection.input().len() == PORT_SIZE
    }

    fn take_announcement(
        &mut self,
        connection: &mut Connection<impl Transport>,
        context: &mut Context,
    ) {
        let (Some(member), &[high, low]) = (self.last_entered, connection.input()) else {
            return;
        };
        connection.consume(PORT_SIZE);
        let Peer::Remote(way) = self.peer else { return };
        let port = u16::from_be_bytes([high, low]);
        context.announce(member, &Origin { remote: way.remote.with_port(port), ..way });
    }
}

/// Returns the acknowledgement, and the completion if there is a payload.
fn encode_replies(
    frame: &Frame<'_>,
    status: Status,
    payload: Option<Vec<u8>>,
) -> [Option<Vec<u8>>; 2] {
    let (operation, room) = (frame.operation, request::echoed_room(frame));
    let completion = payload.map(|payload| reply::completion(operation, room, &payload));
    [Some(reply::acknowledgement(operation, room, status)), completion]
}
