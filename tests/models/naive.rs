//! The chat as the protocol tells it, written to be read: lists that are searched from the front,
//! and nothing that is kept twice. It shares no code with the server.
//!
//! Members get a datagram for each entry. Time is in seconds; no two members are heard at the same.

use std::collections::BTreeMap;

use reactor_chat::protocol::Status;

pub const IDLE: u64 = 40;
pub const SILENT: u64 = 10;
pub const MAX_ROOMS: usize = 2;
pub const MAX_MEMBERS: usize = 5;
pub const MAX_UNPROVED: usize = 2;
/// Seconds for a first datagram of a member whose connection has ended.
const GRACE: u64 = 2;

/// What somebody asks for to enter a room.
#[derive(Clone, Debug)]
pub struct Wish {
    pub ip: u8,
    pub room: &'static str,
    pub name: &'static str,
    pub password: Option<&'static str>,
    pub named: bool,
    /// These only to create.
    pub capacity: Option<usize>,
    pub hidden: bool,
}

/// Where a member's datagrams go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Port {
    Unknown,
    Announced(u16),
    Learnt(u16),
    /// Another member has proved the announced port.
    Lost,
}

/// A replaced member and its last address.
#[derive(Debug)]
struct Replaced {
    who: usize,
    ip: u8,
    port: Port,
    named: bool,
}

#[derive(Debug)]
struct Member {
    /// How many had ever entered a room before it.
    who: usize,
    name: &'static str,
    ip: u8,
    port: Port,
    heard: u64,
    named: bool,
    /// Connections that it entered or resumed over, and that are open.
    connections: u32,
    has_spoken: bool,
    /// The member that it has replaced, which gets its farewell when the address of this one is
    /// known.
    replaced: Option<Replaced>,
}

impl Port {
    fn number(self) -> Option<u16> {
        match self {
            Self::Unknown | Self::Lost => None,
            Self::Announced(port) | Self::Learnt(port) => Some(port),
        }
    }
}

#[derive(Debug)]
struct Room {
    name: &'static str,
    password: Option<&'static str>,
    capacity: Option<usize>,
    hidden: bool,
    /// Bans: the name, its IP, and true if the IP is banned too.
    bans: Vec<(&'static str, u8, bool)>,
    /// In the order of joining.
    members: Vec<Member>,
    host: usize,
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Dropped,
    KeptAlive,
    Relayed,
    Command,
}

/// All of it.
#[derive(Default)]
pub struct Naive {
    /// Whether the longest member becomes the host when the host goes.
    is_passed_on: bool,
    now: u64,
    rooms: Vec<Room>,
    /// How many ever entered a room.
    entered: usize,
    /// Those whose place was taken and who may still be told, oldest first, and until when: no end
    /// before the address of the new one is known.
    tombstones: Vec<(usize, Option<u64>)>,
    /// IPs that may have too many unproved members, and when those are to go.
    excesses: BTreeMap<u8, u64>,
    /// Who was told what since it was last looked at.
    pub told: Vec<(usize, String)>,
}

/// As a member that takes this form is told something; the sender of a notice is nobody.
fn line(named: bool, sender: Option<&str>, text: &str) -> String {
    match (named, sender) {
        (true, sender) => {
            let name = sender.unwrap_or_default();
            format!("{}{name}{text}", char::from(name.len() as u8))
        }
        (false, Some(name)) => format!("{name}: {text}"),
        (false, None) => text.into(),
    }
}

impl Room {
    fn tell(
        &self,
        told: &mut Vec<(usize, String)>,
        but: Option<usize>,
        from: Option<&str>,
        text: &str,
    ) {
        for member in &self.members {
            if Some(member.who) != but && member.port.number().is_some() {
                told.push((member.who, line(member.named, from, text)));
            }
        }
    }

    fn member(&self, who: usize) -> &Member {
        self.members.iter().find(|member| member.who == who).expect("a member")
    }

