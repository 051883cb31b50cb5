//! Tail loss probe (cf. RFC 8985, section 7): after a room goes quiet, announces the last number
//! three times.
//!
//! A member that loses the last entry before a silence sees no later one, and would notice the loss
//! only with its next `have`. So members that have not confirmed it get the next number three times,
//! at growing intervals.

use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::{OrderedStream, UNTAGGED};
use crate::delivery::cursors::Cursor;
use crate::delivery::lane::{Lane, Outcome, Workspace};
use crate::fanout::Job;
use crate::timers::Deadline;

/// Intervals between messages that count as a rhythm: the first step then waits for the next
/// message, twice as long as the last one took. Otherwise members of small rooms, where messages
/// come some 50 ms apart, would get a datagram without entries after each message.
const RHYTHM: Range<Duration> = Duration::from_millis(25)..Duration::from_millis(250);

/// Times of the probes after the last entry.
const STEPS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_millis(1250)];

/// The probes of one room.
#[derive(Debug, Default)]
pub(in crate::delivery) struct TailProbe {
    /// The number after the last entry that was delivered, and the time of its delivery.
    end: u64,
    since: Option<Instant>,
    /// True if a message is among the entries that are not delivered yet.
    has_message: bool,
    /// Time at which the last message was delivered.
    message_at: Option<Instant>,
    /// Delay beyond the usual times of the probes.
    delay: Duration,
    /// Number of probes that were made for the last entry.
    steps: usize,
    /// Number of the cursor at which the probe under way goes on.
    round: Option<u32>,
    /// Deadline of the next probe.
    pub(in crate::delivery) deadline: Deadline,
}

impl TailProbe {
    /// Notes that everything before `end` was delivered, as far as members can be reached.
    pub(in crate::delivery) fn note_delivered(&mut self, end: u64, now: Instant) {
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
    pub(in crate::delivery) fn note_message(&mut self) {
        self.has_message = true;
    }

    /// Returns the time of the next probe.
    pub(in crate::delivery) fn due(&self) -> Option<Instant> {
        Some(self.since? + *STEPS.get(self.steps)? + self.delay)
    }

    /// Starts the probe that is due. Returns false if none is: all may have been made, or entries may
    /// have come since the deadline was set.
    pub(in crate::delivery) fn step(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.steps += 1;
            self.round = Some(0);
        }
        is_due
    }

    pub(in crate::delivery) fn is_under_way(&self) -> bool {
        self.round.is_some()
    }

    pub(in crate::delivery) fn round(&self) -> Option<u32> {
        self.round
    }

    pub(in crate::delivery) fn set_round(&mut self, next: Option<u32>) {
        self.round = next;
    }
}

/// Returns the delay of the probes after two messages so far apart.
fn delay_after(interval: Duration) -> Duration {
    match RHYTHM.contains(&interval) {
        true => (2 * interval).min(RHYTHM.end).saturating_sub(STEPS[0]),
        false => Duration::ZERO,
    }
}

/// The tail probe: the number after the last entry, to members that have not confirmed it.
pub(in crate::delivery) struct TailLane<'a>(pub(super) &'a mut OrderedStream);

impl Lane for TailLane<'_> {
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool {
        let OrderedStream { ring, cursors, tail, .. } = &mut *self.0;
        work.shares.clear();
        let Some(start) = tail.round().filter(|_| max > 0) else { return false };
        let end = ring.end();
        work.train.pack_sequence(UNTAGGED, end);
        let mut next = None;
        for (index, cursor) in cursors.all().starting_at(start) {
            if work.shares.len() == max {
                next = Some(cursor.number);
                break;
            }
            if cursor.is_live() && !cursor.is_carried && cursor.is_at(end) && cursor.have < end {
                work.shares.push(cursor.share(index, 0, 1));
            }
        }
        tail.set_round(next);
        true
    }

    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a> {
        work.train.job(&mut work.shares)
    }

    /// Does nothing: a probe that was not sent is as good as lost, and others follow.
    fn take_back(&mut self, _: &mut Workspace, _: Outcome) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_probes_three_times() {
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
    fn field_p4_first_probe_follows_rhythm() {
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
