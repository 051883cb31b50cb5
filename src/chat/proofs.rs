//! What is known of addresses: which ports of an IP are taken, and how many members of an IP have
//! none yet. Entries that count nobody are removed, so this is never larger than the members.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use super::member::Port;

/// Counts by IP and by port.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    unproved: HashMap<IpAddr, u32>,
    /// Two members may share a port: a program can be in two rooms with one socket.
    ports: HashMap<(IpAddr, u16), u32>,
}

impl Proofs {
    /// Counts a member with this port in.
    pub(super) fn note(&mut self, ip: IpAddr, port: Port) {
        match port {
            Port::Unknown => increment(&mut self.unproved, ip),
            Port::Announced(port) | Port::Learnt(port) => increment(&mut self.ports, (ip, port)),
        }
    }

    /// Counts a member with this port out.
    pub(super) fn forget(&mut self, ip: IpAddr, port: Port) {
        match port {
            Port::Unknown => decrement(&mut self.unproved, ip),
            Port::Announced(port) | Port::Learnt(port) => decrement(&mut self.ports, (ip, port)),
        }
    }

    /// How many members of `ip` have no port yet.
    pub(super) fn unproved(&self, ip: IpAddr) -> u32 {
        self.unproved.get(&ip).copied().unwrap_or(0)
    }

    /// Whether a member has this port.
    pub(super) fn is_taken(&self, ip: IpAddr, port: u16) -> bool {
        self.ports.contains_key(&(ip, port))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.unproved.len() + self.ports.len()
    }
}

fn increment<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    *counts.entry(key).or_insert(0) += 1;
}

fn decrement<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_counted_in_is_counted_out() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut proofs = Proofs::default();
        for port in [Port::Unknown, Port::Announced(7), Port::Learnt(7)] {
            proofs.note(ip, port);
        }
        assert_eq!((proofs.unproved(ip), proofs.is_taken(ip, 7)), (1, true));
        proofs.forget(ip, Port::Announced(7));
        assert!(proofs.is_taken(ip, 7), "the other one has it still");
        proofs.forget(ip, Port::Learnt(7));
        proofs.forget(ip, Port::Unknown);
        assert_eq!((proofs.unproved(ip), proofs.is_taken(ip, 7), proofs.len()), (0, false, 0));
    }
}
