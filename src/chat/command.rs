//! Executes commands.

use std::time::Instant;

use super::Chat;
use crate::ids::MemberId;
use crate::protocol::command::Command;
use crate::protocol::members::{Listed, write_members};
use crate::protocol::name::fold;

use crate::protocol::stream::MAX_PACKED;
use crate::protocol::stream::downstream::{ASIDE_OVERHEAD, HEADER_SIZE};
use crate::protocol::{Delivery, Notice};

/// The longest list of members in bytes: with the length byte of named delivery it fits 1,200 (W28).
/// With the 30 bytes of a seal that passes every link without being cut up: RFC 8200 promises 1,280
/// with the headers of IPv6 and UDP, which have 48.
const MAX_MEMBER_LIST: usize = 1_200 - 1;
/// Its limit in an aside, in a datagram of a stream (S2).
const MAX_MEMBER_LIST_IN_STREAM: usize = MAX_PACKED - HEADER_SIZE - ASIDE_OVERHEAD;

impl Chat {
    pub(super) fn execute(&mut self, id: MemberId, command: Command<'_>, now: Instant) {
        match command {
            Command::Who => self.list_members(id),
            Command::Help => self.answer(id, Notice::Help),
            Command::Kick(name) => self.as_host(id, name, |chat, target| {
                chat.kick(id, target, now);
            }),
            Command::Ban(name) => self.ban(id, name, now),
            Command::Unban(name) => self.unban(id, name),
            Command::Bans => self.list_bans(id),
            Command::Host(name) => self.as_host(id, name, |chat, target| {
                chat.pass_host(id, target);
            }),
        }
    }

    fn list_members(&mut self, id: MemberId) {
        // A long list is not written for nothing.
        if !self.has_space_to_answer(id) {
            return;
        }
        let Some(member) = self.directory.members.get(id) else { return };
        let Some(room) = self.directory.rooms.get(member.room) else { return };
        let max = self.longest_list_for(id);
        let members = || {
            let ids = self.feeds.members(member.room);
            ids.filter_map(|id| Some((id, self.directory.members.get(id)?)))
        };
        // In a room without encryption nobody expects any.
        let is_marked = members().any(|(_, member)| member.path.is_encrypted());
        let listed = members().map(|(id, member)| Listed {
            name: &member.name,
            is_host: id == room.host,
            is_in_clear: is_marked && !member.path.is_encrypted(),
        });
        self.notice.clear();
        let (language, total) = (self.config.language, room.population());
        write_members(listed, total, language, max, &mut self.notice);
        self.answer_written(id);
    }

    /// Returns the limit for the bytes of a list of names in this member's delivery.
    pub(super) fn longest_list_for(&self, id: MemberId) -> usize {
        match self.directory.members.get(id).map(|member| member.delivery) {
            Some(Delivery::Stream) => MAX_MEMBER_LIST_IN_STREAM,
            _ => MAX_MEMBER_LIST,
        }
    }

    /// Does what only the host may do to the member called `name`.
    fn as_host(&mut self, id: MemberId, name: &str, deed: impl FnOnce(&mut Self, MemberId)) {
        let Some(member) = self.directory.members.get(id) else { return };
        let Some(room) = self.directory.rooms.get(member.room) else { return };
        if room.host != id {
            return self.answer(id, Notice::HostOnly);
        }
        match room.find(&fold(name)) {
            None => self.answer(id, Notice::NoSuchMember),
            Some(target) => deed(self, target),
        }
    }

    fn pass_host(&mut self, host: MemberId, target: MemberId) {
        if target == host {
            return self.answer(host, Notice::AlreadyHost);
        }
        let Some(room) = self.directory.members.get(target).map(|member| member.room) else {
            return;
        };
        self.set_host(room, target);
        self.confirm_taken(host);
    }
}
