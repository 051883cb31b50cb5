//! The chat: who is in which room, and who may say what.
//!
//! It is a machine without a socket, a clock and randomness. The owner passes in requests and
//! datagrams together with the time ([`Chat::handle_request`], [`Chat::handle_datagram`],
//! [`Chat::handle_timeout`]), and takes out jobs: bytes and the members that get them
//! ([`Chat::deliver`]). So a seeded simulation can run years of it.
//!
//! The chat decides; [`crate::delivery`] keeps what each member is still owed. Nothing is freed while
//! it is walked: members and rooms that end are marked, delivered to, and freed by [`Chat::reap`].
//!
//! | file | what it owns |
//! | --- | --- |
//! | `inbound.rs` | datagrams: the sender, and the checks of its message |
//! | `outcome.rs` | outcomes of datagrams, and their counters |
//! | `command.rs`, `bans.rs` | commands |
//! | `notify.rs` | notices and replies |
//! | `parts.rs` | reassembly of messages in parts |
//! | `directory.rs` | rooms and members by id, name and token |
//! | `room.rs`, `ban_list.rs`, `member.rs` | one room, its bans, one member |
//! | `admission.rs`, `resume.rs` | create and join; connection migration |
//! | `passwords.rs`, `visitors.rs` | passwords of rooms, and the subnets that have given them |
//! | `carried.rs`, `quic.rs` | members whose messages travel on a connection |
//! | `path.rs` | the paths of requests and messages |
//! | `listing.rs` | the room list |
//! | `addresses.rs` | announced and proved addresses, and their owners |
//! | `leave.rs`, `closing.rs` | the end of members and rooms |
//! | `tombstones.rs`, `replace.rs` | state of ended members; silent members that a join replaces |
//! | `reap.rs` | freeing members and rooms that are delivered to the end |
//! | `presence.rs` | notices of joins and leaves, merged when there are many |
//! | `peers.rs`, `quotas.rs`, `limits.rs` | state about peers: usage and limits |
//! | `rate_limit.rs`, `reply_budget.rs` | budgets of one member |
//! | `catching_up.rs`, `subnet_buckets.rs` | limits for history, by subnet |
//! | `auth_throttle.rs` | limits for wrong passwords and tokens |
//! | `unproved.rs`, `unresponsive.rs` | members without a proved address, and without answers |
//! | `read_clock.rs` | the time up to which datagrams were read |
//! | `alerts.rs` | limits that peers have reached, for the log |

mod addresses;
mod admission;
mod alerts;
mod auth_throttle;
mod ban_list;
mod bans;
mod carried;
mod catching_up;
mod closing;
mod command;
mod directory;
mod inbound;
mod leave;
mod limits;
mod listing;
mod member;
mod notify;
mod outcome;
mod parts;
mod passwords;
mod path;
mod peers;
mod presence;
mod quic;
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

use std::time::Instant;

use crate::config::ChatConfig;
use crate::delivery::{Feeds, MemoryLimits};
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, RoomId};
use crate::protocol::stream::Completion;
use crate::protocol::{Request, Status, Token};
use crate::subnet::Subnet;
use crate::timers::Timers;

pub use carried::PathEnd;
pub use outcome::{DatagramOutcome, DropReason, MessageOutcome};
pub use path::{Caller, Path, PathCounts};

use carried::Partings;
use closing::Closing;
use directory::Directory;
use peers::Peers;
use read_clock::ReadClock;
use room::RoomSettings;
use tombstones::Tombstones;

