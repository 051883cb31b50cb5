//! A member: a user in a room.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::parts::Unfinished;
use super::path::Path;
use super::rate_limit::MessageBudget;
use super::reply_budget::ReplyBudget;
use super::tombstones::Tombstone;
use crate::address::PeerAddr;
use crate::delivery::Recipient;
use crate::ids::{MemberId, RoomId};
use crate::protocol::name::RoomName;
use crate::protocol::stream::Code;
use crate::protocol::{Delivery, Token};
use crate::timers::Deadline;

/// A user in a room, from the token to the last datagram.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) room: RoomId,
    /// The room's name as the member writes it in its datagrams, if that differs from its stored
    /// form.
    pub(super) room_spelling: Option<Box<str>>,
    /// The name in its stored form. With the `Rc`, callers hold it while the chat changes.
    pub(super) name: Rc<str>,
    pub(super) token: Token,
    /// The peer of its last request, which the limits count it by. Datagrams in the clear from
    /// other addresses are not from this member.
    pub(super) peer: PeerAddr,
    /// The IP of its port. It is that of `peer`, unless the member is sealed and has moved: its seal
    /// proves it at any IP (E11).
    pub(super) home: PeerAddr,
    pub(super) port: Port,
    /// The way of its messages.
    pub(super) path: Path,
    /// True if it has joined outside TLS, so that others may know its token.
    pub(super) joined_in_clear: bool,
    /// Time at which its connection has ended, if its path is one and it is detached (C2).
    pub(super) detached_at: Option<Instant>,
    /// The aside of its end, if it is carried.
    pub(super) last_aside: LastAside,
    /// The reason of its end, once it has ended.
    pub(super) ended_by: Option<Code>,
    pub(super) delivery: Delivery,
    /// Its number in the room, never used twice there.
    pub(super) number: u32,
    /// First bytes of each datagram of its stream; 0 without one.
    pub(super) tag: u32,
    /// Open connections over which it has entered or resumed.
    pub(super) connections: u32,
    /// True once a datagram came from it.
    pub(super) has_been_heard: bool,
    /// True once it was checked for a first datagram: see `leave.rs`.
    pub(super) was_checked: bool,
    /// The member that it has replaced, which gets a farewell when this one's address is known.
    pub(super) replaced: Option<MemberId>,
    /// Time of its last datagram or token.
    pub(super) heard_at: Instant,
    /// Time of the next check for answers. In plain delivery there is none while the member is silent
    /// and limited.
    pub(super) check_at: Option<Instant>,
    /// Its next check: of a live member for silence, of a tombstone for the next repeat.
    pub(super) deadline: Deadline,
    pub(super) message_budget: MessageBudget,
    /// Limits replies that nothing else limits. Only stream members get such replies.
    pub(super) replies: ReplyBudget,
    /// The id that the next message of a stream member must have.
    pub(super) expected: u32,
    /// Time of the last warning that it sends too much.
    pub(super) warned_at: Option<Instant>,
    /// The received parts of a message whose last part is still to come, if there is one.
    pub(super) unfinished: Unfinished,
    /// Its tombstone, if the member may still get a farewell.
    pub(super) end: Option<Box<Tombstone>>,
}

/// Returns a room's name as a request spells it, if that differs from its stored form.
pub(super) fn spelling(room: &RoomName<'_>) -> Option<Box<str>> {
    (room.as_sent != room.name).then(|| room.as_sent.into())
}

/// The port that a member's datagrams go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Unknown: nothing is sent to this member.
    Unknown,
    /// The member has announced it over TCP.
    Announced(u16),
    /// A datagram with the token came from it. No announcement replaces it.
    Learnt(u16),
    /// Another member has proved the port that this one had. Nothing is sent to this member until it
    /// sends a datagram.
    Lost,
}

impl Port {
    /// Returns the port, if it is known.
    pub(super) fn number(self) -> Option<u16> {
        match self {
            Self::Unknown | Self::Lost => None,
            Self::Announced(port) | Self::Learnt(port) => Some(port),
        }
    }
}

/// The aside of the end of a carried member with stream delivery.
#[derive(Debug)]
pub(super) enum LastAside {
    /// There is none.
    None,
    /// It waits until the member has all its entries.
    Waiting(Box<[u8]>),
    /// It is handed out next.
    Queued,
}

/// Pause between two warnings to a member that sends too much.
const WARNING_INTERVAL: Duration = Duration::from_secs(5);

impl Member {
    /// Returns the member as an addressee of its room's feed.
    pub(super) fn recipient(&self, member: MemberId) -> Recipient {
        Recipient {
            room: self.room,
            member,
            number: self.number,
            delivery: self.delivery,
            is_carried: self.path.is_carried(),
        }
    }

    /// Returns true if the member writes its room's name like this. Names in datagrams are not
    /// normalized, because that would cost too much for each datagram.
    pub(super) fn spells_room(&self, room: &[u8]) -> bool {
        self.room_spelling.as_ref().is_some_and(|own| own.as_bytes() == room)
    }

    /// Returns true if the member may be warned (again), and counts it as warned.
    pub(super) fn take_warning(&mut self, now: Instant) -> bool {
        let due = self.warned_at.is_none_or(|last| now - last >= WARNING_INTERVAL);
        if due {
            self.warned_at = Some(now);
        }
        due
    }

    /// Returns the address that its datagrams go to, if it is known.
    pub(super) fn address(&self) -> Option<(PeerAddr, u16)> {
        self.port.number().map(|port| (self.home, port))
    }

    /// Returns true if its path is a connection, and that is open.
    pub(super) fn is_attached(&self) -> bool {
        self.path.has_connection() && self.detached_at.is_none()
    }

    /// Returns true if it counts against the limit of unproved members: its port is not known, and
    /// no connection of its own is open. A connection that carries messages needs no proof, and a
    /// detached member does not stay for long.
    pub(super) fn is_unproved(&self) -> bool {
        self.port.number().is_none() && self.connections == 0 && !self.path.has_connection()
    }

    /// Returns true if its port was announced and is not proved.
    pub(super) fn is_announced(&self) -> bool {
        matches!(self.port, Port::Announced(_))
    }

    /// Returns true if it has been silent for `limit`.
    pub(super) fn is_silent(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.heard_at) >= limit
    }
}

#[cfg(test)]
impl Member {
    /// Returns a member of no room, without a connection.
    pub(super) fn for_test(peer: PeerAddr, heard_at: Instant) -> Self {
        let nowhere = crate::ids::Key { slot: 0, generation: 0 };
        Self {
            room: RoomId(nowhere),
            room_spelling: None,
            name: Rc::from("name"),
            token: Token::from_bits([0; 16]),
            peer,
            home: peer,
            port: Port::Unknown,
            path: Path::Clear,
            joined_in_clear: true,
            detached_at: None,
            last_aside: LastAside::None,
            ended_by: None,
            delivery: Delivery::Stream,
            number: 1,
            tag: 0,
            connections: 0,
            has_been_heard: false,
            was_checked: false,
            replaced: None,
            heard_at,
            check_at: None,
            deadline: Deadline::default(),
            message_budget: MessageBudget::default(),
            replies: ReplyBudget::default(),
            expected: 1,
            warned_at: None,
            unfinished: Unfinished::default(),
            end: None,
        }
    }
}
