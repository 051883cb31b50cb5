//! A chat with its surroundings: a clock, the reactor's routes, sockets that may be full,
//! and an account of the bytes that may go out.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::chat::{Census, Chat, DatagramOutcome, MessageOutcome, Reply};
use reactor_chat::config::{ChatConfig, HostLeaves};
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::datagram::{MAX_DOWNSTREAM, MAX_UPSTREAM};
use reactor_chat::protocol::stream::{MAX_PACKED, downstream};
use reactor_chat::protocol::{Frame, Request, Token, request};

use super::jobs::{Sent, send};

/// Bytes of history, few enough that entries are soon gone.
const ROOM_HISTORY: usize = 8 << 10;
const HISTORY_MEMORY: usize = 20_000;
const IDLE_TIMEOUT: Duration = Duration::from_secs(40);
/// The most datagrams of one call of `deliver`.
const MAX_DELIVERY: usize = 64;

/// Bytes around a notice, also in a tail loss probe.
const HEADERS: usize = 100;
/// Bytes that each receiver of a message may get beside its text: headers, a name, tail loss probes.
const MESSAGE: usize = 340;
/// The fewest bytes of text in a part that is not the last one.
const LEAST_PART: usize = 850;
/// Bytes of two notices, such as those at the end of a host. Each may have a name twice.
const NOTICES: usize = 2 * 600;
/// The most bytes of an answer to one member: the list of members, or a line.
const LIST: usize = 1_200;
const ANSWER: usize = 340;

/// A member as its client knows it.
#[derive(Clone)]
pub struct Guest {
    pub id: MemberId,
    pub token: Token,
    pub room: String,
    pub ip: IpAddr,
    /// The tag of its stream, with stream delivery.
    tag: Option<u32>,
    /// The id of its next message.
    pub next_id: u32,
}

/// The chat and its surroundings.
pub struct Stage {
    chat: Chat,
    now: Instant,
    /// All current and former members.
    pub guests: Vec<Guest>,
    /// The address of each member.
    addresses: HashMap<MemberId, SocketAddr>,
    /// Ports whose sockets are full.
    full: HashSet<u16>,
    /// Bytes that went out, and the most that may.
    sent: usize,
    allowed: usize,
    /// Bytes of each room's entries that members may request again.
    history: HashMap<String, usize>,
}

pub fn ip(last: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last as u8))
}

impl Stage {
    pub fn new(is_passed_on: bool) -> Self {
        let chat = Chat::new(ChatConfig {
            host_leaves: if is_passed_on { HostLeaves::Pass } else { HostLeaves::Close },
            idle_timeout: Some(IDLE_TIMEOUT),
            max_members: Some(24),
            max_unproved: Some(12),
            room_history: ROOM_HISTORY,
            history_memory: Some(HISTORY_MEMORY),
            ..ChatConfig::default()
        });
        Self {
            chat,
            now: Instant::now(),
            guests: Vec::new(),
            addresses: HashMap::new(),
            full: HashSet::new(),
            sent: 0,
            allowed: 0,
            history: HashMap::new(),
        }
    }

    /// Handles a request over TCP.
    pub fn request(&mut self, ip: IpAddr, operation: u8, room: &str, payload: &[u8]) {
        let frame = Frame { operation, state: 0, room: room.as_bytes(), payload };
        let Ok(request) = request::parse(&frame) else { return };
        self.execute(ip, &request, payload.len());
    }

