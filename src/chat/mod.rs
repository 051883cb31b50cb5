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
//! | `resume.rs` | going on from another IP |
//! | `addresses.rs` | announced and proved addresses, and which member owns one |
//! | `inbound.rs` | datagrams: who speaks, what becomes of it |
//! | `read_clock.rs` | up to when what members sent was read |
//! | `stream_inbound.rs` | the same of stream members |
//! | `parts.rs` | what has come of messages in parts |
//! | `command.rs` | what begins with `/` |
//! | `bans.rs` | bans of a room, by name and by subnet |
//! | `leave.rs` | every way out: left, timed out, kicked |
//! | `closing.rs` | closing rooms, and removing their members in portions |
//! | `tombstones.rs` | telling those that have ended |
//! | `deliver.rs` | the waiting output, handed out in jobs |
//! | `room.rs`, `member.rs` | what they are called |
//! | `history.rs`, `backlog.rs` | the memory of all streams, and of all that waits |
//! | `rate_limit.rs` | how much a member may send |
//! | `subnet_buckets.rs` | token buckets of subnets, in bounded memory |
//! | `catching_up.rs` | waking members that catch up, and the limits for history |
//! | `auth_throttle.rs` | limits for wrong passwords and tokens |
//! | `passwords.rs` | checking passwords, now or with a delay |
//! | `listing.rs` | the list of rooms |
//! | `limits.rs` | how much of everything there may be |
//! | `presence.rs` | joined and left notices, merged when there are many |
//! | `quotas.rs` | usage of each peer: members, rooms, ports |
//! | `unresponsive.rs` | members that do not answer, and are sent less |
//! | `unproved.rs` | members that nothing can be sent to, and how many there may be |
//! | `replace.rs` | silent members that give way to a join under their name |
//! | `visitors.rs` | subnets that have shown a room's password |
//! | `alerts.rs` | limits that peers have reached, for the log |

mod addresses;
mod admission;
mod alerts;
mod auth_throttle;
mod bans;
mod catching_up;
mod closing;
mod command;
mod inbound;
mod leave;
mod limits;
mod listing;
mod member;
mod notify;
mod outcome;
mod parts;
mod passwords;
mod presence;
mod quotas;
mod rate_limit;
mod read_clock;
mod reap;
mod replace;
mod reply_budget;
mod resume;
mod room;
#[cfg(test)]
mod stream_tests;
mod subnet_buckets;
#[cfg(test)]
mod tests;
mod tombstones;
mod unproved;
mod unresponsive;
mod visitors;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::config::ChatConfig;
use crate::delivery::{Feeds, MemoryLimits};
use crate::ids::{MemberId, RoomId};
use crate::protocol::stream::Completion;
use crate::protocol::{Request, Status, Token};
use crate::slots::Slots;
use crate::subnet::Subnet;
use crate::timers::Timers;

pub use outcome::{DatagramOutcome, DropReason, MessageOutcome};

use alerts::Alerts;
use auth_throttle::AuthThrottle;
use closing::Closing;
use member::Member;
use quotas::Quotas;
use read_clock::ReadClock;
use room::Room;
use subnet_buckets::SubnetBuckets;
use tombstones::Tombstones;

/// What a request that succeeded gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A member more.
    Entered {
        /// Who.
        member: MemberId,
        /// Its secret.
        token: Token,
        /// What it has to know of its stream, if it takes one.
        stream: Option<Completion>,
    },
    /// A member goes on from another address, which is not proved yet.
    Resumed {
        /// Who.
        member: MemberId,
        /// Its secret.
        token: Token,
        /// What it has to know of its stream, if it takes one.
        stream: Option<Completion>,
    },
    /// The list of rooms, a JSON array.
    Rooms(Vec<u8>),
    /// No reply yet: the caller passes the request to [`Chat::handle_delayed_request`] later.
    Later {
        /// Time for that.
        at: Instant,
    },
}

/// What the timers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// A member may have been idle for too long.
    Idle(MemberId),
    /// A room's merged notice is due.
    Presence(RoomId),
    /// A member that has ended is to be told, or may be forgotten.
    Tombstone(MemberId),
    /// A peer may have too many unproved members.
    Unproved(Subnet),
    /// The next part of a member's message did not come in time.
    Parts(MemberId),
}

/// How much there is of everything; all zero when everyone is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rooms, those that still say good-bye, or may be asked for it, included.
    pub rooms: usize,
    /// Rooms that can be joined.
    pub open: usize,
    /// Members, those that still get their last datagrams, or may ask for them, included.
    pub members: usize,
    /// Tokens that work: live members.
    pub tokens: usize,
    /// Rooms that the list shows.
    pub listed: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Entries about peers: who has members or rooms, ports in use, who has guessed wrong.
    pub peers: usize,
    /// Rooms that wait to be delivered.
    pub waiting: usize,
    /// Members of closed rooms that are still in the tables.
    pub closing: usize,
    /// Members that have ended and may still be told.
    pub tombstones: usize,
    /// Ended members that have an address and are not freed yet.
    pub ended: usize,
    /// Streams.
    pub streams: usize,
    /// Bytes of memory in use for what waits to be sent.
    pub backlog: usize,
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
    quotas: Quotas,
    /// Members that have lost their address, until [`Chat::poll_withdrawn`] returns them.
    withdrawn: Vec<MemberId>,
    /// Peers that may have too many unproved members, by when those are to be removed.
    excesses: HashMap<Subnet, Instant>,
    auth_throttle: AuthThrottle,
    /// History that subnets were sent recently.
    history_debts: SubnetBuckets,
    alerts: Alerts,
    timers: Timers<Alarm>,
    feeds: Feeds,
    closing: Closing,
    tombstones: Tombstones,
    read_clock: ReadClock,
    notice: String,
}

