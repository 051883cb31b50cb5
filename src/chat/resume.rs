//! Connection migration: moves a member to a new IP (for example a phone switching from Wi-Fi to
//! cellular).

use std::time::Instant;

use super::member::{Port, spelling};
use super::{Chat, Path, Reply};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::delivery::StreamStart;
use crate::ids::MemberId;
use crate::protocol::name::RoomName;
use crate::protocol::stream::Completion;
use crate::protocol::stream::completion::keep_alive;
use crate::protocol::{Status, Token};
use crate::subnet::Subnet;

impl Chat {
    /// Makes `peer` the member's IP. Its port is unknown, and nothing is sent to it, until its next
    /// datagram.
    pub(super) fn resume(
        &mut self,
        peer: PeerAddr,
        room: &RoomName<'_>,
        token: Token,
        path: Path,
        now: Instant,
    ) -> Result<Reply, Status> {
        let known = self.find_speaker(token).filter(|(_, is_live)| *is_live);
        let known = known.and_then(|(id, _)| self.directory.members.get(id));
        let (subnet, limit) = (Subnet::of(peer), self.config.wrong_passwords);
        let is_neighbour = known.is_some_and(|known| Subnet::of(known.peer) == subnet);
        if !is_neighbour && self.has_members_enough(subnet) {
            return Err(self.refuse_limited(peer, Alert::MembersIp, Status::RateLimited));
        }
        let Some(id) = self.find_resuming(&room.name, token) else {
            // A valid token is never refused for that: nobody guesses 128 bits.
            self.peers.auth_throttle.note_token(subnet, limit, now);
            return Err(Status::RoomNotFound);
        };
        if self.is_out_of_reach(id, subnet) {
            return Err(Status::Kicked);
        }
        let known = self.directory.members.get_mut(id).ok_or(Status::RoomNotFound)?;
        self.peers.quotas.count_out(id, known);
        (known.peer, known.port, known.path) = (peer, Port::Unknown, path);
        // The token proves that its program runs, but not where.
        known.heard_at = now;
        known.connections = known.connections.saturating_add(1);
        known.room_spelling = spelling(room);
        self.peers.quotas.count_in(id, known);
        if let Some(room) = self.directory.rooms.get_mut(known.room) {
            room.note_visitor(subnet);
        }
        self.feeds.disprove(&known.recipient(id));
        Ok(Reply::Resumed { member: id, token, stream: self.completion(id), path })
    }

    /// Returns true if this subnet is banned from the member's room. The host may resume from
    /// anywhere.
    fn is_out_of_reach(&self, id: MemberId, subnet: Subnet) -> bool {
        let room_id = self.directory.members.get(id).map(|member| member.room);
        room_id.is_some_and(|room_id| {
            self.host_of(room_id) != Some(id) && self.is_address_banned(room_id, subnet)
        })
    }

    /// Returns the live member of this room with this token.
    fn find_resuming(&self, room: &str, token: Token) -> Option<MemberId> {
        let (id, _) = self.find_speaker(token).filter(|(_, is_live)| *is_live)?;
        let own = self.directory.rooms.get(self.directory.members.get(id)?.room)?;
        (&*own.name == room).then_some(id)
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
