//! The life of one connection: its budgets, its deadlines, its eviction and its end. The protocol on
//! it is in `tcrp.rs`.

use std::time::{Duration, Instant};

use super::Context;
use super::buffer_limits::BufferLimits;
use super::tcrp::{Next, Tcrp};
use crate::address::{Origin, PeerAddr};
use crate::config::{Budgets, ConnectionConfig, LINGER};
use crate::connection::{Connection, Protection, ReadOutcome, WriteOutcome};
use crate::metrics::Counter;
use crate::protocol::Status;
use crate::tls::TcpWire;

/// Outcome of serving a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Nothing more can be done before an event or a deadline.
    Done,
    /// The budget is used up; there is more to do.
    More,
    /// The connection is lost.
    Failed,
    /// Its time is over, and nothing more is to be done.
    Over,
}

/// The cause of a wait. Each has its own deadline, counted from the start of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The rest of a handshake.
    Handshake,
    /// The first byte of a request.
    Request,
    /// The rest of a frame.
    Frame,
    /// The peer must read its replies.
    Reader,
    /// The peer must end its half.
    PeerEnd,
    /// The end of the delay of a request.
    Delay,
}

/// A TCP connection with its deadlines, and TCRP on it.
pub(super) struct Session {
    pub(super) connection: Connection<TcpWire>,
    tcrp: Tcrp,
    /// Time of the last input.
    pub(super) heard_at: Instant,
    waiting: Waiting,
    since: Instant,
}

impl Session {
    pub(super) fn new(wire: TcpWire, origin: Origin, now: Instant) -> Self {
        Self {
            connection: Connection::new(wire),
            tcrp: Tcrp::new(origin, now),
            heard_at: now,
            waiting: Waiting::Request,
            since: now,
        }
    }

    /// Returns the address of the peer.
    pub(super) fn peer(&self) -> PeerAddr {
        self.tcrp.peer()
    }

    /// Returns true if everything on the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.connection.is_encrypted()
    }

    /// Returns true if a handshake has begun and is not done.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self.connection.protection(), Protection::Hello | Protection::Handshake)
    }

    /// Returns true if a handshake has begun whose key exchange is still to be done.
    pub(super) fn awaits_answer(&self) -> bool {
        self.connection.protection() == Protection::Hello && self.connection.is_open()
    }

    /// Reads and answers as far as the budgets go.
    pub(super) fn serve(
        &mut self,
        context: &mut Context,
        scratch: &mut [u8],
        limits: &BufferLimits,
        budgets: &Budgets,
    ) -> Served {
        let served = self.read_and_answer(context, scratch, limits, budgets);
        self.note_waiting(context.now);
        served
    }

    fn read_and_answer(
        &mut self,
        context: &mut Context,
        scratch: &mut [u8],
        limits: &BufferLimits,
        budgets: &Budgets,
    ) -> Served {
        let (mut bytes, mut requests) = (budgets.connection_bytes, budgets.requests);
        loop {
            match self.tcrp.advance(&mut self.connection, &mut requests, context, limits) {
                Next::Wait => return Served::Done,
                Next::Yield => return Served::More,
                Next::Read if bytes == 0 => return Served::More,
                Next::Read => match self.connection.fill(scratch) {
                    ReadOutcome::Filled(size) => {
                        bytes = bytes.saturating_sub(size);
                        self.heard_at = context.now;
                    }
                    ReadOutcome::Partial => {
                        self.heard_at = context.now;
                        return Served::More;
                    }
                    ReadOutcome::Empty => {}
                    ReadOutcome::Ended => self.handle_end(context),
                    ReadOutcome::Failed(_) => {
                        self.tcrp.handle_loss(&mut self.connection, context);
                        return Served::Failed;
                    }
                },
            }
        }
    }

    fn handle_end(&mut self, context: &mut Context) {
        if let Some(why) = self.connection.failure() {
            log::debug!("{}: TLS: {why}", self.peer());
        }
        self.tcrp.handle_end(&mut self.connection, context);
    }

    /// Writes what is queued, and then checks whether this lets the session continue.
    pub(super) fn flush(&mut self, limits: &BufferLimits, now: Instant) -> Served {
        match self.connection.flush() {
            WriteOutcome::Failed(_) => return Served::Failed,
            WriteOutcome::Flushed | WriteOutcome::Blocked => self.note_waiting(now),
        }
        if self.tcrp.can_advance(&self.connection, limits) { Served::More } else { Served::Done }
    }

    /// Acts on the deadline, which has come up.
    pub(super) fn expire(&mut self, context: &mut Context) -> Served {
        match self.waiting {
            Waiting::Frame => self.tcrp.expire_frame(&mut self.connection, context),
            Waiting::Request => {
                context.metrics.count(Counter::TimedOut);
                self.connection.finish();
            }
            Waiting::Reader | Waiting::Handshake => {
                context.metrics.count(Counter::TimedOut);
                return Served::Over;
            }
            Waiting::PeerEnd => return Served::Over,
            Waiting::Delay => self.tcrp.end_delay(),
        }
        self.note_waiting(context.now);
        Served::More
    }

    /// Ends the connection in favour of another one, and tells the peer why.
    pub(super) fn evict(&mut self, why: Status, context: &mut Context) {
        self.tcrp.evict(&mut self.connection, why, context);
    }

    /// Begins an orderly end.
    pub(super) fn finish(&mut self, now: Instant) {
        self.connection.finish();
        self.note_waiting(now);
    }

    /// Separates the connection from its member.
    pub(super) fn release_member(&mut self, context: &mut Context) {
        self.tcrp.release_member(context);
    }

    /// Returns the time of the next [`Session::expire`].
    pub(super) fn deadline(&self, config: &ConnectionConfig) -> Option<Instant> {
        let limit: Option<Duration> = match self.waiting {
            Waiting::Request => config.connect_timeout,
            Waiting::Handshake | Waiting::Frame | Waiting::Reader => config.handshake_timeout,
            Waiting::PeerEnd => Some(LINGER),
            Waiting::Delay => return self.tcrp.delayed_until(),
        };
        // After an answer the next frame has its own time, even if its first byte was here already.
        limit.map(|limit| self.since.max(self.tcrp.answered_at()) + limit)
    }

    fn note_waiting(&mut self, now: Instant) {
        let waiting = if self.connection.is_open() && self.is_handshaking() {
            Waiting::Handshake
        } else if self.connection.unsent() > 0 {
            Waiting::Reader
        } else if !self.connection.is_open() {
            Waiting::PeerEnd
        } else if self.tcrp.delayed_until().is_some() {
            Waiting::Delay
        } else if self.connection.pending_input() > 0 {
            Waiting::Frame
        } else {
            Waiting::Request
        };
        if waiting != self.waiting {
            self.waiting = waiting;
            self.since = now;
        }
    }
}
