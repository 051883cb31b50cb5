//! A room: its members by name, and the rules for newcomers. Its output is in its feed.

use std::collections::HashMap;
use std::rc::Rc;

use subtle::ConstantTimeEq;

use super::ban_list::Bans;
use super::closing::Closure;
use super::path::Path;
use super::presence::Presence;
use super::visitors::Visitors;
use crate::delivery::shrink::shrink_map;
use crate::ids::MemberId;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// Names for which a room keeps memory after its members have left.
const FEW: usize = 8;

/// The settings that the creator chooses for a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomSettings<'a> {
    pub(super) password: Option<&'a str>,
    pub(super) capacity: Option<u32>,
    pub(super) hidden: bool,
    pub(super) sealed_only: bool,
    /// Limit for the earlier entries that a newcomer gets.
    pub(super) history: u32,
}

/// A room, from its creation to its last farewell.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Rc<str>,
    pub(super) hidden: bool,
    /// True if only members on encrypted paths may enter.
    pub(super) sealed_only: bool,
    pub(super) host: MemberId,
    /// The peer that has created it. The room counts as that peer's to its end, whoever is host.
    pub(super) creator: Subnet,
    pub(super) presence: Presence,
    /// Set when the room is closed: it has no live members, and farewells are being sent.
    pub(super) closure: Option<Closure>,
    password: Option<Box<str>>,
    capacity: Option<u32>,
    /// Limit for the earlier entries that a newcomer gets.
    pub(super) history: u32,
    pub(super) visitors: Visitors,
    /// Live members by folded name.
    names: HashMap<Box<str>, MemberId>,
    pub(super) bans: Bans,
    /// The number of the last member. No number is used twice.
    last_number: u32,
    /// Members with an unfinished message, by the time at which another may take its buffer.
    pub(super) parts: Timers<MemberId>,
}

impl Room {
    pub(super) fn new(
        name: Rc<str>,
        host: MemberId,
        creator: Subnet,
        settings: RoomSettings<'_>,
    ) -> Self {
        Self {
            name,
            hidden: settings.hidden,
            sealed_only: settings.sealed_only,
            host,
            creator,
            presence: Presence::default(),
            closure: None,
            password: settings.password.map(Box::from),
            capacity: settings.capacity,
            history: settings.history,
            visitors: Visitors::default(),
            names: HashMap::new(),
            bans: Bans::default(),
            last_number: 0,
            parts: Timers::new(),
        }
    }

    // Rules for newcomers.

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Returns true if the password is right. A room without a password accepts any. The comparison
    /// takes constant time, so the time tells nothing about the password.
    pub(super) fn opens_with(&self, password: Option<&str>) -> bool {
        match &self.password {
            None => true,
            Some(own) => own.as_bytes().ct_eq(password.unwrap_or_default().as_bytes()).into(),
        }
    }

    /// Returns true if a member on this path may enter (E9).
    pub(super) fn admits(&self, path: Path) -> bool {
        !self.sealed_only || path.is_encrypted()
    }

    /// Notes a subnet from which the room was entered. Only rooms with a password need it.
    pub(super) fn note_visitor(&mut self, subnet: Subnet) {
        if self.has_password() {
            self.visitors.note(subnet);
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity.map(|capacity| capacity as usize)
    }

    // Members.

    /// Returns the number of live members.
    pub(super) fn population(&self) -> usize {
        self.names.len()
    }

    /// Returns the live member with this folded name.
    pub(super) fn find(&self, folded: &str) -> Option<MemberId> {
        self.names.get(folded).copied()
    }

    /// Returns the number of the next member, or `None` if all were used.
    pub(super) fn next_number(&self) -> Option<u32> {
        self.last_number.checked_add(1)
    }

    #[cfg(test)]
    pub(super) fn skip_numbers(&mut self, last: u32) {
        self.last_number = last;
    }

    /// Adds a member under [`Room::next_number`].
    pub(super) fn add(&mut self, member: MemberId, number: u32, folded: Box<str>) {
        self.last_number = number;
        self.names.insert(folded, member);
    }

    /// Removes a member, which frees its name.
    pub(super) fn remove(&mut self, folded: &str) {
        self.names.remove(folded);
        shrink_map(&mut self.names, FEW);
    }

    /// Returns the number of names for which it has memory.
    #[cfg(test)]
    pub(super) fn name_capacity(&self) -> usize {
        self.names.capacity()
    }

    /// Ends all members. Returns their names, because freeing them takes time.
    pub(super) fn close(&mut self, closure: Closure) -> HashMap<Box<str>, MemberId> {
        self.closure = Some(closure);
        // The room may stay for a while, for members that request repairs. Nobody can enter it any more.
        self.bans = Bans::default();
        self.visitors = Visitors::default();
        std::mem::take(&mut self.names)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closure.is_some()
    }
}
