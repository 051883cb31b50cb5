//! Requests over TCP: asking for a seat in a room, for a lost one, or for the list of rooms.
//!
//! Calls block here, each with a deadline. The first ones are made before the loop turns: there is
//! nothing else to do without a token. Those for a lost seat are made by a thread of their own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::connect::{PATIENCE, ServerConnection, connect_around};
use crate::credential::Credential;
use crate::explain;
use crate::failure::Failure;
use crate::options::ChatOptions;
use crate::room_list::MAX_LIST;
use reactor_chat::protocol::frame::{
    self, Frame, STATE_ACKNOWLEDGEMENT, STATE_COMPLETION, STATE_REQUEST,
};
use reactor_chat::protocol::stream::{Completion, MAX_HISTORY};
use reactor_chat::protocol::{Decoded, Delivery, Form, Operation, Status, decode};

/// Time in which a server of the family should have noted our port.
const PORT_PATIENCE: Duration = Duration::from_secs(1);

/// The largest payload of a reply that is taken, but for a page of the list of rooms: servers with
/// another `--max-payload` make large ones.
const MAX_REPLY: usize = 1024 * 1024;

/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// A membership: its token, and the socket that its datagrams go through.
pub(crate) struct Membership {
    pub(crate) token: Credential,
    /// Bound to the IP that the server knows from TCP: from any other it takes nothing.
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    pub(crate) terms: Terms,
}

/// How the server is going to deliver. It need not be as we wished: another server may know text
/// delivery only.
pub(crate) enum Terms {
    Plain { form: Form, is_of_this_project: bool },
    Stream(Completion),
}

/// What [`come_back`] came to.
pub(crate) enum RejoinOutcome {
    /// We are a member still.
    Resumed(Membership),
    /// We are a new member.
    Entered(Membership),
    /// Not now. Later it may work.
    NotYet(Failure),
    /// There is no such room. Who had made it may make it again.
    NoRoom(Failure),
    /// The server does not want us.
    Refused(Failure),
}

/// Makes the room or joins it.
pub(crate) fn enter(
    connection: ServerConnection,
    options: &ChatOptions,
) -> Result<Membership, RequestFailure> {
    take_seat(connection, options, options.operation, options.history)
        .map_err(|why| RequestFailure::new(options, &why))
}

fn take_seat(
    connection: ServerConnection,
    options: &ChatOptions,
    operation: Operation,
    history: u32,
) -> Result<Membership, RequestError> {
    request_seat(connection, options, operation, &wish(options, history))
}

/// Makes the request, and opens the socket for what it gives.
fn request_seat(
    connection: ServerConnection,
    options: &ChatOptions,
    operation: Operation,
    payload: &[u8],
) -> Result<Membership, RequestError> {
    let ServerConnection { stream, local, datagrams: server } = connection;
    let (completion, stream) = ask(stream, operation, &options.room, payload)?;
    let (token, terms) = understand(&completion, options.delivery).ok_or(RequestError::Nonsense)?;
    let socket = UdpSocket::bind(local)?;
    if let Terms::Plain { is_of_this_project, .. } = terms {
        announce_port(stream, socket.local_addr()?.port(), is_of_this_project);
    }
    Ok(Membership { token, socket, server, terms })
}

/// Tells the server our UDP port (W13). Servers of the family learn it in no other way. They drop
/// what comes before they know it, and close the connection when they do, so this waits for that.
/// A server of this project learns the port from the first datagram.
fn announce_port(mut stream: TcpStream, port: u16, is_of_this_project: bool) {
    // Where that fails the connection has ended, and the server wants no port.
    let is_sent = stream.write_all(&port.to_be_bytes()).is_ok();
    let is_sent = is_sent && stream.shutdown(Shutdown::Write).is_ok();
    if is_sent && !is_of_this_project && stream.set_read_timeout(Some(PORT_PATIENCE)).is_ok() {
        let _ = stream.read(&mut [0; 1]);
    }
}

/// What a completion says. A token alone is text delivery where stream delivery was asked for.
fn understand(completion: &[u8], delivery: Delivery) -> Option<(Credential, Terms)> {
    let form = match (delivery, Completion::parse(completion)) {
        (Delivery::Stream, Some(stream)) => {
            return Some((stream.token.into(), Terms::Stream(stream)));
        }
        (Delivery::Stream, None) => Form::Text,
        (Delivery::Plain(form), _) => form,
    };
    // An object is of a dialect that keeps the token in it, where nothing would come of going on.
    let is_object = serde_json::from_slice::<serde_json::Map<_, _>>(completion).is_ok();
    let token = Credential::from_wire(completion).filter(|_| !is_object)?;
    let is_of_this_project = token.is_of_this_project();
    Some((token, Terms::Plain { form, is_of_this_project }))
}

