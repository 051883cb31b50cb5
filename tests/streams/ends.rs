//! Stream delivery on the real binary: ends of a membership, resuming from another IP, rooms with
//! text, named and stream members (PROTOCOL.md, S13 to S15).

use std::time::{Duration, Instant};

use crate::support::streams::*;
use crate::support::*;

const CLOSED: &str = "the room was closed";
const KICKED_OUT: &str = "you were removed from the room by its host";
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";
const ROOM_NOT_FOUND: u8 = 2;
const KICKED_STATUS: u8 = 11;

/// Checks that a farewell comes at once, and again after these times in milliseconds from `since`
/// on.
fn expect_told_at(listener: &Listener, aside: &Item, since: Instant, milliseconds: &[u64]) {
    let &Item::Aside { code, .. } = aside else { panic!("{aside:?}") };
    assert_eq!(listener.expect_aside(code).0, *aside);
    for due in milliseconds {
        let (again, at) = listener.expect_aside(code);
        assert_eq!(again, *aside);
        let passed = (at - since).as_millis() as u64;
        assert!(passed + 20 >= *due && passed < due + 3000, "{passed} for {due}");
    }
}

/// Checks a dead token: each datagram gets this answer, which is no longer, and only from its
/// address.
fn expect_dead(listener: &Listener, aside: &Item) {
    let bodies: [&[u8]; 4] =
        [b"", b"\0\0\0\0\x01hello", b"\x01\0\0\0\0\0\0\0\x01", b"\x02\0\0\0\0\0\0\0\x01\0\x09"];
    for body in bodies {
        listener.wire.say_bytes(body);
        let packet = loop {
            let packet = listener.hear();
            if packet.numbers() == 0 && !packet.items.is_empty() {
                break packet;
            }
        };
        assert_eq!(packet.items, std::slice::from_ref(aside));
        assert!(packet.size <= datagram("room", &listener.ticket.token, body).len());
    }
    let spoofer = listener.wire.at(loopback(77));
    bodies.iter().for_each(|body| spoofer.say_bytes(body));
    let misplaced = listener.wire.elsewhere();
    misplaced.send_datagram(&datagram("moor", &listener.ticket.token, b""));
    listener.wire.say("");
    listener.hear();
    spoofer.expect_empty_socket();
    misplaced.expect_empty_socket();
}

#[test]
fn s13_leaving_guest_is_answered() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    bob.say(1, "bye");
    bob.expect(3, &[Item::message(2, 1, "bob", "bye")]);
    bob.say(2, " /EXIT ");
    assert_eq!(bob.expect_aside(LEFT).0, Item::aside(LEFT, 3, 2, ""));
    bob.expect_quiet_for(Duration::from_millis(400));
    expect_dead(&bob, &Item::aside(LEFT, 3, 2, ""));
    alice.expect(3, &[Item::message(2, 1, "bob", "bye")]);
    alice.expect(4, &[Item::notice(LEFT, 2, "bob", "bob left")]);
    alice.expect_nothing();
    let again = Listener::join(&server, "bob");
    assert_eq!((again.ticket.member, again.ticket.next), (3, 5), "the name is free at once");
}

#[test]
fn s13_leaving_host_closes_room() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let since = Instant::now();
    alice.say(1, "/exit");
    assert_eq!(alice.expect_aside(LEFT).0, Item::aside(LEFT, 2, 1, ""));
    let again = Listener::create(&server, "carol");
    assert_ne!(again.ticket.tag, alice.ticket.tag);
    expect_told_at(&bob, &Item::aside(ROOM_CLOSED, 1, 0, CLOSED), since, &[250, 1000]);
    bob.expect_quiet_for(Duration::from_millis(300));
    expect_dead(&bob, &Item::aside(ROOM_CLOSED, 1, 0, ""));
    assert_eq!(again.items_up_to_now(), [Item::joined(1, "carol")]);
}

#[test]
fn s13_closed_room_answers_repairs() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    alice.say(1, "the last word");
    alice.say(2, "/exit");
    for _ in 0..3 {
        bob.expect_aside(ROOM_CLOSED);
    }
    bob.expect_quiet_for(Duration::from_millis(100));
    bob.repair(&[(3, 9)]);
    let mut items = Vec::new();
    while items.len() < 3 {
        items.extend(bob.hear().items);
    }
    items.retain(|item| item.numbers() > 0);
    let last =
        [Item::message(1, 1, "alice", "the last word"), Item::notice(ROOM_CLOSED, 0, "", CLOSED)];
    assert_eq!(items, last);
}

