//! Handshakes on connections: the queue of hellos, and the count of each peer.

use super::Connections;
use crate::ids::ConnId;
use crate::reactor::Context;
use crate::subnet::Subnet;

impl Connections {
    /// Answers the hello that has waited longest. Returns false if none waits, or the budget of this turn
    /// is used up.
    pub(in crate::reactor) fn answer_hello(&mut self, context: &mut Context) -> bool {
        if !self.handshakes.has_budget() {
            return false;
        }
        let Some(id) = self.hellos.pop_front() else { return false };
        // The connection may be gone, or the rest of its hello may be missing.
        let is_there = self.has_hello(id);
        self.serve_one(id, context);
        if is_there && !self.has_hello(id) {
            self.handshakes.note_answer();
        }
        true
    }

    /// Returns true if a hello has begun on a connection and is not answered.
    pub(super) fn has_hello(&self, id: ConnId) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.session.awaits_answer())
    }

    pub(in crate::reactor) fn has_hellos(&self) -> bool {
        !self.hellos.is_empty()
    }

    /// Counts the handshake of a connection from its begin to its end. A peer with too many loses the
    /// connection.
    pub(super) fn note_handshake(&mut self, id: ConnId) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let is_handshaking = !slot.is_doomed && slot.session.is_handshaking();
        if slot.is_handshaking == is_handshaking {
            return;
        }
        let peer = Subnet::of(slot.session.peer());
        if !is_handshaking {
            slot.is_handshaking = false;
            self.handshakes.end(peer, slot.session.is_encrypted());
        } else if self.handshakes.begin(peer) {
            slot.is_handshaking = true;
        } else {
            self.doom(id);
        }
    }
}
