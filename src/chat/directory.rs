//! Directory of rooms and members, by id, name and token.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::member::Member;
use super::room::Room;
use crate::ids::{MemberId, RoomId};
use crate::protocol::Token;
use crate::slots::Slots;

/// All rooms and members.
///
/// Every map whose keys a peer chooses hashes with std's randomly keyed hasher, so a peer can't
/// choose names or tokens that collide.
pub(super) struct Directory {
    pub(super) members: Slots<MemberId, Member>,
    pub(super) rooms: Slots<RoomId, Room>,
    /// Open rooms. A room that closes is removed at once, which frees its name.
    pub(super) names: HashMap<Rc<str>, RoomId>,
    /// Open rooms that are not hidden, in the order of the list.
    pub(super) listed: BTreeMap<Rc<str>, RoomId>,
    /// Live members. A member that ends is removed at once, so its token never works again.
    pub(super) tokens: HashMap<Token, MemberId>,
}

impl Directory {
    /// Returns a directory without rooms.
    pub(super) fn new() -> Self {
        Self {
            members: Slots::new(),
            rooms: Slots::new(),
            names: HashMap::new(),
            listed: BTreeMap::new(),
            tokens: HashMap::new(),
        }
    }

    /// Adds an open room.
    pub(super) fn add_room(&mut self, room: Room) -> RoomId {
        let (name, hidden) = (Rc::clone(&room.name), room.hidden);
        let id = self.rooms.insert(room);
        if !hidden {
            self.listed.insert(Rc::clone(&name), id);
        }
        self.names.insert(name, id);
        id
    }

    /// Frees the name of a room that closes.
    pub(super) fn remove_name(&mut self, name: &str) {
        self.names.remove(name);
        self.listed.remove(name);
    }

    /// Returns the room of a member.
    pub(super) fn room_of(&self, id: MemberId) -> Option<&Room> {
        self.rooms.get(self.members.get(id)?.room)
    }

    /// Returns the room of a member, to change it.
    pub(super) fn room_of_mut(&mut self, id: MemberId) -> Option<&mut Room> {
        self.rooms.get_mut(self.members.get(id)?.room)
    }

    /// Returns the open room of this name.
    pub(super) fn find_room(&self, name: &str) -> Option<(RoomId, &Room)> {
        let id = *self.names.get(name)?;
        Some((id, self.rooms.get(id)?))
    }

    /// Returns true if the token of the member works.
    fn has_token(&self, id: MemberId) -> bool {
        self.members.get(id).is_some_and(|member| self.tokens.get(&member.token) == Some(&id))
    }

    /// Returns the member, if it is live.
    pub(super) fn live(&self, id: MemberId) -> Option<&Member> {
        let is_open = self.room_of(id).is_some_and(|room| !room.is_closed());
        self.members.get(id).filter(|_| is_open && self.has_token(id))
    }

    /// Returns true if the member is still in the tables although its room is closed.
    pub(super) fn is_closing(&self, id: MemberId) -> bool {
        self.room_of(id).is_some_and(Room::is_closed) && self.has_token(id)
    }
}
