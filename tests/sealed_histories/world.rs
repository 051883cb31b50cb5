//! A history: clients, a server, a network with faults, and an attacker.

mod attacks;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::protocol::{Cipher, Ciphers, SealTerms, Status};

use crate::attacker::{self, Attack, Attacker};
use crate::client::Client;
use crate::server::{Admitted, ROOM, Server, Verdict, config};
use crate::support::agenda::Agenda;
use crate::support::faults::{Faults, HEALED};
use crate::support::random::Random;
use crate::support::stream_member::assert_promises;
use crate::tally::Tally;
use crate::watcher::{Direction, Watcher};

/// The time until everything has arrived after the network has healed.
const GRACE: Duration = Duration::from_secs(90);

/// The time until which all tombstones live.
const TOMBSTONES: Duration = Duration::from_secs(60);

/// The beginnings of all names and texts, which nobody may read.
const NAME: &str = "Geheimname";
const TEXT: &str = "Geheimtext";

/// A planned step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Join(usize),
    Say(usize, String),
    /// A client goes on from another port, or from another IP.
    Move {
        client: usize,
        is_ip: bool,
    },
    Resume(usize),
    /// The reply to a resume arrives, with the terms in this place.
    Resumed(usize, usize),
    /// A datagram reaches the server.
    Up(SocketAddr, Vec<u8>),
    /// A datagram reaches an address.
    Down(SocketAddr, Vec<u8>),
    Attack,
}

