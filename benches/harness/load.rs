//! Messages on a schedule or in a closed loop, and who heard them when.
//!
//! The thread that calls speaks for everyone: a message is due at a time, and its latency counts from
//! then, however late it is sent. Other threads, the ears, listen for a share of the members each.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, Waker};
use reactor_chat::sys::{Arrival, BATCH, MAX_ARRIVAL, ReceiveBatch};

use super::crowd::{Attendance, Crowd, Wire};
use super::relay;
use super::scenario::{Shape, number_of, sequence_of};
use super::target::{Target, own_cpu_time};

/// How messages are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many a second, whatever comes of them.
    Rate(u32),
    /// So many that are under way at a time.
    InFlight(usize),
}

/// A message that has not reached everyone by then is no longer under way.
pub const GIVE_UP: Duration = Duration::from_millis(200);

/// What has not arrived after so long a silence is lost.
const SILENCE: Duration = Duration::from_millis(200);

/// The same in a stream, where what was lost is sent again, at first after a second. At saturation
/// that is too late: see [`GIVE_UP`].
const SILENCE_IN_STREAM: Duration = Duration::from_secs(3);

/// How often an ear looks through its members of a stream for what is due, whatever they said when
/// they were looked at last: the speaker may have given one something to wait for.
const ROUND: Duration = Duration::from_millis(10);

/// How long it leaves between two such looks at least.
const BREATH: Duration = Duration::from_millis(1);

/// How long an ear looks for more before it sleeps, at a rate. Whoever sends pays for waking a
/// receiver, several microseconds in a virtual machine. Members elsewhere cost a server no such
/// thing, so an ear stays awake between the deliveries of one message.
const LINGER: Duration = Duration::from_micros(20);

/// How long an ear sleeps between two looks at saturation, where it would else linger all the time.
const NAP: Duration = Duration::from_micros(100);

/// No server takes more messages a second than this; room is made for as many.
const MOST_MESSAGES: f64 = 400_000.0;

const WAKE: Token = Token(usize::MAX);

/// One measurement.
pub struct Sample {
    /// Deliveries that there should have been.
    pub offered: u64,
    pub delivered: u64,
    pub delivered_per_s: f64,
    /// Number of times that a message was put off (code 8). Only streams have that.
    pub put_off: Option<u64>,
    /// Of the target, if it is a child of ours.
    pub cpu: Option<Duration>,
    /// In microseconds.
    pub latency: Histogram<u64>,
    /// The share of its time that the busiest thread of ours was on a CPU.
    pub load: f64,
}

/// A histogram of latencies up to a minute, to three digits, in microseconds.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds that hdrhistogram takes")
}

pub fn record(latency: &mut Histogram<u64>, time: Duration) {
    latency.saturating_record((time.as_micros() as u64).max(1));
}

/// A crowd that speaks and listens.
pub struct Load {
    pub crowd: Crowd,
    ears: Vec<Ear>,
    /// The number of the next message; none is used twice, so that what comes late is known.
    next: u64,
}

impl Load {
    /// # Errors
    /// If there are no polls to be had.
    pub fn new(mut crowd: Crowd) -> io::Result<Self> {
        // The server, the speaker and each ear want a core of their own.
        let cores = thread::available_parallelism()?.get();
        let count = cores.saturating_sub(2).clamp(1, 4).min(crowd.shape.population());
        let ears =
            (0..count).map(|first| Ear::new(first, count)).collect::<io::Result<Vec<_>>>()?;
        for (member, socket) in crowd.sockets.iter_mut().enumerate() {
            let registry = ears[member % count].poll.registry();
            registry.register(socket, Token(member), Interest::READABLE)?;
        }
        Ok(Self { crowd, ears, next: 0 })
    }

