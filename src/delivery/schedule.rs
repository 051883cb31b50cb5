//! Decides which room's output is delivered next.
//!
//! Round robin by creator, not by room: all rooms that one subnet has created wait in one line, and
//! the lines take turns. So five hundred busy rooms of one creator delay another creator's room by
//! one room's turn only.
//!
//! Rooms that have just become busy (fresh) go before rooms with more output than one turn takes
//! (backlogged): a single message does not wait behind the backlogs of others.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use crate::ids::RoomId;
use crate::subnet::Subnet;

/// Limit for fresh rooms in a row: then a backlogged room has its turn.
const FRESH_IN_A_ROW: usize = 8;

/// Index of the line of one creator's rooms. A room keeps it while it lives, so that no hash
/// look-up is needed when it becomes busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineId(usize);

/// A creator with rooms.
#[derive(Debug)]
struct Line {
    creator: Subnet,
    /// Number of its rooms, busy or not.
    rooms: usize,
}

/// Busy rooms, each in the line of its creator.
#[derive(Debug, Default)]
struct Queue {
    /// Lines that are not empty, each once, in the order of their turns.
    turns: VecDeque<LineId>,
    /// Rooms of each line, by its index. A line keeps its memory while its creator has rooms, so
    /// that nothing is allocated when a room becomes busy again.
    lines: Vec<VecDeque<RoomId>>,
}

impl Queue {
    fn push(&mut self, line: LineId, room: RoomId) {
        if self.lines.len() <= line.0 {
            self.lines.resize_with(line.0 + 1, VecDeque::new);
        }
        if self.lines[line.0].is_empty() {
            self.turns.push_back(line);
        }
        self.lines[line.0].push_back(room);
    }

    /// Takes the first room of the line whose turn it is. The line goes to the back.
    fn pop(&mut self) -> Option<RoomId> {
        let line = self.turns.pop_front()?;
        let rooms = &mut self.lines[line.0];
        let room = rooms.pop_front();
        if !rooms.is_empty() {
            self.turns.push_back(line);
        }
        room
    }

    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn len(&self) -> usize {
        self.turns.iter().map(|line| self.lines[line.0].len()).sum()
    }

    /// Frees the memory of a line, which is empty because its rooms are gone.
    fn forget(&mut self, line: LineId) {
        if let Some(rooms) = self.lines.get_mut(line.0) {
            *rooms = VecDeque::new();
        }
    }
}

/// Rooms with output to deliver, each once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    lines: Slab<Line>,
    by_creator: HashMap<Subnet, LineId>,
    fresh: Queue,
    backlogged: Queue,
    /// Fresh rooms delivered since the last backlogged one.
    fresh_in_a_row: usize,
    /// Rooms that have only repairs left, and wait because the ration of repairs is used up.
    rationed: Vec<(LineId, RoomId)>,
}

impl Schedule {
    /// Returns the line for a new room of this creator.
    pub(super) fn enter(&mut self, creator: Subnet) -> LineId {
        let lines = &mut self.lines;
        let line = *self
            .by_creator
            .entry(creator)
            .or_insert_with(|| LineId(lines.insert(Line { creator, rooms: 0 })));
        self.lines[line.0].rooms += 1;
        line
    }

    /// Notes that a room is gone. It must not be busy.
    pub(super) fn leave(&mut self, line: LineId) {
        let Line { creator, rooms } = &mut self.lines[line.0];
        *rooms -= 1;
        if *rooms == 0 {
            self.by_creator.remove(creator);
            self.lines.remove(line.0);
            self.fresh.forget(line);
            self.backlogged.forget(line);
        }
    }

    /// Adds a room that has just become busy.
    pub(super) fn push_fresh(&mut self, line: LineId, room: RoomId) {
        self.fresh.push(line, room);
    }

    /// Adds a room that has output left after its turn.
    pub(super) fn push_backlogged(&mut self, line: LineId, room: RoomId) {
        self.backlogged.push(line, room);
    }

    /// Adds a room that has to wait for [`Schedule::end_ration`].
    pub(super) fn push_rationed(&mut self, line: LineId, room: RoomId) {
        self.rationed.push((line, room));
    }

