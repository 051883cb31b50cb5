//! The time slice of a step.
//!
//! A count of items does not bound time: a junk datagram costs less than a microsecond, and one
//! that is sent to a member costs ten. If only a count limited the input while the output took most of
//! a turn, datagrams would not be read in time, and the kernel would drop them. So each step of a turn
//! has the same time slice, and reads the clock once for each portion of its work.

use std::time::{Duration, Instant};

/// Repeats `portion` until it returns false (no work is left) or the slice is over.
pub(super) fn fill(
    slice: Duration,
    clock: impl Fn() -> Instant,
    mut portion: impl FnMut() -> bool,
) {
    let start = clock();
    while portion() && clock().saturating_duration_since(start) < slice {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Returns how many of `portions`, 1 ms each, are done in a slice of 2 ms.
    fn done(portions: usize) -> usize {
        let (start, done) = (Instant::now(), Cell::new(0));
        let clock = || start + Duration::from_millis(done.get() as u64);
        fill(Duration::from_millis(2), clock, || {
            done.set(done.get() + 1);
            done.get() < portions
        });
        done.get()
    }

    #[test]
    fn a4_step_ends_with_work_or_slice() {
        assert_eq!([1, 2, 99].map(done), [1, 2, 2]);
    }
}