    /// Offers messages for so long, and waits for what comes of them.
    ///
    /// # Errors
    /// If a poll fails.
    pub fn measure(
        &mut self,
        target: &Target,
        attendance: &Attendance,
        pace: Pace,
        seconds: f64,
    ) -> io::Result<Sample> {
        let (before, put_off) = (target.cpu_time(), attendance.put_off());
        let phase = &Phase::new(self.crowd.shape, self.next, pace, seconds);
        let scene = Scene { crowd: &self.crowd, attendance, phase };
        let ears = &mut self.ears;
        let (sent, load, heard) = thread::scope(|scope| {
            let wakers: Vec<_> = ears.iter().map(|ear| ear.waker.clone()).collect();
            let listeners: Vec<_> =
                ears.iter_mut().map(|ear| scope.spawn(|| ear.listen(scene))).collect();
            let speaker = Speaker { scene, text: Vec::new() };
            let (sent, load) = speaker.speak(pace, seconds);
            phase.is_over.store(true, Relaxed);
            for waker in wakers {
                waker.wake()?;
            }
            let join = |listener: thread::ScopedJoinHandle<'_, io::Result<Heard>>| {
                listener.join().expect("an ear does not panic")
            };
            let heard = listeners.into_iter().map(join).collect::<io::Result<Vec<Heard>>>()?;
            io::Result::Ok((sent, load, heard))
        })?;
        let cpu = before.and_then(|before| Some(target.cpu_time()? - before));
        self.next += sent as u64;
        let offered = (sent * self.crowd.shape.audience()) as u64;
        let put_off = put_off.and_then(|before| Some(attendance.put_off()? - before));
        Ok(Sample { put_off, ..summarize(offered, cpu, load, &heard) })
    }
}

fn summarize(offered: u64, cpu: Option<Duration>, load: f64, heard: &[Heard]) -> Sample {
    let delivered = heard.iter().map(|heard| heard.latency.len()).sum();
    let last = heard.iter().map(|heard| heard.last).max().unwrap_or_default();
    let mut latency = new_histogram();
    for heard in heard {
        latency.add(&heard.latency).expect("histograms of the same bounds");
    }
    Sample {
        offered,
        delivered,
        delivered_per_s: delivered as f64 / last.as_secs_f64().max(1e-9),
        put_off: None,
        cpu,
        latency,
        load: heard.iter().map(|heard| heard.load).fold(load, f64::max),
    }
}

/// What the speaker and the ears share about the messages of one measurement.
struct Phase {
    shape: Shape,
    pace: Pace,
    /// The number of the first message.
    base: u64,
    start: Instant,
    /// By message: when it was due, in nanoseconds from the start.
    due: Box<[AtomicU64]>,
    /// By message: how many have not heard it yet, or a number that never gets down to zero if it
    /// was given up.
    left: Box<[AtomicU32]>,
    /// Messages that all have heard.
    done: AtomicUsize,
    /// Changes as long as anything is heard.
    heard: AtomicU64,
    is_over: AtomicBool,
    speaker: Thread,
}

impl Phase {
    fn new(shape: Shape, base: u64, pace: Pace, seconds: f64) -> Self {
        let messages = match pace {
            Pace::Rate(rate) => (f64::from(rate) * seconds).round().max(1.0),
            Pace::InFlight(_) => (MOST_MESSAGES * seconds).ceil(),
        } as usize;
        let audience = shape.audience() as u32;
        Self {
            shape,
            pace,
            base,
            due: (0..messages).map(|_| AtomicU64::new(0)).collect(),
            left: (0..messages).map(|_| AtomicU32::new(audience)).collect(),
            done: AtomicUsize::new(0),
            heard: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            speaker: thread::current(),
            start: Instant::now(),
        }
    }

    fn due(&self, index: usize) -> Duration {
        Duration::from_nanos(self.due[index].load(Relaxed))
    }

    /// Whether all have heard the message, or never will. It is given up if its time is over.
    fn settle(&self, index: usize) -> Settled {
        if self.left[index].load(Relaxed) == 0 {
            return Settled::Done;
        }
        if self.start.elapsed() - self.due(index) < GIVE_UP {
            return Settled::No;
        }
        match self.left[index].swap(u32::MAX, Relaxed) {
            0 => Settled::Done,
            _ => Settled::GivenUp,
        }
    }
}

enum Settled {
    No,
    Done,
    GivenUp,
}

/// What a measurement is about: who, where, which messages.
#[derive(Clone, Copy)]
struct Scene<'a> {
    crowd: &'a Crowd,
    attendance: &'a Attendance,
    phase: &'a Phase,
}

/// Says the messages of one measurement.
struct Speaker<'a> {
    scene: Scene<'a>,
    text: Vec<u8>,
}

