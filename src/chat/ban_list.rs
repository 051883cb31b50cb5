//! The bans of one room, by name and by subnet.
//!
//! A room keeps its bans until it closes. When their memory is full, the oldest ban is dropped, so
//! that the host can always remove one more member.

use std::collections::VecDeque;

use crate::protocol::name::fold;
use crate::subnet::Subnet;

/// Limit for the memory of a room's bans. It is enough for about two hundred short names.
const MAX_BYTES: usize = 32 * 1024;
/// Memory of a ban beside its names: two allocations, and an entry in a list that grows by
/// doubling.
const OVERHEAD: usize = 32 + 2 * size_of::<Ban>();

/// A banned name.
#[derive(Debug)]
pub(super) struct Ban {
    /// The name in the form in which names are compared.
    folded: Box<str>,
    /// The name as its member wrote it, if that differs.
    written: Option<Box<str>>,
    /// Subnet of the removed member.
    pub(super) subnet: Subnet,
    /// True if the subnet is banned too.
    pub(super) has_address: bool,
}

impl Ban {
    pub(super) fn new(name: &str, subnet: Subnet, has_address: bool) -> Self {
        let folded = fold(name);
        let written = (*folded != *name).then(|| name.into());
        Self { folded, written, subnet, has_address }
    }

    pub(super) fn name(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.folded)
    }

    fn size(&self) -> usize {
        OVERHEAD + self.folded.len() + self.written.as_ref().map_or(0, |written| written.len())
    }
}

/// Bans of one room, oldest first.
#[derive(Debug, Default)]
pub(super) struct Bans {
    list: VecDeque<Ban>,
    bytes: usize,
}

impl Bans {
    /// Returns true if the name or the subnet is banned.
    pub(super) fn keeps_out(&self, folded: &str, subnet: Subnet) -> bool {
        self.has_address(subnet) || self.find(folded).is_some()
    }

    /// Returns true if the subnet is banned.
    pub(super) fn has_address(&self, subnet: Subnet) -> bool {
        self.list.iter().any(|ban| ban.has_address && ban.subnet == subnet)
    }

    /// Adds a ban. The oldest bans are dropped if the memory is full.
    pub(super) fn add(&mut self, ban: Ban) {
        self.remove(&ban.folded);
        self.bytes += ban.size();
        self.list.push_back(ban);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.list.pop_front()
        {
            self.bytes -= oldest.size();
        }
    }

    /// Removes and returns the ban of a name, and with it that of its subnet.
    pub(super) fn remove(&mut self, folded: &str) -> Option<Ban> {
        let removed = self.find(folded).and_then(|index| self.list.remove(index));
        self.bytes -= removed.as_ref().map_or(0, Ban::size);
        removed
    }

    pub(super) fn find(&self, folded: &str) -> Option<usize> {
        self.list.iter().position(|ban| *ban.folded == *folded)
    }

    /// Returns the names, newest first; true stands for a name whose subnet is banned too.
    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = (&str, bool)> {
        self.list.iter().rev().map(|ban| (ban.name(), ban.has_address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn subnet(number: u32) -> Subnet {
        Subnet::of(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a8_a_full_list_drops_its_oldest_ban() {
        let mut bans = Bans::default();
        for number in 0..1_000 {
            // U+023A has two bytes, and three in a folded name.
            let name = format!("{number}{}", "\u{23a}".repeat(120));
            bans.add(Ban::new(&name, subnet(number), true));
            assert!(bans.keeps_out(&fold(&name), subnet(0xffff)), "the newest is remembered");
            assert!(bans.bytes <= MAX_BYTES);
        }
        assert!((20..100).contains(&bans.list.len()), "{}", bans.list.len());
        assert!(bans.has_address(subnet(999)) && !bans.has_address(subnet(0)));
        let names: Vec<String> = bans.names().map(|(name, _)| name.into()).collect();
        assert!(names[0].starts_with("999") && names[1].starts_with("998"));
        assert!(names.iter().all(|name| bans.remove(&fold(name)).is_some()));
        assert_eq!((bans.bytes, bans.list.len()), (0, 0));
        assert!(bans.remove("bob").is_none());
    }

    #[test]
    fn a8_a_name_banned_twice_is_one_entry() {
        let mut bans = Bans::default();
        for has_address in [false, true, false] {
            bans.add(Ban::new("Bob", subnet(1), has_address));
            assert_eq!(bans.has_address(subnet(1)), has_address);
        }
        assert_eq!(bans.names().collect::<Vec<_>>(), [("Bob", false)]);
        assert!(bans.keeps_out("bob", subnet(2)));
    }
}
