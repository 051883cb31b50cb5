//! A room: its members by name, and the rules for newcomers. Its output is in its feed.

use std::collections::HashMap;
use std::rc::Rc;

use subtle::ConstantTimeEq;

use super::bans::Bans;
use super::closing::Closure;
use super::presence::Presence;
use super::visitors::Visitors;
use crate::delivery::shrink::shrink_map;
use crate::ids::MemberId;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// Names that it keeps space for.
const FEW: usize = 8;

/// What its creator wants of a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    pub(super) password: Option<&'a str>,
    pub(super) capacity: Option<u32>,
    pub(super) hidden: bool,
    /// How many earlier entries a newcomer may see.
    pub(super) history: u32,
}

/// A room, from its creation to the last good-bye.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Rc<str>,
    pub(super) hidden: bool,
    pub(super) host: MemberId,
    /// Who has made it: it counts as that peer's to its end, whoever the host is.
    pub(super) creator: Subnet,
    pub(super) presence: Presence,
    /// Set when the room is closed: nobody is a member any more, and farewells are being sent.
    pub(super) closure: Option<Closure>,
    password: Option<Box<str>>,
    capacity: Option<u32>,
    /// Limit for the earlier entries that a newcomer gets.
    pub(super) history: u32,
    pub(super) visitors: Visitors,
    /// Live members by name, as names are compared.
    names: HashMap<Box<str>, MemberId>,
    pub(super) bans: Bans,
    /// The number of the last member: none is used twice.
    last_number: u32,
    /// Members with a message of which parts have come, and when each may give way to another.
    pub(super) parts: Timers<MemberId>,
}

impl Room {
    pub(super) fn new(name: Rc<str>, host: MemberId, creator: Subnet, wishes: Wishes<'_>) -> Self {
        Self {
            name,
            hidden: wishes.hidden,
            host,
            creator,
            presence: Presence::default(),
            closure: None,
            password: wishes.password.map(Box::from),
            capacity: wishes.capacity,
            history: wishes.history,
            visitors: Visitors::default(),
            names: HashMap::new(),
            bans: Bans::default(),
            last_number: 0,
            parts: Timers::new(),
        }
    }

    // Who may come in.

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether this is the password; a room without one is open to any. The time it takes does not
    /// tell how much of it was right.
    pub(super) fn opens_with(&self, password: Option<&str>) -> bool {
        match &self.password {
            None => true,
            Some(own) => own.as_bytes().ct_eq(password.unwrap_or_default().as_bytes()).into(),
        }
    }

    /// Notes a subnet from which somebody has entered. Only a room with a password needs this.
    pub(super) fn note_visitor(&mut self, subnet: Subnet) {
        if self.has_password() {
            self.visitors.note(subnet);
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity.map(|capacity| capacity as usize)
    }

    // Who is in it.

    /// Live members.
    pub(super) fn population(&self) -> usize {
        self.names.len()
    }

    /// The live member of this name, as names are compared.
    pub(super) fn find(&self, folded: &str) -> Option<MemberId> {
        self.names.get(folded).copied()
    }

    /// Returns the number of the next member, or `None` when all were used: a number is never
    /// reused.
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

    /// Removes a member: its name is free.
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
        // It may be kept for a while, for those who ask what they missed; nobody comes in any more.
        self.bans = Bans::default();
        self.visitors = Visitors::default();
        std::mem::take(&mut self.names)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closure.is_some()
    }
}
