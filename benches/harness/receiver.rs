//! A thread that receives for a share of the members.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, Waker};
use reactor_chat::sys::{Arrival, BATCH, MAX_ARRIVAL, ReceiveBatch};

use super::carried_link::CarriedLink;
use super::crowd::{Attendance, Crowd, Wire};
use super::phase::{Pace, Phase, Scene};
use super::quic_link::QuicLink;
use super::relay;
use super::sample::{new_histogram, record};
use super::scenario::{number_of, sequence_of};
use super::target::own_cpu_time;

/// Longest interval between two walks over the members of a stream for datagrams that are due. A
/// member's own deadline is no limit: the sender may have given it something to wait for since.
const MAX_INTERVAL: Duration = Duration::from_millis(10);

/// Shortest interval between two such walks.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// At a rate, a receiver polls for this long after a delivery before it sleeps. Waking a receiver
/// costs its sender several microseconds in a virtual machine. Members elsewhere do not cost a server
/// that, so a receiver stays awake between the deliveries of one message.
const LINGER: Duration = Duration::from_micros(20);

/// At saturation a receiver would linger all the time. It sleeps for this long instead.
const NAP: Duration = Duration::from_micros(100);

const WAKE: Token = Token(usize::MAX);

pub struct Receiver {
    poll: Poll,
    waker: Arc<Waker>,
    events: Events,
    /// Its members are this one and every `step`th after it.
    first: usize,
    step: usize,
}

/// Deliveries of one measurement to the members of one receiver.
pub struct Received {
    pub latency: Histogram<u64>,
    /// Time of the last delivery, from the start.
    pub last: Duration,
    /// Share of its time that the thread was on a CPU.
    pub load: f64,
    /// A bit for each message and member of its room: a second copy does not count.
    seen: Vec<u64>,
}

impl Receiver {
    /// # Errors
    /// If there is no poll to be had, or it refuses a socket.
    pub fn new(first: usize, step: usize, crowd: &mut Crowd) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (member, socket) in crowd.sockets.iter_mut().enumerate().skip(first).step_by(step) {
            poll.registry().register(socket, Token(member), Interest::READABLE)?;
        }
        let waker = Waker::new(poll.registry(), WAKE)?.into();
        Ok(Self { poll, waker, events: Events::with_capacity(1024), first, step })
    }

    /// Returns a handle that ends its wait.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Receives until the measurement is over.
    ///
    /// # Errors
    /// If the poll fails.
    pub fn run(&mut self, scene: Scene<'_>) -> io::Result<Received> {
        let phase = scene.phase;
        let cpu = own_cpu_time();
        let mut batch = ReceiveBatch::new(MAX_ARRIVAL);
        let (latency, last) = (new_histogram(), Duration::ZERO);
        let mut received = Received { latency, last, load: 0.0, seen: Vec::new() };
        let mut awake_until = Instant::now();
        let mut walks = Walks::new(&scene.attendance.wire);
        self.watch_links(scene.attendance, true)?;
        while !phase.is_over.load(Relaxed) {
            let is_awake = Instant::now() < awake_until;
            let timeout = if is_awake { Some(Duration::ZERO) } else { walks.timeout() };
            self.poll.poll(&mut self.events, timeout)?;
            for event in self.events.iter().filter(|event| event.token() != WAKE) {
                drain(&mut batch, scene, event.token().0, &mut received, &mut walks);
            }
            if walks.is_due() {
                let population = phase.shape.population();
                walks.walk(scene, (self.first..population).step_by(self.step));
            }
            match phase.pace {
                Pace::Rate(_) if !self.events.is_empty() => awake_until = Instant::now() + LINGER,
                Pace::Rate(_) => {}
                Pace::InFlight(_) => thread::sleep(NAP),
            }
        }
        self.watch_links(scene.attendance, false)?;
        let busy = (own_cpu_time() - cpu).as_secs_f64();
        received.load = busy / received.last.as_secs_f64().max(1e-9);
        Ok(received)
    }

    /// Begins or ends to watch the connections of its members, if they are carried.
    fn watch_links(&self, attendance: &Attendance, is_begin: bool) -> io::Result<()> {
        let Some(links) = &attendance.links else { return Ok(()) };
        for (member, link) in links.iter().enumerate().skip(self.first).step_by(self.step) {
            let mut link = link.lock().expect("no panic");
            let (registry, stream) = (self.poll.registry(), link.stream_mut());
            match is_begin {
                true => registry.register(stream, Token(member), Interest::READABLE)?,
                false => registry.deregister(stream)?,
            }
        }
        Ok(())
    }
}

/// Times of the walks over the members of a stream. Other deliveries need none.
struct Walks {
    last: Instant,
    next: Option<Instant>,
}

impl Walks {
    fn new(wire: &Wire) -> Self {
        let now = Instant::now();
        Self { last: now, next: matches!(wire, Wire::Stream(_)).then_some(now) }
    }

    fn timeout(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }

