//! Deadlines in order. The table has one entry per pending deadline, and the entry is removed with its
//! owner, so the table is never larger than what is alive.
//!
//! A deadline that only ever moves away, as an idle timeout does with every message, stays where it
//! is. Its owner checks when it comes up, and sets it again if it came too early. So the common
//! case, a message that postpones the timeout, costs nothing here.

use std::collections::BTreeSet;
use std::time::Instant;

/// One owner's deadline. Its owner stores it, but only [`Timers::set`] changes it, so it always
/// finds its own entry in the table.
#[derive(Debug, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the time that was set last.
    pub fn at(&self) -> Option<Instant> {
        self.0
    }
}

/// Deadlines, each with the id of its owner.
#[derive(Debug)]
pub struct Timers<K> {
    deadlines: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord> Timers<K> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self { deadlines: BTreeSet::new() }
    }

    /// Sets or, with `None`, removes the deadline of `id`. A deadline that has come up is set again
    /// like any other.
    pub fn set(&mut self, id: K, deadline: &mut Deadline, at: Option<Instant>) {
        self.change(id, deadline.0.take(), None);
        self.change(id, None, at);
        deadline.0 = at;
    }

    /// Moves the entry of `id` from `old` to `new`, for owners whose own state tells both; `None`
    /// stands for no entry.
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

    /// Removes and returns the earliest deadline that is not after `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let earliest = *self.deadlines.first()?;
        if earliest.0 > now {
            return None;
        }
        self.deadlines.pop_first()
    }

    /// Returns the earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Returns the owner of the earliest deadline.
    pub fn first(&self) -> Option<K> {
        self.deadlines.first().map(|(_, id)| *id)
    }

    /// Returns the number of deadlines.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn deadlines_come_up_in_order() {
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
    fn a_change_leaves_one_entry() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let mut timers = Timers::new();
        timers.change(1, None, Some(start));
        timers.change(1, Some(start), Some(later));
        assert_eq!((timers.len(), timers.next()), (1, Some(later)));
        timers.change(1, Some(later), None);
        assert_eq!(timers.len(), 0);
    }
    #[test]
    fn a_deadline_can_be_set_after_it_came_up() {
        let now = Instant::now();
        let (mut timers, mut deadline) = (Timers::new(), Deadline::default());
        timers.set(1, &mut deadline, Some(now));
        assert_eq!(timers.pop_due(now), Some((now, 1)));
        timers.set(1, &mut deadline, Some(now));
        assert_eq!((timers.len(), deadline.at()), (1, Some(now)));
        timers.set(1, &mut deadline, None);
        assert_eq!((timers.len(), deadline.at()), (0, None));
    }
}
