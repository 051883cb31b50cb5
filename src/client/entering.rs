//! Requests over TCP: asking for a seat in a room, or for the list of rooms.
//!
//! Calls block here, each with a deadline. There is nothing else to do meanwhile: the loop begins
//! to turn when there is a token to talk with.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Failure;
use super::options::{Entry, Server};
use crate::protocol::frame::{self, STATE_ACKNOWLEDGEMENT, STATE_COMPLETION, STATE_REQUEST};
use crate::protocol::name::MAX_NAME;
use crate::protocol::{Decoded, Operation, Status, Token, decode};

/// How long one address may take to answer, and how long a server may take for all of its reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest payload of a reply that is taken: a list of thousands of rooms.
const MAX_REPLY: usize = 1024 * 1024;

/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// A TCP connection to the server, and where messages go.
pub(super) struct Connection {
    stream: TcpStream,
    /// Our address as the server sees it, with any port.
    local: SocketAddr,
    /// The server's address for datagrams.
    datagrams: SocketAddr,
}

/// A member's place: whose it is, and between which addresses its datagrams fly.
pub(super) struct Seat {
    pub(super) token: Token,
    pub(super) local: SocketAddr,
    pub(super) server: SocketAddr,
}

/// A room as the server lists it.
#[derive(Deserialize)]
pub(super) struct ListedRoom {
    pub(super) room: String,
    pub(super) members: u64,
    /// 0 is none.
    pub(super) capacity: u64,
    pub(super) password: bool,
}

/// Connects to the first address of the server that takes it.
pub(super) fn connect(server: &Server) -> Result<Connection, Failure> {
    let failed = |error| {
        Failure::new(
            format_args!("connect to {} port {}", server.host.escape_debug(), server.tcp_port),
            error,
        )
    };
    let stream = connect_to_any(server).map_err(failed)?;
    Connection::over(stream, server.udp_port).map_err(failed)
}

fn connect_to_any(server: &Server) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "it has no address"));
    for address in (&*server.host, server.tcp_port).to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, PATIENCE);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

impl Connection {
    fn over(stream: TcpStream, udp_port: u16) -> io::Result<Self> {
        let (mut local, mut datagrams) = (stream.local_addr()?, stream.peer_addr()?);
        local.set_port(0);
        datagrams.set_port(udp_port);
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, local, datagrams })
    }
}

/// Makes the room or joins it.
pub(super) fn enter(connection: Connection, entry: &Entry) -> Result<Seat, Failure> {
    let failed = |why| Failure::new(deed(entry.operation, &entry.room), why);
    let (local, server) = (connection.local, connection.datagrams);
    let completion = ask(connection.stream, entry.operation, &entry.room, &wish(entry));
    let token = completion.and_then(|payload| Token::from_wire(&payload).ok_or(Why::Nonsense));
    Ok(Seat { token: token.map_err(failed)?, local, server })
}

/// Asks which rooms there are.
pub(super) fn list(server: &Server) -> Result<Vec<ListedRoom>, Failure> {
    let connection = connect(server)?;
    ask(connection.stream, Operation::List, "", b"")
        .and_then(|payload| listed_rooms(&payload).ok_or(Why::Nonsense))
        .map_err(|why| Failure::new(deed(Operation::List, ""), why))
}

/// The rooms of a list, if it is one: a longer name than the protocol's is none.
fn listed_rooms(payload: &[u8]) -> Option<Vec<ListedRoom>> {
    let rooms: Vec<ListedRoom> = serde_json::from_slice(payload).ok()?;
    rooms.iter().all(|room| room.room.len() <= MAX_NAME).then_some(rooms)
}

fn deed(operation: Operation, room: &str) -> String {
    match operation {
        Operation::Create => format!("create '{}'", room.escape_debug()),
        Operation::Join => format!("join '{}'", room.escape_debug()),
        Operation::List => "list the rooms".into(),
        Operation::Resume => format!("go on in room {room}"),
    }
}

/// The operation payload. Named delivery, so that nobody has to guess from a text who said it.
fn wish(entry: &Entry) -> Vec<u8> {
    #[derive(Serialize)]
    struct Wish<'a> {
        username: &'a str,
        password: Option<&'a str>,
        delivery: &'static str,
    }
    let wish =
        Wish { username: &entry.name, password: entry.password.as_deref(), delivery: "named" };
    serde_json::to_vec(&wish).expect("strings under fixed keys always have a JSON form")
}

/// Why a request has not succeeded.
enum Why {
    /// The acknowledgement says so.
    Refused(u8),
    /// What came is no reply.
    Nonsense,
    /// It did not come in time.
    Late,
    /// It ends before it is whole.
    Ended,
    Broken(io::Error),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(byte) => match Status::from_byte(*byte) {
                Some(status) => write!(f, "{status}"),
                None => write!(f, "the server refuses it with status {byte}, unknown here"),
            },
            Self::Nonsense => f.write_str("the server's reply makes no sense"),
            Self::Late => write!(f, "the server has not replied in {} s", PATIENCE.as_secs()),
            Self::Ended => f.write_str("the server ended the connection without a reply"),
            Self::Broken(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a timeout of a socket is told as (socket(7), SO_RCVTIMEO).
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Late,
            _ => Self::Broken(error),
        }
    }
}

/// Sends a request and gives the payload of its completion.
fn ask(
    mut stream: TcpStream,
    operation: Operation,
    room: &str,
    payload: &[u8],
) -> Result<Vec<u8>, Why> {
    stream.write_all(&frame::encode(operation as u8, STATE_REQUEST, room.as_bytes(), payload))?;
    let mut replies = Replies { stream, deadline: Instant::now() + PATIENCE, input: Vec::new() };
    match *replies.next(STATE_ACKNOWLEDGEMENT)? {
        [status] if status == Status::Success as u8 => replies.next(STATE_COMPLETION),
        [status] => Err(Why::Refused(status)),
        _ => Err(Why::Nonsense),
    }
}

/// What the server answers to one request.
struct Replies {
    stream: TcpStream,
    deadline: Instant,
    /// What was read and not looked at. Frames of the most that is taken end it, so it is bounded.
    input: Vec<u8>,
}

impl Replies {
    /// The payload of the next frame, which must have this state.
    fn next(&mut self, state: u8) -> Result<Vec<u8>, Why> {
        loop {
            match decode(&self.input, MAX_REPLY) {
                Decoded::Incomplete => {}
                Decoded::Whole(frame) if frame.state == state => {
                    let (payload, size) = (frame.payload.to_vec(), frame.size());
                    self.input.drain(..size);
                    return Ok(payload);
                }
                Decoded::Whole(_) | Decoded::TooLarge { .. } => return Err(Why::Nonsense),
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), Why> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Why::Late);
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Why::Ended),
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

    #[test]
    fn a_list_with_a_name_that_cannot_be_is_none() {
        let list = |size: usize| {
            let name = "x".repeat(size);
            format!(r#"[{{"room":"{name}","members":1,"capacity":2,"password":false}}]"#)
        };
        assert!(listed_rooms(list(MAX_NAME).as_bytes()).is_some());
        assert!(listed_rooms(list(MAX_NAME + 1).as_bytes()).is_none());
        assert!(listed_rooms(b"[{}]").is_none());
    }
}
