//! The cursors of a stream: found by their members' numbers, walked in turn, freed in bulk.

use std::ops::ControlFlow;

use super::cursor::{Cursor, Standing};
use super::positions::Positions;
use crate::delivery::shrink::shrink_list;
use crate::ids::MemberId;

/// Cursors that a room keeps space for.
const FEW: usize = 8;

/// All cursors, in the order of their numbers. Those that ended stay until they got what they should, in
/// a closed room until nobody may ask any more.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    list: Vec<Cursor>,
    /// How many are live.
    live: usize,
    /// Number of ended cursors before the first live one.
    ended_in_front: usize,
    /// How many are to be freed.
    dropped: usize,
    positions: Positions,
}

impl Cursors {
    /// Adds a live cursor, whose number is above all before.
    pub(crate) fn push(&mut self, cursor: Cursor) {
        self.positions.add(cursor.place());
        self.list.push(cursor);
        self.live += 1;
    }

    pub(crate) fn find(&self, number: u32) -> Option<&Cursor> {
        let cursor = &self.list[self.index(number)?];
        (cursor.standing != Standing::Dropped).then_some(cursor)
    }

    /// Returns the cursor for changes that leave its [`Place`](super::cursor::Place) as it is.
    pub(crate) fn find_mut(&mut self, number: u32) -> Option<&mut Cursor> {
        let index = self.index(number)?;
        Some(&mut self.list[index]).filter(|cursor| cursor.standing != Standing::Dropped)
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.list.binary_search_by_key(&number, |cursor| cursor.number).ok()
    }

    /// Returns the counts of all cursors by state and cursor.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Changes a cursor of a ring that ends at `end`.
    pub(crate) fn change(&mut self, number: u32, end: u64, change: impl FnOnce(&mut Cursor)) {
        if let Some(index) = self.index(number)
            && self.list[index].standing != Standing::Dropped
        {
            self.positions.track(&mut self.list[index], end, change);
        }
    }

    /// Changes all cursors.
    pub(crate) fn change_all(&mut self, end: u64, mut change: impl FnMut(&mut Cursor)) {
        for cursor in &mut self.list {
            self.positions.track(cursor, end, &mut change);
        }
    }

    /// Changes cursors in the order of [`Cursors::in_turn`], until `change` breaks off.
    pub(crate) fn change_in_turn(
        &mut self,
        first: u32,
        end: u64,
        mut change: impl FnMut(&mut Cursor) -> ControlFlow<()>,
    ) {
        let first = position(&self.list, first);
        let (later, sooner) = self.list.split_at_mut(first);
        for cursor in sooner.iter_mut().chain(later) {
            let mut flow = ControlFlow::Continue(());
            self.positions.track(cursor, end, |cursor| flow = change(cursor));
            if flow.is_break() {
                return;
            }
        }
    }

