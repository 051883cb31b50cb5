//! The counters as families of `/metrics` and `/loop.json`: a name, a help text, and one value or one for each
//! reason.

use super::{ENTRIES, Metrics};

/// Help texts of families that have reasons.
const WITH_REASONS: [(&str, &str); 2] = [
    ("dropped_datagrams", "Datagrams and units from clients that had no effect, by reason."),
    ("unsent_datagrams", "Datagrams and units for members that were not sent, by reason."),
];

/// The place of a counter.
pub(super) struct Entry {
    pub(super) family: &'static str,
    /// The reason, or nothing.
    pub(super) reason: &'static [&'static str],
    /// The doc comment of the counter.
    pub(super) help: &'static str,
}

/// Counters with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, in lower case and without a prefix.
    pub name: &'static str,
    /// A sentence about it.
    pub help: String,
    /// Its values.
    pub samples: Samples,
}

/// The values of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// One value.
    One(u64),
    /// A value for each reason.
    ByReason(Vec<(&'static str, u64)>),
    /// A value for each status of a reply, which is its index.
    ByStatus(Vec<u64>),
}

impl Metrics {
    /// Returns all counters in families, in the order of their first counters.
    pub fn families(&self) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for (entry, count) in ENTRIES.iter().zip(self.counts) {
            match (families.iter_mut().find(|family| family.name == entry.family), entry.reason) {
                (Some(Family { samples: Samples::ByReason(counts), .. }), [reason]) => {
                    counts.push((reason, count));
                }
                _ => families.push(entry.family(count)),
            }
        }
        families.push(Family {
            name: "replies",
            help: "Replies to requests, by the status of section 1 of PROTOCOL.md.".into(),
            samples: Samples::ByStatus(self.replies.to_vec()),
        });
        families
    }
}

impl Entry {
    /// Returns a new family with this counter.
    fn family(&self, count: u64) -> Family {
        let shared = WITH_REASONS.iter().find(|(name, _)| *name == self.family);
        Family {
            name: self.family,
            help: shared.map_or(self.help, |(_, help)| help).trim().into(),
            samples: match *self.reason {
                [reason, ..] => Samples::ByReason(vec![(reason, count)]),
                [] => Samples::One(count),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::metrics::Counter;
    use crate::protocol::Status;

    fn family(metrics: &Metrics, name: &str) -> Family {
        metrics.families().into_iter().find(|family| family.name == name).expect("a family")
    }

    #[test]
    fn h2_metrics_families_hold_all_counters() {
        let mut metrics = Metrics::default();
        metrics.add(Counter::Messages, 3);
        metrics.add(Counter::Malformed, 2);
        metrics.count_reply(Status::RoomFull);
        assert_eq!(family(&metrics, "messages").samples, Samples::One(3));
        assert_eq!(family(&metrics, "messages").help, "Messages relayed.");
        let Samples::ByReason(dropped) = family(&metrics, "dropped_datagrams").samples else {
            panic!("no reasons")
        };
        assert!(dropped.contains(&("malformed", 2)) && dropped.contains(&("too_long", 0)));
        let Samples::ByStatus(replies) = family(&metrics, "replies").samples else {
            panic!("no statuses")
        };
        assert_eq!((replies.len(), replies[Status::RoomFull as usize]), (Status::COUNT, 1));
    }

    #[test]
    fn h2_metrics_names_are_unique() {
        let families = Metrics::default().families();
        let names: BTreeSet<&str> = families.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), families.len());
        for family in families {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(family.name.chars().all(is_plain), "{}", family.name);
            assert!(!family.name.ends_with("_total"), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}: {}", family.name, family.help);
        }
        for (name, _) in WITH_REASONS {
            assert!(matches!(family(&Metrics::default(), name).samples, Samples::ByReason(_)));
        }
    }
}
