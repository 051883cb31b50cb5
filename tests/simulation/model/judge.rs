//! Predicts the replies to requests.

use std::net::IpAddr;
use std::time::Instant;

use reactor_chat::alert::Alert;
use reactor_chat::chat::Path;
use reactor_chat::protocol::{Entrant, Request, Status, Token};

use super::limits::{GRACE, subnet};
use super::paths::{is_encrypted, path_of};
use super::{Model, PlaceOfRequest};

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
                    true => self.check_entry(entry).map(|()| None)?,
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
                let whose = self.judge_token((from, path), &room.name, *token, now)?;
                self.judge_path(whose, (from.ip, path), wishes.seal).map(|()| None)
            }
        }
    }

    /// Returns the member that may resume with this token.
    fn judge_token(
        &mut self,
        (from, path): (PlaceOfRequest, Path),
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
        self.check_carried_of((peer, path), whose)?;
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

    fn check_entry(&mut self, (peer, path): (IpAddr, Path)) -> Result<(), Status> {
        self.check_members(peer)?;
        self.check_carried_of((peer, path), None)
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
        self.check_entry((peer, path))?;
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
        self.check_entry((peer, path))?;
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
    pub fn abandoned_room(&self, peer: IpAddr, room: &str, now: Instant) -> Option<usize> {
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
        let index = self.judge_door((peer, path), guest, has_waited, now)?;
        if self.is_banned(index, Some(&*guest.name), peer) {
            return Err(Status::Kicked);
        }
        let namesake = self.find_named(index, &guest.name);
        if namesake.is_some() && self.silent_namesake(peer, guest, now).is_none() {
            return Err(Status::NameTaken);
        }
        let leaving = usize::from(namesake.is_some());
        let room = &self.rooms[index];
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

    /// Returns the room of a join, if the guest's path and password open it.
    fn judge_door(
        &mut self,
        (peer, path): (IpAddr, Path),
        guest: &Entrant<'_>,
        has_waited: bool,
        now: Instant,
    ) -> Result<usize, Status> {
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
        let why = if is_hidden { Status::RoomNotFound } else { Status::WrongPassword };
        found.filter(|_| !is_wrong).ok_or(why)
    }

    /// Returns the member that the entrant replaces.
    pub fn silent_namesake(
        &self,
        peer: IpAddr,
        guest: &Entrant<'_>,
        now: Instant,
    ) -> Option<usize> {
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
}
