//! Tests how turns with small budgets share out long backlogs.

use super::*;

#[test]
fn s7_small_budgets_serve_everyone() {
    for budget in 1..=9 {
        let mut stage = Stage::new(unlimited());
        let mut host = stage.host("r");
        let guests: Vec<Guest> = (0..20).map(|n| stage.guest("r", &format!("g{n}"))).collect();
        stage.deliver();
        let mut ends = vec![0];
        for n in 0..60 {
            // A busy room defers the message, so retry it.
            while stage.say(&mut host, &format!("{n}{}", "x".repeat(n * 20)))
                != MessageOutcome::Relayed
            {
                stage.turn(budget);
            }
            for _ in 0..n % 3 {
                stage.turn(budget);
            }
            let nexts = guests.iter().map(|guest| stage.received(guest).next);
            ends.push(nexts.clone().max().unwrap_or(0) - nexts.min().unwrap_or(0));
        }
        let mut turns = 0;
        while stage.chat.has_output() {
            stage.turn(budget);
            turns += 1;
            assert!(turns < 20_000, "budget {budget}");
        }
        let end = stage.received(&host).next;
        assert!(end >= 66, "{end}");
        guests.iter().for_each(|guest| stage.assert_whole(guest, end));
    }
}

#[test]
fn s7_small_turns_reach_all_members() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..9).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    let start = stage.received(&host).next;
    for n in 0..200 {
        stage.say(&mut host, &n.to_string());
        stage.turn(2);
    }
    for guest in &guests {
        assert!(stage.received(guest).next > start + 20, "{}", stage.received(guest).next - start);
    }
}

#[test]
fn s7_members_change_during_backlog() {
    let mut stage = Stage::new(unlimited());
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
    let end = stage.received(&host).next;
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_prompt_member_loses_nothing() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..unlimited() });
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("admission");
    stage.deliver();
    for n in 0..60 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    // The port is proved. In the same turn, more is sent than the ring holds.
    stage.send(&late, b"");
    let outcomes: Vec<MessageOutcome> =
        (0..60).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(outcomes.contains(&MessageOutcome::RoomBusy));
    stage.deliver();
    let received = stage.received(&late);
    assert_eq!((received.skipped, received.next), (0, stage.received(&host).next));
    assert!(received.gone > 0, "the late member learns of the loss");
    assert_eq!(stage.received(&host).gone, 0);
}

#[test]
fn s7_catch_up_pauses_between_bursts() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("admission");
    stage.deliver();
    for n in 0..300 {
        stage.say(&mut host, &format!("{n:01000}"));
        stage.deliver();
    }
    stage.answering.push(late.clone());
    stage.send(&late, b"");
    stage.deliver();
    let (end, mut pauses) = (stage.received(&host).next, 0);
    while stage.received(&late).next < end {
        assert!(!stage.chat.has_output(), "a paused member causes no spin");
        let before = stage.received(&late).next;
        stage.advance(Duration::from_millis(1));
        let count = stage.received(&late).next - before;
        assert!((1..=32).contains(&count), "{count} entries, one per datagram");
        pauses += 1;
    }
    // The first credit covers 15 datagrams.
    assert_eq!(pauses, (300_usize - 15).div_ceil(32));
    assert_eq!(stage.received(&late).gone, 0);
}

#[test]
fn field_p1_load_frees_old_cursors() {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..unlimited() });
    let mut host = stage.host("r");
    for n in 0..100 {
        let guest = stage.guest("r", &format!("guest{n}"));
        stage.turn(1);
        stage.say(&mut host, "a turn is never enough");
        stage.send(&guest, &[&[0][..], &1u32.to_be_bytes(), b"/exit"].concat());
        stage.turn(1);
        stage.turn(1);
    }
    let room = stage.chat.directory.rooms.iter().next().expect("a room").0;
    let cursors = stage.chat.feeds.memory_of(room).cursors;
    assert!(cursors < 60, "{cursors}");
}
