//! Floods beside quiet rooms: one member floods its room as fast as it can, or several peers use
//! all that their limits allow, while quiet rooms talk and clients join.
//!
//! The server has its default limits. Every run is made twice, without the flood and with it, in the
//! same rooms.

use std::io;
use std::iter;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::UdpSocket;
use reactor_chat::protocol::stream::upstream;
use reactor_chat::sys::{Address, MAX_SEGMENTS, Outgoing, SendBatch};

use super::control;
use super::crowd::{Attendance, Crowd};
use super::joins;
use super::load::Load;
use super::mixed::Loads;
use super::options::Options;
use super::phase::Pace;
use super::progress;
use super::sample::{Sample, new_histogram, record};
use super::scenario::{DIGITS, Delivery, Flood, Shape, Source, Text};
use super::storm::Storm;
use super::target::Target;

/// Runs are longer than others by this factor, because they measure rare events.
const PATIENCE: f64 = 5.0;

/// The quiet rooms. Ten members, so that each stays below the server's rate of messages.
const QUIET: Shape = Shape { rooms: 5, members: 2, text: Text::Fixed(64) };

/// Messages a second in all of them.
const QUIET_RATE: u32 = 100;

/// The room that is flooded, by the member that made it.
const FLOODED: Shape = Shape { rooms: 1, members: 10, text: Text::Fixed(DIGITS) };

/// Interval between two clients that join.
const JOIN_EVERY: Duration = Duration::from_millis(20);

pub struct Outcome {
    /// Things that a flood counts.
    pub unit: &'static str,
    pub without: Side,
    pub with: Side,
}

/// All runs without the flood, or all with it.
pub struct Side {
    pub samples: Vec<Sample>,
    /// Times from the moment when a client was due to its token.
    pub joins: Histogram<u64>,
    time: Duration,
    /// Datagrams or connections of the flood.
    count: u64,
    cpu: Option<Duration>,
}

impl Side {
    fn new() -> Self {
        let (samples, joins) = (Vec::new(), new_histogram());
        Self { samples, joins, time: Duration::ZERO, count: 0, cpu: Some(Duration::ZERO) }
    }

    /// Datagrams or connections of the flood a second.
    pub fn flood_per_s(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    /// Returns the server's CPU usage in percent.
    pub fn cpu_percent(&self) -> Option<f64> {
        Some(100.0 * self.cpu?.as_secs_f64() / self.time.as_secs_f64())
    }
}

/// Sends a flood until the flag is set, and returns the number of its datagrams or connections.
type Pour = dyn Fn(&AtomicBool) -> u64 + Sync;

/// Measures the server.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn measure(options: &Options, target: Target, flood: &Flood) -> io::Result<Outcome> {
    progress::show(flood.name, "members enter");
    let ip = target.local_ip()?;
    let quiet = Crowd::gather(QUIET, ip, options.gro)?;
    let attendance = Attendance::enter(&quiet, &target)?;
    // The rooms of each part have names of their own.
    control::begin_scenario();
    let pour: Box<Pour> = match &flood.source {
        Source::Member => {
            let flooded = Crowd::gather(FLOODED, ip, options.gro)?;
            let attendance = Attendance::enter(&flooded, &target)?;
            let torrent = Torrent::new(&attendance, flood.service.delivery);
            Box::new(move |is_over| torrent.pour(&flooded.sockets[0], is_over))
        }
        Source::Forger { per_s } => {
            let loads = Loads::forged(&target, &attendance.envelopes, *per_s)?;
            Box::new(move |is_over| loads.pour(is_over))
        }
        Source::Handshakes => {
            let storm = Storm::new(target.tcp)?;
            Box::new(move |is_over| storm.rage(is_over))
        }
        Source::Peers(mixed) => {
            let loads = Loads::enter(&target, mixed)?;
            Box::new(move |is_over| loads.pour(is_over))
        }
    };
    control::begin_scenario();
    thread::sleep(options.settling);
    let mut course = Course { load: Load::new(quiet)?, attendance, target, clients: 0 };
    let (mut without, mut with) = (Side::new(), Side::new());
    for run in 1..=options.runs {
        progress::show(flood.name, &format!("run {run} of {}", options.runs));
        course.run(&mut without, options.seconds * PATIENCE, None)?;
        course.run(&mut with, options.seconds * PATIENCE, Some(&*pour))?;
    }
    course.attendance.leave(&course.load.crowd);
    Ok(Outcome { unit: flood.source.unit(), without, with })
}

