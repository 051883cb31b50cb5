//! Members on WebSockets (H6): messages, ends and their close codes, losses and resumes.

use std::net::Shutdown;

use crate::support::carried::Carried;
use crate::support::streams::{Item, LEFT, RESUME, SERVER_GOING, joined};
use crate::support::websocket::*;
use crate::support::*;

/// Returns the request that continues a membership.
fn resume(member: &WebMember) -> String {
    format!(r#"{{"operation":"resume","room":"room","token":"{}"}}"#, member.token())
}

#[test]
fn h6_stream_delivery() {
    let server = Server::start(&[]);
    let mut alice = WebMember::stream(&server, "create", "alice");
    let mut bob = WebMember::stream(&server, "join", "bob");
    let mut carol = Carried::stream(&server, JOIN, "carol");
    alice.say_in_stream(1, "one");
    bob.read_until("one");
    carol.hear_items_until("one");
    bob.say_in_stream(1, "two");
    let packets = alice.read_until("two");
    assert_eq!(packets[0].sequence, alice.ticket().next);
    assert_eq!(joined(&packets), ["one", "two"]);
    alice.socket.binary(&[&[1][..], &9_u64.to_be_bytes()].concat());
    let state = alice.read_packet();
    assert!(matches!(state.items[..], [Item::Aside { code: 12, expected: 2, .. }]), "{state:?}");
}

#[test]
fn h6_end_has_a_close_code() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut bob = WebMember::join(&server, "bob");
    alice.expect("bob joined");
    alice.say("/kick bob");
    let removed = bob.socket.expect_close_later(4007);
    assert_eq!(removed, [b"you were removed from the room by its host"]);
    alice.expect("bob was removed by the host");
    let mut carol = WebMember::stream(&server, "join", "carol");
    alice.expect("carol joined");
    carol.say_in_stream(1, "/exit");
    let last = carol.socket.expect_close_later(4002).pop().expect("an aside");
    let last = streams::Packet::read(&last).items.pop();
    assert!(matches!(last, Some(Item::Aside { code: LEFT, id: 1, .. })), "{last:?}");
    alice.expect("carol left");
    let mut dave = WebMember::join(&server, "dave");
    alice.expect("dave joined");
    alice.say("/exit");
    assert_eq!(dave.socket.expect_close_later(4005), [b"the room was closed"]);
    assert_eq!(alice.socket.expect_close_later(4002), [b"the room was closed"]);
}

#[test]
fn h6_drained_members_get_4013() {
    let mut server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut bob = WebMember::stream(&server, "join", "bob");
    let mut idle = Socket::connect(&server);
    assert_eq!(idle.ask(r#"{"operation":"list","room":"x"}"#), r#"{"status":0,"rooms":[]}"#);
    alice.expect("bob joined");
    server.signal("TERM");
    let going = "the server is shutting down or restarting";
    assert_eq!(alice.socket.expect_close_later(4013), [going.as_bytes()]);
    let last = bob.socket.expect_close_later(4013).pop().expect("an aside");
    let last = streams::Packet::read(&last).items.pop();
    assert!(matches!(last, Some(Item::Aside { code: SERVER_GOING, .. })), "{last:?}");
    idle.expect_close(1001);
    assert!(server.wait().success());
}

#[test]
fn h6_moved_member_gets_4000() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut first = WebMember::stream(&server, "join", "bob");
    alice.expect("bob joined");
    let request = resume(&first);
    let mut second = WebMember::enter(Socket::connect(&server), &request);
    first.socket.expect_close_later(4000);
    second.say_in_stream(1, "here");
    alice.expect("bob: here");
    let token = second.token();
    assert_eq!(Control::connect(&server).status_of(RESUME, "room", token.as_bytes()), 0);
    second.socket.expect_close_later(4000);
    alice.say("/who");
    alice.expect("alice (host), bob");
}

/// Every way in which a connection can be lost.
const LOSSES: [fn(&mut Socket); 4] = [
    |socket| socket.send_frame(FINAL | CLOSE, &1001_u16.to_be_bytes()),
    |socket| socket.stream.shutdown(Shutdown::Both).expect("an open stream"),
    |socket| socket.stream.shutdown(Shutdown::Write).expect("an open stream"),
    |socket| socket.send(&[FINAL | BINARY, 0]),
];

#[test]
fn h6_lost_stream_member_is_detached() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut bob = WebMember::stream(&server, "join", "bob");
    alice.expect("bob joined");
    for (round, lose) in LOSSES.iter().enumerate() {
        lose(&mut bob.socket);
        alice.say("/who");
        alice.expect("alice (host), bob");
        let text = format!("while away {round}");
        alice.say(&text);
        let request = resume(&bob);
        bob = WebMember::enter(Socket::connect(&server), &request);
        bob.read_until(&text);
    }
    bob.say_in_stream(1, "I missed nothing");
    alice.expect("bob: I missed nothing");
}

