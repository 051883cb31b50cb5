//! Lives of members: idle deadlines, tokens, and memory after the end.

use super::*;

#[test]
fn l9_members_end_during_a_backlog() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests: Vec<Guest> =
        (0..4).map(|n| stage.join("r", &format!(r#"{{"username":"g{n}"}}"#))).collect();
    stage.deliver();
    stage.heard.clear();
    stage.say(host, "before");
    stage.chat.deliver(2, stage.now, block_all);
    stage.say(guests[1], "/exit");
    stage.say(host, "/kick g2");
    stage.say(host, "after");
    assert_eq!(stage.chat.census().members, 5, "nobody is freed who has still to hear something");
    stage.chat.resume_stalled(stage.now);
    assert_eq!(stage.take_heard(guests[1]), ["host: before"]);
    let removed = "you were removed from the room by its host";
    assert_eq!(stage.take_heard(guests[2]), ["host: before", "g1 left", removed]);
    let rest = ["host: before", "g1 left", "g2 was removed by the host", "host: after"];
    assert_eq!(stage.take_heard(guests[0]), rest);
    assert_eq!(stage.take_heard(guests[3]), rest);
    assert_eq!(stage.chat.census().members, 3);
}

#[test]
fn l8_a_reused_slot_is_clean() {
    let mut stage = Stage::with_defaults();
    stage.create("r", r#"{"username":"host"}"#);
    let gone = stage.join("r", r#"{"username":"gone"}"#);
    stage.say(gone, "/exit");
    stage.deliver();
    let new = stage.join("r", r#"{"username":"new"}"#);
    assert_eq!(new.id.0.slot, gone.id.0.slot, "the slot is used again");
    assert!(
        !stage.chat.handle_announcement(gone.id, Endpoint::from((HOME, 7))),
        "an old id reaches nobody"
    );
    assert_eq!(stage.say(gone, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    stage.advance(Duration::from_secs(299));
    assert!(stage.chat.directory.live(new.id).is_some(), "no deadline of the old one fires");
}

#[test]
fn w36_datagrams_postpone_timeouts() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    for _ in 0..3 {
        stage.advance(Duration::from_secs(299));
        stage.say(host, "");
        stage.say(guest, "");
    }
    stage.take_heard(guest);
    stage.advance(Duration::from_secs(200));
    stage.say(host, "");
    stage.advance(Duration::from_secs(99));
    assert!(stage.chat.directory.live(guest.id).is_some());
    stage.advance(Duration::from_secs(1));
    assert!(
        stage.chat.directory.live(guest.id).is_none(),
        "300 s after its last datagram, to the tick"
    );
    assert!(stage.chat.directory.live(host.id).is_some());
    let last = "you were removed from the room, nothing was heard from you for a while";
    assert_eq!(stage.take_heard(guest), [last]);
    assert_eq!(stage.take_heard(host).last().map(String::as_str), Some("guest timed out"));
}

#[test]
fn w36_no_timeout_removes_nobody() {
    let config = ChatConfig { idle_timeout: None, ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.advance(Duration::from_secs(60));
    assert_eq!(stage.chat.poll_timeout(), None, "it is not looked at until it is heard");
    stage.advance(Duration::from_secs(1_000_000));
    assert!(stage.chat.directory.live(host.id).is_some());
}

#[test]
fn nothing_is_left_of_gone_members() {
    let mut stage = Stage::with_defaults();
    for (room, payload) in [
        ("a", r#"{"username":"host"}"#),
        ("b", r#"{"username":"host","hidden":true,"password":"x"}"#),
    ] {
        let host = stage.create(room, payload);
        for n in 0..8 {
            let payload = format!(r#"{{"username":"g{n}","password":"x"}}"#);
            let guest = stage.join(room, &payload);
            match n {
                0 => drop(stage.say(guest, "/exit")),
                1 => drop(stage.say(host, "/kick g1")),
                2 => drop(stage.chat.handle_announcement(guest.id, Endpoint::from((HOME, 9)))),
                3 => drop(stage.say(guest, "hi")),
                _ => {}
            }
        }
    }
    assert_ne!(stage.chat.census(), Census::default());
    stage.advance(Duration::from_secs(301));
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn t2_no_randomness_no_change() {
    let mut stage = Stage::with_defaults();
    stage.create("r", r#"{"username":"host"}"#);
    let before = stage.chat.census();
    for (operation, room) in [(1, "new"), (2, "r")] {
        let (room, payload) = (room.as_bytes(), &b"guest"[..]);
        let request = request::parse(&Frame { operation, state: 0, room, payload }).expect("one");
        let peer = PeerAddr::from(HOME);
        let outcome = stage.chat.handle_request(peer.into(), &request, || None, 99, stage.now);
        assert_eq!(outcome, Err(Status::ServerFull));
    }
    assert_eq!(stage.chat.census(), before);
}

/// Its slot is still there, and so is its address, until it is reaped.
#[test]
fn t2_tokens_die_before_the_reap() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let [left, kicked, other] = ["left", "kicked", "other"]
        .map(|name| stage.join("r", &format!(r#"{{"username":"{name}"}}"#)));
    stage.say(left, "/exit");
    stage.say(host, "/kick kicked");
    for dead in [left, kicked] {
        assert_eq!(stage.say(dead, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    }
    stage.say(host, "/exit");
    for dead in [host, other] {
        assert_eq!(stage.say(dead, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    }
    assert_eq!(stage.chat.census().members, 4, "nobody is reaped yet");
}

/// Else one peer could fill one room after the other, and each would keep what the limits allow once.
#[test]
fn t4_an_emptied_room_frees_memory() {
    for (room, delivery) in [("a", "text"), ("b", "stream")] {
        let mut stage = Stage::new(ChatConfig { max_unproved: None, ..Default::default() });
        let payload = |name| format!(r#"{{"username":"{name}","delivery":"{delivery}"}}"#);
        stage.create(room, &payload(0));
        let guests: Vec<_> = (1..200).map(|n| stage.join(room, &payload(n))).collect();
        let exit = if room == "a" { "/exit" } else { "\0\0\0\0\x01/exit" };
        let id = stage.chat.directory.names[room];
        let held = |stage: &Stage| {
            let names = stage.chat.directory.rooms.get(id).expect("a room").name_capacity();
            names + stage.chat.feeds.memory_of(id).cursors
        };
        assert!(held(&stage) >= 400, "{}", held(&stage));
        for guest in guests {
            stage.say(guest, exit);
        }
        stage.deliver();
        assert!(held(&stage) < 100, "{}", held(&stage));
    }
}
