//! W33: of the joins and departures in a second, a room gets five notices and a summary.

use std::time::{Duration, Instant};

use reactor_chat::protocol::Notice;
use reactor_chat::protocol::notice::PresenceSummary;

/// A change of presence.
#[derive(Clone, Copy, PartialEq)]
pub enum PresenceChange {
    Joined,
    Left,
    TimedOut,
}

impl PresenceChange {
    pub fn notice(self, name: &str) -> Notice<'_> {
        match self {
            Self::Joined => Notice::Joined(name),
            Self::Left => Notice::Left(name),
            Self::TimedOut => Notice::TimedOut(name),
        }
    }
}

/// The current second.
#[derive(Default)]
pub struct Presence {
    end: Option<Instant>,
    told: u32,
    crowd: PresenceSummary,
}

impl Presence {
    /// Returns true if it gets a notice of its own.
    pub fn note(&mut self, change: PresenceChange, now: Instant) -> bool {
        if self.end.is_none_or(|end| end <= now) {
            (self.end, self.told) = (Some(now + Duration::from_secs(1)), 0);
        }
        self.told += 1;
        if self.told <= 5 {
            return true;
        }
        match change {
            PresenceChange::Joined => self.crowd.joined += 1,
            PresenceChange::Left => self.crowd.left += 1,
            PresenceChange::TimedOut => self.crowd.timed_out += 1,
        }
        false
    }

    /// Returns the time of the summary.
    pub fn due(&self) -> Option<Instant> {
        self.end.filter(|_| self.crowd != PresenceSummary::default())
    }

    pub fn take(&mut self) -> PresenceSummary {
        std::mem::take(self).crowd
    }
}
