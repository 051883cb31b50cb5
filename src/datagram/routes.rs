//! Where each member's datagrams go, by the slot of its id.

use std::net::IpAddr;

use super::hosts::Hosts;
use crate::ids::{Key, MemberId, Origin};
use crate::sys::Address;

/// The largest UDP payload over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP.
pub(super) const MAX_MESSAGE: u32 = 65_507;
/// What passes an Ethernet of 1,500 bytes without being cut up, over IPv4 and IPv6. Segments must
/// fit the path; datagrams that do not, go alone and are fragmented.
const MAX_SEGMENT_V4: u32 = 1_472;
const MAX_SEGMENT_V6: u32 = 1_452;

/// The way to one member.
#[derive(Clone, Copy)]
pub(super) struct Route {
    generation: u32,
    socket: u16,
    /// Place of its host in [`Hosts`].
    pub(super) host: u32,
    /// The largest datagrams that may go as segments of one message; 0 when the way there has
    /// refused such a message.
    pub(super) largest_segment: u32,
    pub(super) local: Option<IpAddr>,
    /// Ready for the call: nothing is converted for a delivery.
    pub(super) remote: Address,
}

impl Route {
    pub(super) fn new(generation: u32, origin: &Origin) -> Self {
        Self {
            generation,
            // There are as many sockets as there were --bind options.
            socket: origin.socket as u16,
            host: 0,
            largest_segment: match origin.remote.ip() {
                ip if ip.is_loopback() => MAX_MESSAGE,
                IpAddr::V4(_) => MAX_SEGMENT_V4,
                IpAddr::V6(_) => MAX_SEGMENT_V6,
            },
            local: origin.local,
            remote: Address::from(origin.remote),
        }
    }

    /// The index of the socket that the member spoke to.
    pub(super) fn socket(&self) -> usize {
        usize::from(self.socket)
    }

    /// Remembers that the way does not take messages that the kernel cuts up.
    pub(super) fn refuse_segments(&mut self) {
        self.largest_segment = 0;
    }

    fn is_same_way(&self, other: &Self) -> bool {
        self.socket == other.socket && self.local == other.local && self.remote == other.remote
    }
}

/// Rows by slot: as many as there were members at the busiest time.
#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<Option<Route>>,
}

impl Routes {
    pub(super) fn announce(&mut self, member: MemberId, origin: &Origin, hosts: &mut Hosts) {
        let Key { slot, generation } = member.0;
        let slot = slot as usize;
        if slot >= self.routes.len() {
            self.routes.resize(slot + 1, None);
        }
        let mut route = Route::new(generation, origin);
        let known = self.routes[slot];
        if let Some(known) = known.filter(|known| known.is_same_way(&route)) {
            (route.largest_segment, route.host) = (known.largest_segment, known.host);
        } else {
            route.host = hosts.enter(route.socket, origin.remote.ip());
            if let Some(known) = known {
                hosts.leave(known.host);
            }
        }
        self.routes[slot] = Some(route);
    }

    pub(super) fn forget(&mut self, member: MemberId, hosts: &mut Hosts) {
        if let Some(route) = self.get(member) {
            hosts.leave(route.host);
            self.routes[member.0.slot as usize] = None;
        }
    }

    /// The route, unless it is that of an earlier or later life of the slot.
    pub(super) fn get(&self, member: MemberId) -> Option<&Route> {
        let route = self.routes.get(member.0.slot as usize)?.as_ref()?;
        (route.generation == member.0.generation).then_some(route)
    }

    /// Remembers that the way to a member does not take messages that the kernel cuts up.
    pub(super) fn note_refused_segments(&mut self, member: MemberId) {
        if let Some(Some(route)) = self.routes.get_mut(member.0.slot as usize)
            && route.generation == member.0.generation
        {
            route.refuse_segments();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(generation: u32) -> MemberId {
        MemberId(Key { slot: 3, generation })
    }

    fn origin(remote: &str) -> Origin {
        Origin { socket: 0, local: None, remote: remote.parse().expect("an address") }
    }

    #[test]
    fn l8_a_reused_slot_does_not_send_to_the_one_before() {
        let (mut routes, mut hosts) = (Routes::default(), Hosts::default());
        routes.announce(member(1), &origin("192.0.2.1:9"), &mut hosts);
        assert!(routes.get(member(1)).is_some());
        assert!(routes.get(member(2)).is_none(), "the new tenant has proved nothing yet");
        routes.forget(member(2), &mut hosts);
        assert!(routes.get(member(1)).is_some(), "not its route to forget");
        routes.note_refused_segments(member(2));
        let route = routes.get(member(1)).expect("a route");
        assert_eq!(route.largest_segment, MAX_SEGMENT_V4, "nor to change");
        routes.forget(member(1), &mut hosts);
        assert!(routes.get(member(1)).is_none());
    }

    #[test]
    fn what_a_way_refused_is_remembered_while_it_is_the_same_way() {
        let (mut routes, mut hosts) = (Routes::default(), Hosts::default());
        routes.announce(member(1), &origin("192.0.2.1:9"), &mut hosts);
        routes.note_refused_segments(member(1));
        routes.announce(member(1), &origin("192.0.2.1:9"), &mut hosts);
        assert_eq!(routes.get(member(1)).expect("a route").largest_segment, 0);
        routes.announce(member(1), &origin("192.0.2.1:10"), &mut hosts);
        assert_eq!(routes.get(member(1)).expect("a route").largest_segment, MAX_SEGMENT_V4);
    }
}