    fn execute(&mut self, ip: IpAddr, request: &Request<'_>, size: usize) {
        let mut drawn = self.guests.len() as u128 * 2;
        let draw = || {
            drawn += 1;
            // A product with an odd number: all differ, and none is easily guessed.
            Some((drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
        };
        match self.chat.handle_request(ip.into(), request, draw, 1_000, self.now) {
            Ok(Reply::Entered { member: id, token, stream, .. }) => {
                let (Request::Create { host: entrant, .. } | Request::Join(entrant)) = request
                else {
                    panic!("entered with {request:?}")
                };
                let (room, tag) = (entrant.room.name.to_string(), stream.map(|stream| stream.tag));
                self.guests.push(Guest { id, token, room, ip, tag, next_id: 1 });
                self.allow_history(&entrant.room.name);
                // The notice has the name twice, and NFC is three times as long at most.
                self.allow_room(&entrant.room.name, 6 * size + HEADERS);
                assert!(!self.addresses.contains_key(&id), "a reused id");
            }
            Ok(Reply::Resumed { member, .. }) => {
                let known = self.guests.iter_mut().find(|guest| guest.id == member);
                known.expect("a member").ip = ip;
                self.addresses.remove(&member);
            }
            Ok(Reply::Rooms(_) | Reply::Later { .. }) | Err(_) => {}
        }
    }

    /// Announces a member's port over TCP, from any address.
    pub fn announce(&mut self, member: usize, from: SocketAddr) {
        let Guest { id, ip, .. } = self.guests[member];
        if self.chat.handle_announcement(id, from.into()) {
            assert_eq!(from.ip(), ip, "an address that no handshake has proved");
            self.addresses.insert(id, from);
            self.forget_withdrawn();
        }
    }

    fn forget_withdrawn(&mut self) {
        while let Some(member) = self.chat.poll_withdrawn() {
            self.addresses.remove(&member);
        }
    }

    /// Handles a datagram that contains the token of this guest, or none.
    pub fn receive(
        &mut self,
        from: SocketAddr,
        token: Option<usize>,
        bytes: &[u8],
    ) -> Option<MessageOutcome> {
        let before = self.chat.census();
        match self.chat.handle_datagram(from.into(), bytes, self.now) {
            DatagramOutcome::Dropped(_) => {
                assert_eq!(self.chat.census(), before, "a dropped datagram changes nothing");
                None
            }
            DatagramOutcome::Accepted(id, outcome) => {
                assert!(bytes.len() <= MAX_UPSTREAM, "{} bytes", bytes.len());
                let guest = &self.guests[token.expect("a token in it")];
                assert_eq!((id, from.ip()), (guest.id, guest.ip));
                self.addresses.insert(id, from);
                self.forget_withdrawn();
                let guest = &self.guests[token.expect("a token in it")];
                let room = guest.room.clone();
                match outcome {
                    // A part is relayed with the last one.
                    MessageOutcome::Relayed | MessageOutcome::Kept => {
                        let parts = 1 + bytes.len() / LEAST_PART;
                        self.allow_room(&room, bytes.len() + parts * MESSAGE);
                    }
                    MessageOutcome::Command => {
                        self.allow_room(&room, NOTICES);
                        self.allowed += LIST;
                    }
                    MessageOutcome::Repaired | MessageOutcome::Ended => self.allow_history(&room),
                    _ => {}
                }
                self.allowed += ANSWER;
                Some(outcome)
            }
        }
    }

    /// Allows this many bytes for each member of a room.
    fn allow_room(&mut self, room: &str, size: usize) {
        self.allowed += size * self.guests.iter().filter(|guest| guest.room == room).count();
        *self.history.entry(room.into()).or_default() += size;
    }

    /// Allows one member the entries that its room still holds.
    fn allow_history(&mut self, room: &str) {
        let history = self.history.get(room).copied().unwrap_or_default();
        self.allowed += history.min(ROOM_HISTORY + MAX_DOWNSTREAM) + ANSWER;
    }

    pub fn fill(&mut self, port: u16) {
        self.full.insert(port);
    }

    pub fn unblock(&mut self) {
        self.full.clear();
        self.chat.resume_stalled(self.now);
    }

    /// Moves the clock and handles every deadline in between.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, 1);
            // The deadline of one room: a member timed out, or a notice is due.
            let rooms = self.guests.iter().map(|guest| &guest.room);
            let largest = rooms.clone().map(|room| rooms.clone().filter(|r| *r == room).count());
            self.allowed += NOTICES * largest.max().unwrap_or_default();
        }
        self.now = end;
    }

    /// Calls `deliver` once.
    pub fn deliver(&mut self, budget: usize) {
        let Self { chat, guests, addresses, full, sent, .. } = self;
        let budget = budget.clamp(1, MAX_DELIVERY);
        let mut total = 0;
        chat.deliver(budget, self.now, |job, most| {
            let receipt = send(job, most, |id, datagram| {
                // Without a proved address, nothing is sent and nothing waits.
                let Some(address) = addresses.get(&id) else { return Sent::Nowhere };
                if full.contains(&address.port()) {
                    return Sent::Blocked;
                }
                check_datagram(guests, id, *address, datagram);
                *sent += datagram.len();
                Sent::Taken
            });
            assert!(receipt.sent <= most);
            total += receipt.sent;
            receipt
        });
        assert!(total <= budget, "{total} sent, {budget} allowed");
        assert!(self.sent <= self.allowed, "{} bytes out, {} allowed", self.sent, self.allowed);
    }

    pub fn reap(&mut self) {
        let Self { chat, addresses, .. } = self;
        chat.reap(|member| {
            addresses.remove(&member);
        });
    }

    /// Lets all members time out and asserts that nothing remains.
    pub fn end(&mut self) {
        for _ in 0..3 {
            self.unblock();
            self.advance(IDLE_TIMEOUT + Duration::from_secs(61));
            let mut turns = 0;
            while self.chat.has_output() {
                self.deliver(MAX_DELIVERY);
                turns += 1;
                assert!(turns < 100_000, "output without end");
            }
            self.reap();
        }
        assert_eq!(self.chat.census(), Census::default(), "state remains");
        assert!(self.addresses.is_empty());
    }
}

/// Asserts that a datagram goes to its member's address and that the member can parse it.
fn check_datagram(guests: &[Guest], id: MemberId, address: SocketAddr, datagram: &[u8]) {
    let guest = guests.iter().rfind(|guest| guest.id == id).expect("a member");
    assert_eq!(address.ip(), guest.ip, "an address that no handshake has proved");
    assert!((1..=MAX_DOWNSTREAM).contains(&datagram.len()), "{} bytes", datagram.len());
    if let Some(tag) = guest.tag {
        assert!(datagram.len() <= MAX_PACKED, "{} bytes", datagram.len());
        let (header, entries) = downstream::parse(datagram).expect("a header");
        assert_eq!(header.tag, tag, "a stream of another room");
        assert!(entries.clone().all(|entry| entry != downstream::Entry::Unknown));
    }
}
