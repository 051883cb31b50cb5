//! Bans by name and by subnet.

use std::net::IpAddr;
use std::time::Instant;

use reactor_chat::protocol::stream::Code;
use reactor_chat::protocol::{Language, Notice};

use super::limits::subnet;
use super::{Model, folded};

/// A banned name, and the address from which its member was removed.
#[derive(Clone)]
pub struct Ban {
    pub name: String,
    ip: IpAddr,
    has_address: bool,
}

impl Model {
    /// Returns true if a name or an address is banned from a room.
    pub fn is_banned(&self, room: usize, name: Option<&str>, ip: IpAddr) -> bool {
        self.rooms[room].bans.iter().any(|ban| {
            let is_name = name.is_some_and(|name| folded(name) == folded(&ban.name));
            is_name || (ban.has_address && ban.ip == subnet(ip) && !self.is_of_host(room, ip))
        })
    }

    fn is_of_host(&self, room: usize, ip: IpAddr) -> bool {
        subnet(self.members[self.rooms[room].host].ip) == subnet(ip)
    }

    /// Bans a member's name, and its address if `has_address`.
    pub fn ban_member(&mut self, target: usize, has_address: bool) -> Ban {
        let (room, ip) = (self.members[target].room, self.members[target].ip);
        let has_address = has_address && !self.is_of_host(room, ip);
        let name = self.members[target].name.clone();
        let ban = Ban { name, ip: subnet(ip), has_address };
        self.rooms[room].bans.push(ban.clone());
        ban
    }

    /// Handles a host's `/ban`, `/unban` or `/bans`.
    pub fn handle_ban_command(&mut self, host: usize, word: &str, name: &str, now: Instant) {
        let room = self.members[host].room;
        let target = self.find_named(room, name);
        let mut bans = self.rooms[room].bans.iter();
        let removed = bans.position(|ban| folded(&ban.name) == folded(name));
        match (word, target, removed) {
            ("bans", ..) => self.list_bans(host, room),
            ("unban", _, None) => self.notify(host, Notice::NotBanned),
            ("unban", _, Some(index)) => {
                let ban = self.rooms[room].bans.remove(index);
                self.tally.note("unbanned");
                self.notify(host, Notice::Unbanned(&ban.name));
            }
            (_, Some(target), _) if target == host => self.notify(host, Notice::NotYourself),
            (_, Some(target), _) => {
                let ban = self.ban_member(target, true);
                self.remove_by_host(target, now);
                self.notify_banned(host, room, &ban);
            }
            (_, None, Some(index)) => {
                let mut ban = self.rooms[room].bans.remove(index);
                ban.has_address = !self.is_of_host(room, ban.ip);
                self.rooms[room].bans.push(ban.clone());
                self.tally.note("banned after a kick");
                self.notify_banned(host, room, &ban);
            }
            (_, None, None) => self.notify(host, Notice::NobodyToBan),
        }
    }

    fn notify_banned(&mut self, host: usize, room: usize, ban: &Ban) {
        if !ban.has_address {
            self.tally.note("banned by name");
            return self.notify(host, Notice::BannedByName(&ban.name));
        }
        let members = self.rooms[room].members.iter().map(|index| &self.members[*index]);
        let sharers = members.filter(|member| subnet(member.ip) == ban.ip);
        let sharers: Vec<String> = sharers.map(|member| member.name.clone()).collect();
        if sharers.is_empty() {
            self.tally.note("banned with its address");
            return self.notify(host, Notice::Banned(&ban.name));
        }
        self.tally.note("banned with a shared address");
        let (name, shared) = (&ban.name, sharers.join(", "));
        let text = match self.config.language {
            Language::English => format!(
                "{name} is banned with its address, /unban NAME lets both in again, members with \
                 the same address stay but cannot come back ({shared})"
            ),
            Language::Japanese => format!(
                "{name}さんとそのアドレスを禁止しました。/unban 名前 で解除できます。\
                 同じアドレスの参加者は残りますが、戻れません（{shared}）"
            ),
        };
        self.reply(host, Code::Answer, None, &text);
    }

    fn list_bans(&mut self, host: usize, room: usize) {
        if self.rooms[room].bans.is_empty() {
            return self.notify(host, Notice::NobodyBanned);
        }
        let (intro, address, end) = match self.config.language {
            Language::English => ("banned (", " + address", ")"),
            Language::Japanese => ("禁止中（", "＋アドレス", "）"),
        };
        let newest_first = self.rooms[room].bans.iter().rev();
        let names = newest_first.map(|ban| {
            let mark = if ban.has_address { address } else { "" };
            format!("{}{mark}", ban.name)
        });
        let text = format!("{intro}{}{end}", names.collect::<Vec<_>>().join(", "));
        self.tally.note("bans listed");
        self.reply(host, Code::Answer, None, &text);
    }
}
