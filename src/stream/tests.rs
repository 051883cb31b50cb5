//! Receiver and sender with a model of the server over a bad network, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::{Event, StreamReceiver, StreamSender};
use crate::protocol::stream::downstream::{self, parse_entry};
use crate::protocol::stream::upstream::{self, Range, Upstream};
use crate::protocol::stream::{Code, Entry, Header, MAX_PACKED, MAX_REPAIR, parts};

pub(super) const TAG: u32 = 0xfeed;
pub(super) const MEMBER: u32 = 3;
const REPAIR_BUDGET: usize = 64 << 10;
const REFILL_IN_A_SECOND: f64 = 16384.0;

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

/// A model of the server for one member, as far as the member can observe it.
pub(super) struct Server {
    pub(super) first: u64,
    /// All entries so far.
    entries: Vec<Vec<u8>>,
    /// Entries below this number are no longer held.
    floor: u64,
    /// The next entry to send, after the member's first datagram.
    cursor: u64,
    proved: bool,
    confirmed: u64,
    repair_budget: f64,
    refilled: Duration,
    expected: u32,
    /// The texts that were taken, and the parts of the next one so far.
    taken: Vec<Vec<u8>>,
    begun: Vec<u8>,
    /// Repair requests so far.
    requests: usize,
    refused: usize,
    /// The time of the next message that is taken, and the time between two.
    pub(super) pace: Option<(Duration, Duration)>,
}

impl Server {
    fn new(first: u64) -> Self {
        Self {
            first,
            entries: Vec::new(),
            floor: first,
            cursor: first,
            proved: false,
            confirmed: first,
            repair_budget: REPAIR_BUDGET as f64,
            refilled: Duration::ZERO,
            expected: 1,
            taken: Vec::new(),
            begun: Vec::new(),
            requests: 0,
            refused: 0,
            pace: None,
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, number: u64) -> &[u8] {
        &self.entries[usize::try_from(number - self.first).unwrap()]
    }

    pub(super) fn say(&mut self, member: u32, id: u32, text: &[u8]) {
        let mut bytes = Vec::new();
        let text = str::from_utf8(text).expect("UTF-8");
        parts::encode_message((member, id), "somebody", text, &mut bytes);
        let mut entries = downstream::entries(&bytes);
        while let Some((entry, _)) = entries.next_with_bytes() {
            self.entries.push(entry.to_vec());
        }
    }

    /// Forgets the oldest entries, in whole messages.
    pub(super) fn forget_before(&mut self, number: u64) {
        self.floor = number.max(self.floor);
        while self.floor > self.first && self.is_part(self.floor - 1) {
            self.floor += 1;
        }
    }

    fn is_part(&self, number: u64) -> bool {
        matches!(parse_entry(self.entry(number)), Some(Entry::Part { .. }))
    }

    /// Returns datagrams with the entries that were not sent yet.
    pub(super) fn deliver(&mut self) -> Vec<Vec<u8>> {
        if !self.proved {
            return Vec::new();
        }
        let datagrams = self.pack(self.cursor, self.next());
        self.cursor = self.next();
        datagrams
    }

    fn pack(&self, from: u64, to: u64) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut number = from;
        if from < self.floor {
            let count = u32::try_from(self.floor.min(to) - from).unwrap();
            datagrams.push(datagram(from, &[Entry::Gone { count }]));
            number = self.floor;
        }
        while number < to {
            let mut out = datagram(number, &[]);
            out.extend_from_slice(self.entry(number));
            number += 1;
            while number < to && out.len() + self.entry(number).len() <= MAX_PACKED {
                out.extend_from_slice(self.entry(number));
                number += 1;
            }
            assert!(out.len() <= MAX_PACKED);
            datagrams.push(out);
        }
        datagrams
    }

    fn answer(&mut self, body: &[u8], now: Duration) -> Vec<Vec<u8>> {
        self.proved = true;
        let mut answers = match upstream::parse(body).expect("a valid message") {
            Upstream::KeepAlive => Vec::new(),
            Upstream::Have { next } => self.answer_have(next),
            Upstream::Message { id, text } => self.answer_message(id, text, now),
            Upstream::Part { id, text } => vec![self.keep_part(id, text)],
            Upstream::Repair(ranges) => self.answer_repair(&ranges.iter().collect::<Vec<_>>(), now),
        };
        answers.extend(self.deliver());
        answers
    }

    fn answer_have(&mut self, next: u64) -> Vec<Vec<u8>> {
        assert!(next <= self.next());
        for number in self.confirmed..next {
            self.repair_budget += self.entry(number).len() as f64;
        }
        self.repair_budget = self.repair_budget.min(REPAIR_BUDGET as f64);
        self.confirmed = self.confirmed.max(next);
        vec![self.aside(Code::State, 0)]
    }

    fn answer_message(&mut self, id: u32, text: &[u8], now: Duration) -> Vec<Vec<u8>> {
        if id != self.expected {
            return vec![self.aside(Code::State, id)];
        }
        if !self.has_token(now) {
            self.refused += 1;
            return vec![self.aside(Code::RateLimited, id)];
        }
        self.expected += 1;
        let text = [std::mem::take(&mut self.begun), text.to_vec()].concat();
        if text.starts_with(b"/") {
            self.taken.push(text);
            return vec![self.aside(Code::Answer, id)];
        }
        self.say(MEMBER, id, &text);
        self.taken.push(text);
        Vec::new()
    }

    fn keep_part(&mut self, id: u32, text: &[u8]) -> Vec<u8> {
        if id == self.expected {
            self.expected += 1;
            self.begun.extend_from_slice(text);
        }
        self.aside(Code::State, id)
    }

    fn has_token(&mut self, now: Duration) -> bool {
        let Some((at, every)) = self.pace else { return true };
        if now >= at {
            self.pace = Some((at.max(now.saturating_sub(every)) + every, every));
        }
        now >= at
    }

    fn aside(&self, code: Code, id: u32) -> Vec<u8> {
        let aside = Entry::Aside { code: code as u8, expected: self.expected, id, text: b"" };
        datagram(self.next(), &[aside])
    }

    fn answer_repair(&mut self, ranges: &[Range], now: Duration) -> Vec<Vec<u8>> {
        self.requests += 1;
        self.repair_budget += (now - self.refilled).as_secs_f64() * REFILL_IN_A_SECOND;
        self.repair_budget = self.repair_budget.min(REPAIR_BUDGET as f64);
        self.refilled = now;
        let mut datagrams = Vec::new();
        for Range { from, count } in ranges {
            let to = from + u64::from(*count);
            assert!(*from >= self.first && to <= self.next() && *count > 0);
            datagrams.extend(self.pack(*from, to));
        }
        datagrams.truncate(MAX_REPAIR);
        datagrams.retain(|datagram| {
            let sent = self.repair_budget >= datagram.len() as f64;
            self.repair_budget -= if sent { datagram.len() as f64 } else { 0.0 };
            sent
        });
        datagrams
    }
}

fn datagram(sequence: u64, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { tag: TAG, sequence }.encode(&mut out);
    entries.iter().for_each(|entry| entry.encode(&mut out));
    out
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