    /// Live members with their numbers, in the order of joining.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        let cursors = self.list[self.ended_in_front..].iter().filter(|cursor| cursor.is_live());
        cursors.map(|cursor| (cursor.number, cursor.member))
    }

    /// Ends a member: it gets what comes before this entry.
    pub(crate) fn end(&mut self, number: u32, until: u64) {
        if self.find(number).is_some_and(Cursor::is_live) {
            self.change(number, until, |cursor| cursor.end(until));
            self.live -= 1;
            self.count_front();
        }
    }

    /// Extends the count of ended cursors at the front. Each cursor is counted once, so that a room
    /// whose hosts leave one after the other does not scan all ended cursors for the next host.
    fn count_front(&mut self) {
        let in_front = &self.list[self.ended_in_front..];
        self.ended_in_front += in_front.iter().take_while(|cursor| !cursor.is_live()).count();
    }

    /// Ends everyone.
    pub(crate) fn end_all(&mut self, until: u64) {
        self.change_all(until, |cursor| cursor.end(until));
        self.live = 0;
        self.count_front();
    }

    /// The cursor of a member that ended and may not ask any more is to be freed. Half of the cursors at
    /// a time, so that the end of a large room costs each of them a constant.
    pub(crate) fn drop(&mut self, number: u32) {
        if self.find(number).is_none() {
            return;
        }
        self.change(number, 0, Cursor::drop);
        self.dropped += 1;
        if 2 * self.dropped >= self.list.len() {
            self.free(|cursor| cursor.standing == Standing::Dropped);
        }
    }

    /// Frees the cursors of those that ended and got everything.
    pub(crate) fn free_finished(&mut self) {
        if self.positions.has_finished() {
            self.free(Cursor::is_finished);
        }
    }

    /// Frees the dropped cursors and perhaps others.
    fn free(&mut self, is_free: impl Fn(&Cursor) -> bool) {
        let Self { list, positions, .. } = self;
        list.retain(|cursor| {
            if is_free(cursor) {
                positions.remove(cursor.place());
            }
            !is_free(cursor)
        });
        shrink_list(&mut self.list, FEW);
        (self.dropped, self.ended_in_front) = (0, 0);
        self.count_front();
    }

    /// Whether there is nobody left, live or ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.len() == self.dropped
    }

    /// How many it has memory for.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.list.capacity()
    }

    /// Returns the cursors from this number on.
    pub(crate) fn starting_at(&self, number: u32) -> impl Iterator<Item = &Cursor> {
        self.list[position(&self.list, number)..].iter()
    }

    /// Returns all cursors, beginning with the one numbered `first`, or the next: a cursor may have
    /// been freed since it was its turn.
    pub(crate) fn in_turn(&self, first: u32) -> impl Iterator<Item = &Cursor> {
        let (later, sooner) = self.list.split_at(position(&self.list, first));
        sooner.iter().chain(later)
    }
}

/// Returns the index of the first cursor with this number or a higher one.
fn position(list: &[Cursor], number: u32) -> usize {
    list.partition_point(|cursor| cursor.number < number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::ordered::Ring;
    use crate::ids::Key;
    use std::time::Instant;

    fn seats_of(count: u32) -> Cursors {
        let mut cursors = Cursors::default();
        for number in 1..=count {
            let member = MemberId(Key { slot: number, generation: 0 });
            cursors.push(Cursor::new((member, number), 0, (1, 1), Instant::now()));
        }
        cursors
    }

    fn numbers(cursors: &Cursors, first: u32) -> Vec<u32> {
        cursors.in_turn(first).map(|cursor| cursor.number).collect()
    }

    #[test]
    fn dropped_seats_are_found_no_more_and_freed_half_of_them_at_a_time() {
        let mut cursors = seats_of(6);
        cursors.end_all(1);
        for (dropped, left) in [(2, 6), (5, 6), (3, 3), (1, 3), (6, 1)] {
            cursors.drop(dropped);
            cursors.drop(dropped);
            assert!(cursors.find(dropped).is_none() && cursors.find_mut(dropped).is_none());
            assert_eq!((cursors.list.len(), cursors.is_empty()), (left, false), "{dropped}");
        }
        cursors.drop(4);
        assert!(cursors.is_empty());
    }

    #[test]
    fn a_turn_begins_at_its_seat_also_after_a_free() {
        let mut cursors = seats_of(4);
        assert_eq!(numbers(&cursors, 3), [3, 4, 1, 2]);
        assert_eq!(numbers(&cursors, 5), [1, 2, 3, 4]);
        [2, 3].into_iter().for_each(|number| cursors.end(number, 1));
        cursors.free_finished();
        assert_eq!(numbers(&cursors, 3), [4, 1]);
        assert_eq!(cursors.live().map(|(number, _)| number).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn field_p1_counts_follow_every_change_of_a_seat() {
        const END: u64 = 9;
        let mut cursors = seats_of(3);
        assert_eq!(cursors.positions().lowest(), None, "nobody has proved a port");
        let now = Instant::now();
        let pay = |_, _| true;
        (1..=3).for_each(|number| cursors.change(number, END, |cursor| cursor.prove(now)));
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
        cursors.change_in_turn(1, END + 1, |cursor| {
            cursor.advance(END + 1, 9, true, now);
            ControlFlow::Break(())
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
