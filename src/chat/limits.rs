//! Limits for rooms and members: in all, of one peer, and of one room.

use super::Chat;
use super::room::Room;
use crate::subnet::Subnet;

impl Chat {
    /// Returns true if a peer may have no further member.
    pub(super) fn has_members_enough(&self, peer: Subnet) -> bool {
        is_reached(self.peers.quotas.usage(peer).members, self.config.max_members_ip)
    }

    /// Returns true if a peer may have no further carried member.
    pub(super) fn has_carried_enough(&self, peer: Subnet) -> bool {
        is_reached(self.peers.quotas.usage(peer).carried, self.config.max_carried_ip)
    }

    /// Returns true if a peer may create no further room.
    pub(super) fn has_rooms_enough(&self, peer: Subnet) -> bool {
        is_reached(self.peers.quotas.usage(peer).rooms, self.config.max_rooms_ip)
    }

    /// Returns true if no further room is allowed, once `closing` rooms have closed.
    pub(super) fn has_too_many_rooms(&self, closing: usize) -> bool {
        is_full(self.directory.names.len() - closing, self.config.max_rooms)
    }

    /// Returns true if no further member is allowed, once `leaving` members have left.
    pub(super) fn has_too_many_members(&self, leaving: usize) -> bool {
        is_full(self.directory.tokens.len() - self.closing.len() - leaving, self.config.max_members)
    }

    /// Returns true if a room has no place for a further member, once `leaving` members have left.
    pub(super) fn has_no_place(&self, room: &Room, leaving: usize) -> bool {
        let is_limited = self.has_members_enough_in(room, leaving);
        is_limited || is_full(room.population() - leaving, room.capacity())
    }

    /// Returns true if the room has reached the server's own limit for a room, once `leaving`
    /// members have left.
    pub(super) fn has_members_enough_in(&self, room: &Room, leaving: usize) -> bool {
        is_full(room.population() - leaving, self.config.max_room_members)
    }

    /// Returns true if members and tombstones reach the limit of members, or closed rooms the limit
    /// of rooms.
    pub(super) fn has_too_many_tombstones(&self) -> bool {
        // Rooms that are to be reaped do not count.
        let rooms = self
            .directory
            .rooms
            .len()
            .saturating_sub(self.directory.names.len() + self.feeds.ended_rooms());
        self.has_too_many_in_tables() || is_full(rooms, self.config.max_rooms)
    }

    /// Returns true if members, closing ones included, and tombstones reach the limit of members.
    pub(super) fn has_too_many_in_tables(&self) -> bool {
        is_full(self.directory.tokens.len() + self.tombstones.len(), self.config.max_members)
    }

    /// Returns the capacity in force: the lowest of the room's own limit, the server's limit for a
    /// room and the limit of all members. Without any limit it is 0.
    pub(super) fn capacity_of(&self, room: &Room) -> usize {
        let limits = [room.capacity(), self.config.max_room_members, self.config.max_members];
        limits.into_iter().flatten().min().unwrap_or(0)
    }
}

fn is_full(count: usize, limit: Option<usize>) -> bool {
    limit.is_some_and(|limit| count >= limit)
}

fn is_reached(count: u32, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| count >= limit)
}
