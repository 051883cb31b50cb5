//! QUIC and WebTransport on the datagram port (H8): a machine without sockets and without a clock.
//!
//! The owner hands datagrams in ([`Quic::handle_datagram`]), answers what [`Quic::poll_event`] returns, offers
//! the shares of jobs ([`Quic::carry`]), and sends what [`Quic::poll_reply`] and [`Quic::poll_transmit`] return.
//! The protocol itself is that of `quinn-proto`, and HTTP/3 is in [`h3`]. A browser is one connection with one
//! session, and the session has one member at most.
//!
//! A packet costs its sender only: a fault in it ends its own connection at most. Nobody is sent
//! more than a short reply before Retry has proved the address (RFC 9000, section 8.1.2).
//!
//! | file | what it owns |
//! | --- | --- |
//! | `packets.rs` | packets in and out |
//! | `link/` | one connection |
//! | `carry.rs` | the shares of jobs |
//! | `greetings.rs` | handshakes, and the connections of each peer |
//! | `replies.rs` | answers to unproved addresses |
//! | `settings.rs`, `connection_ids.rs` | the settings of `quinn-proto`, and the ids of connections |
//! | `event.rs`, `count.rs` | events, and counts |
//! | `h3/` | HTTP/3 and WebTransport |

mod carry;
mod connection_ids;
mod count;
mod event;
mod greetings;
pub mod h3;
mod link;
mod packets;
mod replies;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionHandle, Endpoint, ServerConfig};

use crate::address::{Origin, PeerAddr};
use crate::ids::{MemberId, QuicId};
use crate::slots::{SecondaryMap, Slots};
use crate::subnet::Subnet;
use crate::timers::Timers;

pub use count::Count;
pub use event::Event;
pub use link::Timeouts;
pub use settings::MAX_MEMORY;

use count::Counts;
use greetings::Greetings;
use link::Link;
use replies::Replies;

/// Code of a session whose member has moved to another path. The end of a member adds its code of S4.
const SESSION_CODES: u32 = 4_000;

/// All QUIC connections.
pub struct Quic {
    endpoint: Endpoint,
    config: Option<Arc<ServerConfig>>,
    timeouts: Timeouts,
    links: Slots<QuicId, Link>,
    /// The connection of each handle of the endpoint, which uses them again.
    handles: Vec<Option<QuicId>>,
    /// The connection that is the path of each member on QUIC.
    paths: SecondaryMap<MemberId, QuicId>,
    /// Number of these members.
    members: usize,
    greetings: Greetings,
    replies: Replies,
    timers: Timers<QuicId>,
    /// Connections that may have events, each once. They take turns.
    busy: VecDeque<QuicId>,
    /// Connections that may have packets, each once. They take turns.
    dirty: VecDeque<QuicId>,
    /// Those of them whose socket is full.
    stalled: Vec<QuicId>,
    counts: Counts,
    /// Space for a reply.
    reply: Vec<u8>,
    /// True once no new connections are taken.
    is_ending: bool,
}

impl Quic {
    /// Returns a machine that refuses everybody, because it has no certificate yet.
    pub fn new(timeouts: Timeouts) -> Self {
        let config = Arc::new(settings::endpoint());
        Self {
            endpoint: Endpoint::new(config, None, false, None),
            config: None,
            timeouts,
            links: Slots::new(),
            handles: Vec::new(),
            paths: SecondaryMap::new(),
            members: 0,
            greetings: Greetings::new(),
            replies: Replies::default(),
            timers: Timers::new(),
            busy: VecDeque::new(),
            dirty: VecDeque::new(),
            stalled: Vec::new(),
            counts: Counts::default(),
            reply: Vec::new(),
            is_ending: false,
        }
    }

    /// Shows the certificate of `tls` to new connections. Others keep theirs.
    pub fn set_certificate(&mut self, tls: &rustls::ServerConfig) {
        match settings::server(tls, self.config.as_deref()) {
            Ok(config) => {
                let config = Arc::new(config);
                self.endpoint.set_server_config(Some(Arc::clone(&config)));
                self.config = Some(config);
            }
            Err(error) => log::error!("no QUIC: {error}"),
        }
    }

    // Connections.

    /// Returns the number of connections, of which some are closed already.
    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// Returns true if every connection is closed.
    pub fn is_over(&self) -> bool {
        self.links.iter().all(|(_, link)| link.is_closed())
    }

    /// Returns the number of connections of a peer's subnet.
    pub fn connections_of(&self, peer: PeerAddr) -> usize {
        self.greetings.connections_of(Subnet::of(peer))
    }

    /// Refuses new connections, and ends those that carry nobody. The others end with their members.
    pub fn finish_all(&mut self, now: Instant) {
        self.is_ending = true;
        let all: Vec<QuicId> = self.links.iter().map(|(id, _)| id).collect();
        for id in all {
            self.change(id, |link| link.end_without_member(now));
        }
    }

    // Answers of the owner.

