//! Stream members: the bytes of "Stream delivery" in PROTOCOL.md are written and read by hand, so that
//! a mistake in the server's codec cannot hide itself.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::*;

pub const RESUME: u8 = 4;

/// The codes of notices and asides.
pub const JOINED: u8 = 1;
pub const LEFT: u8 = 2;
pub const TIMED_OUT: u8 = 3;
pub const KICKED: u8 = 4;
pub const ROOM_CLOSED: u8 = 5;
pub const SERVER_GOING: u8 = 13;
pub const NEW_HOST: u8 = 6;
pub const REMOVED: u8 = 7;
pub const RATE_LIMITED: u8 = 8;
pub const REFUSED: u8 = 9;
pub const ANSWER: u8 = 10;
pub const STATE: u8 = 12;

/// The fields of a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub token: Token,
    pub member: u32,
    pub tag: u32,
    pub life: u32,
    pub next: u64,
    pub expected: u32,
    pub keep_alive: u64,
    pub idle_timeout: u64,
}

impl Ticket {
    /// Reads a completion's payload: an object with these keys and no others.
    pub fn read(payload: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
        let object = json.as_object().expect("an object");
        let number = |key: &str| object[key].as_u64().expect("a number");
        assert_eq!(object.len(), 8, "{object:?}");
        let token = object["token"].as_str().expect("a string");
        assert!(token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        Self {
            token: token.as_bytes().try_into().expect("32 characters"),
            member: number("member").try_into().expect("a u32"),
            tag: number("tag").try_into().expect("a u32"),
            life: number("life").try_into().expect("a u32"),
            next: number("next"),
            expected: number("expected").try_into().expect("a u32"),
            keep_alive: number("keep_alive"),
            idle_timeout: number("idle_timeout"),
        }
    }
}

/// One entry of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Message { member: u32, id: u32, name: String, text: String },
    Part { member: u32, id: u32, name: String, text: String },
    Notice { code: u8, member: u32, name: String, text: String },
    Aside { code: u8, expected: u32, id: u32, text: String },
    Gone(u32),
}

/// A datagram for a stream member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub tag: u32,
    pub sequence: u64,
    pub items: Vec<Item>,
    /// Size of the whole datagram, and of the padding behind the last entry.
    pub size: usize,
    pub padding: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

impl Packet {
    pub fn read(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 12, "no header: {bytes:?}");
        let sequence = u64::from_be_bytes(bytes[4..12].try_into().expect("eight bytes"));
        let (mut items, mut at) = (Vec::new(), 12);
        while at + 2 <= bytes.len() {
            let size = usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
            if size == 0 {
                break;
            }
            items.push(Item::read(&bytes[at + 2..at + 2 + size]));
            at += 2 + size;
        }
        assert!(bytes[at..].iter().all(|byte| *byte == 0), "padding is zeros");
        let (size, padding) = (bytes.len(), bytes.len() - at);
        assert!(size <= 1150, "{size} bytes");
        Self { tag: u32_at(bytes, 0), sequence, items, size, padding }
    }

    /// Returns the number of sequence numbers that its entries take.
    pub fn numbers(&self) -> u64 {
        self.items.iter().map(Item::numbers).sum()
    }
}

/// Returns true if a message with this text is among entries.
pub fn is_in(items: &[Item], text: &str) -> bool {
    items.iter().any(|item| matches!(item, Item::Message { text: its, .. } if its == text))
}

/// Returns the texts of messages, their parts joined, in the order of their entries.
pub fn joined(packets: &[Packet]) -> Vec<String> {
    let (mut texts, mut begun) = (Vec::new(), String::new());
    for item in packets.iter().flat_map(|packet| &packet.items) {
        match item {
            Item::Part { text, .. } => begun += text,
            Item::Message { text, .. } => texts.push(std::mem::take(&mut begun) + text),
            _ => {}
        }
    }
    texts
}

