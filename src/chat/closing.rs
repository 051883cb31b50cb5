//! Closing a room.
//!
//! The name and all tokens of the room are dead at once. Its members are removed from the tables in
//! portions, because a room may have ten thousand members and ten thousand rooms may close
//! together. Until then a member is *closing*: it is still in the tables, but every look-up by its
//! token sees that its room is closed. It still counts against the limits of its IP.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;
use std::vec;

use super::path::Path;
use super::tombstones::EndReason;
use super::{Alarm, Chat};
use crate::ids::{MemberId, RoomId};
use crate::protocol::stream::Code;
use crate::protocol::{Delivery, Notice, Token};

/// The end of a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closure {
    at: Instant,
    /// Farewell for all members but the cause.
    reason: EndReason,
    /// Member whose end has closed the room, with its own farewell.
    cause: Option<(MemberId, EndReason)>,
}

/// Members of closed rooms that are still in the tables.
#[derive(Debug, Default)]
pub(super) struct Closing {
    rooms: VecDeque<ClosedRoom>,
    /// Number of closing members.
    count: usize,
}

#[derive(Debug)]
struct ClosedRoom {
    members: vec::IntoIter<MemberId>,
    /// Names of the members, unused: freed with the last portion, because that takes time.
    _names: HashMap<Box<str>, MemberId>,
}

impl Closing {
    /// Returns the number of closing members.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Removes and returns the next member. It may have ended since.
    fn pop(&mut self) -> Option<MemberId> {
        loop {
            match self.rooms.front_mut()?.members.next() {
                Some(member) => return Some(member),
                None => self.rooms.pop_front(),
            };
        }
    }
}

impl Chat {
    /// Closes every room at the end of the server. Returns the number of deliveries that it
    /// abandons: there is no time left for a backlog, and everyone has to be told.
    pub fn close_all(&mut self, now: Instant) -> usize {
        let open = self.directory.rooms.iter().filter(|(_, room)| !room.is_closed());
        let all: Vec<RoomId> = open.map(|(room_id, _)| room_id).collect();
        let mut abandoned = 0;
        for room_id in all {
            abandoned += self.feeds.abandon(room_id);
            let reason = EndReason::ToldLast(Code::ServerStopping);
            self.close_room(room_id, Notice::ServerStopping, reason, None, now);
        }
        abandoned
    }

    /// Closes a room whose only member is a host without a known address.
    pub(super) fn close_room_of_nobody(&mut self, room_id: RoomId, now: Instant) {
        let reason = EndReason::Told(Code::RoomClosed);
        self.close_room(room_id, Notice::RoomClosed, reason, None, now);
    }

    /// Tells everyone in the room why it ends, kills all its tokens, and frees its name at once.
    pub(super) fn close_room(
        &mut self,
        room_id: RoomId,
        notice: Notice<'_>,
        reason: EndReason,
        cause: Option<(MemberId, EndReason)>,
        now: Instant,
    ) {
        self.append_last_notice(room_id, notice);
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        let members: Vec<MemberId> = self.feeds.members(room_id).collect();
        let names = room.close(Closure { at: now, reason, cause });
        members.iter().for_each(|member| self.carry_last(*member, now));
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        self.timers.set(Alarm::Presence(room_id), &mut room.presence.deadline, None);
        self.peers.quotas.count_room_out(room.creator);
        let name = Rc::clone(&room.name);
        self.directory.remove_name(&name);
        self.closing.count += members.len();
        self.closing.rooms.push_back(ClosedRoom { members: members.into_iter(), _names: names });
        self.feeds.close(room_id);
    }

    /// Removes at most `budget` closing members from the tables.
    pub(super) fn end_closing(&mut self, budget: usize) {
        for _ in 0..budget {
            let Some(member) = self.closing.pop() else { return };
            self.end_if_closing(member);
        }
    }

    /// Removes a member from the tables if it is closing.
    pub(super) fn end_if_closing(&mut self, id: MemberId) {
        if self.directory.is_closing(id)
            && let Some(room) = self.directory.room_of(id)
            && let Some(Closure { at, reason, cause }) = room.closure
        {
            let own = cause.filter(|(member, _)| *member == id);
            self.closing.count -= 1;
            self.forget_member(id, at);
            self.keep_tombstone(id, own.map_or(reason, |(_, reason)| reason), at);
        }
    }

    /// Returns the path of a member that another layer has recognized, and true if it is live. A
    /// member that has ended is found only if it has stream delivery.
    pub(super) fn find_verified(&self, id: MemberId) -> Option<(Path, bool)> {
        let member = self.directory.members.get(id)?;
        let is_live = self.directory.live(id).is_some();
        (is_live || member.delivery == Delivery::Stream).then_some((member.path, is_live))
    }

    /// Returns the member with this token, and true if it is live. A member that has ended is found
    /// only if it has stream delivery.
    pub(super) fn find_speaker(&self, token: Token) -> Option<(MemberId, bool)> {
        let Some(id) = self.directory.tokens.get(&token).copied() else {
            return self.tombstones.find(token).map(|id| (id, false));
        };
        let member = self.directory.members.get(id)?;
        let is_live = self.directory.room_of(id).is_some_and(|room| !room.is_closed());
        (is_live || member.delivery == Delivery::Stream).then_some((id, is_live))
    }
}
