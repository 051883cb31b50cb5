//! The seats of a stream: found by their members' numbers, walked in turn, freed in bulk.

use std::ops::ControlFlow;

use super::positions::Positions;
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
    /// Number of ended seats before the first live one.
    ended_in_front: usize,
    /// How many are to be freed.
    dropped: usize,
    positions: Positions,
}

impl Seats {
    /// Adds a live seat, whose number is above all before.
    pub(super) fn push(&mut self, seat: Seat) {
        self.positions.add(seat.place());
        self.list.push(seat);
        self.live += 1;
    }

    pub(super) fn find(&self, number: u32) -> Option<&Seat> {
        let seat = &self.list[self.index(number)?];
        (seat.standing != Standing::Dropped).then_some(seat)
    }

    /// Returns the seat for changes that leave its [`Place`](super::seat::Place) as it is.
    pub(super) fn find_mut(&mut self, number: u32) -> Option<&mut Seat> {
        let index = self.index(number)?;
        Some(&mut self.list[index]).filter(|seat| seat.standing != Standing::Dropped)
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.list.binary_search_by_key(&number, |seat| seat.number).ok()
    }

    /// Returns the counts of all seats by state and cursor.
    pub(super) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Changes a seat of a ring that ends at `end`.
    pub(super) fn change(&mut self, number: u32, end: u64, change: impl FnOnce(&mut Seat)) {
        if let Some(index) = self.index(number)
            && self.list[index].standing != Standing::Dropped
        {
            self.positions.track(&mut self.list[index], end, change);
        }
    }

    /// Changes all seats.
    pub(super) fn change_all(&mut self, end: u64, mut change: impl FnMut(&mut Seat)) {
        for seat in &mut self.list {
            self.positions.track(seat, end, &mut change);
        }
    }

    /// Changes seats in the order of [`Seats::in_turn`], until `change` breaks off.
    pub(super) fn change_in_turn(
        &mut self,
        first: u32,
        end: u64,
        mut change: impl FnMut(&mut Seat) -> ControlFlow<()>,
    ) {
        let first = position(&self.list, first);
        let (later, sooner) = self.list.split_at_mut(first);
        for seat in sooner.iter_mut().chain(later) {
            let mut flow = ControlFlow::Continue(());
            self.positions.track(seat, end, |seat| flow = change(seat));
            if flow.is_break() {
                return;
            }
        }
    }

    /// Live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        let seats = self.list[self.ended_in_front..].iter().filter(|seat| seat.is_live());
        seats.map(|seat| (seat.number, seat.member))
    }

    /// Ends a member: it gets what comes before this entry.
    pub(super) fn end(&mut self, number: u32, until: u64) {
        if self.find(number).is_some_and(Seat::is_live) {
            self.change(number, until, |seat| seat.end(until));
            self.live -= 1;
            self.count_front();
        }
    }

    /// Extends the count of ended seats at the front. Each seat is counted once, so that a room
    /// whose hosts leave one after the other does not scan all ended seats for the next host.
    fn count_front(&mut self) {
        let in_front = &self.list[self.ended_in_front..];
        self.ended_in_front += in_front.iter().take_while(|seat| !seat.is_live()).count();
    }

    /// Ends everyone.
    pub(super) fn end_all(&mut self, until: u64) {
        self.change_all(until, |seat| seat.end(until));
        self.live = 0;
        self.count_front();
    }

    /// The seat of a member that ended and may not ask any more is to be freed. Half of the seats at
    /// a time, so that the end of a large room costs each of them a constant.
    pub(super) fn drop(&mut self, number: u32) {
        if self.find(number).is_none() {
            return;
        }
        self.change(number, 0, Seat::drop);
        self.dropped += 1;
        if 2 * self.dropped >= self.list.len() {
            self.free(|seat| seat.standing == Standing::Dropped);
        }
    }

    /// Frees the seats of those that ended and got everything.
    pub(super) fn free_finished(&mut self) {
        if self.positions.has_finished() {
            self.free(Seat::is_finished);
        }
    }

    /// Frees the dropped seats and perhaps others.
    fn free(&mut self, is_free: impl Fn(&Seat) -> bool) {
        let Self { list, positions, .. } = self;
        list.retain(|seat| {
            if is_free(seat) {
                positions.remove(seat.place());
            }
            !is_free(seat)
        });
        thin_list(&mut self.list, FEW);
        (self.dropped, self.ended_in_front) = (0, 0);
        self.count_front();
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

    /// Returns the seats from this number on.
    pub(super) fn starting_at(&self, number: u32) -> impl Iterator<Item = &Seat> {
        self.list[position(&self.list, number)..].iter()
    }

    /// Returns all seats, beginning with the one numbered `first`, or the next: a seat may have
    /// been freed since it was its turn.
    pub(super) fn in_turn(&self, first: u32) -> impl Iterator<Item = &Seat> {
        let (later, sooner) = self.list.split_at(position(&self.list, first));
        sooner.iter().chain(later)
    }
}

