//! Which entries are missing, and when each of them is asked for.
//!
//! Reordering and loss look the same at first, so a gap is given a moment (S10, as QUIC's loss
//! detection does: RFC 9002, 6.1). What is asked for at a time is what one answer can hold; the
//! rest waits until that has come, or until its time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rtt::doubled;
use crate::protocol::stream::upstream::Range;

/// So many datagrams from behind a gap show that it is a loss (S10). The one that shows the gap is
/// the first.
const LATER: u64 = 3;
/// Nobody waits longer before asking again, unless the round trip itself is that long.
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// Ranges in one request: 641 bytes, which fit every link.
const MAX_RANGES: usize = 64;
/// What becomes due within this time of a request waits for the next one, so that they travel
/// together.
const PAUSE: Duration = Duration::from_millis(1);

/// What one gap costs in memory, in bytes: key, value and what a tree leaves empty.
pub(super) const GAP_COST: usize = 128;

/// How patient we are, which hangs on the round trip.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryDelays {
    /// How long something may come out of order.
    pub(super) reorder: Duration,
    /// How long an answer to a request may take.
    pub(super) answer: Duration,
}

impl RetryDelays {
    /// Before anything was measured, an answer is given the time of a far continent.
    const ASSUMED_RTT: Duration = Duration::from_millis(100);

    /// The times of S10.
    pub(super) fn of(rtt: Option<Duration>) -> Self {
        let reorder = Duration::from_millis(2).max(rtt.unwrap_or_default() / 4);
        let answer = Duration::from_millis(10).max(rtt.unwrap_or(Self::ASSUMED_RTT) * 5 / 4);
        Self { reorder, answer }
    }

    /// How long to wait after having asked so many times.
    fn after(self, asks: u32) -> Duration {
        doubled(self.answer, asks.saturating_sub(1), LONGEST_RETRY.max(self.answer))
    }
}

/// Missing entries that are next to each other and have the same story.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The number behind the last one.
    end: u64,
    found: Instant,
    /// The count of later datagrams at which it is a loss.
    ripe: u64,
    /// How often it was asked for.
    asks: u32,
    /// When it is asked for (again).
    due: Instant,
}

impl Gap {
    fn is_due(&self, now: Instant, later: u64) -> bool {
        self.due <= now || (self.asks == 0 && self.ripe <= later)
    }
}

/// Entries that were missing until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) first: u64,
    /// The number behind the last one.
    pub(super) end: u64,
    /// When they were found missing.
    pub(super) found: Instant,
    /// Whether they were asked for.
    pub(super) asked: bool,
}

/// All gaps, in order, by their first number.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    missing: BTreeMap<u64, Gap>,
    /// Datagrams that came from behind everything known.
    later: u64,
    /// No gap is a loss by count before `later` is this.
    ripe: Option<u64>,
    /// Nothing is to be asked for before this moment; it may be too early, never too late.
    wake: Option<Instant>,
    /// When the next request may follow the last one.
    pause_until: Option<Instant>,
}