/// The result of a successful request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A new member has entered.
    Entered {
        /// The member.
        member: MemberId,
        /// The secret of the member.
        token: Token,
        /// Start of its stream, if it has one.
        stream: Option<Completion>,
        /// The way of its messages from now on.
        path: Path,
    },
    /// A member has moved to another IP or to another path. Its address is not proved yet, except
    /// that of a member that was sealed and is sealed again: everything goes to its old address
    /// until it has proved a new one.
    Resumed {
        /// The member.
        member: MemberId,
        /// The secret of the member.
        token: Token,
        /// Start of its stream, if it has one.
        stream: Option<Completion>,
        /// The way of its messages from now on.
        path: Path,
    },
    /// The list of rooms, as a JSON array.
    Rooms(Vec<u8>),
    /// There is no reply yet. The caller must pass the request to
    /// [`Chat::handle_delayed_request`] later.
    Later {
        /// The time to do that.
        at: Instant,
    },
}

/// The owner and the purpose of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// A member is checked for silence.
    Idle(MemberId),
    /// A room's summary of joins and leaves is due.
    Presence(RoomId),
    /// The next farewell of an ended member is due, or its tombstone expires.
    Tombstone(MemberId),
    /// A peer may have too many unproved members.
    Unproved(Subnet),
    /// The next part of a member's message did not come in time.
    Parts(MemberId),
    /// The connection of an ended member takes nothing.
    Parting(MemberId),
}

/// Counts for tests and the log. All are zero when no room and no member is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rooms, including closed ones that are not freed yet.
    pub rooms: usize,
    /// Rooms that can be joined.
    pub open: usize,
    /// Members, including ended ones that are not freed yet.
    pub members: usize,
    /// Tokens that work: live members.
    pub tokens: usize,
    /// Rooms that the list shows.
    pub listed: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Entries about peers: their usage, their ports, and their wrong guesses.
    pub peers: usize,
    /// Rooms with output to deliver.
    pub waiting: usize,
    /// Members of closed rooms that are still in the tables.
    pub closing: usize,
    /// Tombstones of ended members.
    pub tombstones: usize,
    /// Ended members that have an address and are not freed yet.
    pub ended: usize,
    /// Streams.
    pub streams: usize,
    /// Bytes of memory of output that waits.
    pub backlog: usize,
    /// Bytes that the history of all streams may take now.
    pub history: usize,
    /// Live members by path.
    pub paths: PathCounts,
}

/// All rooms and members, and the state about their peers.
pub struct Chat {
    config: ChatConfig,
    directory: Directory,
    peers: Peers,
    /// Members that have lost their address, until [`Chat::poll_withdrawn`] returns them.
    withdrawn: Vec<MemberId>,
    partings: Partings,
    timers: Timers<Alarm>,
    feeds: Feeds,
    closing: Closing,
    tombstones: Tombstones,
    read_clock: ReadClock,
    /// Buffer for the text of a notice.
    notice: String,
}

impl Chat {
    /// Returns a chat without rooms.
    pub fn new(config: ChatConfig) -> Self {
        Self {
            directory: Directory::new(),
            peers: Peers::new(config.debtors),
            withdrawn: Vec::new(),
            partings: Partings::default(),
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

    /// Handles a request from `caller`. `draw` returns 128 random bits, or `None` if no randomness is
    /// available. They are for the token of a new member and for a new stream. A room list is cut
    /// to `max_list` bytes.
    ///
    /// # Errors
    /// The status of the refusal. Nothing has changed then.
    pub fn handle_request(
        &mut self,
        caller: Caller,
        request: &Request<'_>,
        draw: impl FnMut() -> Option<[u8; 16]>,
        max_list: usize,
        now: Instant,
    ) -> Result<Reply, Status> {
        if let Request::Join(guest) = request {
            let entry = (caller.peer, caller.path(&guest.path)?);
            if let Some(at) = self.delay_password(entry, guest, now)? {
                return Ok(Reply::Later { at });
            }
        }
        self.execute_request(caller, request, draw, max_list, false, now)
    }

    /// Handles a request that was answered with [`Reply::Later`], at the time of that reply.
    ///
    /// # Errors
    /// As [`Chat::handle_request`].
    pub fn handle_delayed_request(
        &mut self,
        caller: Caller,
        request: &Request<'_>,
        draw: impl FnMut() -> Option<[u8; 16]>,
        max_list: usize,
        now: Instant,
    ) -> Result<Reply, Status> {
        self.execute_request(caller, request, draw, max_list, true, now)
    }

    /// Executes a request. With `is_counted`, a wrong password was counted before.
    fn execute_request(
        &mut self,
        caller: Caller,
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
            Request::Create { host, capacity, hidden, sealed_only } => {
                let settings = RoomSettings {
                    password: host.password.as_deref(),
                    capacity: *capacity,
                    hidden: *hidden,
                    sealed_only: *sealed_only,
                    history: host.history,
                };
                self.create(caller, host, settings, draw, now)
            }
            Request::Join(guest) => self.join(caller, guest, draw, is_counted, now),
            Request::Resume { room, token, path } => {
                self.resume(caller, (room, *token), &path.unwrap_or_default(), now)
            }
        }
    }

    /// Notes that all datagrams that had arrived at `until` were passed to
    /// [`Chat::handle_datagram`]. Until the next call, no member counts as silent for longer.
    pub fn note_read(&mut self, until: Instant) {
        self.read_clock.note_read(until);
    }

    /// Returns the time at which [`Chat::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let auth = self.peers.auth_throttle.next_deadline();
        let deadlines = [self.timers.next(), self.feeds.poll_timeout(), auth];
        deadlines.into_iter().flatten().min()
    }

