//! A chat, its clients and what they do, by a seed.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::chat::{Census, Chat, Fate, Heard};
use reactor_chat::config::{ChatConfig, HostLeaves};
use reactor_chat::protocol::stream::upstream::{self, Range};
use reactor_chat::protocol::{Frame, Language, datagram, request};

use crate::model::Model;
use crate::network::Network;
use crate::random::Random;
use crate::tally::Tally;

/// What one input may cause beside (its size + 279) for each member: the answer to a command.
const ANSWER: usize = 1_500;

/// Datagrams that are under way to the server at most; then they arrive.
const UNDER_WAY: usize = 200;

/// Names of users, two of which are one ignoring case, one long and one not valid.
const NAMES: [&str; 14] = [
    "ann",
    "ANN",
    "bob",
    "cy",
    "dé",
    "DÉ",
    "eve",
    "fay",
    "gus",
    "hal",
    "ivy",
    "日本",
    "x: y",
    "a-name-that-is-so-long-that-with-it-a-message-can-be-too-long",
];

pub struct World {
    chat: Chat,
    model: Model,
    network: Network,
    random: Random,
    now: Instant,
    /// Datagrams on their way to the server. Any may come next, or never, or twice.
    under_way: Vec<(SocketAddr, Vec<u8>)>,
    lost_percent: u64,
    /// Nobody asks for a stream: the deadlines that there have to be can be counted.
    is_without_streams: bool,
    serial: u64,
}

