//! The client's side of a connection: requests for places in rooms.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use reactor_chat::connection;
use reactor_chat::protocol::reply::{self, Admission, DecodedReply};
use reactor_chat::protocol::{Status, frame};
use reactor_chat::unix_addr::UnixAddr;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use super::carried_link::CarriedLink;
use super::scenario::{Path, Service};
use super::{tls, websocket};

pub const CREATE: u8 = 1;
pub const JOIN: u8 = 2;

const TOKEN: usize = 32;

/// Time to wait for an answer of the server.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Larger than an acknowledgement and a completion.
const BUFFER: usize = 1024;

/// A connection that asks for places in rooms.
pub struct Control {
    stream: Stream,
    /// Bytes behind the last reply.
    rest: Vec<u8>,
    local: IpAddr,
    /// The server's address.
    server: String,
    /// True once it is a WebSocket.
    is_websocket: bool,
}

/// A TCP stream, TLS over one, or a stream on a Unix socket.
enum Stream {
    Clear(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes),
            Self::Encrypted(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Control {
    /// Connects, from `source` if that is given, with TLS if `is_encrypted` is set.
    ///
    /// # Errors
    /// One that names the server.
    pub fn connect(
        server: SocketAddr,
        source: Option<IpAddr>,
        is_encrypted: bool,
    ) -> io::Result<Self> {
        let connect = || {
            let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
            if let Some(source) = source {
                socket.bind(&SocketAddr::new(source, 0).into())?;
            }
            socket.set_read_timeout(Some(PATIENCE))?;
            // The request follows the end of the handshake at once.
            socket.set_tcp_nodelay(true)?;
            socket.connect_timeout(&server.into(), PATIENCE)?;
            let stream = TcpStream::from(socket);
            let local = stream.local_addr()?.ip();
            let stream = match is_encrypted {
                true => Stream::Encrypted(tls::wrap(stream)?.into()),
                false => Stream::Clear(stream),
            };
            Ok(Self::over(stream, local, server.to_string()))
        };
        connect().map_err(|error| does_not_answer(server, &error))
    }

    /// Connects to a Unix socket. Its peers are on this machine.
    ///
    /// # Errors
    /// One that names the socket.
    pub fn connect_unix(server: &UnixAddr) -> io::Result<Self> {
        let connect = || {
            let stream = UnixStream::connect_addr(&server.socket_addr()?)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let (stream, local) = (Stream::Unix(stream), Ipv4Addr::LOCALHOST.into());
            Ok(Self::over(stream, local, server.to_string()))
        };
        connect().map_err(|error| does_not_answer(server, &error))
    }

    fn over(stream: Stream, local: IpAddr, server: String) -> Self {
        Self { stream, rest: Vec::new(), local, server, is_websocket: false }
    }

    pub fn local_ip(&self) -> IpAddr {
        self.local
    }

    /// Returns the end of a member that the connection carries from now on.
    ///
    /// # Errors
    /// If the stream cannot be read without waiting.
    pub fn into_carried_link(self) -> io::Result<CarriedLink> {
        let (stream, tls) = match self.stream {
            Stream::Clear(stream) => (unblocked(stream)?, None),
            Stream::Encrypted(stream) => {
                let (tls, stream) = stream.into_parts();
                (unblocked(stream)?, Some(tls.into()))
            }
            Stream::Unix(stream) => {
                stream.set_nonblocking(true)?;
                (connection::Stream::Unix(mio::net::UnixStream::from_std(stream)), None)
            }
        };
        let link = CarriedLink::new(stream, tls, self.rest);
        Ok(if self.is_websocket { link.on_websocket() } else { link })
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
        service: Service,
    ) -> io::Result<Admission> {
        let admission = match service.path {
            Path::WebSocket => self.exchange_on_websocket(operation, room, name, service),
            _ => self.exchange(operation, room, name, service),
        };
        admission.map_err(|error| match error.kind() {
            ErrorKind::Other => error,
            _ => does_not_answer(&self.server, &error),
        })
    }

    fn exchange(
        &mut self,
        operation: u8,
        room: &str,
        name: &str,
        service: Service,
    ) -> io::Result<Admission> {
        let path = match service.path {
            Path::Clear | Path::WebSocket | Path::Quic => "",
            Path::Sealed => r#","seal":true"#,
            Path::Carried | Path::CarriedInTls | Path::CarriedOnUnix => r#","carry":true"#,
        };
        let delivery = service.delivery.word();
        let payload = format!(r#"{{"username":"{name}","delivery":"{delivery}"{path}}}"#);
        self.stream.write_all(&frame::encode(operation, 0, room.as_bytes(), payload.as_bytes()))?;
        let mut buffer = [0; BUFFER];
        let mut size = 0;
        loop {
            match self.stream.read(&mut buffer[size..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                more => size += more,
            }
            let why = match reply::decode(&buffer[..size], BUFFER) {
                DecodedReply::Incomplete => continue,
                DecodedReply::Granted { payload, size: taken } => {
                    self.rest = buffer[taken..size].to_vec();
                    match Admission::parse(payload) {
                        Some(admission) => return Ok(admission),
                        None => "sends no token for".into(),
                    }
                }
                DecodedReply::Refused { status, .. } => format!("refuses (status {status})"),
                DecodedReply::Invalid => "sends no reply for".into(),
            };
            return Err(io::Error::other(format!("the server {why} room '{room}'")));
        }
    }
}

impl Control {
    /// Makes the connection a WebSocket, and enters a room on it.
    fn exchange_on_websocket(
        &mut self,
        operation: u8,
        room: &str,
        name: &str,
        service: Service,
    ) -> io::Result<Admission> {
        let operation = if operation == CREATE { "create" } else { "join" };
        let delivery = service.delivery.word();
        let keys = format!(r#""username":"{name}","delivery":"{delivery}""#);
        self.stream.write_all(&websocket::entry(operation, room, &keys))?;
        self.is_websocket = true;
        let (mut input, mut buffer) = (Vec::new(), [0; BUFFER]);
        loop {
            match self.stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                size => input.extend_from_slice(&buffer[..size]),
            }
            if let Some((admission, taken)) = websocket::admission(&input)? {
                self.rest = input.split_off(taken);
                return Ok(admission);
            }
        }
    }
}

/// Returns a TCP stream that never waits.
fn unblocked(stream: TcpStream) -> io::Result<connection::Stream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(connection::Stream::Tcp(mio::net::TcpStream::from_std(stream)))
}

fn does_not_answer(server: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the server at {server} does not answer: {error}"))
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
    let acknowledgement = reply::acknowledgement(JOIN, room.as_bytes(), Status::Success);
    (acknowledgement, reply::completion(JOIN, room.as_bytes(), &[b'0'; TOKEN]))
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
