//! What a room that fell silent is told: that there was a last entry.
//!
//! Who loses the last entry before a silence sees no later one, and would learn of its loss only
//! with its own next sign of life. So whoever has not confirmed it hears three times, at growing
//! distances, which number comes next.

use std::time::{Duration, Instant};

/// When, counted from the last entry.
const STEPS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1250)];

/// Where a room stands in this.
#[derive(Debug, Default)]
pub(in crate::chat) struct Tail {
    /// The number after the last entry that was delivered, and when.
    end: u64,
    since: Option<Instant>,
    /// How many of the steps were made for it.
    steps: usize,
    /// The number of the seat at which a step goes on that is under way.
    round: Option<u32>,
    /// The room's entry in the timers.
    pub(in crate::chat) alarm: Option<Instant>,
}

impl Tail {
    /// Everything before `end` was delivered, as far as it could be.
    pub(super) fn note_delivered(&mut self, end: u64, now: Instant) {
        if self.end != end {
            *self = Self { end, since: Some(now), steps: 0, round: None, alarm: self.alarm };
        }
    }

    /// When the next step is due.
    pub(in crate::chat) fn due(&self) -> Option<Instant> {
        Some(self.since? + *STEPS.get(self.steps)?)
    }

    /// Makes the step that is due, and gives whether one was: all may be made already, and entries may
    /// have come since the alarm was set.
    pub(in crate::chat) fn step(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.steps += 1;
            self.round = Some(0);
        }
        is_due
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.round.is_some()
    }

    pub(super) fn round(&self) -> Option<u32> {
        self.round
    }

    pub(super) fn set_round(&mut self, next: Option<u32>) {
        self.round = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_three_steps_at_growing_distances_and_anew_after_an_entry() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut tail = Tail::default();
        assert!(!tail.step(at(9999)), "nothing was said yet");
        tail.note_delivered(2, start);
        for due in [50, 250, 1250] {
            tail.note_delivered(2, at(due));
            assert_eq!(tail.due(), Some(at(due)));
            assert!(!tail.step(at(due - 1)));
            assert_eq!((tail.step(at(due)), tail.round()), (true, Some(0)));
        }
        assert!(!tail.step(at(9999)));
        tail.note_delivered(3, at(10_000));
        assert_eq!(tail.due(), Some(at(10_050)));
        assert!(!tail.is_under_way());
    }
}
