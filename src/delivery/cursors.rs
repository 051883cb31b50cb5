//! The cursors of a room's members in one log: found by number, walked in turn, freed in bulk.

use super::shrink::shrink_list;
use crate::ids::MemberId;

/// Number of cursors for which a log keeps space.
const FEW: usize = 8;

/// A member's position in a log.
pub(super) trait Cursor {
    /// Returns the member.
    fn member(&self) -> MemberId;

    /// Returns the member's number in its room. Cursors are in the order of these.
    fn number(&self) -> u32;

    /// Returns false if the member has ended. It still gets what was appended before.
    fn is_live(&self) -> bool;
}

/// All cursors in one log, in the order of joining. Those of ended members stay until they have got
/// everything.
#[derive(Debug)]
pub(super) struct Cursors<T> {
    list: Vec<T>,
    live: usize,
    /// Number of ended cursors before the first live one.
    ended_in_front: usize,
}

impl<T> Default for Cursors<T> {
    fn default() -> Self {
        Self { list: Vec::new(), live: 0, ended_in_front: 0 }
    }
}

impl<T: Cursor> Cursors<T> {
    /// Adds a live cursor, whose number is above all others.
    pub(super) fn push(&mut self, cursor: T) {
        self.list.push(cursor);
        self.live += 1;
    }

    /// Returns the index of a cursor, which is valid until the next [`Cursors::retain`].
    pub(super) fn index(&self, number: u32) -> Option<usize> {
        self.list.binary_search_by_key(&number, Cursor::number).ok()
    }

    pub(super) fn get(&self, index: usize) -> &T {
        &self.list[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.list[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.list.iter_mut()
    }

    /// Returns all cursors with their indices, beginning with the one numbered `first` or the next:
    /// a cursor may have been freed since it was its turn.
    pub(super) fn in_turn(&self, first: u32) -> impl Iterator<Item = (usize, &T)> {
        let start = self.position(first);
        let (sooner, later) = self.list.split_at(start);
        (start..).zip(later).chain((0..).zip(sooner))
    }

    /// Returns the cursors from this number on.
    pub(super) fn starting_at(&self, number: u32) -> impl Iterator<Item = (usize, &T)> {
        let start = self.position(number);
        (start..).zip(&self.list[start..])
    }

    /// Returns the cursors with these numbers, which must rise. The search for each begins where the
    /// one before was found and doubles its steps, so that many neighbours cost little, and so do few
    /// that are far apart.
    pub(super) fn with_numbers(
        &self,
        numbers: impl Iterator<Item = u32>,
    ) -> impl Iterator<Item = (usize, &T)> {
        let (list, mut start) = (&self.list[..], 0);
        numbers.filter_map(move |number| {
            let mut step = 1;
            while list.get(start + step).is_some_and(|cursor| cursor.number() < number) {
                (start, step) = (start + step, 2 * step);
            }
            let near = list.get(start..(start + step + 1).min(list.len()))?;
            start += near.binary_search_by_key(&number, Cursor::number).ok()?;
            Some((start, &list[start]))
        })
    }

    fn position(&self, number: u32) -> usize {
        self.list.partition_point(|cursor| cursor.number() < number)
    }

    /// Returns the live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        let cursors = self.list[self.ended_in_front..].iter().filter(|cursor| cursor.is_live());
        cursors.map(|cursor| (cursor.number(), cursor.member()))
    }

    /// Returns true if a member is live.
    pub(super) fn has_live(&self) -> bool {
        self.live > 0
    }

    /// Notes that so many cursors have ended.
    ///
    /// The count of ended cursors in front includes each one once, so that a room whose hosts leave
    /// one after the other does not scan all of them for the next host.
    pub(super) fn note_ended(&mut self, count: usize) {
        self.live -= count;
        let in_front = &self.list[self.ended_in_front..];
        self.ended_in_front += in_front.iter().take_while(|cursor| !cursor.is_live()).count();
    }

    /// Frees all cursors for which `is_kept` returns false. They must have ended.
    pub(super) fn retain(&mut self, is_kept: impl FnMut(&T) -> bool) {
        self.list.retain(is_kept);
        shrink_list(&mut self.list, FEW);
        self.ended_in_front = 0;
        self.note_ended(0);
    }

    /// Returns the number of cursors, live or not.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the number of cursors that have ended.
    pub(super) fn ended(&self) -> usize {
        self.list.len() - self.live
    }

    /// Returns the number of cursors for which there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.list.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;

    struct Test(u32, bool);

    impl Cursor for Test {
        fn member(&self) -> MemberId {
            MemberId(Key { slot: self.0, generation: 0 })
        }

        fn number(&self) -> u32 {
            self.0
        }

        fn is_live(&self) -> bool {
            self.1
        }
    }

    fn numbers(cursors: &Cursors<Test>, first: u32) -> Vec<u32> {
        cursors.in_turn(first).map(|(_, cursor)| cursor.0).collect()
    }

    #[test]
    fn a_turn_begins_at_its_cursor() {
        let mut cursors = Cursors::default();
        (1..=4).for_each(|number| cursors.push(Test(number, true)));
        assert_eq!(numbers(&cursors, 3), [3, 4, 1, 2]);
        assert_eq!(numbers(&cursors, 5), [1, 2, 3, 4]);
        assert_eq!(cursors.in_turn(3).next().map(|(index, _)| index), Some(2));
        [1, 2].into_iter().for_each(|index| cursors.get_mut(index).1 = false);
        cursors.note_ended(2);
        cursors.retain(|cursor| cursor.1);
        assert_eq!(numbers(&cursors, 3), [4, 1], "also after its cursor was freed");
        assert_eq!(cursors.live().map(|(number, _)| number).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn cursors_are_found_in_order() {
        let mut cursors = Cursors::default();
        (0..100).for_each(|number| cursors.push(Test(3 * number, true)));
        for step in [1, 3, 4, 7, 60, 150, 400] {
            let wanted: Vec<u32> = (0..400).step_by(step).collect();
            let found = cursors.with_numbers(wanted.iter().copied());
            let found: Vec<_> = found.map(|(index, cursor)| (index as u32, cursor.0)).collect();
            let there = wanted.iter().filter(|number| *number % 3 == 0 && **number < 300);
            let expected: Vec<_> = there.map(|number| (number / 3, *number)).collect();
            assert_eq!(found, expected, "{step}");
        }
        let empty = Cursors::<Test>::default();
        assert_eq!(empty.with_numbers([1].into_iter()).count(), 0);
    }
}
