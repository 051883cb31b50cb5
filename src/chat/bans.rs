//! Bans of a room, by name and by subnet: `/kick`, `/ban`, `/unban`, `/bans`.
//!
//! A room keeps its bans until it closes. When their memory is full, the oldest ban is dropped, so
//! that the host can always remove one more member. The host's own subnet is never banned, because
//! people behind one NAT share it.

use std::collections::VecDeque;
use std::time::Instant;

use super::Chat;
use super::room::Room;
use crate::ids::{MemberId, RoomId};
use crate::protocol::bans::{write_bans, write_shared_ban};
use crate::protocol::name::fold;
use crate::protocol::{Notice, Status};
use crate::subnet::Subnet;

/// Limit for the memory of a room's bans. It is enough for about two hundred short names.
const MAX_BYTES: usize = 32 * 1024;
/// Memory of a ban beside its names: two allocations, and an entry in a list that grows by
/// doubling.
const OVERHEAD: usize = 32 + 2 * size_of::<Ban>();

/// A banned name.
#[derive(Debug)]
struct Ban {
    /// The name in the form in which names are compared.
    folded: Box<str>,
    /// The name as its member wrote it, if that differs.
    written: Option<Box<str>>,
    /// Subnet of the removed member.
    subnet: Subnet,
    /// True if the subnet is banned too.
    has_address: bool,
}

impl Ban {
    fn new(name: &str, subnet: Subnet, has_address: bool) -> Self {
        let folded = fold(name);
        let written = (*folded != *name).then(|| name.into());
        Self { folded, written, subnet, has_address }
    }

    fn name(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.folded)
    }

    fn size(&self) -> usize {
        OVERHEAD + self.folded.len() + self.written.as_ref().map_or(0, |written| written.len())
    }
}

/// Bans of one room, oldest first.
#[derive(Debug, Default)]
pub(super) struct Bans {
    list: VecDeque<Ban>,
    bytes: usize,
}

impl Bans {
    /// Returns true if the name or the subnet is banned.
    pub(super) fn keeps_out(&self, folded: &str, subnet: Subnet) -> bool {
        self.has_address(subnet) || self.find(folded).is_some()
    }

    /// Returns true if the subnet is banned.
    pub(super) fn has_address(&self, subnet: Subnet) -> bool {
        self.list.iter().any(|ban| ban.has_address && ban.subnet == subnet)
    }

    /// Adds a ban. The oldest bans are dropped if the memory is full.
    fn add(&mut self, ban: Ban) {
        self.remove(&ban.folded);
        self.bytes += ban.size();
        self.list.push_back(ban);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.list.pop_front()
        {
            self.bytes -= oldest.size();
        }
    }

    /// Removes and returns the ban of a name, and with it that of its subnet.
    fn remove(&mut self, folded: &str) -> Option<Ban> {
        let removed = self.find(folded).and_then(|index| self.list.remove(index));
        self.bytes -= removed.as_ref().map_or(0, Ban::size);
        removed
    }

    fn find(&self, folded: &str) -> Option<usize> {
        self.list.iter().position(|ban| *ban.folded == *folded)
    }

    /// Returns the names, newest first; true stands for a name whose subnet is banned too.
    fn names(&self) -> impl ExactSizeIterator<Item = (&str, bool)> {
        self.list.iter().rev().map(|ban| (ban.name(), ban.has_address))
    }
}

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
        let (name, subnet) = (member.name.to_string(), Subnet::of(member.ip));
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
            .filter(|member| Subnet::of(member.ip) == subnet)
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
        self.directory.members.get(room.host).is_some_and(|host| Subnet::of(host.ip) == subnet)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn subnet(number: u32) -> Subnet {
        Subnet::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a8_a_full_list_drops_its_oldest_ban() {
        let mut bans = Bans::default();
        for number in 0..1_000 {
            // U+023A has two bytes, and three in a folded name.
            let name = format!("{number}{}", "\u{23a}".repeat(120));
            bans.add(Ban::new(&name, subnet(number), true));
            assert!(bans.keeps_out(&fold(&name), subnet(0xffff)), "the newest is remembered");
            assert!(bans.bytes <= MAX_BYTES);
        }
        assert!((20..100).contains(&bans.list.len()), "{}", bans.list.len());
        assert!(bans.has_address(subnet(999)) && !bans.has_address(subnet(0)));
        let names: Vec<String> = bans.names().map(|(name, _)| name.into()).collect();
        assert!(names[0].starts_with("999") && names[1].starts_with("998"));
        assert!(names.iter().all(|name| bans.remove(&fold(name)).is_some()));
        assert_eq!((bans.bytes, bans.list.len()), (0, 0));
        assert!(bans.remove("bob").is_none());
    }

    #[test]
    fn a8_a_name_banned_twice_is_one_entry() {
        let mut bans = Bans::default();
        for has_address in [false, true, false] {
            bans.add(Ban::new("Bob", subnet(1), has_address));
            assert_eq!(bans.has_address(subnet(1)), has_address);
        }
        assert_eq!(bans.names().collect::<Vec<_>>(), [("Bob", false)]);
        assert!(bans.keeps_out("bob", subnet(2)));
    }
}
