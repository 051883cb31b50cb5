//! Requests over TCP: joining a room, and one request with its reply for every other use.
//!
//! Calls block here, each with a deadline. At the start there is nothing else to do without a
//! token; later a thread of its own makes them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use reactor_chat::protocol::name::RoomName;
use reactor_chat::protocol::reply::{self, DecodedReply};
use reactor_chat::protocol::request::{self, PathWishes};
use reactor_chat::protocol::stream::Completion;
use reactor_chat::protocol::{Delivery, Entrant, Form, Operation, Request, Status, Token};

use crate::credential::Credential;
use crate::explain;
use crate::failure::Failure;
use crate::options::ChatOptions;
use crate::request_error::{PATIENCE, RequestError};
use crate::server_connection::ServerConnection;
use crate::server_stream::ServerStream;

/// Time in which other servers of this protocol should have noted our port.
const PORT_PATIENCE: Duration = Duration::from_secs(1);

/// The largest admission that is accepted: servers with another `--max-payload` send large ones.
const MAX_ADMISSION: usize = 1024 * 1024;

/// Bytes of one read.
const CHUNK: usize = 4096;

/// A membership: its token, and the socket for its datagrams.
pub(crate) struct Membership {
    pub(crate) token: Credential,
    /// Bound to the IP that the server knows from TCP. It accepts datagrams from no other.
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    pub(crate) terms: Terms,
}

/// The delivery that the server granted. Another server may know text delivery only, whatever we
/// requested.
pub(crate) enum Terms {
    Plain { form: Form, is_of_this_project: bool },
    Stream(Completion),
}

/// A failed request in words, and the status if the server refused it.
pub(crate) struct RequestFailure {
    pub(crate) failure: Failure,
    pub(crate) status: Option<Status>,
}

impl RequestFailure {
    pub(crate) fn new(options: &ChatOptions, error: &RequestError) -> Self {
        Self { failure: explain::failed_entry(options, error), status: error.status() }
    }
}

impl From<Failure> for RequestFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None }
    }
}

/// Creates or joins the room, as the options say.
pub(crate) fn enter(
    connection: ServerConnection,
    options: &ChatOptions,
) -> Result<Membership, RequestFailure> {
    request_entry(connection, options, options.operation, options.history)
        .map_err(|error| RequestFailure::new(options, &error))
}

/// Creates or joins the room.
pub(crate) fn request_entry(
    connection: ServerConnection,
    options: &ChatOptions,
    operation: Operation,
    history: u32,
) -> Result<Membership, RequestError> {
    let entrant = entrant(options, history);
    let request = match operation {
        Operation::Create => Request::Create {
            host: entrant,
            capacity: options.capacity.map(NonZeroU32::get),
            hidden: options.is_hidden,
            sealed_only: false,
        },
        _ => Request::Join(entrant),
    };
    request_membership(connection, options, &request::encode(&request))
}

/// Names go out as the user wrote them. The server decides whether they are valid.
fn room_name(options: &ChatOptions) -> RoomName<'_> {
    RoomName { name: (&*options.room).into(), as_sent: &options.room }
}

fn entrant(options: &ChatOptions, history: u32) -> Entrant<'_> {
    Entrant {
        room: room_name(options),
        name: (&*options.name).into(),
        password: options.password.clone(),
        delivery: options.delivery,
        history: if options.delivery == Delivery::Stream { history } else { 0 },
        path: PathWishes::default(),
    }
}

/// Encodes the request that moves a membership to our present address.
pub(crate) fn encode_resume(options: &ChatOptions, token: Token) -> Vec<u8> {
    request::encode(&Request::Resume { room: room_name(options), token, path: None })
}

/// Makes an encoded request, and opens the socket of the membership that it results in.
pub(crate) fn request_membership(
    connection: ServerConnection,
    options: &ChatOptions,
    request: &[u8],
) -> Result<Membership, RequestError> {
    let ServerConnection { stream, local, datagrams: server, .. } = connection;
    let (payload, stream) = exchange(stream, request, MAX_ADMISSION)?;
    let (token, terms) =
        parse_admission(&payload, options.delivery).ok_or(RequestError::Invalid)?;
    let socket = UdpSocket::bind(local)?;
    if let Terms::Plain { is_of_this_project, .. } = terms {
        announce_port(stream, socket.local_addr()?.port(), is_of_this_project);
    }
    Ok(Membership { token, socket, server, terms })
}