impl Speaker<'_> {
    /// Gives how many messages were said, and how busy that was.
    fn speak(mut self, pace: Pace, seconds: f64) -> (usize, f64) {
        let (cpu, start) = (own_cpu_time(), Instant::now());
        let sent = match pace {
            Pace::Rate(rate) => self.speak_on_schedule(rate),
            Pace::InFlight(window) => self.speak_in_flight(window, seconds),
        };
        let load = (own_cpu_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
        self.wait_for_rest(sent);
        (sent, load)
    }

    fn speak_on_schedule(&mut self, rate: u32) -> usize {
        let phase = self.scene.phase;
        let messages = phase.due.len();
        for index in 0..messages {
            let due = Duration::from_secs_f64(index as f64 / f64::from(rate));
            if let Some(early) = due.checked_sub(phase.start.elapsed()) {
                thread::sleep(early);
            }
            self.say(index, due);
        }
        messages
    }

    fn speak_in_flight(&mut self, window: usize, seconds: f64) -> usize {
        let phase = self.scene.phase;
        let end = Duration::from_secs_f64(seconds);
        let (mut sent, mut oldest, mut given_up) = (0, 0, 0);
        while phase.start.elapsed() < end && sent < phase.due.len() {
            while oldest < sent {
                match phase.settle(oldest) {
                    Settled::No => break,
                    Settled::Done => {}
                    Settled::GivenUp => given_up += 1,
                }
                oldest += 1;
            }
            if sent < window + phase.done.load(Relaxed) + given_up {
                self.say(sent, phase.start.elapsed());
                sent += 1;
            } else {
                thread::park_timeout(GIVE_UP / 20);
            }
        }
        sent
    }

    fn say(&mut self, index: usize, due: Duration) {
        let Scene { crowd, attendance, phase } = self.scene;
        let sequence = phase.base + index as u64;
        let speaker = phase.shape.speaker(sequence);
        phase.due[index].store(due.as_nanos() as u64, Relaxed);
        self.text.clear();
        phase.shape.write_text(sequence, &mut self.text);
        let end = Instant::now() + GIVE_UP;
        // What is not said in time is not delivered, and so counted as lost.
        while !attendance.say(crowd, speaker, &self.text) && Instant::now() < end {
            thread::park_timeout(NAP);
        }
    }

    fn wait_for_rest(&self, sent: usize) {
        let Scene { attendance, phase, .. } = self.scene;
        let silence = match (&attendance.wire, phase.pace) {
            (Wire::Stream(_), Pace::Rate(_)) => SILENCE_IN_STREAM,
            _ => SILENCE,
        };
        let (mut heard, mut since) = (0, Instant::now());
        while phase.done.load(Relaxed) < sent && since.elapsed() < silence {
            let now = phase.heard.load(Relaxed);
            if now != heard {
                (heard, since) = (now, Instant::now());
            }
            thread::park_timeout(SILENCE / 100);
        }
    }
}

/// Listens for a share of the members.
struct Ear {
    poll: Poll,
    waker: Arc<Waker>,
    events: Events,
    /// Its members: this one and every so many after it.
    first: usize,
    step: usize,
}

/// What an ear has heard in one measurement.
struct Heard {
    latency: Histogram<u64>,
    /// When the last delivery came, from the start.
    last: Duration,
    load: f64,
    /// A bit for each message and member of its room: a second copy does not count.
    seen: Vec<u64>,
}

impl Ear {
    fn new(first: usize, step: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?.into();
        Ok(Self { poll, waker, events: Events::with_capacity(1024), first, step })
    }

    fn listen(&mut self, scene: Scene<'_>) -> io::Result<Heard> {
        let phase = scene.phase;
        let cpu = own_cpu_time();
        let mut batch = ReceiveBatch::new(MAX_ARRIVAL);
        let (latency, last) = (new_histogram(), Duration::ZERO);
        let mut heard = Heard { latency, last, load: 0.0, seen: Vec::new() };
        let mut awake_until = Instant::now();
        let mut round = Round::new(&scene.attendance.wire);
        while !phase.is_over.load(Relaxed) {
            let is_awake = Instant::now() < awake_until;
            let patience = if is_awake { Some(Duration::ZERO) } else { round.patience() };
            self.poll.poll(&mut self.events, patience)?;
            for event in self.events.iter().filter(|event| event.token() != WAKE) {
                drain(&mut batch, scene, event.token().0, &mut heard, &mut round);
            }
            if round.is_due() {
                let population = phase.shape.population();
                round.walk(scene, (self.first..population).step_by(self.step));
            }
            match phase.pace {
                Pace::Rate(_) if !self.events.is_empty() => awake_until = Instant::now() + LINGER,
                Pace::Rate(_) => {}
                Pace::InFlight(_) => thread::sleep(NAP),
            }
        }
        let busy = (own_cpu_time() - cpu).as_secs_f64();
        heard.load = busy / heard.last.as_secs_f64().max(1e-9);
        Ok(heard)
    }
}

