//! What came before its turn: entries above a gap, kept until what lies before them is here.

use std::collections::BTreeMap;

/// What one entry costs in memory beyond its bytes: key, value, what a tree leaves empty, and the
/// allocator's part.
const ENTRY_COST: usize = 64;

/// One thing that waits for its turn.
#[derive(Debug)]
pub(super) enum Held {
    /// An entry as it lay in its datagram, its size included.
    Entry(Box<[u8]>),
    /// Entries that are gone for good.
    Gone {
        /// Number of these entries.
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

/// The bytes of memory that holding this entry takes.
pub(super) fn cost_of(entry: &[u8]) -> usize {
    ENTRY_COST + entry.len()
}

/// What is held, by its number.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    held: BTreeMap<u64, Held>,
    cost: usize,
}

impl ReorderBuffer {
    /// Keeps what has this number. There is nothing of this number yet.
    pub(super) fn hold(&mut self, number: u64, held: Held) {
        self.cost += held.cost();
        self.held.insert(number, held);
    }

    /// Takes out the first, if it has this number.
    pub(super) fn take(&mut self, number: u64) -> Option<Held> {
        let first = self.held.first_entry().filter(|entry| *entry.key() == number)?;
        let held = first.remove();
        self.cost -= held.cost();
        Some(held)
    }

    /// Bytes of memory that are held.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_what_is_held_comes_out_in_order_and_its_cost_with_it() {
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