    /// Ends the wait of rationed rooms: they are backlogged now.
    pub(super) fn end_ration(&mut self) {
        for (line, room) in self.rationed.drain(..) {
            self.backlogged.push(line, room);
        }
    }

    /// Removes and returns the room to deliver next: fresh rooms first, but a backlogged one after
    /// every few of them.
    pub(super) fn pop(&mut self) -> Option<RoomId> {
        if self.fresh_in_a_row < FRESH_IN_A_ROW
            && let Some(room) = self.fresh.pop()
        {
            self.fresh_in_a_row += 1;
            return Some(room);
        }
        self.fresh_in_a_row = 0;
        self.backlogged.pop().or_else(|| self.fresh.pop())
    }

    /// Returns true if no room is busy.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.backlogged.is_empty() && self.rationed.is_empty()
    }

    /// Returns the number of busy rooms.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.backlogged.len() + self.rationed.len()
    }

    /// Returns the number of creators with rooms.
    #[cfg(test)]
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;
    use std::net::Ipv4Addr;

    fn room(slot: u32) -> RoomId {
        RoomId(Key { slot, generation: 0 })
    }

    fn creator(number: u8) -> Subnet {
        Subnet::of(Ipv4Addr::new(192, 0, 2, number).into())
    }

    /// Takes all rooms, by their slots.
    fn drain(schedule: &mut Schedule) -> Vec<u32> {
        std::iter::from_fn(|| schedule.pop()).map(|room| room.0.slot).collect()
    }

    #[test]
    fn a4_creators_have_equal_shares() {
        let mut schedule = Schedule::default();
        let (many, one) = (creator(1), creator(2));
        for slot in 0..500 {
            let line = schedule.enter(many);
            schedule.push_fresh(line, room(slot));
        }
        for slot in [500, 501] {
            let line = schedule.enter(one);
            schedule.push_fresh(line, room(slot));
        }
        let order = drain(&mut schedule);
        assert_eq!(order[..6], [0, 500, 1, 501, 2, 3], "the lines take turns");
        assert_eq!((order.len(), schedule.is_empty()), (502, true));
    }

    #[test]
    fn a4_backlogged_creators_take_turns() {
        let mut schedule = Schedule::default();
        let [many, one] = [creator(1), creator(2)].map(|creator| schedule.enter(creator));
        (0..9).for_each(|slot| schedule.push_backlogged(many, room(slot)));
        schedule.push_backlogged(one, room(9));
        let mut order = Vec::new();
        for _ in 0..6 {
            let next = schedule.pop().expect("there is output for ever");
            let line = if next == room(9) { one } else { many };
            schedule.push_backlogged(line, next);
            order.push(next.0.slot);
        }
        assert_eq!(order, [0, 9, 1, 9, 2, 9]);
    }

    #[test]
    fn backlogged_goes_after_eight_fresh() {
        let mut schedule = Schedule::default();
        let line = schedule.enter(creator(1));
        (0..20).for_each(|slot| schedule.push_fresh(line, room(slot)));
        [20, 21].into_iter().for_each(|slot| schedule.push_backlogged(line, room(slot)));
        let order = drain(&mut schedule);
        assert_eq!((order[8], order[17], order[21]), (20, 21, 19));
    }

    #[test]
    fn rationed_rooms_wait() {
        let mut schedule = Schedule::default();
        let line = schedule.enter(creator(1));
        schedule.push_rationed(line, room(0));
        assert_eq!((schedule.pop(), schedule.is_empty(), schedule.len()), (None, false, 1));
        schedule.end_ration();
        assert_eq!((schedule.pop(), schedule.is_empty()), (Some(room(0)), true));
    }

    #[test]
    fn creator_without_rooms_is_forgotten() {
        let mut schedule = Schedule::default();
        let first = schedule.enter(creator(1));
        assert_eq!(schedule.enter(creator(1)), first, "one line for both rooms");
        schedule.push_fresh(first, room(0));
        assert_eq!(schedule.pop(), Some(room(0)));
        schedule.leave(first);
        assert_eq!(schedule.lines(), 1);
        schedule.leave(first);
        assert_eq!((schedule.lines(), schedule.by_creator.len()), (0, 0));
        assert_eq!(schedule.fresh.lines[first.0].capacity(), 0, "its memory is free");
    }
}
