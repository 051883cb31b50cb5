//! The connections, counted by protocol and by state.

use crate::reactor::connection_state::{Kind, ProtocolKind, Waiting};

/// Numbers of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::reactor) struct Tally {
    protocols: [u32; ProtocolKind::NAMES.len()],
    states: [u32; Waiting::NAMES.len()],
}

impl Tally {
    /// Counts a connection that was of one kind, if it was there, and is of another, if it still is.
    pub(in crate::reactor) fn change(&mut self, was: Option<Kind>, is: Option<Kind>) {
        if was == is {
            return;
        }
        if let Some((protocol, waiting)) = was {
            self.protocols[protocol as usize] -= 1;
            self.states[waiting as usize] -= 1;
        }
        if let Some((protocol, waiting)) = is {
            self.protocols[protocol as usize] += 1;
            self.states[waiting as usize] += 1;
        }
    }

    /// Returns the numbers by protocol.
    pub(in crate::reactor) fn by_protocol(&self) -> Vec<(&'static str, u64)> {
        named(ProtocolKind::NAMES, self.protocols)
    }

    /// Returns the numbers by state.
    pub(in crate::reactor) fn by_state(&self) -> Vec<(&'static str, u64)> {
        named(Waiting::NAMES, self.states)
    }
}

fn named<const N: usize>(names: [&'static str; N], counts: [u32; N]) -> Vec<(&'static str, u64)> {
    names.into_iter().zip(counts.map(u64::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h12_tally_follows_connections() {
        let mut tally = Tally::default();
        let (new, asked) =
            ((ProtocolKind::Undecided, Waiting::Request), (ProtocolKind::Http, Waiting::Reader));
        tally.change(None, Some(new));
        tally.change(None, Some(new));
        tally.change(Some(new), Some(asked));
        assert_eq!(tally.by_protocol()[..3], [("undecided", 1), ("tcrp", 0), ("http", 1)]);
        assert_eq!(tally.by_state()[1..4], [("idle", 1), ("in_request", 0), ("not_reading", 1)]);
        tally.change(Some(new), None);
        tally.change(Some(asked), None);
        assert_eq!(tally, Tally::default());
    }
}
