//! Shares of a turn: small budgets and long backlogs.

use super::*;

#[test]
fn s7_small_budgets_serve_everyone_and_each_entry_once() {
    for budget in 1..=9 {
        let mut stage = Stage::new(open());
        let mut host = stage.host("r");
        let guests: Vec<Guest> = (0..20).map(|n| stage.guest("r", &format!("g{n}"))).collect();
        stage.deliver();
        let mut ends = vec![0];
        for n in 0..60 {
            // What is put off comes again.
            while stage.say(&mut host, &format!("{n}{}", "x".repeat(n * 20)))
                != MessageOutcome::Relayed
            {
                stage.turn(budget);
            }
            for _ in 0..n % 3 {
                stage.turn(budget);
            }
            let nexts = guests.iter().map(|guest| stage.ear(guest).next);
            ends.push(nexts.clone().max().unwrap_or(0) - nexts.min().unwrap_or(0));
        }
        let mut turns = 0;
        while stage.chat.has_output() {
            stage.turn(budget);
            turns += 1;
            assert!(turns < 20_000, "budget {budget}");
        }
        let end = stage.ear(&host).next;
        assert!(end >= 66, "{end}");
        guests.iter().for_each(|guest| stage.assert_whole(guest, end));
    }
}

#[test]
fn s7_the_back_rows_are_served_although_the_front_rows_have_more() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..9).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    let start = stage.ear(&host).next;
    for n in 0..200 {
        stage.say(&mut host, &n.to_string());
        stage.turn(2);
    }
    for guest in &guests {
        assert!(stage.ear(guest).next > start + 20, "{}", stage.ear(guest).next - start);
    }
}

#[test]
fn s7_members_at_many_places_come_and_go_during_a_backlog() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guests = Vec::new();
    for n in 0..30 {
        let guest = stage.guest("r", &format!("g{n}"));
        stage.say(&mut host, &format!("line {n}"));
        if n % 3 == 0 {
            stage.blocked.insert(guest.id);
        }
        stage.turn(1 + n % 7);
        if n % 5 == 4 {
            let mut gone: Guest = guests.remove(0);
            assert_eq!(stage.say(&mut gone, "/exit"), MessageOutcome::Command);
        }
        guests.push(guest);
    }
    stage.unblock();
    stage.deliver();
    stage.advance(seconds(2));
    let end = stage.ear(&host).next;
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_messages_push_out_nothing_that_who_keeps_up_is_still_to_get() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("a place");
    stage.deliver();
    for n in 0..60 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    // Its port is proved, and in the same turn more is said than the ring holds.
    stage.send(&late, b"");
    let fates: Vec<MessageOutcome> =
        (0..60).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(fates.contains(&MessageOutcome::RoomBusy));
    stage.deliver();
    let ear = stage.ear(&late);
    assert_eq!((ear.skipped, ear.next), (0, stage.ear(&host).next));
    assert!(ear.gone > 0, "who comes late is told");
    assert_eq!(stage.ear(&host).gone, 0);
}

#[test]
fn s7_who_is_behind_gets_a_train_at_a_time_and_then_rests() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("a place");
    stage.deliver();
    for n in 0..300 {
        stage.say(&mut host, &format!("{n:01000}"));
        stage.deliver();
    }
    stage.answering.push(late.clone());
    stage.send(&late, b"");
    stage.deliver();
    let (end, mut rests) = (stage.ear(&host).next, 0);
    while stage.ear(&late).next < end {
        assert!(!stage.chat.has_output(), "it waits, and does not spin");
        let before = stage.ear(&late).next;
        stage.advance(Duration::from_millis(1));
        let came = stage.ear(&late).next - before;
        assert!((1..=32).contains(&came), "{came} entries, each a datagram");
        rests += 1;
    }
    // Its first credit is 15 datagrams.
    assert_eq!(rests, (300_usize - 15).div_ceil(32));
    assert_eq!(stage.ear(&late).gone, 0);
}

#[test]
fn field_p1_seats_are_freed_under_load_too() {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..open() });
    let mut host = stage.host("r");
    for n in 0..100 {
        let guest = stage.guest("r", &format!("guest{n}"));
        stage.turn(1);
        stage.say(&mut host, "a turn is never enough");
        stage.send(&guest, &[&[0][..], &1u32.to_be_bytes(), b"/exit"].concat());
        stage.turn(1);
        stage.turn(1);
    }
    let room = stage.chat.rooms.iter().next().expect("a room").0;
    let cursors = stage.chat.feeds.memory_of(room).cursors;
    assert!(cursors < 60, "{cursors}");
}
