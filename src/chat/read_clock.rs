//! The time up to which the server has read the members' datagrams.
//!
//! After a pause (a stopped process, a suspended machine) or during a flood, datagrams wait in the
//! sockets. Until the server has read those that had arrived, nobody counts as silent.

use std::time::{Duration, Instant};

/// Delay of a deadline that came up before the server had read all datagrams that had arrived: a
/// few turns.
pub(super) const RECONSIDER: Duration = Duration::from_millis(10);

/// A clock that silence is judged by. Without sockets, as in tests, it is the clock of the caller.
#[derive(Debug, Default)]
pub(super) struct ReadClock {
    read_until: Option<Instant>,
}

impl ReadClock {
    /// Notes that everything was read that had arrived by then.
    pub(super) fn note_read(&mut self, until: Instant) {
        self.read_until = Some(until);
    }

    /// Returns the time at which a member that was not heard is known to have been silent.
    pub(super) fn silence_at(&self, now: Instant) -> Instant {
        self.read_until.map_or(now, |until| until.min(now))
    }

    /// Returns when a deadline for silence has to be checked again, or nothing if it is over:
    /// everything that had arrived by then was read.
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