pub struct World {
    start: Instant,
    time: Duration,
    random: Random,
    faults: Faults,
    epoch_bits: u8,
    server: Server,
    clients: Vec<Option<Client>>,
    /// Number of clients at the end that are in the clear.
    in_clear: usize,
    agenda: Agenda<Step>,
    /// Number of addresses that were used.
    addresses: u64,
    terms: Vec<SealTerms>,
    watcher: Watcher,
    attacker: Attacker,
    /// Percentage of datagrams that the attacker sends on before they arrive.
    raced_percent: u64,
    tally: Tally,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let start = Instant::now();
        // With fewer, an answer of sixteen repairs that overtake one another kills a seal every time.
        let epoch_bits = random.pick(&[3, 4, 6, 22]);
        let ciphers =
            Ciphers::from_iter([random.pick(&[Cipher::Aes128Gcm, Cipher::Chacha20Poly1305])]);
        let room_history = random.pick(&[4096, 16_384, 1 << 20]);
        let config = config(room_history, random.pick(&[None, Some(20), Some(5)]));
        let faults = Faults::of(&mut random);
        let (clients, in_clear) = (2 + random.size_below(3), random.size_below(2));
        let raced_percent = random.pick(&[0, 2, 20]);
        let mut watcher = Watcher::default();
        [ROOM, NAME, TEXT].iter().for_each(|secret| watcher.add_secret(secret.as_bytes()));
        let mut world = Self {
            start,
            time: Duration::ZERO,
            random,
            faults,
            epoch_bits,
            server: Server::new(config, epoch_bits, ciphers, start),
            clients: (0..clients).map(|_| None).collect(),
            in_clear,
            agenda: Agenda::new(),
            addresses: 0,
            terms: Vec::new(),
            watcher,
            attacker: Attacker::default(),
            raced_percent,
            tally: Tally::default(),
        };
        if ciphers.contains(Cipher::Chacha20Poly1305) {
            world.tally.note(Cipher::Chacha20Poly1305.name());
        }
        (0..clients).for_each(|client| world.plan_client(client));
        world.plan_attacks();
        world
    }

    /// Plans what a client does. Some leave in the end. If the host does, the room closes.
    fn plan_client(&mut self, client: usize) {
        let joins = if client == 0 { Duration::ZERO } else { self.random.milliseconds(1_500) };
        self.plan(joins, Step::Join(client));
        let size = [10, 300, 2_000][self.random.size_below(3)];
        for line in 0..2 + self.random.below(12) {
            let at = joins + self.random.milliseconds(2_000);
            let filler = "x".repeat(self.random.size_below(size));
            self.plan(at, Step::Say(client, format!("{TEXT}{client}:{line}:{filler}")));
        }
        for _ in 0..self.random.below(3) {
            let at = joins + self.random.milliseconds(5_000);
            let is_ip = self.random.chance(60);
            self.plan(at, Step::Move { client, is_ip });
        }
        for _ in 0..self.random.below(3) {
            let at = joins + self.random.milliseconds(5_000);
            self.plan(at, Step::Resume(client));
        }
        if self.random.chance(if client == 0 { 30 } else { 50 }) {
            let at = joins + Duration::from_secs(2) + self.random.milliseconds(3_000);
            self.plan(at, Step::Say(client, "/exit".into()));
        }
    }

    /// Plans attacks: many while the network is bad, and some to the end.
    fn plan_attacks(&mut self) {
        for _ in 0..self.random.pick(&[20, 100, 400]) {
            let at = self.random.milliseconds(6_000);
            self.plan(at, Step::Attack);
        }
        for _ in 0..50 {
            let at = self.random.milliseconds((HEALED + GRACE).as_millis() as u64);
            self.plan(at, Step::Attack);
        }
    }

    fn plan(&mut self, at: Duration, what: Step) {
        self.agenda.plan(at, what);
    }

    fn now(&self) -> Instant {
        self.start + self.time
    }

    pub fn run(&mut self) {
        let end = HEALED + GRACE;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.time = self.time.max(next);
            while let Some(what) = self.agenda.pop_due(self.time) {
                self.tally.note("step");
                self.perform(what);
            }
            self.handle_timeouts();
            self.send_up();
            self.send_down();
        }
    }

    fn next_time(&self) -> Option<Duration> {
        let since = |at: Instant| at.saturating_duration_since(self.start);
        let planned = self.agenda.next();
        let of_server = self.server.next_deadline().map(since);
        let of_clients = self.clients.iter().flatten().filter_map(Client::poll_timeout);
        planned.into_iter().chain(of_server).chain(of_clients.map(since)).min()
    }

    /// Asserts the final state. Returns counts of what has happened.
    pub fn check(mut self, seed: u64) -> Tally {
        let clients = self.clients.iter().flatten();
        let members: Vec<_> = clients.map(|client| &client.stream).collect();
        let epoch = 1_u64 << self.epoch_bits;
        assert_promises(&members, &format!("seed {seed}, epochs of {epoch}, {:?}", self.faults));
        if members.iter().any(|member| member.gone > 0) {
            self.tally.note("gone");
        }
        self.tally
    }

    // Steps.

    fn perform(&mut self, what: Step) {
        let now = self.now();
        match what {
            Step::Join(client) => self.join(client),
            Step::Say(client, text) => {
                if let Some(client) = &mut self.clients[client] {
                    client.stream.say(text);
                }
            }
            Step::Move { client, is_ip } => self.move_client(client, is_ip),
            // A refusal changes nothing: its end reaches the member all the same.
            Step::Resume(client) => drop(self.resume(client)),
            Step::Resumed(client, terms) => {
                if let Some(client) = &mut self.clients[client] {
                    client.renew(&self.terms[terms], now);
                }
            }
            Step::Up(from, bytes) => self.arrive(from, &bytes, |_, _| ()),
            Step::Down(to, bytes) => self.arrive_at_client(to, &bytes),
            Step::Attack => self.attack(),
        }
    }

    fn is_sealed(&self, client: usize) -> bool {
        client + self.in_clear < self.clients.len()
    }

    fn join(&mut self, index: usize) {
        let (now, operation) = (self.now(), if index == 0 { 1 } else { 2 });
        let seal = if self.is_sealed(index) { r#","seal":true"# } else { "" };
        let payload =
            format!(r#"{{"username":"{NAME}{index}","delivery":"stream","history":3{seal}}}"#);
        let address = self.address(index);
        let admitted = self.server.request(operation, &payload, address, now);
        let Admitted { completion, terms } = admitted.expect("a granted request");
        let completion = completion.expect("stream delivery");
        let mut client = Client::new(&completion, address, self.epoch_bits, now);
        match terms {
            Some(terms) => {
                self.watcher.add_token(completion.token);
                self.watcher.add_terms(&terms);
                client.renew(&terms, now);
            }
            None => self.watcher.note_in_clear(address),
        }
        self.clients[index] = Some(client);
    }

    /// Returns an address that no client had before.
    fn address(&mut self, client: usize) -> SocketAddr {
        self.addresses += 1;
        let [.., high, low] = self.addresses.to_be_bytes();
        let ip = IpAddr::V4(Ipv4Addr::new(10, 1 + client as u8, high, low));
        SocketAddr::new(ip, 1000)
    }

    fn move_client(&mut self, index: usize, is_ip: bool) {
        let (now, mut address) = (self.now(), self.address(index));
        // In the clear, another IP takes a resume.
        let Some(client) = self.clients[index].as_mut().filter(|client| client.is_sealed()) else {
            return;
        };
        if !is_ip {
            address = SocketAddr::new(client.address.ip(), client.address.port() + 1);
        }
        client.move_to(address, now);
        self.tally.note(if is_ip { "move to an ip" } else { "move to a port" });
    }

    /// Requests new terms for a client. The reply may be lost. Returns false if the token is dead.
    fn resume(&mut self, index: usize) -> bool {
        let now = self.now();
        let Some(client) = self.clients[index].as_ref().filter(|client| client.is_sealed()) else {
            return true;
        };
        let token = client.token.to_wire();
        let token = str::from_utf8(&token).expect("hex digits");
        let payload = format!(r#"{{"token":"{token}","seal":true}}"#);
        let admitted = self.server.request(4, &payload, client.address, now);
        let terms = match admitted {
            Ok(Admitted { terms, .. }) => terms.expect("a seal"),
            Err(Status::RoomNotFound) => return false,
            Err(status) => panic!("{status:?}"),
        };
        self.watcher.add_terms(&terms);
        self.terms.push(terms);
        self.tally.note("resume");
        if self.time < HEALED && self.random.chance(30) {
            self.tally.note("resume reply lost");
        } else {
            let at = self.time + self.random.milliseconds(100);
            self.plan(at, Step::Resumed(index, self.terms.len() - 1));
        }
        true
    }

    /// Tells a client that has got no answers that its token is dead. While its tombstone lives, two
    /// things explain that: the loss of all datagrams of two epochs, which have 2^22 numbers outside of
    /// tests, or an attacker who was first with each datagram from a new address.
    fn refuse(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        if !client.stream.has_ended || self.time < TOMBSTONES {
            self.tally.note("resume refused");
            assert!(self.epoch_bits < 22 || self.raced_percent > 0, "a silent tombstone");
            client.stream.refuse();
        }
    }

    /// Lets a datagram arrive at the server. `check` gets its verdict and the number of challenges.
    fn arrive(&mut self, from: SocketAddr, bytes: &[u8], check: impl FnOnce(Verdict, usize)) {
        self.watcher.note_arrival(from, bytes);
        let verdict = self.server.receive(from, bytes, self.now());
        self.watcher.note_verdict((from, bytes), verdict, &mut self.tally);
        let challenges = self.server.challenges();
        check(verdict, challenges.len());
        challenges.into_iter().for_each(|(to, bytes)| self.carry_down(to, bytes, true));
    }

    fn arrive_at_client(&mut self, to: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        let mut clients = self.clients.iter_mut().flatten();
        if let Some(client) = clients.find(|client| client.address == to) {
            client.receive(bytes, &mut self.watcher, now);
        }
    }

    // Datagrams.

    fn handle_timeouts(&mut self) {
        let now = self.now();
        self.server.handle_timeout(now);
        for index in 0..self.clients.len() {
            let Some(client) = &mut self.clients[index] else { continue };
            client.handle_timeout(now);
            if client.resumes_for_silence(now) {
                self.tally.note("silence ended by a resume");
                if !self.resume(index) {
                    self.refuse(index);
                }
            }
        }
    }

    fn send_up(&mut self) {
        let now = self.now();
        for index in 0..self.clients.len() {
            let Some(client) = &mut self.clients[index] else { continue };
            let (from, is_sealed) = (client.address, client.is_sealed());
            for bytes in client.datagrams(now) {
                if is_sealed {
                    self.watcher.note_up(&bytes, self.epoch_bits, &mut self.tally);
                }
                self.carry_up(from, bytes, is_sealed);
            }
        }
    }

    fn carry_up(&mut self, from: SocketAddr, bytes: Vec<u8>, is_sealed: bool) {
        self.attacker.see(Direction::Up, from, &bytes);
        if is_sealed && self.random.chance(self.raced_percent) {
            // From another IP: a new port at the member's own IP moves it (E10).
            let at = attacker::address(&mut self.random);
            self.attack_server(&Attack {
                direction: Direction::Up,
                at,
                bytes: bytes.clone(),
                is_copy: true,
            });
        }
        for at in self.faults.arrivals(self.time, &mut self.random) {
            self.plan(at, Step::Up(from, bytes.clone()));
        }
    }

    fn send_down(&mut self) {
        for (to, bytes, is_sealed) in self.server.deliver(self.now()) {
            self.carry_down(to, bytes, is_sealed);
        }
    }

    fn carry_down(&mut self, to: SocketAddr, bytes: Vec<u8>, is_sealed: bool) {
        self.watcher.note_down((to, &bytes), is_sealed, self.epoch_bits, &mut self.tally);
        self.attacker.see(Direction::Down, to, &bytes);
        for at in self.faults.arrivals(self.time, &mut self.random) {
            self.plan(at, Step::Down(to, bytes.clone()));
        }
    }
}