    fn namesake(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name.to_lowercase() == name.to_lowercase())
    }
}

impl Naive {
    pub fn new(is_passed_on: bool) -> Self {
        Self { is_passed_on, ..Self::default() }
    }

    fn everyone(&self) -> impl Iterator<Item = &Member> {
        self.rooms.iter().flat_map(|room| &room.members)
    }

    pub fn population(&self) -> usize {
        self.everyone().count()
    }

    pub fn open_rooms(&self) -> usize {
        self.rooms.len()
    }

    /// The unproved members of an IP that no connection holds, from the oldest on.
    fn unproved(&self, ip: u8) -> Vec<usize> {
        let mut unproved: Vec<(u64, usize)> = self
            .everyone()
            .filter(|one| one.ip == ip && one.port.number().is_none() && one.connections == 0)
            .map(|one| (one.heard, one.who))
            .collect();
        unproved.sort();
        unproved.into_iter().map(|(_, who)| who).collect()
    }

    fn announced(&self, ip: u8) -> usize {
        let announced = |one: &&Member| one.ip == ip && matches!(one.port, Port::Announced(_));
        self.everyone().filter(announced).count()
    }

    /// The room that somebody is in, by index.
    fn room_of(&self, who: usize) -> Option<usize> {
        self.rooms.iter().position(|room| room.members.iter().any(|member| member.who == who))
    }

    fn member_mut(&mut self, who: usize) -> Option<&mut Member> {
        self.rooms.iter_mut().flat_map(|room| &mut room.members).find(|member| member.who == who)
    }

    /// The rooms that anybody may see: name, members, capacity in force, whether it has a password.
    pub fn list(&self, prefix: &str) -> Vec<(&'static str, usize, usize, bool)> {
        let shown = self.rooms.iter().filter(|room| !room.hidden && room.name.starts_with(prefix));
        let mut rows: Vec<_> = shown
            .map(|room| {
                let capacity = room.capacity.unwrap_or(usize::MAX).min(MAX_MEMBERS);
                (room.name, room.members.len(), capacity, room.password.is_some())
            })
            .collect();
        rows.sort();
        rows
    }

    pub fn create(&mut self, wish: &Wish) -> Status {
        let same = self.rooms.iter().position(|room| room.name == wish.room);
        let abandoned = same.filter(|index| self.is_abandoned(*index, wish.ip));
        if same.is_some() && abandoned.is_none() {
            return Status::RoomExists;
        }
        let leaving = usize::from(abandoned.is_some());
        let is_full = self.population() - leaving == MAX_MEMBERS;
        if self.rooms.len() - leaving == MAX_ROOMS || is_full {
            return Status::ServerFull;
        }
        if let Some(index) = abandoned {
            let host = self.rooms.remove(index).members.remove(0);
            self.tell_replaced(host.replaced);
        }
        self.rooms.push(Room {
            name: wish.room,
            password: wish.password,
            capacity: wish.capacity,
            hidden: wish.hidden,
            bans: vec![],
            members: vec![],
            host: self.entered,
        });
        self.seat(self.rooms.len() - 1, wish);
        Status::Success
    }

    pub fn join(&mut self, wish: &Wish) -> Status {
        let Some(index) = self.rooms.iter().position(|room| room.name == wish.room) else {
            return Status::RoomNotFound;
        };
        let room = &self.rooms[index];
        let is_wrong = room.password.is_some() && room.password != wish.password;
        if room.hidden && is_wrong {
            return Status::RoomNotFound;
        }
        if is_wrong {
            return Status::WrongPassword;
        }
        if self.is_kept_out(room, Some(wish.name), wish.ip) {
            return Status::Kicked;
        }
        let mut replaced = None;
        if let Some(other) = room.namesake(wish.name) {
            let is_silent = self.now - other.heard >= SILENT;
            if other.ip != wish.ip || !is_silent {
                return Status::NameTaken;
            }
            replaced = Some(other.who);
        }
        let leaving = usize::from(replaced.is_some());
        if room.capacity.is_some_and(|capacity| room.members.len() - leaving >= capacity) {
            return Status::RoomFull;
        }
        if self.population() - leaving >= MAX_MEMBERS {
            return Status::ServerFull;
        }
        let to_tell = replaced.and_then(|who| self.replace(index, who));
        let joined = format!("{} joined", wish.name);
        self.rooms[index].tell(&mut self.told, None, None, &joined);
        self.seat(index, wish);
        let room = &mut self.rooms[index];
        let newcomer = room.members.last_mut().expect("the new one");
        newcomer.replaced = to_tell;
        if Some(room.host) == replaced {
            room.host = newcomer.who;
        }
        Status::Success
    }