fn config(random: &mut Random) -> ChatConfig {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let some = |random: &mut Random, most: u64| match random.below(3) {
        0 => None,
        _ => Some(1 + random.below(most) as usize),
    };
    ChatConfig {
        language: random.pick(&[Language::English, Language::Japanese]),
        host_leaves: random.pick(&[HostLeaves::Close, HostLeaves::Pass]),
        idle_timeout: random.pick(&[None, seconds(10), seconds(30), seconds(90)]),
        replace_silent: random.pick(&[None, seconds(2), seconds(8)]),
        max_unproved: some(random, 8).map(|limit| limit as u32),
        max_rooms: some(random, 6),
        max_members: some(random, 30).map(|limit| limit + 1),
        rate_limit: random.pick(&[None, None, Some(1), Some(5)]),
        room_history: random.pick(&[4096, 16_384, 1 << 20]),
        history_memory: random.pick(&[None, Some(20_000)]),
        max_rooms_ip: random.pick(&[None, Some(1), Some(3)]),
        max_members_ip: random.pick(&[None, Some(3), Some(12)]),
        max_room_members: random.pick(&[None, Some(3), Some(9)]),
        fanout_limit: random.pick(&[None, None, Some(2_000)]),
        wrong_passwords: random.pick(&[None, Some(2), Some(20)]),
        ..ChatConfig::default()
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = config(&mut random);
        let network = Network {
            lost_percent: random.pick(&[0, 5, 60]),
            refused_percent: random.pick(&[0, 0, 1]),
            ..Network::default()
        };
        Self {
            chat: Chat::new(config.clone()),
            model: Model::new(config),
            network,
            lost_percent: random.below(30),
            is_without_streams: random.chance(20),
            random,
            now: Instant::now(),
            under_way: Vec::new(),
            serial: 0,
        }
    }

    /// One thing happens; then everything is checked.
    pub fn step(&mut self) {
        self.model.tally.note("step");
        match self.random.below(100) {
            0..8 => self.enter(),
            8..10 => self.resume(),
            10..12 => self.announce(),
            12..40 => self.send_something(),
            40..62 => self.arrive(),
            62..66 => self.forge(),
            66..68 => self.measure(),
            68..86 => self.turn(),
            86..88 => self.block(),
            88..90 => self.unblock(),
            90 => self.list(),
            91 if self.random.chance(1) => self.close_all(),
            91 if self.random.chance(25) => self.hammer(),
            92 if self.random.chance(10) => self.silence(),
            92..94 => self.pass_time(3_000),
            _ => self.pass_time(30),
        }
        self.model.check(&self.chat, &self.network);
    }

    // Clients and what they send.

    fn address(&mut self) -> SocketAddr {
        let last = 1 + self.random.below(4) as u8;
        let ip = Ipv4Addr::new(192, 0, 2, last);
        let ip = match self.random.below(8) {
            0 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())),
            1 => IpAddr::V6(ip.to_ipv6_mapped()),
            _ => IpAddr::V4(ip),
        };
        SocketAddr::new(ip, 1000 + self.random.below(12) as u16)
    }

    /// A member, live more likely than dead.
    fn somebody(&mut self) -> Option<usize> {
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

    fn encode(&self, index: usize, body: &[u8]) -> Vec<u8> {
        let member = &self.model.members[index];
        let room = &self.model.rooms[member.room].name;
        let mut bytes = Vec::new();
        datagram::encode_upstream(room, member.token, body, &mut bytes);
        bytes
    }

    fn send_something(&mut self) {
        let Some(index) = self.somebody() else { return self.enter() };
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

    fn compose(&mut self, index: usize) -> Vec<u8> {
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
                let line = self.line();
                upstream::encode_message(id, &line, &mut body);
            }
        }
        self.encode(index, &body)
    }

    /// What somebody types.
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
            20 => format!("{}\na\u{2028}b", self.serial),
            _ => format!("{}{}", self.serial, "z".repeat(self.random.below(60) as usize)),
        };
        text.into_bytes()
    }

    // What reaches the chat.

    /// Some datagram that is under way arrives, and perhaps will again.
    fn arrive(&mut self) {
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
        self.hear(from, &bytes);
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) -> Heard {
        let before = (self.chat.census(), self.chat.has_output(), self.chat.poll_timeout());
        let heard = self.chat.handle_datagram(from, bytes, self.now);
        self.model.hear(from, bytes, heard, self.now);
        format!("{heard:?}").hash(&mut self.network.history);
        match heard {
            Heard::Accepted(member, _) => {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                self.network.table.insert(member, from);
            }
            Heard::Dropped(_) => {
                let after = (self.chat.census(), self.chat.has_output(), self.chat.poll_timeout());
                assert_eq!(before, after, "what is nobody's changes nothing");
            }
        }
        heard
    }

    /// Somebody else's datagram: another IP, another token, another room, or cut.
    fn forge(&mut self) {
        let Some(index) = self.somebody() else { return };
        let mut bytes = self.compose(index);
        let member = &self.model.members[index];
        let mut from = member.address;
        let room = self.model.rooms[member.room].name.len();
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
        let heard = self.hear(from, &bytes);
        assert!(!is_lasting || matches!(heard, Heard::Dropped(_)), "{heard:?}");
    }

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
        let password = self.random.pick(&["", "", r#","password":"a""#, r#","password":"b""#]);
        let history = format!(r#","history":{}"#, self.random.below(12));
        let host = match is_host {
            true => {
                let capacity = ["", r#","capacity":2"#, r#","capacity":6"#, ""];
                let hidden = ["", "", r#","hidden":true"#];
                format!("{}{}", self.random.pick(&capacity), self.random.pick(&hidden))
            }
            false => String::new(),
        };
        let broken = if self.random.chance(2) { "," } else { "" };
        format!(r#"{{"username":"{name}"{delivery}{password}{history}{host}{broken}}}"#)
            .into_bytes()
    }

    /// Somebody asks for a place. The reply may be lost: then there is a member that nobody knows of.
    fn enter(&mut self) {
        let rooms = ["lobby", "r1", "r2", "r3", "部屋", "r5", "bad\u{200b}"];
        let room = self.random.pick(&rooms);
        // Now and then a crowd.
        let is_crowd = self.random.chance(3);
        for _ in 0..if is_crowd { 25 } else { 1 } {
            self.enter_room(room);
        }
        if is_crowd && self.random.chance(10) {
            self.close_all();
        }
    }

    fn enter_room(&mut self, room: &str) {
        let is_there = self.model.open_room(room).is_some();
        let creates = if self.random.chance(85) { !is_there } else { is_there };
        let payload = self.payload(creates);
        let peer = self.address();
        let operation = if creates { 1 } else { 2 };
        let entered = self.request(peer, operation, room, &payload);
        let Some(index) = entered else { return };
        if self.random.chance(6) {
            self.model.tally.note("reply lost");
            self.model.members[index].is_known = false;
        } else if self.random.chance(70) {
            let bytes = self.encode(index, b"");
            self.hear(peer, &bytes);
        }
    }

    fn resume(&mut self) {
        let Some(index) = self.somebody() else { return };
        let member = &self.model.members[index];
        let (is_live, known) = (member.is_live(), member.address);
        let room = match self.random.below(10) {
            0 => "lobby".into(),
            _ => self.model.rooms[member.room].name.clone(),
        };
        let token = member.token.to_wire();
        let peer = if self.random.chance(30) { known } else { self.address() };
        let done = self.request(peer, 4, &room, &token);
        assert!(is_live || done.is_none(), "a dead token lives again");
        if done.is_some() {
            // The client is where it has gone, whether it has heard the reply or not.
            self.model.members[index].address = peer;
            let id = self.model.members[index].id;
            self.network.table.remove(&id);
        }
    }

    fn list(&mut self) {
        let peer = self.address();
        let prefix = self.random.pick(&["", "r", "lobby", "none"]);
        self.request(peer, 3, prefix, b"");
    }

    /// Makes a request; gives the member that it was about, if it succeeded.
    fn request(
        &mut self,
        peer: SocketAddr,
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
        let (now, ip) = (self.now, peer.ip());
        let mut right = self.model.judge(ip.to_canonical(), &request, now);
        let is_empty = self.random.chance(2) && (operation == 1 || operation == 2);
        if is_empty && right.is_ok() {
            right = Err(reactor_chat::protocol::Status::ServerFull);
            self.model.tally.note("no randomness");
        }
        let random = &mut self.random;
        let draw = || {
            let bits = u128::from(random.next()) << 64 | u128::from(random.next());
            (!is_empty).then(|| bits.to_be_bytes())
        };
        let before = self.chat.census();
        let outcome = self.chat.handle_request(ip, &request, draw, 65_536, now);
        format!("{outcome:?}").hash(&mut self.network.history);
        match outcome {
            Ok(reply) => {
                assert_eq!(right, Ok(()), "{request:?} succeeded");
                self.model.carry_out(peer, &request, &reply, now)
            }
            Err(status) => {
                assert_eq!(right, Err(status), "{request:?}");
                // But that somebody has guessed wrong.
                let after = Census { peers: before.peers, ..self.chat.census() };
                assert_eq!(after, before, "nothing has changed");
                self.model.tally.note(&format!("status {status:?}"));
                None
            }
        }
    }

    fn announce(&mut self) {
        let Some(index) = self.somebody() else { return };
        let member = &self.model.members[index];
        let mut peer = member.address;
        match self.random.below(8) {
            0 => peer.set_ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))),
            1 => peer.set_port(0),
            _ => peer.set_port(1000 + self.random.below(12) as u16),
        }
        let id = member.id;
        let is_taken = self.chat.handle_announcement(id, peer);
        assert_eq!(is_taken, self.model.announce(index, peer));
        if is_taken {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            self.network.table.insert(id, peer);
        }
    }

    // The server's turn.

    fn turn(&mut self) {
        let budget = 1 + self.random.below(40) as usize;
        self.deliver(budget);
        if self.random.chance(50) {
            self.reap();
        }
    }

    fn deliver(&mut self, budget: usize) {
        let Self { chat, model, network, random, now, .. } = self;
        let receipt = chat
            .deliver(budget, *now, |job, budget| network.carry(job, budget, model, random, *now));
        assert!(receipt.sent + receipt.dropped <= budget);
        if !chat.has_output() {
            for room in &mut model.rooms {
                room.stream_load = 0;
                if network.blocked.is_empty() {
                    room.each_load = 0;
                }
            }
            if network.blocked.is_empty() {
                model.note_that_no_repair_waits();
            }
            model.check_that_all_is_said(network);
        }
    }

    fn reap(&mut self) {
        let Self { chat, model, network, .. } = self;
        chat.reap(|member| {
            model.free(member);
            network.table.remove(&member);
        });
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            if !self.chat.has_output() {
                return self.reap();
            }
            self.deliver(2_048);
        }
        panic!("output without an end");
    }

    fn block(&mut self) {
        let Some(index) = self.somebody() else { return };
        let id = self.model.members[index].id;
        if self.network.table.contains_key(&id) {
            self.network.blocked.insert(id);
        }
    }

    fn unblock(&mut self) {
        self.network.blocked.clear();
        self.chat.resume_stalled();
    }

    /// How much one input makes the server send, when nothing else waits.
    fn measure(&mut self) {
        self.unblock();
        self.drain();
        let Some(index) = self.somebody() else { return };
        let bytes = self.compose(index);
        let from = self.model.members[index].address;
        let audience = self.model.rooms[self.model.members[index].room].members.len();
        let was_proved = self.model.members[index].port.is_some();
        self.network.bytes_sent = 0;
        let heard = self.hear(from, &bytes);
        self.drain();
        let sent = self.network.bytes_sent;
        match heard {
            Heard::Dropped(_) => assert_eq!(sent, 0, "unproved input makes no output"),
            // What waited for the proof, and repairs, have limits of their own.
            Heard::Accepted(..) if !was_proved => {}
            Heard::Accepted(_, Fate::Repaired | Fate::Ended) => {}
            Heard::Accepted(..) => {
                let most = (bytes.len() + 279) * audience + ANSWER;
                assert!(sent <= most, "{sent} bytes for {} to {audience}", bytes.len());
                self.model.tally.note("output of one input measured");
            }
        }
    }

    // Time.

    fn pass_time(&mut self, most: u64) {
        let time = self.random.milliseconds(most);
        if self.random.chance(30) {
            self.pass(time, |_| {});
        } else {
            // The server was busy meanwhile.
            self.now += time;
            self.expire();
        }
    }

    /// Time passes, and every deadline is acted on when it comes up.
    fn pass(&mut self, time: Duration, mut between: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.expire();
            between(self);
        }
        self.now = end;
    }

    fn expire(&mut self) {
        self.model.expire(self.now);
        let mut rounds = 0;
        while self.chat.poll_timeout().is_some_and(|due| due <= self.now) {
            let budget = 1 + self.random.below(50) as usize;
            self.chat.handle_timeout(self.now, budget);
            rounds += 1;
            assert!(rounds < 10_000, "a deadline that stays in the past");
        }
    }

    /// Everyone is silent for so long that all are removed.
    fn silence(&mut self) {
        let Some(timeout) = self.model.config.idle_timeout else { return };
        self.under_way.clear();
        self.pass(timeout, |_| {});
        assert_eq!(self.model.live_count(), 0);
        self.model.tally.note("everyone silent");
    }

    fn close_all(&mut self) {
        self.chat.close_all(self.now);
        self.model.abandon_and_close_all(self.now);
        self.model.tally.note("all closed");
    }

    // The end.

    /// The network is well again: everyone who takes a stream gets all of it that is still held, even
    /// who missed more than a full ration.
    pub fn heal(&mut self) {
        self.unblock();
        self.under_way.clear();
        (self.network.lost_percent, self.network.refused_percent) = (0, 0);
        let streams: Vec<usize> = (0..self.model.members.len())
            .filter(|index| {
                let member = &self.model.members[*index];
                member.is_live() && member.is_known && member.takes_stream()
            })
            .collect();
        self.keep_alive(&streams);
        self.speak_to_the_deaf(&streams);
        self.pass(Duration::from_secs(5), Self::drain);
        for _ in 0..300 {
            self.drain();
            self.keep_alive(&streams);
            self.pass(Duration::from_millis(5), Self::drain);
            if streams.iter().all(|index| self.has_everything(*index)) {
                break;
            }
        }
        for index in streams {
            assert!(self.has_everything(index), "everything arrives in the end");
            self.model.tally.note("healed");
        }
        self.model.check(&self.chat, &self.network);
    }

    fn has_everything(&self, index: usize) -> bool {
        let member = &self.model.members[index];
        !member.is_live() || member.got == self.model.rooms[member.room].seen_end()
    }

    /// While nothing reaches anybody a member says several rations full.
    fn speak_to_the_deaf(&mut self, streams: &[usize]) {
        let Some(speaker) = streams.first().copied() else { return };
        let config = &self.model.config;
        let is_limited = config.rate_limit.is_some() || config.fanout_limit.is_some();
        if is_limited || self.random.chance(80) {
            return;
        }
        let from = self.model.members[speaker].address;
        self.network.lost_percent = 100;
        for _ in 0..50 {
            let mut body = Vec::new();
            let expected = self.model.members[speaker].expected;
            upstream::encode_message(expected, &[b'm'; 3_900], &mut body);
            let bytes = self.encode(speaker, &body);
            self.hear(from, &bytes);
            self.drain();
        }
        self.network.lost_percent = 0;
    }

    /// A stream member asks for the same again and again, and says that it has what it had.
    fn hammer(&mut self) {
        let Some(index) = self.somebody() else { return };
        let member = &self.model.members[index];
        if !member.takes_stream() {
            return;
        }
        let (from, first, have) = (member.address, member.first, member.got);
        self.unblock();
        for _ in 0..40 {
            let mut body = Vec::new();
            upstream::encode_repair([Range { from: first, count: u16::MAX }], &mut body);
            let repair = self.encode(index, &body);
            body.clear();
            upstream::encode_have(have, &mut body);
            let have = self.encode(index, &body);
            for bytes in [repair, have] {
                self.hear(from, &bytes);
                self.drain();
            }
        }
        self.model.tally.note("hammered");
    }

    /// Everyone says how far it is and asks for the rest.
    fn keep_alive(&mut self, streams: &[usize]) {
        for index in streams {
            let member = &self.model.members[*index];
            if !member.is_live() {
                continue;
            }
            let (from, got) = (member.address, member.got);
            let missing = self.model.rooms[member.room].seen_end();
            let mut body = Vec::new();
            upstream::encode_have(got, &mut body);
            let bytes = self.encode(*index, &body);
            self.hear(from, &bytes);
            if missing > got {
                let count = (missing - got).min(1_000) as u16;
                body.clear();
                upstream::encode_repair([Range { from: got, count }], &mut body);
                let bytes = self.encode(*index, &body);
                self.hear(from, &bytes);
            }
        }
    }

    /// Everyone goes, and in the end nothing is left.
    pub fn end(&mut self) {
        match self.model.config.idle_timeout {
            Some(timeout) if self.random.chance(50) => self.pass(timeout, Self::drain),
            _ => self.close_all(),
        }
        self.drain();
        assert_eq!(self.model.live_count(), 0);
        self.pass(Duration::from_secs(70), Self::drain);
        self.drain();
        self.model.check_that_all_is_over(&self.chat, &self.network);
    }

    /// What happened, counted, and a hash of all of it.
    pub fn into_history(self) -> (Tally, u64) {
        (self.model.tally, self.network.history.finish())
    }
}
