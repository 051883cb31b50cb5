//! A member of the model, and the state of its program as far as the test knows it.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::chat::Path;
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::stream::Code;
use reactor_chat::protocol::{Delivery, Token};

use super::limits::Bucket;
use super::room::Owed;
use super::{REPAIR_BUDGET, REPAIR_RATE};

/// The end of a member.
pub struct End {
    pub at: Instant,
    pub code: Code,
    pub of_closed_room: bool,
    /// Number of farewells that it may still get.
    pub farewells: u32,
    /// It must get at least one farewell.
    pub needs_farewell: bool,
    /// It was replaced, and the address of its successor is not known yet.
    pub is_awaiting: bool,
}

/// The received parts of a message.
pub enum Begun {
    /// The text, the time of its first part, and the time when it expires.
    Kept(Vec<u8>, Instant, Instant),
    TooLong,
    TooLate,
}

pub struct Member {
    pub id: MemberId,
    pub room: usize,
    /// The room's name in the member's own spelling.
    pub room_spelling: String,
    pub name: String,
    pub folded: String,
    pub number: u32,
    pub token: Token,
    pub delivery: Delivery,
    /// The IP that limits count it by, and that of its port.
    pub ip: IpAddr,
    pub home: IpAddr,
    pub path: Path,
    pub joined_in_clear: bool,
    /// Time at which its connection has ended, if it is carried and detached.
    pub detached_at: Option<Instant>,
    /// It has ended, and so has its connection.
    pub is_cut: bool,
    /// It has moved to a connection, which begins at what it has confirmed.
    pub may_rewind: bool,
    /// The port, and true if a datagram has proved it.
    pub port: Option<(u16, bool)>,
    /// Another member has proved the announced port.
    pub has_lost_port: bool,
    /// Open connections over which it has entered or resumed.
    pub connections: u32,
    pub was_heard: bool,
    pub was_checked: bool,
    /// The member that it has replaced, which gets its farewell when this one's address is known.
    pub replaced: Option<usize>,
    pub heard_at: Instant,
    /// Time of the next check for answers. None for a silent member with plain delivery that is
    /// limited.
    pub check_at: Option<Instant>,
    pub alarm: Option<Instant>,
    /// The bytes sent to a limited member, and when it was limited.
    pub limited_since: Instant,
    pub limited_bytes: u64,
    /// Checks since the last `have` at which it certainly had not confirmed everything, and true if
    /// it is certainly sent nothing but questions.
    pub missed: u32,
    pub is_unresponsive: bool,
    pub messages: Bucket,
    pub fanout: Bucket,
    /// The bucket if all history that was sent to it is charged.
    pub fanout_at_most: Bucket,
    pub warned_at: Option<Instant>,
    pub end: Option<End>,
    pub is_freed: bool,
    pub owed: VecDeque<Owed>,
    pub asides: VecDeque<Owed>,
    pub tag: Option<u32>,
    pub expected: u32,
    /// A message of which some parts have come.
    pub begun: Option<Begun>,
    pub first: u64,
    pub cursor: u64,
    /// The server shuts down, and has skipped the backlog of this member.
    pub may_skip: bool,
    /// Upper and lower bound of its confirmed entries: it may have confirmed more than there are.
    pub have: u64,
    pub surely_has: u64,
    pub until: u64,
    /// Entries below this number may be history.
    pub history_until: u64,
    /// Bytes of history sent and not confirmed, and true if any entry was confirmed.
    pub unconfirmed: u64,
    pub has_confirmed: bool,
    pub repair_budget: u64,
    pub repair_budget_at: Instant,
    /// The reply that made it a member has arrived.
    pub is_known: bool,
    pub address: SocketAddr,
    pub got: u64,
    pub ahead: BTreeSet<u64>,
}

impl Member {
    /// Returns a member that has just entered, without the values of its request.
    pub fn new(id: MemberId, token: Token, peer: SocketAddr, next: u64, now: Instant) -> Self {
        let bucket = Bucket::full(Duration::from_secs(5), now);
        Self {
            id,
            room: usize::MAX,
            room_spelling: String::new(),
            name: String::new(),
            folded: String::new(),
            number: 0,
            token,
            delivery: Delivery::Stream,
            ip: peer.ip().to_canonical(),
            home: peer.ip().to_canonical(),
            path: Path::Clear,
            joined_in_clear: true,
            detached_at: None,
            is_cut: false,
            may_rewind: false,
            port: None,
            has_lost_port: false,
            connections: 1,
            was_heard: false,
            was_checked: false,
            replaced: None,
            heard_at: now,
            check_at: None,
            alarm: None,
            limited_since: now,
            limited_bytes: 0,
            missed: 0,
            is_unresponsive: false,
            messages: bucket,
            fanout: bucket,
            fanout_at_most: bucket,
            warned_at: None,
            end: None,
            is_freed: false,
            owed: VecDeque::new(),
            asides: VecDeque::new(),
            tag: None,
            expected: 1,
            begun: None,
            first: next,
            cursor: next,
            may_skip: false,
            have: next,
            surely_has: next,
            until: u64::MAX,
            history_until: 0,
            unconfirmed: 0,
            has_confirmed: false,
            repair_budget: REPAIR_BUDGET,
            repair_budget_at: now,
            is_known: true,
            address: peer,
            got: next,
            ahead: BTreeSet::new(),
        }
    }

    pub fn is_live(&self) -> bool {
        self.end.is_none()
    }

    /// Returns true if nothing can be sent to it, and no connection holds it.
    pub fn is_unproved(&self) -> bool {
        self.port.is_none() && self.connections == 0 && !self.is_carried()
    }

    pub fn takes_stream(&self) -> bool {
        self.delivery == Delivery::Stream
    }

    /// Refills its repair budget.
    pub fn refill_repair_budget(&mut self, more: u64, now: Instant) {
        let passed = (now - self.repair_budget_at).as_nanos() as u64;
        self.repair_budget_at = now;
        // A whole answer may have waited while the budget grew.
        let refilled = self.repair_budget + more + passed * REPAIR_RATE / 1_000_000_000 + 1;
        self.repair_budget = refilled.min(2 * REPAIR_BUDGET);
    }
}
