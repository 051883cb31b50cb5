//! The client's side of TCP: requests for places in rooms.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use reactor_chat::protocol::stream::Completion;
use socket2::{Domain, Socket, Type};

use super::scenario::Delivery;

pub const CREATE: u8 = 1;
pub const JOIN: u8 = 2;

const HEADER: usize = 32;
const TOKEN: usize = 32;

/// Time to wait for an answer of the server.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Larger than an acknowledgement and a completion.
const BUFFER: usize = 1024;

/// A connection that asks for places in rooms.
pub struct Control {
    stream: BufReader<TcpStream>,
}

/// A place in a room.
pub struct Place {
    pub token: Vec<u8>,
    /// The member's start in the stream, with stream delivery only.
    pub completion: Option<Completion>,
}

impl Control {
    /// Connects, from `source` if that is given.
    ///
    /// # Errors
    /// One that names the server.
    pub fn connect(server: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let connect = || {
            let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
            if let Some(source) = source {
                socket.bind(&SocketAddr::new(source, 0).into())?;
            }
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect_timeout(&server.into(), PATIENCE)?;
            Ok(Self { stream: BufReader::with_capacity(BUFFER, socket.into()) })
        };
        connect().map_err(|error| does_not_answer(server, &error))
    }

    pub fn local_ip(&self) -> io::Result<IpAddr> {
        self.stream.get_ref().local_addr().map(|address| address.ip())
    }

    /// Creates or joins a room.
    ///
    /// # Errors
    /// One that names the server, and its status if it has refused.
    pub fn enter(
        &mut self,
        operation: u8,
        room: &str,
        name: &str,
        delivery: Delivery,
    ) -> io::Result<Place> {
        let payload = self.exchange(operation, room, name, delivery).map_err(|error| match self
            .stream
            .get_ref()
            .peer_addr()
        {
            Ok(server) if error.kind() != ErrorKind::Other => does_not_answer(server, &error),
            _ => error,
        })?;
        Ok(match Completion::parse(&payload) {
            None => Place { token: payload, completion: None },
            Some(completion) => {
                Place { token: completion.token.to_wire().into(), completion: Some(completion) }
            }
        })
    }

    fn exchange(
        &mut self,
        operation: u8,
        room: &str,
        name: &str,
        delivery: Delivery,
    ) -> io::Result<Vec<u8>> {
        let payload = format!(r#"{{"username":"{name}","delivery":"{}"}}"#, delivery.word());
        self.stream.get_mut().write_all(&frame(operation, 0, room, payload.as_bytes()))?;
        match self.read_payload()?[..] {
            [0] => self.read_payload(),
            ref status => {
                let why = format!("the server refuses room '{room}' with status {status:?}");
                Err(io::Error::other(why))
            }
        }
    }

    fn read_payload(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header)?;
        let room = usize::from(header[0]);
        let [.., a, b, c, d] = header;
        let mut body = vec![0; room + u32::from_be_bytes([a, b, c, d]) as usize];
        self.stream.read_exact(&mut body)?;
        Ok(body.split_off(room))
    }
}

fn does_not_answer(server: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the server at {server} does not answer: {error}"))
}

fn frame(operation: u8, state: u8, room: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..3].copy_from_slice(&[room.len() as u8, operation, state]);
    bytes[HEADER - 4..].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Returns a client's datagram up to its text.
pub fn prefix(room: &str, token: &[u8]) -> Vec<u8> {
    let mut bytes = vec![room.len() as u8, token.len() as u8];
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(token);
    bytes
}

/// Number of the scenario in this process. A server that goes on keeps the rooms of earlier scenarios
/// for a while.
static SCENARIO: AtomicU32 = AtomicU32::new(0);

/// Changes the names of all rooms from now on.
pub fn begin_scenario() {
    SCENARIO.fetch_add(1, Relaxed);
}

/// Returns the name of a room that no other bench and no other scenario makes. All names have one
/// length.
pub fn numbered_room(number: usize) -> String {
    format!("bench {:010} {:04} {number:08}", process::id(), SCENARIO.load(Relaxed))
}

/// Returns the reply to a join to a numbered room: an acknowledgement and a completion.
pub fn answer_like_a_join() -> (Vec<u8>, Vec<u8>) {
    let room = numbered_room(0);
    (frame(JOIN, 1, &room, &[0]), frame(JOIN, 2, &room, &[b'0'; TOKEN]))
}

/// Returns a source address for a client in 127.0.0.0/8, if the server is there. The first 160,000
/// clients have different addresses, so that ports of closed connections are in nobody's way.
pub fn source_of(server: SocketAddr, client: usize) -> Option<IpAddr> {
    const STRIDE: u32 = 101;
    const SOURCES: u32 = 160_000;
    let index = (client as u32 % SOURCES) * STRIDE;
    let source = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 2).to_bits() + index);
    (server.is_ipv4() && server.ip().is_loopback()).then_some(source.into())
}
