//! Predicts the outcome of requests.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::alert::Alert;
use reactor_chat::chat::{Path, Reply};
use reactor_chat::protocol::stream::{Code, Completion};
use reactor_chat::protocol::{Delivery, Entrant, Notice, Request, Status, Token};

use super::limits::{GRACE, subnet};
use super::paths::{is_encrypted, path_of};
use super::presence::PresenceChange;
use super::room::Room;
use super::{Member, Model, PlaceOfRequest, SILENT_AFTER, folded};

/// Time after which a new member without a datagram is noticed.
const FIRST_CHECK: Duration = Duration::from_secs(10);

impl Model {
    /// Returns the status if a request is refused, or the time until which it is delayed. A delayed
    /// request was counted as a wrong guess.
    pub fn judge(
        &mut self,
        from: PlaceOfRequest,
        request: &Request<'_>,
        has_waited: bool,
        now: Instant,
    ) -> Result<Option<Instant>, Status> {
        match request {
            Request::List { .. } => Ok(None),
            Request::Create { host, sealed_only, .. } => {
                let path = path_of(from.is_encrypted, &host.path)?;
                self.judge_host((from.ip, path), &host.room.name, *sealed_only, now).map(|()| None)
            }
            Request::Join(guest) => {
                let entry = (from.ip, path_of(from.is_encrypted, &guest.path)?);
                let turn = match has_waited {
                    true => self.check_members(from.ip).map(|()| None)?,
                    false => self.judge_turn(entry, guest, now)?,
                };
                match turn {
                    Some(at) => Ok(Some(at)),
                    None => self.judge_guest(entry, guest, has_waited, now).map(|()| None),
                }
            }
            Request::Resume { room, token, path } => {
                let wishes = path.unwrap_or_default();
                let path = path_of(from.is_encrypted, &wishes)?;
                let whose = self.judge_token(from, &room.name, *token, now)?;
                self.judge_path(whose, (from.ip, path), wishes.seal).map(|()| None)
            }
        }
    }

    /// Returns the member that may resume with this token.
    fn judge_token(
        &mut self,
        from: PlaceOfRequest,
        room: &str,
        token: Token,
        now: Instant,
    ) -> Result<usize, Status> {
        let peer = from.ip;
        let works = |whose: &usize| {
            let member = &self.members[*whose];
            member.is_live() && (from.is_encrypted || !member.is_encrypted())
        };
        let whose = self.find_token(token).filter(works);
        let ip = whose.map(|whose| subnet(self.members[whose].ip));
        if ip != Some(subnet(peer)) {
            self.check_members(peer)?;
        }
        let is_here = |whose: &usize| self.rooms[self.members[*whose].room].name == room;
        let Some(whose) = whose.filter(is_here) else {
            self.note_token(peer, now);
            return Err(Status::RoomNotFound);
        };
        Ok(whose)
    }

    /// Checks that a member may resume on a path.
    fn judge_path(
        &mut self,
        whose: usize,
        (peer, path): (IpAddr, Path),
        asks_for_seal: bool,
    ) -> Result<(), Status> {
        let member = &self.members[whose];
        if asks_for_seal && member.joined_in_clear {
            self.tally.note("seal after a join in the clear");
            return Err(Status::Malformed);
        }
        if member.is_encrypted() && !is_encrypted(path) {
            self.tally.note("resume in the clear");
            return Err(Status::EncryptionRequired);
        }
        let room = member.room;
        if self.rooms[room].host != whose && self.is_banned(room, None, peer) {
            self.tally.note("resumed from a banned address");
            return Err(Status::Kicked);
        }
        self.check_carried((peer, path), Some(whose))
    }

    fn check_members(&mut self, peer: IpAddr) -> Result<(), Status> {
        if self.has_members_enough(peer) {
            self.alert(Alert::MembersIp, peer);
            return Err(Status::RateLimited);
        }
        Ok(())
    }

