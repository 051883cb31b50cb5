//! Deadlines in order. One entry for each thing that waits, removed when the thing goes: the table
//! is never larger than what is alive.
//!
//! A deadline that only ever moves away, as an idle timeout does with every message, is left where
//! it is; its owner looks when it comes up and sets it again if it came too early. That makes the
//! common case, a message that puts the timeout off, free of any work here.

use std::collections::BTreeSet;
use std::time::Instant;

/// Deadlines, each with the id of what it is for.
#[derive(Debug)]
pub struct Timers<K> {
    deadlines: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord> Timers<K> {
    /// No deadlines.
    pub fn new() -> Self {
        Self { deadlines: BTreeSet::new() }
    }

    /// Moves the deadline of `id` from `old` to `new`; `None` is no deadline.
    pub fn change(&mut self, id: K, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, id));
        }
        if let Some(new) = new {
            self.deadlines.insert((new, id));
        }
    }

    /// Takes out the earliest deadline that is not after `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let earliest = *self.deadlines.first()?;
        if earliest.0 > now {
            return None;
        }
        self.deadlines.pop_first()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// What the earliest deadline is for.
    pub fn first(&self) -> Option<K> {
        self.deadlines.first().map(|(_, id)| *id)
    }

    /// How many deadlines are set.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn deadlines_come_up_in_order_and_never_early() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::new();
        timers.change('b', None, Some(at(2)));
        timers.change('a', None, Some(at(1)));
        timers.change('c', None, Some(at(3)));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(at(2)), Some((at(1), 'a')));
        assert_eq!(timers.pop_due(at(2)), Some((at(2), 'b')));
        assert_eq!(timers.pop_due(at(2)), None);
        assert_eq!(timers.first(), Some('c'));
    }

    #[test]
    fn a_changed_deadline_leaves_nothing_behind() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let mut timers = Timers::new();
        timers.change(1, None, Some(start));
        timers.change(1, Some(start), Some(later));
        assert_eq!((timers.len(), timers.next()), (1, Some(later)));
        timers.change(1, Some(later), None);
        assert_eq!(timers.len(), 0);
    }
}
