//! Create and join: who gets in.
//!
//! A refusal has the first status that applies, in this order: 9, 4, 5 (errors of the request itself,
//! see [`crate::protocol::request`]), then 10, 1, 2, 12, 3, 11, 6, 7, 8. Limits of the peer (10) are
//! checked before the room. A hidden room looks like a missing one without its password, so until
//! the password is right every later reason is 2. A hidden room with `sealed_only` looks like a missing
//! one to everybody who would enter in the clear.

use std::rc::Rc;
use std::time::Instant;

use super::member::{LastAside, Member, Port, spelling};
use super::parts::Unfinished;
use super::presence::PresenceChange;
use super::rate_limit::MessageBudget;
use super::reply_budget::ReplyBudget;
use super::room::{Room, RoomSettings};
use super::{Alarm, Caller, Chat, Path, Reply};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::delivery::{Recipient, StreamOptions};
use crate::fanout::Audience;
use crate::ids::{Key, MemberId, RoomId};
use crate::protocol::name::fold;
use crate::protocol::{Delivery, Entrant, Status, Token};
use crate::subnet::Subnet;
use crate::timers::Deadline;

impl Chat {
    pub(super) fn create(
        &mut self,
        caller: Caller,
        host: &Entrant<'_>,
        settings: RoomSettings<'_>,
        mut draw: impl FnMut() -> Option<[u8; 16]>,
        now: Instant,
    ) -> Result<Reply, Status> {
        let (peer, path) = (caller.peer, caller.path(&host.path)?);
        let creator = Subnet::of(peer);
        self.check_limits_of_creator((peer, path))?;
        let abandoned = self.find_abandoned(&host.room.name, peer, now)?;
        if settings.sealed_only && !path.is_encrypted() {
            return Err(Status::EncryptionRequired);
        }
        self.check_limits_of_server(peer, abandoned)?;
        self.check_carried((peer, path), None)?;
        let drawn = Drawn::draw(host, &mut draw).ok_or(Status::ServerFull)?;
        if let Some(abandoned) = abandoned {
            self.close_room_of_nobody(abandoned, now);
        }
        let room_id = self.open_room(creator, &host.room.name, settings);
        let member = self.admit(room_id, (caller, path), host, fold(&host.name), &drawn, now);
        if let Some(room) = self.directory.rooms.get_mut(room_id) {
            room.host = member;
        }
        if path.has_connection() {
            self.attach(member, now);
        }
        if host.delivery == Delivery::Stream {
            // Every stream begins with the join of its member: the first proof that it works.
            self.announce_join(room_id, member, host, now);
        }
        Ok(Reply::Entered { member, token: drawn.token, stream: self.completion(member), path })
    }

    pub(super) fn join(
        &mut self,
        caller: Caller,
        guest: &Entrant<'_>,
        mut draw: impl FnMut() -> Option<[u8; 16]>,
        is_counted: bool,
        now: Instant,
    ) -> Result<Reply, Status> {
        let (peer, path) = (caller.peer, caller.path(&guest.path)?);
        let folded = fold(&guest.name);
        self.check_members_of((peer, path))?;
        let room_id = self.find_open_room((peer, path), guest, is_counted, now)?;
        let replaced = self.check_place(room_id, peer, &folded, now)?;
        self.check_carried((peer, path), replaced)?;
        let drawn = Drawn::draw(guest, &mut draw).ok_or(Status::ServerFull)?;
        let is_host = replaced.is_some() && self.host_of(room_id) == replaced;
        let to_tell = replaced.and_then(|silent| self.replace(silent, now));
        let member = self.admit(room_id, (caller, path), guest, folded, &drawn, now);
        if let Some(known) = self.directory.members.get_mut(member) {
            known.replaced = to_tell;
        }
        if let Some(room) = self.directory.rooms.get_mut(room_id).filter(|_| is_host) {
            room.host = member;
        }
        if path.has_connection() {
            self.attach(member, now);
        }
        self.announce_join(room_id, member, guest, now);
        Ok(Reply::Entered { member, token: drawn.token, stream: self.completion(member), path })
    }

