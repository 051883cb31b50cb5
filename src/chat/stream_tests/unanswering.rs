//! Members that may be gone (A5): they are sent less until they are heard.

use super::*;

/// Bytes a second for a silent member without a stream.
const SILENT_RATE: usize = 16 * 1024;

const PERIOD: Duration = Duration::from_secs(20);

impl Stage {
    /// The host says a line a second for so long, and confirms. Members in `alive` keep alive.
    fn talk(&mut self, host: &mut Guest, alive: &[&Guest], time: u32) {
        for second in 0..time {
            if second % 20 == 0 {
                let next = self.ear(host).next;
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

    /// Lines of 972 bytes, so that each is 1,000 with its headers, at one time. Returns how many
    /// were dropped.
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
fn a5_one_that_misses_three_haves_gets_only_questions() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let deaf = stage.guest("r", "deaf");
    stage.talk(&mut host, &[&deaf], 59);
    let before = stage.ear(&deaf).next;
    assert_eq!(before, stage.ear(&host).next, "it has missed two");
    stage.talk(&mut host, &[&deaf], 30);
    let cursor = stage.ear(&deaf).next;
    assert!(cursor > before && cursor < stage.ear(&host).next);
    stage.hush();
    stage.talk(&mut host, &[&deaf], 100);
    let sizes = &stage.ear(&deaf).sizes;
    assert!((6..15).contains(&sizes.len()) && sizes.iter().all(|size| *size == 12), "{sizes:?}");

    stage.repair(&deaf, &[(1, 100)]);
    stage.deliver();
    assert_eq!(stage.ear(&deaf).repeated, 0, "a repair is no `have`");
    stage.have(&deaf, cursor);
    stage.advance(seconds(1));
    stage.assert_whole(&deaf, stage.ear(&host).next);
    stage.talk(&mut host, &[&deaf], 3);
    stage.assert_whole(&deaf, stage.ear(&host).next);
}

#[test]
fn a5_one_that_answers_again_is_told_what_is_gone() {
    let mut stage = Stage::new(ChatConfig { room_history: 65_536, ..open() });
    let mut host = stage.host("r");
    let deaf = stage.guest("r", "deaf");
    stage.talk(&mut host, &[&deaf], 90);
    for n in 0..200 {
        assert_eq!(
            stage.say(&mut host, &format!("{n:01000}")),
            MessageOutcome::Relayed,
            "it holds up nobody"
        );
        stage.deliver();
    }
    let cursor = stage.ear(&deaf).next;
    stage.answering.push(deaf.clone());
    stage.have(&deaf, cursor);
    stage.advance(seconds(1));
    let ear = stage.ear(&deaf);
    assert!(ear.gone > 100, "{}", ear.gone);
    assert_eq!((ear.next, ear.skipped), (stage.ear(&host).next, 0));
}

#[test]
fn a5_one_that_had_nothing_to_confirm_gets_everything_at_once() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let quiet = stage.guest("r", "quiet");
    stage.deliver();
    stage.have(&quiet, stage.ear(&quiet).next);
    for _ in 0..20 {
        stage.have(&host, stage.ear(&host).next);
        stage.send(&quiet, b"");
        stage.advance(PERIOD);
    }
    stage.talk(&mut host, &[&quiet], 55);
    stage.assert_whole(&quiet, stage.ear(&host).next);
}

#[test]
fn a5_every_third_have_is_enough() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    for _ in 0..6 {
        let behind = stage.ear(&slow).next - 1;
        stage.have(&slow, behind);
        stage.talk(&mut host, &[&slow], 59);
        stage.assert_whole(&slow, stage.ear(&host).next);
    }
}

#[test]
fn a5_a_new_address_gains_one_that_does_not_answer_little() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut deaf = stage.guest("r", "deaf");
    stage.talk(&mut host, &[&deaf], 90);
    stage.hush();
    let token = String::from_utf8(deaf.token.to_wire().to_vec()).expect("hex");
    stage.request(HOME, 4, "r", &token).expect("its place");
    deaf.address.set_port(7);
    stage.send(&deaf, b"");
    stage.talk(&mut host, &[&deaf], 1);
    stage.assert_whole(&deaf, stage.ear(&host).next);
    stage.talk(&mut host, &[&deaf], 20);
    stage.hush();
    stage.talk(&mut host, &[&deaf], 60);
    assert!(stage.ear(&deaf).sizes.iter().all(|size| *size == 12), "one miss more is enough");
}

#[test]
fn a5_silent_text_and_named_members_get_16_kib_a_second() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..open() });
    let host = stage.enter(1, "r", "host", "");
    let more = ["", r#","delivery":"named""#];
    let silent = [0, 1].map(|n| stage.enter(2, "r", ["text", "named"][n], more[n]));
    let reader = stage.enter(2, "r", "reader", "");
    stage.advance(seconds(59));
    stage.hush();
    assert_eq!(stage.flood(&host, 50), 0, "not yet");
    stage.send(&reader, b"");
    stage.advance(seconds(1));
    stage.hush();
    let mut dropped = 0;
    for _ in 0..10 {
        dropped += stage.flood(&host, 50);
        stage.now += seconds(1);
    }
    assert_eq!(stage.ear(&reader).lines.len(), 500, "who was heard gets all");
    for guest in &silent {
        let lines = stage.ear(guest).lines.len();
        assert!((150..=10 * SILENT_RATE / 1000).contains(&lines), "{lines}");
        dropped -= 500 - lines;
    }
    assert_eq!(dropped, 0, "each is counted");
    assert_eq!(stage.flood(&host, 1), 0, "a second has passed");

    for guest in &silent {
        stage.send(guest, b"");
    }
    stage.hush();
    assert_eq!(stage.flood(&host, 50), 0, "back to normal");
    stage.advance(seconds(60));
    assert!(stage.flood(&host, 50) > 0, "and silent again");
}

#[test]
fn a5_a_silent_member_is_told_that_its_room_is_closed() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..open() });
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
    assert!(stage.ear(&silent).lines.last().is_some_and(|line| line.contains("closed")));
}

#[test]
fn a5_unread_datagrams_count_before_anybody_is_silent() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..open() });
    let host = stage.enter(1, "r", "host", "");
    stage.enter(2, "r", "reader", "");
    stage.chat.note_read(stage.now);
    stage.now += seconds(61);
    stage.chat.handle_timeout(stage.now, 99);
    assert_eq!(stage.flood(&host, 50), 0, "what it sent may be unread");
    stage.chat.note_read(stage.now);
    stage.now += Duration::from_millis(20);
    stage.chat.handle_timeout(stage.now, 99);
    assert!(stage.flood(&host, 50) > 0);
}
