//! Tests unresponsive members (A5): they receive less until a datagram from them arrives.

use super::*;

/// Bytes per second for a silent member without stream delivery.
const SILENT_RATE: usize = 16 * 1024;

const PERIOD: Duration = Duration::from_secs(20);

impl Stage {
    /// Lets the host send one line per second for `time` seconds and confirm. Members in `alive`
    /// send keep-alives.
    fn talk(&mut self, host: &mut Guest, alive: &[&Guest], time: u32) {
        for second in 0..time {
            if second % 20 == 0 {
                let next = self.received(host).next;
                self.have(host, next);
                for guest in alive {
                    self.send(guest, b"");
                }
            }
            assert_eq!(self.say(host, "a line"), MessageOutcome::Relayed);
            self.deliver();
            self.advance(seconds(1));
        }
    }

    /// Sends lines of 1,000 bytes, headers included, at one moment. Returns the number of dropped
    /// datagrams.
    fn flood(&mut self, host: &Guest, lines: usize) -> usize {
        let mut host = host.clone();
        let mut dropped = 0;
        for _ in 0..lines {
            assert_eq!(
                self.say(&mut host, &"x".repeat(972 - "host: ".len())),
                MessageOutcome::Relayed
            );
            while self.chat.has_output() {
                dropped += self.turn(2048).withheld;
            }
        }
        dropped
    }
}

#[test]
fn a5_three_missed_haves_stop_entries() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let absent = stage.guest("r", "absent");
    stage.talk(&mut host, &[&absent], 59);
    let before = stage.received(&absent).next;
    assert_eq!(before, stage.received(&host).next, "two missed confirmations change nothing");
    stage.talk(&mut host, &[&absent], 30);
    let cursor = stage.received(&absent).next;
    assert!(cursor > before && cursor < stage.received(&host).next);
    stage.discard_received();
    stage.talk(&mut host, &[&absent], 100);
    let sizes = &stage.received(&absent).sizes;
    assert!((6..15).contains(&sizes.len()) && sizes.iter().all(|size| *size == 12), "{sizes:?}");

    stage.repair(&absent, &[(1, 100)]);
    stage.deliver();
    assert_eq!(stage.received(&absent).repeated, 0, "a repair request does not confirm");
    stage.have(&absent, cursor);
    stage.advance(seconds(1));
    stage.assert_whole(&absent, stage.received(&host).next);
    stage.talk(&mut host, &[&absent], 3);
    stage.assert_whole(&absent, stage.received(&host).next);
}

#[test]
fn a5_returning_member_learns_of_loss() {
    let mut stage = Stage::new(ChatConfig { room_history: 65_536, ..unlimited() });
    let mut host = stage.host("r");
    let absent = stage.guest("r", "absent");
    stage.talk(&mut host, &[&absent], 90);
    for n in 0..200 {
        assert_eq!(
            stage.say(&mut host, &format!("{n:01000}")),
            MessageOutcome::Relayed,
            "an absent member delays nobody"
        );
        stage.deliver();
    }
    let cursor = stage.received(&absent).next;
    stage.answering.push(absent.clone());
    stage.have(&absent, cursor);
    stage.advance(seconds(1));
    let received = stage.received(&absent);
    assert!(received.gone > 100, "{}", received.gone);
    assert_eq!((received.next, received.skipped), (stage.received(&host).next, 0));
}

#[test]
fn a5_quiet_room_needs_no_haves() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let quiet = stage.guest("r", "quiet");
    stage.deliver();
    stage.have(&quiet, stage.received(&quiet).next);
    for _ in 0..20 {
        stage.have(&host, stage.received(&host).next);
        stage.send(&quiet, b"");
        stage.advance(PERIOD);
    }
    stage.talk(&mut host, &[&quiet], 55);
    stage.assert_whole(&quiet, stage.received(&host).next);
}

#[test]
fn a5_every_third_have_is_enough() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    for _ in 0..6 {
        let behind = stage.received(&slow).next - 1;
        stage.have(&slow, behind);
        stage.talk(&mut host, &[&slow], 59);
        stage.assert_whole(&slow, stage.received(&host).next);
    }
}

#[test]
fn a5_new_address_helps_only_briefly() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let mut absent = stage.guest("r", "absent");
    stage.talk(&mut host, &[&absent], 90);
    stage.discard_received();
    stage.resume(&absent, HOME).expect("resumption");
    absent.address = absent.address.with_port(7);
    stage.send(&absent, b"");
    stage.talk(&mut host, &[&absent], 1);
    stage.assert_whole(&absent, stage.received(&host).next);
    stage.talk(&mut host, &[&absent], 20);
    stage.discard_received();
    stage.talk(&mut host, &[&absent], 60);
    assert!(
        stage.received(&absent).sizes.iter().all(|size| *size == 12),
        "one further miss stops entries"
    );
}

#[test]
fn a5_silent_plain_rate_is_16_kib() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..unlimited() });
    let host = stage.enter(1, "r", "host", "");
    let more = ["", r#","delivery":"named""#];
    let silent = [0, 1].map(|n| stage.enter(2, "r", ["text", "named"][n], more[n]));
    let reader = stage.enter(2, "r", "reader", "");
    stage.advance(seconds(59));
    stage.discard_received();
    assert_eq!(stage.flood(&host, 50), 0, "the members are not silent yet");
    stage.send(&reader, b"");
    stage.advance(seconds(1));
    stage.discard_received();
    let mut dropped = 0;
    for _ in 0..10 {
        dropped += stage.flood(&host, 50);
        stage.now += seconds(1);
    }
    assert_eq!(stage.received(&reader).lines.len(), 500, "an active member gets everything");
    for guest in &silent {
        let lines = stage.received(guest).lines.len();
        assert!((150..=10 * SILENT_RATE / 1000).contains(&lines), "{lines}");
        dropped -= 500 - lines;
    }
    assert_eq!(dropped, 0, "every dropped datagram is counted");
    assert_eq!(stage.flood(&host, 1), 0, "the budget recovers within a second");

    for guest in &silent {
        stage.send(guest, b"");
    }
    stage.discard_received();
    assert_eq!(stage.flood(&host, 50), 0, "a datagram lifts the limit");
    stage.advance(seconds(60));
    assert!(stage.flood(&host, 50) > 0, "the members are silent again");
}

#[test]
fn a5_silent_member_learns_of_close() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..unlimited() });
    let host = stage.enter(1, "r", "host", "");
    let silent = stage.enter(2, "r", "silent", "");
    stage.advance(seconds(60));
    assert!(stage.flood(&host, 50) > 0);
    for _ in 0..20 {
        stage.send(&host, b"short");
        stage.deliver();
    }
    stage.send(&host, b"/exit");
    stage.deliver();
    assert!(stage.received(&silent).lines.last().is_some_and(|line| line.contains("closed")));
}

#[test]
fn a5_unread_datagrams_are_not_silence() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..unlimited() });
    let host = stage.enter(1, "r", "host", "");
    stage.enter(2, "r", "reader", "");
    stage.chat.note_read(stage.now);
    stage.now += seconds(61);
    stage.chat.handle_timeout(stage.now, 99);
    assert_eq!(stage.flood(&host, 50), 0, "unread datagrams may exist");
    stage.chat.note_read(stage.now);
    stage.now += Duration::from_millis(20);
    stage.chat.handle_timeout(stage.now, 99);
    assert!(stage.flood(&host, 50) > 0);
}
