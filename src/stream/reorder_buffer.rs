//! Entries that came before their turn, held until the entries below them have come.

use std::collections::BTreeMap;

/// The memory that one entry takes beside its bytes: key, value, the empty slots of a tree, and the
/// allocator's overhead.
const ENTRY_COST: usize = 64;

/// An item that waits for its turn.
#[derive(Debug)]
pub(super) enum Held {
    /// An entry as it stood in its datagram, with its size.
    Entry(Box<[u8]>),
    /// Entries that are gone for good.
    Gone {
        /// The number of these entries.
        count: u64,
        /// No message goes on behind them (S16).
        is_aligned: bool,
    },
}

impl Held {
    fn cost(&self) -> usize {
        match self {
            Self::Entry(bytes) => cost_of(bytes),
            Self::Gone { .. } => ENTRY_COST,
        }
    }
}

/// Returns the bytes of memory that holding this entry takes.
pub(super) fn cost_of(entry: &[u8]) -> usize {
    ENTRY_COST + entry.len()
}

/// The held items, by the number of their first entry.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    held: BTreeMap<u64, Held>,
    cost: usize,
}

impl ReorderBuffer {
    /// Holds an item, whose number is not held yet.
    pub(super) fn hold(&mut self, number: u64, held: Held) {
        self.cost += held.cost();
        self.held.insert(number, held);
    }

    /// Takes the first item if it has this number.
    pub(super) fn take(&mut self, number: u64) -> Option<Held> {
        let first = self.held.first_entry().filter(|entry| *entry.key() == number)?;
        let held = first.remove();
        self.cost -= held.cost();
        Some(held)
    }

    /// Returns the bytes of memory that all items take.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_held_items_come_out_in_order() {
        let mut buffer = ReorderBuffer::default();
        buffer.hold(6, Held::Gone { count: 2, is_aligned: true });
        buffer.hold(5, Held::Entry(Box::from(&b"hello"[..])));
        assert_eq!(buffer.cost(), 2 * ENTRY_COST + 5);
        assert!(buffer.take(4).is_none() && buffer.take(6).is_none());
        assert!(matches!(buffer.take(5), Some(Held::Entry(bytes)) if *bytes == b"hello"[..]));
        assert!(matches!(buffer.take(6), Some(Held::Gone { count: 2, .. })));
        assert_eq!((buffer.cost(), buffer.take(7).is_none()), (0, true));
    }
}