    /// Answers the request for a session with a status of HTTP.
    pub fn answer_session(&mut self, id: QuicId, status: u16) {
        if let Some(link) = self.links.get_mut(id) {
            link.answer_session(status, &mut self.counts);
            self.note_change(id);
        }
    }

    /// Returns the way of the first packet of a connection. Limits count it by that address.
    pub fn first_origin(&self, id: QuicId) -> Option<Origin> {
        self.links.get(id).map(|link| link.first)
    }

    /// Returns true if the request of this stream is still to be answered.
    pub fn is_asked(&self, id: QuicId, stream: u64) -> bool {
        self.links.get(id).is_some_and(|link| link.is_asked(stream))
    }

    /// Returns true if the session has a member or has had one.
    pub fn has_member(&self, id: QuicId) -> bool {
        self.links.get(id).is_some_and(Link::has_member)
    }

    /// Answers the request of a stream, which ends then.
    pub fn reply(&mut self, id: QuicId, stream: u64, reply: &[u8], now: Instant) {
        self.change(id, |link| link.reply(stream, reply, None, now));
    }

    /// Answers the request of a stream, and makes the connection the path of a member. With `is_carried` all its
    /// messages travel on this stream.
    pub fn reply_to_member(
        &mut self,
        (id, stream): (QuicId, u64),
        reply: &[u8],
        (member, is_carried): (MemberId, bool),
        now: Instant,
    ) {
        self.end(member, None, now);
        self.change(id, |link| link.reply(stream, reply, Some((member, is_carried)), now));
        if self.links.get(id).is_some_and(|link| link.path_of() == Some(member)) {
            self.paths.insert(member, id);
            self.members += 1;
        }
    }

    // Members.

    /// Returns true if a member's messages travel on a connection of QUIC.
    pub fn is_path_of(&self, member: MemberId) -> bool {
        self.paths.get(member).is_some()
    }

    /// Puts all later messages of a member on its stream, because it ends.
    pub fn turn(&mut self, member: MemberId) {
        if let Some(id) = self.paths.get(member).copied() {
            self.change(id, Link::turn);
        }
    }

    /// Ends the session of a member that has ended for the reason `code` (S4), or has moved to another path.
    pub fn end(&mut self, member: MemberId, code: Option<u8>, now: Instant) {
        if let Some(id) = self.forget_path(member) {
            let code = SESSION_CODES + u32::from(code.unwrap_or(0));
            self.change(id, |link| link.end(code, now));
        }
    }

    fn forget_path(&mut self, member: MemberId) -> Option<QuicId> {
        let id = self.paths.remove(member)?;
        self.members -= 1;
        Some(id)
    }

    // Events.

    /// Returns the next event. The connections take turns.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        while let Some(id) = self.busy.pop_front() {
            let Some(link) = self.links.get_mut(id) else { continue };
            link.is_busy = false;
            let event = link.next_event(&mut self.counts, now);
            self.note_greeted(id);
            self.mark_dirty(id);
            if let Some(event) = event {
                self.mark_busy(id);
                if let Event::Ended { member, was_path: true } = event {
                    self.forget_path(member);
                }
                return Some(event);
            }
        }
        None
    }

    /// Returns true if [`Quic::poll_event`] may return something.
    pub fn has_events(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Returns the time of the next [`Quic::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Handles at most `budget` deadlines that are not after `now`.
    pub fn handle_timeout(&mut self, now: Instant, budget: usize) {
        for _ in 0..budget {
            let Some((_, id)) = self.timers.pop_due(now) else { return };
            let Some(link) = self.links.get_mut(id) else { continue };
            link.handle_timeout(&mut self.counts, now);
            self.note_change(id);
        }
    }

    /// Returns a count since the last call.
    pub fn take_count(&mut self, count: Count) -> u64 {
        self.counts.take(count)
    }

    // Queues.

    fn change(&mut self, id: QuicId, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(id) {
            change(link);
            self.note_change(id);
        }
    }

    /// Notes that a connection may have events and packets.
    fn note_change(&mut self, id: QuicId) {
        self.note_greeted(id);
        self.mark_busy(id);
        self.mark_dirty(id);
    }

    fn mark_busy(&mut self, id: QuicId) {
        if let Some(link) = self.links.get_mut(id)
            && !std::mem::replace(&mut link.is_busy, true)
        {
            self.busy.push_back(id);
        }
    }

    fn mark_dirty(&mut self, id: QuicId) {
        if let Some(link) = self.links.get_mut(id)
            && !std::mem::replace(&mut link.is_dirty, true)
        {
            self.dirty.push_back(id);
        }
    }

    /// Ends the count of a handshake that is over.
    fn note_greeted(&mut self, id: QuicId) {
        if let Some(link) = self.links.get_mut(id)
            && link.take_greeted()
        {
            self.greetings.end_handshake(Subnet::of(PeerAddr::of(link.first.remote)));
        }
    }

    fn id_of(&self, handle: ConnectionHandle) -> Option<QuicId> {
        self.handles.get(handle.0).copied().flatten()
    }
}
