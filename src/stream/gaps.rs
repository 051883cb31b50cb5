//! Tracks which entries are missing, and decides when to request each of them.
//!
//! Reordering and loss look alike at first, so a gap gets some time before it counts as a loss (S10;
//! QUIC's loss detection does the same: RFC 9002, section 6.1). One request asks for no more than one
//! answer can hold. The rest waits until that answer has come or is overdue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::rtt::doubled;
use crate::protocol::stream::upstream::Range;

/// Datagrams from behind a gap that show that it is a loss (S10), as the three duplicate ACKs of TCP
/// do. The datagram that reveals the gap is the first.
const LOSS_THRESHOLD: u64 = 3;
/// The longest time between two requests for an entry, unless the round trip itself is longer.
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// Ranges in one request. It then has 641 bytes, which fit every link.
const MAX_RANGES: usize = 64;
/// Time between two requests, so that ranges that become due one after the other travel together.
const PAUSE: Duration = Duration::from_millis(1);

/// The memory that one gap takes, in bytes: key, value and the empty slots of a tree.
pub(super) const GAP_COST: usize = 128;

/// The times to wait before a request, which depend on the round-trip time (S10).
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryDelays {
    /// Time for entries to arrive out of order before the first request.
    pub(super) reorder: Duration,
    /// Time for the answer to a request before it is repeated.
    pub(super) answer: Duration,
}

impl RetryDelays {
    /// The round-trip time before the first measurement: that to another continent.
    const ASSUMED_RTT: Duration = Duration::from_millis(100);

    pub(super) fn of(rtt: Option<Duration>) -> Self {
        let reorder = Duration::from_millis(2).max(rtt.unwrap_or_default() / 4);
        let answer = Duration::from_millis(10).max(rtt.unwrap_or(Self::ASSUMED_RTT) * 5 / 4);
        Self { reorder, answer }
    }

    /// Returns the time to wait after this many requests.
    fn after(self, requests: u32) -> Duration {
        doubled(self.answer, requests.saturating_sub(1), LONGEST_RETRY.max(self.answer))
    }
}

/// Adjacent missing entries that were found and requested together.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The number behind the last one.
    end: u64,
    found: Instant,
    /// The value of [`Gaps::later`] from which on the gap is a loss.
    ripe: u64,
    /// The number of requests for it.
    requests: u32,
    /// The time of the next request.
    due: Instant,
}

impl Gap {
    fn is_due(&self, now: Instant, later: u64) -> bool {
        self.due <= now || (self.requests == 0 && self.ripe <= later)
    }
}

/// Entries that were missing until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) first: u64,
    /// The number behind the last one.
    pub(super) end: u64,
    /// The time at which they were found missing.
    pub(super) found: Instant,
    /// True if they were requested.
    pub(super) requested: bool,
}

/// All gaps, ordered by their first number.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    missing: BTreeMap<u64, Gap>,
    /// Datagrams that came from behind all known entries.
    later: u64,
    /// The lowest [`Gap::ripe`], or a lower value.
    ripe: Option<u64>,
    /// The time of the next request, or an earlier one.
    wake: Option<Instant>,
    /// The earliest time of a request after the last one.
    pause_until: Option<Instant>,
}

impl Gaps {
    /// Returns the number of gaps.
    pub(super) fn len(&self) -> usize {
        self.missing.len()
    }

    /// Returns the time at which [`Self::request`] may have something to request.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Returns true if a gap begins with this entry.
    pub(super) fn begins_at(&self, first: u64) -> bool {
        self.missing.contains_key(&first)
    }

    /// Counts a datagram from behind all known entries.
    pub(super) fn count_later(&mut self, now: Instant) {
        self.later += 1;
        if self.ripe.is_some_and(|ripe| ripe <= self.later) {
            self.wake_at(now);
        }
    }

    /// Adds the missing entries from `first` to below `end`, which lie above all known ones.
    /// `shown` is the number of datagrams that came from behind them (0 or 1).
    pub(super) fn find(&mut self, first: u64, end: u64, shown: u64, due: Instant, now: Instant) {
        let last = self.missing.last_entry().map(|entry| entry.into_mut());
        if let Some(last) = last.filter(|last| last.end == first && last.requests == 0) {
            // Merging keeps the number of gaps below that of the entries held between them.
            last.end = end;
            return;
        }
        let ripe = self.later.saturating_add(LOSS_THRESHOLD - shown);
        self.missing.insert(first, Gap { end, found: now, ripe, requests: 0, due });
        self.ripe = Some(self.ripe.unwrap_or(ripe).min(ripe));
        self.wake_at(due);
    }

