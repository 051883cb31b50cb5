//! Tests the credit of members that catch up (A3): the bytes they may receive before they confirm.

use super::*;
use crate::protocol::stream::downstream::{HEADER_SIZE, MESSAGE_OVERHEAD};
use crate::subnet::Subnet;

const FIRST: usize = 16 * 1024;
const FULL: usize = 64 * 1024;
const HISTORY: &str = r#","delivery":"stream","history":1024"#;

/// Returns a room with `lines` messages of 1,000 bytes, and its host.
fn room_with_history(lines: usize, config: ChatConfig) -> (Stage, Guest) {
    let mut stage = Stage::new(config);
    let mut host = stage.enter(1, "r", "host", HISTORY);
    for n in 0..lines {
        assert_eq!(stage.say(&mut host, &format!("{n:01000}")), MessageOutcome::Relayed);
        stage.deliver();
    }
    let end = stage.received(&host).next;
    stage.have(&host, end);
    stage.discard_received();
    (stage, host)
}

impl Stage {
    /// Joins a member that wants history and has not proved its port.
    fn join_unproved(&mut self, name: &str) -> Guest {
        self.try_enter(2, "r", name, HISTORY).expect("admission")
    }

    /// Returns the number of bytes sent to a member since the last call.
    fn take_bytes(&mut self, guest: &Guest) -> usize {
        self.received.get_mut(&guest.id).expect("a member").sizes.drain(..).sum()
    }
}

#[test]
fn a3_first_credit_is_16_kib() {
    let (mut stage, _host) = room_with_history(500, unlimited());
    let late = stage.join_unproved("late");
    stage.send(&late, b"");
    stage.advance(seconds(100));
    let bytes = stage.take_bytes(&late);
    assert!((FIRST - 2400..=FIRST + 12 * 12).contains(&bytes), "{bytes}, probes included");
    for _ in 0..3 {
        stage.have(&late, stage.received(&late).next);
        stage.deliver();
        stage.advance(seconds(1));
        let bytes = stage.take_bytes(&late);
        assert!((FULL - 2400..=FULL + 10 * 30).contains(&bytes), "{bytes}, replies included");
    }
}

#[test]
fn a3_s7_confirmation_speeds_history() {
    let (mut stage, host) = room_with_history(800, unlimited());
    let late = stage.join_unproved("late");
    stage.answering.push(late.clone());
    let start = stage.now;
    stage.send(&late, b"");
    stage.deliver();
    let end = stage.received(&host).next;
    while stage.received(&late).next < end {
        stage.advance(Duration::from_millis(1));
        assert!(stage.now < start + Duration::from_millis(60), "{}", stage.received(&late).next);
    }
    assert_eq!((stage.received(&late).skipped, stage.received(&late).repeated), (0, 0));
}

#[test]
fn a3_false_have_adds_no_credit() {
    let (mut stage, _host) = room_with_history(500, unlimited());
    let late = stage.join_unproved("late");
    let first = late.stream.as_ref().expect("a stream").next;
    for excess in [1, 100, 200] {
        stage.have(&late, first + excess);
        stage.advance(seconds(1));
        stage.repair(&late, &[(first, 500)]);
        stage.advance(seconds(1));
    }
    // The second and third false `have` also confirm real entries, and repairs add up to 64 KiB.
    let bytes = stage.take_bytes(&late);
    assert!(bytes <= FIRST + 4 * FULL, "{bytes}");
    let far = stage.join_unproved("far");
    stage.have(&far, u64::MAX);
    stage.advance(seconds(1));
    let bytes = stage.take_bytes(&far);
    assert!(bytes < 100, "a member that has everything needs no entries: {bytes}");
}

#[test]
fn a3_s9_lost_probe_is_repeated() {
    let (mut stage, _host) = room_with_history(500, unlimited());
    let late = stage.join_unproved("late");
    stage.send(&late, b"");
    stage.advance(Duration::from_millis(200));
    stage.take_bytes(&late);
    let next = stage.received(&late).next;
    stage.advance(Duration::from_millis(100));
    assert_eq!(stage.received(&late).sizes, [12], "one probe");
    assert_eq!(stage.received(&late).next, next);
    stage.advance(seconds(300));
    assert!(stage.received(&late).sizes.len() < 30, "probes back off");
}

#[test]
fn a3_repeated_joins_cause_no_flood() {
    let (mut stage, _host) =
        room_with_history(500, ChatConfig { max_room_members: None, ..unlimited() });
    let mut bytes = 0;
    for n in 0..2_000 {
        let late = stage.join_unproved(&format!("late{n}"));
        stage.send(&late, b"");
        stage.deliver();
        stage.say(&mut late.clone(), "/exit");
        stage.advance(Duration::from_millis(5));
        bytes += stage.take_bytes(&late);
    }
    assert!((8 << 20..15 << 20).contains(&bytes), "{bytes} in 10 s");
    let alert =
        std::iter::from_fn(|| stage.chat.poll_alert()).any(|(kind, ..)| kind == Alert::HistoryIp);
    assert!(alert);
}

