//! Tests of the chat alone. They need no socket and no waiting, because each test sets the time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::*;
use crate::address::{Endpoint, PeerAddr};
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::{Job, Receipt, Share};
use crate::protocol::datagram;
use crate::protocol::{Frame, request};

mod addresses;
mod bans;
mod carried;
mod closing;
mod encrypted;
mod listing;
mod lives;
mod replace;
mod rooms;
mod turns;
mod unproved;

/// A chat with a clock that the test moves, and a network that loses nothing.
struct Stage {
    chat: Chat,
    now: Instant,
    drawn: u8,
    /// True if requests come inside TLS.
    is_encrypted: bool,
    /// Datagrams that each member got, in order.
    heard: HashMap<MemberId, Vec<String>>,
}

/// A member as its client knows it.
#[derive(Clone, Copy)]
struct Guest {
    id: MemberId,
    token: Token,
    room: &'static str,
    address: Endpoint,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

impl Stage {
    fn new(config: ChatConfig) -> Self {
        let (chat, now) = (Chat::new(config), Instant::now());
        Self { chat, now, drawn: 0, is_encrypted: false, heard: HashMap::new() }
    }

    fn with_defaults() -> Self {
        Self::new(ChatConfig::default())
    }

    fn request(
        &mut self,
        ip: Ipv4Addr,
        operation: u8,
        room: &str,
        payload: &str,
    ) -> Result<Reply, Status> {
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation, state: 0, room, payload })?;
        self.drawn += 1;
        let drawn = self.drawn;
        let draw = || Some([drawn; 16]);
        let caller = Caller { peer: ip.into(), is_encrypted: self.is_encrypted, is_quic: false };
        self.chat.handle_request(caller, &request, draw, 65_536, self.now)
    }

    /// Makes requests inside TLS from now on, or outside.
    fn encrypt(&mut self, is_encrypted: bool) -> &mut Self {
        self.is_encrypted = is_encrypted;
        self
    }

    /// Requests another path for a member. `keys` follow the token in the request.
    fn resume(&mut self, guest: Guest, ip: Ipv4Addr, keys: &str) -> Result<Path, Status> {
        match self.request(ip, 4, guest.room, &resume_payload(guest.token, keys))? {
            Reply::Resumed { member, path, .. } if member == guest.id => Ok(path),
            reply => panic!("{reply:?}"),
        }
    }

    fn enter(&mut self, operation: u8, room: &'static str, payload: &str) -> Result<Guest, Status> {
        match self.request(HOME, operation, room, payload)? {
            Reply::Entered { member: id, token, .. } => {
                let address = Endpoint::from((HOME, 1000 + u16::from(self.drawn)));
                Ok(Guest { id, token, room, address })
            }
            _ => panic!("not a place"),
        }
    }

    fn create(&mut self, room: &'static str, payload: &str) -> Guest {
        self.enter(1, room, payload).expect("a room")
    }

    fn join(&mut self, room: &'static str, payload: &str) -> Guest {
        self.enter(2, room, payload).expect("a place")
    }

    fn say(&mut self, guest: Guest, message: &str) -> DatagramOutcome {
        let mut bytes = Vec::new();
        datagram::encode_upstream(guest.room, guest.token, message.as_bytes(), &mut bytes);
        self.chat.handle_datagram(guest.address, &bytes, self.now)
    }

    /// Delivers and reaps, as a turn does, until nothing is left.
    fn deliver(&mut self) {
        while self.chat.has_output() {
            let heard = &mut self.heard;
            self.chat.deliver(usize::MAX, self.now, |job, budget| send_all(job, budget, heard));
        }
        self.chat.reap(|_| {});
    }

    fn take_heard(&mut self, guest: Guest) -> Vec<String> {
        self.deliver();
        self.heard.remove(&guest.id).unwrap_or_default()
    }

    /// Moves the clock, and handles every deadline in between.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, usize::MAX);
        }
        self.now = end;
    }
}

/// Returns the payload of a resume: an object with these keys behind the token, or without any the bare
/// token.
pub(super) fn resume_payload(token: Token, keys: &str) -> String {
    let token = String::from_utf8(token.to_wire().to_vec()).expect("hex");
    if keys.is_empty() { token } else { format!(r#"{{"token":"{token}"{keys}}}"#) }
}

/// A network that sends everything within the budget.
fn send_all(job: Job<'_>, budget: usize, heard: &mut HashMap<MemberId, Vec<String>>) -> Receipt {
    let mut receipt = Receipt::default();
    let Job { bytes, entries, to, is_tagged } = job;
    for share in to {
        while share.next < share.until && receipt.sent < budget {
            if entries[share.next as usize].audience.includes(share.member) {
                let job = Job { bytes, entries, to: &mut [], is_tagged };
                let datagram = job.datagram(share.next);
                let text = String::from_utf8_lossy(datagram).into_owned();
                heard.entry(share.member).or_default().push(text);
                receipt.sent += 1;
            }
            share.next += 1;
        }
    }
    receipt
}

/// A network whose sockets are all full.
fn block_all(_: Job<'_>, _: usize) -> Receipt {
    Receipt { blocked: true, ..Receipt::default() }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}