/// Goes back to the room: as the member with this token, or if that is dead, as a new one. It tries
/// once. The `silent` addresses of the server come last.
pub(crate) fn come_back(
    options: &ChatOptions,
    token: Option<&Credential>,
    silent: &[SocketAddr],
) -> RejoinOutcome {
    let Some(token) = token else { return enter_again(options, silent) };
    match once(options, silent, |connection| resume(connection, options, token)) {
        Err(RequestFailure { status: Some(Status::RoomNotFound), .. }) => {
            enter_again(options, silent)
        }
        outcome => outcome.map_or_else(RejoinOutcome::from, RejoinOutcome::Resumed),
    }
}

fn resume(
    connection: ServerConnection,
    options: &ChatOptions,
    token: &Credential,
) -> Result<Membership, RequestError> {
    request_seat(connection, options, Operation::Resume, token.as_bytes())
}

/// Joins the room, and makes it if it is gone and was ours. What was said meanwhile is wished for,
/// all of it.
fn enter_again(options: &ChatOptions, silent: &[SocketAddr]) -> RejoinOutcome {
    let join = |connection| take_seat(connection, options, Operation::Join, MAX_HISTORY);
    let make = |connection| take_seat(connection, options, Operation::Create, options.history);
    let outcome = match once(options, silent, join) {
        Err(RequestFailure { status: Some(Status::RoomNotFound), .. })
            if options.operation == Operation::Create =>
        {
            once(options, silent, make)
        }
        outcome => outcome,
    };
    outcome.map_or_else(RejoinOutcome::from, RejoinOutcome::Entered)
}

/// Makes one request over a connection of its own.
fn once(
    options: &ChatOptions,
    silent: &[SocketAddr],
    request: impl FnOnce(ServerConnection) -> Result<Membership, RequestError>,
) -> Result<Membership, RequestFailure> {
    request(connect_around(&options.server, silent)?)
        .map_err(|why| RequestFailure::new(options, &why))
}

/// Why a request has not succeeded, and the status if it was refused.
pub(crate) struct RequestFailure {
    pub(crate) failure: Failure,
    pub(crate) status: Option<Status>,
}

impl RequestFailure {
    fn new(options: &ChatOptions, why: &RequestError) -> Self {
        Self { failure: explain::of_entry(options, why), status: why.status() }
    }
}

impl From<Failure> for RequestFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None }
    }
}

impl From<RequestFailure> for RejoinOutcome {
    fn from(RequestFailure { failure, status }: RequestFailure) -> Self {
        match status {
            // Our ghost has the name, somebody was faster, or the server is busy.
            None
            | Some(
                Status::NameTaken | Status::RoomExists | Status::RateLimited | Status::ServerFull,
            ) => Self::NotYet(failure),
            Some(Status::RoomNotFound) => Self::NoRoom(failure),
            Some(_) => Self::Refused(failure),
        }
    }
}

/// The operation payload.
fn wish(options: &ChatOptions, history: u32) -> Vec<u8> {
    #[derive(Serialize)]
    struct EntrantPayload<'a> {
        username: &'a str,
        // Not `null`: servers of the family take the absent key for none, and fail on that.
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<&'a str>,
        delivery: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        capacity: Option<NonZeroU32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hidden: Option<bool>,
    }
    let (delivery, history) = match options.delivery {
        Delivery::Plain(Form::Text) => ("text", None),
        Delivery::Plain(Form::Named) => ("named", None),
        Delivery::Stream => ("stream", Some(history)),
    };
    let (username, password) = (&*options.name, options.password.as_deref());
    let (capacity, hidden) = (options.capacity, options.is_hidden.then_some(true));
    let wish = EntrantPayload { username, password, delivery, history, capacity, hidden };
    serde_json::to_vec(&wish).expect("strings and numbers under fixed keys have a JSON form")
}

/// Why a request has not succeeded.
pub(crate) enum RequestError {
    /// The acknowledgement says so.
    Refused(u8),
    /// What came is no reply.
    Nonsense,
    /// It did not come in this time.
    Late(Duration),
    /// It ends before it is whole.
    Ended,
    Broken(io::Error),
}

