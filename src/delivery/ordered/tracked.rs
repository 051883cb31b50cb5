//! The cursors of a stream, with counts that follow each change.

use super::cursor::{OrderedCursor, Standing};
use super::positions::Positions;
use crate::delivery::cursors::{Cursor, Cursors};
use crate::ids::MemberId;

/// All cursors of a stream. In a closed room, those of ended members stay until nobody may ask for
/// repairs any more.
#[derive(Debug, Default)]
pub(super) struct TrackedCursors {
    cursors: Cursors<OrderedCursor>,
    /// Number of cursors that are to be freed.
    dropped: usize,
    positions: Positions,
}

impl TrackedCursors {
    /// Adds a live cursor, whose number is above all others.
    pub(super) fn push(&mut self, cursor: OrderedCursor) {
        self.positions.add(cursor.place(), cursor.number);
        self.cursors.push(cursor);
    }

    pub(super) fn find(&self, number: u32) -> Option<&OrderedCursor> {
        Some(self.cursors.get(self.index(number)?))
    }

    /// Returns a cursor for changes that leave its [`Place`](super::cursor::Place) as it is.
    pub(super) fn find_mut(&mut self, number: u32) -> Option<&mut OrderedCursor> {
        let index = self.index(number)?;
        Some(self.cursors.get_mut(index))
    }

    fn index(&self, number: u32) -> Option<usize> {
        let index = self.cursors.index(number)?;
        (self.cursors.get(index).standing != Standing::Dropped).then_some(index)
    }

    /// Returns all cursors, for walks.
    pub(super) fn all(&self) -> &Cursors<OrderedCursor> {
        &self.cursors
    }

    /// Returns the cursors that catch up and can be sent to now, beginning with the one numbered
    /// `first` or the next.
    pub(super) fn behind_in_turn(
        &self,
        first: u32,
    ) -> impl Iterator<Item = (usize, &OrderedCursor)> {
        let (from_first, before) = self.positions.behind_in_turn(first);
        self.cursors.with_numbers(from_first).chain(self.cursors.with_numbers(before))
    }

    /// Drops the finished cursors of carried members, and calls `ended` with each.
    pub(super) fn drop_finished_carried(&mut self, mut ended: impl FnMut(&OrderedCursor)) {
        for number in self.positions.take_finished_carried() {
            if let Some(cursor) = self.find(number) {
                ended(cursor);
                self.drop(number);
            }
        }
    }

    /// Returns the counts of all cursors by state and position.
    pub(super) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Changes a cursor in a ring that ends at `end`.
    pub(super) fn change(
        &mut self,
        number: u32,
        end: u64,
        change: impl FnOnce(&mut OrderedCursor),
    ) {
        if let Some(index) = self.index(number) {
            self.change_at(index, end, change);
        }
    }

    /// Changes the cursor with this index.
    pub(super) fn change_at(
        &mut self,
        index: usize,
        end: u64,
        change: impl FnOnce(&mut OrderedCursor),
    ) {
        self.positions.track(self.cursors.get_mut(index), end, change);
    }

    /// Changes all cursors.
    pub(super) fn change_all(&mut self, end: u64, mut change: impl FnMut(&mut OrderedCursor)) {
        for cursor in self.cursors.iter_mut() {
            self.positions.track(cursor, end, &mut change);
        }
    }

