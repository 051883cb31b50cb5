//! Joined, left and timed-out notices, merged when there are many.
//!
//! The first five changes of a room within a second are announced by name. Later ones are counted,
//! and the counts are announced when the second is over. So a crowd of any size costs a room a
//! handful of notices a second.

use std::time::{Duration, Instant};

use crate::protocol::notice::PresenceSummary;
use crate::timers::Deadline;

/// Limit for the changes that are announced by name in one window.
const NAMED: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// A change of a room's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PresenceChange {
    Joined,
    Left,
    TimedOut,
}

/// The current window of one room.
#[derive(Debug, Default)]
pub(super) struct Presence {
    window_end: Option<Instant>,
    named: u32,
    /// Changes of this window that were only counted.
    summary: PresenceSummary,
    /// End of the window, if the summary is not empty.
    pub(super) deadline: Deadline,
}

/// The way to announce a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    /// By name, now.
    ByName,
    /// In the summary at the end of the window.
    Counted { due: Instant },
}

impl Presence {
    /// Notes a change. The owner must announce the summary of an earlier window first: see
    /// [`Presence::due`].
    pub(super) fn note(&mut self, change: PresenceChange, now: Instant) -> Announce {
        let end = match self.window_end {
            Some(end) if now < end => end,
            _ => self.open(now),
        };
        if self.named < NAMED {
            self.named += 1;
            return Announce::ByName;
        }
        let count = match change {
            PresenceChange::Joined => &mut self.summary.joined,
            PresenceChange::Left => &mut self.summary.left,
            PresenceChange::TimedOut => &mut self.summary.timed_out,
        };
        *count = count.saturating_add(1);
        Announce::Counted { due: end }
    }

    /// Returns the time at which the summary is due, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window_end.filter(|_| !self.summary.is_empty())
    }

    /// Ends the window and returns its summary.
    pub(super) fn take_summary(&mut self) -> PresenceSummary {
        self.window_end = None;
        std::mem::take(&mut self.summary)
    }

    fn open(&mut self, now: Instant) -> Instant {
        let end = now + WINDOW;
        self.window_end = Some(end);
        self.named = 0;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w33_five_names_a_second_then_counts() {
        let start = Instant::now();
        let mut presence = Presence::default();
        for _ in 0..5 {
            assert_eq!(presence.note(PresenceChange::Joined, start), Announce::ByName);
        }
        assert_eq!(presence.due(), None);
        let due = start + WINDOW;
        for change in [
            PresenceChange::Joined,
            PresenceChange::Left,
            PresenceChange::Left,
            PresenceChange::TimedOut,
        ] {
            assert_eq!(presence.note(change, start), Announce::Counted { due });
        }
        assert_eq!(presence.due(), Some(due));
        assert_eq!(presence.take_summary(), PresenceSummary { joined: 1, left: 2, timed_out: 1 });
        assert_eq!(presence.note(PresenceChange::Left, due), Announce::ByName);
        assert_eq!(presence.due(), None);
    }

    #[test]
    fn a6_w33_counts_do_not_overflow() {
        let start = Instant::now();
        let mut presence = Presence::default();
        for _ in 0..5 {
            presence.note(PresenceChange::Joined, start);
        }
        let most = u32::MAX;
        presence.summary = PresenceSummary { joined: most, left: most, timed_out: most };
        for change in [PresenceChange::Joined, PresenceChange::Left, PresenceChange::TimedOut] {
            presence.note(change, start);
        }
        assert_eq!(
            presence.take_summary(),
            PresenceSummary { joined: most, left: most, timed_out: most }
        );
    }
}
