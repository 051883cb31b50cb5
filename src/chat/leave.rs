//! Every way out of a room.
//!
//! A member that ends loses its token, name and address at once. Its cursor is marked and stays until
//! the entries up to now are sent, because nothing may be freed while it is walked.

use std::time::{Duration, Instant};

use super::member::Port;
use super::presence::{Announce, PresenceChange};
use super::tombstones::EndReason;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::Audience;
use crate::ids::{MemberId, RoomId};
use crate::protocol::name::fold;
use crate::protocol::stream::Code;
use crate::protocol::{Delivery, Notice};

/// Time for the first datagram of a member that entered over TCP. Programs send one at once, and
/// again within seconds; without any, UDP may be blocked.
const UNHEARD_AFTER: Duration = Duration::from_secs(10);

/// Why a member goes, to the others.
#[derive(Clone, Copy)]
pub(super) enum Departure {
    Change(PresenceChange),
    Kicked,
}

impl Chat {
    /// A member leaves of its own accord, with the message of this id if it takes a stream.
    pub(super) fn leave(&mut self, id: MemberId, message: u32, now: Instant) {
        self.depart(id, Departure::Change(PresenceChange::Left), EndReason::Asked(message), now);
    }

    /// Returns the time from a member's token to its first check.
    pub(super) fn first_check(&self) -> Duration {
        self.config.idle_timeout.map_or(UNHEARD_AFTER, |timeout| timeout.min(UNHEARD_AFTER))
    }

    /// Handles a member's alarm. It was set at the last check of the member; if it was heard since,
    /// there is a later one.
    pub(super) fn expire_member(&mut self, id: MemberId, now: Instant) {
        if self.directory.is_closing(id) {
            return;
        }
        let Some(member) = self.directory.members.get_mut(id) else { return };
        if !std::mem::replace(&mut member.was_checked, true)
            && !member.has_been_heard
            && member.port == Port::Unknown
        {
            self.peers.alerts.note(Alert::Unheard, member.peer);
        }
        let deadline = self.config.idle_timeout.map(|timeout| member.heard_at + timeout);
        // If the member may have sent datagrams that are still unread, its deadline is checked again
        // later.
        let clock = &self.read_clock;
        let idle_at = deadline.and_then(|deadline| clock.check_again(deadline, now));
        let detached_until = self.detached_until(id);
        if (deadline.is_some() && idle_at.is_none()) || detached_until.is_some_and(|at| at <= now) {
            return self.time_out(id, now);
        }
        let check_at = self.check_answers(id, now);
        if let Some(member) = self.directory.members.get_mut(id) {
            let next = [idle_at, detached_until, check_at].into_iter().flatten().min();
            self.timers.set(Alarm::Idle(id), &mut member.deadline, next);
        }
    }

    fn time_out(&mut self, id: MemberId, now: Instant) {
        let (change, reason) = (PresenceChange::TimedOut, EndReason::Told(Code::TimedOut));
        self.notify_end(id, Notice::RemovedForSilence);
        self.depart(id, Departure::Change(change), reason, now);
    }

    /// Removes a member for the host.
    pub(super) fn remove_by_host(&mut self, id: MemberId, now: Instant) {
        self.notify_end(id, Notice::RemovedByHost);
        self.depart(id, Departure::Kicked, EndReason::Told(Code::Removed), now);
    }

    /// Tells a member of its end. A stream member is told by what it leaves behind.
    pub(super) fn notify_end(&mut self, id: MemberId, notice: Notice<'_>) {
        if self.directory.members.get(id).is_some_and(|member| member.delivery != Delivery::Stream)
        {
            self.notify_always(id, notice);
        }
    }

    /// Makes a member the host and tells everyone.
    pub(super) fn set_host(&mut self, room_id: RoomId, host: MemberId) {
        let Some(member) = self.directory.members.get(host) else { return };
        let (name, number) = (member.name.clone(), member.number);
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        room.host = host;
        self.append_notice(room_id, Notice::NewHost(&name), number, Audience::All);
    }

