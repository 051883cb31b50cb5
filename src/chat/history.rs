//! The memory of all rings together.
//!
//! A ring grows as its room speaks, up to the limit of a room. When the rings of all rooms have used
//! up what there is, those of closed rooms go first, then the largest is halved: a busy room can't
//! take the past of the quiet ones.

use std::collections::{BTreeSet, VecDeque};

use super::Chat;
use crate::delivery::ordered::{FIRST_CAPACITY, OrderedStream, Ring};
use crate::ids::RoomId;
use crate::protocol::stream::parts::{MAX_PARTS, MAX_PARTS_SIZE};

/// Bytes that every ring may have, whatever the limit of a room: enough for the longest message in
/// its parts. A ring that grows by doubling passes this size.
const LEAST: usize = 8 * FIRST_CAPACITY;

/// Bytes that every ring may have within the limit of a room, however many and large the other
/// rings are: some two hundred lines of a chat. If rings of this size need more than
/// `--history-memory`, that limit is exceeded, or a peer with many rooms could take the history of
/// others.
const GUARANTEED: usize = 16 * 1024;

const _: () = assert!(MAX_PARTS_SIZE + MAX_PARTS * size_of::<u32>() <= LEAST);

/// What is granted to rings.
#[derive(Debug, Default)]
pub(super) struct History {
    granted: usize,
    /// By capacity, so that the largest is found.
    rings: BTreeSet<(usize, RoomId)>,
    /// Closed rooms, oldest first; some may be gone.
    closed: VecDeque<RoomId>,
}

impl History {
    /// A room has a ring from now on.
    pub(super) fn open(&mut self, room: RoomId) {
        self.granted += FIRST_CAPACITY;
        self.rings.insert((FIRST_CAPACITY, room));
    }

    /// A room is closed: its ring is the first to go.
    pub(super) fn note_closed(&mut self, room: RoomId) {
        self.closed.push_back(room);
    }

    /// A room is gone, and its ring of this capacity with it; `is_there` tells which are not.
    pub(super) fn forget(
        &mut self,
        room: RoomId,
        capacity: usize,
        is_there: impl Fn(RoomId) -> bool,
    ) {
        self.granted -= capacity;
        self.rings.remove(&(capacity, room));
        // Rooms that were closed at one time may go in another order.
        while self.closed.front().is_some_and(|room| !is_there(*room)) {
            self.closed.pop_front();
        }
    }

    /// How many rings there are.
    pub(super) fn len(&self) -> usize {
        self.rings.len()
    }

    /// What all rings have together.
    #[cfg(test)]
    pub(super) fn granted(&self) -> usize {
        self.granted
    }

    /// How many closed rooms it knows.
    #[cfg(test)]
    pub(super) fn closed_len(&self) -> usize {
        self.closed.len()
    }

    fn note_resized(&mut self, room: RoomId, old: usize, new: usize) {
        self.granted = self.granted - old + new;
        self.rings.remove(&(old, room));
        self.rings.insert((new, room));
    }
}

impl Chat {
    /// Lets a room's ring grow, if it must for an entry of so many bytes and may: before it pushes
    /// anything out, and before what is still to be sent fills half of it.
    pub(super) fn make_ring_space(&mut self, room: RoomId, entry: usize) {
        while let Some(stream) = self.stream_of(room)
            && stream.wants_larger_ring(entry)
        {
            let (old, most) = (stream.ring.capacity(), self.config.room_history.max(LEAST));
            let new = (2 * old).min(most);
            if new > old && self.win_memory(new - old, new) {
                self.resize_ring(room, new);
            } else if old < GUARANTEED.min(most) {
                self.resize_ring(room, GUARANTEED.min(most));
            } else {
                return;
            }
        }
    }

    /// Frees memory of others for a ring that would then have so much. Gives whether there is enough.
    fn win_memory(&mut self, more: usize, size: usize) -> bool {
        let Some(limit) = self.config.history_memory else { return true };
        while self.history.granted + more > limit {
            if let Some(closed) = self.history.closed.pop_front() {
                self.resize_ring(closed, 0);
            } else if let Some((largest, room)) = self.history.rings.last().copied()
                && largest > size.max(GUARANTEED)
            {
                self.resize_ring(room, (largest / 2).max(GUARANTEED));
            } else {
                return size <= GUARANTEED;
            }
        }
        true
    }

    fn resize_ring(&mut self, room: RoomId, capacity: usize) {
        let Some(ring) = self.ring_mut(room) else { return };
        let old = ring.capacity();
        ring.set_capacity(capacity);
        self.history.note_resized(room, old, capacity);
    }

    fn stream_of(&self, room: RoomId) -> Option<&OrderedStream> {
        self.rooms.get(room)?.stream.as_deref()
    }

    fn ring_mut(&mut self, room: RoomId) -> Option<&mut Ring> {
        Some(&mut self.rooms.get_mut(room)?.stream.as_mut()?.ring)
    }
}
