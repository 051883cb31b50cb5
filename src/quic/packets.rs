//! Packets in and out: which connection they belong to, and the handshakes of new ones.

use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{ConnectionHandle, DatagramEvent, Incoming};

use super::Quic;
use super::count::Count;
use super::greetings::Greeting;
use super::link::Link;
use crate::address::{Origin, PeerAddr};
use crate::ids::QuicId;
use crate::subnet::Subnet;

impl Quic {
    /// Handles a datagram that came this way.
    pub fn handle_datagram(&mut self, origin: &Origin, bytes: &[u8], now: Instant) {
        let Self { endpoint, reply, .. } = self;
        reply.clear();
        let remote = origin.remote.socket_addr();
        match endpoint.handle(now, remote, origin.local, None, BytesMut::from(bytes), reply) {
            None => self.counts.note(Count::Strays),
            Some(DatagramEvent::Response(_)) => self.push_reply((origin, bytes.len()), now),
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.greet(incoming, (origin, bytes.len()), now);
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let Some(id) = self.id_of(handle) else { return };
                let Some(link) = self.links.get_mut(id) else { return };
                if !link.is_handshaking() {
                    link.handle(event, origin);
                    self.note_change(id);
                } else if self.greetings.has_space() {
                    self.greetings.push(Greeting::Later(id, Box::new(event), *origin));
                } else {
                    self.counts.note(Count::Crowded);
                }
            }
        }
    }

    /// Proves the address of a new connection by Retry, or lets the connection wait for its handshake.
    fn greet(&mut self, incoming: Incoming, cause: (&Origin, usize), now: Instant) {
        if !incoming.remote_address_validated() {
            // Such a connection may always be retried.
            if self.endpoint.retry(incoming, &mut self.reply).is_ok() {
                self.push_reply(cause, now);
            }
        } else if self.greetings.has_space() {
            self.greetings.push(Greeting::First(Box::new(incoming), *cause.0));
        } else {
            self.endpoint.ignore(incoming);
            self.counts.note(Count::Crowded);
        }
    }

    /// Answers the handshakes that wait, as far as the budget of the turn goes. `admits` returns true if a peer may
    /// have one more connection, of so many in all and of its subnet.
    pub fn answer_greetings(
        &mut self,
        now: Instant,
        mut admits: impl FnMut(PeerAddr, (usize, usize)) -> bool,
    ) {
        while let Some(greeting) = self.greetings.pop() {
            let id = match greeting {
                Greeting::First(incoming, origin) => {
                    let peer = PeerAddr::of(origin.remote);
                    let counts = (self.count(), self.connections_of(peer));
                    let is_admitted = !self.is_ending && admits(peer, counts);
                    self.admit(*incoming, origin, is_admitted, now)
                }
                Greeting::Later(id, event, origin) => {
                    self.change(id, |link| link.handle(*event, &origin));
                    Some(id)
                }
            };
            let link = id.and_then(|id| self.links.get_mut(id));
            if link.is_some_and(Link::take_answered) {
                self.greetings.note_answer();
            }
        }
    }

    /// Begins a connection, or refuses it.
    fn admit(
        &mut self,
        incoming: Incoming,
        origin: Origin,
        is_admitted: bool,
        now: Instant,
    ) -> Option<QuicId> {
        let peer = Subnet::of(PeerAddr::of(origin.remote));
        self.reply.clear();
        // The first packet of a connection has at least 1,200 bytes (RFC 9000, section 14.1).
        let cause = (&origin, 1_200);
        if !is_admitted || !self.greetings.begin(peer) {
            self.counts.note(Count::Refused);
            let _ = self.endpoint.refuse(incoming, &mut self.reply);
            self.push_reply(cause, now);
            return None;
        }
        match self.endpoint.accept(incoming, now, &mut self.reply, None) {
            Ok((handle, connection)) => {
                self.counts.note(Count::Begun);
                Some(self.insert(handle, connection, origin, now))
            }
            Err(error) => {
                self.counts.note(Count::HandshakesFailed);
                self.greetings.end_handshake(peer);
                self.greetings.end(peer);
                if error.response.is_some() {
                    self.push_reply(cause, now);
                }
                None
            }
        }
    }

    fn insert(
        &mut self,
        handle: ConnectionHandle,
        connection: quinn_proto::Connection,
        origin: Origin,
        now: Instant,
    ) -> QuicId {
        let timeouts = self.timeouts;
        let connection = (handle, connection);
        let id = self.links.insert_with(|id| Link::new(id, connection, origin, timeouts, now));
        if self.handles.len() <= handle.0 {
            self.handles.resize(handle.0 + 1, None);
        }
        self.handles[handle.0] = Some(id);
        self.note_change(id);
        id
    }

    fn push_reply(&mut self, cause: (&Origin, usize), now: Instant) {
        let Self { replies, reply, counts, .. } = self;
        if replies.push(cause, reply, counts, now) {
            counts.note(Count::Replies);
        }
    }

    /// Ends a turn: its budget of handshakes is whole again.
    pub fn end_turn(&mut self) {
        self.greetings.end_turn();
    }

    // Output.

    /// Returns true if there may be packets to send, or handshakes to answer.
    pub fn has_work(&self) -> bool {
        self.has_packets() || self.has_events() || self.greetings.is_waiting()
    }

    /// Returns true if there may be packets to send.
    pub fn has_packets(&self) -> bool {
        self.replies.has_output() || !self.dirty.is_empty()
    }

    /// Removes and returns a packet to an address that is not proved.
    pub fn poll_reply(&mut self) -> Option<(Origin, Vec<u8>)> {
        self.replies.pop()
    }

    /// Writes the next packets of a connection into `packets`, at most `max` of one size, and returns their way and
    /// that size if there are several. The connections take turns. Those whose socket has no space, as
    /// `has_space` tells, wait for [`Quic::resume`].
    pub fn poll_transmit(
        &mut self,
        max: usize,
        packets: &mut Vec<u8>,
        has_space: impl Fn(usize) -> bool,
        now: Instant,
    ) -> Option<(Origin, Option<usize>)> {
        while let Some(id) = self.dirty.pop_front() {
            let Some(link) = self.links.get_mut(id) else { continue };
            if !has_space(link.socket()) {
                self.stalled.push(id);
                continue;
            }
            if let Some(transmit) = link.poll_transmit(max, packets, now) {
                self.dirty.push_back(id);
                return Some(transmit);
            }
            link.is_dirty = false;
            self.settle(id);
        }
        None
    }

    /// Notes that a socket that was full has space.
    pub fn resume(&mut self) {
        self.dirty.extend(self.stalled.drain(..));
    }

    /// Passes events between a connection and the endpoint, and sets its deadline. Frees it if it is drained.
    fn settle(&mut self, id: QuicId) {
        let Self { endpoint, links, .. } = self;
        let Some(link) = links.get_mut(id) else { return };
        let mut is_answered = false;
        // The endpoint may give the handle of a drained connection to another one.
        while link.has_handle
            && let Some(event) = link.poll_endpoint_event()
        {
            if let Some(answer) = endpoint.handle_event(link.handle, event) {
                link.handle_endpoint(answer);
                is_answered = true;
            }
        }
        link.has_handle &= !link.is_drained();
        // Events of a drained connection come first.
        if link.is_drained() && !link.is_busy {
            return self.free(id);
        }
        let due = link.poll_timeout();
        self.timers.set(id, &mut link.deadline, due);
        if is_answered {
            self.mark_dirty(id);
        }
    }

    fn free(&mut self, id: QuicId) {
        let Some(mut link) = self.links.remove(id) else { return };
        let peer = Subnet::of(PeerAddr::of(link.first.remote));
        if link.is_greeting {
            self.greetings.end_handshake(peer);
        }
        self.greetings.end(peer);
        self.timers.set(id, &mut link.deadline, None);
        // The endpoint may have given the handle to a new connection, since it frees handles first.
        let place = &mut self.handles[link.handle.0];
        if *place == Some(id) {
            *place = None;
        }
    }
}
