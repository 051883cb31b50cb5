//! Requests of clients over TCP.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::chat::{Caller, Census, Path, Reply};
use reactor_chat::protocol::{Frame, Request, Status, request};

use super::{Delayed, World};
use crate::model::PlaceOfRequest;
use crate::model::member::Member;

/// Names of users. Some are equal ignoring case, width or normal form; one is long and one invalid.
pub(super) const NAMES: [&str; 16] = [
    "ann",
    "ANN",
    "bob",
    "cy",
    "dé",
    "DÉ",
    "de\u{301}",
    "ＢＯＢ",
    "eve",
    "fay",
    "gus",
    "hal",
    "ivy",
    "日本",
    "x: y",
    "a-name-that-is-so-long-that-with-it-a-message-can-be-too-long",
];

impl World {
    fn payload(&mut self, is_host: bool) -> Vec<u8> {
        let name = self.random.pick(&NAMES);
        if self.random.chance(20) {
            return name.into();
        }
        let delivery = match self.random.below(4) {
            0 => "",
            1 => r#","delivery":"named""#,
            _ if self.is_without_streams => "",
            _ => r#","delivery":"stream""#,
        };
        let path = self.path_keys();
        let password = self.random.pick(&["", "", r#","password":"a""#, r#","password":"b""#]);
        let history = format!(r#","history":{}"#, self.random.below(12));
        let host = match is_host {
            true => {
                let capacity = ["", r#","capacity":2"#, r#","capacity":6"#, ""];
                let hidden = ["", "", r#","hidden":true"#];
                let only = self.has_paths && self.random.chance(20);
                let only = if only { r#","sealed_only":true"# } else { "" };
                format!("{}{}{only}", self.random.pick(&capacity), self.random.pick(&hidden))
            }
            false => String::new(),
        };
        let broken = if self.random.chance(2) { "," } else { "" };
        format!(r#"{{"username":"{name}"{delivery}{path}{password}{history}{host}{broken}}}"#)
            .into_bytes()
    }

    /// Enters a room. The reply may be lost: then there is a member that no client knows of.
    pub(super) fn enter(&mut self) {
        let rooms = ["lobby", "r1", "r2", "étage", "e\u{301}tage ", "部屋", "r5", "bad\u{200b}"];
        let room = self.random.pick(&rooms);
        // Sometimes a crowd enters.
        let is_crowd = self.random.chance(3);
        for _ in 0..if is_crowd { 25 } else { 1 } {
            self.enter_room(room);
        }
        if is_crowd && self.random.chance(10) {
            self.close_all();
        }
    }

    fn enter_room(&mut self, room: &str) {
        let is_there = self.model.open_room(&room.trim().replace("e\u{301}", "é")).is_some();
        let creates = if self.random.chance(85) { !is_there } else { is_there };
        let payload = self.payload(creates);
        let peer = self.address();
        let operation = if creates { 1 } else { 2 };
        let entered = self.request(peer, operation, room, &payload);
        let Some(index) = entered else { return };
        if self.random.chance(6) {
            self.model.tally.note("reply lost");
            self.model.members[index].is_known = false;
            if creates && self.random.chance(50) {
                self.end_connection(index);
                self.request(peer, operation, room, &payload);
            }
        } else if self.random.chance(65) {
            let bytes = self.encode(index, b"");
            self.receive(peer, &bytes);
        } else if self.random.chance(50) {
            self.announce_of(index);
        }
    }

    pub(super) fn resume(&mut self) {
        let Some(index) = self.random_member() else { return };
        let member = &self.model.members[index];
        let known = member.address;
        let room = match self.random.below(10) {
            0 => "lobby".into(),
            1 => self.model.rooms[member.room].name.clone(),
            _ => member.room_spelling.clone(),
        };
        let peer = if self.random.chance(30) { known } else { self.address() };
        let keys = self.path_keys();
        self.resume_on(index, peer, &room, keys);
    }

    /// Resumes a member from another address.
    pub fn resume_at(&mut self, index: usize, peer: SocketAddr, room: &str) {
        self.resume_on(index, peer, room, "");
    }

    /// Resumes a member from another address, with keys for its path behind the token.
    fn resume_on(&mut self, index: usize, peer: SocketAddr, room: &str, keys: &str) {
        let member = &self.model.members[index];
        let (is_live, was_sealed) = (member.is_live(), member.path == Path::Sealed);
        let token = String::from_utf8(member.token.to_wire().into()).expect("hex");
        let payload =
            if keys.is_empty() { token } else { format!(r#"{{"token":"{token}"{keys}}}"#) };
        let resumed = self.request(peer, 4, room, payload.as_bytes());
        assert!(is_live || resumed.is_none(), "a dead token lives again");
        if resumed.is_some() {
            // The client is at its new address, whether or not the reply has reached it.
            let member = &mut self.model.members[index];
            member.address = peer;
            let stays_sealed = was_sealed && member.path == Path::Sealed;
            if !member.is_attached() && !stays_sealed {
                self.network.table.remove(&member.id);
            }
            self.finish_paths();
        }
    }

    pub(super) fn list(&mut self) {
        let peer = self.address();
        let prefix = self.random.pick(&["", "r", "lobby", "e\u{301}", "none"]);
        self.request(peer, 3, prefix, b"");
    }

    /// Makes the delayed requests that are due, unless their client has gone.
    pub fn ask_again(&mut self) {
        while let Some(due) = self.delayed.iter().position(|request| request.at <= self.now) {
            let Delayed { peer, is_encrypted, operation, room, payload, .. } =
                self.delayed.remove(due);
            let from = (peer, is_encrypted, true);
            if self.random.chance(80) && self.ask(from, operation, &room, &payload).is_some() {
                self.model.tally.note("joined in its turn");
            }
        }
    }

    /// Makes a request. Returns the member that it is about, if it succeeds.
    pub fn request(
        &mut self,
        peer: SocketAddr,
        operation: u8,
        room: &str,
        payload: &[u8],
    ) -> Option<usize> {
        let is_encrypted = self.is_encrypted(payload);
        self.ask((peer, is_encrypted, false), operation, room, payload)
    }

    fn ask(
        &mut self,
        (peer, is_encrypted, has_waited): (SocketAddr, bool, bool),
        operation: u8,
        room: &str,
        payload: &[u8],
    ) -> Option<usize> {
        let frame = Frame { operation, state: 0, room: room.as_bytes(), payload };
        let request = match request::parse(&frame) {
            Ok(request) => request,
            Err(status) => {
                self.model.tally.note(&format!("status {status:?}"));
                return None;
            }
        };
        self.end_closing();
        let has_randomness = !self.random.chance(2) || operation > 2;
        let from = PlaceOfRequest { ip: peer.ip().to_canonical(), is_encrypted };
        let predicted = self.predict((from, has_waited), &request, has_randomness);
        let before = self.chat.census();
        let outcome = self.hand_over((from, has_waited), &request, has_randomness);
        match outcome {
            Ok(Reply::Later { at }) => {
                assert_eq!(predicted, Ok(Some(at)), "{request:?}");
                let (room, payload) = (room.into(), payload.into());
                self.delayed.push(Delayed { at, peer, is_encrypted, operation, room, payload });
                None
            }
            Ok(reply) => {
                assert_eq!(predicted, Ok(None), "{request:?} succeeded");
                let index = self.model.apply((peer, is_encrypted), &request, &reply, self.now);
                self.open_path(index, peer);
                index
            }
            Err(status) => {
                assert_eq!(predicted, Err(status), "{request:?}");
                // Only the count of wrong guesses may change.
                let after = Census { peers: before.peers, ..self.chat.census() };
                assert_eq!(after, before, "nothing has changed");
                self.model.tally.note(&format!("status {status:?}"));
                None
            }
        }
    }

    fn predict(
        &mut self,
        (from, has_waited): (PlaceOfRequest, bool),
        request: &Request<'_>,
        has_randomness: bool,
    ) -> Result<Option<Instant>, Status> {
        let predicted = self.model.judge(from, request, has_waited, self.now);
        if predicted == Ok(None) && !has_randomness {
            self.model.tally.note("no randomness");
            return Err(Status::ServerFull);
        }
        predicted
    }

    fn hand_over(
        &mut self,
        (from, has_waited): (PlaceOfRequest, bool),
        request: &Request<'_>,
        has_randomness: bool,
    ) -> Result<Reply, Status> {
        let caller =
            Caller { peer: from.ip.into(), is_encrypted: from.is_encrypted, is_quic: false };
        let random = &mut self.random;
        let draw = || {
            let bits = u128::from(random.next()) << 64 | u128::from(random.next());
            has_randomness.then(|| bits.to_be_bytes())
        };
        let outcome = match has_waited {
            true => self.chat.handle_delayed_request(caller, request, draw, 65_536, self.now),
            false => self.chat.handle_request(caller, request, draw, 65_536, self.now),
        };
        match outcome {
            // The absolute time differs from run to run, but the delay does not.
            Ok(Reply::Later { at }) => (at - self.now).hash(&mut self.network.history),
            _ => format!("{outcome:?}").hash(&mut self.network.history),
        }
        outcome
    }

    /// Ends a connection over which a member has entered or resumed.
    pub(super) fn disconnect(&mut self) {
        let open = |member: &Member| member.connections > 0;
        let recent = self.model.members.len().saturating_sub(20);
        let holding: Vec<usize> = (recent..self.model.members.len())
            .filter(|index| open(&self.model.members[*index]))
            .collect();
        if let Some(index) = (!holding.is_empty()).then(|| self.random.pick(&holding)) {
            self.end_connection(index);
        }
    }

    pub fn end_connection(&mut self, index: usize) {
        self.model.tally.note("disconnected");
        let member = &self.model.members[index];
        if member.is_attached() && (member.connections < 2 || self.random.chance(50)) {
            return self.cut(index);
        }
        self.end_closing();
        self.chat.handle_disconnect(self.model.members[index].id, self.now);
        self.model.disconnect(index, self.now);
    }

    /// Some members with one IP enter a room, may announce a port, and are silent.
    pub(super) fn enter_unheard(&mut self) {
        let (mut peer, room) = (self.address(), self.random.pick(&["lobby", "r1", "r2"]));
        let names: Vec<&str> = NAMES[2..7].to_vec();
        for (name, port) in names.into_iter().zip(1000..) {
            peer.set_port(port);
            let Some(index) = self.request(peer, 2, room, name.as_bytes()) else { continue };
            if self.random.chance(60) {
                self.announce_of(index);
            }
            if self.random.chance(80) {
                self.end_connection(index);
            }
        }
        if self.random.chance(50) {
            self.pass(Duration::from_secs(2), |_| {});
        }
    }

    /// Lets a peer with whole IPv6 prefixes guess, each time from another /64. Then a stranger
    /// joins with the right password.
    pub(super) fn guess_from_prefixes(&mut self) {
        let locked = self.model.rooms.iter().filter(|room| room.is_open);
        let mut locked =
            locked.filter_map(|room| Some((room.name.clone(), room.password.clone()?)));
        let (room, password) = locked.next_back().unwrap_or(("none".into(), "a".into()));
        let guesses = 1 + self.random.below(150);
        for _ in 0..guesses {
            let [site, subnet] = [self.random.below(9), self.random.below(600)].map(|n| n as u16);
            let ip = Ipv6Addr::new(0x2001, 0xdb8, site, subnet, 0, 0, 0, 1);
            self.request((ip, 1000).into(), 2, &room, br#"{"username":"eve","password":"c"}"#);
        }
        let pause = self.random.milliseconds(6_000);
        self.pass(pause, |_| {});
        let peer = (Ipv6Addr::new(0x2001, 0xdb8, 99, 0, 0, 0, 0, 1), 1000).into();
        let payload = format!(r#"{{"username":"gus","password":"{password}"}}"#);
        self.request(peer, 2, &room, payload.as_bytes());
        if self.random.chance(80) {
            self.pass(Duration::from_secs(4), |_| {});
        }
    }

    /// A client creates a room, fails before it sends anything, and starts again.
    pub(super) fn create_again(&mut self) {
        let (peer, room) = (self.address(), self.random.pick(&["lobby", "r1", "r2"]));
        let Some(index) = self.request(peer, 1, room, NAMES[2].as_bytes()) else { return };
        self.end_connection(index);
        self.pass(Duration::from_secs(2), |_| {});
        self.request(peer, 1, room, NAMES[2].as_bytes());
    }

    /// The client of a member starts again, and joins under the same name.
    pub(super) fn come_back(&mut self) {
        let Some(index) = self.random_member() else { return };
        let member = &self.model.members[index];
        let (mut peer, room) = (member.address, &self.model.rooms[member.room]);
        let (name, password) = (&member.name, room.password.as_deref().unwrap_or_default());
        let payload = format!(r#"{{"username":"{name}","password":"{password}"}}"#).into_bytes();
        let room = room.name.clone();
        if self.random.chance(50) {
            peer.set_port(1000 + self.random.below(12) as u16);
        }
        if let Some(index) = self.request(peer, 2, &room, &payload) {
            let bytes = self.encode(index, b"");
            self.receive(peer, &bytes);
        }
    }

    pub(super) fn announce(&mut self) {
        if let Some(index) = self.random_member() {
            self.announce_of(index);
        }
    }

    /// Returns the port of another member at the same IP, which may not be proved yet.
    fn port_of_a_neighbour(&mut self, index: usize) -> u16 {
        let own = self.model.members[index].address;
        let recent = self.model.members.iter().rev().take(20);
        let ports: Vec<u16> = recent
            .filter(|other| other.address.ip() == own.ip() && other.address != own)
            .map(|other| other.address.port())
            .collect();
        if ports.is_empty() { own.port() } else { self.random.pick(&ports) }
    }

    fn announce_of(&mut self, index: usize) {
        let mut peer = self.model.members[index].address;
        match self.random.below(8) {
            0 => peer.set_ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))),
            1 => peer.set_port(0),
            2 | 3 => peer.set_port(self.port_of_a_neighbour(index)),
            _ => peer.set_port(1000 + self.random.below(12) as u16),
        }
        self.announce_at(index, peer);
    }

    /// Announces the port of a member.
    pub fn announce_at(&mut self, index: usize, peer: SocketAddr) {
        self.end_closing();
        let id = self.model.members[index].id;
        let is_taken = self.chat.handle_announcement(id, peer.into());
        assert_eq!(is_taken, self.model.announce(index, peer));
        if is_taken {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            self.network.table.insert(id, peer);
            self.forget_withdrawn();
        }
    }
}
