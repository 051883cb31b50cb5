//! Credit of members that catch up (A3).

use super::*;
use crate::protocol::stream::downstream::{HEADER_SIZE, MESSAGE_OVERHEAD};
use crate::subnet::Subnet;

const FIRST: usize = 16 * 1024;
const FULL: usize = 64 * 1024;
const HISTORY: &str = r#","delivery":"stream","history":1024"#;

/// Returns a room with `lines` messages of 1,000 bytes, and its host.
fn past(lines: usize, config: ChatConfig) -> (Stage, Guest) {
    let mut stage = Stage::new(config);
    let mut host = stage.enter(1, "r", "host", HISTORY);
    for n in 0..lines {
        assert_eq!(stage.say(&mut host, &format!("{n:01000}")), MessageOutcome::Relayed);
        stage.deliver();
    }
    let end = stage.ear(&host).next;
    stage.have(&host, end);
    stage.hush();
    (stage, host)
}

impl Stage {
    /// Lets a member join that may see history and has not proved its port.
    fn late(&mut self, name: &str) -> Guest {
        self.try_enter(2, "r", name, HISTORY).expect("a place")
    }

    /// Returns the bytes that a member was sent since the last call.
    fn take_bytes(&mut self, guest: &Guest) -> usize {
        self.ears.get_mut(&guest.id).expect("a member").sizes.drain(..).sum()
    }
}

#[test]
fn a3_a_newcomer_that_confirms_nothing_gets_16_kib() {
    let (mut stage, _host) = past(500, open());
    let late = stage.late("late");
    stage.send(&late, b"");
    stage.advance(seconds(100));
    let bytes = stage.take_bytes(&late);
    assert!((FIRST - 2400..=FIRST + 12 * 12).contains(&bytes), "{bytes}, with questions");
    for _ in 0..3 {
        stage.have(&late, stage.ear(&late).next);
        stage.deliver();
        stage.advance(seconds(1));
        let bytes = stage.take_bytes(&late);
        assert!((FULL - 2400..=FULL + 10 * 30).contains(&bytes), "{bytes}, with answers");
    }
}

#[test]
fn a3_s7_a_member_that_confirms_gets_all_history_fast() {
    let (mut stage, host) = past(800, open());
    let late = stage.late("late");
    stage.answering.push(late.clone());
    let start = stage.now;
    stage.send(&late, b"");
    stage.deliver();
    let end = stage.ear(&host).next;
    while stage.ear(&late).next < end {
        stage.advance(Duration::from_millis(1));
        assert!(stage.now < start + Duration::from_millis(60), "{}", stage.ear(&late).next);
    }
    assert_eq!((stage.ear(&late).skipped, stage.ear(&late).repeated), (0, 0));
}

#[test]
fn a3_a_false_confirmation_adds_no_credit() {
    let (mut stage, _host) = past(500, open());
    let late = stage.late("late");
    let first = late.stream.as_ref().expect("a stream").next;
    for lie in [1, 100, 200] {
        stage.have(&late, first + lie);
        stage.advance(seconds(1));
        stage.repair(&late, &[(first, 500)]);
        stage.advance(seconds(1));
    }
    // The second and third lie confirm real entries too, and repairs add up to 64 KiB.
    let bytes = stage.take_bytes(&late);
    assert!(bytes <= FIRST + 4 * FULL, "{bytes}");
    let far = stage.late("far");
    stage.have(&far, u64::MAX);
    stage.advance(seconds(1));
    let bytes = stage.take_bytes(&far);
    assert!(bytes < 100, "it says that it has all: {bytes}");
}

#[test]
fn a3_s9_a_lost_question_is_repeated() {
    let (mut stage, _host) = past(500, open());
    let late = stage.late("late");
    stage.send(&late, b"");
    stage.advance(Duration::from_millis(200));
    stage.take_bytes(&late);
    let next = stage.ear(&late).next;
    stage.advance(Duration::from_millis(100));
    assert_eq!(stage.ear(&late).sizes, [12], "a question");
    assert_eq!(stage.ear(&late).next, next);
    stage.advance(seconds(300));
    assert!(stage.ear(&late).sizes.len() < 30, "now and then");
}

