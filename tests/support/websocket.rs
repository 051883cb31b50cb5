//! WebSockets by raw bytes (RFC 6455): frames are written and read by hand, so that a mistake in the
//! server's library cannot hide itself.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

pub use super::http::read_head;
use super::streams::{Packet, Ticket};
use super::*;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The bit of the last frame of a message.
pub const FINAL: u8 = 0x80;

/// The key of the example in RFC 6455, section 1.3, and its answer.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Returns the request for a WebSocket.
pub fn handshake(host: &str) -> Vec<u8> {
    format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Returns a masked frame. `first` has the kind and the bits before it.
pub fn client_frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match content.len() {
        size @ 0..=125 => frame.push(0x80 | size as u8),
        size => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(size).expect("a short frame").to_be_bytes());
        }
    }
    let mask = [0x5a, 0x0f, 0xc3, 0x99];
    frame.extend(mask);
    frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame from the server, which is whole and not masked.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerFrame {
    pub kind: u8,
    pub content: Vec<u8>,
}

impl ServerFrame {
    /// Reads a frame, or returns `None` at the end of the stream.
    pub fn read(stream: &mut impl Read) -> Option<Self> {
        let mut head = [0; 2];
        match stream.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
            outcome => outcome.expect("a frame in time"),
        }
        assert_eq!(head[0] & 0xf0, FINAL, "whole, without reserved bits");
        let size = match head[1] {
            126 => {
                let mut size = [0; 2];
                stream.read_exact(&mut size).expect("a size");
                u16::from_be_bytes(size)
            }
            size => u16::from(size),
        };
        assert!(head[1] < 127, "neither masked nor longer than 64 KiB");
        let mut content = vec![0; usize::from(size)];
        stream.read_exact(&mut content).expect("a whole frame");
        Some(Self { kind: head[0] & 0x0f, content })
    }

    /// Returns the code of a close frame.
    pub fn code(&self) -> Option<u16> {
        assert_eq!(self.kind, CLOSE, "{self:?}");
        self.content.first_chunk().map(|code| u16::from_be_bytes(*code))
    }
}

/// A WebSocket. The stream is a connection or TLS on it.
pub struct Socket<S = TcpStream> {
    pub stream: S,
}

impl Socket {
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect_timeout(&server.tcp, DEADLINE).expect("a connection");
        Self::over_tcp(stream, &server.tcp.to_string())
    }

    pub fn over_tcp(stream: TcpStream, host: &str) -> Self {
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self::over(stream, host)
    }

    /// Checks that nothing comes for this long.
    #[track_caller]
    pub fn expect_quiet_for(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a timeout");
        let read = self.stream.read(&mut [0; 1]);
        self.stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        assert!(read.is_err(), "{read:?}");
    }
}

impl<S: Read + Write> Socket<S> {
    /// Does the handshake.
    pub fn over(mut stream: S, host: &str) -> Self {
        stream.write_all(&handshake(host)).expect("sent");
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {ACCEPTED}\r\n")), "{head}");
        Self { stream }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// Sends a frame. `first` has the kind and the bits before it.
    pub fn send_frame(&mut self, first: u8, content: &[u8]) {
        self.send(&client_frame(first, content));
    }

    pub fn text(&mut self, text: &str) {
        self.send_frame(FINAL | TEXT, text.as_bytes());
    }

    pub fn binary(&mut self, content: &[u8]) {
        self.send_frame(FINAL | BINARY, content);
    }

    /// Reads a frame that is no ping: on a busy machine a test may take longer than their interval.
    pub fn read(&mut self) -> Option<ServerFrame> {
        loop {
            match ServerFrame::read(&mut self.stream) {
                Some(ServerFrame { kind: PING, .. }) => {}
                other => return other,
            }
        }
    }

    #[track_caller]
    pub fn expect_frame(&mut self, kind: u8) -> Vec<u8> {
        let frame = self.read().expect("a frame");
        assert_eq!(frame.kind, kind, "{:?}", String::from_utf8_lossy(&frame.content));
        frame.content
    }

    /// Reads a frame of one of these kinds, and returns its kind.
    #[track_caller]
    pub fn expect_frame_of(&mut self, kinds: &[u8]) -> u8 {
        let frame = self.read().expect("a frame");
        assert!(kinds.contains(&frame.kind), "{frame:?}");
        frame.kind
    }

    /// Reads a text message.
    #[track_caller]
    pub fn expect_text(&mut self) -> String {
        String::from_utf8(self.expect_frame(TEXT)).expect("UTF-8")
    }

    /// Sends a request, and returns the reply.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> String {
        self.text(request);
        self.expect_text()
    }

