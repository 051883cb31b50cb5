//! The replay window of RFC 6479: it knows which of the last numbers were received.

/// Bits of a block.
const BITS: u64 = u64::BITS as u64;

/// A window behind the newest number of a direction. It has 64 numbers for each block but one: as in
/// RFC 6479, the bitmap is a ring, and the block that the newest number enters is cleared as a whole.
#[derive(Clone, Debug)]
pub struct ReplayWindow<const BLOCKS: usize> {
    /// One more than the newest number, 0 if there is none.
    next: u64,
    blocks: [u64; BLOCKS],
}

impl<const BLOCKS: usize> ReplayWindow<BLOCKS> {
    /// The numbers of which the window knows whether they were received.
    pub const SIZE: u64 = (BLOCKS as u64 - 1) * BITS;

    /// Creates a window before the first number.
    pub const fn new() -> Self {
        Self { next: 0, blocks: [0; BLOCKS] }
    }

    /// Returns the newest recorded number.
    pub const fn newest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// Returns true if the number was not recorded and is not behind the window. The highest number of
    /// 64 bits is never used.
    pub fn is_fresh(&self, number: u64) -> bool {
        match self.newest() {
            Some(newest) if number <= newest => {
                newest - number < Self::SIZE
                    && self.blocks[block(number, BLOCKS)] & bit(number) == 0
            }
            _ => number != u64::MAX,
        }
    }

    /// Records a fresh number. Returns true if it is the newest.
    pub fn record(&mut self, number: u64) -> bool {
        let is_newest = number >= self.next;
        if is_newest {
            self.move_to(number);
        }
        self.blocks[block(number, BLOCKS)] |= bit(number);
        is_newest
    }

    fn move_to(&mut self, number: u64) {
        let entered = number / BITS - self.next.saturating_sub(1) / BITS;
        for back in 0..entered.min(BLOCKS as u64) {
            self.blocks[block(number - back * BITS, BLOCKS)] = 0;
        }
        self.next = number + 1;
    }
}

impl<const BLOCKS: usize> Default for ReplayWindow<BLOCKS> {
    fn default() -> Self {
        Self::new()
    }
}

fn block(number: u64, blocks: usize) -> usize {
    (number / BITS % blocks as u64) as usize
}

fn bit(number: u64) -> u64 {
    1 << (number % BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn e8_window_sizes() {
        assert_eq!(ReplayWindow::<3>::SIZE, 128);
        assert_eq!(ReplayWindow::<17>::SIZE, 1024);
        assert_eq!(size_of::<ReplayWindow<3>>(), 32);
    }

    #[test]
    fn e8_window_ends_behind_its_size() {
        let mut window = ReplayWindow::<3>::new();
        assert!(window.record(1000));
        assert!(window.is_fresh(1000 - 127) && !window.is_fresh(1000 - 128));
        assert!(!window.record(1000 - 127) && !window.is_fresh(1000 - 127));
    }

    #[test]
    fn e8_highest_number_is_never_fresh() {
        let mut window = ReplayWindow::<3>::new();
        assert!(!window.is_fresh(u64::MAX) && window.is_fresh(u64::MAX - 1));
        assert!(window.record(u64::MAX - 1));
        assert!(!window.is_fresh(u64::MAX) && !window.is_fresh(u64::MAX - 1));
    }

    /// Steps from one number to the next: mostly small, now and then a leap.
    fn steps() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![8 => -200..200_i64, 2 => -1200..1200_i64, 1 => 0..100_000_i64];
        prop::collection::vec(step, 1..300)
    }

    fn compare<const BLOCKS: usize>(start: u64, steps: &[i64]) -> Result<(), TestCaseError> {
        let (mut window, mut seen) = (ReplayWindow::<BLOCKS>::new(), BTreeSet::new());
        let mut number = start;
        for step in steps {
            number = number.saturating_add_signed(*step).min(u64::MAX - 1);
            let newest = seen.last().copied();
            let is_inside = newest.is_none_or(|newest: u64| {
                number > newest || newest - number < ReplayWindow::<BLOCKS>::SIZE
            });
            let is_fresh = is_inside && !seen.contains(&number);
            prop_assert_eq!(window.is_fresh(number), is_fresh, "{} after {:?}", number, newest);
            prop_assert_eq!(window.newest(), newest);
            if is_fresh {
                let is_newest = newest.is_none_or(|newest| number > newest);
                prop_assert_eq!(window.record(number), is_newest);
                seen.insert(number);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn e8_window_equals_a_set(steps in steps()) {
            for start in [0, 1000, u64::MAX - 500] {
                compare::<2>(start, &steps)?;
                compare::<3>(start, &steps)?;
                compare::<17>(start, &steps)?;
            }
        }
    }
}
