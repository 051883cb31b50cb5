//! Networks of IP addresses, as an operator names them.

use std::net::IpAddr;
use std::str::FromStr;

/// An address, and the length of the prefix that all addresses of the network share (RFC 4632, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u32,
}

/// The text is no network.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidNetwork;

impl Network {
    /// Returns true if the address is in the network. No IPv4 address is in a network of IPv6.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (of_network, width) = bits(self.address);
        let (of_ip, other_width) = bits(ip);
        // A shift by all bits leaves nothing to compare.
        let differs = (of_network ^ of_ip).checked_shr(width - self.length).unwrap_or(0);
        width == other_width && differs == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// Parses an address, and the length behind a slash. An address alone is a network of its own. An address
    /// with bits behind the prefix is a mistake.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let (value, width) = bits(address);
        let length: u32 = match length {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let rest = 1_u128.checked_shl(width.checked_sub(length).ok_or(InvalidNetwork)?);
        let behind = value & rest.map_or(u128::MAX, |rest| rest - 1);
        (behind == 0).then_some(Self { address, length }).ok_or(InvalidNetwork)
    }
}

/// Returns the bits of an address, and their number.
fn bits(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(ip) => (ip.to_bits().into(), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, ip: &str) -> bool {
        let network: Network = network.parse().expect("a network");
        network.contains(ip.parse().expect("an address"))
    }

    #[test]
    fn h3_networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.64/26", "192.0.2.127", "192.0.2.128"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
        ] {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn h3_mistakes_in_networks() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "::1/64",
            "10.0.0.0/+8",
            "10/8",
            "10.0.0.0/8/8",
            "localhost",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }

    proptest! {
        /// The prefix alone decides.
        #[test]
        fn h3_prefix_decides(value: u32, other: u32, length in 0..=32_u32) {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let address = std::net::Ipv4Addr::from_bits(value & mask);
            let network: Network = format!("{address}/{length}").parse().expect("a network");
            let is_inside = other & mask == value & mask;
            prop_assert_eq!(network.contains(std::net::Ipv4Addr::from_bits(other).into()), is_inside);
        }
    }
}
