//! Ends of members, rooms and the server.

use super::*;

#[test]
fn s13_when_the_remains_have_expired_nothing_is_left() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: Some(seconds(30)), ..open() });
    for room in ["a", "b", "c"] {
        let mut host = stage.host(room);
        let mut guests: Vec<Guest> = (0..8).map(|n| stage.guest(room, &format!("g{n}"))).collect();
        stage.enter(2, room, "text", "");
        stage.try_enter(2, room, "unproved", STREAM).expect("a place");
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
    assert!(stage.chat.census().tombstones > 0, "a minute");
    stage.advance(seconds(3));
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
    assert!(!stage.chat.has_last_words());
}

#[test]
fn s13_the_end_of_the_server_is_told_four_times_and_then_done() {
    let mut stage = Stage::new(open());
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
    let told =
        |stage: &Stage| stage.ear(&guest).asides.iter().filter(|aside| aside.0 == 13).count();
    assert_eq!(told(&stage), 1);
    for (wait, count) in [(250, 2), (250, 3), (499, 3), (1, 4)] {
        assert!(stage.chat.has_last_words());
        stage.advance(Duration::from_millis(wait));
        assert_eq!(told(&stage), count);
    }
    assert!(!stage.chat.has_last_words());
    assert_eq!(stage.ear(&guest).said().last(), Some(&"the server is shutting down or restarting"));
}

#[test]
fn s13_the_host_that_leaves_is_answered_and_the_others_are_told() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.hush();
    stage.say(&mut host, "hello");
    stage.say(&mut host, "/exit");
    stage.advance(seconds(5));
    assert_eq!(stage.ear(&host).asides, [(2, 3, 2, String::new())], "once, with the id");
    let told = (5, 1, 0, String::from("the room was closed"));
    assert_eq!(stage.ear(&guest).asides, [told.clone(), told.clone(), told]);
}

#[test]
fn s13_closed_rooms_are_forgotten_in_whatever_order_they_end() {
    let mut stage = Stage::new(open());
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
fn s1_s13_no_number_is_given_twice_in_the_life_of_a_room() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..open() });
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
fn w38_s13_a11_a_farewell_goes_only_to_another_address() {
    for has_same_address in [false, true] {
        let mut stage = Stage::new(open());
        let mut host = stage.host("r");
        let old = stage.guest("r", "guest");
        stage.hush();
        stage.advance(seconds(30));
        stage.say(&mut host, "hello?");
        let mut new = stage.try_enter(2, "r", "guest", STREAM).expect("a place");
        stage.advance(seconds(5));
        assert_eq!(stage.ear(&old).asides, [], "the address of the new one is not known yet");
        if has_same_address {
            new.address = old.address;
        }
        stage.send(&new, b"");
        stage.advance(seconds(5));
        let told = (7, 1, 0, String::from(SILENT));
        let times = if has_same_address { 0 } else { 3 };
        assert_eq!(stage.ear(&old).asides, vec![told; times]);
        assert_eq!(stage.fate(&old, b""), MessageOutcome::Ended);
        stage.deliver();
        assert_eq!(stage.ear(&old).asides.last(), Some(&(7, 1, 0, String::new())));
        assert_eq!(stage.ear(&new).said(), ["guest joined"]);
        stage.advance(seconds(400));
        stage.deliver();
        assert_eq!(stage.chat.census(), Census::default());
    }
}

#[test]
fn s13_of_closed_rooms_there_are_no_more_than_there_may_be_open_ones() {
    let mut stage = Stage::new(ChatConfig { max_rooms: Some(5), ..open() });
    for n in 0..100 {
        let mut host = stage.host(&format!("r{n}"));
        stage.say(&mut host, "/exit");
        stage.deliver();
    }
    assert!(stage.chat.census().rooms <= 5 + 1, "{:?}", stage.chat.census());
    assert!(stage.chat.census().tombstones > 0);
}

#[test]
fn s13_a_dead_token_asks_in_vain_for_what_a_living_room_says() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.hush();
    stage.blocked.insert(slow.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick slow");
    stage.deliver();
    stage.repair(&slow, &[(1, 9)]);
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.ear(&slow).said(), ["one"], "what was said before its end");
    assert_eq!(stage.ear(&slow).repeated, 0);
    assert_eq!(stage.ear(&slow).asides.len(), 2);
}

#[test]
fn s13_remains_that_gave_way_are_waited_for_by_nobody() {
    let mut stage = Stage::new(ChatConfig { max_members: Some(2), ..open() });
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