    /// Takes a silent member out; says who is to be told of it later: this one, or the one before
    /// it if this one never had an address.
    fn replace(&mut self, index: usize, who: usize) -> Option<Replaced> {
        let members = &mut self.rooms[index].members;
        let position = members.iter().position(|member| member.who == who).expect("a member");
        let gone = members.remove(position);
        match gone.port.number() {
            Some(_) => {
                self.tombstones.push((gone.who, None));
                if let Some(before) = gone.replaced {
                    self.release(before.who);
                }
                let Member { who, ip, port, named, .. } = gone;
                Some(Replaced { who, ip, port, named })
            }
            None => gone.replaced,
        }
    }

    /// Tells a replaced member of its end, if it is remembered.
    fn tell_replaced(&mut self, replaced: Option<Replaced>) {
        if let Some(old) = replaced
            && self.release(old.who)
            && old.port.number().is_some()
        {
            let why = "you were removed from the room, nothing was heard from you for a while";
            self.told.push((old.who, line(old.named, None, why)));
        }
    }

    /// Notes that a datagram has shown a member's address, and tells the member that it has replaced, unless
    /// that one has the same address.
    fn settle_replaced(&mut self, who: usize) {
        let member = self.member_mut(who).expect("a member");
        let address = (member.ip, member.port.number());
        let Some(replaced) = member.replaced.take() else { return };
        if (replaced.ip, replaced.port.number()) == address {
            self.release(replaced.who);
        } else {
            self.tell_replaced(Some(replaced));
        }
    }

    /// Somebody whose place was taken is forgotten in a minute. Says whether it was not before.
    fn release(&mut self, who: usize) -> bool {
        let until = self.now + 60;
        let tombstone = self.tombstones.iter_mut().find(|(other, _)| *other == who);
        tombstone.is_some_and(|(_, end)| end.replace(until).is_none())
    }

    /// Returns true if a room has only a host that failed before anybody could reach it.
    fn is_abandoned(&self, index: usize, ip: u8) -> bool {
        let [host] = &self.rooms[index].members[..] else { return false };
        let is_unproved = host.port == Port::Unknown && host.connections == 0;
        host.ip == ip && is_unproved && !host.has_spoken && host.heard + GRACE <= self.now
    }

    /// A connection of a member's has ended.
    pub fn disconnect(&mut self, who: usize) {
        let Some(member) = self.member_mut(who) else { return };
        member.connections = member.connections.saturating_sub(1);
        let ip = member.ip;
        self.watch_unproved(ip);
    }

    fn watch_unproved(&mut self, ip: u8) {
        if self.unproved(ip).len() > MAX_UNPROVED {
            let due = self.now + GRACE;
            self.excesses.entry(ip).or_insert(due);
        }
    }

    fn seat(&mut self, index: usize, wish: &Wish) {
        while self.population() + self.tombstones.len() >= MAX_MEMBERS
            && !self.tombstones.is_empty()
        {
            self.tombstones.remove(0);
        }
        self.rooms[index].members.push(Member {
            who: self.entered,
            name: wish.name,
            ip: wish.ip,
            port: Port::Unknown,
            heard: self.now,
            named: wish.named,
            connections: 1,
            has_spoken: false,
            replaced: None,
        });
        self.entered += 1;
    }

