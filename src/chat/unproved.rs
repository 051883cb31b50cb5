//! Members without a proved address: nothing is sent to them, and a peer may have only so many.
//!
//! A member whose TCP connection is open does not count: there are limits on those. The connection
//! that a member entered or resumed over is its own until it ends or makes another member.

use std::time::{Duration, Instant};

use super::leave::Departure;
use super::member::Port;
use super::presence::PresenceChange;
use super::tombstones::EndReason;
use super::{Alarm, Chat};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::stream::Code;
use crate::subnet::Subnet;

/// Time for the first datagram of a member whose connection has ended. Programs end it before they
/// send one, and many may enter together behind one NAT.
const GRACE: Duration = Duration::from_secs(2);

/// Limit for the members that one call removes: a peer may have ten thousand too many.
const MAX_REMOVED: usize = 64;

impl Chat {
    /// Notes that a connection of a member has ended, or has made another member. The effect waits
    /// for [`Chat::handle_timeout`]: the datagram that proves the member may still come.
    pub fn handle_disconnect(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        if !self.directory.tokens.contains_key(&member.token) {
            return;
        }
        self.peers.quotas.count_out(id, member);
        member.connections = member.connections.saturating_sub(1);
        self.peers.quotas.count_in(id, member);
        self.check_unproved_of(id, now);
    }

    /// Sets the alarm of a member's peer if that may have too many unproved members now.
    pub(super) fn check_unproved_of(&mut self, id: MemberId, now: Instant) {
        if let Some(member) = self.directory.members.get(id) {
            self.check_unproved(Subnet::of(member.peer), now);
        }
    }

    /// Sets the alarm of a peer that may have too many unproved members now.
    fn check_unproved(&mut self, peer: Subnet, now: Instant) {
        if self.has_too_many_unproved(peer) && !self.peers.excesses.contains_key(&peer) {
            self.watch_unproved(peer, now + GRACE, now + GRACE);
        }
    }

    /// Sets the alarm of a peer that has too many unproved members. Each peer has one at most.
    fn watch_unproved(&mut self, peer: Subnet, due: Instant, alarm: Instant) {
        self.peers.excesses.insert(peer, due);
        self.timers.change(Alarm::Unproved(peer), None, Some(alarm));
    }

    /// Removes the oldest unproved members of a peer that has too many of them, except those that
    /// may have sent a datagram that is still unread.
    pub(super) fn expire_unproved(&mut self, peer: Subnet, now: Instant) {
        let mut due = self.peers.excesses.remove(&peer).unwrap_or(now);
        for _ in 0..MAX_REMOVED {
            if !self.has_too_many_unproved(peer) {
                return;
            }
            // Closing members still count for their peer: no live one has to go instead of them.
            if !self.closing.is_empty() {
                self.end_closing(1);
                continue;
            }
            let Some(oldest) = self.peers.quotas.oldest_unproved(peer) else { return };
            let Some(member) = self.directory.members.get(oldest) else { return };
            due = due.max(member.heard_at + GRACE);
            if let Some(alarm) = self.read_clock.check_again(due, now) {
                return self.watch_unproved(peer, due, alarm);
            }
            self.note_alert_of(oldest, Alert::Unproved);
            let reason = EndReason::Told(Code::TimedOut);
            self.depart(oldest, Departure::Change(PresenceChange::TimedOut), reason, now);
        }
        self.watch_unproved(peer, due, now);
    }

    fn has_too_many_unproved(&self, peer: Subnet) -> bool {
        self.config
            .max_unproved
            .is_some_and(|limit| self.peers.quotas.unproved(peer) > limit as usize)
    }

    /// Returns true if a peer may not announce one more port without proving it.
    pub(super) fn has_announced_enough(&self, peer: Subnet) -> bool {
        self.config
            .max_unproved
            .is_some_and(|limit| self.peers.quotas.usage(peer).announced >= limit)
    }

    /// Returns true if a member has vanished before anything could be sent to it: a program of
    /// `peer` that failed between its token and its first datagram.
    pub(super) fn is_stillborn(&self, id: MemberId, peer: PeerAddr, now: Instant) -> bool {
        self.directory.members.get(id).is_some_and(|member| {
            member.peer == peer
                && member.is_silent(GRACE, self.read_clock.silence_at(now))
                && member.port == Port::Unknown
                && member.connections == 0
                && !member.has_been_heard
        })
    }

    /// Notes an alert about a member's IP.
    pub(super) fn note_alert_of(&mut self, id: MemberId, alert: Alert) {
        if let Some(member) = self.directory.members.get(id) {
            self.peers.alerts.note(alert, member.peer);
        }
    }
}
