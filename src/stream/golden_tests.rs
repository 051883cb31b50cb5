//! The golden histories: all that a receiver and a sender get, and all that they do. The script of the
//! chat page must do the same, which `tests/script` checks.
//!
//! `GOLDEN=write cargo test --lib golden` writes the file anew after an intended change of behaviour.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::tests::{CLEAN, Input, MEMBER, Network, Random, TAG, World, tails};
use super::{Event, StreamReceiver, StreamSender};
use crate::protocol::stream::{Entry, Header};

const FILE: &str = "tests/script/histories.jsonl";
const MAX_FILE: usize = 300 << 10;
const ROOM: &str = "room";
const KEEP_ALIVE: Duration = Duration::from_secs(5);

const LOSSY: Network = Network { lost: 20, doubled: 10, garbled: 5, delay: 20_000, jitter: 0 };
const SHUFFLED: Network = Network { lost: 3, doubled: 20, garbled: 0, delay: 500, jitter: 30_000 };
const SLOW: Network = Network { lost: 10, doubled: 0, garbled: 0, delay: 300_000, jitter: 100_000 };

/// The inputs of one history, from the entry `next` on, whose first message has the id `expected`.
struct History {
    name: String,
    next: u64,
    expected: u32,
    inputs: Vec<(Duration, Input)>,
}

impl History {
    fn of(name: &str, world: World) -> Self {
        let (name, next) = (name.into(), world.server.first);
        Self { name, next, expected: 1, inputs: world.inputs }
    }

    /// Returns the lines of this history.
    fn record(&self) -> String {
        let mut lines = String::new();
        let header = json!({
            "history": self.name, "tag": TAG, "next": self.next, "member": MEMBER,
            "expected": self.expected, "keepAlive": KEEP_ALIVE.as_nanos() as u64, "room": ROOM.len(),
        });
        writeln!(lines, "{header}").unwrap();
        let mut member = Member::new(self.next, self.expected);
        for (at, input) in &self.inputs {
            writeln!(lines, "{}", member.handle(*at, input)).unwrap();
        }
        lines
    }
}

/// The machines of one member.
struct Member {
    start: Instant,
    receiver: StreamReceiver,
    sender: StreamSender,
}

impl Member {
    fn new(next: u64, expected: u32) -> Self {
        let start = Instant::now();
        let receiver = StreamReceiver::new(TAG, next, KEEP_ALIVE, start);
        Self { start, receiver, sender: StreamSender::new(MEMBER, expected, ROOM) }
    }

    /// Handles an input and returns its line: the time in nanoseconds, the input, the outputs.
    fn handle(&mut self, at: Duration, input: &Input) -> Value {
        let now = self.start + at;
        let at = at.as_nanos() as u64;
        match input {
            Input::Datagram(bytes) => {
                json!([at, "datagram", hex(bytes), self.receive(bytes, now)])
            }
            Input::Push(text) => json!([at, "push", hex(text), self.sender.push(text).ok()]),
            Input::Carry => {
                self.receiver.carry();
                self.sender.carry();
                json!([at, "carry"])
            }
            Input::Doubt => {
                self.receiver.doubt(now);
                json!([at, "doubt"])
            }
            Input::Transmit => json!([at, "transmit", self.transmit(now), self.state()]),
        }
    }

    /// Returns the events of a datagram, or null if it is foreign.
    fn receive(&mut self, bytes: &[u8], now: Instant) -> Value {
        let Self { receiver, sender, .. } = self;
        let mut events = Vec::new();
        let is_known = receiver.handle_datagram(bytes, now, |event| {
            sender.handle_event(&event, now);
            events.push(encode(&event));
        });
        if is_known { events.into() } else { Value::Null }
    }

    fn transmit(&mut self, now: Instant) -> Vec<String> {
        let (mut bodies, mut body) = (Vec::new(), Vec::new());
        while self.receiver.poll_transmit(now, &mut body)
            || self.sender.poll_transmit(now, &mut body)
        {
            bodies.push(hex(&body));
        }
        bodies
    }

