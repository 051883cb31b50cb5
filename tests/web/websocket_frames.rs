//! Frames on the real binary, by the case list of the Autobahn suite (H7). Each wrong frame costs its
//! sender alone. The longer list is in `src/web/websocket/tests.rs`.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use crate::support::streams::Packet;
use crate::support::websocket::*;
use crate::support::*;

/// Returns frames that break a rule, each with the code of its close frame.
fn wrong_frames() -> Vec<(&'static str, Vec<u8>, u16)> {
    let masked = |first, content: &[u8]| client_frame(first, content);
    let after = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    let announced =
        |size: u64| [&[FINAL | BINARY, 0xff][..], &size.to_be_bytes(), &[0; 4]].concat();
    let close = |code: u16| client_frame(FINAL | CLOSE, &code.to_be_bytes());
    vec![
        ("a ping of 126 bytes", masked(FINAL | PING, &[b'x'; 126]), 1002),
        ("a ping in fragments", masked(PING, b""), 1002),
        ("a reserved bit", masked(FINAL | 0x40 | BINARY, b"x"), 1002),
        ("all reserved bits", masked(FINAL | 0x70 | PING, b""), 1002),
        ("kind 3", masked(FINAL | 3, b""), 1002),
        ("kind 11", masked(FINAL | 11, b"x"), 1002),
        ("no mask", vec![FINAL | BINARY, 1, b'x'], 1002),
        ("a continuation of nothing", masked(FINAL | CONTINUATION, b"x"), 1002),
        ("a message within one", after(masked(BINARY, b"x"), masked(FINAL | BINARY, b"x")), 1002),
        ("text that is no UTF-8", masked(FINAL | TEXT, b"\xce\xba\xed\xa0\x80"), 1007),
        ("text cut in a character", masked(FINAL | TEXT, b"\xe2\x82"), 1007),
        ("a close of one byte", masked(FINAL | CLOSE, b"x"), 1002),
        ("a close without UTF-8", masked(FINAL | CLOSE, b"\x03\xe8\xff"), 1007),
        ("4,097 bytes", masked(FINAL | BINARY, &[b'x'; 4097]), 1009),
        ("2^63 bytes", announced(1 << 63), 1009),
        ("2^16 bytes", announced(1 << 16), 1009),
        (
            "4,097 bytes in fragments",
            after(masked(BINARY, &[b'x'; 4096]), masked(FINAL | CONTINUATION, b"x")),
            1009,
        ),
        ("code 0", close(0), 1002),
        ("code 1004", close(1004), 1002),
        ("code 1005", close(1005), 1002),
        ("code 1006", close(1006), 1002),
        ("code 2999", close(2999), 1002),
        ("code 65535", close(65535), 1002),
    ]
}

/// Checks that a close frame with this code comes, perhaps with a reason, and the end behind it.
#[track_caller]
fn expect_failure(socket: &mut Socket, what: &str, code: u16) {
    let frame = socket.read().expect(what);
    assert_eq!(frame.code(), Some(code), "{what}");
    assert_eq!(socket.read(), None, "{what}");
}

#[test]
fn h7_wrong_frame_costs_its_sender() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    for (what, bytes, code) in wrong_frames() {
        let mut early = Socket::connect(&server);
        early.send(&bytes);
        expect_failure(&mut early, what, code);
        let mut bob = WebMember::join(&server, "bob");
        bob.socket.send(&bytes);
        // Nothing behind it is read.
        let _ = bob.socket.stream.write_all(&client_frame(FINAL | BINARY, b"too late"));
        expect_failure(&mut bob.socket, what, code);
    }
    alice.expect_members("alice (host)");
}

