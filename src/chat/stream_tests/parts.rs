//! Messages in parts, as far as limits and lives go.

use super::*;

impl Stage {
    /// Says a part under the next id, which is used up if it was taken.
    fn say_part(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_part(guest.next_id, text.as_bytes(), &mut body);
        let fate = self.fate(guest, &body);
        guest.next_id += u32::from(fate == MessageOutcome::Kept);
        fate
    }
}

#[test]
fn s16_parts_of_members_that_go_on_elsewhere_are_kept_and_of_those_that_go_are_not() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    stage.hush();
    let before = stage.chat.census();
    stage.say_part(&mut guest, "on the way ");
    stage.deliver();
    assert_eq!(stage.chat.census().backlog - before.backlog, 4096, "counted");
    let token = String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 9);
    let resumed = stage.request(elsewhere, 4, "r", &token).expect("resumed");
    let Reply::Resumed { stream: Some(completion), .. } = resumed else { panic!("{resumed:?}") };
    assert_eq!(completion.expected, 2);
    guest.address.set_ip(elsewhere.into());
    assert_eq!(stage.say(&mut guest, "home"), MessageOutcome::Relayed);
    stage.deliver();
    assert_eq!(stage.ear(&host).said(), ["on the way home"]);
    assert_eq!(stage.chat.census().backlog, before.backlog);
    for leaving in [&mut guest, &mut host] {
        stage.say_part(leaving, "never said");
    }
    stage.chat.expire_member(guest.id, stage.now + seconds(300));
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, 4096, "the host's");
    stage.chat.close_all(stage.now);
    stage.deliver();
    stage.advance(seconds(400));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn s16_a_part_sequence_without_an_end_costs_no_memory_and_is_answered_within_bounds() {
    let mut stage = Stage::new(ChatConfig::default());
    let mut host = stage.host("r");
    stage.hush();
    let before = stage.chat.census().backlog;
    let fates: Vec<MessageOutcome> =
        (0..20_000).map(|_| stage.say_part(&mut host, &"x".repeat(1000))).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == MessageOutcome::Kept).count(), 5_000);
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, before, "it is lost: too long");
    stage.advance(seconds(20));
    assert_eq!(stage.say(&mut host, "the end"), MessageOutcome::Refused);
    assert_eq!(stage.say(&mut host, "and on"), MessageOutcome::Relayed);
}

#[test]
fn s16_empty_parts_do_not_keep_a_message_for_ever() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    for _ in 0..9 {
        assert_eq!(stage.say_part(&mut host, ""), MessageOutcome::Kept);
        stage.advance(seconds(2));
    }
    assert_eq!(stage.say(&mut host, "too late"), MessageOutcome::Refused);
}

#[test]
fn s16_a_room_keeps_parts_of_64_messages_and_who_has_begun_goes_on() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guests: Vec<Guest> = (0..64).map(|n| stage.guest("r", &n.to_string())).collect();
    let mut elsewhere = stage.host("another");
    stage.hush();
    for guest in &mut guests {
        assert_eq!(stage.say_part(guest, "a"), MessageOutcome::Kept);
    }
    assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::RoomBusy);
    stage.deliver();
    assert_eq!(stage.ear(&host).asides.last().map(|aside| aside.0), Some(8), "sent again later");
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
fn s16_members_that_renew_their_parts_keep_nobody_from_long_messages() {
    for (backlog_memory, slow) in [(None, 64), (Some(0), 1)] {
        let mut stage = Stage::new(ChatConfig { backlog_memory, ..open() });
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
            "they may become complete"
        );
        for guest in &mut guests {
            assert_eq!(stage.say_part(guest, "b"), MessageOutcome::Kept);
        }
        stage.advance(seconds(1));
        let before = stage.chat.census().backlog;
        assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
        stage.deliver();
        assert!(stage.chat.census().backlog <= before, "in the place of the oldest");
        assert_eq!(stage.say_part(&mut guests[0], "c"), MessageOutcome::Kept, "in vain");
        assert_eq!(stage.say(&mut guests[0], "d"), MessageOutcome::Refused);
        for guest in &mut guests[1..] {
            assert_eq!(stage.say(guest, "d"), MessageOutcome::Relayed, "the others stay");
        }
        assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Relayed);
        stage.deliver();
        assert_eq!(stage.ear(&host).said().last(), Some(&"ab"));
    }
}

#[test]
fn s16_nobody_is_within_one_message_for_longer_than_a_minute() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    for _ in 0..7 {
        assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
        stage.advance(seconds(9));
    }
    assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Refused);
    assert_eq!(stage.say(&mut host, "c"), MessageOutcome::Relayed);
}

#[test]
fn s16_parts_that_are_unread_after_a_pause_are_not_too_late() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let start = stage.now;
    stage.chat.note_read(start);
    assert_eq!(stage.say_part(&mut host, "be"), MessageOutcome::Kept);
    stage.advance(seconds(20));
    assert_eq!(stage.say_part(&mut host, "fo"), MessageOutcome::Kept, "read late");
    assert_eq!(stage.say(&mut host, "re"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut host, "never "), MessageOutcome::Kept);
    stage.advance(seconds(10));
    stage.chat.note_read(stage.now);
    stage.advance(seconds(1));
    assert_eq!(stage.say(&mut host, "whole"), MessageOutcome::Refused, "nothing was unread");
    stage.deliver();
    assert_eq!(stage.ear(&host).said().last(), Some(&"before"));
}

