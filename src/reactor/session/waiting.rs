//! The wait of a session: its cause, and the deadline for it.

use std::time::{Duration, Instant};

use super::{Protocol, Session};
use crate::config::{ConnectionConfig, LINGER};
use crate::reactor::carried::Carried;
use crate::reactor::connection_state::Waiting;

impl Session {
    /// Returns the time of the next [`Session::expire`].
    pub(in crate::reactor) fn deadline(&self, config: &ConnectionConfig) -> Option<Instant> {
        let limit: Option<Duration> = match self.waiting {
            Waiting::Request => config.connect_timeout,
            Waiting::Handshake | Waiting::Frame | Waiting::Reader => config.handshake_timeout,
            Waiting::PeerEnd | Waiting::LastEntries => Some(LINGER),
            Waiting::Delay => return self.delayed_until(),
            Waiting::Viewer => None,
            Waiting::Member => return self.carried().and_then(Carried::ping_at),
        };
        // After an answer the next frame has its own time, even if its first byte was here already. Pongs
        // are no answers: while they go out, `since` changes.
        let answered_at = match &self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.answered_at(),
            Protocol::Http(http) => http.answered_at().unwrap_or(self.since),
            Protocol::WebSocket(socket) => socket.answered_at(),
            Protocol::Carried(carried) => carried.taken_at(),
        };
        let since = match &self.protocol {
            Protocol::WebSocket(_) if self.waiting == Waiting::Request => answered_at,
            _ => self.since.max(answered_at),
        };
        limit.map(|limit| since + limit)
    }

    fn delayed_until(&self) -> Option<Instant> {
        match &self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.delayed_until(),
            Protocol::WebSocket(socket) => socket.delayed_until(),
            Protocol::Http(_) | Protocol::Carried(_) => None,
        }
    }

    /// Returns true if fragments of a request have come, and its last one has not.
    fn is_within_message(&self) -> bool {
        matches!(&self.protocol, Protocol::WebSocket(socket) if socket.is_within_message())
    }

    pub(super) fn note_waiting(&mut self, now: Instant) {
        let carried = self.carried().filter(|_| self.connection.is_open());
        let waiting = if let Some(carried) = carried {
            match carried {
                carried if carried.is_ending() => Waiting::LastEntries,
                carried if carried.is_in_unit(&self.connection) => Waiting::Frame,
                _ => Waiting::Member,
            }
        } else if self.connection.is_open() && self.is_handshaking() {
            Waiting::Handshake
        } else if self.connection.is_open() && self.is_within_message() {
            // Also while pongs go out. Otherwise each ping would give the message more time.
            Waiting::Frame
        } else if self.connection.unsent() > 0 {
            Waiting::Reader
        } else if !self.connection.is_open() {
            Waiting::PeerEnd
        } else if self.is_viewer() {
            Waiting::Viewer
        } else if self.delayed_until().is_some() {
            Waiting::Delay
        } else if self.connection.pending_input() > 0 {
            Waiting::Frame
        } else {
            Waiting::Request
        };
        if waiting != self.waiting {
            self.waiting = waiting;
            self.since = now;
        }
    }
}
