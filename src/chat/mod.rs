//! The chat: rooms, members and tokens as a machine that can be held in the hand.
//!
//! It has no socket, no clock and no randomness of its own. Requests and datagrams are handed in
//! with the time ([`Chat::handle_request`], [`Chat::handle_datagram`], [`Chat::handle_timeout`]);
//! what is to be sent is taken out as jobs, bytes and the members who get them
//! ([`Chat::deliver`]). It knows members by id and by the IP and port that they proved, never by a
//! socket, so a seeded simulation can run years of it.
//!
//! A room is a log of encoded entries and a member is a cursor into it. The audience of an entry is
//! that of the moment it was taken: who joins later starts behind it, who leaves later still gets
//! it. Nothing that is being walked is freed: members and rooms that end are marked, delivered to,
//! and collected by [`Chat::reap`].
//!
//! | file | what it owns |
//! | --- | --- |
//! | `admission.rs` | create and join: who gets in, which status wins |
//! | `hearing.rs` | datagrams: who speaks, what becomes of it |
//! | `command.rs` | what begins with `/` |
//! | `leaving.rs` | every way out: left, timed out, kicked, room closed |
//! | `deliver.rs` | the waiting output, handed out in jobs |
//! | `room.rs`, `member.rs`, `log.rs` | what they are called |
//! | `allowance.rs` | a member's message rate |
//! | `arrivals.rs` | joined and left notices, merged when there are many |
//! | `proofs.rs` | proved ports, and how many members of an IP have none |

mod admission;
mod allowance;
mod arrivals;
mod command;
mod deliver;
mod hearing;
mod leaving;
mod log;
mod member;
mod proofs;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;

use crate::config::ChatConfig;
use crate::fanout::{Audience, Share};
use crate::ids::{MemberId, RoomId};
use crate::protocol::{Notice, Request, Status, Token};
use crate::slots::Slots;
use crate::timers::Timers;

pub use hearing::{Dropped, Fate, Heard};

use log::Pool;
use member::Member;
use proofs::Proofs;
use room::Room;

/// What a request that succeeded gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A member more, and its secret.
    Entered {
        /// Who.
        member: MemberId,
        /// The secret.
        token: Token,
    },
    /// The list of rooms, a JSON array.
    Rooms(Vec<u8>),
}

/// What the timers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// A member may have been idle for too long.
    Idle(MemberId),
    /// A room's merged notice is due.
    Crowd(RoomId),
}

/// How much there is of everything; all zero when everyone is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rooms, those that still say good-bye included.
    pub rooms: usize,
    /// Members, those that still get their last datagrams included.
    pub members: usize,
    /// Tokens that work: live members.
    pub tokens: usize,
    /// Rooms that the list shows.
    pub listed: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Entries about addresses: IPs with unproved members, ports in use.
    pub proofs: usize,
    /// Rooms that wait to be delivered.
    pub waiting: usize,
}

/// All rooms and members.
///
/// Every map whose keys a peer chooses hashes with std's randomly keyed hasher, so nobody can pick
/// names, addresses or tokens that collide.
pub struct Chat {
    config: ChatConfig,
    members: Slots<MemberId, Member>,
    rooms: Slots<RoomId, Room>,
    /// Rooms that can be joined. A room that closes is taken out at once: its name is free.
    names: HashMap<Rc<str>, RoomId>,
    /// The same without the hidden ones, in the order of the list.
    listed: BTreeMap<Rc<str>, RoomId>,
    /// Live members. A member that ends is taken out at once: its token never works again.
    tokens: HashMap<Token, MemberId>,
    proofs: Proofs,
    timers: Timers<Alarm>,
    /// Rooms with output to deliver, each once: those that have had nothing to deliver before, and
    /// those whose output was more than a quantum. The first go first, so that a quiet room's line
    /// does not stand in one queue with the backlogs of busy ones.
    fresh: VecDeque<RoomId>,
    backlogged: VecDeque<RoomId>,
    /// Fresh rooms delivered since the last backlogged one.
    fresh_in_a_row: usize,
    /// Rooms whose remaining output waits for a socket to be writable.
    stalled: Vec<RoomId>,
    /// Members and rooms that are delivered to the end, to be freed by [`Chat::reap`].
    ended: Vec<MemberId>,
    closed: Vec<RoomId>,
    pool: Pool,
    shares: Vec<Share>,
    notice: String,
}

impl Chat {
    /// A chat without rooms.
    pub fn new(config: ChatConfig) -> Self {
        Self {
            config,
            members: Slots::new(),
            rooms: Slots::new(),
            names: HashMap::new(),
            listed: BTreeMap::new(),
            tokens: HashMap::new(),
            proofs: Proofs::default(),
            timers: Timers::new(),
            fresh: VecDeque::new(),
            backlogged: VecDeque::new(),
            fresh_in_a_row: 0,
            stalled: Vec::new(),
            ended: Vec::new(),
            closed: Vec::new(),
            pool: Pool::default(),
            shares: Vec::new(),
            notice: String::new(),
        }
    }