    fn state(&self) -> Value {
        let Self { start, receiver, sender } = self;
        let nanos = |at: Instant| at.saturating_duration_since(*start).as_nanos() as u64;
        json!([
            receiver.poll_timeout().map(nanos),
            sender.poll_timeout().map(nanos),
            receiver.next(),
            receiver.resume_at(),
            receiver.is_complete(),
            receiver.gone(),
            receiver.repaired(),
            receiver.unanswered(),
            receiver.rtt().map(|rtt| rtt.as_nanos() as u64),
            sender.first(),
            sender.open(),
            sender.timeouts(),
        ])
    }
}

fn encode(event: &Event<'_>) -> Value {
    match *event {
        Event::Message { number, member, id, name, text, is_late } => {
            json!(["message", number, member, id, digest(name), digest(text), is_late])
        }
        Event::Notice { number, code, member, name, text } => {
            json!(["notice", number, code, member, digest(name), digest(text)])
        }
        Event::Aside { code, expected, id, text } => {
            json!(["aside", code, expected, id, digest(text)])
        }
        Event::Gone { first, count } => json!(["gone", first, count]),
    }
}

/// Returns size and FNV-1a hash (32 bits), to keep the file small.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{}:{hash:08x}", bytes.len())
}

/// Returns hex digits. A run of equal bytes is `(digits*count)`, which keeps long texts short.
fn hex(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|left, right| left == right);
    runs.map(|run| match run.len() {
        0..8 => format!("{:02x}", run[0]).repeat(run.len()),
        count => format!("({:02x}*{count})", run[0]),
    })
    .collect()
}

/// A room that talks for a while over a bad network, then recovers, then is silent.
fn talk(seed: u64, network: Network, time: Duration) -> World {
    let mut world = World::new(seed, network);
    while world.now < time {
        let pause = Duration::from_micros(world.random.below(20_000));
        world.run_until(world.now + pause);
        match world.random.below(12) {
            0 => world.push(b"/who".to_vec()),
            1..=3 => world.push(format!("message at {:?}", world.now).into_bytes()),
            4 => world.push("l".repeat(1150).into_bytes()),
            5 => say(&mut world, &"m".repeat(1170)),
            6 => world.server.forget_before(world.server.next().saturating_sub(4)),
            _ => (0..3).for_each(|_| say(&mut world, "hi")),
        }
    }
    world.network = Network { lost: 0, ..network };
    tails(&mut world);
    world.run_until(world.now + Duration::from_secs(40));
    world
}

fn say(world: &mut World, text: &str) {
    world.server.say(9, 0, text.as_bytes());
    for datagram in world.server.deliver() {
        world.send(false, datagram);
    }
}

/// A member whose entries were all lost, so that it asks for many of them.
fn catch_up() -> World {
    let mut world = World::new(1, CLEAN);
    (0..200).for_each(|number| world.server.say(9, 0, format!("{number}").as_bytes()));
    world.run_until(Duration::from_secs(1));
    world
}

/// A server that takes one message in 300 ms, and a member that writes faster.
fn hurry() -> World {
    let mut world = World::new(2, CLEAN);
    world.server.pace = Some((Duration::ZERO, Duration::from_millis(300)));
    (0..12).for_each(|number| world.push(format!("quick {number}").into_bytes()));
    world.run_until(Duration::from_secs(5));
    world
}

/// A path that is lost, and a carried one that follows it.
fn change_path() -> World {
    let mut world = talk(4, SLOW, Duration::from_millis(100));
    world.network.lost = 100;
    (0..3).for_each(|number| world.push(format!("lost {number}").into_bytes()));
    world.run_until(world.now + Duration::from_secs(30));
    world.network = CLEAN;
    world.carry();
    world.inputs.push((world.now, Input::Doubt));
    world.run_until(world.now + Duration::from_secs(1));
    say(&mut world, "on the new path");
    world.run_until(world.now + Duration::from_secs(20));
    world
}

/// A server that sends anything: random entries, numbers, asides and sizes. The first ids are the last
/// ones that exist.
fn attack(seed: u64) -> History {
    let mut random = Random(seed);
    let (mut now, mut inputs) = (Duration::ZERO, Vec::new());
    for _ in 0..100 {
        let digits = random.below(34);
        now += Duration::from_nanos(random.below(1 << digits));
        inputs.push(match random.below(12) {
            0 => (now, Input::Push(vec![b'x'; 1 << random.below(8)])),
            1 => (now, Input::Doubt),
            _ => (now, Input::Datagram(any_datagram(&mut random))),
        });
        if random.hits(60) {
            inputs.push((now, Input::Transmit));
        }
    }
    History { name: format!("attack {seed}"), next: 1000, expected: u32::MAX - 8, inputs }
}

