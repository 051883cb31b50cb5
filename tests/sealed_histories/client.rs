//! A client with stream delivery: its state machines, its seals, and its way through changes of its
//! address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reactor_chat::protocol::stream::Completion;
use reactor_chat::protocol::{SealTerms, Token, datagram};
use reactor_chat::seal::{CONTROL, ClientOpener, Control, Sealer};

use crate::server::ROOM;
use crate::support::stream_member::StreamMember;
use crate::watcher::{Direction, Watcher};

/// Questions without an answer after which a client resumes.
const SILENCE: u32 = 4;

/// Time between two attempts to resume, and between two greetings from a new address.
const PAUSE: Duration = Duration::from_secs(1);

/// Both directions of one seal.
struct Seal {
    sealer: Sealer,
    opener: ClientOpener,
}

pub struct Client {
    pub token: Token,
    pub address: SocketAddr,
    pub stream: StreamMember,
    /// The seals, the newest last: older ones until the first datagram under the newest has come. A
    /// client in the clear has none.
    seals: Vec<Seal>,
    epoch_bits: u8,
    /// Time of the next greeting, while it is not known whether the server knows the address.
    greeting_at: Option<Instant>,
    /// Values of challenges that are to be answered.
    challenges: Vec<[u8; 8]>,
    /// Time of the next attempt to resume at the earliest.
    resume_at: Instant,
}

impl Client {
    pub fn new(completion: &Completion, address: SocketAddr, epoch_bits: u8, now: Instant) -> Self {
        let stream = StreamMember::new(completion, ROOM, now);
        let (seals, challenges) = (Vec::new(), Vec::new());
        let (greeting_at, resume_at) = (None, now);
        Self {
            token: completion.token,
            address,
            stream,
            seals,
            epoch_bits,
            greeting_at,
            challenges,
            resume_at,
        }
    }

    pub fn is_sealed(&self) -> bool {
        !self.seals.is_empty()
    }

    /// Seals datagrams with these terms from now on. The server may not know yet that they came.
    pub fn renew(&mut self, terms: &SealTerms, now: Instant) {
        let SealTerms { id, cipher, up, down } = *terms;
        let sealer = Sealer::new(id, cipher, up).with_epoch_bits(self.epoch_bits);
        let opener = ClientOpener::new(id, cipher, down).with_epoch_bits(self.epoch_bits);
        self.seals.push(Seal { sealer, opener });
        self.greeting_at = Some(now);
    }

    /// Goes on from another address. A client knows that its IP has changed, but not that a port has
    /// changed on the way.
    pub fn move_to(&mut self, address: SocketAddr, now: Instant) {
        if address.ip() != self.address.ip() && self.is_sealed() {
            self.greeting_at = Some(now);
        }
        self.address = address;
    }

    /// Returns true if the server has been silent for so long that the client resumes now.
    pub fn resumes_for_silence(&mut self, now: Instant) -> bool {
        let is_due = self.is_sealed()
            && self.stream.receiver.unanswered() >= SILENCE
            && self.resume_at <= now;
        if is_due {
            self.resume_at = now + PAUSE;
        }
        is_due
    }

    // Receiving.

    /// Handles a datagram. Returns true if it is from the server.
    pub fn receive(&mut self, bytes: &[u8], watcher: &mut Watcher, now: Instant) -> bool {
        if !self.is_sealed() {
            self.stream.receive(bytes, now);
            return true;
        }
        let mut content = Vec::new();
        let opened =
            self.seals.iter_mut().enumerate().find_map(|(index, seal)| {
                Some((index, seal.opener.open(bytes, &mut content).ok()?))
            });
        let Some((index, opened)) = opened else { return false };
        watcher.note_opened(Direction::Down, bytes);
        if index + 1 == self.seals.len() {
            self.seals.drain(..index);
            self.greeting_at = None;
        }
        match Control::parse(&content).filter(|_| opened.is_control()) {
            Some(Control::Challenge(value)) => self.challenges.push(value),
            Some(Control::Answer(_)) => panic!("an answer from the server"),
            None => self.stream.receive(&content, now),
        }
        true
    }

    // Sending.

    /// Returns the datagrams that are due.
    pub fn datagrams(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let bodies = self.stream.bodies(now);
        let token = self.token;
        let Some(Seal { sealer, .. }) = self.seals.last_mut() else {
            return bodies.iter().map(|body| in_the_clear(token, body)).collect();
        };
        let mut sent = Vec::new();
        let mut seal = |flags, content: &[u8]| {
            let mut datagram = Vec::new();
            sealer.seal(flags, content, &mut datagram).expect("a number");
            sent.push(datagram);
        };
        if self.greeting_at.is_some_and(|at| at <= now) {
            // One has fewer bytes than a challenge.
            (0..2).for_each(|_| seal(0, b""));
            self.greeting_at = Some(now + PAUSE);
        }
        for value in self.challenges.drain(..) {
            seal(CONTROL, &Control::Answer(value).encode());
        }
        bodies.iter().for_each(|body| seal(0, body));
        sent
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.stream.handle_timeout(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.stream.poll_timeout().into_iter().chain(self.greeting_at).min()
    }
}

/// Returns a datagram in the clear.
pub fn in_the_clear(token: Token, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    datagram::encode_upstream(ROOM, token, body, &mut bytes);
    bytes
}
