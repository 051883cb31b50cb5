//! The route to each member, indexed by the slot of its id.

use std::net::IpAddr;

use super::hosts::Hosts;
use super::seals::SEAL_SIZE;
use crate::address::Origin;
use crate::ids::{Key, MemberId};
use crate::sys::Address;

/// The largest UDP payload over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP.
pub(super) const MAX_MESSAGE: u32 = 65_507;
/// Largest payloads that fit an Ethernet frame of 1,500 bytes over IPv4 and IPv6. Segments must fit the
/// path. Larger datagrams are sent alone and fragmented.
const MAX_SEGMENT_V4: u32 = 1_472;
const MAX_SEGMENT_V6: u32 = 1_452;

/// The two properties of a route that all messages of one call share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Index of the socket that the member's datagrams came to.
    pub(super) socket: u16,
    /// True if the member's datagrams are sealed.
    pub(super) is_sealed: bool,
}

/// The route to one member.
#[derive(Clone, Copy)]
pub(super) struct Route {
    generation: u32,
    /// The kind of message that reaches the member.
    pub(super) exit: Exit,
    /// Index of its host in [`Hosts`].
    pub(super) host: u32,
    /// Limit for datagrams that are sent as segments of one message; 0 if the path has refused such
    /// a message.
    pub(super) largest_segment: u32,
    pub(super) local: Option<IpAddr>,
    /// Stored in the kernel's format, so that a delivery converts nothing.
    pub(super) remote: Address,
}

impl Route {
    pub(super) fn new(generation: u32, origin: &Origin, is_sealed: bool) -> Self {
        Self {
            generation,
            // There are as many sockets as there were --bind options.
            exit: Exit { socket: origin.socket as u16, is_sealed },
            host: 0,
            largest_segment: match origin.remote.ip() {
                ip if ip.is_loopback() => MAX_MESSAGE,
                IpAddr::V4(_) => MAX_SEGMENT_V4,
                IpAddr::V6(_) => MAX_SEGMENT_V6,
            },
            local: origin.local,
            remote: Address::from(origin.remote.socket_addr()),
        }
    }

    /// Returns the bytes that a seal adds to each datagram.
    pub(super) fn overhead(&self) -> usize {
        if self.exit.is_sealed { SEAL_SIZE } else { 0 }
    }

    /// Notes that the path refuses messages that the kernel cuts into segments.
    pub(super) fn refuse_segments(&mut self) {
        self.largest_segment = 0;
    }

    fn is_same_path(&self, other: &Self) -> bool {
        self.exit.socket == other.exit.socket
            && self.local == other.local
            && self.remote == other.remote
    }
}

/// All routes, and the hosts that they lead to. The table is as large as the highest number of members
/// so far.
#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<Option<Route>>,
    pub(super) hosts: Hosts,
}

impl Routes {
    /// Sets a member's route. What is known of the path is kept if the path is the same.
    pub(super) fn announce(&mut self, member: MemberId, origin: &Origin, is_sealed: bool) {
        let Key { slot, generation } = member.0;
        let slot = slot as usize;
        if slot >= self.routes.len() {
            self.routes.resize(slot + 1, None);
        }
        let mut route = Route::new(generation, origin, is_sealed);
        let known = self.routes[slot];
        if let Some(known) = known.filter(|known| known.is_same_path(&route)) {
            (route.largest_segment, route.host) = (known.largest_segment, known.host);
        } else {
            route.host = self.hosts.enter(route.exit.socket, origin.remote.ip());
            if let Some(known) = known {
                self.hosts.leave(known.host);
            }
        }
        self.routes[slot] = Some(route);
    }

    /// Removes a member's route.
    pub(super) fn forget(&mut self, member: MemberId) {
        if let Some(host) = self.get(member).map(|route| route.host) {
            self.hosts.leave(host);
            self.routes[member.0.slot as usize] = None;
        }
    }

    /// Returns the route, unless it belongs to an earlier or later tenant of the slot.
    pub(super) fn get(&self, member: MemberId) -> Option<&Route> {
        let route = self.routes.get(member.0.slot as usize)?.as_ref()?;
        (route.generation == member.0.generation).then_some(route)
    }

    /// Notes that the path to a member refuses messages that the kernel cuts into segments.
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
    use std::net::SocketAddr;

    fn member(generation: u32) -> MemberId {
        MemberId(Key { slot: 3, generation })
    }

    fn origin(remote: &str) -> Origin {
        let remote: SocketAddr = remote.parse().expect("an address");
        Origin { socket: 0, local: None, remote: remote.into() }
    }

    #[test]
    fn l8_route_ignores_reused_slot() {
        let mut routes = Routes::default();
        routes.announce(member(1), &origin("192.0.2.1:9"), false);
        assert!(routes.get(member(1)).is_some());
        assert!(routes.get(member(2)).is_none(), "the new tenant has proved nothing yet");
        routes.forget(member(2));
        assert!(routes.get(member(1)).is_some(), "another tenant's route stays");
        routes.note_refused_segments(member(2));
        let route = routes.get(member(1)).expect("a route");
        assert_eq!(route.largest_segment, MAX_SEGMENT_V4, "and does not change");
        routes.forget(member(1));
        assert!(routes.get(member(1)).is_none());
    }

    #[test]
    fn refused_segments_belong_to_the_path() {
        let mut routes = Routes::default();
        routes.announce(member(1), &origin("192.0.2.1:9"), false);
        routes.note_refused_segments(member(1));
        routes.announce(member(1), &origin("192.0.2.1:9"), false);
        assert_eq!(routes.get(member(1)).expect("a route").largest_segment, 0);
        routes.announce(member(1), &origin("192.0.2.1:10"), false);
        assert_eq!(routes.get(member(1)).expect("a route").largest_segment, MAX_SEGMENT_V4);
    }
}
