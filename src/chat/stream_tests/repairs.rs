//! Tests the limits on repairs and on other unicast datagrams.

use super::*;

#[test]
fn s11_repairs_get_quarter_of_turn() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..4).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..60 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for guest in &guests {
        stage.repair(guest, &[(7, 50)]);
    }
    stage.say(&mut host, "now");
    let receipt = stage.turn(20);
    assert!(guests.iter().all(|guest| stage.received(guest).texts().last() == Some(&"now")));
    let repeated: u64 = guests.iter().map(|guest| stage.received(guest).repeated).sum();
    assert_eq!((repeated, receipt.sent), (5, 10));
    let mut turns = 0;
    while stage.chat.has_output() {
        let before: u64 = guests.iter().map(|guest| stage.received(guest).repeated).sum();
        stage.turn(20);
        let after: u64 = guests.iter().map(|guest| stage.received(guest).repeated).sum();
        assert!(after - before <= 5);
        turns += 1;
    }
    assert!(turns < 30, "{turns}");
    for guest in &guests {
        assert_eq!(stage.received(guest).repeated, 16, "16 datagrams per repair");
    }
}

#[test]
fn s11_one_repair_per_member_waits() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for _ in 0..50 {
        stage.repair(&guest, &[(5, 3)]);
    }
    stage.deliver();
    assert_eq!(stage.received(&guest).repeated, 3);
    stage.repair(&guest, &[(5, 3)]);
    stage.deliver();
    assert_eq!(stage.received(&guest).repeated, 6, "the previous repair has been sent");
}

#[test]
fn t10_s11_repairs_share_backlog_cap() {
    const SUM: usize = 16 * 1024;
    let mut stage = Stage::new(ChatConfig { backlog_memory: Some(SUM), ..unlimited() });
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..20).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for guest in &guests {
        stage.repair(guest, &[(5, 16)]);
    }
    let backlog = stage.chat.census().backlog;
    // The last accepted repair may exceed the limit by 16 datagrams.
    assert!((SUM..SUM + 20 * 1024).contains(&backlog), "{backlog}");
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, 0);
}

#[test]
fn s11_s13_unicast_queue_is_bounded() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..200).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    stage.blocked.extend(guests.iter().map(|guest| guest.id));
    let waiting = |stage: &Stage| {
        let room = stage.chat.directory.rooms.iter().next().expect("a room").0;
        stage.chat.feeds.memory_of(room).unicast_bytes
    };
    for _ in 0..100 {
        for guest in &guests {
            stage.have(guest, 3);
            stage.repair(guest, &[(5, 20)]);
        }
        stage.deliver();
        assert!(waiting(&stage) < 512 * 1024, "{}", waiting(&stage));
    }
    stage.unblock();
    stage.deliver();
    assert_eq!(waiting(&stage), 0);
    // Datagrams with tokens of departed members are limited as well.
    stage.say(&mut host, "/exit");
    stage.blocked.extend(guests.iter().map(|guest| guest.id));
    for _ in 0..100 {
        for guest in &guests {
            assert_eq!(stage.outcome(guest, b""), MessageOutcome::Ended);
        }
        stage.deliver();
    }
    let sizes: usize = guests.iter().map(|guest| stage.received(guest).asides.len()).sum();
    stage.unblock();
    stage.deliver();
    let after: usize = guests.iter().map(|guest| stage.received(guest).asides.len()).sum();
    assert!(after - sizes <= 200 + 64 * 1024 / 24 + 1, "{}", after - sizes);
}
