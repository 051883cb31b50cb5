//! Connection migration: moves a member to a new IP (for example a phone switching from Wi-Fi to
//! cellular), or to another path: a detached member is attached again, and one whose datagrams do
//! not arrive is carried.
//!
//! An encrypted member never gets a path that others can read (E9). Its token works only inside TLS:
//! elsewhere it is answered like a dead one (status 2), and counts as a guess, so that a token that
//! somebody finds tells nothing. Inside TLS a request without a wish for encryption is status 12,
//! because that caller is the member or has all that the member has. Rooms with `sealed_only` need no
//! check of their own, because all of their members are encrypted.

use std::time::Instant;

use super::member::{Port, spelling};
use super::{Caller, Chat, Path, Reply};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::delivery::StreamStart;
use crate::ids::MemberId;
use crate::protocol::name::RoomName;
use crate::protocol::request::PathWishes;
use crate::protocol::stream::Completion;
use crate::protocol::stream::completion::keep_alive;
use crate::protocol::{Status, Token};
use crate::subnet::Subnet;

impl Chat {
    /// Moves a member to another path. Its limits count it by the caller's IP from now on.
    pub(super) fn resume(
        &mut self,
        caller: Caller,
        (room, token): (&RoomName<'_>, Token),
        wishes: &PathWishes,
        now: Instant,
    ) -> Result<Reply, Status> {
        let (peer, path) = (caller.peer, caller.path(wishes)?);
        let id = self.find_resuming((caller, path), &room.name, token, now)?;
        self.check_path(id, wishes, path)?;
        if self.is_out_of_reach(id, Subnet::of(peer)) {
            return Err(Status::Kicked);
        }
        self.check_carried((peer, path), Some(id))?;
        self.change_path(id, (peer, path), room, now);
        Ok(Reply::Resumed { member: id, token, stream: self.completion(id), path })
    }

    /// Returns the live member of this room with this token.
    fn find_resuming(
        &mut self,
        (caller, path): (Caller, Path),
        room: &str,
        token: Token,
        now: Instant,
    ) -> Result<MemberId, Status> {
        let id = self.find_live(caller, token);
        let known = id.and_then(|id| self.directory.members.get(id));
        let (peer, subnet) = (caller.peer, Subnet::of(caller.peer));
        let is_neighbour = known.is_some_and(|known| Subnet::of(known.peer) == subnet);
        let own = known.and_then(|known| self.directory.rooms.get(known.room));
        let is_here = own.is_some_and(|own| &*own.name == room);
        if !is_neighbour && self.has_members_enough(subnet) {
            return Err(self.refuse_limited(peer, Alert::MembersIp, Status::RateLimited));
        }
        self.check_carried_of((peer, path), id)?;
        id.filter(|_| is_here).ok_or_else(|| {
            // A valid token is never refused for that: nobody guesses 128 bits.
            let limit = self.config.wrong_passwords;
            self.peers.auth_throttle.note_token(subnet, limit, now);
            Status::RoomNotFound
        })
    }

    /// Returns the live member with this token, if the token works where the caller is.
    fn find_live(&self, caller: Caller, token: Token) -> Option<MemberId> {
        let (id, _) = self.find_speaker(token).filter(|(_, is_live)| *is_live)?;
        let member = self.directory.members.get(id)?;
        (caller.is_encrypted || !member.path.is_encrypted()).then_some(id)
    }

    /// Checks that the member may have this path. The status 9 for a seal comes this late, because
    /// only the token tells how the member has joined (E5).
    fn check_path(&self, id: MemberId, wishes: &PathWishes, path: Path) -> Result<(), Status> {
        let member = self.directory.members.get(id).ok_or(Status::RoomNotFound)?;
        if wishes.seal && member.joined_in_clear {
            return Err(Status::Malformed);
        }
        if member.path.is_encrypted() && !path.is_encrypted() {
            return Err(Status::EncryptionRequired);
        }
        Ok(())
    }

    /// Moves a member to a path, on which it starts without a proved address. A member that stays
    /// sealed keeps its address until it has proved another one, so that a lost reply breaks nothing
    /// (E5).
    fn change_path(
        &mut self,
        id: MemberId,
        (peer, path): (PeerAddr, Path),
        room: &RoomName<'_>,
        now: Instant,
    ) {
        let Some(known) = self.directory.members.get_mut(id) else { return };
        let stays_sealed = (known.path, path) == (Path::Sealed, Path::Sealed);
        let had_connection = known.path.has_connection();
        let was_attached = known.is_attached();
        self.peers.quotas.count_out(id, known);
        (known.peer, known.path, known.detached_at) = (peer, path, None);
        if !stays_sealed {
            (known.home, known.port) = (peer, Port::Unknown);
        }
        // The token proves that its program runs, but not where.
        known.heard_at = now;
        known.connections = known.connections.saturating_add(1);
        known.room_spelling = spelling(room);
        self.peers.quotas.count_in(id, known);
        if let Some(room) = self.directory.rooms.get_mut(known.room) {
            room.note_visitor(Subnet::of(peer));
        }
        if !stays_sealed {
            self.feeds.disprove(&known.recipient(id));
        }
        match path.has_connection() {
            true => self.attach(id, now),
            false if had_connection => self.leave_connection(id, was_attached, now),
            false => {}
        }
    }

    /// Returns true if this subnet is banned from the member's room. The host may resume from
    /// anywhere.
    fn is_out_of_reach(&self, id: MemberId, subnet: Subnet) -> bool {
        let room_id = self.directory.members.get(id).map(|member| member.room);
        room_id.is_some_and(|room_id| {
            self.host_of(room_id) != Some(id) && self.is_address_banned(room_id, subnet)
        })
    }

    /// Returns the start of a member's stream, if it has one.
    pub(super) fn completion(&self, id: MemberId) -> Option<Completion> {
        let idle_timeout = self.config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
        let member = self.directory.members.get(id)?;
        let StreamStart { tag, life, first } = self.feeds.stream_start(&member.recipient(id))?;
        Some(Completion {
            token: member.token,
            member: member.number,
            tag,
            life: Some(life),
            next: first,
            expected: member.expected,
            keep_alive: keep_alive(idle_timeout),
            idle_timeout,
            seal: None,
        })
    }
}