    /// Reads a close frame with this code and the end of the stream, without an answer to it.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) {
        let frame = self.read().expect("a close frame");
        assert_eq!((frame.code(), frame.content.len()), (Some(code), 2));
        assert_eq!(self.read(), None);
    }

    /// Reads frames up to a close frame with this code, and the end behind it. Returns the contents of
    /// the others.
    #[track_caller]
    pub fn expect_close_later(&mut self, code: u16) -> Vec<Vec<u8>> {
        let mut contents = Vec::new();
        loop {
            match self.read().expect("a close frame") {
                frame if frame.kind == CLOSE => {
                    assert_eq!(frame.code(), Some(code));
                    assert_eq!(self.read(), None);
                    return contents;
                }
                frame => contents.push(frame.content),
            }
        }
    }
}

/// Returns a request to enter "room". `keys` are those of section 1, each behind a comma.
pub fn entry(operation: &str, name: &str, keys: &str) -> String {
    format!(r#"{{"operation":"{operation}","room":"room","username":"{name}"{keys}}}"#)
}

/// A member on a WebSocket.
pub struct WebMember<S = TcpStream> {
    pub socket: Socket<S>,
    /// The reply to its request.
    pub reply: String,
}

impl WebMember {
    /// Creates "room" with text delivery.
    pub fn create(server: &Server, name: &str) -> Self {
        Self::enter(Socket::connect(server), &entry("create", name, ""))
    }

    /// Joins "room" with text delivery.
    pub fn join(server: &Server, name: &str) -> Self {
        Self::enter(Socket::connect(server), &entry("join", name, ""))
    }

    /// Enters "room" with stream delivery.
    pub fn stream(server: &Server, operation: &str, name: &str) -> Self {
        Self::enter(Socket::connect(server), &entry(operation, name, r#","delivery":"stream""#))
    }
}

impl<S: Read + Write> WebMember<S> {
    pub fn enter(mut socket: Socket<S>, request: &str) -> Self {
        let reply = socket.ask(request);
        assert!(reply.starts_with(r#"{"status":0,"token":""#), "{reply}");
        Self { socket, reply }
    }

    /// Returns the start of its stream.
    pub fn ticket(&self) -> Ticket {
        Ticket::read(self.reply.replacen(r#""status":0,"#, "", 1).as_bytes())
    }

    pub fn token(&self) -> String {
        let (_, rest) = self.reply.split_once(r#""token":""#).expect("a token");
        rest[..32].into()
    }

    pub fn say(&mut self, message: &str) {
        self.socket.binary(message.as_bytes());
    }

    /// Sends a message of a stream.
    pub fn say_in_stream(&mut self, id: u32, text: &str) {
        self.socket.binary(&[&[0], &id.to_be_bytes()[..], text.as_bytes()].concat());
    }

    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        assert_eq!(String::from_utf8_lossy(&self.socket.expect_frame(BINARY)), text);
    }

    /// Waits until these are the members of "room". Notices are skipped: many joins and leaves in a
    /// second are counted in one.
    #[track_caller]
    pub fn expect_members(&mut self, members: &str) {
        let end = Instant::now() + DEADLINE;
        loop {
            self.say("/who");
            let answer = loop {
                let line = self.socket.expect_frame(BINARY);
                if line.starts_with(members.split_once(' ').map_or("", |(host, _)| host).as_bytes())
                {
                    break line;
                }
            };
            if answer == members.as_bytes() {
                return;
            }
            assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&answer));
        }
    }

    /// Reads one message of a stream.
    #[track_caller]
    pub fn read_packet(&mut self) -> Packet {
        let packet = Packet::read(&self.socket.expect_frame(BINARY));
        assert_eq!(packet.tag, self.ticket().tag);
        packet
    }

    /// Reads messages of a stream up to the one with this text.
    pub fn read_until(&mut self, text: &str) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            packets.push(self.read_packet());
            if streams::is_in(&packets[packets.len() - 1].items, text) {
                return packets;
            }
        }
    }
}