impl Chat {
    /// A chat without rooms.
    pub fn new(config: ChatConfig) -> Self {
        Self {
            auth_throttle: AuthThrottle::new(config.debtors),
            history_debts: SubnetBuckets::new(config.debtors),
            members: Slots::new(),
            rooms: Slots::new(),
            names: HashMap::new(),
            listed: BTreeMap::new(),
            tokens: HashMap::new(),
            quotas: Quotas::default(),
            withdrawn: Vec::new(),
            excesses: HashMap::new(),
            alerts: Alerts::default(),
            timers: Timers::new(),
            feeds: Feeds::new(MemoryLimits {
                backlog: config.backlog_memory,
                history: config.history_memory,
                room_history: config.room_history,
            }),
            closing: Closing::default(),
            tombstones: Tombstones::default(),
            read_clock: ReadClock::default(),
            notice: String::new(),
            config,
        }
    }

    /// Does what a request from `peer` asks. `draw` gives 128 random bits, or nothing if there is no
    /// randomness to be had: for the token of a new member, and for a new stream. A list is cut to
    /// `max_list` bytes.
    ///
    /// # Errors
    /// The status that says why not; nothing has changed then.
    pub fn handle_request(
        &mut self,
        peer: IpAddr,
        request: &Request<'_>,
        draw: impl FnMut() -> Option<[u8; 16]>,
        max_list: usize,
        now: Instant,
    ) -> Result<Reply, Status> {
        let peer = peer.to_canonical();
        if let Request::Join(guest) = request
            && let Some(at) = self.delay_password(peer, guest, now)?
        {
            return Ok(Reply::Later { at });
        }
        self.carry_out(peer, request, draw, max_list, false, now)
    }

    /// Carries out a request that was answered with [`Reply::Later`], at the time of that reply.
    ///
    /// # Errors
    /// As [`Chat::handle_request`].
    pub fn handle_delayed_request(
        &mut self,
        peer: IpAddr,
        request: &Request<'_>,
        draw: impl FnMut() -> Option<[u8; 16]>,
        max_list: usize,
        now: Instant,
    ) -> Result<Reply, Status> {
        self.carry_out(peer.to_canonical(), request, draw, max_list, true, now)
    }

    /// With `is_counted`, a wrong password was counted before.
    fn carry_out(
        &mut self,
        peer: IpAddr,
        request: &Request<'_>,
        draw: impl FnMut() -> Option<[u8; 16]>,
        max_list: usize,
        is_counted: bool,
        now: Instant,
    ) -> Result<Reply, Status> {
        match request {
            Request::List { prefix, after } => {
                Ok(Reply::Rooms(self.list(prefix.as_deref(), after.as_deref(), max_list)))
            }
            Request::Create { host, capacity, hidden } => {
                self.create(peer, host, (*capacity, *hidden), draw, now)
            }
            Request::Join(guest) => self.join(peer, guest, draw, is_counted, now),
            Request::Resume { room, token } => self.resume(peer, room, *token, now),
        }
    }

    /// Everything that had arrived by then was handed over: until the next call, nobody counts as
    /// silent for longer.
    pub fn note_read(&mut self, until: Instant) {
        self.read_clock.note_read(until);
    }

    /// When [`Chat::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let auth = self.auth_throttle.next_deadline();
        let deadlines = [self.timers.next(), self.feeds.poll_timeout(), auth];
        deadlines.into_iter().flatten().min()
    }

    /// Acts on deadlines that are not after `now`, at most `budget` of them.
    pub fn handle_timeout(&mut self, now: Instant, budget: usize) {
        for _ in 0..budget {
            // The earlier deadline goes first, so that neither kind waits for all of the other.
            let feeds_at = self.feeds.poll_timeout();
            let own_at = self.timers.next();
            if feeds_at.is_some_and(|at| own_at.is_none_or(|own_at| at <= own_at))
                && self.handle_feed_timeout(now)
            {
                continue;
            }
            match self.timers.pop_due(now) {
                Some((_, Alarm::Idle(member))) => self.expire_member(member, now),
                Some((_, Alarm::Presence(room))) => self.flush_presence(room),
                Some((_, Alarm::Tombstone(member))) => self.expire_tombstone(member, now),
                Some((_, Alarm::Unproved(peer))) => self.expire_unproved(peer, now),
                Some((_, Alarm::Parts(member))) => self.expire_parts(member, now),
                None if self.auth_throttle.expire(now) => {}
                None => return,
            }
        }
    }

    fn handle_feed_timeout(&mut self, now: Instant) -> bool {
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.handle_timeout(now, |member, bytes| limits.pay(member, bytes))
    }

    /// How much there is of everything.
    pub fn census(&self) -> Census {
        let feeds = self.feeds.counts();
        Census {
            rooms: self.rooms.len(),
            open: self.names.len(),
            members: self.members.len(),
            tokens: self.tokens.len() - self.closing.len(),
            listed: self.listed.len(),
            deadlines: self.timers.len() + feeds.deadlines,
            peers: self.quotas.len() + self.auth_throttle.len(),
            waiting: feeds.waiting,
            closing: self.closing.len(),
            tombstones: self.tombstones.len(),
            ended: self.quotas.ended_len(),
            streams: feeds.streams,
            backlog: feeds.backlog,
        }
    }
}