impl RequestError {
    /// The status of a refusal. One that is unknown here is none that could be mended.
    fn status(&self) -> Option<Status> {
        match self {
            Self::Refused(byte) => Some(Status::from_byte(*byte).unwrap_or(Status::Malformed)),
            _ => None,
        }
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a timeout of a socket is told as (socket(7), SO_RCVTIMEO).
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Late(PATIENCE),
            _ => Self::Broken(error),
        }
    }
}

/// Sends a request. Returns the payload of its completion, and the connection.
pub(crate) fn ask(
    mut stream: TcpStream,
    operation: Operation,
    room: &str,
    payload: &[u8],
) -> Result<(Vec<u8>, TcpStream), RequestError> {
    let deadline = Instant::now() + PATIENCE;
    let request = frame::encode(operation as u8, STATE_REQUEST, room.as_bytes(), payload);
    let sent = stream.write_all(&request);
    let most = if operation == Operation::List { MAX_LIST } else { MAX_REPLY };
    let mut replies = Replies { stream, deadline, most, input: Vec::new() };
    // Also of a connection that was closed before the request: the server may have said why.
    let acknowledgement = replies.next(STATE_ACKNOWLEDGEMENT);
    if acknowledgement.is_err() {
        sent?;
    }
    match *acknowledgement? {
        [status] if status == Status::Success as u8 => {
            Ok((replies.next(STATE_COMPLETION)?, replies.stream))
        }
        [status] => Err(RequestError::Refused(status)),
        _ => Err(RequestError::Nonsense),
    }
}

/// What a frame says that is not the next one of a reply: that the server needs the connection's
/// place for another one, if it is of any use.
fn unasked(frame: &Frame<'_>) -> RequestError {
    match (frame.state, frame.payload) {
        (STATE_ACKNOWLEDGEMENT, [status]) if *status != Status::Success as u8 => {
            RequestError::Refused(*status)
        }
        _ => RequestError::Nonsense,
    }
}

/// What the server answers to one request.
struct Replies {
    stream: TcpStream,
    deadline: Instant,
    /// The largest payload that is taken.
    most: usize,
    /// What was read and not looked at. Frames of the most that is taken end it, so it is bounded.
    input: Vec<u8>,
}

impl Replies {
    /// The payload of the next frame, which must have this state.
    fn next(&mut self, state: u8) -> Result<Vec<u8>, RequestError> {
        loop {
            match decode(&self.input, self.most) {
                Decoded::Incomplete => {}
                Decoded::Whole(frame) if frame.state == state => {
                    let (payload, size) = (frame.payload.to_vec(), frame.size());
                    self.input.drain(..size);
                    return Ok(payload);
                }
                Decoded::Whole(frame) => return Err(unasked(&frame)),
                Decoded::TooLarge { .. } => return Err(RequestError::Nonsense),
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), RequestError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(RequestError::Late(PATIENCE));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(RequestError::Ended),
            Ok(size) => {
                self.input.extend_from_slice(&chunk[..size]);
                Ok(())
            }
            // A signal that is looked at when the loop turns.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::Token;

    #[test]
    fn s1_a_token_alone_is_text_delivery() {
        let token = [b'7'; Token::WIRE_SIZE];
        let terms = |delivery| match understand(&token, delivery) {
            Some((_, Terms::Plain { form, .. })) => form,
            _ => panic!("{delivery:?}"),
        };
        assert_eq!(terms(Delivery::Stream), Form::Text);
        assert_eq!(terms(Delivery::Plain(Form::Named)), Form::Named);
        assert_eq!(terms(Delivery::Plain(Form::Text)), Form::Text);
        assert!(understand(b"{}", Delivery::Stream).is_none());
    }

    #[test]
    fn s15_what_may_work_later_is_no_refusal() {
        let outcome = |status| {
            let failure = Failure(String::new());
            match RejoinOutcome::from(RequestFailure { failure, status }) {
                RejoinOutcome::NotYet(_) => "not yet",
                RejoinOutcome::NoRoom(_) => "no room",
                RejoinOutcome::Refused(_) => "refused",
                RejoinOutcome::Resumed(_) | RejoinOutcome::Entered(_) => unreachable!("a setback"),
            }
        };
        use Status::{NameTaken, RateLimited, RoomExists, ServerFull};
        for status in [NameTaken, RateLimited, RoomExists, ServerFull] {
            assert_eq!(outcome(Some(status)), "not yet");
        }
        assert_eq!(outcome(None), "not yet");
        assert_eq!(outcome(Some(Status::RoomNotFound)), "no room");
        assert_eq!(outcome(Some(Status::Kicked)), "refused");
        assert_eq!(outcome(RequestError::Refused(99).status()), "refused");
    }
}