    pub(super) fn depart(
        &mut self,
        id: MemberId,
        departure: Departure,
        reason: EndReason,
        now: Instant,
    ) {
        let Some(member) = self.directory.members.get(id) else { return };
        let (room_id, name, number) = (member.room, member.name.clone(), member.number);
        let Some(room) = self.directory.rooms.get(room_id) else { return };
        let heir = self.feeds.members(room_id).find(|other| *other != id);
        let heir = heir.filter(|_| self.config.host_leaves == HostLeaves::Pass);
        if room.host != id {
            self.end_member(id, reason, now);
            self.announce_departure(room_id, (number, &name), departure, now);
        } else if let Some(heir) = heir {
            self.end_member(id, reason, now);
            self.announce_departure(room_id, (number, &name), departure, now);
            self.set_host(room_id, heir);
        } else {
            // The host gets its own farewell; the others are told that the room is closed.
            let closed = EndReason::Told(Code::RoomClosed);
            self.close_room(room_id, Notice::RoomClosed, closed, Some((id, reason)), now);
        }
    }

    fn announce_departure(
        &mut self,
        room: RoomId,
        (number, name): (u32, &str),
        departure: Departure,
        now: Instant,
    ) {
        match departure {
            Departure::Kicked => {
                self.append_notice(room, Notice::Kicked(name), number, Audience::All);
            }
            Departure::Change(change) => {
                self.announce_change(room, (number, name), change, Audience::All, now);
            }
        }
    }

    /// Ends a member; the others are told by who calls.
    pub(super) fn end_member(&mut self, id: MemberId, reason: EndReason, now: Instant) {
        self.carry_last(id, now);
        let Some(member) = self.directory.members.get(id) else { return };
        let (to, folded) = (member.recipient(id), fold(&member.name));
        self.forget_member(id, now);
        self.keep_tombstone(id, reason, now);
        if let Some(room) = self.directory.rooms.get_mut(to.room) {
            room.remove(&folded);
        }
        self.feeds.unseat(&to);
    }

    /// Removes a member from every index but the cursors of its room's feed.
    pub(super) fn forget_member(&mut self, id: MemberId, now: Instant) {
        self.release_replaced(id, now);
        let Some(member) = self.directory.members.get_mut(id) else { return };
        self.directory.tokens.remove(&member.token);
        self.peers.quotas.count_out(id, member);
        self.peers.quotas.note_ended(id, member);
        self.timers.set(Alarm::Idle(id), &mut member.deadline, None);
        self.forget_parts(id);
    }

    /// Tells a room that somebody came or went, by name or in a count that follows.
    pub(super) fn announce_change(
        &mut self,
        room_id: RoomId,
        (number, name): (u32, &str),
        change: PresenceChange,
        audience: Audience,
        now: Instant,
    ) {
        let Some(room) = self.directory.rooms.get(room_id) else { return };
        if room.presence.due().is_some_and(|due| due <= now) {
            self.flush_presence(room_id);
        }
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        match (room.presence.note(change, now), change) {
            (Announce::Counted { due }, _) => {
                self.timers.set(Alarm::Presence(room_id), &mut room.presence.deadline, Some(due));
            }
            (Announce::ByName, PresenceChange::Joined) => {
                self.append_notice(room_id, Notice::Joined(name), number, audience);
            }
            (Announce::ByName, PresenceChange::Left) => {
                self.append_notice(room_id, Notice::Left(name), number, audience);
            }
            (Announce::ByName, PresenceChange::TimedOut) => {
                self.append_notice(room_id, Notice::TimedOut(name), number, audience);
            }
        }
    }

    /// Announces how many came and went in the second that is over.
    pub(super) fn flush_presence(&mut self, room_id: RoomId) {
        if let Some(room) = self.directory.rooms.get_mut(room_id) {
            self.timers.set(Alarm::Presence(room_id), &mut room.presence.deadline, None);
            let crowd = room.presence.take_summary();
            self.append_notice(room_id, Notice::Presence(crowd), 0, Audience::All);
        }
    }
}
