//! Space for new connections: idle ones give way, and those that carry members never do.

use super::Connections;
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::config::ConnectionConfig;
use crate::ids::ConnId;
use crate::metrics::Counter;
use crate::protocol::Status;
use crate::reactor::Context;
use crate::reactor::buffer_limits::BufferLimits;
use crate::reactor::idle_order::Space;
use crate::subnet::Subnet;

impl Connections {
    /// At the limit of its peer, or at the limit of all, evicts the connection that has been idle for the
    /// longest time. Returns the reason to refuse the new one if nobody may be evicted.
    pub(super) fn make_room(&mut self, peer: PeerAddr, context: &mut Context) -> Option<Status> {
        let ConnectionConfig { max_connections, max_connections_ip, .. } = self.config;
        // Connections of QUIC count, and do not give way.
        let (all, own) = context.quic.counts(peer);
        let max_connections = max_connections.map(|limit| limit.saturating_sub(all));
        let max_connections_ip = max_connections_ip.map(|limit| limit.saturating_sub(own));
        let own = self.idle_order.space_of_peer(Subnet::of(peer), max_connections_ip);
        let (space, why, alert) = match own {
            Space::Free => {
                let space = self.idle_order.space(max_connections);
                (space, Status::ServerFull, Alert::Connections)
            }
            own => (own, Status::RateLimited, Alert::ConnectionsIp),
        };
        if space != Space::Free {
            context.alert(alert, peer);
        }
        match space {
            Space::Free => None,
            Space::InPlaceOf(victim) => {
                self.evict(victim, why, context);
                None
            }
            Space::None { over } => {
                over.into_iter().for_each(|refused| self.evict(refused, why, context));
                Some(why)
            }
        }
    }

    /// Checks that a peer may have one more connection of QUIC, beside so many in all and of its own, of which there
    /// may be `max`. At a limit nobody gives way for it.
    ///
    /// # Errors
    /// The limit that was reached.
    #[cfg(feature = "webtransport")]
    pub(in crate::reactor) fn admits(
        &self,
        peer: PeerAddr,
        (all, own): (usize, usize),
        max: Option<usize>,
    ) -> Result<(), Alert> {
        let ConnectionConfig { max_connections, max_connections_ip, .. } = self.config;
        let (known, known_own) = self.idle_order.counts(Subnet::of(peer));
        if max_connections_ip.is_some_and(|limit| known_own + own >= limit) {
            return Err(Alert::ConnectionsIp);
        }
        if max.is_some_and(|limit| all >= limit) {
            return Err(Alert::Carried);
        }
        match max_connections.is_some_and(|limit| known + all >= limit) {
            true => Err(Alert::Connections),
            false => Ok(()),
        }
    }

    /// Refuses a new connection, because all others carry members. Until its peer has read that, it is
    /// over the limit, alone: the next one gets its place.
    pub(super) fn refuse(&mut self, id: ConnId, why: Status, context: &mut Context) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.session.evict(why, context);
        }
        self.mark_unflushed(id);
    }

    /// Ends a connection whose place is needed now. The peer is told if its socket takes the reply at
    /// once.
    fn evict(&mut self, id: ConnId, why: Status, context: &mut Context) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.session.evict(why, context);
            // It is freed in this turn, whatever the outcome of the flush.
            let _ = slot.session.flush(context, &BufferLimits::normal(&self.config));
            context.metrics.count(Counter::Evicted);
            self.doom(id);
        }
    }
}
