//! The memory of all feeds together: the backlog, and the rings that hold the history.
//!
//! Each feed has limits of its own, which many feeds can reach at once. Beyond the limit of all, a
//! feed may have only a little backlog: busy rooms are refused, and quiet ones do not notice.
//!
//! A ring grows as its room speaks, up to the limit of a room. When the rings reach the limit of
//! all, those of closed rooms go first, then the largest is halved: a busy room cannot take the
//! history of quiet ones.

use std::collections::{BTreeSet, VecDeque};

use super::Feeds;
use super::feed::Feed;
use super::ordered::OrderedStream;
use super::ring::{FIRST_CAPACITY, Ring};
use crate::ids::RoomId;
use crate::protocol::stream::parts::{MAX_PARTS, MAX_PARTS_SIZE};

/// Backlog that every feed may have, whatever the others have: two messages of the longest.
const GUARANTEED_BACKLOG: usize = 8 * 1024;

/// Bytes that every ring may have, whatever the limit of a room: enough for the longest message in
/// its parts. A ring that grows by doubling passes this size.
const LEAST_RING: usize = 8 * FIRST_CAPACITY;

/// Bytes that every ring may have within the limit of a room, however many and large the other
/// rings are: some two hundred lines of a chat. If rings of this size need more than
/// `--history-memory`, that limit is exceeded, or a peer with many rooms could take the history of
/// others.
const GUARANTEED_RING: usize = 16 * 1024;

const _: () = assert!(MAX_PARTS_SIZE + MAX_PARTS * size_of::<u32>() <= LEAST_RING);

/// Limits for the memory of all feeds, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Limit for the backlog of all feeds.
    pub backlog: Option<usize>,
    /// Limit for the rings of all feeds.
    pub history: Option<usize>,
    /// Limit for one ring.
    pub room_history: usize,
}

/// The memory in use.
#[derive(Debug)]
pub(super) struct Memory {
    limits: MemoryLimits,
    pub(super) backlog: usize,
    pub(super) rings: Rings,
}

impl Memory {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        Self { limits, backlog: 0, rings: Rings::default() }
    }

    /// Returns true if a feed may have more backlog as far as the others are concerned.
    pub(super) fn has_space_for(&self, feed: &Feed) -> bool {
        !self.is_scarce() || feed.held_bytes() < GUARANTEED_BACKLOG
    }

    /// Returns true if the backlog of all feeds has reached its limit.
    pub(super) fn is_scarce(&self) -> bool {
        self.limits.backlog.is_some_and(|limit| self.backlog >= limit)
    }

    /// Updates the sum with the present backlog of a feed.
    pub(super) fn recount(&mut self, feed: &mut Feed) {
        let held = feed.held_bytes() + feed.reserved_bytes;
        self.backlog = self.backlog - feed.counted_bytes + held;
        feed.counted_bytes = held;
    }
}

/// The memory that is granted to rings.
#[derive(Debug, Default)]
pub(super) struct Rings {
    granted: usize,
    /// Rings by capacity, so that the largest is found.
    by_capacity: BTreeSet<(usize, RoomId)>,
    /// Closed rooms, oldest first; some may be gone.
    closed: VecDeque<RoomId>,
}

impl Rings {
    /// Adds the ring of a room.
    pub(super) fn open(&mut self, room: RoomId) {
        self.granted += FIRST_CAPACITY;
        self.by_capacity.insert((FIRST_CAPACITY, room));
    }

    /// Notes that a room is closed: its ring is the first to go.
    pub(super) fn note_closed(&mut self, room: RoomId) {
        self.closed.push_back(room);
    }

    /// Removes the ring of a room that is gone; `is_there` returns true for rooms that are not.
    pub(super) fn forget(
        &mut self,
        room: RoomId,
        capacity: usize,
        is_there: impl Fn(RoomId) -> bool,
    ) {
        self.granted -= capacity;
        self.by_capacity.remove(&(capacity, room));
        // Rooms that were closed at one time may go in another order.
        while self.closed.front().is_some_and(|room| !is_there(*room)) {
            self.closed.pop_front();
        }
    }