#[test]
fn a3_school_of_1000_joins_at_once() {
    let config = ChatConfig { max_room_members: None, ..unlimited() };
    let mut stage = Stage::new(config);
    for room in 0..10 {
        let mut host = stage.enter(1, &format!("r{room}"), "host", HISTORY);
        for _ in 0..20 {
            stage.say(&mut host, &"x".repeat(200));
        }
    }
    stage.discard_received();
    for n in 0..1_000 {
        let pupil = stage.enter(
            2,
            &format!("r{}", n % 10),
            &format!("p{n}"),
            r#","delivery":"stream","history":20"#,
        );
        stage.deliver();
        let received = stage.received(&pupil);
        let entries = received.entries.len();
        assert!(entries >= 20, "{n} has {entries}");
    }
}

#[test]
fn a3_limited_history_is_complete() {
    let config = ChatConfig { fanout_limit: Some(20_000), rate_limit: None, ..unlimited() };
    let mut stage = Stage::new(config);
    let mut host = stage.enter(1, "r", "host", HISTORY);
    stage.answering.push(host.clone());
    for n in 0..100 {
        stage.say(&mut host, &format!("{n:01000}"));
        stage.advance(seconds(1));
    }
    let end = stage.received(&host).next;
    let late = stage.join_unproved("late");
    stage.answering.push(late.clone());
    stage.send(&late, b"");
    stage.deliver();
    stage.advance(seconds(1));
    assert!(stage.received(&late).next < end, "100 KB exceed 20,000 bytes a second");
    let mut sender = late.clone();
    assert_eq!(stage.say(&mut sender, "I can speak"), MessageOutcome::Relayed);
    stage.advance(seconds(10));
    assert_eq!((stage.received(&late).next, stage.received(&late).gone), (end + 2, 0));
}

#[test]
fn a3_s11_unsent_is_not_repaired() {
    let (mut stage, _host) = room_with_history(100, unlimited());
    let late = stage.join_unproved("late");
    stage.send(&late, b"");
    stage.advance(seconds(1));
    stage.take_bytes(&late);
    let next = stage.received(&late).next;
    stage.repair(&late, &[(next, 100)]);
    stage.deliver();
    assert_eq!(stage.take_bytes(&late), 0);
}

#[test]
fn a3_leaving_frees_credit_state() {
    let (mut stage, mut host) = room_with_history(100, unlimited());
    let late: Vec<Guest> = (0..9).map(|n| stage.join_unproved(&format!("late{n}"))).collect();
    for mut late in late {
        stage.send(&late, b"");
        stage.advance(seconds(9));
        stage.say(&mut late, "/exit");
    }
    stage.advance(seconds(200));
    stage.say(&mut host, "/exit");
    stage.advance(seconds(100));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn a3_last_credit_causes_no_spin() {
    // After fourteen lines about 1,150 bytes of credit remain, as many as the next line needs.
    for size in 1075..1095 {
        let mut stage = Stage::new(unlimited());
        let mut host = stage.enter(1, "r", "host", HISTORY);
        for size in [[size; 14].as_slice(), &[1150; 9]].concat() {
            let text = "x".repeat(size - HEADER_SIZE - MESSAGE_OVERHEAD - "host".len());
            assert_eq!(stage.say(&mut host, &text), MessageOutcome::Relayed);
            stage.deliver();
        }
        let payload = r#","delivery":"stream","history":23"#;
        let late = stage.try_enter(2, "r", "late", payload).expect("admission");
        stage.send(&late, b"");
        for _ in 0..9 {
            let mut turns = (0..).take_while(|_| stage.chat.has_output() && stage.turn(1).sent < 2);
            assert!(turns.nth(99).is_none(), "{size}: the turn does not end");
            stage.now += Duration::from_millis(1);
            stage.chat.handle_timeout(stage.now, 9);
        }
        let bytes = stage.take_bytes(&late);
        assert!(bytes <= FIRST, "{bytes}");
    }
}

#[test]
fn a3_limited_ip_gets_live_messages() {
    let (mut stage, mut host) = room_with_history(100, unlimited());
    let subnet = Subnet::of(PeerAddr::of(host.address));
    stage.chat.peers.history_debts.take(subnet, seconds(100), stage.now);
    let late = stage.join_unproved("late");
    assert_eq!(late.address.ip(), host.address.ip());
    stage.send(&late, b"");
    stage.say(&mut host, "hello");
    stage.advance(seconds(1));
    let last = stage.received(&late).entries.last().expect("entries");
    assert!(last.1.contains("hello"), "{last:?}");
}
