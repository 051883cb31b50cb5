//! The memory of what waits to be sent, of all rooms together.
//!
//! Each room has a bound of its own, which many rooms can reach at once. Beyond a sum, a room may
//! have only a little waiting: those that flood are refused, and those that are quiet do not notice.

use super::Chat;
use super::room::Room;
use crate::ids::RoomId;

/// What every room may have waiting, whatever the others have: two messages of the longest.
const GUARANTEED: usize = 8 * 1024;

impl Chat {
    /// Whether a room may have more waiting as far as the others go.
    pub(super) fn has_memory_for(&self, room: &Room) -> bool {
        !self.is_memory_scarce() || room.held_bytes() < GUARANTEED
    }

    /// Returns true if the backlog of all rooms has reached its limit.
    pub(super) fn is_memory_scarce(&self) -> bool {
        self.config.backlog_memory.is_some_and(|limit| self.backlog >= limit)
    }

    /// Brings the sum up to date with what a room has waiting now.
    pub(super) fn recount_backlog(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(room_id) {
            let held = room.held_bytes() + room.parts_bytes();
            self.backlog = self.backlog - room.counted_bytes + held;
            room.counted_bytes = held;
        }
    }
}
