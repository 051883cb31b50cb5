//! Tests members whose sockets are full.

use super::*;

#[test]
fn s7_full_socket_delays_nobody_else() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let [slow, quick] = ["slow", "quick"].map(|name| stage.guest("r", name));
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..100 {
        assert_eq!(stage.say(&mut host, &n.to_string()), MessageOutcome::Relayed);
        stage.deliver();
        assert!(!stage.chat.has_output(), "a full socket is not polled");
    }
    assert_eq!(stage.received(&quick).texts().len(), 101);
    assert_eq!(stage.received(&slow).texts().len(), 2);
    for _ in 0..3 {
        stage.chat.resume_stalled(stage.now);
        stage.deliver();
        assert_eq!(stage.received(&slow).texts().len(), 2, "the socket is still full");
    }
    stage.unblock();
    stage.deliver();
    for guest in [&slow, &quick] {
        stage.assert_whole(guest, 104);
    }
    assert!(stage.received(&slow).sizes.len() < 10, "packed");
    stage.unblock();
    assert!(!stage.chat.has_output());
}

#[test]
fn s7_gone_entries_are_counted() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..unlimited() });
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
    let received = stage.received(&slow);
    assert_eq!((received.next, received.skipped), (504, 0));
    assert_eq!(received.gone as usize + received.entries.len(), 502);
    assert!(received.gone > 400 && received.entries.len() > 30, "{} are gone", received.gone);
    stage.assert_whole(&quick, 504);
}

#[test]
fn s7_full_socket_is_not_polled() {
    let mut stage = Stage::new(unlimited());
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
    let end = stage.received(&host).next;
    stage.unblock();
    stage.deliver();
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_confirmed_entries_are_skipped() {
    let mut stage = Stage::new(unlimited());
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
    let numbers: Vec<u64> =
        stage.received(&slow).entries.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 8, 9, 10, 11, 12]);
}

#[test]
fn s7_slow_member_delays_nobody_else() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..unlimited() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..40 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    stage.unblock();
    let outcomes: Vec<MessageOutcome> =
        (0..20).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == MessageOutcome::Relayed), "{outcomes:?}");
    stage.deliver();
    let received = stage.received(&slow);
    assert_eq!((received.skipped, received.next), (0, stage.received(&host).next));
    assert_eq!(stage.received(&host).gone, 0);
}
