//! Where each member's datagrams go, by the slot of its id.

use std::net::IpAddr;

use crate::ids::{Key, MemberId, Origin};
use crate::sys::Address;

/// The way to one member.
#[derive(Clone, Copy)]
pub(super) struct Row {
    generation: u32,
    socket: u16,
    /// Whether the way there takes messages that the kernel cuts up.
    pub(super) segments: bool,
    pub(super) local: Option<IpAddr>,
    /// Ready for the call: nothing is converted for a delivery.
    pub(super) remote: Address,
}

impl Row {
    pub(super) fn new(generation: u32, origin: &Origin) -> Self {
        Self {
            generation,
            // There are as many sockets as there were --bind options.
            socket: origin.socket as u16,
            segments: true,
            local: origin.local,
            remote: Address::from(origin.remote),
        }
    }

    /// The index of the socket that the member spoke to.
    pub(super) fn socket(&self) -> usize {
        usize::from(self.socket)
    }

    fn is_same_way(&self, other: &Self) -> bool {
        self.socket == other.socket && self.local == other.local && self.remote == other.remote
    }
}

/// Rows by slot: as many as there were members at the busiest time.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Option<Row>>,
}

impl Table {
    pub(super) fn announce(&mut self, member: MemberId, origin: &Origin) {
        let Key { slot, generation } = member.0;
        let slot = slot as usize;
        if slot >= self.rows.len() {
            self.rows.resize(slot + 1, None);
        }
        let mut row = Row::new(generation, origin);
        if let Some(known) = self.rows[slot].filter(|known| known.is_same_way(&row)) {
            row.segments = known.segments;
        }
        self.rows[slot] = Some(row);
    }

    pub(super) fn forget(&mut self, member: MemberId) {
        if self.get(member).is_some() {
            self.rows[member.0.slot as usize] = None;
        }
    }

    /// The row, unless it is that of an earlier or later life of the slot.
    pub(super) fn get(&self, member: MemberId) -> Option<&Row> {
        let row = self.rows.get(member.0.slot as usize)?.as_ref()?;
        (row.generation == member.0.generation).then_some(row)
    }

    /// Remembers that the way to a member does not take messages that the kernel cuts up.
    pub(super) fn note_refused_segments(&mut self, member: MemberId) {
        if let Some(Some(row)) = self.rows.get_mut(member.0.slot as usize)
            && row.generation == member.0.generation
        {
            row.segments = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(generation: u32) -> MemberId {
        MemberId(Key { slot: 3, generation })
    }

    fn origin(remote: &str) -> Origin {
        Origin { socket: 0, local: None, remote: remote.parse().expect("an address") }
    }

    #[test]
    fn l8_a_reused_slot_does_not_send_to_the_one_before() {
        let mut table = Table::default();
        table.announce(member(1), &origin("192.0.2.1:9"));
        assert!(table.get(member(1)).is_some());
        assert!(table.get(member(2)).is_none(), "the new tenant has proved nothing yet");
        table.forget(member(2));
        assert!(table.get(member(1)).is_some(), "not its row to forget");
        table.forget(member(1));
        assert!(table.get(member(1)).is_none());
    }

    #[test]
    fn what_a_way_refused_is_remembered_while_it_is_the_same_way() {
        let mut table = Table::default();
        table.announce(member(1), &origin("192.0.2.1:9"));
        table.note_refused_segments(member(1));
        table.announce(member(1), &origin("192.0.2.1:9"));
        assert!(!table.get(member(1)).expect("a row").segments);
        table.announce(member(1), &origin("192.0.2.1:10"));
        assert!(table.get(member(1)).expect("a row").segments);
    }
}
