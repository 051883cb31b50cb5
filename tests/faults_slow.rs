//! Faults that take a crowd or their time, in a few seconds each.
//!
//! `REACTOR_CHAT_SOAK_SECONDS`, if set, asks for the full size, here and in `soak.rs`: the deadlines
//! are then the server's defaults.

mod support;

use std::env;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::peers::*;
use support::*;

/// Number of loopback addresses that connections come from.
const SOURCES: usize = 4;

/// Interval between two bytes of each sender.
const SLOW: usize = 2000;
const BYTE_INTERVAL: Duration = Duration::from_secs(1);

const MALFORMED: u8 = 9;

/// Opens `count` connections from a few addresses in turn.
fn crowd(server: &Server, count: usize) -> Vec<Control> {
    let wanted = count as u64 + 200;
    let allowed = allow_a_crowd();
    assert!(allowed >= wanted, "{wanted} open files are needed, ulimit -n allows {allowed}");
    let source = |index: usize| loopback(10 + (index % SOURCES) as u8);
    (0..count).map(|index| Control::connect_from(server, source(index))).collect()
}

/// A peer that sends a request byte by byte.
struct Slow {
    control: Control,
    started: Instant,
    sent: usize,
    answered: Option<Duration>,
}

impl Slow {
    fn start(control: Control, at: Instant) -> Self {
        Self { control, started: at, sent: 0, answered: None }
    }

    /// Sends the next byte if it is due. Returns true if there is an answer.
    fn go_on(&mut self, request: &[u8], now: Instant) -> bool {
        if self.answered.is_none() && self.sent > 0 && self.control.has_heard() {
            self.answered = Some(self.started.elapsed());
        }
        if self.answered.is_none() && now >= self.started + BYTE_INTERVAL * self.sent as u32 {
            if self.sent == 0 {
                self.started = now;
            }
            self.control.send(&request[self.sent..][..1]);
            self.sent += 1;
        }
        self.answered.is_some()
    }
}

#[test]
fn l12_t4_slow_senders_are_cheap() {
    let limit = if is_full_size() { 10 } else { 3 };
    let server = Server::start(&["--handshake-timeout", &limit.to_string()]);
    let limit = Duration::from_secs(limit);
    let request = frame(CREATE, "room", text("x").as_bytes());
    let start = Instant::now() + Duration::from_secs(1);
    let spread =
        |(index, control)| Slow::start(control, start + BYTE_INTERVAL * index as u32 / SLOW as u32);
    let mut slow: Vec<Slow> = crowd(&server, SLOW).into_iter().enumerate().map(spread).collect();

    let mut bystander = Control::connect(&server);
    let (cpu, began) = (server.cpu_time(), Instant::now());
    let mut waits = Vec::new();
    let mut answered = 0;
    while answered < SLOW {
        assert!(began.elapsed() < limit + DEADLINE, "{answered} of {SLOW} were answered");
        let now = Instant::now();
        expect_answer(&mut bystander);
        waits.push(now.elapsed());
        answered = slow.iter_mut().map(|slow| usize::from(slow.go_on(&request, now))).sum();
        thread::sleep(Duration::from_millis(2));
    }
    let (cpu, took) = (server.cpu_time() - cpu, began.elapsed());

    for slow in &mut slow {
        let answered = slow.answered.expect("waited for");
        assert!(answered >= limit && answered < limit + Duration::from_secs(2), "{answered:?}");
        assert!(slow.sent >= 3, "{} bytes", slow.sent);
        assert_eq!(slow.control.expect_status(), MALFORMED);
        slow.control.expect_end();
    }
    assert!(cpu < took / 4, "{cpu:?} of CPU in {took:?}");
    waits.sort();
    let median = waits[waits.len() / 2];
    assert!(median < Duration::from_millis(50), "{median:?}");
    eprintln!(
        "{SLOW} slow: CPU {cpu:?} in {took:?}, a list {median:?}, at most {:?}",
        waits[waits.len() - 1]
    );
}

#[test]
fn t3_false_sizes_take_no_memory() {
    const LIARS: usize = 1000;
    const ROUNDS: usize = 5;
    // The maximum of the protocol, and sizes just within and just beyond the limit.
    const ANNOUNCED: [u32; 4] = [1 << 29, 65_537, 65_536, 60_000];
    let server = Server::start(&[]);
    let idle = server.descriptors();
    // A thousand connections take memory for their tables, whatever they send.
    let mut honest = crowd(&server, LIARS);
    honest.iter_mut().for_each(expect_answer);
    let before = [server.memory(), server.reserved_memory()];
    honest.into_iter().for_each(Control::reset);
    for round in 0..ROUNDS {
        wait_for("their end", || (server.descriptors() == idle).then_some(()));
        let mut liars = crowd(&server, LIARS);
        for (liar, announced) in liars.iter_mut().zip(ANNOUNCED.into_iter().cycle()) {
            let mut bytes = list_frame();
            bytes[28..32].copy_from_slice(&announced.to_be_bytes());
            bytes.extend_from_slice(&[b' '; 100]);
            liar.send(&bytes);
        }
        expect_service(&server);
        for (now, before) in [server.memory(), server.reserved_memory()].into_iter().zip(before) {
            assert!(now < before + LITTLE_MEMORY, "round {round}: {before} bytes, then {now}");
        }
        liars.into_iter().for_each(Control::reset);
    }
}

/// Threads that overload a server until this is dropped.
struct Flood {
    is_over: std::sync::Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    fn new() -> Self {
        Self { is_over: Default::default(), threads: Vec::new() }
    }

    fn add(&mut self, mut work: impl FnMut() + Send + 'static) {
        let is_over = self.is_over.clone();
        self.threads.push(thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                work();
            }
        }));
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that has failed has printed the reason.
            let _ = thread.join();
        }
    }
}

/// Two members that flood the UDP socket and a client that floods requests.
fn flood(server: &Server) -> Flood {
    let mut flood = Flood::new();
    for room in ["flood 1", "flood 2"] {
        let member = Member::create(server, room, &text("x"));
        flood.add(move || (0..100).for_each(|_| member.say("more")));
    }
    let mut stream = Control::connect(server).stream().try_clone().expect("a second handle");
    let mut replies = vec![0; 1 << 20];
    flood.add(move || {
        stream.write_all(&list_frame().repeat(10)).expect("sent");
        let _ = stream.read(&mut replies).expect("replies");
    });
    flood
}

#[test]
fn l15_deadlines_hold_during_a_flood() {
    const ENOUGH: Duration = Duration::from_secs(3);
    let options = ["--idle-timeout", "1", "--connect-timeout", "1", "--handshake-timeout", "1"];
    let server = Server::start(&options);
    let quiet = Member::create(&server, "room", &text("quiet"));
    let flood = flood(&server);
    let start = Instant::now();
    let mut silent = Control::connect(&server);
    let mut halfway = Control::connect(&server);
    halfway.send(&list_frame()[..20]);
    quiet.expect("you were removed from the room, nothing was heard from you for a while");
    assert_eq!(halfway.expect_status(), MALFORMED);
    halfway.expect_end();
    silent.expect_end();
    let took = start.elapsed();
    drop(flood);
    assert!(took < ENOUGH, "{took:?}");
    let counts = server.final_counts();
    assert!(counts.contains("rate limited"), "or there was no flood: {counts}");
    eprintln!("in the flood after {took:?}: {counts}");
}

fn is_full_size() -> bool {
    env::var_os("REACTOR_CHAT_SOAK_SECONDS").is_some()
}