/// Returns the index of the first seat with this number or a higher one.
fn position(list: &[Seat], number: u32) -> usize {
    list.partition_point(|seat| seat.number < number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::stream::Ring;
    use crate::ids::Key;
    use std::time::Instant;

    fn seats_of(count: u32) -> Seats {
        let mut seats = Seats::default();
        for number in 1..=count {
            let member = MemberId(Key { slot: number, generation: 0 });
            seats.push(Seat::new((member, number), 0, (1, 1), Instant::now()));
        }
        seats
    }

    fn numbers(seats: &Seats, first: u32) -> Vec<u32> {
        seats.in_turn(first).map(|seat| seat.number).collect()
    }

    #[test]
    fn dropped_seats_are_found_no_more_and_freed_half_of_them_at_a_time() {
        let mut seats = seats_of(6);
        seats.end_all(1);
        for (dropped, left) in [(2, 6), (5, 6), (3, 3), (1, 3), (6, 1)] {
            seats.drop(dropped);
            seats.drop(dropped);
            assert!(seats.find(dropped).is_none() && seats.find_mut(dropped).is_none());
            assert_eq!((seats.list.len(), seats.is_empty()), (left, false), "{dropped}");
        }
        seats.drop(4);
        assert!(seats.is_empty());
    }

    #[test]
    fn a_turn_begins_at_its_seat_also_after_a_free() {
        let mut seats = seats_of(4);
        assert_eq!(numbers(&seats, 3), [3, 4, 1, 2]);
        assert_eq!(numbers(&seats, 5), [1, 2, 3, 4]);
        [2, 3].into_iter().for_each(|number| seats.end(number, 1));
        seats.free_finished();
        assert_eq!(numbers(&seats, 3), [4, 1]);
        assert_eq!(seats.live().map(|(number, _)| number).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn field_p1_counts_follow_every_change_of_a_seat() {
        const END: u64 = 9;
        let mut seats = seats_of(3);
        assert_eq!(seats.positions().lowest(), None, "nobody has proved a port");
        let now = Instant::now();
        let pay = |_, _| true;
        (1..=3).for_each(|number| seats.change(number, END, |seat| seat.prove(now)));
        assert!(seats.positions().has_resting(), "to be woken");
        seats.change_all(END, |seat| {
            seat.wake(&Ring::new(), now, &mut { pay });
        });
        assert!(seats.positions().has_behind());
        (1..=3).for_each(|number| {
            seats.change(number, END, |seat| {
                seat.advance(4, 9, true, now);
            })
        });
        assert!(seats.positions().has_resting() && !seats.positions().has_behind());
        seats.change_all(END, |seat| {
            seat.advance(END, 9, true, now);
        });
        assert_eq!(seats.positions().lowest(), Some(END));
        seats.change(2, END, |seat| seat.is_blocked = true);
        seats.change_in_turn(1, END + 1, |seat| {
            seat.advance(END + 1, 9, true, now);
            ControlFlow::Break(())
        });
        assert_eq!(seats.positions().lowest(), Some(END), "the third");
        seats.change(3, END + 1, |seat| {
            seat.advance(END + 1, 9, true, now);
        });
        assert_eq!(seats.positions().lowest(), Some(END + 1), "a full socket holds up nobody");
        seats.end_all(END + 1);
        assert!(seats.positions().has_finished() && seats.positions().has_blocked());
        seats.free_finished();
        assert!(!seats.positions().has_finished());
        seats.change(2, END + 1, |seat| seat.unblock(now));
        assert!(seats.positions().has_behind(), "it is still to get the last entry");
    }
}