/// When to look through the members of a stream for what is due. There is no such time elsewhere.
struct Round {
    last: Instant,
    next: Option<Instant>,
}

impl Round {
    fn new(wire: &Wire) -> Self {
        let now = Instant::now();
        Self { last: now, next: matches!(wire, Wire::Stream(_)).then_some(now) }
    }

    fn patience(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }

    /// A member has something to do then.
    fn heed(&mut self, deadline: Option<Instant>) {
        if let (Some(next), Some(deadline)) = (&mut self.next, deadline) {
            *next = deadline.max(self.last + BREATH).min(*next);
        }
    }

    fn walk(&mut self, scene: Scene<'_>, members: impl Iterator<Item = usize>) {
        let Scene { crowd, attendance, .. } = scene;
        let Wire::Stream(listeners) = &attendance.wire else { return };
        self.last = Instant::now();
        self.next = Some(self.last + ROUND);
        for member in members {
            let mut listener = listeners[member].lock().expect("no panic");
            if listener.deadline().is_some_and(|deadline| deadline <= self.last) {
                attendance.send_due(crowd, member, &mut listener, self.last);
            }
            self.heed(listener.deadline());
        }
    }
}

/// Reads a socket until it is empty, which a batch that is not full says.
fn drain(
    batch: &mut ReceiveBatch,
    scene: Scene<'_>,
    member: usize,
    heard: &mut Heard,
    round: &mut Round,
) {
    loop {
        // Errors are echoes of what was sent to a server that is gone: what it owes is lost.
        let count = batch.receive(scene.crowd.sockets[member].as_fd(), BATCH).unwrap_or(0);
        heard.take(batch, scene, member, round);
        scene.phase.heard.fetch_add(count as u64, Relaxed);
        if count < BATCH {
            return;
        }
    }
}

impl Heard {
    fn take(&mut self, batch: &ReceiveBatch, scene: Scene<'_>, member: usize, round: &mut Round) {
        let Scene { crowd, attendance, phase } = scene;
        let now = Instant::now();
        let at = now - phase.start;
        let datagrams = batch.arrivals().flat_map(Arrival::datagrams);
        match &attendance.wire {
            Wire::Plain => {
                datagrams.for_each(|datagram| self.note(phase, member, sequence_of(datagram), at));
            }
            Wire::Packed => datagrams
                .flat_map(relay::unpack)
                .for_each(|message| self.note(phase, member, sequence_of(message), at)),
            Wire::Stream(listeners) => {
                let mut listener = listeners[member].lock().expect("no panic");
                for datagram in datagrams {
                    listener.hear(datagram, now, |text| {
                        self.note(phase, member, number_of(text), at);
                    });
                }
                attendance.send_due(crowd, member, &mut listener, now);
                round.heed(listener.deadline());
            }
        }
    }

    /// The message with this number has come. A member's own counts for nothing.
    fn note(&mut self, phase: &Phase, member: usize, sequence: Option<u64>, now: Duration) {
        let sequence = sequence.filter(|number| phase.shape.speaker(*number) != member);
        let index = sequence.and_then(|number| number.checked_sub(phase.base));
        let Some(index) = index.map(|index| index as usize) else { return };
        let bit = index * phase.shape.members + phase.shape.place_of(member);
        if index >= phase.due.len() || !insert(&mut self.seen, bit) {
            return;
        }
        record(&mut self.latency, now.saturating_sub(phase.due(index)));
        self.last = now;
        if phase.left[index].fetch_sub(1, Relaxed) == 1 {
            phase.done.fetch_add(1, Relaxed);
            phase.speaker.unpark();
        }
    }
}

/// Sets a bit, and gives whether it was not set before.
fn insert(bits: &mut Vec<u64>, index: usize) -> bool {
    let (word, mask) = (index / 64, 1 << (index % 64));
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    let is_new = bits[word] & mask == 0;
    bits[word] |= mask;
    is_new
}