impl Item {
    fn read(bytes: &[u8]) -> Self {
        let (kind, body) = (bytes[0], &bytes[1..]);
        let named = |at: usize| {
            let size = usize::from(body[at]);
            (text_of(&body[at + 1..at + 1 + size]), text_of(&body[at + 1 + size..]))
        };
        match kind {
            0 => {
                let (name, text) = named(8);
                Self::Message { member: u32_at(body, 0), id: u32_at(body, 4), name, text }
            }
            1 => {
                let (name, text) = named(5);
                Self::Notice { code: body[0], member: u32_at(body, 1), name, text }
            }
            2 => Self::Aside {
                code: body[0],
                expected: u32_at(body, 1),
                id: u32_at(body, 5),
                text: text_of(&body[9..]),
            },
            3 => {
                let (name, text) = named(8);
                Self::Part { member: u32_at(body, 0), id: u32_at(body, 4), name, text }
            }
            4 => {
                assert_eq!(body.len(), 4);
                Self::Gone(u32_at(body, 0))
            }
            _ => panic!("kind {kind}"),
        }
    }

    pub fn numbers(&self) -> u64 {
        match self {
            Self::Message { .. } | Self::Part { .. } | Self::Notice { .. } => 1,
            Self::Aside { .. } => 0,
            Self::Gone(count) => u64::from(*count),
        }
    }

    pub fn message(member: u32, id: u32, name: &str, text: &str) -> Self {
        Self::Message { member, id, name: name.into(), text: text.into() }
    }

    pub fn part(member: u32, id: u32, name: &str, text: &str) -> Self {
        Self::Part { member, id, name: name.into(), text: text.into() }
    }

    pub fn notice(code: u8, member: u32, name: &str, text: &str) -> Self {
        Self::Notice { code, member, name: name.into(), text: text.into() }
    }

    pub fn joined(member: u32, name: &str) -> Self {
        Self::notice(JOINED, member, name, &format!("{name} joined"))
    }

    pub fn aside(code: u8, expected: u32, id: u32, text: &str) -> Self {
        Self::Aside { code, expected, id, text: text.into() }
    }

    pub fn state(expected: u32, id: u32) -> Self {
        Self::aside(STATE, expected, id, "")
    }
}