/// More entries behind gaps than a receiver holds, in sizes up to the largest, and then those that are missing. Every
/// second number is missing at first, so that there are more gaps than a request has ranges.
fn flood() -> History {
    let mut inputs = Vec::new();
    let at = |place: u64| Duration::from_micros(100 * place);
    for place in 0..390 {
        let size = if place < 120 { 100 } else { 3900 };
        inputs.push((at(place), Input::Datagram(one_entry(1002 + 2 * place, size))));
        if place % 16 == 15 {
            inputs.push((at(place), Input::Transmit));
        }
    }
    let far = 1002 + (1 << 20);
    inputs.push((at(400), Input::Datagram(one_entry(far, 1))));
    for number in 1000..1040 {
        inputs.push((at(400 + number), Input::Datagram(one_entry(number, 900))));
        inputs.push((at(400 + number), Input::Transmit));
    }
    (0..70).for_each(|_| inputs.push((at(2000), Input::Push(vec![b'z'; 600]))));
    (1..10).for_each(|second| inputs.push((at(10_000 * second), Input::Transmit)));
    History { name: "flood".into(), next: 1000, expected: 1, inputs }
}

fn one_entry(sequence: u64, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Header { tag: TAG, sequence }.encode(&mut out);
    Entry::Message { member: 9, id: 0, name: b"ann", text: &vec![b'f'; size] }.encode(&mut out);
    out
}

fn any_datagram(random: &mut Random) -> Vec<u8> {
    let near = 990 + random.below(60);
    let far = [0, u64::MAX, 1 << 53, (1 << 32) + 1000, (1 << 32) + 1001, 1 << 31, 1010];
    let sequence = if random.hits(85) { near } else { far[random.below(7) as usize] };
    let mut out = Vec::new();
    Header { tag: TAG, sequence }.encode(&mut out);
    (0..random.below(5)).for_each(|_| any_entry(random).encode(&mut out));
    match random.below(12) {
        0 => out.truncate(random.below(1 + out.len() as u64) as usize),
        1 => out.resize(out.len() + random.below(5) as usize, 0),
        2 if out.len() > 12 => {
            let at = 12 + random.below(out.len() as u64 - 12) as usize;
            out[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    out
}

fn any_entry(random: &mut Random) -> Entry<'static> {
    let text = &[b'y'; 40][..random.below(40) as usize];
    let (member, id) = (MEMBER + random.below(2) as u32, (u32::MAX - 9) + random.below(10) as u32);
    match random.below(10) {
        0..=3 => Entry::Message { member, id, name: b"ann", text },
        4..=5 => Entry::Part { member, id: u32::MAX - 1, name: b"ann", text },
        6 => Entry::Notice { code: random.next() as u8, member, name: b"", text },
        7 => Entry::Gone { count: [0, 1, 2, 7, 30, u32::MAX][random.below(6) as usize] },
        8 => Entry::Aside { code: 12, expected: id, id: 0, text: b"" },
        _ => Entry::Aside { code: 8 + random.below(6) as u8, expected: id, id, text },
    }
}

fn histories() -> Vec<History> {
    let ms = Duration::from_millis;
    let mut histories = vec![
        History::of("no loss", talk(1, CLEAN, ms(100))),
        History::of("loss", talk(2, LOSSY, ms(200))),
        History::of("order", talk(3, SHUFFLED, ms(150))),
        History::of("slow", talk(5, SLOW, ms(200))),
        History::of("catching up", catch_up()),
        History::of("rate", hurry()),
        History::of("another path", change_path()),
        flood(),
    ];
    histories.extend((0..3).map(attack));
    histories
}

#[test]
fn h6_golden_histories() {
    let recorded: String = histories().iter().map(History::record).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("GOLDEN").is_some_and(|action| action == "write") {
        fs::write(&file, &recorded).unwrap();
    }
    assert!(recorded.len() <= MAX_FILE, "{} bytes", recorded.len());
    let golden = fs::read_to_string(file).expect("the golden histories");
    for (number, (ours, theirs)) in (1..).zip(recorded.lines().zip(golden.lines())) {
        assert_eq!(ours, theirs, "{FILE}:{number}");
    }
    assert_eq!(recorded.len(), golden.len());
}