/// Sends our UDP port over TCP (W13). Other servers of this protocol learn it in no other way. They
/// drop our datagrams until they know it, and then close the connection, so this waits for the
/// close. A server of this project learns the port from the first datagram.
fn announce_port(mut stream: ServerStream, port: u16, is_of_this_project: bool) {
    // An error means that the connection has ended, so the server needs no port.
    let is_sent = stream.write_all(&port.to_be_bytes()).is_ok();
    let is_sent = is_sent && stream.finish().is_ok();
    let patience = Some(PORT_PATIENCE);
    if is_sent && !is_of_this_project && stream.socket().set_read_timeout(patience).is_ok() {
        let _ = stream.read(&mut [0; 1]);
    }
}

/// Returns the token and the granted delivery. A token alone means text delivery if we requested
/// stream delivery.
///
/// Unlike [`reply::Admission`], this accepts tokens of any length, which other servers have.
fn parse_admission(payload: &[u8], delivery: Delivery) -> Option<(Credential, Terms)> {
    let form = match (delivery, Completion::parse(payload)) {
        (Delivery::Stream, Some(stream)) => {
            return Some((stream.token.into(), Terms::Stream(stream)));
        }
        (Delivery::Stream, None) => Form::Text,
        (Delivery::Plain(form), _) => form,
    };
    // In some dialects a JSON object holds the token. As a token it would only fail later.
    let is_object = serde_json::from_slice::<serde_json::Map<_, _>>(payload).is_ok();
    let token = Credential::from_wire(payload).filter(|_| !is_object)?;
    let is_of_this_project = token.is_of_this_project();
    Some((token, Terms::Plain { form, is_of_this_project }))
}

/// Sends an encoded request. Returns the payload of its completion, of at most `max_payload` bytes,
/// and the stream, which begins behind the reply.
pub(crate) fn exchange(
    mut stream: ServerStream,
    request: &[u8],
    max_payload: usize,
) -> Result<(Vec<u8>, ServerStream), RequestError> {
    let deadline = Instant::now() + PATIENCE;
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    // A server that closed the connection before the request may have said why.
    let payload = read_reply(&mut stream, max_payload, deadline);
    if !matches!(payload, Ok(_) | Err(RequestError::Refused(_))) {
        sent?;
    }
    Ok((payload?, stream))
}

fn read_reply(
    stream: &mut ServerStream,
    max_payload: usize,
    deadline: Instant,
) -> Result<Vec<u8>, RequestError> {
    // `max_payload` bounds it: a larger reply is invalid as soon as its header is here.
    let mut input = Vec::new();
    loop {
        match reply::decode(&input, max_payload) {
            DecodedReply::Incomplete => read_chunk(stream, deadline, &mut input)?,
            DecodedReply::Granted { payload, size } => {
                stream.put_back(&input[size..]);
                return Ok(payload.to_vec());
            }
            DecodedReply::Refused { status, .. } => return Err(RequestError::Refused(status)),
            DecodedReply::Invalid => return Err(RequestError::Invalid),
        }
    }
}

fn read_chunk(
    stream: &mut ServerStream,
    deadline: Instant,
    input: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(RequestError::TimedOut(PATIENCE));
    }
    stream.socket().set_read_timeout(Some(left))?;
    let mut chunk = [0; CHUNK];
    match stream.read(&mut chunk) {
        Ok(0) => Err(RequestError::Ended),
        Ok(size) => {
            input.extend_from_slice(&chunk[..size]);
            Ok(())
        }
        // The event loop handles the signal later.
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_token_alone_means_text_delivery() {
        let token = [b'7'; Token::WIRE_SIZE];
        let terms = |delivery| match parse_admission(&token, delivery) {
            Some((_, Terms::Plain { form, .. })) => form,
            _ => panic!("{delivery:?}"),
        };
        assert_eq!(terms(Delivery::Stream), Form::Text);
        assert_eq!(terms(Delivery::Plain(Form::Named)), Form::Named);
        assert_eq!(terms(Delivery::Plain(Form::Text)), Form::Text);
        assert!(parse_admission(b"{}", Delivery::Stream).is_none());
    }
}
