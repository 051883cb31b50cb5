//! Delivery: the entries that each member is still owed, their order, and the memory for them.
//!
//! A machine without a socket, a clock, names, passwords, tokens, addresses or languages. It knows
//! rooms and members by id only, and entries as bytes that somebody else has encoded. The chat
//! decides who may be in a room and what may be said there; [`Feeds`] sees to it that everybody
//! gets what they have to.
//!
//! Each room has a *feed*: logs of encoded entries, in which each member has a cursor. An entry
//! goes to the members at the moment of [`Feeds::append`]: a member that joins later starts behind
//! it, and a member that leaves later still gets it. [`Feeds::deliver`] hands waiting entries out in
//! jobs. Nothing is freed while it is walked: [`Feeds::poll_ended`] returns the members and rooms
//! that are delivered to the end.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `turn.rs` | a turn: waiting output, handed out in jobs |
//! | `lane.rs` | the three steps in which output of any kind is sent |
//! | `schedule.rs` | the order in which feeds have their turns |
//! | `feed.rs` | the output of one room |
//! | `plain.rs` | members in plain delivery: a datagram for each entry |
//! | `ordered/` | members in stream delivery: numbered entries, with repair |
//! | `unicast.rs` | datagrams to one member each |
//! | `reports.rs` | reports of members: proofs, confirmations, requests for repairs |
//! | `farewells.rs` | the last datagrams to members that have ended |
//! | `cursors.rs` | the cursors of all members in a log |
//! | `entry_log.rs`, `ring.rs` | encoded entries that wait, and those that may be repaired |
//! | `packing.rs` | entries packed into datagrams |
//! | `memory.rs` | memory of all feeds together |
//! | `wake.rs` | deadlines: tail probes, and members that catch up |
//! | `shrink.rs` | memory of tables that were large once |

#[cfg(test)]
mod carried_tests;
mod cursors;
mod entry_log;
mod farewells;
mod feed;
mod lane;
mod memory;
mod ordered;
mod packing;
mod plain;
mod reports;
mod ring;
mod schedule;
pub(crate) mod shrink;
mod turn;
mod unicast;
mod wake;

use farewells::Farewells;
use feed::Feed;
use lane::Workspace;
use memory::Memory;
use ordered::OrderedStream;
use ring::Ring;
use schedule::Schedule;
use wake::Alarm;

use crate::fanout::Audience;
use crate::ids::{MemberId, RoomId};
use crate::protocol::Delivery;
use crate::protocol::stream::Header;
use crate::slots::SecondaryMap;
use crate::subnet::Subnet;
use crate::timers::Timers;

pub use memory::MemoryLimits;
pub use ordered::{StreamOptions, StreamStart};

/// A member as an addressee of its room's feed.
#[derive(Clone, Copy, Debug)]
pub struct Recipient {
    /// The room.
    pub room: RoomId,
    /// The member.
    pub member: MemberId,
    /// The member's number in the room: cursors are found by it.
    pub number: u32,
    /// The form in which it gets entries.
    pub delivery: Delivery,
    /// True if its output travels on a connection, where nothing is lost.
    pub is_carried: bool,
}

/// The kind of an entry, which decides how much memory it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message from a member.
    Message {
        /// Bytes that it counts in a room without a stream, where no encoding tells them.
        size: usize,
    },
    /// A line from the server. Some memory is reserved for notices.
    Notice,
    /// The last notice of a room. It is never refused, because there is one for each room.
    LastNotice,
}

/// The limit that an entry has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// That of the room.
    Room,
    /// That of all rooms together.
    AllRooms,
}

/// An id that is free now: everything is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A member that has ended.
    Member(MemberId),
    /// A closed room. None of its members is left.
    Room(RoomId),
}

/// Counts for tests and metrics; all zero when no room is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Feeds that wait to be delivered.
    pub waiting: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Streams.
    pub streams: usize,
    /// Bytes of backlog.
    pub backlog: usize,
    /// Bytes that all rings together may hold.
    pub history: usize,
}

/// The feeds of all rooms.
#[derive(Debug)]
pub struct Feeds {
    feeds: SecondaryMap<RoomId, Feed>,
    /// Feeds with output to deliver.
    schedule: Schedule,
    /// Feeds whose remaining output waits for a socket to be writable.
    stalled: Vec<RoomId>,
    farewells: Farewells,
    memory: Memory,
    timers: Timers<Alarm>,
    /// Members and rooms that are delivered to the end, until [`Feeds::poll_ended`] returns them.
    ended_members: Vec<MemberId>,
    ended_rooms: Vec<RoomId>,
    work: Workspace,
}

