//! The addresses of peers: one to count by, one to send datagrams to, and the way back of a connection.

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
pub struct PeerAddr(Identity);

/// The part of an address that identifies a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Identity {
    /// It is canonical, as in [`Endpoint`].
    Ip(IpAddr),
    /// The user at the other end of a Unix socket.
    User(u32),
}

impl PeerAddr {
    /// Returns the peer at an endpoint, whatever its port.
    pub fn of(endpoint: Endpoint) -> Self {
        Self(Identity::Ip(endpoint.ip()))
    }

    /// Returns the peer with this user id, at the other end of a Unix socket.
    pub fn of_user(uid: u32) -> Self {
        Self(Identity::User(uid))
    }

    /// Returns the identity, for `Subnet` alone.
    pub(crate) fn identity(self) -> Identity {
        self.0
    }
}

impl<A: Into<IpAddr>> From<A> for PeerAddr {
    fn from(ip: A) -> Self {
        Self(Identity::Ip(ip.into().to_canonical()))
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Identity::Ip(ip) => ip.fmt(f),
            Identity::User(uid) => write!(f, "unix uid {uid}"),
        }
    }
}

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A peer over TCP, with the way of datagrams to it.
    Remote(Origin),
    /// A user of this machine, over a Unix socket. No datagrams go there.
    Local {
        /// The user id, from the kernel (`SO_PEERCRED`, unix(7)).
        uid: u32,
    },
}

impl Peer {
    /// Returns the address that limits count by.
    pub fn addr(self) -> PeerAddr {
        match self {
            Self::Remote(origin) => PeerAddr::of(origin.remote),
            Self::Local { uid } => PeerAddr::of_user(uid),
        }
    }

    /// Returns the IP of a peer over TCP.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Remote(origin) => Some(origin.remote.ip()),
            Self::Local { .. } => None,
        }
    }

    /// Returns true if the connection does not leave this machine's kernel, so that nobody on the way
    /// can read it.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Local { .. })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(origin) => origin.remote.fmt(f),
            Self::Local { .. } => self.addr().fmt(f),
        }
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
    fn u3_user_is_no_address() {
        let user = Peer::Local { uid: 1000 };
        assert_eq!((user.to_string(), user.is_local()), ("unix uid 1000".into(), true));
        assert_ne!(user.addr(), PeerAddr::from(Ipv4Addr::from_bits(1000)));
        assert_ne!(user.addr(), PeerAddr::of_user(1001));
    }

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
