//! Puts the numbered entries of a stream in order and tracks the missing ones (S10).
//!
//! All numbers below `next` were delivered. From `next` to below `known`, an entry is either in the
//! reorder buffer or in a gap.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::event::Event;
use super::gaps::{GAP_COST, Gaps, RetryDelays, Taken};
use super::reassembly::Reassembler;
use super::reorder_buffer::{Held, ReorderBuffer, cost_of};
use crate::protocol::datagram::MAX_DOWNSTREAM;
use crate::protocol::stream::downstream::{self, ENTRY_OVERHEAD, HEADER_SIZE};
use crate::protocol::stream::{Entry, MAX_PACKED, MAX_REPAIR, upstream};

/// Bytes of memory for entries ahead of their turn and for the gaps between them (S10).
pub(super) const MAX_HELD: usize = 1 << 20;
/// Numbers this far ahead of `next` are not numbers of this stream (S10).
pub(super) const FAR_AHEAD: u64 = 1 << 32;
/// Repair times that are kept until they are taken.
const MAX_REPAIR_TIMES: usize = 1024;

/// The order of the entries, as far as they are known.
#[derive(Debug)]
pub(super) struct Sequencer {
    next: u64,
    known: u64,
    gaps: Gaps,
    reorder_buffer: ReorderBuffer,
    reassembler: Reassembler,
    sizes: EntrySizes,
    retry_delays: RetryDelays,
    gone: u64,
    repaired: u64,
    repair_times: Vec<Duration>,
}

impl Sequencer {
    pub(super) fn new(next: u64) -> Self {
        Self {
            next,
            known: next,
            gaps: Gaps::default(),
            reorder_buffer: ReorderBuffer::default(),
            reassembler: Reassembler::new(),
            sizes: EntrySizes::default(),
            retry_delays: RetryDelays::of(None),
            gone: 0,
            repaired: 0,
            repair_times: Vec::new(),
        }
    }

    /// Notes a datagram whose first entry has the numbers from `first` to below `end`.
    pub(super) fn note_datagram(&mut self, first: u64, end: u64, now: Instant) {
        if first >= self.known && !self.is_far(end) {
            self.gaps.count_later(now);
            self.learn(first, 1, now);
        }
    }

    /// Learns that all entries below `end` exist. `shown` is the number of datagrams from behind
    /// `end` that say so.
    pub(super) fn learn(&mut self, end: u64, shown: u64, now: Instant) {
        if end > self.known && !self.is_far(end) {
            let due = now + self.retry_delays.reorder;
            self.gaps.find(self.known, end, shown, due, now);
            self.known = end;
        }
    }

    fn is_far(&self, end: u64) -> bool {
        end.saturating_sub(self.next) > FAR_AHEAD
    }