    /// Returns the bytes that all rings together may hold.
    pub(super) fn granted(&self) -> usize {
        self.granted
    }

    /// Returns the number of rings.
    pub(super) fn len(&self) -> usize {
        self.by_capacity.len()
    }

    fn note_resized(&mut self, room: RoomId, old: usize, new: usize) {
        self.granted = self.granted - old + new;
        self.by_capacity.remove(&(old, room));
        self.by_capacity.insert((new, room));
    }
}

/// Memory in use, for tests.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Bytes that a ring may hold.
    pub(crate) ring_capacity: usize,
    /// Bytes of entries in a ring.
    pub(crate) ring_bytes: usize,
    /// Cursors for which a feed has memory.
    pub(crate) cursors: usize,
    /// Waiting bytes of repairs, or of unicasts if these are more.
    pub(crate) unicast_bytes: usize,
}

#[cfg(test)]
impl Feeds {
    /// Returns the memory of one feed.
    pub(crate) fn memory_of(&self, room: RoomId) -> MemoryUse {
        let feed = self.feeds.get(room).expect("a feed");
        let ordered = feed.ordered.as_deref();
        let ring = ordered.map(|ordered| &ordered.ring);
        let repairs = ordered.map_or(0, |ordered| ordered.repairs().waiting_bytes());
        MemoryUse {
            ring_capacity: ring.map_or(0, Ring::capacity),
            ring_bytes: ring.map_or(0, |ring| ring.size(ring.first(), ring.end())),
            cursors: feed.cursor_capacity(),
            unicast_bytes: repairs.max(feed.unicast.waiting_bytes()),
        }
    }

    /// Returns the bytes that all rings may hold together, and the number of closed rooms that are
    /// remembered.
    pub(crate) fn rings(&self) -> (usize, usize) {
        (self.memory.rings.granted, self.memory.rings.closed.len())
    }
}

impl Feeds {
    /// Lets a ring grow for an entry of `size` bytes if that is needed and allowed. It grows before
    /// it drops entries, and before entries that are still to be sent fill half of it.
    pub(super) fn make_ring_space(&mut self, room: RoomId, size: usize) {
        while let Some(ordered) = self.ordered(room)
            && ordered.wants_larger_ring(size)
        {
            let old = ordered.ring.capacity();
            let most = self.memory.limits.room_history.max(LEAST_RING);
            let new = (2 * old).min(most);
            if new > old && self.win_memory(new - old, new) {
                self.resize_ring(room, new);
            } else if old < GUARANTEED_RING.min(most) {
                self.resize_ring(room, GUARANTEED_RING.min(most));
            } else {
                return;
            }
        }
    }

    /// Takes memory from other rings for a ring that grows by `more` bytes to `size`. Returns false
    /// if there is not enough.
    fn win_memory(&mut self, more: usize, size: usize) -> bool {
        let Some(limit) = self.memory.limits.history else { return true };
        while self.memory.rings.granted + more > limit {
            let rings = &mut self.memory.rings;
            if let Some(closed) = rings.closed.pop_front() {
                self.resize_ring(closed, 0);
            } else if let Some((largest, room)) = rings.by_capacity.last().copied()
                && largest > size.max(GUARANTEED_RING)
            {
                self.resize_ring(room, (largest / 2).max(GUARANTEED_RING));
            } else {
                return size <= GUARANTEED_RING;
            }
        }
        true
    }

    fn resize_ring(&mut self, room: RoomId, capacity: usize) {
        let Some(ring) = self.ring_mut(room) else { return };
        let old = ring.capacity();
        ring.set_capacity(capacity);
        self.memory.rings.note_resized(room, old, capacity);
    }

    fn ordered(&self, room: RoomId) -> Option<&OrderedStream> {
        self.feeds.get(room)?.ordered.as_deref()
    }

    fn ring_mut(&mut self, room: RoomId) -> Option<&mut Ring> {
        Some(&mut self.feeds.get_mut(room)?.ordered.as_mut()?.ring)
    }
}