    /// Takes the lowest missing entries from `first` to below `end`, as many as are in one gap.
    /// Returns `None` if none of them is missing.
    pub(super) fn take(&mut self, first: u64, end: u64, now: Instant) -> Option<Taken> {
        let start = self.lowest_in(first, end)?;
        let gap = self.missing.remove(&start)?;
        let taken = Taken {
            first: start.max(first),
            end: gap.end.min(end),
            found: gap.found,
            requested: gap.requests > 0,
        };
        self.put_back(start, taken.first, gap);
        self.put_back(taken.end, gap.end, gap);
        self.update_wake(taken.requested, now);
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

    /// Updates the wake-up after entries were taken. Requested ones make room for another request.
    fn update_wake(&mut self, requested: bool, now: Instant) {
        if self.missing.is_empty() {
            (self.wake, self.ripe) = (None, None);
        } else if requested {
            self.wake_at(self.pause_until.map_or(now, |until| until.max(now)));
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Returns the entries to request now, of the lowest `max_gaps` gaps. There are none while
    /// answers to earlier requests are still to come. `window` is the number of entries that one
    /// answer holds, at least 1.
    pub(super) fn request(
        &mut self,
        now: Instant,
        window: u64,
        max_gaps: usize,
        delays: RetryDelays,
    ) -> Vec<Range> {
        if self.wake.is_none_or(|wake| wake > now) || self.pauses(now) {
            return Vec::new();
        }
        let due = self.due(now, max_gaps);
        let ranges = self.request_gaps(&due, self.budget(now, window), now, delays);
        self.pause_until = (!ranges.is_empty()).then_some(now + PAUSE);
        self.recompute_wake(now);
        ranges
    }

    fn pauses(&mut self, now: Instant) -> bool {
        let pause = self.pause_until.filter(|until| *until > now);
        if pause.is_some() {
            self.wake = pause;
        }
        pause.is_some()
    }

    /// Returns the number of entries that may be requested: at least half an answer, so that
    /// requests are few.
    fn budget(&self, now: Instant, window: u64) -> u64 {
        let awaited = self.awaited(now);
        if awaited > window / 2 { 0 } else { window - awaited }
    }

    /// Returns the number of requested entries whose answer is not overdue.
    fn awaited(&self, now: Instant) -> u64 {
        let awaited = self.missing.iter().filter(|(_, gap)| gap.requests > 0 && gap.due > now);
        awaited.map(|(first, gap)| gap.end - first).sum()
    }

    /// Returns the first numbers of the gaps that are due.
    fn due(&self, now: Instant, max_gaps: usize) -> Vec<u64> {
        let lowest = self.missing.iter().take(max_gaps);
        let due = lowest.filter(|(_, gap)| gap.is_due(now, self.later));
        due.map(|(first, _)| *first).take(MAX_RANGES).collect()
    }

    fn request_gaps(
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
            let requested = self.note_request(*first, budget, now, delays);
            append(&mut ranges, *first, requested);
            budget -= u64::from(requested);
        }
        ranges
    }

    /// Notes a request for as much of a gap as the budget allows. Returns the number of entries.
    fn note_request(&mut self, first: u64, budget: u64, now: Instant, delays: RetryDelays) -> u16 {
        let Some(gap) = self.missing.remove(&first) else { return 0 };
        let count = (gap.end - first).min(budget).min(u64::from(u16::MAX));
        let end = first + count;
        let requests = gap.requests.saturating_add(1);
        let due = now + delays.after(requests);
        self.put_back(first, end, Gap { requests, due, ..gap });
        self.put_back(end, gap.end, gap);
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Finds the time of the next request. Due entries that did not fit the budget wait until
    /// requested ones come or are overdue. If the request was full, they wait for the pause only.
    fn recompute_wake(&mut self, now: Instant) {
        let later = self.later;
        let (due, waiting): (Vec<&Gap>, Vec<&Gap>) =
            self.missing.values().partition(|gap| gap.is_due(now, later));
        let pause = self.pause_until.filter(|_| !due.is_empty());
        self.wake = waiting.iter().map(|gap| gap.due).chain(pause).min();
        let unripe = waiting.iter().filter(|gap| gap.requests == 0);
        self.ripe = unripe.map(|gap| gap.ripe).min();
    }
}

/// Appends entries to a request, to its last range if they follow it directly.
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
