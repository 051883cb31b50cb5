//! Where each member's datagrams go, by the slot of its id.

use std::net::IpAddr;

use crate::ids::{Key, MemberId, Origin};
use crate::sys::Address;

/// The way to one member.
#[derive(Clone, Copy)]
pub(super) struct Row {
    generation: u32,
    socket: u32,
    pub(super) local: Option<IpAddr>,
    pub(super) remote: Address,
}

impl Row {
    /// The index of the socket that the member spoke to.
    pub(super) fn socket(&self) -> usize {
        self.socket as usize
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
        // There are as many sockets as there were --bind options.
        let socket = origin.socket as u32;
        let remote = Address::from(origin.remote);
        self.rows[slot] = Some(Row { generation, socket, local: origin.local, remote });
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(generation: u32) -> MemberId {
        MemberId(Key { slot: 3, generation })
    }

    #[test]
    fn l8_a_reused_slot_does_not_send_to_the_one_before() {
        let remote = "192.0.2.1:9".parse().expect("an address");
        let mut table = Table::default();
        table.announce(member(1), &Origin { socket: 0, local: None, remote });
        assert!(table.get(member(1)).is_some());
        assert!(table.get(member(2)).is_none(), "the new tenant has proved nothing yet");
        table.forget(member(2));
        assert!(table.get(member(1)).is_some(), "not its row to forget");
        table.forget(member(1));
        assert!(table.get(member(1)).is_none());
    }
}