/// Quiet members of a server, and how many clients have come.
struct Course {
    load: Load,
    attendance: Attendance,
    target: Target,
    clients: usize,
}

impl Course {
    /// Runs messages and joins, beside a flood if one is given.
    fn run(&mut self, side: &mut Side, seconds: f64, flood: Option<&Pour>) -> io::Result<()> {
        let Self { load, attendance, target, clients } = self;
        let is_over = &AtomicBool::new(false);
        let (before, start) = (target.cpu_time(), Instant::now());
        let server = target.tcp;
        let (first, end) = (*clients, start + Duration::from_secs_f64(seconds));
        let (sample, joins, count) = thread::scope(|scope| {
            let flood = flood.map(|pour| scope.spawn(move || pour(is_over)));
            let joins = scope.spawn(move || join_until(end, server, first));
            let sample = load.measure(target, attendance, Pace::Rate(QUIET_RATE), seconds);
            let joins = joins.join().expect("no panic");
            is_over.store(true, Relaxed);
            io::Result::Ok((
                sample?,
                joins?,
                flood.map_or(0, |flood| flood.join().expect("no panic")),
            ))
        })?;
        side.time += start.elapsed();
        let cpu = before.and_then(|before| Some(target.cpu_time()? - before));
        side.cpu = side.cpu.zip(cpu).map(|(all, cpu)| all + cpu);
        *clients += joins.len() as usize;
        side.joins.add(&joins).expect("histograms of the same bounds");
        side.samples.push(sample);
        side.count += count;
        Ok(())
    }
}

/// Lets one client after the other join, each at its time. The latency of a client that is late because
/// of an earlier one counts from when it was due.
fn join_until(end: Instant, server: SocketAddr, first: usize) -> io::Result<Histogram<u64>> {
    let mut latency = new_histogram();
    let (mut due, mut client) = (Instant::now(), first);
    while due < end {
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        joins::exchange(server, client, false)?;
        record(&mut latency, due.elapsed());
        due += JOIN_EVERY;
        client += 1;
    }
    Ok(latency)
}

/// Messages of one member that leave with UDP_SEGMENT, the fastest way to send.
struct Torrent {
    bytes: Vec<u8>,
    /// Size of one message with its prefix.
    size: u16,
    server: Address,
}

impl Torrent {
    fn new(attendance: &Attendance, delivery: Delivery) -> Self {
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        for number in 0..MAX_SEGMENTS {
            text.clear();
            FLOODED.write_text(number as u64, &mut text);
            bytes.extend_from_slice(&attendance.envelopes[0].wrap(b""));
            match delivery {
                Delivery::Text => bytes.extend_from_slice(&text),
                Delivery::Stream => {
                    upstream::encode_message(1 + number as u32, &text, &mut bytes);
                }
            }
        }
        let size = (bytes.len() / MAX_SEGMENTS) as u16;
        Self { bytes, size, server: attendance.udp.into() }
    }

    /// Sends them again and again. Returns the number of messages that left.
    fn pour(&self, socket: &UdpSocket, is_over: &AtomicBool) -> u64 {
        let mut batch = SendBatch::new();
        let all = [(0, self.bytes.len() as u32)];
        let message =
            Outgoing { to: &self.server, local: None, pieces: &all, segment: Some(self.size) };
        let mut count = 0;
        while !is_over.load(Relaxed) {
            // An error is a full buffer, or the echo of an earlier datagram.
            if batch.send(socket.as_fd(), &self.bytes, iter::once(message)).is_ok() {
                count += MAX_SEGMENTS as u64;
            }
        }
        count
    }
}
