//! State of one measurement that the thread that sends and the threads that receive share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::crowd::{Attendance, Crowd};
use super::scenario::Shape;

/// The schedule of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Messages a second, whether or not they arrive.
    Rate(u32),
    /// Number of messages under way at a time.
    InFlight(usize),
}

/// A message that has not reached everyone after this time no longer counts as under way.
pub const GIVE_UP: Duration = Duration::from_millis(200);

/// No server takes more messages a second than this. The tables have room for as many.
const MOST_MESSAGES: f64 = 400_000.0;

pub struct Phase {
    pub shape: Shape,
    pub pace: Pace,
    /// Number of the first message.
    pub base: u64,
    pub start: Instant,
    /// By message: when it was due, in nanoseconds from the start.
    pub due: Box<[AtomicU64]>,
    /// By message: the number of members that have not received it. A message that was given up has a
    /// number that never gets down to zero.
    left: Box<[AtomicU32]>,
    /// Messages that all members have received.
    pub done: AtomicUsize,
    /// Datagrams received. The sender watches whether it still changes.
    pub received: AtomicU64,
    pub is_over: AtomicBool,
    sender: Thread,
}

impl Phase {
    /// The calling thread is the one that sends.
    pub fn new(shape: Shape, base: u64, pace: Pace, seconds: f64) -> Self {
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
            received: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            sender: thread::current(),
            start: Instant::now(),
        }
    }

    pub fn due(&self, index: usize) -> Duration {
        Duration::from_nanos(self.due[index].load(Relaxed))
    }

    /// Notes that one more member has received a message.
    pub fn note_delivery(&self, index: usize) {
        if self.left[index].fetch_sub(1, Relaxed) == 1 {
            self.done.fetch_add(1, Relaxed);
            self.sender.unpark();
        }
    }

    /// Returns whether the message is still under way. Gives it up if it has taken too long.
    pub fn settle(&self, index: usize) -> Settled {
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

pub enum Settled {
    No,
    Done,
    GivenUp,
}

/// The members, their target and the messages of a measurement.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub crowd: &'a Crowd,
    pub attendance: &'a Attendance,
    pub phase: &'a Phase,
}
