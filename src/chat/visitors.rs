//! Subnets from which a room was entered. Passwords from there are not delayed.

use std::collections::VecDeque;

use crate::subnet::Subnet;

/// Limit for the subnets of one room: 2 KiB.
const MAX_REMEMBERED: usize = 128;

/// Subnets that have given the password, least recent first.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    subnets: VecDeque<Subnet>,
}

impl Visitors {
    /// Notes an entry from this subnet.
    pub(super) fn note(&mut self, subnet: Subnet) {
        if self.subnets.back() == Some(&subnet) {
            return;
        }
        self.subnets.retain(|other| *other != subnet);
        if self.subnets.len() == MAX_REMEMBERED {
            self.subnets.pop_front();
        }
        self.subnets.push_back(subnet);
    }

    /// Returns true if the room was entered from this subnet.
    pub(super) fn has(&self, subnet: Subnet) -> bool {
        self.subnets.contains(&subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a1_only_latest_subnets_are_kept() {
        let subnet = |number| Subnet::of(Ipv4Addr::from_bits(number).into());
        let mut visitors = Visitors::default();
        for number in 0..1000 {
            visitors.note(subnet(number));
            visitors.note(subnet(1_000_000));
        }
        assert_eq!(visitors.subnets.len(), MAX_REMEMBERED);
        assert!(visitors.subnets.capacity() <= MAX_REMEMBERED);
        assert!(visitors.has(subnet(1_000_000)) && visitors.has(subnet(999)));
        assert!(!visitors.has(subnet(800)));
    }
}
