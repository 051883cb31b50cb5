//! Receiver and sender with a model of the server over a bad network, in virtual time.

mod server;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::{Event, StreamReceiver, StreamSender};
use crate::protocol::stream::parts;

use server::{Server, datagram};

pub(super) const TAG: u32 = 0xfeed;
pub(super) const MEMBER: u32 = 3;

/// An input of a member's two machines.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A datagram from the server.
    Datagram(Vec<u8>),
    /// A message of the user.
    Push(Vec<u8>),
    /// Messages travel on another path from now on (C1).
    Carry,
    /// The server may be gone.
    Doubt,
    /// All that is due is sent.
    Transmit,
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn hits(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The faults of a network in percent, its delays in microseconds.
#[derive(Clone, Copy)]
pub(super) struct Network {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) garbled: u64,
    pub(super) delay: u64,
    pub(super) jitter: u64,
}

pub(super) const CLEAN: Network =
    Network { lost: 0, doubled: 0, garbled: 0, delay: 500, jitter: 0 };

type Flight = Reverse<(Duration, u64, bool, Vec<u8>)>;

/// A server, a member and the network between them.
pub(super) struct World {
    pub(super) random: Random,
    start: Instant,
    pub(super) now: Duration,
    pub(super) network: Network,
    flying: BinaryHeap<Flight>,
    flights: u64,
    pub(super) server: Server,
    pub(super) receiver: StreamReceiver,
    sender: StreamSender,
    pushed: Vec<Vec<u8>>,
    /// The number that must be delivered next.
    next: u64,
    gone: u64,
    /// Datagrams that the member sent.
    upstream: usize,
    /// All inputs of the member, with their times.
    pub(super) inputs: Vec<(Duration, Input)>,
}

