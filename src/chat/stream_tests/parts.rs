//! Tests limits and lifetimes of messages sent in parts.

use super::*;

#[test]
fn s16_resume_keeps_parts() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    stage.discard_received();
    let before = stage.chat.census();
    stage.say_part(&mut guest, "on the way ");
    stage.deliver();
    assert_eq!(stage.chat.census().backlog - before.backlog, 4096, "parts count as backlog");
    let resumed = stage.resume(&guest, ELSEWHERE).expect("migration");
    let Reply::Resumed { stream: Some(completion), .. } = resumed else { panic!("{resumed:?}") };
    assert_eq!(completion.expected, 2);
    guest.address = (ELSEWHERE, guest.address.port()).into();
    assert_eq!(stage.say(&mut guest, "home"), MessageOutcome::Relayed);
    stage.deliver();
    assert_eq!(stage.received(&host).texts(), ["on the way home"]);
    assert_eq!(stage.chat.census().backlog, before.backlog);
    for leaving in [&mut guest, &mut host] {
        stage.say_part(leaving, "never said");
    }
    stage.chat.expire_member(guest.id, stage.now + seconds(300));
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, 4096, "the parts of the host remain");
    stage.chat.close_all(stage.now);
    stage.deliver();
    stage.advance(seconds(400));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn s16_endless_message_is_bounded() {
    let mut stage = Stage::new(ChatConfig::default());
    let mut host = stage.host("r");
    stage.discard_received();
    let before = stage.chat.census().backlog;
    let outcomes: Vec<MessageOutcome> =
        (0..20_000).map(|_| stage.say_part(&mut host, &"x".repeat(1000))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == MessageOutcome::Kept).count(), 5_000);
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, before, "a message above the size limit is dropped");
    stage.advance(seconds(20));
    assert_eq!(stage.say(&mut host, "the end"), MessageOutcome::Refused);
    assert_eq!(stage.say(&mut host, "and on"), MessageOutcome::Relayed);
}

#[test]
fn s16_empty_parts_expire_too() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    for _ in 0..9 {
        assert_eq!(stage.say_part(&mut host, ""), MessageOutcome::Kept);
        stage.advance(seconds(2));
    }
    assert_eq!(stage.say(&mut host, "too late"), MessageOutcome::Refused);
}

#[test]
fn s16_room_keeps_64_messages() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let mut guests: Vec<Guest> = (0..64).map(|n| stage.guest("r", &n.to_string())).collect();
    let mut elsewhere = stage.host("another");
    stage.discard_received();
    for guest in &mut guests {
        assert_eq!(stage.say_part(guest, "a"), MessageOutcome::Kept);
    }
    assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::RoomBusy);
    stage.deliver();
    assert_eq!(
        stage.received(&host).asides.last().map(|aside| aside.0),
        Some(8),
        "the client must retry"
    );
    assert_eq!(stage.say(&mut host, "whole"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut elsewhere, "a"), MessageOutcome::Kept);
    for guest in &mut guests {
        assert_eq!(stage.say_part(guest, "b"), MessageOutcome::Kept);
    }
    assert_eq!(stage.say(&mut guests[0], "c"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
    stage.advance(seconds(10));
    assert_eq!(stage.say(&mut guests[1], "c"), MessageOutcome::Refused);
}

#[test]
fn s16_oldest_parts_are_evicted() {
    for (backlog_memory, slow) in [(None, 64), (Some(0), 1)] {
        let mut stage = Stage::new(ChatConfig { backlog_memory, ..unlimited() });
        let mut host = stage.host("r");
        let mut guests: Vec<Guest> = (0..slow).map(|n| stage.guest("r", &n.to_string())).collect();
        for guest in &mut guests {
            assert_eq!(stage.say_part(guest, "a"), MessageOutcome::Kept);
            stage.advance(Duration::from_millis(1));
        }
        stage.advance(seconds(3));
        assert_eq!(
            stage.say_part(&mut host, "a"),
            MessageOutcome::RoomBusy,
            "recent parts are kept"
        );
        for guest in &mut guests {
            assert_eq!(stage.say_part(guest, "b"), MessageOutcome::Kept);
        }
        stage.advance(seconds(1));
        let before = stage.chat.census().backlog;
        assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
        stage.deliver();
        assert!(stage.chat.census().backlog <= before, "the new parts replace the oldest");
        assert_eq!(
            stage.say_part(&mut guests[0], "c"),
            MessageOutcome::Kept,
            "an evicted sender is not told yet"
        );
        assert_eq!(stage.say(&mut guests[0], "d"), MessageOutcome::Refused);
        for guest in &mut guests[1..] {
            assert_eq!(
                stage.say(guest, "d"),
                MessageOutcome::Relayed,
                "only the oldest is evicted"
            );
        }
        assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Relayed);
        stage.deliver();
        assert_eq!(stage.received(&host).texts().last(), Some(&"ab"));
    }
}

#[test]
fn s16_message_takes_a_minute_at_most() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    for _ in 0..7 {
        assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
        stage.advance(seconds(9));
    }
    assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Refused);
    assert_eq!(stage.say(&mut host, "c"), MessageOutcome::Relayed);
}

