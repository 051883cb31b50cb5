//! Connections that speak raw bytes, over TCP and Unix sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{DEADLINE, Server, Token};

/// Returns a frame: 32 bytes of header, the room name, the payload.
pub fn frame(operation: u8, room: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![room.len() as u8, operation, 0];
    bytes.extend_from_slice(&[0; 25]);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// One frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub operation: u8,
    pub state: u8,
    pub room: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Reply {
    /// Reads one frame from any stream.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut header = [0; 32];
        stream.read_exact(&mut header).expect("a header");
        let size = header[3..].iter().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
        assert!(size <= 1 << 29, "no frame of the server's: {header:?}");
        let mut room = vec![0; usize::from(header[0])];
        stream.read_exact(&mut room).expect("a room name");
        let mut payload = vec![0; size];
        stream.read_exact(&mut payload).expect("a payload");
        Self { operation: header[1], state: header[2], room, payload }
    }
}

/// A connection to a server.
pub struct Control {
    /// The calls on it are those of socket(7), which Unix sockets have too.
    stream: TcpStream,
}

impl Control {
    pub fn connect(server: &Server) -> Self {
        Self::connect_to(server.tcp)
    }

    pub fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("a connection");
        Self::over(stream)
    }

    /// Connects from an address of the loopback range, to be another client than the others.
    pub fn connect_from(server: &Server, source: IpAddr) -> Self {
        Self::connect_to_from(server.tcp, source)
    }

    /// Connects to an address, where there is no [`Server`].
    pub fn connect_to_from(address: SocketAddr, source: IpAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("one");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("a loopback address");
        socket.connect_timeout(&address.into(), DEADLINE).expect("a connection");
        Self::over(socket.into())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        Self::with_deadlines(stream)
    }

    pub fn over_unix(stream: UnixStream) -> Self {
        Self::with_deadlines(OwnedFd::from(stream).into())
    }

    fn with_deadlines(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        Self { stream }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn local_ip(&self) -> IpAddr {
        self.stream.local_addr().expect("an address").ip()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    pub fn request(&mut self, operation: u8, room: &str, payload: &[u8]) {
        self.send(&frame(operation, room, payload));
    }

    /// Reads one frame.
    pub fn expect_reply(&mut self) -> Reply {
        Reply::read(&mut self.stream)
    }

    /// Reads an acknowledgement and returns its status.
    pub fn expect_status(&mut self) -> u8 {
        let reply = self.expect_reply();
        assert_eq!((reply.state, reply.payload.len()), (1, 1), "{reply:?}");
        reply.payload[0]
    }

    /// Reads the acknowledgement of a success, and returns the payload of the completion.
    pub fn expect_success(&mut self) -> Vec<u8> {
        assert_eq!(self.expect_status(), 0);
        let completion = self.expect_reply();
        assert_eq!(completion.state, 2, "{completion:?}");
        completion.payload
    }

    /// Makes a request and returns the status.
    pub fn status_of(&mut self, operation: u8, room: &str, payload: &[u8]) -> u8 {
        self.request(operation, room, payload);
        let status = self.expect_status();
        if status == 0 {
            assert_eq!(self.expect_reply().state, 2);
        }
        status
    }

    /// Makes a request for a place in a room and returns the token.
    pub fn enter(&mut self, operation: u8, room: &str, payload: &[u8]) -> Token {
        self.request(operation, room, payload);
        self.expect_success().try_into().expect("32 characters")
    }

    /// Ends our half of the stream.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Checks that the server ends its half and sends nothing more before.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b"", "nothing but the end"),
            Err(error) => panic!("not an end of stream but {error}"),
        }
    }

    /// Checks that the server closes the connection, perhaps with a reset, and sends nothing before.
    pub fn expect_lost(&mut self) {
        match self.stream.read(&mut [0; 64]) {
            Ok(size) => assert_eq!(size, 0, "nothing but the end"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }

    /// Checks that there is nothing unread from the server.
    #[track_caller]
    pub fn expect_nothing(&self) {
        assert!(!self.has_heard(), "neither bytes nor an end");
    }

    /// Returns true if there is something to read, or the end.
    pub fn has_heard(&self) -> bool {
        self.stream.set_nonblocking(true).expect("an option");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("an option");
        !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Resets the connection, whatever is under way.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("an option");
    }
}
