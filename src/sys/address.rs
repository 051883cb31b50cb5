//! Socket addresses in the kernel's format.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{c_int, c_void, socklen_t};

/// A socket address in the kernel's format, ready for a call.
#[derive(Clone, Copy)]
pub enum Address {
    /// `struct sockaddr_in`, ip(7).
    V4(libc::sockaddr_in),
    /// `struct sockaddr_in6`, ipv6(7).
    V6(libc::sockaddr_in6),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: in_addr(*v4.ip()),
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.to_socket_addr() == other.to_socket_addr()
    }
}

impl Address {
    /// Returns the address in the format of std.
    pub fn to_socket_addr(self) -> SocketAddr {
        match self {
            Self::V4(v4) => {
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into()
            }
            Self::V6(v6) => {
                let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
                SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into()
            }
        }
    }

    pub(super) fn as_raw(&self) -> (*const c_void, socklen_t) {
        match self {
            Self::V4(v4) => (ptr::from_ref(v4).cast(), size_of_val(v4) as socklen_t),
            Self::V6(v6) => (ptr::from_ref(v6).cast(), size_of_val(v6) as socklen_t),
        }
    }
}

pub(super) fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    // `s_addr` is in network order, so its bytes in memory are those of the address.
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

/// Space for the largest socket address that can occur, aligned for any.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct NameBuffer(pub(super) [u8; NAME_SIZE]);

pub(super) const NAME_SIZE: usize = size_of::<libc::sockaddr_in6>();

/// Parses a socket address in the kernel's format: family in host order, port and address in network
/// order, at the offsets of ip(7) and ipv6(7).
pub(super) fn parse_name(name: &[u8; NAME_SIZE]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes([name[0], name[1]]);
    let port = u16::from_be_bytes([name[2], name[3]]);
    match c_int::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*name[4..].first_chunk::<4>()?);
            Some(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*name[8..].first_chunk::<16>()?);
            let scope = u32::from_ne_bytes(*name[24..].first_chunk::<4>()?);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}
