//! A member: a user in a room.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::remains::End;
use crate::ids::RoomId;
use crate::protocol::{Delivery, Token};

/// A user in a room, from the token to the last datagram.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) room: RoomId,
    /// As it was given; shared with nobody, but handed out while the chat changes.
    pub(super) name: Rc<str>,
    pub(super) token: Token,
    /// The IP that asked for the token. Datagrams from any other are not this member's.
    pub(super) ip: IpAddr,
    pub(super) port: Port,
    pub(super) delivery: Delivery,
    /// Its number in the room, never used twice there.
    pub(super) number: u32,
    /// When it was last heard; before that, when it got its token.
    pub(super) heard_at: Instant,
    /// Its entry in the timers: when it may be idle, or after its end when something is due.
    pub(super) alarm: Option<Instant>,
    pub(super) allowance: Allowance,
    /// When it was last told that it sends too much.
    pub(super) warned_at: Option<Instant>,
    /// How it ended, if it took a stream and may still be told.
    pub(super) end: Option<Box<End>>,
}

/// The port that a member's datagrams go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Not known: nothing is sent to this member.
    Unknown,
    /// The member named it over TCP.
    Announced(u16),
    /// A datagram with the token came from it. No announcement replaces this.
    Learnt(u16),
}

/// A sender is told that it sends too much once in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(5);

impl Member {
    /// Whether it is time to warn this member (again); if so it counts as warned.
    pub(super) fn take_warning(&mut self, now: Instant) -> bool {
        let due = self.warned_at.is_none_or(|last| now - last >= WARNING_INTERVAL);
        if due {
            self.warned_at = Some(now);
        }
        due
    }

    /// Whether it counts as unproved there.
    pub(super) fn is_unproved_at(&self, ip: IpAddr) -> bool {
        self.ip == ip && self.port == Port::Unknown
    }

    /// Whether it was not heard for `limit`.
    pub(super) fn is_silent(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.heard_at) >= limit
    }
}
