//! The commands `/kick`, `/ban`, `/unban` and `/bans`, and the check of bans on entry.
//!
//! The host's own subnet is never banned, because people behind one NAT share it.

use std::time::Instant;

use super::Chat;
use super::ban_list::Ban;
use super::room::Room;
use crate::ids::{MemberId, RoomId};
use crate::protocol::bans::{write_bans, write_shared_ban};
use crate::protocol::name::fold;
use crate::protocol::{Notice, Status};
use crate::subnet::Subnet;

impl Chat {
    /// Returns an error if the name or the subnet is banned from the room.
    pub(super) fn check_bans(
        &self,
        room: &Room,
        folded: &str,
        subnet: Subnet,
    ) -> Result<(), Status> {
        let is_out = match self.is_address_of_host(room, subnet) {
            true => room.bans.find(folded).is_some(),
            false => room.bans.keeps_out(folded, subnet),
        };
        if is_out { Err(Status::Kicked) } else { Ok(()) }
    }

    /// Returns true if a member may not resume from this subnet.
    pub(super) fn is_address_banned(&self, room_id: RoomId, subnet: Subnet) -> bool {
        self.directory.rooms.get(room_id).is_some_and(|room| {
            room.bans.has_address(subnet) && !self.is_address_of_host(room, subnet)
        })
    }

    /// Removes a member and bans its name.
    pub(super) fn kick(&mut self, host: MemberId, target: MemberId, now: Instant) {
        if target == host {
            return self.answer(host, Notice::NotYourself);
        }
        self.keep_out(target, false);
        self.remove_by_host(target, now);
        self.confirm_taken(host);
    }

    /// Bans a name and its subnet. A member with that name is removed; the name may also be one
    /// that was removed before.
    pub(super) fn ban(&mut self, host: MemberId, name: &str, now: Instant) {
        let Some(room_id) = self.room_of_host(host) else { return };
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        let folded = fold(name);
        match room.find(&folded) {
            Some(target) if target == host => self.answer(host, Notice::NotYourself),
            Some(target) => {
                let Some((name, subnet)) = self.keep_out(target, true) else { return };
                self.remove_by_host(target, now);
                self.reply_bans(host, room_id, &name, subnet);
            }
            None => match room.bans.remove(&folded) {
                Some(removed) => self.ban_removed(host, room_id, removed),
                None => self.answer(host, Notice::NobodyToBan),
            },
        }
    }

    /// Adds the subnet to the ban of a name that was removed before.
    fn ban_removed(&mut self, host: MemberId, room_id: RoomId, mut ban: Ban) {
        let Some(room) = self.directory.rooms.get(room_id) else { return };
        ban.has_address = !self.is_address_of_host(room, ban.subnet);
        let (name, subnet) = (ban.name().to_string(), ban.subnet);
        self.add_ban(room_id, ban);
        self.reply_bans(host, room_id, &name, subnet);
    }

    /// Lifts the ban of a name and its subnet.
    pub(super) fn unban(&mut self, host: MemberId, name: &str) {
        let Some(room_id) = self.room_of_host(host) else { return };
        let Some(room) = self.directory.rooms.get_mut(room_id) else { return };
        let lifted = room.bans.remove(&fold(name));
        let notice = lifted.as_ref().map_or(Notice::NotBanned, |ban| Notice::Unbanned(ban.name()));
        self.answer(host, notice);
    }

    /// Sends a host the list of bans.
    pub(super) fn list_bans(&mut self, host: MemberId) {
        let Some(room_id) = self.room_of_host(host) else { return };
        let max = self.longest_list_for(host);
        self.notice.clear();
        if let Some(room) = self.directory.rooms.get(room_id) {
            write_bans(room.bans.names(), self.config.language, max, &mut self.notice);
        }
        self.answer_written(host);
    }

    /// Bans a member's name, and its subnet if that is asked for and not the host's own. Returns
    /// the name and the subnet.
    fn keep_out(&mut self, target: MemberId, with_address: bool) -> Option<(String, Subnet)> {
        let member = self.directory.members.get(target)?;
        let (name, subnet) = (member.name.to_string(), Subnet::of(member.peer));
        let (room_id, room) = (member.room, self.directory.rooms.get(member.room)?);
        let has_address = with_address && !self.is_address_of_host(room, subnet);
        self.add_ban(room_id, Ban::new(&name, subnet, has_address));
        Some((name, subnet))
    }

    fn add_ban(&mut self, room_id: RoomId, ban: Ban) {
        if let Some(room) = self.directory.rooms.get_mut(room_id) {
            room.bans.add(ban);
        }
    }

    /// Tells a host what was banned, and which other members share the subnet.
    fn reply_bans(&mut self, host: MemberId, room_id: RoomId, name: &str, subnet: Subnet) {
        let Some(room) = self.directory.rooms.get(room_id) else { return };
        if self.is_address_of_host(room, subnet) {
            return self.answer(host, Notice::BannedByName(name));
        }
        let sharers: Vec<_> = self
            .feeds
            .members(room_id)
            .filter_map(|member| self.directory.members.get(member))
            .filter(|member| Subnet::of(member.peer) == subnet)
            .map(|member| &*member.name)
            .collect();
        if sharers.is_empty() {
            return self.answer(host, Notice::Banned(name));
        }
        let (language, max) = (self.config.language, self.longest_list_for(host));
        let mut text = String::new();
        write_shared_ban(name, sharers.into_iter(), language, max, &mut text);
        self.notice = text;
        self.answer_written(host);
    }

    fn is_address_of_host(&self, room: &Room, subnet: Subnet) -> bool {
        self.directory.members.get(room.host).is_some_and(|host| Subnet::of(host.peer) == subnet)
    }

    /// Returns the room of a member that is its host. Tells any other member that only the host may
    /// do that.
    fn room_of_host(&mut self, id: MemberId) -> Option<RoomId> {
        let room_id = self.directory.members.get(id)?.room;
        if self.directory.rooms.get(room_id)?.host == id {
            return Some(room_id);
        }
        self.answer(id, Notice::HostOnly);
        None
    }
}