#[test]
fn s13_departed_member_gets_nothing() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    bob.say(1, "/exit");
    bob.expect_aside(LEFT);
    alice.say(1, "is he gone?");
    alice.items_up_to_now();
    bob.repair(&[(1, 9)]);
    let packet = bob.hear();
    assert_eq!(packet.items, [Item::aside(LEFT, 2, 1, "")]);
    bob.expect_quiet_for(Duration::from_millis(200));
}

#[test]
fn s13_kick_is_told_three_times() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let since = Instant::now();
    alice.say(1, "/kick bob");
    expect_told_at(&bob, &Item::aside(REMOVED, 1, 0, KICKED_OUT), since, &[250, 1000]);
    expect_dead(&bob, &Item::aside(REMOVED, 1, 0, ""));
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", streamed("Bob", "").as_bytes()), KICKED_STATUS);
}

#[test]
fn s13_timeout_is_told_three_times() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let since = Instant::now();
    let (alice, bob) = listening_alice_and_bob(&server);
    let (end, at) = loop {
        alice.wire.say("");
        bob.wire.socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let mut buffer = [0; 5000];
        if let Ok(size) = bob.wire.socket.recv(&mut buffer) {
            let packet = Packet::read(&buffer[..size]);
            if let Some(Item::Aside { .. }) = packet.items.first() {
                break (packet.items[0].clone(), Instant::now());
            }
        }
        assert!(since.elapsed() < DEADLINE);
    };
    bob.wire.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    assert_eq!(end, Item::aside(TIMED_OUT, 1, 0, SILENT));
    assert!(at - since > Duration::from_millis(980));
    alice.expect(3, &[Item::notice(TIMED_OUT, 2, "bob", "bob timed out")]);
    assert_eq!(bob.expect_aside(TIMED_OUT).0, end);
    alice.wire.say("");
    assert_eq!(bob.expect_aside(TIMED_OUT).0, end);
    expect_dead(&bob, &Item::aside(TIMED_OUT, 1, 0, ""));
}

#[test]
fn s13_silent_host_closes_room() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let since = Instant::now() + Duration::from_secs(1);
    let (alice, _bob) = listening_alice_and_bob(&server);
    let carol = Listener::join(&server, "carol");
    expect_told_at(&alice, &Item::aside(TIMED_OUT, 1, 0, SILENT), since, &[250, 1000]);
    assert_eq!(carol.expect_aside(ROOM_CLOSED).0, Item::aside(ROOM_CLOSED, 1, 0, CLOSED));
    Listener::create(&server, "alice");
}

#[test]
fn s13_shutdown_is_told_four_times() {
    let mut server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let since = Instant::now();
    server.signal("TERM");
    let going = "the server is shutting down or restarting";
    expect_told_at(&bob, &Item::aside(SERVER_GOING, 1, 0, going), since, &[250, 500, 1000]);
    assert!(server.wait().success());
    assert!(alice.wire.hear().len() > 12);
}

