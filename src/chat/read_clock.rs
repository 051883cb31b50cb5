//! The time up to which the server has read the members' datagrams.
//!
//! After a pause (a stopped process, a suspended machine) or during a flood, datagrams wait in the
//! sockets. No member counts as silent until the server has read the datagrams that had arrived.

use std::time::{Duration, Instant};

/// Delay of a deadline that came up before the server had read all datagrams that had arrived: a
/// few turns.
pub(super) const RECONSIDER: Duration = Duration::from_millis(10);

/// The clock for silence. Without sockets, as in tests, it is the clock of the caller.
#[derive(Debug, Default)]
pub(super) struct ReadClock {
    read_until: Option<Instant>,
}

impl ReadClock {
    /// Notes that all datagrams were read that had arrived at `until`.
    pub(super) fn note_read(&mut self, until: Instant) {
        self.read_until = Some(until);
    }

    /// Returns the time until which a member without a read datagram has been silent for certain.
    pub(super) fn silence_at(&self, now: Instant) -> Instant {
        self.read_until.map_or(now, |until| until.min(now))
    }

    /// Returns when a deadline for silence must be checked again. `None` means that it is over: all
    /// datagrams that had arrived at the deadline were read.
    pub(super) fn check_again(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        if deadline > now {
            Some(deadline)
        } else if deadline > self.silence_at(now) {
            Some(now + RECONSIDER)
        } else {
            None
        }
    }
}