    /// Checks the limits of the peer, which come before the room, and of passwords at one room.
    fn judge_turn(
        &mut self,
        (peer, path): (IpAddr, Path),
        guest: &Entrant<'_>,
        now: Instant,
    ) -> Result<Option<Instant>, Status> {
        self.check_members(peer)?;
        if guest.password.is_none() {
            return Ok(None);
        }
        if !self.may_guess(peer, now) {
            self.alert(Alert::WrongPasswords, peer);
            return Err(Status::RateLimited);
        }
        if let Some(room) = self.open_room(&guest.room.name) {
            let namesake = self.find_named(room, &guest.name);
            let is_back = namesake.is_some_and(|index| self.members[index].ip == peer);
            let room = &self.rooms[room];
            // Without encryption a hidden room of encrypted members looks like a missing one.
            let is_kept_out = room.sealed_only && !is_encrypted(path);
            if is_kept_out && !room.hidden {
                return Ok(None);
            }
            let is_back = is_back || room.password.is_none();
            if !is_kept_out && (room.visitors.contains(&subnet(peer)) || is_back) {
                return Ok(None);
            }
        }
        let turn = self.take_turn(&guest.room.name, now);
        if !matches!(turn, Ok(None)) {
            self.alert(Alert::RoomPasswords, peer);
        }
        if matches!(turn, Ok(Some(_))) {
            self.note_guess(peer, now);
        }
        turn
    }

    fn judge_host(
        &mut self,
        (peer, path): (IpAddr, Path),
        room: &str,
        sealed_only: bool,
        now: Instant,
    ) -> Result<(), Status> {
        self.check_members(peer)?;
        if self.has_rooms_enough(peer) {
            self.alert(Alert::RoomsIp, peer);
            return Err(Status::RateLimited);
        }
        let is_there = self.open_room(room).is_some();
        let leaving = usize::from(self.abandoned_room(peer, room, now).is_some());
        if is_there && leaving == 0 {
            return Err(Status::RoomExists);
        }
        if sealed_only && !is_encrypted(path) {
            return Err(Status::EncryptionRequired);
        }
        let rooms = self.rooms.iter().filter(|room| room.is_open).count() - leaving;
        if self.config.max_rooms.is_some_and(|limit| rooms >= limit) {
            self.alert(Alert::Rooms, peer);
            return Err(Status::ServerFull);
        }
        if self.is_full(leaving) {
            self.alert(Alert::Members, peer);
            return Err(Status::ServerFull);
        }
        self.check_carried((peer, path), None)
    }

    /// Returns the room that a create replaces: its host failed before anybody could reach it.
    fn abandoned_room(&self, peer: IpAddr, room: &str, now: Instant) -> Option<usize> {
        let index = self.open_room(room)?;
        let [host] = self.rooms[index].members[..] else { return None };
        let host = &self.members[host];
        let is_over = host.heard_at + GRACE <= now;
        let never_had_port = host.is_unproved() && !host.was_heard && !host.has_lost_port;
        (host.ip == peer && never_had_port && is_over).then_some(index)
    }

    fn judge_guest(
        &mut self,
        (peer, path): (IpAddr, Path),
        guest: &Entrant<'_>,
        has_waited: bool,
        now: Instant,
    ) -> Result<(), Status> {
        let found = self.open_room(&guest.room.name);
        let is_kept_out =
            found.is_some_and(|room| self.rooms[room].sealed_only && !is_encrypted(path));
        if is_kept_out && found.is_some_and(|room| !self.rooms[room].hidden) {
            return Err(Status::EncryptionRequired);
        }
        let found = found.filter(|_| !is_kept_out);
        let password = found.and_then(|room| self.rooms[room].password.as_ref());
        let is_wrong =
            found.is_none() || (password.is_some() && password != guest.password.as_ref());
        let is_hidden = found.is_none_or(|room| self.rooms[room].hidden);
        if is_wrong && guest.password.is_some() {
            self.alert(Alert::WrongPassword, peer);
            if !has_waited {
                self.note_guess(peer, now);
                self.note_guess_at(&guest.room.name, now);
            }
        }
        let Some(index) = found.filter(|_| !is_wrong) else {
            return Err(if is_hidden { Status::RoomNotFound } else { Status::WrongPassword });
        };
        let room = &self.rooms[index];
        if self.is_banned(index, Some(&*guest.name), peer) {
            return Err(Status::Kicked);
        }
        let namesake = self.find_named(index, &guest.name);
        if namesake.is_some() && self.silent_namesake(peer, guest, now).is_none() {
            return Err(Status::NameTaken);
        }
        let leaving = usize::from(namesake.is_some());
        let population = room.members.len() - leaving;
        if self.config.max_room_members.is_some_and(|limit| population >= limit) {
            self.alert(Alert::RoomMembers, peer);
            return Err(Status::RoomFull);
        }
        if room.capacity.is_some_and(|own| population >= own as usize) {
            return Err(Status::RoomFull);
        }
        if self.is_full(leaving) {
            self.alert(Alert::Members, peer);
            return Err(Status::ServerFull);
        }
        self.check_carried((peer, path), namesake)
    }

