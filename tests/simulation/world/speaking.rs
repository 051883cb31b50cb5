//! Datagrams of clients and of forgers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reactor_chat::chat::DatagramOutcome;
use reactor_chat::protocol::datagram;
use reactor_chat::protocol::stream::upstream::{self, Range};

use super::World;
use super::requesting::NAMES;

/// Maximum of datagrams under way to the server. Then they arrive.
const UNDER_WAY: usize = 200;

impl World {
    pub(super) fn address(&mut self) -> SocketAddr {
        let last = 1 + self.random.below(4) as u8;
        let ip = Ipv4Addr::new(192, 0, 2, last);
        let ip = match self.random.below(8) {
            0 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())),
            1 => IpAddr::V6(ip.to_ipv6_mapped()),
            _ => IpAddr::V4(ip),
        };
        SocketAddr::new(ip, 1000 + self.random.below(12) as u16)
    }

    /// Returns a member, which is more likely live than not.
    pub(super) fn random_member(&mut self) -> Option<usize> {
        let count = self.model.members.len() as u64;
        for _ in 0..8 {
            let index = self.random.below(count.max(1)) as usize;
            let member = self.model.members.get(index)?;
            let recent = index + 12 >= count as usize;
            if member.is_known && (member.is_live() || (recent && self.random.chance(25))) {
                return Some(index);
            }
        }
        None
    }

    pub(super) fn encode(&self, index: usize, body: &[u8]) -> Vec<u8> {
        self.encode_for(&self.model.members[index].room_spelling, index, body)
    }

    /// Returns a member's datagram with the name of any room.
    pub fn encode_for(&self, room: &str, index: usize, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        datagram::encode_upstream(room, self.model.members[index].token, body, &mut bytes);
        bytes
    }

    pub(super) fn send_something(&mut self) {
        let Some(index) = self.random_member() else { return self.enter() };
        if self.random.chance(3) {
            let port = 1000 + self.random.below(12) as u16;
            self.model.members[index].address.set_port(port);
        }
        let bytes = self.compose(index);
        let from = self.model.members[index].address;
        if self.random.chance(self.lost_percent) {
            return self.model.tally.note("datagram lost");
        }
        self.under_way.push((from, bytes));
        if self.under_way.len() > UNDER_WAY {
            self.arrive();
        }
    }

    pub(super) fn compose(&mut self, index: usize) -> Vec<u8> {
        let member = &self.model.members[index];
        let (got, expected) = (member.got, member.expected);
        let mut body = Vec::new();
        if !member.takes_stream() {
            body = if self.random.chance(15) { Vec::new() } else { self.line() };
            return self.encode(index, &body);
        }
        match self.random.below(20) {
            0 => {}
            1 => body = b"?".to_vec(),
            2..6 => {
                let lie = if self.random.chance(3) { self.random.below(50) } else { 0 };
                upstream::encode_have(got + lie, &mut body);
            }
            6..11 => {
                let from = if self.random.chance(50) { got } else { self.random.below(got + 9) };
                let count = 1 + self.random.below(400) as u16;
                let other = Range { from: self.random.below(got + 9), count: 5 };
                upstream::encode_repair([Range { from, count }, other], &mut body);
            }
            _ => {
                let id = if self.random.chance(10) { expected + 1 } else { expected };
                let mut line = self.line();
                if self.random.chance(15) {
                    line.truncate(self.random.below(line.len() as u64 + 1) as usize);
                    upstream::encode_part(id, &line, &mut body);
                } else {
                    upstream::encode_message(id, &line, &mut body);
                }
            }
        }
        self.encode(index, &body)
    }

    /// Lets a host remove, ban or unban a member of its room.
    pub(super) fn ban_someone(&mut self) {
        let rooms = self.model.rooms.iter().filter(|room| room.is_open);
        let hosts: Vec<usize> = rooms.map(|room| room.host).collect();
        let known: Vec<usize> =
            hosts.into_iter().filter(|host| self.model.members[*host].is_known).collect();
        if known.is_empty() {
            return;
        }
        let host = self.random.pick(&known);
        let room = &self.model.rooms[self.model.members[host].room];
        let members = room.members.iter().map(|member| self.model.members[*member].name.clone());
        let banned: Vec<String> = room.banned_names().collect();
        let names: Vec<String> = members.chain(banned.iter().cloned()).collect();
        let word = self.random.pick(&["kick", "ban", "ban", "unban"]);
        let names = if word == "unban" && !banned.is_empty() { banned } else { names };
        let name = &names[self.random.below(names.len() as u64) as usize];
        for line in [format!("/{word} {name}"), "/bans".into()] {
            let member = &self.model.members[host];
            let (from, mut body) = (member.address, Vec::new());
            match member.takes_stream() {
                true => upstream::encode_message(member.expected, line.as_bytes(), &mut body),
                false => body = line.into_bytes(),
            }
            let bytes = self.encode(host, &body);
            self.receive(from, &bytes);
        }
    }

    /// Returns a random line.
    fn line(&mut self) -> Vec<u8> {
        let name = self.random.pick(&NAMES);
        self.serial += 1;
        let text = match self.random.below(60) {
            0..4 => "/who".into(),
            4 => "/help\n".into(),
            5 | 6 => format!("/kick {name}"),
            7 | 8 => format!("/host {name}"),
            9 => self.random.pick(&["/exit", " /EXIT\r\n"]).into(),
            10 => self.random.pick(&["/", "/kick", "/nonsense", "/exit now"]).into(),
            11 => return b"\xff".to_vec(),
            12 => self.random.pick(&["a\x1bb", "a\u{202e}b"]).into(),
            13 => "x".repeat(4_000 + self.random.below(70) as usize),
            14 => format!("//{}", self.serial),
            15..20 => format!("{}{}", self.serial, "y".repeat(self.random.below(3_900) as usize)),
            21 => format!("/ban {name}"),
            22 => format!("/unban {name}"),
            23 => "/bans".into(),
            20 => format!("{}\na\u{2028}b", self.serial),
            _ => format!("{}{}", self.serial, "z".repeat(self.random.below(60) as usize)),
        };
        text.into_bytes()
    }

    /// A datagram that is under way arrives, and may arrive again.
    pub(super) fn arrive(&mut self) {
        if self.under_way.is_empty() {
            return self.turn();
        }
        let index = self.random.below(self.under_way.len() as u64) as usize;
        if index > 0 {
            self.model.tally.note("datagram overtaken");
        }
        let (from, bytes) = if self.random.chance(10) {
            self.model.tally.note("datagram repeated");
            self.under_way[index].clone()
        } else {
            self.under_way.remove(index)
        };
        self.receive(from, &bytes);
    }

    /// Receives a datagram in the clear.
    pub(super) fn receive_in_clear(&mut self, from: SocketAddr, bytes: &[u8]) -> DatagramOutcome {
        let now = self.now;
        let outcome = self.hand_in(|chat| chat.handle_datagram(from.into(), bytes, now));
        self.model.handle_datagram(from, bytes, outcome, now);
        if let DatagramOutcome::Accepted(member, _) = outcome {
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            self.network.table.insert(member, from);
            self.forget_withdrawn();
        }
        outcome
    }

    /// Forgets the addresses of members that have lost them.
    pub(super) fn forget_withdrawn(&mut self) {
        while let Some(member) = self.chat.poll_withdrawn() {
            self.network.table.remove(&member);
        }
    }

    /// Sends a forged datagram: with another IP, token or room, or truncated.
    pub(super) fn forge(&mut self) {
        let Some(index) = self.random_member() else { return };
        let mut bytes = self.compose(index);
        let member = &self.model.members[index];
        let mut from = member.address;
        let room = member.room_spelling.len();
        let size = bytes.len();
        match self.random.below(7) {
            0 | 1 => from.set_ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))),
            2 => {
                let digit = &mut bytes[2 + room + self.random.below(32) as usize];
                *digit = if *digit == b'0' { b'1' } else { b'0' };
            }
            3 => bytes[2] ^= 1,
            4 => bytes.truncate(self.random.below(34 + room as u64) as usize),
            5 => bytes[0] = 0,
            _ => bytes.resize(4097 + size, b'x'),
        }
        let is_lasting = self.model.rooms[member.room].is_open;
        let outcome = self.receive_in_clear(from, &bytes);
        assert!(!is_lasting || matches!(outcome, DatagramOutcome::Dropped(_)), "{outcome:?}");
    }
}