    /// Returns the live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.cursors.live()
    }

    /// Ends a member: it gets the entries before `until`.
    pub(super) fn end(&mut self, number: u32, until: u64) {
        if self.find(number).is_some_and(OrderedCursor::is_live) {
            self.change(number, until, |cursor| cursor.end(until));
            self.cursors.note_ended(1);
        }
    }

    /// Ends all members.
    pub(super) fn end_all(&mut self, until: u64) {
        let live = self.cursors.len() - self.cursors.ended();
        self.change_all(until, |cursor| cursor.end(until));
        self.cursors.note_ended(live);
    }

    /// Drops the cursor of an ended member that may not ask any more. Dropped cursors are freed when
    /// they are half of all, so that the end of a large room costs each of them a constant.
    pub(super) fn drop(&mut self, number: u32) {
        if self.find(number).is_none() {
            return;
        }
        self.change(number, 0, OrderedCursor::drop);
        self.dropped += 1;
        if 2 * self.dropped >= self.cursors.len() {
            self.free(|cursor| cursor.standing == Standing::Dropped);
        }
    }

    /// Frees the cursors of ended members that have got everything. That of a carried member is
    /// dropped first: see [`TrackedCursors::drop_finished_carried`].
    pub(super) fn free_finished(&mut self) {
        if self.positions.has_finished() {
            self.free(|cursor| {
                cursor.standing == Standing::Dropped || (cursor.is_finished() && !cursor.is_carried)
            });
        }
    }

    /// Frees the dropped cursors and perhaps others.
    fn free(&mut self, is_free: impl Fn(&OrderedCursor) -> bool) {
        let Self { cursors, positions, .. } = self;
        cursors.retain(|cursor| {
            if is_free(cursor) {
                positions.remove(cursor.place(), cursor.number);
            }
            !is_free(cursor)
        });
        self.dropped = 0;
    }

    /// Returns true if no member is left, live or ended.
    pub(super) fn is_empty(&self) -> bool {
        self.cursors.len() == self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ring::Ring;
    use crate::ids::Key;
    use std::time::Instant;

    fn cursors_of(count: u32) -> TrackedCursors {
        let mut cursors = TrackedCursors::default();
        for number in 1..=count {
            let member = MemberId(Key { slot: number, generation: 0 });
            cursors.push(OrderedCursor::new((member, number), 0, (1, 1)));
        }
        cursors
    }

    #[test]
    fn dropped_cursors_are_freed_in_bulk() {
        let mut cursors = cursors_of(6);
        cursors.end_all(1);
        for (dropped, left) in [(2, 6), (5, 6), (3, 3), (1, 3), (6, 1)] {
            cursors.drop(dropped);
            cursors.drop(dropped);
            assert!(cursors.find(dropped).is_none() && cursors.find_mut(dropped).is_none());
            assert_eq!((cursors.cursors.len(), cursors.is_empty()), (left, false), "{dropped}");
        }
        cursors.drop(4);
        assert!(cursors.is_empty());
    }

    #[test]
    fn field_p1_counts_follow_changes() {
        const END: u64 = 9;
        let mut cursors = cursors_of(3);
        assert_eq!(cursors.positions().lowest(), None, "nobody has proved a port");
        let now = Instant::now();
        let pay = |_, _| true;
        (1..=3).for_each(|number| cursors.change(number, END, |cursor| cursor.prove(false, now)));
        assert!(cursors.positions().has_resting(), "to be woken");
        cursors.change_all(END, |cursor| {
            cursor.wake(&Ring::new(), now, &mut { pay });
        });
        assert!(cursors.positions().has_behind());
        (1..=3).for_each(|number| {
            cursors.change(number, END, |cursor| {
                cursor.advance(4, 9, true, now);
            })
        });
        assert!(cursors.positions().has_resting() && !cursors.positions().has_behind());
        cursors.change_all(END, |cursor| {
            cursor.advance(END, 9, true, now);
        });
        assert_eq!(cursors.positions().lowest(), Some(END));
        cursors.change(2, END, |cursor| cursor.is_blocked = true);
        cursors.change_at(0, END + 1, |cursor| {
            cursor.advance(END + 1, 9, true, now);
        });
        assert_eq!(cursors.positions().lowest(), Some(END), "the third");
        cursors.change(3, END + 1, |cursor| {
            cursor.advance(END + 1, 9, true, now);
        });
        assert_eq!(cursors.positions().lowest(), Some(END + 1), "a full socket holds up nobody");
        cursors.end_all(END + 1);
        assert!(cursors.positions().has_finished() && cursors.positions().has_blocked());
        cursors.free_finished();
        assert!(!cursors.positions().has_finished());
        cursors.change(2, END + 1, |cursor| cursor.unblock(now));
        assert!(cursors.positions().has_behind(), "it is still to get the last entry");
    }
}
