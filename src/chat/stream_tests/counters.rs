//! Counters that peers drive, close to overflow.

use super::*;
use crate::protocol::stream::Code;

fn part(id: u32, text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    upstream::encode_part(id, text.as_bytes(), &mut body);
    body
}

fn room_of<'a>(stage: &'a mut Stage, guest: &Guest) -> &'a mut Room {
    let room = stage.chat.members.get(guest.id).expect("a member").room;
    stage.chat.rooms.get_mut(room).expect("a room")
}

#[test]
fn a6_w12_the_join_after_the_last_number_finds_the_room_full() {
    for delivery in [STREAM, ""] {
        let mut stage = Stage::new(open());
        let mut host = stage.host("r");
        room_of(&mut stage, &host).skip_numbers(u32::MAX - 2);
        let mut guests = ["a", "b"].map(|name| stage.enter(2, "r", name, delivery));
        let refused = stage.try_enter(2, "r", "c", delivery).err();
        assert_eq!(refused, Some(Status::RoomFull));
        stage.hush();
        stage.say(&mut host, "to all");
        for guest in &mut guests {
            stage.say(guest, "from the last");
        }
        stage.deliver();
        assert_eq!(stage.ear(&host).said(), ["to all", "from the last", "from the last"]);
        let is_told = |guest: &Guest| !stage.ear(guest).sizes.is_empty();
        assert!(guests.iter().all(is_told), "those with the last numbers are sent to");
        stage.advance(seconds(5));
        stage.say(&mut guests[1], "/exit");
        let refused = stage.try_enter(2, "r", "c", delivery).err();
        assert_eq!(refused, Some(Status::RoomFull), "no number is used twice");
        let other = stage.host("other");
        assert_eq!(other.stream.expect("a stream").member, 1);
    }
}

#[test]
fn a6_s5_the_highest_message_id_is_never_taken() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    stage.chat.members.get_mut(host.id).expect("a member").expected = u32::MAX - 2;
    host.next_id = u32::MAX - 2;
    assert_eq!(stage.fate(&host, &part(u32::MAX - 2, "the last ")), MessageOutcome::Kept);
    host.next_id = u32::MAX - 1;
    assert_eq!(stage.say(&mut host, "message"), MessageOutcome::Relayed);
    assert_eq!(host.next_id, u32::MAX);
    assert_eq!(stage.say(&mut host, "/exit"), MessageOutcome::OutOfOrder);
    assert_eq!(stage.fate(&host, &part(u32::MAX, "a part")), MessageOutcome::OutOfOrder);
    stage.deliver();
    let ear = stage.ear(&host);
    assert_eq!(ear.said().last(), Some(&"the last message"));
    let state = ear.asides.last().map(|(code, expected, ..)| (*code, *expected));
    assert_eq!(state, Some((Code::State as u8, u32::MAX)));
    assert!(stage.chat.live(host.id).is_some());
}

#[test]
fn a6_s11_the_highest_numbers_confirm_and_repair_nothing() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    for text in ["one", "two"] {
        stage.say(&mut host, text);
    }
    stage.deliver();
    for next in [u64::MAX, u64::MAX - 1, 1 << 32] {
        assert_eq!(stage.have(&host, next), MessageOutcome::Confirmed);
        for count in [1, u16::MAX] {
            assert_eq!(stage.repair(&host, &[(next, count), (0, count)]), MessageOutcome::Repaired);
        }
        stage.deliver();
    }
    stage.say(&mut host, "three");
    stage.deliver();
    let ear = stage.ear(&host);
    assert_eq!((ear.said().last(), ear.skipped, ear.gone), (Some(&"three"), 0, 0));
}