/// Returns the payload of a request for stream delivery. `more` are further keys, each after a
/// comma.
pub fn streamed(name: &str, more: &str) -> String {
    format!(r#"{{"username":"{name}","delivery":"stream"{more}}}"#)
}

/// A member with stream delivery.
pub struct Listener {
    pub ticket: Ticket,
    /// The member with its socket and its raw datagrams.
    pub wire: Member,
}

impl Listener {
    pub fn create(server: &Server, name: &str) -> Self {
        Self::enter(server, CREATE, &streamed(name, ""))
    }

    pub fn join(server: &Server, name: &str) -> Self {
        Self::enter(server, JOIN, &streamed(name, ""))
    }

    /// Enters "room" and proves its port. The answer to that is its backlog.
    pub fn enter(server: &Server, operation: u8, payload: &str) -> Self {
        let listener = Self::enter_unproved(server, operation, "room", payload);
        listener.wire.say("");
        listener
    }

    pub fn enter_unproved(server: &Server, operation: u8, room: &str, payload: &str) -> Self {
        let mut control = Control::connect(server);
        control.request(operation, room, payload.as_bytes());
        let ticket = Ticket::read(&control.expect_success());
        let wire = Member::with_token(server.udp, control.local_ip(), room, ticket.token);
        Self { ticket, wire }
    }

    pub fn say(&self, id: u32, text: &str) {
        self.say_bytes(id, text.as_bytes());
    }

    pub fn say_bytes(&self, id: u32, text: &[u8]) {
        self.wire.say_bytes(&[&[0], &id.to_be_bytes()[..], text].concat());
    }

    /// Sends a part of a message, with more to come.
    pub fn say_part(&self, id: u32, text: &[u8]) {
        self.wire.say_bytes(&[&[3], &id.to_be_bytes()[..], text].concat());
    }

    pub fn have(&self, next: u64) {
        self.wire.say_bytes(&[&[1], &next.to_be_bytes()[..]].concat());
    }

    pub fn repair(&self, ranges: &[(u64, u16)]) {
        let mut body = vec![2];
        for (from, count) in ranges {
            body.extend_from_slice(&from.to_be_bytes());
            body.extend_from_slice(&count.to_be_bytes());
        }
        self.wire.say_bytes(&body);
    }

    pub fn hear(&self) -> Packet {
        let packet = Packet::read(&self.wire.hear());
        assert_eq!(packet.tag, self.ticket.tag);
        packet
    }

    /// Checks that the next datagram with entries contains exactly these. Numbers begin with
    /// `sequence`.
    #[track_caller]
    pub fn expect(&self, sequence: u64, items: &[Item]) {
        let mut packet = self.hear();
        while packet.items.is_empty() {
            packet = self.hear();
        }
        assert_eq!((packet.sequence, &packet.items[..]), (sequence, items));
    }

    /// Returns everything that the server has sent up to now, except tail probes: requests its state
    /// and reads until the answer, which comes after everything else.
    pub fn heard_up_to_now(&self) -> Vec<Packet> {
        // This confirms nothing.
        self.have(0);
        let mut heard = Vec::new();
        loop {
            let packet = self.hear();
            match packet.items[..] {
                [Item::Aside { code: STATE, id: 0, .. }] => return heard,
                [] => {}
                _ => heard.push(packet),
            }
        }
    }

    /// Requests entries again, and returns those that come.
    pub fn repaired(&self, ranges: &[(u64, u16)]) -> Vec<Packet> {
        self.repair(ranges);
        // A turn sends repairs behind asides, so the answer to a second request is behind both.
        let mut heard = self.heard_up_to_now();
        heard.extend(self.heard_up_to_now());
        heard
    }

    /// Returns the entries of [`Listener::heard_up_to_now`].
    pub fn items_up_to_now(&self) -> Vec<Item> {
        self.heard_up_to_now().into_iter().flat_map(|packet| packet.items).collect()
    }

    #[track_caller]
    pub fn expect_nothing(&self) {
        assert_eq!(self.heard_up_to_now(), []);
    }

    /// Returns the next sequence number of the room.
    pub fn end(&self) -> u64 {
        self.have(0);
        loop {
            let packet = self.hear();
            if let [Item::Aside { code: STATE, id: 0, .. }] = packet.items[..] {
                return packet.sequence;
            }
        }
    }

    /// Waits for an aside with this code and skips everything else. Returns it with its time.
    pub fn expect_aside(&self, code: u8) -> (Item, Instant) {
        loop {
            let packet = self.hear();
            for item in packet.items {
                if matches!(&item, Item::Aside { code: its, .. } if *its == code) {
                    return (item, Instant::now());
                }
            }
        }
    }

    /// Returns the answer to a keep-alive with a dead token.
    pub fn expect_aside_after_keep_alive(&self) -> Item {
        self.wire.say("");
        let packet = self.hear();
        let [aside] = &packet.items[..] else { panic!("one aside") };
        aside.clone()
    }

    /// Checks that nothing comes for this long.
    #[track_caller]
    pub fn expect_quiet_for(&self, time: Duration) {
        let socket = &self.wire.socket;
        socket.set_read_timeout(Some(time)).expect("a timeout");
        let heard = socket.recv(&mut [0; 5000]);
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Resumes from another IP. Returns the status, or the new listener.
    pub fn resume(&self, server: &Server, ip: IpAddr) -> Result<Self, u8> {
        let mut control = Control::connect_from(server, ip);
        control.request(RESUME, &self.wire.room, &self.ticket.token);
        match control.expect_status() {
            0 => {
                let ticket = Ticket::read(&control.expect_reply().payload);
                let wire = Member::with_token(server.udp, ip, &self.wire.room, ticket.token);
                Ok(Self { ticket, wire })
            }
            status => Err(status),
        }
    }
}

/// Creates a room with its host Alice and her guest Bob, both with stream delivery. Both have got
/// the notice of his join.
pub fn listening_alice_and_bob(server: &Server) -> (Listener, Listener) {
    let alice = Listener::create(server, "alice");
    alice.expect(1, &[Item::joined(1, "alice")]);
    let bob = Listener::join(server, "bob");
    bob.expect(2, &[Item::joined(2, "bob")]);
    alice.expect(2, &[Item::joined(2, "bob")]);
    (alice, bob)
}
