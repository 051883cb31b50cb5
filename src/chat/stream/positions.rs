//! Counts of seats by their state and cursor.
//!
//! The lowest cursor decides which entries the ring has to keep and whether a message is taken, so
//! it has to be right after every delivery, also after one that the budget has cut. A room may have
//! ten thousand seats: the counts follow each change of a seat, and no delivery walks all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::seat::{Place, Seat};

/// Counts of seats, by [`Place`].
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// Seats that keep up, by cursor. There are few different cursors: a delivery moves them
    /// together.
    current: BTreeMap<u64, usize>,
    behind: usize,
    resting: usize,
    blocked: usize,
    finished: usize,
}

impl Positions {
    /// Returns the lowest cursor of the seats that keep up.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.current.first_key_value().map(|(cursor, _)| *cursor)
    }

    /// Returns how many seats keep up and have a cursor in the range that `counts`.
    pub(super) fn count(&self, range: Range<u64>, counts: impl Fn(u64) -> bool) -> usize {
        let seats = self.current.range(range).filter(|(cursor, _)| counts(**cursor));
        seats.map(|(_, count)| count).sum()
    }

    /// Returns true if a seat catches up and can be sent to now.
    pub(super) fn has_behind(&self) -> bool {
        self.behind > 0
    }

    /// Returns true if a seat that catches up pauses or has to confirm.
    pub(super) fn has_resting(&self) -> bool {
        self.resting > 0
    }

    /// Returns true if a seat waits for a full socket.
    pub(super) fn has_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// Returns true if a seat can be freed.
    pub(super) fn has_finished(&self) -> bool {
        self.finished > 0
    }

    /// Changes a seat in a ring that ends at `end`, and counts it where it stands then.
    pub(super) fn track(&mut self, seat: &mut Seat, end: u64, change: impl FnOnce(&mut Seat)) {
        let before = seat.place();
        change(seat);
        seat.catch_up(end);
        let after = seat.place();
        if before != after {
            self.remove(before);
            self.add(after);
        }
    }

    pub(super) fn add(&mut self, place: Place) {
        match place {
            Place::Current(cursor) => *self.current.entry(cursor).or_default() += 1,
            Place::Behind => self.behind += 1,
            Place::Resting => self.resting += 1,
            Place::Blocked => self.blocked += 1,
            Place::Finished => self.finished += 1,
            Place::OutOfReach => {}
        }
    }

    pub(super) fn remove(&mut self, place: Place) {
        match place {
            Place::Current(cursor) => self.remove_current(cursor),
            Place::Behind => self.behind -= 1,
            Place::Resting => self.resting -= 1,
            Place::Blocked => self.blocked -= 1,
            Place::Finished => self.finished -= 1,
            Place::OutOfReach => {}
        }
    }

    fn remove_current(&mut self, cursor: u64) {
        if let Some(count) = self.current.get_mut(&cursor) {
            *count -= 1;
            if *count == 0 {
                self.current.remove(&cursor);
            }
        }
    }
}