#[test]
fn s16_where_memory_is_scarce_one_message_of_a_room_is_kept() {
    let mut stage = Stage::new(ChatConfig { backlog_memory: Some(0), ..open() });
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    assert_eq!(stage.say_part(&mut host, "a"), MessageOutcome::Kept);
    assert_eq!(stage.say_part(&mut guest, "a"), MessageOutcome::RoomBusy);
    assert_eq!(stage.say(&mut host, "b"), MessageOutcome::Relayed);
    assert_eq!(stage.say_part(&mut guest, "a"), MessageOutcome::Kept);
}

#[test]
fn s16_the_last_part_waits_for_its_rate_and_the_others_are_kept() {
    let mut stage =
        Stage::new(ChatConfig { rate_limit: None, fanout_limit: Some(1_000), ..open() });
    let mut host = stage.host("r");
    stage.hush();
    let first = "x".repeat(4000);
    // A full bucket pays for anything, and owes eight seconds then.
    assert_eq!(stage.say(&mut host, &first), MessageOutcome::Relayed);
    for part in ["one ", "two "] {
        assert_eq!(stage.say_part(&mut host, &part.repeat(250)), MessageOutcome::Kept);
    }
    let mut tries = 0;
    while stage.say(&mut host, &"three ".repeat(300)) == MessageOutcome::RateLimited {
        stage.advance(seconds(1));
        tries += 1;
        assert!(tries < 40, "it is never taken");
    }
    assert!(tries > 1, "{tries} tries");
    stage.deliver();
    let whole = ["one ".repeat(250), "two ".repeat(250), "three ".repeat(300)].concat();
    assert_eq!(stage.ear(&host).said(), [first, whole]);
}

#[test]
fn s16_a_long_message_costs_headers_and_the_name_in_each_part() {
    let mut stage =
        Stage::new(ChatConfig { rate_limit: None, fanout_limit: Some(1_000), ..open() });
    let name = "n".repeat(200);
    let mut host = stage.enter(1, "r", &name, STREAM);
    assert_eq!(stage.say(&mut host, &"x".repeat(3800)), MessageOutcome::Relayed);
    // Four parts, each with a name and headers: 4,712 bytes at 1,000 a second. The bucket held
    // 5,000, and a word costs 229.
    assert_eq!(stage.say(&mut host, "w"), MessageOutcome::Relayed);
    assert_eq!(stage.say(&mut host, "w"), MessageOutcome::RateLimited);
}

#[test]
fn s12_s16_a_ring_loses_whole_messages_and_tells_so() {
    let mut stage = Stage::new(ChatConfig { room_history: 20_000, ..open() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    let quick = stage.guest("r", "quick");
    stage.hush();
    stage.blocked.insert(slow.id);
    for n in 0..40 {
        let text = format!("{n} {}", "x".repeat(n * 97));
        assert_eq!(stage.say(&mut host, &text), MessageOutcome::Relayed);
        stage.deliver();
    }
    let whole: Vec<String> = stage.ear(&quick).said().into_iter().map(String::from).collect();
    assert!(whole.len() == 40 && stage.ear(&quick).joined > 20);
    stage.answering.push(slow.clone());
    stage.unblock();
    stage.advance(seconds(1));
    let ear = stage.ear(&slow);
    assert!(ear.gone > 0 && !ear.entries.is_empty() && ear.skipped == 0);
    assert!(whole.ends_with(&ear.said().into_iter().map(String::from).collect::<Vec<_>>()));
    // A repair request that ends within a message learns of all its gone parts.
    let gone = stage.ear(&slow).gone;
    let first = slow.stream.as_ref().expect("a stream").next;
    for count in 1..9 {
        stage.repair(&slow, &[(first, count)]);
        stage.deliver();
        assert_eq!(stage.ear(&slow).gone, gone);
    }
}

#[test]
fn s16_in_the_least_of_rings_the_longest_message_reaches_everyone() {
    let mut stage =
        Stage::new(ChatConfig { room_history: 4096, history_memory: Some(0), ..open() });
    for size in [1, 60, 255] {
        let name = "n".repeat(size);
        let mut host = stage.enter(1, &name, &name, STREAM);
        let guest = stage.guest(&name, "guest");
        stage.hush();
        for n in 0..5 {
            let text = format!("{n}{}", "x".repeat(4069 - size));
            assert_eq!(stage.say_part(&mut host, &text[..1000]), MessageOutcome::Kept);
            assert_eq!(stage.say(&mut host, &text[1000..]), MessageOutcome::Relayed);
            stage.deliver();
            assert_eq!(stage.ear(&guest).said().last(), Some(&&*text));
        }
        assert_eq!((stage.ear(&guest).gone, stage.ear(&host).gone), (0, 0));
    }
}