    /// Returns the member that the entrant replaces.
    fn silent_namesake(&self, peer: IpAddr, guest: &Entrant<'_>, now: Instant) -> Option<usize> {
        let room = self.open_room(&guest.room.name)?;
        let index = self.find_named(room, &guest.name)?;
        let (limit, member) = (self.config.replace_silent?, &self.members[index]);
        let is_gone = member.detached_at.is_some() || now - member.heard_at >= limit;
        let gives_way = member.ip == peer && is_gone;
        gives_way.then_some(index)
    }

    fn is_full(&self, leaving: usize) -> bool {
        let live = self.live_count() - leaving;
        self.config.max_members.is_some_and(|limit| live >= limit)
    }

    /// Applies a request that has succeeded. Returns the member that it is about, if any.
    pub fn apply(
        &mut self,
        (peer, is_encrypted): (SocketAddr, bool),
        request: &Request<'_>,
        reply: &Reply,
        now: Instant,
    ) -> Option<usize> {
        match (request, reply) {
            (Request::List { prefix, .. }, Reply::Rooms(list)) => {
                let list = str::from_utf8(list).expect("UTF-8");
                assert_eq!(list, self.list(prefix.as_ref().expect("UTF-8")));
                self.tally.note("listed");
                None
            }
            (Request::Create { host, capacity, hidden, sealed_only }, Reply::Entered { .. }) => {
                let mut room = Room::new(&host.room.name, peer.ip().to_canonical());
                (room.capacity, room.hidden) = (*capacity, *hidden);
                room.sealed_only = *sealed_only;
                Some(self.create(room, (peer, is_encrypted), host, reply, now))
            }
            (Request::Join(guest), Reply::Entered { .. }) => {
                Some(self.join((peer, is_encrypted), guest, reply, now))
            }
            (
                Request::Resume { token, room, path: wishes },
                Reply::Resumed { member, token: same, stream, path },
            ) => {
                assert_eq!(Ok(*path), path_of(is_encrypted, &wishes.unwrap_or_default()));
                let index = self.find_token(*token).expect("a known token");
                assert_eq!((*member, *token), (self.members[index].id, *same));
                self.members[index].room_spelling = room.as_sent.into();
                self.resume(index, (peer.ip().to_canonical(), *path), now);
                self.check_completion(index, stream.as_ref());
                Some(index)
            }
            _ => panic!("a reply to another request"),
        }
    }

    fn create(
        &mut self,
        mut room: Room,
        from: (SocketAddr, bool),
        host: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        if let Some(abandoned) = self.abandoned_room(room.creator, &room.name, now) {
            self.tally.note("made anew");
            self.close(abandoned, (Notice::RoomClosed, Code::RoomClosed), None, now);
        }
        self.tally.note(if room.hidden { "hidden" } else { "created" });
        (room.password, room.history) = (host.password.clone(), host.history);
        self.rooms.push(room);
        let index = self.admit(self.rooms.len() - 1, from, host, reply, now);
        self.rooms.last_mut().expect("the new one").host = index;
        self.start_path(index, now);
        if host.delivery == Delivery::Stream {
            self.notify_joined(index, now);
        }
        index
    }

    fn join(
        &mut self,
        (peer, is_encrypted): (SocketAddr, bool),
        guest: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        self.tally.note("joined");
        let room = self.open_room(&guest.room.name).expect("an open room");
        let silent = self.silent_namesake(peer.ip().to_canonical(), guest, now);
        let to_tell = silent.and_then(|silent| self.replace(silent, now));
        let index = self.admit(room, (peer, is_encrypted), guest, reply, now);
        self.members[index].replaced = to_tell;
        self.start_path(index, now);
        if let Some(silent) = silent {
            self.tally.note("replaced");
            if self.rooms[room].host == silent {
                self.tally.note("host replaced");
                self.rooms[room].host = index;
            }
        }
        self.notify_joined(index, now);
        index
    }

