//! The addresses of peers: one to count by, one to send datagrams to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The address that a member's datagrams go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(
    /// The IP is canonical: IPv4 is never mapped into IPv6, so equal endpoints compare as equal.
    SocketAddr,
);

impl Endpoint {
    /// Returns the IP.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// Returns the UDP port.
    pub fn port(self) -> u16 {
        self.0.port()
    }

    /// Returns the endpoint at the same IP with this port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.0.set_port(port);
        self
    }

    /// Returns the address in the form that sockets take.
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }
}

impl<A: Into<SocketAddr>> From<A> for Endpoint {
    fn from(address: A) -> Self {
        let mut address = address.into();
        // An IPv6 address that stays one keeps its scope.
        if let IpAddr::V4(ip) = address.ip().to_canonical() {
            address.set_ip(ip.into());
        }
        Self(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of a peer, which limits count by and which a token belongs to. Only `Subnet` looks
/// inside: the rest of the server compares it and writes it to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr(
    /// It is canonical, as in [`Endpoint`].
    IpAddr,
);

impl PeerAddr {
    /// Returns the peer at an endpoint, whatever its port.
    pub fn of(endpoint: Endpoint) -> Self {
        Self(endpoint.ip())
    }

    /// Returns the IP, for `Subnet` alone.
    pub(crate) fn ip(self) -> IpAddr {
        self.0
    }
}

impl<A: Into<IpAddr>> From<A> for PeerAddr {
    fn from(ip: A) -> Self {
        Self(ip.into().to_canonical())
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The way that a datagram came, so that an answer can go the same way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Index of the UDP socket, in the order of `--bind`.
    pub socket: usize,
    /// The local address that it was sent to. `None` if the socket is bound to one address, because
    /// the kernel then has no choice to make.
    pub local: Option<IpAddr>,
    /// The peer.
    pub remote: Endpoint,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn mapped_ipv4_is_ipv4_and_a_scope_is_kept() {
        let endpoint = |text: &str| Endpoint::from(text.parse::<SocketAddr>().expect("an address"));
        assert_eq!(endpoint("[::ffff:192.0.2.1]:9"), endpoint("192.0.2.1:9"));
        let peer = PeerAddr::from([192, 0, 2, 1]);
        assert_eq!(PeerAddr::of(endpoint("[::ffff:192.0.2.1]:9")), peer);
        assert_eq!(PeerAddr::from(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()), peer);
        let scoped = endpoint("[fe80::1%2]:9");
        assert_eq!(scoped.with_port(10).socket_addr(), "[fe80::1%2]:10".parse().expect("one"));
    }
}