#[test]
fn a3_repeated_joins_draw_no_flood_of_history() {
    let (mut stage, _host) = past(500, ChatConfig { max_room_members: None, ..open() });
    let mut bytes = 0;
    for n in 0..2_000 {
        let late = stage.late(&format!("late{n}"));
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
fn a3_a_school_of_1000_joins_without_delay() {
    let config = ChatConfig { max_room_members: None, ..open() };
    let mut stage = Stage::new(config);
    for room in 0..10 {
        let mut host = stage.enter(1, &format!("r{room}"), "host", HISTORY);
        for _ in 0..20 {
            stage.say(&mut host, &"x".repeat(200));
        }
    }
    stage.hush();
    for n in 0..1_000 {
        let pupil = stage.enter(
            2,
            &format!("r{}", n % 10),
            &format!("p{n}"),
            r#","delivery":"stream","history":20"#,
        );
        stage.deliver();
        let ear = stage.ear(&pupil);
        let asides = ear.entries.len();
        assert!(asides >= 20, "{n} has {asides}");
    }
}

#[test]
fn a3_history_beyond_a_limit_is_late_but_complete() {
    let config = ChatConfig { fanout_limit: Some(20_000), rate_limit: None, ..open() };
    let mut stage = Stage::new(config);
    let mut host = stage.enter(1, "r", "host", HISTORY);
    stage.answering.push(host.clone());
    for n in 0..100 {
        stage.say(&mut host, &format!("{n:01000}"));
        stage.advance(seconds(1));
    }
    let end = stage.ear(&host).next;
    let late = stage.late("late");
    stage.answering.push(late.clone());
    stage.send(&late, b"");
    stage.deliver();
    stage.advance(seconds(1));
    assert!(stage.ear(&late).next < end, "100 KB are more than 20,000 bytes a second allow");
    let mut said = late.clone();
    assert_eq!(stage.say(&mut said, "I can speak"), MessageOutcome::Relayed);
    stage.advance(seconds(10));
    assert_eq!((stage.ear(&late).next, stage.ear(&late).gone), (end + 2, 0));
}

#[test]
fn a3_s11_entries_not_sent_yet_are_not_repaired() {
    let (mut stage, _host) = past(100, open());
    let late = stage.late("late");
    stage.send(&late, b"");
    stage.advance(seconds(1));
    stage.take_bytes(&late);
    let next = stage.ear(&late).next;
    stage.repair(&late, &[(next, 100)]);
    stage.deliver();
    assert_eq!(stage.take_bytes(&late), 0);
}

#[test]
fn a3_a_member_that_left_without_credit_leaves_nothing() {
    let (mut stage, mut host) = past(100, open());
    let late: Vec<Guest> = (0..9).map(|n| stage.late(&format!("late{n}"))).collect();
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
fn a3_credit_for_a_datagram_but_no_question_is_no_endless_turn() {
    // Thirteen lines leave about 1,200 bytes of the credit, and the next line takes as many.
    for size in 1160..1175 {
        let mut stage = Stage::new(open());
        let mut host = stage.enter(1, "r", "host", HISTORY);
        for size in [[size; 13].as_slice(), &[1200; 9]].concat() {
            let text = "x".repeat(size - HEADER_SIZE - MESSAGE_OVERHEAD - "host".len());
            assert_eq!(stage.say(&mut host, &text), MessageOutcome::Relayed);
            stage.deliver();
        }
        let wish = r#","delivery":"stream","history":22"#;
        let late = stage.try_enter(2, "r", "late", wish).expect("a place");
        stage.send(&late, b"");
        for _ in 0..9 {
            let mut turns = (0..).take_while(|_| stage.chat.has_output() && stage.turn(1).sent < 2);
            assert!(turns.nth(99).is_none(), "{size}: there is no end to it");
            stage.now += Duration::from_millis(1);
            stage.chat.handle_timeout(stage.now, 9);
        }
        let bytes = stage.take_bytes(&late);
        assert!(bytes <= FIRST, "{bytes}");
    }
}

#[test]
fn a3_a_newcomer_from_an_ip_at_its_limit_hears_live_messages_at_once() {
    let (mut stage, mut host) = past(100, open());
    let subnet = Subnet::of(host.address.ip());
    stage.chat.history_debts.take(subnet, seconds(100), stage.now);
    let late = stage.late("late");
    assert_eq!(late.address.ip(), host.address.ip());
    stage.send(&late, b"");
    stage.say(&mut host, "hello");
    stage.advance(seconds(1));
    let last = stage.ear(&late).entries.last().expect("entries");
    assert!(last.1.contains("hello"), "{last:?}");
}
