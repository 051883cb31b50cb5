//! Members without a proved address: nothing is sent to them, and a peer may have only so many.
//!
//! A member whose TCP connection is open does not count: there are limits on those. The connection
//! that a member entered or resumed over is its own until it ends or makes another member.

use std::net::IpAddr;
use std::time::Instant;

use super::arrivals::Passage;
use super::leaving::Departure;
use super::member::Port;
use super::remains::Farewell;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::stream::Code;
use crate::subnet::Subnet;

impl Chat {
    /// Notes that a connection of a member has ended, or has made another member. The effect waits
    /// for [`Chat::handle_timeout`]: the datagram that proves the member may be read by then.
    pub fn handle_disconnect(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.members.get_mut(id) else { return };
        if !self.tokens.contains_key(&member.token) {
            return;
        }
        self.peers.count_out(id, member);
        member.connections = member.connections.saturating_sub(1);
        self.peers.count_in(id, member);
        let peer = Subnet::of(member.ip);
        if self.has_too_many_unproved(peer) {
            self.timers.change(Alarm::Unproved(peer), None, Some(now));
        }
    }

    /// Removes the oldest unproved members of a peer that has too many of them.
    pub(super) fn expire_unproved(&mut self, peer: Subnet, now: Instant) {
        while self.has_too_many_unproved(peer)
            && let Some(oldest) = self.peers.oldest_unproved(peer)
        {
            self.note_alert_of(oldest, Alert::Unproved);
            let farewell = Farewell::Told(Code::TimedOut);
            self.depart(oldest, Departure::Passage(Passage::TimedOut), farewell, now);
        }
    }

    fn has_too_many_unproved(&self, peer: Subnet) -> bool {
        self.config.max_unproved.is_some_and(|limit| self.peers.unproved(peer) > limit as usize)
    }

    /// Returns true if a peer may not announce one more port without proving it.
    pub(super) fn has_announced_enough(&self, peer: Subnet) -> bool {
        self.config.max_unproved.is_some_and(|limit| self.peers.tally(peer).announced >= limit)
    }

    /// Returns true if a member has vanished before anything could be sent to it: a program of
    /// `peer` that failed between its token and its first datagram.
    pub(super) fn is_stillborn(&self, id: MemberId, peer: IpAddr) -> bool {
        self.members.get(id).is_some_and(|member| {
            member.ip == peer
                && member.port == Port::Unknown
                && member.connections == 0
                && !member.has_been_heard
        })
    }

    /// Notes an alert about a member's IP.
    pub(super) fn note_alert_of(&mut self, id: MemberId, alert: Alert) {
        if let Some(member) = self.members.get(id) {
            self.alerts.note(alert, member.ip);
        }
    }
}
