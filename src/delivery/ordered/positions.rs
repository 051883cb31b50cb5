//! Counts of cursors by state and position.
//!
//! The lowest cursor decides which entries the ring has to keep and whether a message is taken, so
//! it has to be right after every delivery, also after one that the budget has cut. A room may have
//! ten thousand cursors: the counts follow each change of a cursor, and no delivery walks all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::Range;

use super::cursor::{OrderedCursor, Place};

/// Counts of cursors by [`Place`].
#[derive(Debug, Default)]
pub(crate) struct Positions {
    /// Cursors that keep up, by position. There are few different positions: a turn moves the cursors
    /// together.
    current: BTreeMap<u64, usize>,
    /// Numbers of the cursors that catch up and can be sent to now, so that a few of them are found
    /// among ten thousand others.
    behind: BTreeSet<u32>,
    resting: usize,
    blocked: usize,
    finished: usize,
    /// Numbers of the cursors of carried members that are finished, until they are taken.
    finished_carried: Vec<u32>,
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
        !self.behind.is_empty()
    }

    /// Returns the numbers of these cursors in two rising sequences: from `first` on, and before it.
    pub(crate) fn behind_in_turn(
        &self,
        first: u32,
    ) -> (impl Iterator<Item = u32>, impl Iterator<Item = u32>) {
        (self.behind.range(first..).copied(), self.behind.range(..first).copied())
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

    /// Takes the numbers of the cursors of carried members that are finished. Some may be freed.
    pub(crate) fn take_finished_carried(&mut self) -> Vec<u32> {
        mem::take(&mut self.finished_carried)
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
            self.remove(before, cursor.number);
            self.add(after, cursor.number);
            if after == Place::Finished && cursor.is_carried {
                self.finished_carried.push(cursor.number);
            }
        }
    }

    /// Counts the cursor with this number.
    pub(crate) fn add(&mut self, place: Place, number: u32) {
        match place {
            Place::Current(cursor) => *self.current.entry(cursor).or_default() += 1,
            Place::Behind => drop(self.behind.insert(number)),
            Place::Resting => self.resting += 1,
            Place::Blocked => self.blocked += 1,
            Place::Finished => self.finished += 1,
            Place::Full | Place::OutOfReach => {}
        }
    }

    /// Removes the cursor with this number from its count.
    pub(crate) fn remove(&mut self, place: Place, number: u32) {
        match place {
            Place::Current(cursor) => self.remove_current(cursor),
            Place::Behind => drop(self.behind.remove(&number)),
            Place::Resting => self.resting -= 1,
            Place::Blocked => self.blocked -= 1,
            Place::Finished => self.finished -= 1,
            Place::Full | Place::OutOfReach => {}
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