impl Gaps {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.missing.len()
    }

    /// When to look for something to ask for.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Whether a gap begins with this entry.
    pub(super) fn begins_at(&self, first: u64) -> bool {
        self.missing.contains_key(&first)
    }

    /// A datagram came from behind everything that was known.
    pub(super) fn count_later(&mut self, now: Instant) {
        self.later += 1;
        if self.ripe.is_some_and(|ripe| ripe <= self.later) {
            self.wake_at(now);
        }
    }

    /// The entries from `first` to below `end` are missing. They are above all that is known;
    /// `shown` is how many datagrams from behind them have come (0 or 1).
    pub(super) fn find(&mut self, first: u64, end: u64, shown: u64, due: Instant, now: Instant) {
        let last = self.missing.last_entry().map(|entry| entry.into_mut());
        if let Some(last) = last.filter(|last| last.end == first && last.asks == 0) {
            last.end = end; // One story: the number of gaps stays below what is held between them.
            return;
        }
        let ripe = self.later.saturating_add(LATER - shown);
        self.missing.insert(first, Gap { end, found: now, ripe, asks: 0, due });
        self.ripe = Some(self.ripe.unwrap_or(ripe).min(ripe));
        self.wake_at(due);
    }

    /// Takes out the lowest missing entries of those from `first` to below `end`, as many as have
    /// one story; `None` if none of them is missing.
    pub(super) fn take(&mut self, first: u64, end: u64, now: Instant) -> Option<Taken> {
        let start = self.lowest_in(first, end)?;
        let gap = self.missing.remove(&start)?;
        let taken = Taken {
            first: start.max(first),
            end: gap.end.min(end),
            found: gap.found,
            asked: gap.asks > 0,
        };
        self.put_back(start, taken.first, gap);
        self.put_back(taken.end, gap.end, gap);
        self.after_taking(taken.asked, now);
        Some(taken)
    }

    fn lowest_in(&self, first: u64, end: u64) -> Option<u64> {
        let around = self.missing.range(..=first).next_back().filter(|(_, gap)| gap.end > first);
        let (start, _) = around.or_else(|| self.missing.range(first..).next())?;
        (*start < end).then_some(*start)
    }

    fn put_back(&mut self, first: u64, end: u64, gap: Gap) {
        if first < end {
            self.missing.insert(first, Gap { end, ..gap });
        }
    }

    /// What was asked for and came makes room for the next request.
    fn after_taking(&mut self, asked: bool, now: Instant) {
        if self.missing.is_empty() {
            (self.wake, self.ripe) = (None, None);
        } else if asked {
            self.wake_at(self.pause_until.map_or(now, |until| until.max(now)));
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// What to ask for now, of the lowest gaps, `most_gaps` of them; nothing if the answers to
    /// earlier requests are still to come. `window` is how many entries an answer holds, at least 1.
    pub(super) fn request(
        &mut self,
        now: Instant,
        window: u64,
        most_gaps: usize,
        delays: RetryDelays,
    ) -> Vec<Range> {
        if self.wake.is_none_or(|wake| wake > now) || self.pauses(now) {
            return Vec::new();
        }
        let due = self.due(now, most_gaps);
        let ranges = self.ask(&due, self.budget(now, window), now, delays);
        self.pause_until = (!ranges.is_empty()).then_some(now + PAUSE);
        self.look_again(now);
        ranges
    }

    fn pauses(&mut self, now: Instant) -> bool {
        let pause = self.pause_until.filter(|until| *until > now);
        if pause.is_some() {
            self.wake = pause;
        }
        pause.is_some()
    }

    /// How many entries may be asked for: half an answer or more, so that requests are few.
    fn budget(&self, now: Instant, window: u64) -> u64 {
        let awaited = self.awaited(now);
        if awaited > window / 2 { 0 } else { window - awaited }
    }

    /// Entries that were asked for and may still come without asking again.
    fn awaited(&self, now: Instant) -> u64 {
        let awaited = self.missing.iter().filter(|(_, gap)| gap.asks > 0 && gap.due > now);
        awaited.map(|(first, gap)| gap.end - first).sum()
    }

    /// The first numbers of the gaps to ask for.
    fn due(&self, now: Instant, most_gaps: usize) -> Vec<u64> {
        let lowest = self.missing.iter().take(most_gaps);
        let due = lowest.filter(|(_, gap)| gap.is_due(now, self.later));
        due.map(|(first, _)| *first).take(MAX_RANGES).collect()
    }

    fn ask(
        &mut self,
        due: &[u64],
        mut budget: u64,
        now: Instant,
        delays: RetryDelays,
    ) -> Vec<Range> {
        let mut ranges = Vec::new();
        for first in due {
            if budget == 0 {
                break;
            }
            let asked = self.ask_one(*first, budget, now, delays);
            append(&mut ranges, *first, asked);
            budget -= u64::from(asked);
        }
        ranges
    }

    /// Notes that the gap, or as much of it as fits, is asked for; how many entries that is.
    fn ask_one(&mut self, first: u64, budget: u64, now: Instant, delays: RetryDelays) -> u16 {
        let Some(gap) = self.missing.remove(&first) else { return 0 };
        let count = (gap.end - first).min(budget).min(u64::from(u16::MAX));
        let end = first + count;
        let asks = gap.asks.saturating_add(1);
        let due = now + delays.after(asks);
        self.put_back(first, end, Gap { asks, due, ..gap });
        self.put_back(end, gap.end, gap);
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Finds the next moment. What is due and was left waits for what was asked for, to come or to
    /// be given up; if the request was full, only for the pause.
    fn look_again(&mut self, now: Instant) {
        let later = self.later;
        let (due, waiting): (Vec<&Gap>, Vec<&Gap>) =
            self.missing.values().partition(|gap| gap.is_due(now, later));
        let pause = self.pause_until.filter(|_| !due.is_empty());
        self.wake = waiting.iter().map(|gap| gap.due).chain(pause).min();
        let unripe = waiting.iter().filter(|gap| gap.asks == 0);
        self.ripe = unripe.map(|gap| gap.ripe).min();
    }
}

/// Adds entries to a request: to its last range if they follow it.
fn append(ranges: &mut Vec<Range>, from: u64, count: u16) {
    if let Some(last) = ranges.last_mut()
        && last.from + u64::from(last.count) == from
        && let Some(sum) = last.count.checked_add(count)
    {
        last.count = sum;
    } else {
        ranges.push(Range { from, count });
    }
}