impl Feeds {
    /// Returns feeds without rooms.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            feeds: SecondaryMap::new(),
            schedule: Schedule::default(),
            stalled: Vec::new(),
            farewells: Farewells::default(),
            memory: Memory::new(limits),
            timers: Timers::new(),
            ended_members: Vec::new(),
            ended_rooms: Vec::new(),
            work: Workspace::default(),
        }
    }

    // Rooms and members.

    /// Opens the feed of a new room. The rooms of one creator share one line of the schedule.
    pub fn open(&mut self, room: RoomId, creator: Subnet) {
        self.feeds.insert(room, Feed::new(self.schedule.enter(creator)));
    }

    /// Ends all members of a room. They still get what was appended.
    pub fn close(&mut self, room: RoomId) {
        let Some(feed) = self.feeds.get_mut(room) else { return };
        feed.close();
        if feed.ordered.is_some() {
            self.memory.rings.note_closed(room);
        }
        self.queue(room);
    }

    /// Adds a member, whose number is above all earlier ones of its room. It gets what is appended
    /// from now on.
    pub fn seat(&mut self, to: &Recipient, options: &StreamOptions) {
        let Some(feed) = self.feeds.get_mut(to.room) else { return };
        if to.delivery == Delivery::Stream && feed.ordered.is_none() {
            feed.ordered = Some(Box::new(OrderedStream::new(options.life)));
            self.memory.rings.open(to.room);
        }
        feed.seat(to, options);
    }

    /// Ends a member: it gets what was appended up to now.
    pub fn unseat(&mut self, to: &Recipient) {
        if let Some(feed) = self.feeds.get_mut(to.room) {
            feed.unseat(to);
        }
        self.queue(to.room);
    }

    /// Forgets a member that has ended, and may not ask for repairs any more.
    pub fn forget(&mut self, to: &Recipient) {
        // The room may be gone for long.
        let feed = self.feeds.get_mut(to.room);
        if !feed.as_ref().is_some_and(|feed| feed.has_plain_cursor(to)) {
            self.ended_members.push(to.member);
        }
        if let Some(ordered) = feed.and_then(|feed| feed.ordered.as_mut()) {
            ordered.drop_cursor(to.number);
        }
        self.end_if_empty(to.room);
    }

    /// Returns the live members of a room in the order of joining.
    pub fn members(&self, room: RoomId) -> impl Iterator<Item = MemberId> {
        self.feeds.get(room).into_iter().flat_map(Feed::members)
    }

    /// Returns the start of a member's stream, if it has one.
    pub fn stream_start(&self, to: &Recipient) -> Option<StreamStart> {
        self.feeds.get(to.room)?.ordered.as_ref()?.start_of(to.number)
    }

    /// Returns the header of a datagram without numbered entries to one member.
    pub fn header(&self, to: &Recipient) -> Header {
        let ordered = self.feeds.get(to.room).and_then(|feed| feed.ordered.as_ref());
        ordered.map_or(Header { tag: 0, sequence: 0 }, |ordered| ordered.header(to.number))
    }

    // Entries.

    /// Appends an entry for the members of a room. It is encoded once for each form that somebody takes.
    /// In stream delivery it goes to all members, because all share one order of entries; in plain
    /// delivery it goes to `audience`.
    ///
    /// # Errors
    /// The limit that was reached. Nothing is appended then.
    pub fn append(
        &mut self,
        room: RoomId,
        kind: Kind,
        audience: Audience,
        encode: impl Fn(Delivery, &mut Vec<u8>),
    ) -> Result<(), Full> {
        let size = self.encode_for_stream(room, kind, |out| encode(Delivery::Stream, out));
        if kind != Kind::LastNotice {
            self.make_ring_space(room, size);
        }
        let Some(feed) = self.feeds.get_mut(room) else { return Err(Full::Room) };
        if kind != Kind::LastNotice && !self.memory.has_space_for(feed) {
            return Err(Full::AllRooms);
        }
        if !feed.has_space_for(kind, size) {
            return Err(Full::Room);
        }
        let Workspace { pool, entry, .. } = &mut self.work;
        feed.append(kind, audience, entry, pool, |form, out| encode(Delivery::Plain(form), out));
        self.queue(room);
        Ok(())
    }

    /// Encodes an entry for the stream of its room, if there is one. Returns its size.
    fn encode_for_stream(
        &mut self,
        room: RoomId,
        kind: Kind,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        self.work.entry.clear();
        if self.feeds.get(room).is_some_and(|feed| feed.ordered.is_some()) {
            encode(&mut self.work.entry);
            return Ring::size_of(&self.work.entry);
        }
        match kind {
            Kind::Message { size } => size,
            // Their space in plain delivery does not depend on their size.
            Kind::Notice | Kind::LastNotice => 0,
        }
    }

    /// Returns true if a reply to one member of the room has space.
    pub fn has_space_for_unicast(&self, room: RoomId) -> bool {
        let feed = self.feeds.get(room);
        feed.is_some_and(|feed| feed.has_space_for_unicast() && self.memory.has_space_for(feed))
    }

    /// Appends a datagram for one member. In stream delivery, `encode` writes what follows the
    /// header.
    pub fn unicast(&mut self, to: &Recipient, encode: impl FnOnce(&mut Vec<u8>)) {
        if let Some(feed) = self.feeds.get_mut(to.room) {
            feed.unicast(to, &mut self.work.pool, encode);
        }
        self.queue(to.room);
    }

    /// Appends a datagram for a member that has ended. It goes out behind the output of all rooms.
    pub fn farewell(&mut self, member: MemberId, encode: impl FnOnce(&mut Vec<u8>)) {
        self.farewells.push(member, &mut self.work.pool, encode);
    }

    /// Returns the bytes of farewells that wait.
    pub fn farewell_bytes(&self) -> usize {
        self.farewells.waiting_bytes()
    }

    /// Sets the bytes that the owner keeps for a room outside of its feed: they count as backlog.
    pub fn reserve(&mut self, room: RoomId, bytes: usize) {
        if let Some(feed) = self.feeds.get_mut(room) {
            feed.reserved_bytes = bytes;
            self.memory.recount(feed);
        }
    }

    /// Returns true if the backlog of all rooms has reached its limit.
    pub fn is_memory_scarce(&self) -> bool {
        self.memory.is_scarce()
    }

    /// Drops everything that waits in a room. Returns the number of deliveries that were dropped at
    /// most.
    pub fn abandon(&mut self, room: RoomId) -> usize {
        self.feeds.get_mut(room).map_or(0, Feed::abandon)
    }

    // Ends.

    /// Returns true if [`Feeds::poll_ended`] would return something.
    pub fn has_ended(&self) -> bool {
        !self.ended_members.is_empty() || !self.ended_rooms.is_empty()
    }

    /// Returns the number of closed rooms that [`Feeds::poll_ended`] has still to return.
    pub fn ended_rooms(&self) -> usize {
        self.ended_rooms.len()
    }

    /// Removes and returns a member or a room that is delivered to the end. Members come first,
    /// because the end of a member needs its room. A member may be returned twice.
    pub fn poll_ended(&mut self) -> Option<Ended> {
        if let Some(member) = self.ended_members.pop() {
            return Some(Ended::Member(member));
        }
        while let Some(room) = self.ended_rooms.pop() {
            if let Some(feed) = self.feeds.remove(room) {
                self.drop_feed(room, feed);
                return Some(Ended::Room(room));
            }
        }
        None
    }

    fn drop_feed(&mut self, room: RoomId, feed: Feed) {
        self.schedule.leave(feed.line);
        if let Some(mut ordered) = feed.ordered {
            self.timers.set(Alarm::Tail(room), &mut ordered.tail.deadline, None);
            self.timers.set(Alarm::Rest(room), &mut ordered.rest, None);
            let is_there = |room| self.feeds.get(room).is_some();
            self.memory.rings.forget(room, ordered.ring.capacity(), is_there);
        }
    }

    /// Lists a closed room if nobody is left in it. A room in the schedule is listed after its turn.
    fn end_if_empty(&mut self, room: RoomId) {
        if let Some(feed) = self.feeds.get(room)
            && feed.is_closed
            && !feed.is_ready
            && !feed.is_stalled
            && feed.is_empty()
            && feed.is_delivered()
        {
            self.ended_rooms.push(room);
        }
    }

    /// Returns counts of everything.
    pub fn counts(&self) -> FeedCounts {
        FeedCounts {
            waiting: self.schedule.len() + self.stalled.len(),
            deadlines: self.timers.len(),
            streams: self.memory.rings.len(),
            backlog: self.memory.backlog,
            history: self.memory.rings.granted(),
        }
    }

    /// Puts a feed with output into the schedule, unless it is there.
    fn queue(&mut self, room: RoomId) {
        let Some(feed) = self.feeds.get_mut(room) else { return };
        self.memory.recount(feed);
        if !feed.is_ready {
            feed.is_ready = true;
            self.schedule.push_fresh(feed.line, room);
        }
    }

    fn ordered_mut(&mut self, room: RoomId) -> Option<&mut OrderedStream> {
        self.feeds.get_mut(room)?.ordered.as_deref_mut()
    }
}
