//! Requests over TCP or a Unix socket: joining a room, and one request with its reply for every other use.
//!
//! Calls block here, each with a deadline. At the start there is nothing else to do without a
//! token; later a thread of its own makes them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use reactor_chat::protocol::name::RoomName;
use reactor_chat::protocol::reply::{self, DecodedReply};
use reactor_chat::protocol::request::{self, PathWishes};
use reactor_chat::protocol::{
    Ciphers, Delivery, Entrant, Operation, Request, SealTerms, Status, Token,
};

use crate::admission::{Admission, Terms};
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

/// A membership: its token, and the path of its messages.
pub(crate) struct Membership {
    pub(crate) token: Credential,
    pub(crate) path: MessagePath,
    pub(crate) terms: Terms,
}

/// The path of the messages that the server granted. The sockets are bound to the IP that the server
/// knows from TCP. It accepts datagrams in the clear from no other. The addresses are the server's for
/// datagrams.
pub(crate) enum MessagePath {
    Clear(UdpSocket, SocketAddr),
    Sealed(UdpSocket, SocketAddr, SealTerms),
    /// The connection of the request (C1).
    Carried(ServerStream),
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
    let wishes = wishes(&connection, options.carries);
    let entrant = entrant(options, history, wishes);
    let request = match operation {
        Operation::Create => Request::Create {
            host: entrant,
            capacity: options.capacity.map(NonZeroU32::get),
            hidden: options.is_hidden,
            sealed_only: options.is_sealed_only,
        },
        _ => Request::Join(entrant),
    };
    request_membership(connection, options, &request::encode(&request), wishes)
}

/// Requests to move a membership to our present address, or onto the connection of the request.
pub(crate) fn request_resume(
    connection: ServerConnection,
    options: &ChatOptions,
    token: Token,
    carries: bool,
) -> Result<Membership, RequestError> {
    let wishes = wishes(&connection, carries);
    // A server that knows no wishes takes a bare token only.
    let path = (wishes.seal || wishes.carry).then_some(wishes);
    let request = request::encode(&Request::Resume { room: room_name(options), token, path });
    request_membership(connection, options, &request, wishes)
}

/// Inside TLS, we always ask for sealed datagrams (E5). If the messages are carried, TLS protects
/// them instead. A Unix socket always carries them.
fn wishes(connection: &ServerConnection, carry: bool) -> PathWishes {
    let carry = carry || connection.ends.is_none();
    PathWishes { seal: connection.stream.is_encrypted(), ciphers: Ciphers::ALL, carry }
}

/// Names go out as the user wrote them. The server decides whether they are valid.
fn room_name(options: &ChatOptions) -> RoomName<'_> {
    RoomName { name: (&*options.room).into(), as_sent: &options.room }
}

fn entrant(options: &ChatOptions, history: u32, path: PathWishes) -> Entrant<'_> {
    Entrant {
        room: room_name(options),
        name: (&*options.name).into(),
        password: options.password.clone(),
        delivery: options.delivery,
        history: if options.delivery == Delivery::Stream { history } else { 0 },
        path,
    }
}

/// Makes an encoded request, and opens the path of the membership that it results in.
fn request_membership(
    connection: ServerConnection,
    options: &ChatOptions,
    request: &[u8],
    wishes: PathWishes,
) -> Result<Membership, RequestError> {
    let ServerConnection { stream, ends, .. } = connection;
    let (payload, stream) = exchange(stream, request, MAX_ADMISSION)?;
    let Admission { token, terms, seal } =
        Admission::parse(&payload, options.delivery).ok_or(RequestError::Invalid)?;
    let path = match (granted(wishes, seal, &token)?, ends) {
        (GrantedPath::Carried, _) => MessagePath::Carried(stream),
        (GrantedPath::Sealed(terms), Some(ends)) => {
            MessagePath::Sealed(UdpSocket::bind(ends.local)?, ends.server, terms)
        }
        (GrantedPath::Clear, Some(ends)) => {
            MessagePath::Clear(clear_socket(stream, ends.local, &terms)?, ends.server)
        }
        (_, None) => return Err(RequestError::NotCarried),
    };
    Ok(Membership { token, path, terms })
}

/// The path that a completion grants.
#[derive(Debug)]
enum GrantedPath {
    Clear,
    Sealed(SealTerms),
    Carried,
}

/// Returns the path that was granted for these wishes.
///
/// # Errors
/// The server leaves messages unprotected that were to be sealed, or carries none.
fn granted(
    wishes: PathWishes,
    seal: Option<SealTerms>,
    token: &Credential,
) -> Result<GrantedPath, RequestError> {
    match (wishes, seal) {
        (PathWishes { carry: true, .. }, _) if !token.is_of_this_project() => {
            Err(RequestError::NotCarried)
        }
        (PathWishes { carry: true, .. }, _) => Ok(GrantedPath::Carried),
        (PathWishes { seal: true, .. }, Some(terms)) => Ok(GrantedPath::Sealed(terms)),
        (PathWishes { seal: true, .. }, None) => Err(RequestError::Unsealed),
        _ => Ok(GrantedPath::Clear),
    }
}

/// Opens the socket for datagrams in the clear.
fn clear_socket(stream: ServerStream, local: SocketAddr, terms: &Terms) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    if let Terms::Plain { is_of_this_project, .. } = terms {
        announce_port(stream, socket.local_addr()?.port(), *is_of_this_project);
    }
    Ok(socket)
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
    use reactor_chat::protocol::{Cipher, Secret};

    const SEAL: PathWishes = PathWishes { seal: true, ciphers: Ciphers::ALL, carry: false };

    #[test]
    fn e5_missing_seal_is_an_error() {
        let secret = Secret::from_bits([7; 32]);
        let cipher = Cipher::Aes128Gcm;
        let terms = SealTerms { id: 7, cipher, up: secret, down: secret };
        let token = Token::from_bits([7; 16]).into();
        let granted = |wishes, seal| granted(wishes, seal, &token);
        assert!(matches!(granted(SEAL, Some(terms)), Ok(GrantedPath::Sealed(_))));
        assert!(matches!(granted(SEAL, None), Err(RequestError::Unsealed)));
        let carried = PathWishes { carry: true, ..SEAL };
        assert!(matches!(granted(carried, None), Ok(GrantedPath::Carried)), "TLS protects it");
        let clear = PathWishes::default();
        assert!(matches!(granted(clear, None), Ok(GrantedPath::Clear)));
    }

    #[test]
    fn c1_other_servers_carry_nothing() {
        let token = Credential::from_wire(b"a token of another server").expect("a token");
        let wishes = PathWishes { carry: true, ..PathWishes::default() };
        assert!(matches!(granted(wishes, None, &token), Err(RequestError::NotCarried)));
    }
}