    /// Does what a request from `peer` asks. `draw` gives the token of the member, should there be a
    /// new one: 128 random bits, or nothing if there is no randomness to be had. A list is cut to
    /// `max_list` bytes.
    ///
    /// # Errors
    /// The status that says why not; nothing has changed then.
    pub fn handle_request(
        &mut self,
        peer: IpAddr,
        request: &Request<'_>,
        draw: impl FnOnce() -> Option<Token>,
        max_list: usize,
        now: Instant,
    ) -> Result<Reply, Status> {
        let peer = peer.to_canonical();
        match request {
            Request::List { prefix } => Ok(Reply::Rooms(self.list(prefix, max_list))),
            Request::Create { host, capacity, hidden } => {
                self.create(peer, host, *capacity, *hidden, draw, now)
            }
            Request::Join(guest) => self.join(peer, guest, draw, now),
            Request::Resume { .. } => Err(Status::Malformed),
        }
    }

    /// When [`Chat::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Acts on deadlines that are not after `now`, at most `budget` of them.
    pub fn handle_timeout(&mut self, now: Instant, budget: usize) {
        for _ in 0..budget {
            match self.timers.pop_due(now) {
                Some((_, Alarm::Idle(member))) => self.expire_member(member, now),
                Some((_, Alarm::Crowd(room))) => self.end_crowd(room),
                None => return,
            }
        }
    }

    /// How much there is of everything.
    pub fn census(&self) -> Census {
        Census {
            rooms: self.rooms.len(),
            members: self.members.len(),
            tokens: self.tokens.len(),
            listed: self.listed.len(),
            deadlines: self.timers.len(),
            proofs: self.proofs.len(),
            waiting: self.fresh.len() + self.backlogged.len() + self.stalled.len(),
        }
    }

    /// The rooms whose names begin with `prefix`, by name, as a JSON array of at most `max` bytes.
    fn list(&self, prefix: &[u8], max: usize) -> Vec<u8> {
        let mut out = vec![b'['];
        // Names are UTF-8: nothing begins with what is not.
        let Ok(prefix) = str::from_utf8(prefix) else { return b"[]".to_vec() };
        let matching = self
            .listed
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix));
        for (name, id) in matching {
            let Some(room) = self.rooms.get(*id) else { continue };
            let start = out.len();
            if start > 1 {
                out.push(b',');
            }
            let row = ListedRoom {
                room: name,
                members: room.population(),
                capacity: self.capacity_of(room),
                password: room.has_password(),
            };
            // Strings, numbers and bools into a Vec: there is nothing to fail.
            if serde_json::to_writer(&mut out, &row).is_err() || out.len() + 1 > max {
                out.truncate(start);
                break;
            }
        }
        out.push(b']');
        out
    }

    /// The capacity in force: the room's own or the server's limit of members, whichever is less;
    /// 0 where neither is set.
    fn capacity_of(&self, room: &Room) -> usize {
        match (room.capacity(), self.config.max_members) {
            (Some(own), Some(all)) => own.min(all),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0,
        }
    }

    /// Appends a notice for `audience` to the room's log. A notice that finds the room's share of
    /// memory full is dropped.
    fn append_notice(&mut self, room_id: RoomId, notice: Notice<'_>, audience: Audience) {
        if self.rooms.get(room_id).is_some_and(Room::has_space_for_notice) {
            self.append_last_words(room_id, notice, audience);
        }
    }

    /// As [`Chat::append_notice`], for a notice that must not be dropped: there is one for each room.
    fn append_last_words(&mut self, room_id: RoomId, notice: Notice<'_>, audience: Audience) {
        self.notice.clear();
        notice.write(self.config.language, &mut self.notice);
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        room.append_notice(&self.notice, audience, &mut self.pool);
        self.queue(room_id);
    }

    /// Tells a member alone. An answer that finds the room's share of memory full is dropped.
    fn answer(&mut self, id: MemberId, notice: Notice<'_>) {
        if self.has_space_to_answer(id) {
            self.tell_last(id, notice);
        }
    }

    /// As [`Chat::answer`], for a notice that must not be dropped: there is at most one for each
    /// member, so memory stays bounded.
    fn tell_last(&mut self, id: MemberId, notice: Notice<'_>) {
        self.notice.clear();
        notice.write(self.config.language, &mut self.notice);
        self.append_aside(id);
    }

    fn has_space_to_answer(&self, id: MemberId) -> bool {
        let room = self.members.get(id).and_then(|member| self.rooms.get(member.room));
        room.is_some_and(Room::has_space_for_notice)
    }

    /// Appends the text that was written to `self.notice` for one member.
    fn append_aside(&mut self, id: MemberId) {
        let Some(member) = self.members.get(id) else { return };
        let (room_id, form) = (member.room, member.form);
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        room.append_aside(id, form, &self.notice, &mut self.pool);
        self.queue(room_id);
    }

    /// Puts a room in the queue of those that have something to deliver, unless it is in one.
    fn queue(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(room_id)
            && !room.is_ready
        {
            room.is_ready = true;
            self.fresh.push_back(room_id);
        }
    }
}

#[derive(Serialize)]
struct ListedRoom<'a> {
    room: &'a str,
    members: usize,
    capacity: usize,
    password: bool,
}
