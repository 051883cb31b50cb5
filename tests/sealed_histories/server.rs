//! The server without its sockets: the chat, the seals and the routes, connected as the reactor does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reactor_chat::address::{Origin, PeerAddr};
use reactor_chat::chat::{Caller, Chat, DatagramOutcome, Path, Reply};
use reactor_chat::config::ChatConfig;
use reactor_chat::datagram::Rejected;
use reactor_chat::datagram::seals::{Opened, Seals};
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::stream::Completion;
use reactor_chat::protocol::{Ciphers, Frame, SealTerms, Status, request};

use crate::support::jobs::{self, Sent};

/// The room of all members.
pub const ROOM: &str = "Geheimzimmer";

/// The outcome of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It opened.
    Opened {
        /// True if it proves the address that it came from.
        proves: bool,
        /// True if its member's datagrams went elsewhere before.
        has_moved: bool,
    },
    /// It did not open.
    Rejected(Rejected),
    /// It came in the clear, from this member.
    Clear(MemberId),
    /// It came in the clear, from nobody.
    Dropped,
}

/// The parts of a reply that admit a member.
pub struct Admitted {
    pub completion: Option<Completion>,
    pub terms: Option<SealTerms>,
}

pub struct Server {
    chat: Chat,
    seals: Seals,
    routes: BTreeMap<MemberId, SocketAddr>,
    ciphers: Ciphers,
    drawn: u64,
}

impl Server {
    pub fn new(config: ChatConfig, epoch_bits: u8, ciphers: Ciphers, now: Instant) -> Self {
        Self {
            chat: Chat::new(config),
            seals: Seals::new(now).with_epoch_bits(epoch_bits),
            routes: BTreeMap::new(),
            ciphers,
            drawn: 0,
        }
    }

    /// Handles a request that comes inside TLS, if the payload asks for a seal. Returns the status
    /// of a refusal. The connection ends after the reply.
    pub fn request(
        &mut self,
        operation: u8,
        payload: &str,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<Admitted, Status> {
        let is_encrypted = payload.contains("seal");
        let caller = Caller { is_encrypted, ..Caller::from(peer.ip()) };
        let frame =
            Frame { operation, state: 0, room: ROOM.as_bytes(), payload: payload.as_bytes() };
        let request = request::parse(&frame).expect("a request");
        let drawn = &mut self.drawn;
        let reply = self.chat.handle_request(caller, &request, || Some(draw(drawn)), 65_536, now);
        let (Reply::Entered { member, stream, path, .. }
        | Reply::Resumed { member, stream, path, .. }) = reply?
        else {
            panic!("no membership")
        };
        let terms = (path == Path::Sealed).then(|| self.seal(member, caller.peer, now));
        self.chat.handle_disconnect(member, now);
        Ok(Admitted { completion: stream, terms })
    }

    fn seal(&mut self, member: MemberId, peer: PeerAddr, now: Instant) -> SealTerms {
        let drawn = &mut self.drawn;
        let terms = self.seals.make_terms(self.ciphers, || Some(draw(drawn))).expect("terms");
        self.seals.seal_member(member, &terms, peer, now);
        terms
    }

    /// Handles a datagram.
    pub fn receive(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) -> Verdict {
        let verdict = match bytes.first() {
            Some(0) => self.receive_sealed(from, bytes, now),
            _ => self.receive_clear(from, bytes, now),
        };
        while let Some(member) = self.chat.poll_withdrawn() {
            self.routes.remove(&member);
        }
        verdict
    }

    fn receive_sealed(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) -> Verdict {
        let origin = Origin { socket: 0, local: None, remote: from.into() };
        let Opened { member, content, at, .. } = match self.seals.open(&origin, bytes, now) {
            Ok(opened) => opened,
            Err(reason) => return Verdict::Rejected(reason),
        };
        let outcome = self.chat.handle_sealed(member, at, content, now);
        let routed = outcome.member().filter(|_| at.is_some());
        let before = routed.and_then(|member| self.routes.insert(member, from));
        let has_moved = before.is_some_and(|before| before != from);
        Verdict::Opened { proves: routed.is_some(), has_moved }
    }

    fn receive_clear(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) -> Verdict {
        match self.chat.handle_datagram(from.into(), bytes, now) {
            DatagramOutcome::Dropped(_) => Verdict::Dropped,
            DatagramOutcome::Accepted(member, _) => {
                if !self.seals.contains(member) {
                    self.routes.insert(member, from);
                }
                Verdict::Clear(member)
            }
        }
    }

    /// Returns the challenges that are due.
    pub fn challenges(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut challenges, mut out) = (Vec::new(), Vec::new());
        loop {
            let drawn = &mut self.drawn;
            let random = || Some(draw(drawn)[8..].try_into().expect("8 bytes"));
            let Some(to) = self.seals.poll_challenge(random, &mut out) else { return challenges };
            challenges.push((to.remote.socket_addr(), out.clone()));
        }
    }

    /// Returns everything that goes to members, as it leaves. True marks what is sealed.
    pub fn deliver(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>, bool)> {
        let Self { chat, seals, routes, .. } = self;
        let mut sent = Vec::new();
        while chat.has_output() {
            let mut take = |member, content: &[u8]| {
                let Some(to) = routes.get(&member) else { return Sent::Nowhere };
                let mut datagram = Vec::new();
                let is_sealed = seals.contains(member);
                match is_sealed {
                    true => assert!(seals.seal(member, [content, b""], &mut datagram)),
                    false => datagram.extend_from_slice(content),
                }
                sent.push((*to, datagram, is_sealed));
                Sent::Taken
            };
            chat.deliver(64, now, |job, budget| jobs::send(job, budget, &mut take));
        }
        chat.reap(|member| {
            routes.remove(&member);
            seals.remove(member);
        });
        sent
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        [self.chat.poll_timeout(), self.seals.next_deadline()].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.chat.handle_timeout(now, usize::MAX);
        self.seals.drop_idle_keys(now);
    }
}

/// The configuration of a history. Small rings lose entries that members have not requested in time.
pub fn config(room_history: usize, rate_limit: Option<u32>) -> ChatConfig {
    let idle_timeout = Some(Duration::from_secs(300));
    ChatConfig { room_history, rate_limit, idle_timeout, ..ChatConfig::default() }
}

/// Returns bits that were not drawn before.
fn draw(drawn: &mut u64) -> [u8; 16] {
    *drawn += 1;
    // The factor is odd, so no two products are equal.
    u128::from(*drawn).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}
