//! Joined, left and timed-out notices, merged when there are many.
//!
//! The first five of a room within a second are told by name. Those that follow are counted, and
//! the count is told when the second is over: a crowd that comes and goes costs a room a handful of
//! notices a second, however large the crowd.

use std::time::{Duration, Instant};

use crate::protocol::notice::PresenceSummary;
use crate::timers::Deadline;

/// Told by name within a window.
const TOLD_BY_NAME: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// How somebody came or went.
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
    told: u32,
    crowd: PresenceSummary,
    /// End of the window, if the summary is not empty.
    pub(super) deadline: Deadline,
}

/// What to do about one that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    /// Tell its name now.
    ByName,
    /// It is counted; the count is due at the end of the window.
    Counted { due: Instant },
}

impl Presence {
    /// Notes that somebody came or went. The owner tells the crowd of the last window first: see
    /// [`Presence::due`].
    pub(super) fn note(&mut self, change: PresenceChange, now: Instant) -> Announce {
        let end = match self.window_end {
            Some(end) if now < end => end,
            _ => self.open(now),
        };
        if self.told < TOLD_BY_NAME {
            self.told += 1;
            return Announce::ByName;
        }
        let count = match change {
            PresenceChange::Joined => &mut self.crowd.joined,
            PresenceChange::Left => &mut self.crowd.left,
            PresenceChange::TimedOut => &mut self.crowd.timed_out,
        };
        *count = count.saturating_add(1);
        Announce::Counted { due: end }
    }

    /// When the count is to be told, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window_end.filter(|_| !self.crowd.is_empty())
    }

    /// Ends the window and gives its count.
    pub(super) fn take_summary(&mut self) -> PresenceSummary {
        self.window_end = None;
        std::mem::take(&mut self.crowd)
    }

    fn open(&mut self, now: Instant) -> Instant {
        let end = now + WINDOW;
        self.window_end = Some(end);
        self.told = 0;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w33_the_first_five_of_a_second_have_names_the_rest_a_count() {
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
    fn a6_w33_counts_of_a_crowd_do_not_overflow() {
        let start = Instant::now();
        let mut presence = Presence::default();
        for _ in 0..5 {
            presence.note(PresenceChange::Joined, start);
        }
        let most = u32::MAX;
        presence.crowd = PresenceSummary { joined: most, left: most, timed_out: most };
        for change in [PresenceChange::Joined, PresenceChange::Left, PresenceChange::TimedOut] {
            presence.note(change, start);
        }
        assert_eq!(
            presence.take_summary(),
            PresenceSummary { joined: most, left: most, timed_out: most }
        );
    }
}