    /// Accepts an entry with these numbers. Returns true if it fills a gap that was requested.
    pub(super) fn accept(
        &mut self,
        numbers: Range<u64>,
        bytes: &[u8],
        entry: Entry<'_>,
        now: Instant,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> bool {
        self.sizes.add(bytes.len());
        if numbers.end <= self.next || self.is_far(numbers.end) {
            return false;
        }
        let is_late = numbers.start != self.known || numbers.start != self.next;
        match entry {
            Entry::Gone { .. } => self.accept_gone(numbers, now, deliver),
            entry if is_late => self.accept_late(numbers.start, bytes, entry, now, deliver),
            entry => {
                self.known = numbers.end;
                self.deliver_next(entry, false, deliver);
                false
            }
        }
    }

    /// Accepts one entry while others are missing.
    fn accept_late(
        &mut self,
        number: u64,
        bytes: &[u8],
        entry: Entry<'_>,
        now: Instant,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> bool {
        self.learn(number + 1, 1, now);
        if number != self.next && !self.has_room(cost_of(bytes)) {
            // It stays missing, and is requested when the buffer has emptied.
            return false;
        }
        let Some(taken) = self.gaps.take(number, number + 1, now) else { return false };
        if taken.requested {
            self.note_repair(&taken, now);
        }
        if number == self.next {
            self.deliver_next(entry, true, deliver);
            self.deliver_held(deliver);
        } else {
            self.reorder_buffer.hold(number, Held::Entry(bytes.into()));
        }
        taken.requested
    }

    fn note_repair(&mut self, taken: &Taken, now: Instant) {
        self.repaired += 1;
        if self.repair_times.len() < MAX_REPAIR_TIMES {
            self.repair_times.push(now.saturating_duration_since(taken.found));
        }
    }

    /// Accepts that the server no longer holds these entries: those that are missing are gone. Held
    /// and delivered ones are not.
    fn accept_gone(
        &mut self,
        numbers: Range<u64>,
        now: Instant,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> bool {
        self.learn(numbers.end, 1, now);
        let mut has_requested = false;
        // The next entries are delivered at once and need no room.
        while (numbers.start <= self.next || self.has_room(cost_of(b"")))
            && let Some(run) = self.take_run(&numbers, now)
        {
            has_requested |= run.requested;
            // The server forgets whole messages, so none goes on behind the end of what is gone.
            let is_aligned = run.end == numbers.end;
            self.reorder_buffer
                .hold(run.first, Held::Gone { count: run.end - run.first, is_aligned });
            self.deliver_held(deliver);
        }
        has_requested
    }

    /// Takes the lowest missing entries of these, with all missing ones that follow directly.
    fn take_run(&mut self, numbers: &Range<u64>, now: Instant) -> Option<Taken> {
        let mut run = self.gaps.take(numbers.start, numbers.end, now)?;
        while self.gaps.begins_at(run.end)
            && let Some(more) = self.gaps.take(run.end, numbers.end, now)
        {
            run.requested |= more.requested;
            run.end = more.end;
        }
        Some(run)
    }

    /// Delivers the next entry, which has one number.
    fn deliver_next(
        &mut self,
        entry: Entry<'_>,
        is_late: bool,
        deliver: &mut impl FnMut(Event<'_>),
    ) {
        let number = self.next;
        self.next += 1;
        self.gone += self.reassembler.accept(number, entry, is_late, deliver);
    }

    fn deliver_held(&mut self, deliver: &mut impl FnMut(Event<'_>)) {
        while let Some(held) = self.reorder_buffer.take(self.next) {
            match held {
                Held::Entry(bytes) => {
                    // Only entries that could be parsed are held.
                    let entry = downstream::parse_entry(&bytes).unwrap_or(Entry::Unknown);
                    self.deliver_next(entry, true, deliver);
                }
                Held::Gone { count, is_aligned } => {
                    let first = self.next;
                    self.next += count;
                    self.gone += self.reassembler.accept_gone((first, count), is_aligned, deliver);
                }
            }
        }
    }

    /// Returns the entries to request now, in ranges.
    pub(super) fn request(&mut self, now: Instant) -> Vec<upstream::Range> {
        // While the buffer is full, only the next entry is of use.
        let max_gaps = if self.has_room(MAX_DOWNSTREAM) { usize::MAX } else { 1 };
        self.gaps.request(now, self.sizes.entries_per_answer(), max_gaps, self.retry_delays)
    }

    /// Returns true if `cost` more bytes may be held. An entry within a gap makes two gaps of it,
    /// and the entry after it may be behind another gap.
    fn has_room(&self, cost: usize) -> bool {
        self.memory() + 2 * GAP_COST + cost <= MAX_HELD
    }

    /// Returns the bytes of memory that held entries and gaps take.
    pub(super) fn memory(&self) -> usize {
        self.reorder_buffer.cost() + self.gap_count() * GAP_COST
    }

    pub(super) fn gap_count(&self) -> usize {
        self.gaps.len()
    }

    pub(super) fn retry_delays(&self) -> RetryDelays {
        self.retry_delays
    }

    pub(super) fn set_retry_delays(&mut self, delays: RetryDelays) {
        self.retry_delays = delays;
    }

    /// Returns the time at which [`Self::request`] may have something to request.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.gaps.wake()
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn resume_at(&self) -> u64 {
        self.reassembler.first().unwrap_or(self.next)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.next == self.known
    }

    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    pub(super) fn repaired(&self) -> u64 {
        self.repaired
    }

    pub(super) fn take_repair_times(&mut self, take: impl FnMut(Duration)) {
        self.repair_times.drain(..).for_each(take);
    }
}

/// The average size of recent entries.
#[derive(Debug, Default)]
struct EntrySizes {
    bytes: usize,
    entries: usize,
}

impl EntrySizes {
    /// Bytes of an entry, before the first one arrives.
    const ASSUMED: usize = 256;
    /// Entries after which the weight of all earlier ones is halved.
    const REMEMBERED: usize = 256;

    fn add(&mut self, bytes: usize) {
        if self.entries == Self::REMEMBERED {
            self.bytes /= 2;
            self.entries /= 2;
        }
        self.bytes += bytes;
        self.entries += 1;
    }

    /// Returns the number of entries of average size in one answer to a repair request (S11).
    fn entries_per_answer(&self) -> u64 {
        let average = self.bytes.checked_div(self.entries).unwrap_or(Self::ASSUMED);
        let in_a_datagram = (MAX_PACKED - HEADER_SIZE) / average.max(ENTRY_OVERHEAD);
        (MAX_REPAIR * in_a_datagram.max(1)) as u64
    }
}
