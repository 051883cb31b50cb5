//! Events, on which the owner of the machine has to act.

use bytes::Bytes;

use super::h3::SessionRequest;
use crate::ids::{MemberId, QuicId};

/// Something that the owner has to act on.
#[derive(Debug)]
pub enum Event {
    /// A browser asks for a session. [`Quic::answer_session`](super::Quic::answer_session) answers it.
    Session {
        /// The connection.
        id: QuicId,
        /// The request.
        request: SessionRequest,
    },
    /// A stream of a session begins with this request. [`Quic::reply`](super::Quic::reply) answers it, now or
    /// later.
    Request {
        /// The connection.
        id: QuicId,
        /// The stream.
        stream: u64,
        /// The content of the unit.
        content: Bytes,
    },
    /// A member has sent this, in a datagram or a unit.
    Message {
        /// The member.
        member: MemberId,
        /// The content.
        content: Bytes,
    },
    /// The browser of a member has acknowledged something.
    Alive(MemberId),
    /// The connection of a member was full and has space again.
    Space(MemberId),
    /// The connection of a member has ended.
    Ended {
        /// The member.
        member: MemberId,
        /// True if the connection was still the member's path.
        was_path: bool,
    },
}
