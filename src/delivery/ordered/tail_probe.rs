//! What a room that fell silent is told: that there was a last entry.
//!
//! Who loses the last entry before a silence sees no later one, and would learn of its loss only
//! with its own next sign of life. So whoever has not confirmed it hears three times, at growing
//! distances, which number comes next.

use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Intervals between messages that count as a rhythm: the first step then waits for the next
/// message, twice as long as the last one took. Otherwise members of small rooms, where messages
/// come some 50 ms apart, would get a datagram without entries after each message.
const RHYTHM: Range<Duration> = Duration::from_millis(25)..Duration::from_millis(250);

/// When, counted from the last entry.
const STEPS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1250)];

/// Where a room stands in this.
#[derive(Debug, Default)]
pub(crate) struct TailProbe {
    /// The number after the last entry that was delivered, and when.
    end: u64,
    since: Option<Instant>,
    /// A message is among the entries that are not delivered yet.
    has_message: bool,
    /// When the last message was delivered.
    message_at: Option<Instant>,
    /// Delay added to the usual times of the steps.
    delay: Duration,
    /// How many of the steps were made for it.
    steps: usize,
    /// The number of the cursor at which a step goes on that is under way.
    round: Option<u32>,
    /// The room's entry in the timers.
    pub(crate) alarm: Option<Instant>,
}

impl TailProbe {
    /// Everything before `end` was delivered, as far as it could be.
    pub(crate) fn note_delivered(&mut self, end: u64, now: Instant) {
        if self.end == end {
            return;
        }
        (self.end, self.since, self.steps, self.round) = (end, Some(now), 0, None);
        if mem::take(&mut self.has_message) {
            let before = self.message_at.replace(now);
            self.delay = before.map_or(Duration::ZERO, |before| delay_after(now - before));
        }
    }

    /// Notes that a message was appended.
    pub(crate) fn note_message(&mut self) {
        self.has_message = true;
    }

    /// When the next step is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.since? + *STEPS.get(self.steps)? + self.delay)
    }

    /// Makes the step that is due, and gives whether one was: all may be made already, and entries may
    /// have come since the alarm was set.
    pub(crate) fn step(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.steps += 1;
            self.round = Some(0);
        }
        is_due
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.round.is_some()
    }

    pub(crate) fn round(&self) -> Option<u32> {
        self.round
    }

    pub(crate) fn set_round(&mut self, next: Option<u32>) {
        self.round = next;
    }
}

/// Returns how much later the steps are after two messages so far apart.
fn delay_after(interval: Duration) -> Duration {
    match RHYTHM.contains(&interval) {
        true => (2 * interval).min(RHYTHM.end).saturating_sub(STEPS[0]),
        false => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_three_steps_at_growing_distances_and_anew_after_an_entry() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut tail = TailProbe::default();
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

    #[test]
    fn field_p4_the_first_step_waits_for_the_next_message_of_a_rhythm() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut tail = TailProbe::default();
        let said = [(0, 50), (10, 50), (70, 120), (270, 250), (600, 50)];
        for (number, (time, first)) in (2..).zip(said) {
            tail.note_message();
            tail.note_delivered(number, at(time));
            assert_eq!(tail.due(), Some(at(time + first)), "{time}");
        }
        tail.note_delivered(9, at(650));
        assert_eq!(tail.due(), Some(at(700)), "a notice is no message");
    }
}
