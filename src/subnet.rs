//! The addresses that one peer is assumed to have.

use std::net::{IpAddr, Ipv6Addr};

use crate::address::{Identity, PeerAddr};

/// One peer: an IPv4 address, or the /64 of an IPv6 address. A single host gets a whole /64 (RFC
/// 6177, section 2), so a limit by address would be no limit there.
///
/// A link-local address is a peer of its own, because fe80::/64 is shared by all hosts of the link
/// (RFC 4291, section 2.5.6). A user of a Unix socket is a peer too, with all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(
    /// IPv4 is mapped into IPv6, and so are user ids: see [`USERS`]. That takes 16 bytes and an
    /// `IpAddr` takes 17, for each peer.
    Ipv6Addr,
);

/// User ids are mapped to the addresses from here. No IP is: the lower half of a /64 is zero, and a mapped
/// IPv4 address has ones in the bits from 32 to 47.
const USERS: u128 = 1 << 32;

impl Subnet {
    /// Returns the subnet of an address.
    pub fn of(peer: PeerAddr) -> Self {
        match peer.identity() {
            Identity::Ip(IpAddr::V4(ip)) => Self(ip.to_ipv6_mapped()),
            Identity::Ip(IpAddr::V6(ip)) if ip.is_unicast_link_local() => Self(ip),
            Identity::Ip(IpAddr::V6(ip)) => {
                Self(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)))
            }
            Identity::User(uid) => Self(Ipv6Addr::from_bits(USERS | u128::from(uid))),
        }
    }

    /// Returns true for a user of a Unix socket.
    fn is_user(self) -> bool {
        self.0.to_bits() >> 32 == USERS >> 32
    }

    /// Returns the IPv6 prefix of this length that contains the subnet. IPv4 and link-local
    /// addresses and users have none.
    pub fn prefix(self, length: u32) -> Option<Self> {
        let is_alone = self.0.to_ipv4_mapped().is_some() || self.0.is_unicast_link_local();
        let is_part = !is_alone && !self.is_user();
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or_default();
        is_part.then(|| Self(Ipv6Addr::from_bits(self.0.to_bits() & mask)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(ip: &str) -> Subnet {
        Subnet::of(ip.parse::<IpAddr>().expect("an address").into())
    }

    fn is_one(left: &str, right: &str) -> bool {
        subnet(left) == subnet(right)
    }

    #[test]
    fn t4_a_64_is_one_peer() {
        assert!(is_one("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
        assert!(!is_one("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(is_one("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!is_one("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a1_a_48_holds_only_its_64s() {
        let prefix = |ip: &str| subnet(ip).prefix(48);
        assert_eq!(prefix("2001:db8:0:1::1"), prefix("2001:db8:0:ffff::2"));
        assert_ne!(prefix("2001:db8:0:1::1"), prefix("2001:db8:1:1::1"));
        assert_eq!(
            (prefix("fe80::1"), prefix("192.0.2.1"), prefix("::ffff:192.0.2.1")),
            (None, None, None)
        );
    }

    #[test]
    fn u3_user_is_one_peer() {
        let user = |uid| Subnet::of(PeerAddr::of_user(uid));
        assert_eq!(user(0), user(0));
        for uid in [0, 1, 1000, u32::MAX] {
            assert_ne!(user(uid), user(uid ^ 1));
            assert_eq!(user(uid).prefix(48), None);
            let ips = ["::", "::1", "::1:0:1", "0.0.0.0", "0.0.3.232", "fe80::1", "::ffff:0:0"];
            assert!(ips.iter().all(|ip| subnet(ip) != user(uid)));
        }
    }

    #[test]
    fn link_neighbours_are_separate_peers() {
        assert!(!is_one("fe80::1", "fe80::2"));
    }
}
