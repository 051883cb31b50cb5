//! WebTransport members over a socket, which wait with a deadline.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quinn_proto::ConnectionError;

use super::streams::{Item, Packet};
use super::webtransport::WebTransport;
use super::*;

/// Bytes that no packet exceeds.
const PACKET: usize = 2048;

/// A client of a server, with a socket.
pub struct Browser {
    pub link: WebTransport,
    pub socket: UdpSocket,
    peer: SocketAddr,
}

impl Browser {
    /// Begins a handshake from 127.0.0.1.
    pub fn begin(server: SocketAddr) -> Self {
        Self::begin_from(loopback(1), server)
    }

    /// Begins a handshake from this address.
    pub fn begin_from(ip: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        let link = WebTransport::new(server, Instant::now());
        Self { link, socket, peer: server }
    }

    /// Connects, with a control stream.
    pub fn connect(server: SocketAddr) -> Self {
        Self::connect_from(loopback(1), server)
    }

    pub fn connect_from(ip: IpAddr, server: SocketAddr) -> Self {
        let mut browser = Self::begin_from(ip, server);
        browser.wait("a handshake", |link| link.is_connected.then_some(()));
        browser.link.begin_http();
        browser
    }

    /// Opens a session, as a client that is no browser.
    pub fn open(server: SocketAddr) -> Self {
        Self::open_from(loopback(1), server)
    }

    pub fn open_from(ip: IpAddr, server: SocketAddr) -> Self {
        let mut browser = Self::connect_from(ip, server);
        assert_eq!(browser.ask("/chat", None), "200");
        browser
    }

    /// Asks for a session, and returns the status.
    pub fn ask(&mut self, path: &str, origin: Option<&str>) -> String {
        let authority = self.peer.to_string();
        self.link.request_session(&authority, path, origin);
        let session = self.link.session;
        self.wait("an answer", |link| link.take_status(session))
    }

    // Time and packets.

    /// Sends what is due.
    pub fn flush(&mut self) {
        let mut packet = Vec::with_capacity(PACKET);
        while self.link.poll_transmit(&mut packet, Instant::now()) {
            // A packet that cannot be sent is lost.
            let _ = self.socket.send_to(&packet, self.peer);
        }
    }

    /// Drives the connection until `ask` has an answer.
    #[track_caller]
    pub fn wait<T>(
        &mut self,
        what: &str,
        mut ask: impl FnMut(&mut WebTransport) -> Option<T>,
    ) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(answer) = ask(&mut self.link) {
                self.flush();
                return answer;
            }
            assert!(Instant::now() < end, "waited in vain for {what}: {:?}", self.link.lost);
            self.step(Duration::from_millis(50));
        }
    }

    /// Sends, then waits for one packet or the next timeout, at most this long.
    pub fn step(&mut self, most: Duration) {
        self.flush();
        let now = Instant::now();
        let due = self.link.poll_timeout().map_or(most, |due| due.saturating_duration_since(now));
        let wait = due.min(most).max(Duration::from_micros(100));
        self.socket.set_read_timeout(Some(wait)).expect("a timeout");
        let mut packet = [0; PACKET];
        match self.socket.recv(&mut packet) {
            Ok(size) => self.link.handle_packet(&packet[..size], Instant::now()),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // The echo of a packet to a server that has gone.
            Err(_) => {}
        }
        let now = Instant::now();
        if self.link.poll_timeout().is_some_and(|due| due <= now) {
            self.link.handle_timeout(now);
        }
        self.flush();
    }

    // Ends.

    /// Waits until the server has closed the connection, and returns its code.
    #[track_caller]
    pub fn expect_lost(&mut self) -> u64 {
        let lost = self.wait("the end of the connection", |link| link.lost.clone());
        match lost {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("{other}"),
        }
    }

    /// Waits until the server has closed the session, and returns its code. Closes our half then, as a browser
    /// does.
    #[track_caller]
    pub fn expect_closed(&mut self) -> u32 {
        let (code, _) = self.wait("the end of the session", |link| link.closed.clone());
        let session = self.link.session;
        self.link.finish(session);
        self.flush();
        code
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.link.close(Instant::now());
        self.flush();
    }

    /// Waits until the server has reset a stream, and returns the code.
    #[track_caller]
    pub fn expect_reset(&mut self, stream: u64) -> u64 {
        self.wait("a reset", |link| link.inputs.get(&stream)?.reset)
    }

    // Requests.

    /// Opens a stream of the session, once the server allows it.
    #[track_caller]
    pub fn open_stream(&mut self) -> u64 {
        self.wait("a place for a stream", WebTransport::open_in_session)
    }

    /// Sends a request on a stream of its own, and returns the stream and the reply.
    #[track_caller]
    pub fn request(&mut self, request: &str) -> (u64, serde_json::Value) {
        let stream = self.open_stream();
        self.link.write_unit(stream, request.as_bytes());
        let reply = self.wait("a reply", |link| link.take_unit(stream));
        (stream, serde_json::from_slice(&reply).expect("an object"))
    }
}

