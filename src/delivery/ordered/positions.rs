//! Counts of cursors by state and position.
//!
//! The lowest cursor decides which entries the ring has to keep and whether a message is taken, so
//! it has to be right after every delivery, also after one that the budget has cut. A room may have
//! ten thousand cursors: the counts follow each change of a cursor, and no delivery walks all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::{OrderedCursor, Place};

/// Counts of cursors by [`Place`].
#[derive(Debug, Default)]
pub(crate) struct Positions {
    /// Cursors that keep up, by position. There are few different positions: a turn moves the cursors
    /// together.
    current: BTreeMap<u64, usize>,
    behind: usize,
    resting: usize,
    blocked: usize,
    finished: usize,
}

impl Positions {
    /// Returns the lowest position of the cursors that keep up.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.current.first_key_value().map(|(cursor, _)| *cursor)
    }

    /// Returns the number of cursors that keep up at positions in the range for which `counts` is
    /// true.
    pub(crate) fn count(&self, range: Range<u64>, counts: impl Fn(u64) -> bool) -> usize {
        let cursors = self.current.range(range).filter(|(cursor, _)| counts(**cursor));
        cursors.map(|(_, count)| count).sum()
    }

    /// Returns true if a cursor catches up and can be sent to now.
    pub(crate) fn has_behind(&self) -> bool {
        self.behind > 0
    }

    /// Returns true if a cursor that catches up pauses or has to confirm.
    pub(crate) fn has_resting(&self) -> bool {
        self.resting > 0
    }

    /// Returns true if a cursor waits for a full socket.
    pub(crate) fn has_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// Returns true if a cursor can be freed.
    pub(crate) fn has_finished(&self) -> bool {
        self.finished > 0
    }

    /// Changes a cursor in a ring that ends at `end`, and moves it to the count of its new state.
    pub(crate) fn track(
        &mut self,
        cursor: &mut OrderedCursor,
        end: u64,
        change: impl FnOnce(&mut OrderedCursor),
    ) {
        let before = cursor.place();
        change(cursor);
        cursor.catch_up(end);
        let after = cursor.place();
        if before != after {
            self.remove(before);
            self.add(after);
        }
    }

    pub(crate) fn add(&mut self, place: Place) {
        match place {
            Place::Current(cursor) => *self.current.entry(cursor).or_default() += 1,
            Place::Behind => self.behind += 1,
            Place::Resting => self.resting += 1,
            Place::Blocked => self.blocked += 1,
            Place::Finished => self.finished += 1,
            Place::OutOfReach => {}
        }
    }

    pub(crate) fn remove(&mut self, place: Place) {
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
