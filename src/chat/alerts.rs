//! Alerts that wait for the owner of the chat, which writes the log.

use std::collections::BTreeMap;

use super::Chat;
use crate::address::PeerAddr;
use crate::alert::Alert;

/// Limit for the alerts that wait until the owner takes them, which it does once a turn. Alerts of
/// further addresses are lost.
const MAX_WAITING: usize = 1024;

/// Alerts with their counts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    counts: BTreeMap<(Alert, PeerAddr), u64>,
}

impl Alerts {
    pub(super) fn note(&mut self, alert: Alert, peer: PeerAddr) {
        if self.counts.len() < MAX_WAITING || self.counts.contains_key(&(alert, peer)) {
            *self.counts.entry((alert, peer)).or_insert(0) += 1;
        }
    }
}

impl Chat {
    /// Removes and returns an alert: its kind, the peer, and the number of times that it happened
    /// since the last turn.
    pub fn poll_alert(&mut self) -> Option<(Alert, PeerAddr, u64)> {
        self.peers.alerts.counts.pop_first().map(|((alert, peer), count)| (alert, peer, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn field_l_alerts_are_counted_and_bounded() {
        let mut alerts = Alerts::default();
        for number in 0..2 * MAX_WAITING as u32 {
            for _ in 0..3 {
                alerts.note(Alert::Rate, Ipv4Addr::from_bits(number).into());
            }
        }
        assert_eq!(alerts.counts.len(), MAX_WAITING);
        assert!(alerts.counts.values().all(|count| *count == 3));
    }
}
