//! Sealed members: they request their places inside TLS, and their datagrams are sealed. The seal is
//! that of the library; tests/encryption/exchange.rs holds it to the protocol page.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use reactor_chat::protocol::SealTerms;
use reactor_chat::seal::{CONTROL, ClientOpener, Control as SealControl, Sealer};

use super::encrypted::{Encrypted, client_config};
use super::streams::RESUME;
use super::*;

/// Returns the payload of a request for a sealed member. `more` are further keys, each after a comma.
pub fn sealed(name: &str, more: &str) -> String {
    format!(r#"{{"username":"{name}","seal":true{more}}}"#)
}

/// A member of "room" whose datagrams are sealed.
pub struct Sealed {
    pub token: Token,
    pub terms: SealTerms,
    /// The whole completion.
    pub payload: serde_json::Value,
    pub socket: UdpSocket,
    server: SocketAddr,
    sealer: RefCell<Sealer>,
    opener: RefCell<ClientOpener>,
}

/// Returns the payload of the completion of a request from `ip`, inside TLS. The connection is closed.
///
/// # Errors
/// The status, if the server refuses.
pub fn request(tcp: SocketAddr, ip: IpAddr, operation: u8, payload: &str) -> Result<Vec<u8>, u8> {
    let mut control = Encrypted::over(Control::connect_to_from(tcp, ip), client_config());
    control.finish_handshake().expect("a handshake");
    control.send(&frame(operation, "room", payload.as_bytes()));
    match control.expect_reply().payload[0] {
        0 => Ok(control.expect_reply().payload),
        status => Err(status),
    }
}

impl Sealed {
    /// Creates "room", with a first datagram.
    pub fn create(server: &Server, name: &str, more: &str) -> Self {
        Self::enter((server.tcp, server.udp), CREATE, name, more)
    }

    /// Joins "room", with a first datagram.
    pub fn join(server: &Server, name: &str, more: &str) -> Self {
        Self::enter((server.tcp, server.udp), JOIN, name, more)
    }

    /// Enters "room" at these addresses, with a first datagram.
    pub fn enter(
        (tcp, udp): (SocketAddr, SocketAddr),
        operation: u8,
        name: &str,
        more: &str,
    ) -> Self {
        let payload = request(tcp, loopback(1), operation, &sealed(name, more));
        let member = Self::new(udp, &payload.expect("a place"), loopback(1));
        member.say("");
        member
    }

    /// Returns the member of a completion, with a socket at `ip`.
    pub fn new(server: SocketAddr, payload: &[u8], ip: IpAddr) -> Self {
        let payload: serde_json::Value = serde_json::from_slice(payload).expect("an object");
        let token = payload["token"].as_str().expect("a token").as_bytes();
        let terms: SealTerms = serde_json::from_value(payload["seal"].clone()).expect("terms");
        Self {
            token: token.try_into().expect("32 characters"),
            terms,
            socket: socket_at(ip),
            server,
            sealer: Sealer::new(terms.id, terms.cipher, terms.up).into(),
            opener: ClientOpener::new(terms.id, terms.cipher, terms.down).into(),
            payload,
        }
    }

    /// Resumes from `ip`, and returns the member with a socket there, which has sent nothing yet.
    ///
    /// # Errors
    /// The status, if the server refuses.
    pub fn resume(&self, server: &Server, ip: IpAddr) -> Result<Self, u8> {
        let token = String::from_utf8_lossy(&self.token);
        let payload = format!(r#"{{"token":"{token}","seal":true}}"#);
        Ok(Self::new(server.udp, &request(server.tcp, ip, RESUME, &payload)?, ip))
    }

    /// Moves to a new socket at `ip`.
    pub fn move_to(&mut self, ip: IpAddr) -> UdpSocket {
        std::mem::replace(&mut self.socket, socket_at(ip))
    }

    /// Seals a datagram without sending it.
    pub fn seal(&self, flags: u8, content: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.sealer.borrow_mut().seal(flags, content, &mut datagram).expect("a number");
        datagram
    }

    pub fn send_datagram(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sent");
    }

    pub fn say(&self, message: &str) {
        self.send_datagram(&self.seal(0, message.as_bytes()));
    }

    /// Answers a challenge.
    pub fn answer(&self, value: [u8; 8]) {
        self.send_datagram(&self.seal(CONTROL, &SealControl::Answer(value).encode()));
    }

    /// Opens a datagram. Returns true for a control datagram, and the content.
    pub fn open(&self, datagram: &[u8]) -> (bool, Vec<u8>) {
        let mut content = Vec::new();
        let opened = self.opener.borrow_mut().open(datagram, &mut content);
        (opened.expect("a genuine datagram").is_control(), content)
    }

    /// Reads one datagram, which is no control datagram.
    pub fn hear(&self) -> Vec<u8> {
        let mut buffer = [0; 5000];
        let (size, _) = receive(&self.socket, &mut buffer);
        let (is_control, content) = self.open(&buffer[..size]);
        assert!(!is_control);
        content
    }

    /// Reads the value of a challenge.
    pub fn expect_challenge(&self) -> [u8; 8] {
        let mut buffer = [0; 5000];
        let (size, _) = receive(&self.socket, &mut buffer);
        let (is_control, content) = self.open(&buffer[..size]);
        assert!(is_control);
        match SealControl::parse(&content) {
            Some(SealControl::Challenge(value)) => value,
            _ => panic!("{content:?}"),
        }
    }

    /// Checks the next datagram.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        assert_eq!(String::from_utf8_lossy(&self.hear()), text);
    }

    /// Reads up to the answer to a request, which comes after everything else, and returns the rest.
    pub fn heard_up_to_now(&self) -> Vec<String> {
        self.say("/help");
        let mut heard = Vec::new();
        loop {
            let text = String::from_utf8(self.hear()).expect("UTF-8");
            if text.starts_with('/') {
                return heard;
            }
            heard.push(text);
        }
    }
}

fn socket_at(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket
}

/// Checks that nothing comes to a socket. The server has worked off all earlier datagrams.
#[track_caller]
pub fn expect_empty(socket: &UdpSocket) {
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
    let error = socket.recv(&mut [0; 16]).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
}
