//! Going on as a member from another IP, as a telephone does that leaves the house.

use std::net::IpAddr;

use super::member::Port;
use super::stream::Stream;
use super::{Chat, Reply};
use crate::ids::MemberId;
use crate::protocol::stream::Completion;
use crate::protocol::stream::completion::keep_alive;
use crate::protocol::{Status, Token};

impl Chat {
    /// Makes `peer` the member's IP. Its port is not known until its next datagram; nothing is sent
    /// to it before.
    pub(super) fn resume(
        &mut self,
        peer: IpAddr,
        room: &str,
        token: Token,
    ) -> Result<Reply, Status> {
        let known = self.tokens.get(&token).and_then(|id| self.members.get(*id));
        // The same again, perhaps because the reply was lost, makes no unproved member more.
        let is_repeated = known.is_some_and(|known| known.is_unproved_at(peer));
        if !is_repeated && self.has_too_many_unproved(peer) {
            return Err(Status::RateLimited);
        }
        let id = *self.tokens.get(&token).ok_or(Status::RoomNotFound)?;
        let known = self.members.get_mut(id).ok_or(Status::RoomNotFound)?;
        if self.rooms.get(known.room).is_none_or(|known| &*known.name != room) {
            return Err(Status::RoomNotFound);
        }
        self.proofs.forget(known.ip, known.port);
        self.proofs.note(peer, Port::Unknown);
        (known.ip, known.port) = (peer, Port::Unknown);
        self.with_stream(id, Stream::disprove);
        Ok(Reply::Resumed { member: id, token, stream: self.completion(id) })
    }

    /// What a member has to know of its stream, if it takes one.
    pub(super) fn completion(&mut self, id: MemberId) -> Option<Completion> {
        let idle_timeout = self.config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
        let token = self.members.get(id)?.token;
        self.with_stream(id, |stream, number| {
            let seat = stream.find(number)?;
            Some(Completion {
                token,
                member: number,
                tag: stream.tag,
                next: seat.first,
                expected: seat.expected,
                keep_alive: keep_alive(idle_timeout),
                idle_timeout,
            })
        })?
    }

    /// Does something with a member's stream and its number there.
    pub(super) fn with_stream<T>(
        &mut self,
        id: MemberId,
        deed: impl FnOnce(&mut Stream, u32) -> T,
    ) -> Option<T> {
        let member = self.members.get(id)?;
        let stream = self.rooms.get_mut(member.room)?.stream.as_mut()?;
        Some(deed(stream, member.number))
    }
}