    fn announce_join(
        &mut self,
        room_id: RoomId,
        member: MemberId,
        entrant: &Entrant<'_>,
        now: Instant,
    ) {
        let number = self.directory.members.get(member).map_or(0, |member| member.number);
        let (who, others) = ((number, &*entrant.name), Audience::AllBut(member));
        self.announce_change(room_id, who, PresenceChange::Joined, others, now);
    }

    /// Notes that a peer has reached a limit. Returns the status of the reply.
    pub(super) fn refuse_limited(
        &mut self,
        peer: PeerAddr,
        limit: Alert,
        status: Status,
    ) -> Status {
        self.peers.alerts.note(limit, peer);
        status
    }

    /// Checks that the room has a place for this name. Returns the silent member that is replaced.
    fn check_place(
        &mut self,
        room_id: RoomId,
        peer: PeerAddr,
        folded: &str,
        now: Instant,
    ) -> Result<Option<MemberId>, Status> {
        let room = self.directory.rooms.get(room_id).ok_or(Status::RoomNotFound)?;
        self.check_bans(room, folded, Subnet::of(peer))?;
        let namesake = room.find(folded);
        if namesake.is_some_and(|namesake| !self.is_replaceable(namesake, peer, now)) {
            return Err(Status::NameTaken);
        }
        let leaving = usize::from(namesake.is_some());
        if self.has_members_enough_in(room, leaving) {
            return Err(self.refuse_limited(peer, Alert::RoomMembers, Status::RoomFull));
        }
        if room.next_number().is_none() || self.has_no_place(room, leaving) {
            return Err(Status::RoomFull);
        }
        if self.has_too_many_members(leaving) {
            return Err(self.refuse_limited(peer, Alert::Members, Status::ServerFull));
        }
        Ok(namesake)
    }

    fn check_limits_of_creator(&mut self, (peer, path): (PeerAddr, Path)) -> Result<(), Status> {
        self.check_members_of((peer, path))?;
        if self.has_rooms_enough(Subnet::of(peer)) {
            return Err(self.refuse_limited(peer, Alert::RoomsIp, Status::RateLimited));
        }
        Ok(())
    }

    /// Checks that a peer may have one more member on this path.
    pub(super) fn check_members_of(
        &mut self,
        (peer, path): (PeerAddr, Path),
    ) -> Result<(), Status> {
        if self.has_members_enough(Subnet::of(peer)) {
            return Err(self.refuse_limited(peer, Alert::MembersIp, Status::RateLimited));
        }
        self.check_carried_of((peer, path), None)
    }

    /// Checks that a further room and its host are allowed, perhaps in place of an abandoned room.
    fn check_limits_of_server(
        &mut self,
        peer: PeerAddr,
        abandoned: Option<RoomId>,
    ) -> Result<(), Status> {
        let leaving = usize::from(abandoned.is_some());
        if self.has_too_many_rooms(leaving) {
            return Err(self.refuse_limited(peer, Alert::Rooms, Status::ServerFull));
        }
        if self.has_too_many_members(leaving) {
            return Err(self.refuse_limited(peer, Alert::Members, Status::ServerFull));
        }
        Ok(())
    }

    /// Returns the room of this name if the peer may create it anew: its only member is a host of
    /// the same IP whose program crashed before anything could be sent to it.
    fn find_abandoned(
        &self,
        name: &str,
        peer: PeerAddr,
        now: Instant,
    ) -> Result<Option<RoomId>, Status> {
        let Some((room_id, room)) = self.directory.find_room(name) else { return Ok(None) };
        let is_abandoned = room.population() == 1 && self.is_stillborn(room.host, peer, now);
        if is_abandoned { Ok(Some(room_id)) } else { Err(Status::RoomExists) }
    }

    pub(super) fn host_of(&self, room_id: RoomId) -> Option<MemberId> {
        self.directory.rooms.get(room_id).map(|room| room.host)
    }

