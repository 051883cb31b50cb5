//! Tests stream delivery in the chat without sockets and without waiting. A test sets the clock and
//! chooses the full sockets. Every member checks the sequence numbers that it receives.

mod carried;
mod commands;
mod counters;
mod credit;
mod endings;
mod full_sockets;
mod history;
mod parts;
mod quic;
mod random;
mod receiver;
mod repairs;
mod reply_budget;
mod resuming;
mod ring_space;
mod sealed;
mod tail_probes;
mod turns;
mod unresponsive;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use receiver::{Received, transmit};

use super::tests::resume_payload;
use super::*;
use crate::address::{Endpoint, PeerAddr};
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::{Job, Receipt, TAG_SIZE};
use crate::protocol::stream::downstream::{Entry, parse};
use crate::protocol::stream::upstream::{self, Range};
use crate::protocol::{Frame, datagram, request};

/// A member as its client knows it.
#[derive(Clone)]
struct Guest {
    id: MemberId,
    token: Token,
    room: String,
    address: Endpoint,
    stream: Option<Completion>,
    /// Id of the next message.
    next_id: u32,
}

/// A chat with a manual clock and a simulated network.
struct Stage {
    chat: Chat,
    now: Instant,
    draws: u64,
    /// True if requests come inside TLS.
    is_encrypted: bool,
    /// True if requests come over QUIC.
    is_quic: bool,
    received: HashMap<MemberId, Received>,
    /// Members whose sockets are full.
    blocked: HashSet<MemberId>,
    /// Members whose addresses the datagram layer knows because it has received a datagram from
    /// there.
    reachable: HashSet<MemberId>,
    /// Members that answer a probe (a datagram without entries) with `have`.
    answering: Vec<Guest>,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const STREAM: &str = r#","delivery":"stream""#;
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

fn unlimited() -> ChatConfig {
    ChatConfig { rate_limit: None, max_unproved: None, ..ChatConfig::default() }
}

impl Stage {
    fn new(config: ChatConfig) -> Self {
        Self {
            chat: Chat::new(config),
            now: Instant::now(),
            draws: 0,
            is_encrypted: false,
            is_quic: false,
            received: HashMap::new(),
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
        let draws = &mut self.draws;
        let draw = || {
            *draws += 1;
            let mut bits = [1; 16];
            bits[8..].copy_from_slice(&draws.to_be_bytes());
            bits[..4].copy_from_slice(&(*draws as u32).to_be_bytes());
            Some(bits)
        };
        let caller =
            Caller { peer: ip.into(), is_encrypted: self.is_encrypted, is_quic: self.is_quic };
        self.chat.handle_request(caller, &request, draw, 65_536, self.now)
    }

    fn try_enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Result<Guest, Status> {
        let payload = format!(r#"{{"username":"{name}"{more}}}"#);
        match self.request(HOME, op, room, &payload)? {
            Reply::Entered { member: id, token, stream, path } => {
                if path.is_carried() {
                    self.reachable.insert(id);
                }
                let received = Received {
                    next: stream.as_ref().map_or(0, |stream| stream.next),
                    tag: stream.as_ref().map_or(0, |stream| stream.tag),
                    ..Received::default()
                };
                self.received.insert(id, received);
                let address = Endpoint::from((HOME, 1000 + (self.draws % 60_000) as u16));
                let room = room.to_string();
                Ok(Guest { id, token, room, address, stream, next_id: 1 })
            }
            _ => panic!("not an admission"),
        }
    }

    /// Requests connection migration of `guest` to `ip`.
    fn resume(&mut self, guest: &Guest, ip: Ipv4Addr) -> Result<Reply, Status> {
        self.resume_on(guest, ip, "")
    }

    /// Requests another path for `guest`. `keys` follow the token in the request.
    fn resume_on(&mut self, guest: &Guest, ip: Ipv4Addr, keys: &str) -> Result<Reply, Status> {
        let reply = self.request(ip, 4, &guest.room, &resume_payload(guest.token, keys))?;
        match reply {
            Reply::Resumed { path: Path::Carried { .. }, .. } => self.reachable.insert(guest.id),
            _ => self.reachable.remove(&guest.id),
        };
        Ok(reply)
    }

    /// Creates a room. Its host uses stream delivery and has proved its port.
    fn host(&mut self, room: &str) -> Guest {
        self.enter(1, room, "host", STREAM)
    }

    fn guest(&mut self, room: &str, name: &str) -> Guest {
        self.enter(2, room, name, STREAM)
    }

    fn enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Guest {
        let guest = self.try_enter(op, room, name, more).expect("admission");
        self.send(&guest, b"");
        guest
    }

    fn send(&mut self, guest: &Guest, body: &[u8]) -> DatagramOutcome {
        let mut bytes = Vec::new();
        datagram::encode_upstream(&guest.room, guest.token, body, &mut bytes);
        let outcome = self.chat.handle_datagram(guest.address, &bytes, self.now);
        self.reachable.extend(outcome.member());
        outcome
    }

    fn outcome(&mut self, guest: &Guest, body: &[u8]) -> MessageOutcome {
        match self.send(guest, body) {
            DatagramOutcome::Accepted(_, outcome) => outcome,
            DatagramOutcome::Dropped(why) => panic!("{why:?}"),
        }
    }

    /// Sends a message under the next id. The id stays unused if the client must retry.
    fn say(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        if guest.stream.is_none() {
            return self.outcome(guest, text.as_bytes());
        }
        let mut body = Vec::new();
        upstream::encode_message(guest.next_id, text.as_bytes(), &mut body);
        let outcome = self.outcome(guest, &body);
        if !matches!(
            outcome,
            MessageOutcome::RateLimited
                | MessageOutcome::RoomBusy
                | MessageOutcome::OutOfOrder
                | MessageOutcome::Unanswered
                | MessageOutcome::Ended
        ) {
            guest.next_id += 1;
        }
        outcome
    }

    /// Sends a part under the next id. The id is used up if the server keeps the part.
    fn say_part(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_part(guest.next_id, text.as_bytes(), &mut body);
        let outcome = self.outcome(guest, &body);
        guest.next_id += u32::from(outcome == MessageOutcome::Kept);
        outcome
    }

    fn have(&mut self, guest: &Guest, next: u64) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_have(next, &mut body);
        self.outcome(guest, &body)
    }

    fn repair(&mut self, guest: &Guest, ranges: &[(u64, u16)]) -> MessageOutcome {
        let mut body = Vec::new();
        let ranges = ranges.iter().map(|(from, count)| Range { from: *from, count: *count });
        upstream::encode_repair(ranges, &mut body);
        self.outcome(guest, &body)
    }

    /// Delivers at most `budget` datagrams, as one turn of the reactor does.
    fn turn(&mut self, budget: usize) -> Receipt {
        let Self { chat, now, received, blocked, reachable, .. } = self;
        let receipt = chat.deliver(budget, *now, |job, budget| {
            let receipt = transmit(job, budget, received, blocked, reachable);
            assert!(receipt.sent <= budget);
            receipt
        });
        assert!(receipt.sent <= budget);
        self.chat.reap(|_| {});
        receipt
    }

    /// Delivers until no output is ready. Panics if that never happens.
    fn deliver(&mut self) {
        let mut turns = 0;
        while self.chat.has_output() {
            self.turn(2048);
            self.answer_probes();
            turns += 1;
            assert!(turns < 10_000, "delivery does not terminate");
        }
        self.chat.reap(|_| {});
    }

    fn answer_probes(&mut self) {
        for guest in self.answering.clone() {
            let received = self.received.get_mut(&guest.id).expect("a known member");
            if std::mem::take(&mut received.is_probed) {
                let next = received.next;
                self.have(&guest, next);
            }
        }
    }

    fn unblock(&mut self) {
        self.blocked.clear();
        self.chat.resume_stalled(self.now);
    }

    /// Moves the clock. Handles every deadline in between and delivers after each.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, usize::MAX);
            self.deliver();
        }
        self.now = end;
    }

    fn received(&self, guest: &Guest) -> &Received {
        &self.received[&guest.id]
    }

    /// Delivers all output and forgets the received texts and sizes.
    fn discard_received(&mut self) {
        self.deliver();
        for received in self.received.values_mut() {
            received.entries.clear();
            received.asides.clear();
            received.lines.clear();
            received.sizes.clear();
        }
    }

    /// Asserts that a member has received every entry before `end` exactly once.
    #[track_caller]
    fn assert_whole(&self, guest: &Guest, end: u64) {
        let received = self.received(guest);
        assert_eq!(
            (received.next, received.skipped, received.gone, received.repeated),
            (end, 0, 0, 0)
        );
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
