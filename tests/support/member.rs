//! Members with a UDP socket of their own.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::{CREATE, Control, DEADLINE, JOIN, Server, Token, receive, wait_for};

/// Returns a client's datagram: sizes, room name, token, message.
pub fn datagram(room: &str, token: &Token, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![room.len() as u8, token.len() as u8];
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(token);
    bytes.extend_from_slice(message);
    bytes
}

/// One user in a room, with a UDP socket of its own.
pub struct Member {
    pub room: String,
    pub token: Token,
    pub socket: UdpSocket,
    pub server: SocketAddr,
}

impl Member {
    /// Creates a room with this payload: a JSON object or a bare name.
    pub fn create(server: &Server, room: &str, payload: &str) -> Self {
        Self::enter(server, CREATE, room, payload)
    }

    /// Joins a room.
    pub fn join(server: &Server, room: &str, payload: &str) -> Self {
        Self::enter(server, JOIN, room, payload)
    }

    /// Joins over a connection that is closed at once, as many clients do, and proves its address.
    fn enter(server: &Server, operation: u8, room: &str, payload: &str) -> Self {
        let member = Self::enter_unproved(server, operation, room, payload);
        member.prove();
        member
    }

    /// Joins without any datagram: the server knows no address.
    pub fn enter_unproved(server: &Server, operation: u8, room: &str, payload: &str) -> Self {
        let mut control = Control::connect(server);
        let token = control.enter(operation, room, payload.as_bytes());
        Self::with_token(server.udp, control.local_ip(), room, token)
    }

    /// Joins over `control`, which stays open, and proves its address.
    pub fn enter_over(
        control: &mut Control,
        server: &Server,
        operation: u8,
        room: &str,
        payload: &str,
    ) -> Self {
        let token = control.enter(operation, room, payload.as_bytes());
        let member = Self::with_token(server.udp, control.local_ip(), room, token);
        member.prove();
        member
    }

    /// Returns the member with a new socket at `ip`, which the server does not know yet.
    pub fn at(&self, ip: IpAddr) -> Self {
        Self::with_token(self.server, ip, &self.room, self.token)
    }

    /// Returns the member with a new socket at the same IP.
    pub fn elsewhere(&self) -> Self {
        self.at(self.socket.local_addr().expect("an address").ip())
    }

    /// Returns a member at `ip` with a token that it already has.
    pub fn with_token(server: SocketAddr, ip: IpAddr, room: &str, token: Token) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { room: room.into(), token, socket, server }
    }

    /// Sends an empty datagram, and checks by an answer that the server has taken it.
    pub fn prove(&self) {
        self.say("");
        self.settle();
    }

    /// Sends a message.
    pub fn say(&self, message: &str) {
        self.say_bytes(message.as_bytes());
    }

    pub fn say_bytes(&self, message: &[u8]) {
        self.send_datagram(&datagram(&self.room, &self.token, message));
    }

    /// Sends raw bytes.
    pub fn send_datagram(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sent");
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("an address").port()
    }

    /// Reads one datagram.
    pub fn hear(&self) -> Vec<u8> {
        let mut buffer = [0; 5000];
        let (size, from) = receive(&self.socket, &mut buffer);
        assert_eq!(from.port(), self.server.port(), "from the server");
        buffer[..size].to_vec()
    }

    /// Reads one datagram as text.
    pub fn hear_text(&self) -> String {
        String::from_utf8(self.hear()).expect("UTF-8")
    }

    /// Checks the next datagram.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        assert_eq!(self.hear_text(), text);
    }

    /// Reads datagrams up to this one.
    #[track_caller]
    pub fn expect_sometime(&self, text: &str) {
        while self.hear_text() != text {}
    }

    /// Discards everything that the server has sent up to now: requests the list of commands, which
    /// comes after everything else.
    pub fn settle(&self) {
        self.heard_up_to_now();
    }

    /// Waits until the notices of joins count this many, by name or in a summary, which comes up to
    /// a second later.
    #[track_caller]
    pub fn hear_of_joins(&self, count: usize) {
        let mut joined = 0;
        while joined < count {
            let notice = self.hear_text();
            let who = notice.strip_suffix(" joined").expect("a notice of joins");
            joined += who.parse().unwrap_or(1);
        }
    }

    /// Returns everything that the server has sent up to now. It requests something and reads until
    /// the answer. The server works sequentially, so the effects of all earlier datagrams, of
    /// anyone, are in front of it.
    pub fn heard_up_to_now(&self) -> Vec<String> {
        self.say("/help");
        let mut heard = Vec::new();
        loop {
            let text = self.hear_text();
            let is_answer = text.trim_start_matches('\0').starts_with('/');
            if is_answer {
                return heard;
            }
            heard.push(text);
        }
    }

    /// Checks that the server has sent nothing up to now.
    #[track_caller]
    pub fn expect_silence(&self) {
        assert_eq!(self.heard_up_to_now(), Vec::<String>::new());
    }

    /// Checks that the socket is empty, for a member that can't request anything any more.
    #[track_caller]
    pub fn expect_empty_socket(&self) {
        self.socket.set_nonblocking(true).expect("an option");
        let error = self.socket.recv(&mut [0; 16]).expect_err("nothing there");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).expect("an option");
    }
}

/// Returns the payload of a request for text delivery.
pub fn text(name: &str) -> String {
    format!(r#"{{"username":"{name}"}}"#)
}

/// Creates the room "room" with its host Alice and her guest Bob, both with text delivery. Both have
/// got the notice of his join.
pub fn alice_and_bob(server: &Server) -> (Member, Member) {
    let alice = Member::create(server, "room", &text("alice"));
    let bob = Member::join(server, "room", &text("bob"));
    alice.expect("bob joined");
    (alice, bob)
}

/// Joins "room" with text delivery at `ip`, over TCP and UDP. The connected socket receives from
/// there only. For servers with a wildcard bind.
pub fn speak_to(server: &Server, ip: IpAddr, operation: u8, name: &str) -> Member {
    let mut control = Control::connect_to(SocketAddr::new(ip, server.tcp.port()));
    let token = control.enter(operation, "room", text(name).as_bytes());
    let udp = SocketAddr::new(ip, server.udp.port());
    let member = Member::with_token(udp, control.local_ip(), "room", token);
    member.socket.connect(udp).expect("a route");
    member.prove();
    member
}

/// Reads until `text` comes, and sends keep-alives meanwhile.
pub fn hear_while_awake(member: &Member, text: &str) {
    member.socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    wait_for(text, || {
        member.say("");
        let mut buffer = [0; 4096];
        let size = member.socket.recv(&mut buffer).ok()?;
        (&buffer[..size] == text.as_bytes()).then_some(())
    });
    member.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
}
