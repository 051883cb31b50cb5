//! Tests counters close to overflow that peers can advance.

use super::*;
use crate::protocol::stream::Code;

fn room_of<'a>(stage: &'a mut Stage, guest: &Guest) -> &'a mut room::Room {
    let room = stage.chat.directory.members.get(guest.id).expect("a member").room;
    stage.chat.directory.rooms.get_mut(room).expect("a room")
}

#[test]
fn a6_w12_last_number_fills_the_room() {
    for delivery in [STREAM, ""] {
        let mut stage = Stage::new(unlimited());
        let mut host = stage.host("r");
        room_of(&mut stage, &host).skip_numbers(u32::MAX - 2);
        let mut guests = ["a", "b"].map(|name| stage.enter(2, "r", name, delivery));
        let refused = stage.try_enter(2, "r", "c", delivery).err();
        assert_eq!(refused, Some(Status::RoomFull));
        stage.discard_received();
        stage.say(&mut host, "to all");
        for guest in &mut guests {
            stage.say(guest, "from the last");
        }
        stage.deliver();
        assert_eq!(stage.received(&host).texts(), ["to all", "from the last", "from the last"]);
        let has_received = |guest: &Guest| !stage.received(guest).sizes.is_empty();
        assert!(guests.iter().all(has_received), "members with the last numbers receive messages");
        stage.advance(seconds(5));
        stage.say(&mut guests[1], "/exit");
        let refused = stage.try_enter(2, "r", "c", delivery).err();
        assert_eq!(refused, Some(Status::RoomFull), "numbers are not reused");
        let other = stage.host("other");
        assert_eq!(other.stream.expect("a stream").member, 1);
    }
}

#[test]
fn a6_s5_highest_id_is_never_taken() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    stage.chat.directory.members.get_mut(host.id).expect("a member").expected = u32::MAX - 2;
    host.next_id = u32::MAX - 2;
    assert_eq!(stage.say_part(&mut host, "the last "), MessageOutcome::Kept);
    assert_eq!(stage.say(&mut host, "message"), MessageOutcome::Relayed);
    assert_eq!(host.next_id, u32::MAX);
    assert_eq!(stage.say(&mut host, "/exit"), MessageOutcome::OutOfOrder);
    assert_eq!(stage.say_part(&mut host, "a part"), MessageOutcome::OutOfOrder);
    stage.deliver();
    let received = stage.received(&host);
    assert_eq!(received.texts().last(), Some(&"the last message"));
    let state = received.asides.last().map(|(code, expected, ..)| (*code, *expected));
    assert_eq!(state, Some((Code::State as u8, u32::MAX)));
    assert!(stage.chat.directory.live(host.id).is_some());
}

#[test]
fn a6_s11_highest_numbers_are_harmless() {
    let mut stage = Stage::new(unlimited());
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
    let received = stage.received(&host);
    assert_eq!((received.texts().last(), received.skipped, received.gone), (Some(&"three"), 0, 0));
}