    /// Whether the port is where its datagrams go from now on.
    pub fn announce(&mut self, who: usize, ip: u8, port: u16) -> bool {
        let has_port =
            |one: &Member| [Port::Announced(port), Port::Learnt(port)].contains(&one.port);
        let is_taken = self.everyone().any(|one| one.who != who && one.ip == ip && has_port(one));
        let has_enough = self.announced(ip) >= MAX_UNPROVED;
        let Some(member) = self.member_mut(who) else { return false };
        if member.ip != ip || port == 0 || matches!(member.port, Port::Learnt(_) | Port::Lost) {
            return false;
        }
        // The one that it has, it may name again, whoever has come to have it too.
        if is_taken && member.port != Port::Announced(port) {
            return false;
        }
        if has_enough && !matches!(member.port, Port::Announced(_)) {
            return false;
        }
        member.port = Port::Announced(port);
        self.withdraw_from_replaced(ip, |old| old == Port::Announced(port));
        true
    }

    /// Handles a proved address: members that have only announced it lose it, and so do ended
    /// members.
    fn withdraw(&mut self, who: usize, ip: u8, port: u16) {
        let is_there = |one: &Member| one.ip == ip && one.port == Port::Announced(port);
        let other = self.everyone().find(|one| one.who != who && is_there(one));
        if let Some(other) = other.map(|one| one.who) {
            self.member_mut(other).expect("a member").port = Port::Lost;
            self.watch_unproved(ip);
        }
        self.withdraw_from_replaced(ip, |old| old.number() == Some(port));
    }

    fn withdraw_from_replaced(&mut self, ip: u8, is_weaker: impl Fn(Port) -> bool) {
        let members = self.rooms.iter_mut().flat_map(|room| &mut room.members);
        for old in members.filter_map(|member| member.replaced.as_mut()) {
            if old.ip == ip && is_weaker(old.port) {
                old.port = Port::Lost;
            }
        }
    }

    pub fn resume(&mut self, who: usize, room: &str, ip: u8) -> Status {
        let now = self.now;
        if self.room_of(who).is_none_or(|index| self.rooms[index].name != room) {
            return Status::RoomNotFound;
        }
        let room = &self.rooms[self.room_of(who).expect("a room")];
        if room.host != who && self.is_kept_out(room, None, ip) {
            return Status::Kicked;
        }
        let member = self.member_mut(who).expect("a member");
        (member.ip, member.port, member.heard) = (ip, Port::Unknown, now);
        member.connections += 1;
        Status::Success
    }

    /// A datagram with somebody's token.
    pub fn hear(&mut self, who: usize, ip: u8, port: u16, room: &str, text: &str) -> Heard {
        let now = self.now;
        let Some(index) = self.room_of(who) else { return Heard::Dropped };
        let member = self.member_mut(who).expect("a member");
        if member.ip != ip || self.rooms[index].name != room {
            return Heard::Dropped;
        }
        let member = self.member_mut(who).expect("a member");
        let is_new = member.port != Port::Learnt(port);
        (member.port, member.heard, member.has_spoken) = (Port::Learnt(port), now, true);
        let name = member.name;
        self.settle_replaced(who);
        if is_new {
            self.withdraw(who, ip, port);
        }
        match text.split_once(' ').unwrap_or((text, "")) {
            _ if text.is_empty() => return Heard::KeptAlive,
            ("/exit", _) => self.depart(index, who, &format!("{name} left")),
            ("/who", _) => {
                let names = self.names(index);
                self.answer(index, who, &names);
            }
            ("/kick", target) => self.kick(index, who, target),
            ("/ban", target) => self.ban(index, who, target),
            ("/unban", target) => self.unban(index, who, target),
            ("/bans", _) => self.list_bans(index, who),
            ("/host", target) => self.pass(index, who, target),
            _ => {
                self.rooms[index].tell(&mut self.told, Some(who), Some(name), text);
                return Heard::Relayed;
            }
        }
        Heard::Command
    }

