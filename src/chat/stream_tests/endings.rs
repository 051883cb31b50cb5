//! Tests the departure of members, the end of rooms and the shutdown.

use super::*;

#[test]
fn s13_tombstones_expire_completely() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: Some(seconds(30)), ..unlimited() });
    for room in ["a", "b", "c"] {
        let mut host = stage.host(room);
        let mut guests: Vec<Guest> = (0..8).map(|n| stage.guest(room, &format!("g{n}"))).collect();
        stage.enter(2, room, "text", "");
        stage.try_enter(2, room, "unproved", STREAM).expect("admission");
        stage.say(&mut host, "hello");
        stage.say(&mut host, "/kick g1");
        stage.say(&mut guests[2], "/exit");
        stage.blocked.insert(guests[3].id);
        stage.deliver();
        if room == "a" {
            stage.say(&mut host, "/exit");
        }
    }
    stage.advance(seconds(31));
    assert_eq!(stage.chat.census().tokens, 0);
    assert!(stage.chat.census().tombstones > 0);
    stage.advance(seconds(58));
    assert!(stage.chat.census().tombstones > 0, "tombstones last a minute");
    stage.advance(seconds(3));
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
    assert!(!stage.chat.has_last_words());
}

#[test]
fn s13_shutdown_is_sent_four_times() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    let blocked = stage.guest("r", "blocked");
    stage.deliver();
    stage.blocked.insert(blocked.id);
    stage.say(&mut host, "one");
    stage.chat.close_all(stage.now);
    stage.deliver();
    assert!(stage.chat.has_last_words());
    stage.unblock();
    let notices =
        |stage: &Stage| stage.received(&guest).asides.iter().filter(|aside| aside.0 == 13).count();
    assert_eq!(notices(&stage), 1);
    for (wait, count) in [(250, 2), (250, 3), (499, 3), (1, 4)] {
        assert!(stage.chat.has_last_words());
        stage.advance(Duration::from_millis(wait));
        assert_eq!(notices(&stage), count);
    }
    assert!(!stage.chat.has_last_words());
    assert_eq!(
        stage.received(&guest).texts().last(),
        Some(&"the server is shutting down or restarting")
    );
}

#[test]
fn s13_host_exit_notifies_everyone() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.discard_received();
    stage.say(&mut host, "hello");
    stage.say(&mut host, "/exit");
    stage.advance(seconds(5));
    assert_eq!(stage.received(&host).asides, [(2, 3, 2, String::new())], "one reply, with the id");
    let notice = (5, 1, 0, String::from("the room was closed"));
    assert_eq!(stage.received(&guest).asides, [notice.clone(), notice.clone(), notice]);
}

#[test]
fn s13_closed_rooms_expire() {
    let mut stage = Stage::new(unlimited());
    for round in 0..20 {
        let mut hosts: Vec<Guest> =
            (0..5).map(|n| stage.host(&format!("room{round}-{n}"))).collect();
        hosts.reverse();
        for host in &mut hosts {
            stage.say(host, "/exit");
        }
        stage.advance(seconds(61));
    }
    assert_eq!(stage.chat.census(), Census::default());
    assert_eq!(stage.chat.feeds.rings().1, 0);
}

#[test]
fn s1_s13_member_numbers_are_unique() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..unlimited() });
    stage.host("r");
    let mut numbers = HashSet::from([1]);
    for n in 0..50 {
        let mut guest = stage.guest("r", &format!("g{}", n % 3));
        assert!(numbers.insert(guest.stream.as_ref().map_or(0, |stream| stream.member)));
        stage.say(&mut guest, "/exit");
        stage.deliver();
        if n % 10 == 0 {
            stage.advance(seconds(61));
        }
    }
}

#[test]
fn w38_s13_a11_successor_gets_no_farewell() {
    for has_same_address in [false, true] {
        let mut stage = Stage::new(unlimited());
        let mut host = stage.host("r");
        let old = stage.guest("r", "guest");
        stage.discard_received();
        stage.advance(seconds(30));
        stage.say(&mut host, "hello?");
        let mut new = stage.try_enter(2, "r", "guest", STREAM).expect("admission");
        stage.advance(seconds(5));
        assert_eq!(stage.received(&old).asides, [], "the successor's address is not known yet");
        if has_same_address {
            new.address = old.address;
        }
        stage.send(&new, b"");
        stage.advance(seconds(5));
        let notice = (7, 1, 0, String::from(SILENT));
        let times = if has_same_address { 0 } else { 3 };
        assert_eq!(stage.received(&old).asides, vec![notice; times]);
        assert_eq!(stage.outcome(&old, b""), MessageOutcome::Ended);
        stage.deliver();
        assert_eq!(stage.received(&old).asides.last(), Some(&(7, 1, 0, String::new())));
        assert_eq!(stage.received(&new).texts(), ["guest joined"]);
        stage.advance(seconds(400));
        stage.deliver();
        assert_eq!(stage.chat.census(), Census::default());
    }
}

#[test]
fn s13_closed_rooms_are_limited() {
    let mut stage = Stage::new(ChatConfig { max_rooms: Some(5), ..unlimited() });
    for n in 0..100 {
        let mut host = stage.host(&format!("r{n}"));
        stage.say(&mut host, "/exit");
        stage.deliver();
    }
    assert!(stage.chat.census().rooms <= 5 + 1, "{:?}", stage.chat.census());
    assert!(stage.chat.census().tombstones > 0);
}

#[test]
fn s13_dead_token_gets_no_repairs() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.discard_received();
    stage.blocked.insert(slow.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick slow");
    stage.deliver();
    stage.repair(&slow, &[(1, 9)]);
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.received(&slow).texts(), ["one"], "only messages from before the removal");
    assert_eq!(stage.received(&slow).repeated, 0);
    assert_eq!(stage.received(&slow).asides.len(), 2);
}

#[test]
fn s13_evicted_tombstone_is_forgotten() {
    let mut stage = Stage::new(ChatConfig { max_members: Some(2), ..unlimited() });
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.say(&mut host, "/kick guest");
    stage.deliver();
    assert!(stage.chat.has_last_words());
    stage.guest("r", "other");
    stage.deliver();
    assert!(!stage.chat.has_last_words());
    assert!(matches!(stage.send(&guest, b""), DatagramOutcome::Dropped(DropReason::UnknownToken)));
}