#[test]
fn h6_lost_text_member_leaves() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    for lose in LOSSES {
        let mut bob = WebMember::join(&server, "bob");
        alice.expect_members("alice (host), bob");
        lose(&mut bob.socket);
        alice.expect_members("alice (host)");
    }
}

#[test]
fn h6_text_from_a_member_gets_1003() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut bob = WebMember::join(&server, "bob");
    alice.expect("bob joined");
    bob.socket.text("hello");
    bob.socket.expect_close(1003);
    alice.expect("bob left");
}

#[test]
fn h6_wishes_for_a_path_mean_nothing() {
    let server = Server::start(&[]);
    let alice = entry("create", "alice", r#","carry":true"#);
    let mut alice = WebMember::enter(Socket::connect(&server), &alice);
    let bob = entry("join", "bob", r#","carry":false"#);
    let mut bob = WebMember::enter(Socket::connect(&server), &bob);
    alice.expect("bob joined");
    bob.say("hi");
    alice.expect("bob: hi");
    let mut socket = Socket::connect(&server);
    let sealed = entry("join", "sealed", r#","seal":true"#);
    assert_eq!(socket.ask(&sealed), r#"{"status":9}"#, "secrets in the clear");
}

#[test]
fn h6_members_count_as_carried() {
    let server = Server::start(&["--max-connections", "4"]);
    let mut alice = WebMember::create(&server, "alice");
    let _bob = WebMember::join(&server, "bob");
    alice.expect("bob joined");
    let mut socket = Socket::connect(&server);
    assert_eq!(socket.ask(&entry("join", "carol", "")), r#"{"status":8}"#);
    let _others = [Control::connect(&server), Control::connect(&server)];
    socket.expect_close(1013);
    alice.say("/who");
    alice.expect("alice (host), bob");
}

#[test]
fn h7_idle_member_takes_4_kib() {
    const COUNT: usize = 500;
    let server = Server::start(&["--tls", "off"]);
    let mut host = WebMember::create(&server, "host");
    let before = server.memory();
    let mut members: Vec<WebMember> =
        (0..COUNT).map(|index| WebMember::join(&server, &format!("m{index}"))).collect();
    for member in &mut members {
        member.say(&format!("/{}", "x".repeat(4000)));
    }
    host.say("last");
    for member in &mut members {
        while member.socket.expect_frame(BINARY) != b"host: last" {}
    }
    let each = (server.memory() - before) / COUNT as u64;
    assert!(each < 4096, "{each} bytes for each");
}

#[test]
fn t6_log_of_websockets_has_no_secrets() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    command.args(["--tcp-port", "0", "--udp-port", "0"]).env("RUST_LOG", "trace");
    let server = Server::spawn_with_environment(command, 1);
    let alice = entry("create", "alice", r#","password":"open sesame""#);
    let mut alice = WebMember::enter(Socket::connect(&server), &alice);
    let bob = entry("join", "bob", r#","password":"open barley""#);
    assert_eq!(Socket::connect(&server).ask(&bob), r#"{"status":3}"#);
    alice.say("what I said");
    alice.socket.send_frame(FINAL | CLOSE, b"\x03\xe8what I closed with");
    alice.socket.expect_frame(CLOSE);
    server.signal("TERM");
    let log = server.log_to_the_end().join("\n");
    assert!(log.contains("operation 1, room \"room\""), "it does log: {log}");
    for secret in [&alice.token()[..8], "sesame", "barley", "what "] {
        assert!(!log.contains(secret), "{secret:?} in {log}");
    }
}