    /// Handles at most `budget` deadlines that are not after `now`.
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
                Some((_, Alarm::Parting(member))) => self.expire_parting(member),
                None if self.peers.auth_throttle.expire(now) => {}
                None => return,
            }
        }
    }

    fn handle_feed_timeout(&mut self, now: Instant) -> bool {
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.handle_timeout(now, |member, bytes| limits.pay(member, bytes))
    }

    /// Hands waiting output to `send`: see [`Feeds::deliver`](crate::delivery::Feeds::deliver). The last
    /// asides of carried members go first, because each of them frees a connection.
    pub fn deliver(
        &mut self,
        budget: usize,
        now: Instant,
        mut send: impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        self.end_closing(budget);
        let mut total = self.deliver_last_asides(budget, &mut send);
        let left = budget.saturating_sub(total.sent + total.dropped);
        if left > 0 {
            let (feeds, mut limits) = self.feeds_with_limits(now);
            let charge = |member, bytes| limits.charge(member, bytes);
            total.add(feeds.deliver(left, now, send, charge));
        }
        total
    }

    /// Returns true if [`Chat::deliver`] would find something to do.
    pub fn has_output(&self) -> bool {
        self.feeds.has_output() || !self.closing.is_empty() || self.partings.has_output()
    }

    /// Returns true if the server has to wait at its end, because somebody is still to be told.
    pub fn has_last_words(&self) -> bool {
        self.has_output()
            || self.feeds.has_undelivered()
            || self.tombstones.has_untold()
            || self.partings.has_untold()
    }

    /// Delivers again to rooms that waited for a socket: one is writable again.
    pub fn resume_stalled(&mut self, now: Instant) {
        self.feeds.resume_stalled(now);
    }

    /// Returns the counts.
    pub fn census(&self) -> Census {
        let feeds = self.feeds.counts();
        Census {
            rooms: self.directory.rooms.len(),
            open: self.directory.names.len(),
            members: self.directory.members.len(),
            tokens: self.directory.tokens.len() - self.closing.len(),
            listed: self.directory.listed.len(),
            deadlines: self.timers.len() + feeds.deadlines,
            peers: self.peers.quotas.len() + self.peers.auth_throttle.len(),
            waiting: feeds.waiting,
            closing: self.closing.len(),
            tombstones: self.tombstones.len(),
            ended: self.peers.quotas.ended_len(),
            streams: feeds.streams,
            backlog: feeds.backlog,
            history: feeds.history,
            paths: self.peers.quotas.paths(),
        }
    }
}
