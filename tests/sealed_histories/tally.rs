//! Counts of what happened in histories, so that none of it is missing without notice.

use std::collections::BTreeMap;

/// Everything that a million steps must contain.
const EVERYTHING: [&str; 24] = [
    "step",
    "sealed up",
    "sealed down",
    "control up",
    "control down",
    "epoch up",
    "epoch down",
    "resume",
    "resume reply lost",
    "move to a port",
    "move to an ip",
    "route moved",
    "silence ended by a resume",
    "gone",
    "rejected Malformed",
    "rejected UnknownId",
    "rejected Replayed",
    "rejected UnknownEpoch",
    "rejected Forged",
    "attack on a client",
    "attack with a genuine datagram",
    "attack in the clear",
    "bytes to an unproved address",
    "chacha20-poly1305",
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub fn note(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(what.into(), 1)),
        }
    }

    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    pub fn assert_coverage(&self) {
        for what in EVERYTHING {
            assert!(self.count(what) > 20, "{what}: {}, of {self:#?}", self.count(what));
        }
    }
}