#[test]
fn s13_tombstones_yield_to_members() {
    let server = Server::start(&["--max-members", "3"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let carol = Listener::join(&server, "carol");
    bob.say(1, "/exit");
    bob.expect_aside(LEFT);
    carol.say(1, "/exit");
    carol.expect_aside(LEFT);
    let _dave = Listener::join(&server, "dave");
    // The oldest tombstone is forgotten: its token is unknown.
    bob.wire.say("");
    carol.wire.say("");
    assert_eq!(carol.expect_aside(LEFT).0, Item::aside(LEFT, 2, 1, ""));
    bob.expect_quiet_for(Duration::from_millis(200));
    let _erin = Listener::join(&server, "erin");
    carol.wire.say("");
    alice.items_up_to_now();
    carol.wire.expect_empty_socket();
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", streamed("fred", "").as_bytes()), 8);
}

#[test]
fn s14_member_resumes_at_another_ip() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    bob.say(1, "from home");
    bob.expect(3, &[Item::message(2, 1, "bob", "from home")]);
    let away = bob.resume(&server, loopback(5)).expect("success");
    assert_eq!(away.ticket, Ticket { expected: 2, ..bob.ticket.clone() });
    alice.say(1, "while he moves");
    alice.items_up_to_now();
    // Neither the new IP, before its first datagram, nor the old one gets it.
    away.wire.expect_empty_socket();
    bob.say(2, "from the old IP");
    bob.have(4);
    bob.repair(&[(2, 2)]);
    alice.expect_nothing();
    away.say(2, "from away");
    let entries =
        [Item::message(1, 1, "alice", "while he moves"), Item::message(2, 2, "bob", "from away")];
    away.expect(4, &entries);
    alice.expect(5, &entries[1..]);
    bob.wire.expect_empty_socket();
    let back = away.resume(&server, bob.wire.socket.local_addr().expect("an address").ip());
    assert_eq!(back.expect("success").ticket.expected, 3);
}

#[test]
fn s14_resume_needs_a_live_token() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let elsewhere = Listener::enter_unproved(&server, CREATE, "other", &streamed("alice", ""));
    bob.say(1, "/exit");
    bob.expect_aside(LEFT);
    let mut control = Control::connect_from(&server, loopback(5));
    for (room, token) in [
        ("room", bob.ticket.token),
        ("room", elsewhere.ticket.token),
        ("moor", alice.ticket.token),
        ("room", [b'0'; 32]),
    ] {
        assert_eq!(control.status_of(RESUME, room, &token), ROOM_NOT_FOUND);
    }
    assert_eq!(control.status_of(RESUME, "room", &alice.ticket.token[..31]), 9);
    alice.have(1);
    alice.expect_aside(STATE);
    assert_eq!(bob.expect_aside_after_keep_alive(), Item::aside(LEFT, 2, 1, ""));
}

#[test]
fn s14_resumed_member_must_speak() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let away = bob.resume(&server, loopback(5)).expect("success");
    alice.say(1, "hello?");
    alice.say(2, "/kick bob");
    alice.items_up_to_now();
    away.wire.expect_empty_socket();
    bob.wire.expect_empty_socket();
    away.wire.say("");
    assert_eq!(away.expect_aside(REMOVED).0, Item::aside(REMOVED, 1, 0, ""));
}

#[test]
fn s15_delivery_forms_share_a_room() {
    let server = Server::start(&[]);
    let text_host = Member::create(&server, "room", &text("tess"));
    let named = Member::join(&server, "room", "nick");
    let stream = Listener::join(&server, "stan");
    stream.expect(1, &[Item::joined(3, "stan")]);
    text_host.expect("nick joined");
    text_host.expect("stan joined");
    named.expect("\0stan joined");
    text_host.say("one\ntwo");
    stream.expect(2, &[Item::message(1, 0, "tess", "one\ntwo")]);
    named.expect("\x04tessone\ntwo");
    named.say("three");
    stream.expect(3, &[Item::message(2, 0, "nick", "three")]);
    text_host.expect("nick: three");
    stream.say(1, "four");
    stream.expect(4, &[Item::message(3, 1, "stan", "four")]);
    text_host.expect("stan: four");
    named.expect("\x04stanfour");
    named.say("/who");
    named.expect("\0tess (host), nick, stan");
    stream.say(2, "/who");
    let list = "tess (host), nick, stan";
    assert_eq!(stream.expect_aside(ANSWER).0, Item::aside(ANSWER, 3, 2, list));
    text_host.say("/host nick");
    text_host.expect("nick is the host now");
    named.expect("\0nick is the host now");
    stream.expect(5, &[Item::notice(NEW_HOST, 2, "nick", "nick is the host now")]);
    named.say("/kick stan");
    named.expect("\0stan was removed by the host");
    text_host.expect("stan was removed by the host");
    assert_eq!(stream.expect_aside(REMOVED).0, Item::aside(REMOVED, 3, 0, KICKED_OUT));
    text_host.expect_silence();
    named.expect_silence();
    named.say("/exit");
    text_host.expect(CLOSED);
}

#[test]
fn s15_crowd_notice_is_the_same() {
    let server = Server::start(&["--max-unproved", "0"]);
    let stream = Listener::create(&server, "stan");
    let text_member = Member::join(&server, "room", &text("tess"));
    for guest in 0..7 {
        Control::connect(&server).enter(JOIN, "room", format!("g{guest}").as_bytes());
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&Item::notice(JOINED, 0, "", "4 joined")) {
        heard.extend(stream.hear().items);
        assert!(heard.len() < 9, "{heard:?}");
    }
    text_member.expect_sometime("4 joined");
}