#[test]
fn h7_fragments_and_pings_among_them() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut socket = Socket::connect(&server);
    let request = entry("join", "bob", "");
    for (index, byte) in request.bytes().enumerate() {
        socket.send_frame(if index == 0 { TEXT } else { CONTINUATION }, &[byte]);
        socket.send_frame(FINAL | PING, &[byte]);
    }
    socket.send_frame(FINAL | CONTINUATION, b"");
    request.bytes().for_each(|byte| assert_eq!(socket.expect_frame(PONG), [byte]));
    assert!(socket.expect_text().starts_with(r#"{"status":0"#));
    alice.expect("bob joined");
    socket.send_frame(BINARY, b"a message in ");
    socket.send_frame(FINAL | PING, &[b'p'; 125]);
    socket.send_frame(FINAL | PONG, b"unasked");
    socket.send_frame(FINAL | CONTINUATION, b"two");
    assert_eq!(socket.expect_frame(PONG), [b'p'; 125]);
    alice.expect("bob: a message in two");
}

#[test]
fn h7_message_of_4096_bytes() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    alice.say(&format!("/{}", "x".repeat(4095)));
    assert!(!alice.socket.expect_frame(BINARY).is_empty(), "an answer");
    alice.socket.send_frame(BINARY, &[b'/'; 4000]);
    alice.socket.send_frame(FINAL | CONTINUATION, &[b'x'; 96]);
    assert!(!alice.socket.expect_frame(BINARY).is_empty());
}

#[test]
fn h7_close_is_echoed() {
    let server = Server::start(&[]);
    for (content, echo) in
        [(&b""[..], &b""[..]), (b"\x03\xe8bye", b"\x03\xe8bye"), (b"\x0f\xa7", b"\x0f\xa7")]
    {
        let mut alice = WebMember::create(&server, "alice");
        alice.socket.send_frame(FINAL | CLOSE, content);
        assert_eq!(alice.socket.expect_frame(CLOSE), echo);
        assert_eq!(alice.socket.read(), None);
    }
}

#[test]
fn h7_unread_pongs_stop_the_reading() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut flooder = WebMember::join(&server, "flooder");
    alice.expect("flooder joined");
    let before = server.memory();
    flooder.socket.stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let pings = client_frame(FINAL | PING, &[b'p'; 125]).repeat(100);
    let mut sent = 0;
    loop {
        match flooder.socket.stream.write(&pings[sent % pings.len()..]) {
            Ok(size) => sent += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 << 20, "the server takes pings without end");
    }
    assert!(server.memory() - before < 1 << 20);
    server.expect_rest();
    alice.say("still there");
    let pongs = sent / 131;
    for _ in 0..pongs {
        while flooder.socket.expect_frame_of(&[PONG, BINARY]) != PONG {}
    }
}

#[test]
fn h7_scarce_memory_takes_no_fragments() {
    let server = Server::start(&["--buffer-memory", "1"]);
    let mut alice = WebMember::create(&server, "alice");
    let mut early = Socket::connect(&server);
    for socket in [&mut early, &mut alice.socket] {
        // One that is held makes memory scarce, if it was not before.
        socket.send_frame(BINARY, b"first");
        socket.send_frame(FINAL | PING, b"");
        if socket.expect_frame_of(&[PONG, CLOSE]) == PONG {
            socket.send_frame(CONTINUATION, b"second");
            socket.expect_close(1013);
        }
    }
}

#[test]
fn h7_slow_reader_loses_nothing() {
    const COUNT: u32 = 200;
    let server = Server::start(&["--rate-limit", "0", "--fanout-limit", "0"]);
    let mut alice = WebMember::stream(&server, "create", "alice");
    let mut slow = WebMember::stream(&server, "join", "slow");
    for number in 1..=COUNT {
        let text = format!("{number:01000}");
        alice.say_in_stream(number, &text);
        alice.read_until(&text);
    }
    let packets = slow.read_until(&format!("{COUNT:01000}"));
    let mut next = slow.ticket().next;
    for Packet { sequence, items, .. } in &packets {
        assert_eq!(*sequence, next, "in order");
        next += items.iter().map(|item| item.numbers()).sum::<u64>();
    }
    assert_eq!(next, slow.ticket().next + u64::from(COUNT) + 1);
}

#[test]
fn h7_any_bytes_end_or_wait() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let mut alice = WebMember::create(&server, "alice");
    let mut random = random::Random(7);
    for _ in 0..100 {
        let mut bob = WebMember::join(&server, "bob");
        // The server may end it before everything is sent.
        let _ = bob.socket.stream.write_all(&random.bytes());
        let _ = bob.socket.stream.shutdown(Shutdown::Write);
        let _ = bob.socket.stream.read_to_end(&mut Vec::new());
    }
    let mut carol = WebMember::join(&server, "carol");
    alice.say("hello");
    while carol.socket.expect_frame(BINARY) != b"alice: hello" {}
}
