//! Tests of the seals: a member at the other end, and an attacker between.

mod addresses;
mod attacks;
mod resumes;
mod state;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{MAX_DATAGRAM, Seals};
use crate::address::{Endpoint, Origin, PeerAddr};
use crate::datagram::rejections::Rejected;
use crate::ids::{Key, MemberId};
use crate::protocol::{Ciphers, SealTerms};
use crate::seal::{CONTROL, ClientOpener, Control, HEADER, OpenError, Sealer};

const HOME: &str = "192.0.2.1:9";
const AWAY: &str = "198.51.100.1:9";

fn member(slot: u32) -> MemberId {
    MemberId(Key { slot, generation: 0 })
}

fn origin(remote: &str) -> Origin {
    let remote: SocketAddr = remote.parse().expect("an address");
    Origin { socket: 0, local: None, remote: remote.into() }
}

fn endpoint(remote: &str) -> Endpoint {
    origin(remote).remote
}

fn peer(remote: &str) -> PeerAddr {
    PeerAddr::of(endpoint(remote))
}

/// The server's end, with its clock.
struct Server {
    seals: Seals,
    now: Instant,
    drawn: u128,
}

/// A member's end of one seal.
struct Client {
    member: MemberId,
    terms: SealTerms,
    sealer: Sealer,
    opener: ClientOpener,
}

/// A datagram that was opened, without its borrows.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    member: MemberId,
    content: String,
    at: Option<Endpoint>,
    has_moved: bool,
}

impl Server {
    fn new() -> Self {
        let now = Instant::now();
        Self { seals: Seals::new(now), now, drawn: 0 }
    }

    fn terms(&mut self) -> SealTerms {
        let draw = || {
            self.drawn += 1;
            Some(self.drawn.to_le_bytes().map(|byte| byte.wrapping_mul(151)))
        };
        self.seals.make_terms(Ciphers::ALL, draw).expect("terms")
    }

    /// Seals a member, or renews its seal, for a peer at the IP of `at`.
    fn seal(&mut self, slot: u32, at: &str) -> Client {
        let terms = self.terms();
        self.seals.seal_member(member(slot), &terms, peer(at), self.now);
        Client::new(member(slot), terms)
    }

    /// Seals a member that has proved [`HOME`].
    fn seal_at_home(&mut self, slot: u32) -> Client {
        let mut client = self.seal(slot, HOME);
        let first = client.datagram("");
        self.open(HOME, &first).expect("a first datagram");
        client
    }

    fn open(&mut self, from: &str, datagram: &[u8]) -> Result<Taken, Rejected> {
        let opened = self.seals.open(&origin(from), datagram, self.now)?;
        Ok(Taken {
            member: opened.member,
            content: String::from_utf8(opened.content.to_vec()).expect("UTF-8"),
            at: opened.at,
            has_moved: opened.has_moved,
        })
    }

    /// Returns the address at which a datagram leaves the member.
    fn at(&mut self, from: &str, datagram: &[u8]) -> Option<Endpoint> {
        self.open(from, datagram).expect("a genuine datagram").at
    }

    /// Returns the next challenge, and where it goes.
    fn challenge(&mut self) -> Option<(Endpoint, Vec<u8>)> {
        let mut datagram = Vec::new();
        let to = self.seals.poll_challenge(|| Some([7; 8]), &mut datagram)?;
        Some((to.remote, datagram))
    }

    fn message(&mut self, slot: u32, text: &str) -> Vec<u8> {
        let mut datagram = Vec::new();
        assert!(self.seals.seal(member(slot), [text.as_bytes(), b""], &mut datagram));
        datagram
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.seals.drop_idle_keys(self.now);
    }
}

impl Client {
    fn new(member: MemberId, terms: SealTerms) -> Self {
        let SealTerms { id, cipher, up, down } = terms;
        let (sealer, opener) = (Sealer::new(id, cipher, up), ClientOpener::new(id, cipher, down));
        Self { member, terms, sealer, opener }
    }

    fn seal(&mut self, flags: u8, content: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.sealer.seal(flags, content, &mut datagram).expect("a number");
        datagram
    }

    fn datagram(&mut self, text: &str) -> Vec<u8> {
        self.seal(0, text.as_bytes())
    }

    fn answer(&mut self, value: [u8; 8]) -> Vec<u8> {
        self.seal(CONTROL, &Control::Answer(value).encode())
    }

    /// Answers a challenge.
    fn answer_to(&mut self, challenge: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        let opened = self.opener.open(challenge, &mut content).expect("a genuine challenge");
        assert!(opened.is_control());
        let Some(Control::Challenge(value)) = Control::parse(&content) else {
            panic!("{content:?}")
        };
        self.answer(value)
    }

    fn open(&mut self, datagram: &[u8]) -> Result<String, OpenError> {
        let mut content = Vec::new();
        self.opener.open(datagram, &mut content)?;
        Ok(String::from_utf8(content).expect("UTF-8"))
    }

    fn taken(&self, content: &str, at: Option<&str>, has_moved: bool) -> Taken {
        Taken { member: self.member, content: content.into(), at: at.map(endpoint), has_moved }
    }
}
