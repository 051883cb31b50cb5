//! The addresses that one peer is assumed to have.

use std::net::{IpAddr, Ipv6Addr};

use crate::address::PeerAddr;

/// One peer: an IPv4 address, or the /64 of an IPv6 address. A single host gets a whole /64 (RFC
/// 6177, section 2), so a limit by address would be no limit there.
///
/// A link-local address is a peer of its own, because fe80::/64 is shared by all hosts of the link
/// (RFC 4291, section 2.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(
    /// IPv4 is mapped into IPv6. That takes 16 bytes and an `IpAddr` takes 17, for each peer.
    Ipv6Addr,
);

impl Subnet {
    /// Returns the subnet of an address.
    pub fn of(peer: PeerAddr) -> Self {
        match peer.ip() {
            IpAddr::V4(ip) => Self(ip.to_ipv6_mapped()),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Self(ip),
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        }
    }

    /// Returns the IPv6 prefix of this length that contains the subnet. IPv4 and link-local
    /// addresses have none.
    pub fn prefix(self, length: u32) -> Option<Self> {
        let is_part = self.0.to_ipv4_mapped().is_none() && !self.0.is_unicast_link_local();
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
    fn link_neighbours_are_separate_peers() {
        assert!(!is_one("fe80::1", "fe80::2"));
    }
}
