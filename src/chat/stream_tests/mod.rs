//! Streams in the chat by itself: no socket, no waiting; time and full sockets are what the test
//! says, and every member checks the sequence that it gets.

mod answers;
mod commands;
mod counters;
mod credit;
mod ear;
mod endings;
mod full_sockets;
mod history;
mod lives;
mod parts;
mod repairs;
mod resuming;
mod ring_space;
mod tail_probes;
mod turns;
mod unanswering;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ear::{Ear, carry};

use super::*;
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::{Job, Receipt, TAG_SIZE};
use crate::protocol::stream::downstream::{Entry, parse};
use crate::protocol::stream::upstream::{self, Range};
use crate::protocol::{Frame, datagram, request};

#[derive(Clone)]
struct Guest {
    id: MemberId,
    token: Token,
    room: String,
    address: SocketAddr,
    stream: Option<Completion>,
    /// The id of its next message.
    next_id: u32,
}

struct Stage {
    chat: Chat,
    now: Instant,
    drawn: u64,
    ears: HashMap<MemberId, Ear>,
    /// Members whose sockets are full.
    blocked: HashSet<MemberId>,
    /// Members whose addresses the datagram layer knows: a datagram came from there.
    reachable: HashSet<MemberId>,
    /// Members that answer a datagram without entries with `have`.
    answering: Vec<Guest>,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const STREAM: &str = r#","delivery":"stream""#;
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

fn open() -> ChatConfig {
    ChatConfig { rate_limit: None, max_unproved: None, ..ChatConfig::default() }
}

impl Stage {
    fn new(config: ChatConfig) -> Self {
        Self {
            chat: Chat::new(config),
            now: Instant::now(),
            drawn: 0,
            ears: HashMap::new(),
            blocked: HashSet::new(),
            reachable: HashSet::new(),
            answering: Vec::new(),
        }
    }

    fn request(
        &mut self,
        ip: Ipv4Addr,
        op: u8,
        room: &str,
        payload: &str,
    ) -> Result<Reply, Status> {
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation: op, state: 0, room, payload })?;
        let drawn = &mut self.drawn;
        let draw = || {
            *drawn += 1;
            let mut bits = [1; 16];
            bits[8..].copy_from_slice(&drawn.to_be_bytes());
            bits[..4].copy_from_slice(&(*drawn as u32).to_be_bytes());
            Some(bits)
        };
        self.chat.handle_request(IpAddr::V4(ip), &request, draw, 65_536, self.now)
    }

    fn try_enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Result<Guest, Status> {
        let payload = format!(r#"{{"username":"{name}"{more}}}"#);
        match self.request(HOME, op, room, &payload)? {
            Reply::Entered { member: id, token, stream } => {
                let ear = Ear {
                    next: stream.as_ref().map_or(0, |stream| stream.next),
                    tag: stream.as_ref().map_or(0, |stream| stream.tag),
                    ..Ear::default()
                };
                self.ears.insert(id, ear);
                let address = SocketAddr::from((HOME, 1000 + (self.drawn % 60_000) as u16));
                let room = room.to_string();
                Ok(Guest { id, token, room, address, stream, next_id: 1 })
            }
            _ => panic!("not a place"),
        }
    }

    /// A host with stream delivery, whose port is proved.
    fn host(&mut self, room: &str) -> Guest {
        self.enter(1, room, "host", STREAM)
    }

    fn guest(&mut self, room: &str, name: &str) -> Guest {
        self.enter(2, room, name, STREAM)
    }

    fn enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Guest {
        let guest = self.try_enter(op, room, name, more).expect("a place");
        self.send(&guest, b"");
        guest
    }

    fn send(&mut self, guest: &Guest, body: &[u8]) -> DatagramOutcome {
        let mut bytes = Vec::new();
        datagram::encode_upstream(&guest.room, guest.token, body, &mut bytes);
        let heard = self.chat.handle_datagram(guest.address, &bytes, self.now);
        self.reachable.extend(heard.member());
        heard
    }

    fn fate(&mut self, guest: &Guest, body: &[u8]) -> MessageOutcome {
        match self.send(guest, body) {
            DatagramOutcome::Accepted(_, fate) => fate,
            DatagramOutcome::Dropped(why) => panic!("{why:?}"),
        }
    }

    /// Says something under the next id, which is used up unless it was put off.
    fn say(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        if guest.stream.is_none() {
            return self.fate(guest, text.as_bytes());
        }
        let mut body = Vec::new();
        upstream::encode_message(guest.next_id, text.as_bytes(), &mut body);
        let fate = self.fate(guest, &body);
        if !matches!(
            fate,
            MessageOutcome::RateLimited
                | MessageOutcome::RoomBusy
                | MessageOutcome::OutOfOrder
                | MessageOutcome::Unanswered
                | MessageOutcome::Ended
        ) {
            guest.next_id += 1;
        }
        fate
    }

    fn have(&mut self, guest: &Guest, next: u64) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_have(next, &mut body);
        self.fate(guest, &body)
    }

    fn repair(&mut self, guest: &Guest, ranges: &[(u64, u16)]) -> MessageOutcome {
        let mut body = Vec::new();
        let ranges = ranges.iter().map(|(from, count)| Range { from: *from, count: *count });
        upstream::encode_repair(ranges, &mut body);
        self.fate(guest, &body)
    }

    /// One turn's delivery.
    fn turn(&mut self, budget: usize) -> Receipt {
        let Self { chat, now, ears, blocked, reachable, .. } = self;
        let receipt = chat.deliver(budget, *now, |job, budget| {
            let receipt = carry(job, budget, ears, blocked, reachable);
            assert!(receipt.sent <= budget);
            receipt
        });
        assert!(receipt.sent <= budget);
        self.chat.reap(|_| {});
        receipt
    }

    /// Delivers until nothing is left that could be sent; it must not take for ever.
    fn deliver(&mut self) {
        let mut turns = 0;
        while self.chat.has_output() {
            self.turn(2048);
            self.answer_questions();
            turns += 1;
            assert!(turns < 10_000, "there is no end to it");
        }
        self.chat.reap(|_| {});
    }

    fn answer_questions(&mut self) {
        for guest in self.answering.clone() {
            let ear = self.ears.get_mut(&guest.id).expect("a known member");
            if std::mem::take(&mut ear.is_asked) {
                let next = ear.next;
                self.have(&guest, next);
            }
        }
    }

    fn unblock(&mut self) {
        self.blocked.clear();
        self.chat.resume_stalled(self.now);
    }

    /// Moves the clock, acting on every deadline in between and delivering.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, usize::MAX);
            self.deliver();
        }
        self.now = end;
    }

    fn ear(&self, guest: &Guest) -> &Ear {
        &self.ears[&guest.id]
    }

    fn hush(&mut self) {
        self.deliver();
        for ear in self.ears.values_mut() {
            ear.entries.clear();
            ear.asides.clear();
            ear.lines.clear();
            ear.sizes.clear();
        }
    }

    #[track_caller]
    fn assert_whole(&self, guest: &Guest, end: u64) {
        let ear = self.ear(guest);
        assert_eq!((ear.next, ear.skipped, ear.gone, ear.repeated), (end, 0, 0, 0));
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
