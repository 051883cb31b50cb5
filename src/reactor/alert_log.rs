//! Warnings about peers in the log: at most one line per minute for each kind and subnet.
//!
//! The first alert is logged at once. Further ones within a minute are counted, and logged as one
//! line at its end, with the address of the last.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// Interval between two lines of the same kind about a subnet.
const INTERVAL: Duration = Duration::from_secs(60);

/// Limit for entries, one for each subnet and kind of alert: about 600 KiB. Further subnets share one line
/// for each kind.
const MAX_SOURCES: usize = 4096;

/// Limit for the lines of one turn: the log must not take most of a turn.
const LINES_A_TURN: usize = 64;

/// The kind and subnet of a line; `None` stands for all subnets without an entry of their own.
type Source = (Alert, Option<Subnet>);

/// Alerts of the last minute.
pub(super) struct AlertLog {
    entries: HashMap<Source, Entry>,
    due: Timers<Source>,
}

/// Alerts since the last line.
struct Entry {
    last: PeerAddr,
    count: u64,
    due: Instant,
}

impl AlertLog {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), due: Timers::new() }
    }

    /// Notes that an alert about `peer` has come `count` times.
    pub(super) fn note(&mut self, alert: Alert, peer: PeerAddr, count: u64, now: Instant) {
        self.note_with(alert, peer, count, now, |line| log::warn!("{line}"));
    }

    /// Writes the lines that are due.
    pub(super) fn expire(&mut self, now: Instant) {
        self.expire_with(now, |line| log::warn!("{line}"));
    }

    /// Returns the time of the next [`AlertLog::expire`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.next()
    }

    fn note_with(
        &mut self,
        alert: Alert,
        peer: PeerAddr,
        count: u64,
        now: Instant,
        write: impl FnOnce(String),
    ) {
        let mut source = (alert, Some(Subnet::of(peer)));
        if self.entries.len() >= MAX_SOURCES && !self.entries.contains_key(&source) {
            source.1 = None;
        }
        if let Some(entry) = self.entries.get_mut(&source) {
            entry.last = peer;
            entry.count += count;
            return;
        }
        write(alert.line(peer, count));
        self.put(source, Entry { last: peer, count: 0, due: now + INTERVAL });
    }

    fn expire_with(&mut self, now: Instant, mut write: impl FnMut(String)) {
        let mut lines = 0;
        while lines < LINES_A_TURN
            && let Some((_, source)) = self.due.pop_due(now)
        {
            // An entry without alerts since its last line is dropped.
            let Some(entry) = self.entries.remove(&source).filter(|entry| entry.count > 0) else {
                continue;
            };
            write(source.0.line(entry.last, entry.count));
            lines += 1;
            self.put(source, Entry { count: 0, due: now + INTERVAL, ..entry });
        }
    }

    fn put(&mut self, source: Source, entry: Entry) {
        self.due.change(source, None, Some(entry.due));
        self.entries.insert(source, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    struct Stage {
        log: AlertLog,
        now: Instant,
        lines: Vec<String>,
    }

    impl Stage {
        fn new() -> Self {
            Self { log: AlertLog::new(), now: Instant::now(), lines: Vec::new() }
        }

        fn note(&mut self, peer: impl Into<PeerAddr>) {
            let Self { log, now, lines } = self;
            log.note_with(Alert::Rooms, peer.into(), 1, *now, |line| lines.push(line));
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            while self.log.next_deadline().is_some_and(|due| due <= self.now) {
                let Self { log, now, lines } = self;
                log.expire_with(*now, |line| lines.push(line));
            }
        }

        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.lines)
        }
    }

    fn line(peer: &str, count: u64) -> String {
        Alert::Rooms.line(peer.parse::<IpAddr>().expect("an address").into(), count)
    }

    #[test]
    fn field_l_one_line_a_minute_and_subnet() {
        let mut stage = Stage::new();
        let neighbour = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        stage.note(neighbour(1));
        assert_eq!(stage.take(), [line("2001:db8::1", 1)], "the first at once");
        (2..=5).for_each(|last| stage.note(neighbour(last)));
        stage.pass(59);
        stage.note(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(stage.take(), [line("192.0.2.1", 1)], "another subnet has its own");
        stage.pass(1);
        assert_eq!(stage.take(), [line("2001:db8::5", 4)], "the rest, with the last address");
        stage.note(neighbour(6));
        stage.pass(59);
        assert_eq!(stage.take(), [""; 0]);
        stage.pass(1);
        assert_eq!(stage.take(), [line("2001:db8::6", 1)]);
        stage.pass(120);
        assert_eq!((stage.take(), stage.log.entries.len(), stage.log.due.len()), (vec![], 0, 0));
    }

    #[test]
    fn field_l_many_sources_share_a_line() {
        let mut stage = Stage::new();
        for number in 0..3 * MAX_SOURCES as u32 {
            stage.note(Ipv4Addr::from_bits(number));
        }
        assert_eq!(stage.take().len(), MAX_SOURCES + 1);
        assert_eq!(stage.log.entries.len(), MAX_SOURCES + 1);
        stage.pass(60);
        let last = Ipv4Addr::from_bits(3 * MAX_SOURCES as u32 - 1).to_string();
        assert_eq!(stage.take(), [line(&last, 2 * MAX_SOURCES as u64 - 1)]);
        stage.pass(60);
        assert_eq!((stage.log.entries.len(), stage.log.due.len()), (0, 0));
    }
}
