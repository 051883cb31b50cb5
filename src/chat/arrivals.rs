//! Joined, left and timed-out notices, merged when there are many.
//!
//! The first five of a room within a second are told by name. Those that follow are counted, and
//! the count is told when the second is over: a crowd that comes and goes costs a room a handful of
//! notices a second, however large the crowd.

use std::time::{Duration, Instant};

use crate::protocol::notice::PresenceSummary;

/// Told by name within a window.
const TOLD_BY_NAME: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

/// How somebody came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Joined,
    Left,
    TimedOut,
}

/// The current window of one room.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    window_end: Option<Instant>,
    told: u32,
    crowd: PresenceSummary,
}

/// What to do about one that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Tell its name now.
    ByName,
    /// It is counted; the count is due at the end of the window.
    Counted { due: Instant },
}

impl Arrivals {
    /// Notes that somebody came or went. The owner tells the crowd of the last window first: see
    /// [`Arrivals::due`].
    pub(super) fn note(&mut self, passage: Passage, now: Instant) -> Telling {
        let end = match self.window_end {
            Some(end) if now < end => end,
            _ => self.open(now),
        };
        if self.told < TOLD_BY_NAME {
            self.told += 1;
            return Telling::ByName;
        }
        let count = match passage {
            Passage::Joined => &mut self.crowd.joined,
            Passage::Left => &mut self.crowd.left,
            Passage::TimedOut => &mut self.crowd.timed_out,
        };
        *count = count.saturating_add(1);
        Telling::Counted { due: end }
    }

    /// When the count is to be told, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window_end.filter(|_| !self.crowd.is_empty())
    }

    /// Ends the window and gives its count.
    pub(super) fn take_crowd(&mut self) -> PresenceSummary {
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
        let mut arrivals = Arrivals::default();
        for _ in 0..5 {
            assert_eq!(arrivals.note(Passage::Joined, start), Telling::ByName);
        }
        assert_eq!(arrivals.due(), None);
        let due = start + WINDOW;
        for passage in [Passage::Joined, Passage::Left, Passage::Left, Passage::TimedOut] {
            assert_eq!(arrivals.note(passage, start), Telling::Counted { due });
        }
        assert_eq!(arrivals.due(), Some(due));
        assert_eq!(arrivals.take_crowd(), PresenceSummary { joined: 1, left: 2, timed_out: 1 });
        assert_eq!(arrivals.note(Passage::Left, due), Telling::ByName);
        assert_eq!(arrivals.due(), None);
    }

    #[test]
    fn a6_w33_counts_of_a_crowd_do_not_overflow() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        for _ in 0..5 {
            arrivals.note(Passage::Joined, start);
        }
        let most = u32::MAX;
        arrivals.crowd = PresenceSummary { joined: most, left: most, timed_out: most };
        for passage in [Passage::Joined, Passage::Left, Passage::TimedOut] {
            arrivals.note(passage, start);
        }
        assert_eq!(
            arrivals.take_crowd(),
            PresenceSummary { joined: most, left: most, timed_out: most }
        );
    }
}
