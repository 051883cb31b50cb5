//! Every way out of a room.
//!
//! Ending a member takes away its token, name and address at once and leaves its seat, marked,
//! until what was said up to now is on its way: nothing that is being walked is freed.

use std::time::Instant;

use super::arrivals::{Passage, Telling};
use super::room::Room;
use super::{Alarm, Chat};
use crate::config::HostLeaves;
use crate::fanout::Audience;
use crate::ids::{MemberId, RoomId};
use crate::protocol::Notice;
use crate::protocol::name::fold;

/// Why a member goes, to the others.
#[derive(Clone, Copy)]
enum Departure {
    Passage(Passage),
    Kicked,
}

impl Chat {
    /// A member leaves of its own accord.
    pub(super) fn leave(&mut self, id: MemberId, now: Instant) {
        self.depart(id, Departure::Passage(Passage::Left), now);
    }

    /// An idle deadline has come up. It was set when the member was last looked at; if it was heard
    /// since, there is a later one.
    pub(super) fn expire_member(&mut self, id: MemberId, now: Instant) {
        let Some(timeout) = self.config.idle_timeout else { return };
        let Some(member) = self.members.get_mut(id) else { return };
        let deadline = member.heard_at + timeout;
        // The entry that came up is gone from the timers already.
        member.alarm = (deadline > now).then_some(deadline);
        self.timers.change(Alarm::Idle(id), None, member.alarm);
        if member.alarm.is_none() {
            self.tell_last(id, Notice::RemovedForSilence);
            self.depart(id, Departure::Passage(Passage::TimedOut), now);
        }
    }

    /// The host removes a member, and its name may not come back.
    pub(super) fn remove_kicked(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.members.get(id) else { return };
        let (room_id, folded) = (member.room, fold(&member.name));
        if let Some(room) = self.rooms.get_mut(room_id) {
            room.note_kicked(folded);
        }
        self.tell_last(id, Notice::RemovedByHost);
        self.depart(id, Departure::Kicked, now);
    }

    /// Makes a member the host and tells everyone.
    pub(super) fn set_host(&mut self, room_id: RoomId, host: MemberId) {
        let Some(name) = self.members.get(host).map(|member| member.name.clone()) else { return };
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        room.host = host;
        self.append_notice(room_id, Notice::NewHost(&name), Audience::All);
    }

    /// Closes every room, as at the end of the server, and gives how many deliveries that abandons:
    /// there is no time left for a backlog, and everyone has to be told.
    pub fn close_all(&mut self) -> usize {
        let all: Vec<RoomId> = self.names.values().copied().collect();
        let mut abandoned = 0;
        for room_id in all {
            abandoned += self.rooms.get_mut(room_id).map_or(0, Room::abandon_backlog);
            self.close_room(room_id);
        }
        abandoned
    }

    fn depart(&mut self, id: MemberId, departure: Departure, now: Instant) {
        let Some(member) = self.members.get(id) else { return };
        let (room_id, name) = (member.room, member.name.clone());
        let Some(room) = self.rooms.get(room_id) else { return };
        let heir = room.live_members().find(|other| *other != id);
        let heir = heir.filter(|_| self.config.host_leaves == HostLeaves::Pass);
        if room.host != id {
            self.end_member(id);
            self.tell_departure(room_id, &name, departure, now);
        } else if let Some(heir) = heir {
            self.end_member(id);
            self.tell_departure(room_id, &name, departure, now);
            self.set_host(room_id, heir);
        } else {
            self.close_room(room_id);
        }
    }

    fn tell_departure(&mut self, room: RoomId, name: &str, departure: Departure, now: Instant) {
        match departure {
            Departure::Kicked => {
                self.append_notice(room, Notice::Kicked(name), Audience::All);
            }
            Departure::Passage(passage) => {
                self.tell_passage(room, name, passage, Audience::All, now);
            }
        }
    }

    /// Everyone hears that the room is closed, all tokens die, and the name is free at once.
    fn close_room(&mut self, room_id: RoomId) {
        self.append_last_words(room_id, Notice::RoomClosed, Audience::All);
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        let members: Vec<MemberId> = room.live_members().collect();
        room.unseat_all();
        room.is_closing = true;
        self.timers.change(Alarm::Crowd(room_id), room.arrivals.due(), None);
        self.names.remove(&room.name);
        self.listed.remove(&room.name);
        for member in members {
            self.forget_member(member);
        }
        self.queue(room_id);
    }

    /// Ends a member that nobody has to be told of.
    pub(super) fn end_member(&mut self, id: MemberId) {
        let Some(member) = self.members.get(id) else { return };
        let (room_id, folded) = (member.room, fold(&member.name));
        self.forget_member(id);
        if let Some(room) = self.rooms.get_mut(room_id) {
            room.unseat(id, &folded);
        }
        self.queue(room_id);
    }

    /// Takes a member out of every index but its room's seats.
    fn forget_member(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.tokens.remove(&member.token);
        self.proofs.forget(member.ip, member.port);
        self.timers.change(Alarm::Idle(id), member.alarm.take(), None);
    }

    /// Tells a room that somebody came or went, by name or in a count that follows.
    pub(super) fn tell_passage(
        &mut self,
        room_id: RoomId,
        name: &str,
        passage: Passage,
        audience: Audience,
        now: Instant,
    ) {
        let Some(room) = self.rooms.get(room_id) else { return };
        if room.arrivals.due().is_some_and(|due| due <= now) {
            self.timers.change(Alarm::Crowd(room_id), room.arrivals.due(), None);
            self.end_crowd(room_id);
        }
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        let before = room.arrivals.due();
        match (room.arrivals.note(passage, now), passage) {
            (Telling::Counted { due }, _) => {
                self.timers.change(Alarm::Crowd(room_id), before, Some(due));
            }
            (Telling::ByName, Passage::Joined) => {
                self.append_notice(room_id, Notice::Joined(name), audience);
            }
            (Telling::ByName, Passage::Left) => {
                self.append_notice(room_id, Notice::Left(name), audience);
            }
            (Telling::ByName, Passage::TimedOut) => {
                self.append_notice(room_id, Notice::TimedOut(name), audience);
            }
        }
    }

    /// Tells how many came and went in the second that is over. Its alarm is gone already.
    pub(super) fn end_crowd(&mut self, room_id: RoomId) {
        if let Some(room) = self.rooms.get_mut(room_id) {
            let crowd = room.arrivals.take_crowd();
            self.append_notice(room_id, Notice::Crowd(crowd), Audience::All);
        }
    }
}
