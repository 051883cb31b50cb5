//! Durations of one step, counted in ranges: the median and the 99th percentile need no list of them.

use std::time::Duration;

/// Ranges for each power of two. A percentile is at most an eighth too high.
const PER_OCTAVE: usize = 8;
/// Powers of two, from 8 ns to 34 s. Longer durations count as this long.
const OCTAVES: usize = 32;
/// Number of ranges. The first eight are for 0 to 7 ns.
const RANGES: usize = (OCTAVES + 1) * PER_OCTAVE;

/// Counted durations.
#[derive(Clone)]
pub(super) struct Durations {
    counts: [u32; RANGES],
    longest: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { counts: [0; RANGES], longest: 0 }
    }
}

impl Durations {
    /// Counts a duration.
    pub(super) fn note(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let count = &mut self.counts[range_of(nanoseconds)];
        *count = count.saturating_add(1);
        self.longest = self.longest.max(nanoseconds);
    }

    /// Adds the counts of others.
    pub(super) fn add(&mut self, others: &Self) {
        for (count, other) in self.counts.iter_mut().zip(others.counts) {
            *count = count.saturating_add(other);
        }
        self.longest = self.longest.max(others.longest);
    }

    /// Returns the number of durations.
    pub(super) fn len(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns the longest duration in nanoseconds.
    pub(super) fn longest(&self) -> u64 {
        self.longest
    }

    /// Returns an upper bound for `percent` % of the durations in nanoseconds, or 0 if there is none.
    pub(super) fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.len() * percent).div_ceil(100);
        let mut seen = 0;
        for (range, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && *count > 0 {
                return end_of(range).min(self.longest);
            }
        }
        0
    }
}

/// Returns the range that a duration counts in.
fn range_of(nanoseconds: u64) -> usize {
    const FIRST: u64 = PER_OCTAVE as u64;
    if nanoseconds < FIRST {
        return nanoseconds as usize;
    }
    let shift = nanoseconds.ilog2() - FIRST.ilog2();
    // The highest four bits: 8 to 15.
    let leading = (nanoseconds >> shift) as usize;
    (shift as usize * PER_OCTAVE + leading).min(RANGES - 1)
}

/// Returns the longest duration of a range in nanoseconds.
fn end_of(range: usize) -> u64 {
    if range < PER_OCTAVE {
        return range as u64;
    }
    let shift = range / PER_OCTAVE - 1;
    let leading = (range % PER_OCTAVE + PER_OCTAVE) as u64;
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h12_percentiles_are_close() {
        let mut durations = Durations::default();
        assert_eq!((durations.percentile(50), durations.len()), (0, 0));
        for microseconds in 1..=1_000 {
            durations.note(Duration::from_micros(microseconds));
        }
        for (percent, exact) in [(50, 500_000), (99, 990_000)] {
            let found = durations.percentile(percent);
            assert!((exact..=exact * 9 / 8).contains(&found), "{percent} %: {found}");
        }
        assert_eq!((durations.len(), durations.longest()), (1_000, 1_000_000));
    }

    #[test]
    fn h12_ranges_hold_all_durations() {
        for nanoseconds in (0..40).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]) {
            let range = range_of(nanoseconds);
            if range < RANGES - 1 {
                assert!(nanoseconds <= end_of(range), "{nanoseconds} in {range}");
                assert!(range == 0 || nanoseconds > end_of(range - 1), "{nanoseconds} in {range}");
            }
        }
        let mut durations = Durations::default();
        durations.note(Duration::MAX);
        durations.note(Duration::from_nanos(3));
        assert_eq!((durations.percentile(50), durations.longest()), (3, u64::MAX));
    }
}
