//! The seats of a stream: found by their members' numbers, walked in turn, freed in bulk.

use super::seat::{Seat, Standing};
use crate::chat::thinning::thin_list;
use crate::ids::MemberId;

/// Seats that a room keeps space for.
const FEW: usize = 8;

/// All seats, in the order of their numbers. Those that ended stay until they got what they should, in
/// a closed room until nobody may ask any more.
#[derive(Debug, Default)]
pub(super) struct Seats {
    list: Vec<Seat>,
    /// How many are live.
    live: usize,
    /// How many are to be freed.
    dropped: usize,
    /// The one whose turn it is.
    first: usize,
}

impl Seats {
    /// Adds a live seat, whose number is above all before.
    pub(super) fn push(&mut self, seat: Seat) {
        self.list.push(seat);
        self.live += 1;
    }

    pub(super) fn find(&self, number: u32) -> Option<&Seat> {
        let seat = &self.list[self.index(number)?];
        (seat.standing != Standing::Dropped).then_some(seat)
    }

    pub(super) fn find_mut(&mut self, number: u32) -> Option<&mut Seat> {
        let index = self.index(number)?;
        Some(&mut self.list[index]).filter(|seat| seat.standing != Standing::Dropped)
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.list.binary_search_by_key(&number, |seat| seat.number).ok()
    }

    /// Live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.list.iter().filter(|seat| seat.is_live()).map(|seat| (seat.number, seat.member))
    }

    /// Ends a member: it gets what comes before this entry.
    pub(super) fn end(&mut self, number: u32, until: u64) {
        if let Some(seat) = self.find_mut(number).filter(|seat| seat.is_live()) {
            seat.end(until);
            self.live -= 1;
        }
    }

    /// Ends everyone.
    pub(super) fn end_all(&mut self, until: u64) {
        self.list.iter_mut().for_each(|seat| seat.end(until));
        self.live = 0;
    }

    /// The seat of a member that ended and may not ask any more is to be freed. Half of the seats at
    /// a time, so that the end of a large room costs each of them a constant.
    pub(super) fn drop(&mut self, number: u32) {
        let Some(seat) = self.find_mut(number) else { return };
        seat.standing = Standing::Dropped;
        self.dropped += 1;
        if 2 * self.dropped >= self.list.len() {
            self.free(|seat| seat.standing == Standing::Dropped);
        }
    }

    /// Frees the seats of those that ended and got everything.
    pub(super) fn free_finished(&mut self) {
        if self.live < self.list.len() {
            self.free(Seat::is_finished);
        }
    }

    /// Frees the dropped seats and perhaps others.
    fn free(&mut self, is_free: impl Fn(&Seat) -> bool) {
        self.list.retain(|seat| !is_free(seat));
        thin_list(&mut self.list, FEW);
        self.dropped = 0;
    }

    /// Whether there is nobody left, live or ended.
    pub(super) fn is_empty(&self) -> bool {
        self.list.len() == self.dropped
    }

    /// How many it has memory for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.list.capacity()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.list.iter_mut()
    }

    /// The seats, beginning with the one whose turn it is.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Seat> {
        let (later, sooner) = self.list.split_at(self.first.min(self.list.len()));
        sooner.iter().chain(later)
    }

    /// The same to change them, each with its index.
    pub(super) fn in_turn_mut(&mut self) -> impl Iterator<Item = (usize, &mut Seat)> {
        let first = self.first.min(self.list.len());
        let (later, sooner) = self.list.split_at_mut(first);
        (first..).zip(sooner).chain((0..).zip(later))
    }

    /// Whose turn it is next.
    pub(super) fn set_first(&mut self, index: usize) {
        self.first = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;
    use std::time::Instant;

    fn seats_of(count: u32) -> Seats {
        let mut seats = Seats::default();
        for number in 1..=count {
            let member = MemberId(Key { slot: number, generation: 0 });
            seats.push(Seat::new(member, number, 1, Instant::now()));
        }
        seats
    }

    fn numbers(seats: &Seats) -> Vec<u32> {
        seats.in_turn().map(|seat| seat.number).collect()
    }

    #[test]
    fn dropped_seats_are_found_no_more_and_freed_half_of_them_at_a_time() {
        let mut seats = seats_of(6);
        seats.end_all(1);
        for (dropped, left) in [(2, 6), (5, 6), (3, 3), (1, 3), (6, 1)] {
            seats.drop(dropped);
            seats.drop(dropped);
            assert!(seats.find(dropped).is_none() && seats.find_mut(dropped).is_none());
            assert_eq!((seats.iter().count(), seats.is_empty()), (left, false), "{dropped}");
        }
        seats.drop(4);
        assert!(seats.is_empty());
    }

    #[test]
    fn a_turn_begins_where_it_is_said_to_even_where_seats_are_gone() {
        let mut seats = seats_of(4);
        seats.set_first(2);
        assert_eq!(numbers(&seats), [3, 4, 1, 2]);
        let indices: Vec<usize> = seats.in_turn_mut().map(|(index, _)| index).collect();
        assert_eq!(indices, [2, 3, 0, 1]);
        seats.set_first(4);
        assert_eq!(numbers(&seats), [1, 2, 3, 4]);
        [2, 3].into_iter().for_each(|number| seats.end(number, 1));
        seats.free_finished();
        assert_eq!(numbers(&seats), [1, 4]);
        assert_eq!(seats.live().map(|(number, _)| number).collect::<Vec<_>>(), [1, 4]);
    }
}