impl World {
    pub(super) fn new(seed: u64, network: Network) -> Self {
        let start = Instant::now();
        let first = Random(seed).below(1 << 40) + 1;
        Self {
            random: Random(seed),
            start,
            now: Duration::ZERO,
            network,
            flying: BinaryHeap::new(),
            flights: 0,
            server: Server::new(first),
            receiver: StreamReceiver::new(TAG, first, Duration::from_secs(5), start),
            sender: StreamSender::new(MEMBER, 1, "room"),
            pushed: Vec::new(),
            next: first,
            gone: 0,
            upstream: 0,
            inputs: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, up: bool, mut bytes: Vec<u8>) {
        if self.random.hits(self.network.lost) {
            return;
        }
        if self.random.hits(self.network.doubled) {
            self.fly(up, bytes.clone());
        }
        if !up && self.random.hits(self.network.garbled) {
            let mut foreign = bytes.clone();
            foreign[0] ^= 1;
            self.fly(up, foreign);
            bytes.resize(bytes.len() + 9, 0);
        }
        self.fly(up, bytes);
    }

    fn fly(&mut self, up: bool, bytes: Vec<u8>) {
        let jitter = self.random.below(self.network.jitter + 1);
        let arrival = self.now + Duration::from_micros(self.network.delay + jitter);
        self.flights += 1;
        self.flying.push(Reverse((arrival, self.flights, up, bytes)));
    }

    fn land(&mut self, up: bool, bytes: &[u8]) {
        if up {
            for answer in self.server.answer(bytes, self.now) {
                self.send(false, answer);
            }
        } else {
            self.receive(bytes);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.inputs.push((self.now, Input::Datagram(bytes.into())));
        let now = self.start + self.now;
        let Self { receiver, sender, server, next, gone, .. } = self;
        let known = receiver.handle_datagram(bytes, now, |event| {
            sender.handle_event(&event, now);
            match event {
                Event::Message { number, member, id, name, text, .. } => {
                    let [name, text] = [name, text].map(|text| str::from_utf8(text).unwrap());
                    let mut expected = Vec::new();
                    parts::encode_message((member, id), name, text, &mut expected);
                    let entries = *next..=number;
                    let said: Vec<_> = entries.flat_map(|number| server.entry(number)).collect();
                    assert!(said.into_iter().eq(&expected), "in order, whole, and once");
                    *next = number + 1;
                }
                Event::Gone { first, count } => {
                    assert_eq!(first, *next, "in its place");
                    assert!(count > 0 && first + count <= server.floor, "still there");
                    *next += count;
                    *gone += count;
                }
                Event::Notice { .. } => panic!("this server sends none"),
                Event::Aside { .. } => {}
            }
        });
        assert_eq!(known, bytes.starts_with(&TAG.to_be_bytes()));
    }

    /// Sends what is due, then moves the clock to the next event, or to `until`.
    fn step(&mut self, until: Duration) {
        self.transmit();
        let timeouts = self.receiver.poll_timeout().into_iter().chain(self.sender.poll_timeout());
        let timeout = timeouts.map(|at| at.saturating_duration_since(self.start)).min();
        let arrival = self.flying.peek().map(|flight| flight.0.0);
        let at = timeout.into_iter().chain(arrival).fold(until, Duration::min);
        self.now = self.now.max(at);
        while self.flying.peek().is_some_and(|flight| flight.0.0 <= self.now) {
            let Reverse((_, _, up, bytes)) = self.flying.pop().unwrap();
            self.land(up, &bytes);
        }
        self.receiver.handle_timeout(self.start + self.now);
        self.sender.handle_timeout(self.start + self.now);
    }

    fn transmit(&mut self) {
        self.inputs.push((self.now, Input::Transmit));
        let now = self.start + self.now;
        let mut out = Vec::new();
        while self.receiver.poll_transmit(now, &mut out) || self.sender.poll_transmit(now, &mut out)
        {
            self.upstream += 1;
            assert!(self.upstream < 100_000, "too many datagrams");
            self.send(true, out.clone());
        }
    }

    pub(super) fn run_until(&mut self, until: Duration) {
        let mut steps = 0;
        while self.now < until {
            self.step(until);
            steps += 1;
            assert!(steps < 1_000_000, "time stands still");
        }
        self.transmit();
    }

    pub(super) fn push(&mut self, text: Vec<u8>) {
        self.inputs.push((self.now, Input::Push(text.clone())));
        if self.sender.push(&text).is_ok() {
            self.pushed.push(text);
        }
    }

    pub(super) fn carry(&mut self) {
        self.receiver.carry();
        self.sender.carry();
        self.inputs.push((self.now, Input::Carry));
    }

    fn push_long(&mut self) {
        let text = format!("long {} ", self.pushed.len());
        let times = 1 + self.random.below(400) as usize;
        self.push(text.repeat(times).into_bytes());
    }

    fn say(&mut self) {
        let size = self.random.below(if self.random.0 & 7 == 0 { 4000 } else { 200 });
        let text = format!("{}{}", self.server.next(), "x".repeat(size as usize));
        self.server.say(9, 0, text.as_bytes());
        for datagram in self.server.deliver() {
            self.send(false, datagram);
        }
    }

    fn live(&mut self, until: Duration) {
        while self.now < until {
            let pause = Duration::from_micros(self.random.below(20_000));
            self.run_until(self.now + pause);
            match self.random.below(8) {
                0 => self.push(format!("/command {}", self.pushed.len()).into_bytes()),
                1..=2 => self.push(format!("message {}", self.pushed.len()).into_bytes()),
                3 => self.push_long(),
                _ => (0..=self.random.below(6)).for_each(|_| self.say()),
            }
            if self.random.hits(2) {
                self.server.forget_before(self.server.next().saturating_sub(40));
            }
        }
    }

    fn is_settled(&self) -> bool {
        let all = self.receiver.next() == self.server.next() && self.receiver.is_complete();
        all && self.sender.open() == 0
    }
}

/// Sends the tail loss probes of S9.
pub(super) fn tails(world: &mut World) {
    for wait in [50, 200, 1000] {
        world.run_until(world.now + Duration::from_millis(wait));
        let tail = datagram(world.server.next(), &[]);
        world.send(false, tail);
    }
}

#[test]
fn s5_s10_stream_recovers_after_bad_network() {
    for seed in 0..400 {
        let mut random = Random(seed ^ 0x5eed);
        let network = Network {
            lost: random.below(41),
            doubled: random.below(30),
            garbled: random.below(20),
            delay: 50 + random.below(50_000),
            jitter: random.below(30_000),
        };
        let mut world = World::new(seed, network);
        world.live(Duration::from_secs(2));
        world.network = Network { lost: 0, ..network };
        tails(&mut world);
        world.run_until(world.now + Duration::from_secs(15));
        let (next, last) = (world.receiver.next(), world.server.next());
        assert!(world.is_settled(), "seed {seed}: {next} of {last}, {} open", world.sender.open());
        assert_eq!(world.server.taken, world.pushed, "seed {seed}");
        assert_eq!(world.receiver.gone(), world.gone, "seed {seed}");
    }
}

/// Returns the world after a member has repaired a loss of all these entries.
fn catching_up(size: usize, entries: usize, network: Network) -> World {
    let mut world = World::new(1, network);
    (0..entries).for_each(|_| world.server.say(9, 0, &vec![b'x'; size]));
    world.server.cursor = world.server.next();
    while !world.is_settled() && world.now < Duration::from_secs(60) {
        world.step(Duration::from_secs(60));
    }
    world
}

#[test]
fn s10_lost_megabyte_is_repaired_fast() {
    for (size, entries) in [(20, 26_000), (100, 8_700), (1000, 1_024), (4000, 256)] {
        let world = catching_up(size, entries, CLEAN);
        assert!(world.is_settled());
        assert!(world.now < Duration::from_millis(300), "{size} bytes: {:?}", world.now);
        assert!(world.server.requests < 300, "{size} bytes: {} requests", world.server.requests);
    }
}

#[test]
fn s5_s6_sender_meets_the_servers_rate() {
    let mut world = World::new(1, CLEAN);
    world.server.pace = Some((Duration::ZERO, Duration::from_millis(50)));
    while world.now < Duration::from_secs(10) {
        while world.sender.has_space() {
            world.push(b"hi".to_vec());
        }
        world.step(Duration::from_secs(10));
    }
    let (taken, refused) = (world.server.taken.len(), world.server.refused);
    assert!((160..=201).contains(&taken), "{taken} taken");
    assert!(refused <= taken + 5, "{refused} refused");
    assert!(world.upstream < 4 * taken + 100, "{} sent", world.upstream);
}