    fn open_room(&mut self, creator: Subnet, name: &str, settings: RoomSettings<'_>) -> RoomId {
        // A member needs its room first, so `create` sets the host later.
        let nobody = MemberId(Key { slot: u32::MAX, generation: u32::MAX });
        let room = Room::new(Rc::from(name), nobody, creator, settings);
        let room_id = self.directory.add_room(room);
        self.feeds.open(room_id, creator);
        self.peers.quotas.count_room_in(creator);
        room_id
    }

    /// Frees places that ended members take: the oldest tombstones first, then members of closed
    /// rooms.
    fn make_place(&mut self) {
        while self.tombstones.len() > 0 && self.has_too_many_tombstones() {
            self.drop_oldest_tombstone();
        }
        while !self.closing.is_empty() && self.has_too_many_in_tables() {
            self.end_closing(1);
            self.drop_oldest_tombstone();
        }
    }

    fn admit(
        &mut self,
        room_id: RoomId,
        (caller, path): (Caller, Path),
        entrant: &Entrant<'_>,
        folded: Box<str>,
        drawn: &Drawn,
        now: Instant,
    ) -> MemberId {
        self.make_place();
        // `check_place` has refused the entrant if no number is left.
        let number =
            self.directory.rooms.get(room_id).and_then(Room::next_number).unwrap_or(u32::MAX);
        let peer = caller.peer;
        let entered = self.new_member((room_id, number), (caller, path), entrant, drawn, now);
        let member = self.directory.members.insert(entered);
        self.directory.tokens.insert(drawn.token, member);
        let first_check = now + self.first_check();
        if let Some(known) = self.directory.members.get_mut(member) {
            self.timers.set(Alarm::Idle(member), &mut known.deadline, Some(first_check));
            self.peers.quotas.count_in(member, known);
        }
        let history = self.grant_history(peer, entrant.history, now);
        if let Some(room) = self.directory.rooms.get_mut(room_id) {
            room.note_visitor(Subnet::of(peer));
            room.add(member, number, folded);
            let history = history.min(room.history);
            let options = StreamOptions { tag: drawn.tag, life: drawn.life, history };
            let (delivery, is_carried) = (entrant.delivery, path.is_carried());
            let to = Recipient { room: room_id, member, number, delivery, is_carried };
            self.feeds.seat(&to, &options);
        }
        member
    }

    /// Returns a member of which nothing is known but its request.
    fn new_member(
        &self,
        (room, number): (RoomId, u32),
        (caller, path): (Caller, Path),
        entrant: &Entrant<'_>,
        drawn: &Drawn,
        now: Instant,
    ) -> Member {
        Member {
            room,
            room_spelling: spelling(&entrant.room),
            name: Rc::from(&*entrant.name),
            token: drawn.token,
            peer: caller.peer,
            home: caller.peer,
            port: Port::Unknown,
            path,
            joined_in_clear: !caller.is_encrypted,
            detached_at: None,
            last_aside: LastAside::None,
            ended_by: None,
            delivery: entrant.delivery,
            number,
            tag: drawn.tag,
            connections: 1,
            has_been_heard: false,
            was_checked: false,
            replaced: None,
            heard_at: now,
            check_at: Some(now + self.first_check_of_answers(entrant.delivery)),
            deadline: Deadline::default(),
            message_budget: MessageBudget::default(),
            replies: ReplyBudget::default(),
            expected: 1,
            warned_at: None,
            unfinished: Unfinished::default(),
            end: None,
        }
    }
}

/// Random values of a new member.
struct Drawn {
    token: Token,
    /// Tag of the member's datagrams; 0 without stream delivery.
    tag: u32,
    /// Identifies the life of the room, if this member is the first with stream delivery.
    life: u32,
}

impl Drawn {
    fn draw(entrant: &Entrant<'_>, draw: &mut impl FnMut() -> Option<[u8; 16]>) -> Option<Self> {
        let token = Token::from_bits(draw()?);
        let bits = match entrant.delivery {
            Delivery::Plain(_) => [0; 16],
            Delivery::Stream => draw()?,
        };
        let tag = u32::from_be_bytes(*bits.first_chunk()?);
        let life = u32::from_be_bytes(*bits.last_chunk()?);
        Some(Self { token, tag, life })
    }
}
