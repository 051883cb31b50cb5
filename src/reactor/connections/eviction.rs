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
