//! Members behind full sockets, which hold up nobody.

use super::*;

#[test]
fn s7_a_full_socket_holds_up_nobody_and_what_it_missed_follows_once() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let [slow, quick] = ["slow", "quick"].map(|name| stage.guest("r", name));
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..100 {
        assert_eq!(stage.say(&mut host, &n.to_string()), MessageOutcome::Relayed);
        stage.deliver();
        assert!(!stage.chat.has_output(), "a full socket is waited for, not asked");
    }
    assert_eq!(stage.ear(&quick).said().len(), 101);
    assert_eq!(stage.ear(&slow).said().len(), 2);
    for _ in 0..3 {
        stage.chat.resume_stalled(stage.now);
        stage.deliver();
        assert_eq!(stage.ear(&slow).said().len(), 2, "it is full still");
    }
    stage.unblock();
    stage.deliver();
    for guest in [&slow, &quick] {
        stage.assert_whole(guest, 104);
    }
    assert!(stage.ear(&slow).sizes.len() < 10, "packed");
    stage.unblock();
    assert!(!stage.chat.has_output());
}

#[test]
fn s7_what_the_ring_lost_while_a_socket_was_full_is_counted_exactly() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    let quick = stage.guest("r", "quick");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..500 {
        assert_eq!(stage.say(&mut host, &format!("{n:050}")), MessageOutcome::Relayed);
        stage.deliver();
    }
    stage.unblock();
    stage.deliver();
    let ear = stage.ear(&slow);
    assert_eq!((ear.next, ear.skipped), (504, 0));
    assert_eq!(ear.gone as usize + ear.entries.len(), 502);
    assert!(ear.gone > 400 && ear.entries.len() > 30, "{} are gone", ear.gone);
    stage.assert_whole(&quick, 504);
}

#[test]
fn s7_a_full_socket_is_not_asked_again_and_again_however_many_places_its_members_stand_at() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..30).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for guest in &guests {
        stage.blocked.insert(guest.id);
        stage.say(&mut host, "one more");
        stage.deliver();
    }
    for _ in 0..3 {
        stage.chat.resume_stalled(stage.now);
        stage.deliver();
        assert!(!stage.chat.has_output());
    }
    stage.say(&mut host, "the last");
    stage.deliver();
    let end = stage.ear(&host).next;
    stage.unblock();
    stage.deliver();
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_what_a_member_says_it_has_is_not_sent_to_it() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..10 {
        stage.say(&mut host, &n.to_string());
        stage.deliver();
    }
    stage.have(&slow, 8);
    stage.unblock();
    stage.deliver();
    let numbers: Vec<u64> = stage.ear(&slow).entries.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 8, 9, 10, 11, 12]);
}

#[test]
fn s7_who_is_far_behind_holds_up_nobody_and_is_told_what_is_gone() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..40 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    stage.unblock();
    let fates: Vec<MessageOutcome> =
        (0..20).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(fates.iter().all(|fate| *fate == MessageOutcome::Relayed), "{fates:?}");
    stage.deliver();
    let ear = stage.ear(&slow);
    assert_eq!((ear.skipped, ear.next), (0, stage.ear(&host).next));
    assert_eq!(stage.ear(&host).gone, 0);
}