/// A member of "room" on the path QUIC, with stream delivery.
pub struct QuicMember {
    pub browser: Browser,
    /// The stream of its request.
    pub stream: u64,
    pub reply: serde_json::Value,
}

impl QuicMember {
    pub fn create(server: &Server, name: &str) -> Self {
        Self::enter(Browser::open(server.udp), "create", name, "")
    }

    pub fn join(server: &Server, name: &str) -> Self {
        Self::enter(Browser::open(server.udp), "join", name, "")
    }

    /// Enters "room" over an open session. `more` are further keys, each after a comma.
    #[track_caller]
    pub fn enter(mut browser: Browser, operation: &str, name: &str, more: &str) -> Self {
        let request = format!(
            r#"{{"operation":"{operation}","room":"room","username":"{name}","delivery":"stream"{more}}}"#
        );
        let (stream, reply) = browser.request(&request);
        assert_eq!(reply["status"], 0, "{reply}");
        Self { browser, stream, reply }
    }

    /// Returns the number of its first entry.
    pub fn next(&self) -> u64 {
        self.reply["next"].as_u64().expect("a number")
    }

    /// Sends a message in a datagram.
    pub fn say(&mut self, id: u32, text: &str) {
        let body = [&[0], &id.to_be_bytes()[..], text.as_bytes()].concat();
        assert!(self.browser.link.send_datagram(&body), "it fits");
        self.browser.flush();
    }

    /// Sends a message in a unit.
    pub fn say_in_unit(&mut self, id: u32, text: &str) {
        let body = [&[0], &id.to_be_bytes()[..], text.as_bytes()].concat();
        self.browser.link.write_unit(self.stream, &body);
        self.browser.flush();
    }

    /// Confirms all entries before this one, which requests what follows.
    pub fn have(&mut self, next: u64) {
        let body = [&[1], &next.to_be_bytes()[..]].concat();
        assert!(self.browser.link.send_datagram(&body), "it fits");
        self.browser.flush();
    }

    /// Enters "room" with text delivery.
    #[track_caller]
    pub fn enter_text(mut browser: Browser, operation: &str, name: &str) -> Self {
        let request = format!(r#"{{"operation":"{operation}","room":"room","username":"{name}"}}"#);
        let (stream, reply) = browser.request(&request);
        assert_eq!(reply["status"], 0, "{reply}");
        Self { browser, stream, reply }
    }

    /// Reads one content, from a datagram or a unit. Returns true for a unit.
    #[track_caller]
    fn hear_bytes(&mut self) -> (bool, Vec<u8>) {
        let stream = self.stream;
        self.browser.wait("a message", |link| {
            let datagram = link.datagrams.pop_front().map(|body| (false, body.to_vec()));
            datagram.or_else(|| link.take_unit(stream).map(|body| (true, body)))
        })
    }

    /// Reads one text.
    #[track_caller]
    pub fn hear_text(&mut self) -> (bool, String) {
        let (is_unit, body) = self.hear_bytes();
        (is_unit, String::from_utf8(body).expect("UTF-8"))
    }

    /// Reads one packet of the stream.
    #[track_caller]
    pub fn hear(&mut self) -> (bool, Packet) {
        let (is_unit, body) = self.hear_bytes();
        (is_unit, Packet::read(&body))
    }

    /// Reads packets up to one whose entries are these.
    #[track_caller]
    pub fn hear_until(&mut self, is_meant: impl Fn(&[Item]) -> bool) -> (bool, Packet) {
        loop {
            let (is_unit, packet) = self.hear();
            if is_meant(&packet.items) {
                return (is_unit, packet);
            }
        }
    }
}