    /// The members of a room, the host marked.
    fn names(&self, index: usize) -> String {
        let room = &self.rooms[index];
        let mark = |member: &Member| if member.who == room.host { " (host)" } else { "" };
        let names: Vec<String> =
            room.members.iter().map(|member| format!("{}{}", member.name, mark(member))).collect();
        names.join(", ")
    }

    fn answer(&mut self, index: usize, who: usize, text: &str) {
        let member = self.rooms[index].member(who);
        if member.port.number().is_some() {
            let line = line(member.named, None, text);
            self.told.push((who, line));
        }
    }

    /// Whom the host means; whoever may not is told why.
    fn meant(&mut self, index: usize, who: usize, name: &str) -> Option<usize> {
        if self.rooms[index].host != who {
            self.answer(index, who, "only the host may do that");
            return None;
        }
        let target = self.rooms[index].namesake(name).map(|member| member.who);
        if target.is_none() {
            self.answer(index, who, "nobody here has that name, /who lists the names");
        }
        target
    }

    fn kick(&mut self, index: usize, who: usize, name: &str) {
        let Some(target) = self.meant(index, who, name) else { return };
        if target == who {
            let why = "you cannot remove yourself, /exit leaves and closes the room";
            return self.answer(index, who, why);
        }
        self.remove(index, target, false);
    }

    fn remove(&mut self, index: usize, target: usize, with_ip: bool) {
        let room = &mut self.rooms[index];
        let (name, ip) = (room.member(target).name, room.member(target).ip);
        let has_ip = with_ip && room.member(room.host).ip != ip;
        room.bans.push((name, ip, has_ip));
        self.answer(index, target, "you were removed from the room by its host");
        self.depart(index, target, &format!("{name} was removed by the host"));
    }

    /// Returns true if a name or an IP is banned from a room. The host's own IP never is.
    fn is_kept_out(&self, room: &Room, name: Option<&str>, ip: u8) -> bool {
        let is_of_host = room.member(room.host).ip == ip;
        room.bans.iter().any(|(banned, banned_ip, has_ip)| {
            let is_name = name.is_some_and(|name| name.to_lowercase() == banned.to_lowercase());
            is_name || (*has_ip && *banned_ip == ip && !is_of_host)
        })
    }

    fn is_host(&mut self, index: usize, who: usize) -> bool {
        let is_host = self.rooms[index].host == who;
        if !is_host {
            self.answer(index, who, "only the host may do that");
        }
        is_host
    }

    fn banned(&self, index: usize, name: &str) -> Option<usize> {
        let mut bans = self.rooms[index].bans.iter();
        bans.position(|(banned, ..)| banned.to_lowercase() == name.to_lowercase())
    }

    fn ban(&mut self, index: usize, who: usize, name: &str) {
        if !self.is_host(index, who) {
            return;
        }
        match (self.rooms[index].namesake(name).map(|member| member.who), self.banned(index, name))
        {
            (Some(target), _) if target == who => {
                let why = "you cannot remove yourself, /exit leaves and closes the room";
                return self.answer(index, who, why);
            }
            (Some(target), _) => self.remove(index, target, true),
            (None, Some(at)) => {
                let room = &mut self.rooms[index];
                let (name, ip, _) = room.bans.remove(at);
                let has_ip = room.member(room.host).ip != ip;
                room.bans.push((name, ip, has_ip));
            }
            (None, None) => {
                let why = "nobody here has that name, and nobody who was removed had it";
                return self.answer(index, who, why);
            }
        }
        let room = &self.rooms[index];
        let (name, ip, has_ip) = *room.bans.last().expect("the new one");
        let sharers = room.members.iter().filter(|one| one.ip == ip).map(|one| one.name);
        let sharers: Vec<&str> = sharers.collect();
        let mut text = format!("{name} is banned with its address, /unban NAME lets both in again");
        if !has_ip {
            text = format!("{name} is banned by name only, its address is yours too");
        } else if !sharers.is_empty() {
            let stay = "members with the same address stay but cannot come back";
            text = format!("{text}, {stay} ({})", sharers.join(", "));
        }
        self.answer(index, who, &text);
    }

