//! The connections, counted by protocol and by state.

use crate::reactor::connection_state::{Kind, ProtocolKind, Waiting};

/// Protocols with their names, in the order of [`ProtocolKind`].
const PROTOCOLS: [(ProtocolKind, &str); 4] = [
    (ProtocolKind::Undecided, "undecided"),
    (ProtocolKind::Tcrp, "tcrp"),
    (ProtocolKind::Http, "http"),
    (ProtocolKind::Carried, "carried"),
];

/// States with their names, in the order of [`Waiting`].
const STATES: [(Waiting, &str); 8] = [
    (Waiting::Handshake, "handshake"),
    (Waiting::Request, "idle"),
    (Waiting::Frame, "in_request"),
    (Waiting::Reader, "slow_reader"),
    (Waiting::PeerEnd, "ending"),
    (Waiting::Delay, "delayed"),
    (Waiting::LastEntries, "last_entries"),
    (Waiting::Member, "member"),
];

/// Numbers of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::reactor) struct Tally {
    protocols: [u32; PROTOCOLS.len()],
    states: [u32; STATES.len()],
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
        PROTOCOLS.map(|(kind, name)| (name, self.protocols[kind as usize].into())).to_vec()
    }

    /// Returns the numbers by state.
    pub(in crate::reactor) fn by_state(&self) -> Vec<(&'static str, u64)> {
        STATES.map(|(waiting, name)| (name, self.states[waiting as usize].into())).to_vec()
    }
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
        assert_eq!(tally.by_state()[1..4], [("idle", 1), ("in_request", 0), ("slow_reader", 1)]);
        tally.change(Some(new), None);
        tally.change(Some(asked), None);
        assert_eq!(tally, Tally::default());
    }
}