    fn resume(&mut self, index: usize, (ip, path): (IpAddr, Path), now: Instant) {
        let member = &mut self.members[index];
        let is_repeated = member.ip == ip && member.port.is_none();
        member.ip = ip;
        member.heard_at = now;
        member.is_unresponsive = false;
        member.connections += 1;
        self.rooms[member.room].visitors.insert(subnet(ip));
        self.tally.note(if is_repeated { "resume repeated" } else { "resumed" });
        self.tally.note(&format!("resumed as {path:?}"));
        self.change_path(index, path, now);
    }

    fn notify_joined(&mut self, index: usize, now: Instant) {
        let (room, number) = (self.members[index].room, self.members[index].number);
        let name = self.members[index].name.clone();
        self.notify_presence(room, (number, &name), PresenceChange::Joined, Some(index), now);
    }

    fn admit(
        &mut self,
        room: usize,
        (peer, is_encrypted): (SocketAddr, bool),
        entrant: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        let Reply::Entered { member, token, stream, path } = reply else { panic!("not a place") };
        assert_eq!(Ok(*path), path_of(is_encrypted, &entrant.path));
        self.tally.note(&format!("entered as {path:?}"));
        self.make_place();
        self.tally.note(&format!("entered as {:?}", entrant.delivery));
        let next = self.note_entrant(room, peer.ip(), entrant, stream.as_ref());
        let known = &self.rooms[room];
        let check_at = match entrant.delivery {
            Delivery::Plain(_) => SILENT_AFTER,
            Delivery::Stream => self.have_interval(),
        };
        let index = self.add(Member {
            room,
            room_spelling: entrant.room.as_sent.into(),
            name: entrant.name.to_string(),
            folded: folded(&entrant.name),
            number: known.last_number,
            delivery: entrant.delivery,
            path: *path,
            joined_in_clear: !is_encrypted,
            alarm: Some(now + self.config.idle_timeout.unwrap_or(FIRST_CHECK).min(FIRST_CHECK)),
            check_at: Some(now + check_at),
            history_until: known.highest_end(),
            tag: stream.as_ref().map(|stream| stream.tag),
            ..Member::new(*member, *token, peer, next, now)
        });
        self.rooms[room].members.push(index);
        self.check_completion(index, stream.as_ref());
        index
    }

    /// Notes a new member in its room. Returns the next number of its stream.
    fn note_entrant(
        &mut self,
        room: usize,
        ip: IpAddr,
        entrant: &Entrant<'_>,
        stream: Option<&Completion>,
    ) -> u64 {
        let room = &mut self.rooms[room];
        room.last_number += 1;
        room.visitors.insert(subnet(ip));
        let Some(stream) = stream else { return 0 };
        room.life = room.life.or(stream.life);
        let before = room.members.last().and_then(|before| self.members[*before].tag);
        assert_ne!(Some(stream.tag), before, "the tag of another member");
        let history = u64::from(entrant.history.min(room.history));
        assert!(stream.next + history >= room.seen_end(), "more history than the host allows");
        assert!(stream.next <= room.highest_end());
        stream.next
    }

    fn check_completion(&self, index: usize, completion: Option<&Completion>) {
        let member = &self.members[index];
        assert_eq!(completion.is_some(), member.takes_stream());
        let Some(completion) = completion else { return };
        let idle_timeout = self.config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
        let right = Completion {
            token: member.token,
            member: member.number,
            tag: member.tag.expect("a stream"),
            life: self.rooms[member.room].life,
            next: member.first,
            expected: member.expected,
            keep_alive: if idle_timeout == 0 { 20 } else { (idle_timeout / 3).clamp(1, 20) },
            idle_timeout,
            seal: None,
        };
        assert_eq!(*completion, right);
    }

    fn list(&self, prefix: &str) -> String {
        let mut shown: Vec<&Room> =
            self.rooms.iter().filter(|room| room.is_open && !room.hidden).collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = shown.iter().filter(|room| room.name.starts_with(prefix)).map(|room| {
            let own = room.capacity.map(|own| own as usize);
            let limits = [own, self.config.max_room_members, self.config.max_members];
            let capacity = limits.into_iter().flatten().min().unwrap_or(0);
            format!(
                r#"{{"room":"{}","members":{},"capacity":{capacity},"password":{}{}}}"#,
                room.name,
                room.members.len(),
                room.password.is_some(),
                if room.sealed_only { r#","sealed":true"# } else { "" },
            )
        });
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    }
}