#[test]
fn s16_unread_parts_do_not_expire() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let start = stage.now;
    stage.chat.note_read(start);
    assert_eq!(stage.say_part(&mut host, "be"), MessageOutcome::Kept);
    stage.advance(seconds(20));
    assert_eq!(
        stage.say_part(&mut host, "fo"),
        MessageOutcome::Kept,
        "the read pause extends the deadline"
    );
    assert_eq!(stage.say(&mut host, "re"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut host, "never "), MessageOutcome::Kept);
    stage.advance(seconds(10));
    stage.chat.note_read(stage.now);
    stage.advance(seconds(1));
    assert_eq!(
        stage.say(&mut host, "whole"),
        MessageOutcome::Refused,
        "the socket was drained before the deadline"
    );
    stage.deliver();
    assert_eq!(stage.received(&host).texts().last(), Some(&"before"));
}

#[test]
fn s16_scarce_memory_keeps_one() {
    let mut stage = Stage::new(ChatConfig { backlog_memory: Some(0), ..unlimited() });
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
    assert_eq!(stage.say_part(&mut guest, "a"), MessageOutcome::RoomBusy);
    assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut guest, "a"), MessageOutcome::Kept);
}

#[test]
fn s16_last_part_waits_for_budget() {
    let mut stage =
        Stage::new(ChatConfig { rate_limit: None, fanout_limit: Some(1_000), ..unlimited() });
    let mut host = stage.host("r");
    stage.discard_received();
    let first = "x".repeat(4000);
    // A full bucket admits a message of any size, and is in debt for eight seconds then.
    assert_eq!(stage.say(&mut host, &first), MessageOutcome::Relayed);
    for part in ["one ", "two "] {
        assert_eq!(stage.say_part(&mut host, &part.repeat(250)), MessageOutcome::Kept);
    }
    let mut tries = 0;
    while stage.say(&mut host, &"three ".repeat(300)) == MessageOutcome::RateLimited {
        stage.advance(seconds(1));
        tries += 1;
        assert!(tries < 40, "the message is never accepted");
    }
    assert!(tries > 1, "{tries} tries");
    stage.deliver();
    let whole = ["one ".repeat(250), "two ".repeat(250), "three ".repeat(300)].concat();
    assert_eq!(stage.received(&host).texts(), [first, whole]);
}

#[test]
fn s16_each_part_costs_its_headers() {
    let mut stage =
        Stage::new(ChatConfig { rate_limit: None, fanout_limit: Some(1_000), ..unlimited() });
    let name = "n".repeat(200);
    let mut host = stage.enter(1, "r", &name, STREAM);
    assert_eq!(stage.say(&mut host, &"x".repeat(3700)), MessageOutcome::Relayed);
    // The message costs 4,612 bytes: four parts, each with a name and headers. The bucket holds
    // 5,000 bytes, and a message of one byte costs 229.
    assert_eq!(stage.say(&mut host, "w"), MessageOutcome::Relayed);
    assert_eq!(stage.say(&mut host, "w"), MessageOutcome::RateLimited);
}

#[test]
fn s12_s16_ring_loses_whole_messages() {
    let mut stage = Stage::new(ChatConfig { room_history: 20_000, ..unlimited() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    let quick = stage.guest("r", "quick");
    stage.discard_received();
    stage.blocked.insert(slow.id);
    for n in 0..40 {
        let text = format!("{n} {}", "x".repeat(n * 97));
        assert_eq!(stage.say(&mut host, &text), MessageOutcome::Relayed);
        stage.deliver();
    }
    let whole: Vec<String> = stage.received(&quick).texts().into_iter().map(String::from).collect();
    assert!(whole.len() == 40 && stage.received(&quick).joined > 20);
    stage.answering.push(slow.clone());
    stage.unblock();
    stage.advance(seconds(1));
    let received = stage.received(&slow);
    assert!(received.gone > 0 && !received.entries.is_empty() && received.skipped == 0);
    assert!(whole.ends_with(&received.texts().into_iter().map(String::from).collect::<Vec<_>>()));
    // A repair request that ends within a lost message reports all of its parts as gone.
    let gone = stage.received(&slow).gone;
    let first = slow.stream.as_ref().expect("a stream").next;
    for count in 1..9 {
        stage.repair(&slow, &[(first, count)]);
        stage.deliver();
        assert_eq!(stage.received(&slow).gone, gone);
    }
}

#[test]
fn s16_smallest_ring_fits_longest() {
    let mut stage =
        Stage::new(ChatConfig { room_history: 4096, history_memory: Some(0), ..unlimited() });
    for size in [1, 60, 255] {
        let name = "n".repeat(size);
        let mut host = stage.enter(1, &name, &name, STREAM);
        let guest = stage.guest(&name, "guest");
        stage.discard_received();
        for n in 0..5 {
            let text = format!("{n}{}", "x".repeat(4069 - size));
            assert_eq!(stage.say_part(&mut host, &text[..1000]), MessageOutcome::Kept);
            assert_eq!(stage.say(&mut host, &text[1000..]), MessageOutcome::Relayed);
            stage.deliver();
            assert_eq!(stage.received(&guest).texts().last(), Some(&&*text));
        }
        assert_eq!((stage.received(&guest).gone, stage.received(&host).gone), (0, 0));
    }
}