    fn unban(&mut self, index: usize, who: usize, name: &str) {
        if !self.is_host(index, who) {
            return;
        }
        let text = match self.banned(index, name) {
            None => "that name is not banned, /bans lists those that are".into(),
            Some(at) => format!("{} may come in again", self.rooms[index].bans.remove(at).0),
        };
        self.answer(index, who, &text);
    }

    fn list_bans(&mut self, index: usize, who: usize) {
        if !self.is_host(index, who) {
            return;
        }
        let name = |(name, _, has_ip): &(&str, u8, bool)| match has_ip {
            true => format!("{name} + address"),
            false => name.to_string(),
        };
        let names: Vec<String> = self.rooms[index].bans.iter().rev().map(name).collect();
        let text = match names.is_empty() {
            true => "nobody is banned from this room".into(),
            false => format!("banned ({})", names.join(", ")),
        };
        self.answer(index, who, &text);
    }

    fn pass(&mut self, index: usize, who: usize, name: &str) {
        let Some(target) = self.meant(index, who, name) else { return };
        if target == who {
            return self.answer(index, who, "you are the host already");
        }
        self.crown(index, target);
    }

    fn crown(&mut self, index: usize, who: usize) {
        let room = &mut self.rooms[index];
        room.host = who;
        let text = format!("{} is the host now", room.member(who).name);
        room.tell(&mut self.told, None, None, &text);
    }

    /// Somebody goes, and the others are told; a room without its host is passed on or closed.
    fn depart(&mut self, index: usize, who: usize, others: &str) {
        let room = &mut self.rooms[index];
        let heir = room.members.iter().map(|member| member.who).find(|other| *other != who);
        let is_closed = room.host == who && (heir.is_none() || !self.is_passed_on);
        if is_closed {
            room.tell(&mut self.told, None, None, "the room was closed");
            let gone = self.rooms.remove(index).members;
            gone.into_iter().for_each(|member| self.tell_replaced(member.replaced));
            return;
        }
        let position = room.members.iter().position(|member| member.who == who);
        let gone = room.members.remove(position.expect("a member"));
        room.tell(&mut self.told, None, None, others);
        self.tell_replaced(gone.replaced);
        let room = &mut self.rooms[index];
        if let (true, Some(heir)) = (room.host == who, heir) {
            self.crown(index, heir);
        }
    }

    /// A second passes.
    pub fn tick(&mut self) {
        self.now += 1;
        let now = self.now;
        self.tombstones.retain(|(_, until)| until.is_none_or(|until| until > now));
        let silent = self.everyone().find(|member| member.heard + IDLE <= self.now);
        if let Some((who, name)) = silent.map(|member| (member.who, member.name)) {
            let index = self.room_of(who).expect("a room");
            let why = "you were removed from the room, nothing was heard from you for a while";
            self.answer(index, who, why);
            self.depart(index, who, &format!("{name} timed out"));
        }
        self.make_unproved_give_way();
    }

    /// Removes the oldest unproved members of each IP that has too many, none before its time.
    fn make_unproved_give_way(&mut self) {
        for ip in 1..4 {
            if self.excesses.get(&ip).is_none_or(|due| *due > self.now) {
                continue;
            }
            self.excesses.remove(&ip);
            while self.unproved(ip).len() > MAX_UNPROVED {
                let who = self.unproved(ip)[0];
                let due = self.member_mut(who).expect("a member").heard + GRACE;
                if due > self.now {
                    self.excesses.insert(ip, due);
                    break;
                }
                let index = self.room_of(who).expect("a room");
                let name = self.rooms[index].member(who).name;
                self.depart(index, who, &format!("{name} timed out"));
            }
        }
    }
}