    /// Brings the next walk forward to a member's deadline.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        if let (Some(next), Some(deadline)) = (&mut self.next, deadline) {
            *next = deadline.max(self.last + MIN_INTERVAL).min(*next);
        }
    }

    fn walk(&mut self, scene: Scene<'_>, members: impl Iterator<Item = usize>) {
        let Scene { crowd, attendance, .. } = scene;
        let Wire::Stream(listeners) = &attendance.wire else { return };
        self.last = Instant::now();
        self.next = Some(self.last + MAX_INTERVAL);
        for member in members {
            let mut listener = listeners[member].lock().expect("no panic");
            if listener.deadline().is_some_and(|deadline| deadline <= self.last) {
                attendance.send_due(crowd, member, &mut listener, self.last);
            }
            self.note_deadline(listener.deadline());
            if let Some(links) = &attendance.quic {
                let mut link = links[member].lock().expect("no panic");
                self.note_deadline(link.handle_timeout(&crowd.sockets[member], self.last));
            }
        }
    }
}

/// Reads a socket until it is empty, which a batch that is not full says.
fn drain(
    batch: &mut ReceiveBatch,
    scene: Scene<'_>,
    member: usize,
    received: &mut Received,
    walks: &mut Walks,
) {
    if let Some(links) = &scene.attendance.links {
        let count = received.take_units(&links[member], scene, member, walks);
        scene.phase.received.fetch_add(count as u64, Relaxed);
        return;
    }
    loop {
        // An error is the echo of a datagram to a server that is gone. It delivers nothing more.
        let count = batch.receive(scene.crowd.sockets[member].as_fd(), BATCH).unwrap_or(0);
        received.take(batch, scene, member, walks);
        scene.phase.received.fetch_add(count as u64, Relaxed);
        if count < BATCH {
            return;
        }
    }
}

impl Received {
    fn take(&mut self, batch: &ReceiveBatch, scene: Scene<'_>, member: usize, walks: &mut Walks) {
        let Scene { crowd, attendance, phase } = scene;
        let now = Instant::now();
        let at = now - phase.start;
        let datagrams = batch.arrivals().flat_map(Arrival::datagrams);
        if let Some(links) = &attendance.quic {
            return self.take_packets(datagrams, &links[member], scene, member, walks);
        }
        let envelope = &attendance.envelopes[member];
        match &attendance.wire {
            Wire::Plain => datagrams.for_each(|datagram| {
                envelope
                    .open(datagram, |content| self.note(phase, member, sequence_of(content), at));
            }),
            Wire::Packed => datagrams
                .flat_map(relay::unpack)
                .for_each(|message| self.note(phase, member, sequence_of(message), at)),
            Wire::Stream(listeners) => {
                let mut listener = listeners[member].lock().expect("no panic");
                for datagram in datagrams {
                    envelope.open(datagram, |content| {
                        listener.handle_datagram(content, now, |text| {
                            self.note(phase, member, number_of(text), at);
                        });
                    });
                }
                attendance.send_due(crowd, member, &mut listener, now);
                walks.note_deadline(listener.deadline());
            }
        }
    }

    /// Takes packets of a member over QUIC, which has stream delivery.
    fn take_packets<'a>(
        &mut self,
        packets: impl Iterator<Item = &'a [u8]>,
        link: &Mutex<QuicLink>,
        scene: Scene<'_>,
        member: usize,
        walks: &mut Walks,
    ) {
        let Scene { crowd, attendance, phase } = scene;
        let Wire::Stream(listeners) = &attendance.wire else { return };
        let (now, socket) = (Instant::now(), &crowd.sockets[member]);
        let at = now - phase.start;
        let mut listener = listeners[member].lock().expect("no panic");
        link.lock().expect("no panic").receive(socket, packets, now, |content| {
            listener.handle_datagram(content, now, |text| {
                self.note(phase, member, number_of(text), at)
            });
        });
        attendance.send_due(crowd, member, &mut listener, now);
        walks.note_deadline(listener.deadline());
        walks.note_deadline(link.lock().expect("no panic").handle_timeout(socket, now));
    }

    /// Reads a link until it is empty, and returns the number of units.
    fn take_units(
        &mut self,
        link: &Mutex<CarriedLink>,
        scene: Scene<'_>,
        member: usize,
        walks: &mut Walks,
    ) -> usize {
        let Scene { crowd, attendance, phase } = scene;
        let now = Instant::now();
        let at = now - phase.start;
        let Wire::Stream(listeners) = &attendance.wire else {
            let mut link = link.lock().expect("no panic");
            return link.read(|unit| self.note(phase, member, sequence_of(unit), at));
        };
        let mut listener = listeners[member].lock().expect("no panic");
        let count = link.lock().expect("no panic").read(|unit| {
            listener
                .handle_datagram(unit, now, |text| self.note(phase, member, number_of(text), at));
        });
        attendance.send_due(crowd, member, &mut listener, now);
        walks.note_deadline(listener.deadline());
        count
    }

    /// Notes the delivery of the message with this number, unless it is the member's own.
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
        phase.note_delivery(index);
    }
}

/// Sets a bit. Returns true if it was not set before.
fn insert(bits: &mut Vec<u64>, index: usize) -> bool {
    let (word, mask) = (index / 64, 1 << (index % 64));
    if word >= bits.len() {
        bits.resize(word + 1, 0);
    }
    let is_new = bits[word] & mask == 0;
    bits[word] |= mask;
    is_new
}
