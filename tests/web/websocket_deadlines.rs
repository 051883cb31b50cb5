//! Deadlines of WebSockets (H7): pings, silence, and frames that are not complete in time.

use std::time::{Duration, Instant};

use crate::support::websocket::*;
use crate::support::*;

#[test]
fn h7_pings_come_every_20_seconds() {
    let server = Server::start(&[]);
    let start = Instant::now();
    let mut alice = WebMember::create(&server, "alice");
    alice.socket.stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let ping = ServerFrame::read(&mut alice.socket.stream);
    assert_eq!(ping, Some(ServerFrame { kind: PING, content: Vec::new() }));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(19), "{waited:?}");
    alice.socket.send_frame(FINAL | PONG, b"");
    alice.say("/who");
    alice.expect("alice (host)");
}

#[test]
fn h7_pong_postpones_idle_timeout() {
    let server = Server::start(&["--idle-timeout", "2", "--host-leaves", "pass"]);
    let mut alive = WebMember::stream(&server, "create", "alive");
    let mut silent = WebMember::join(&server, "silent");
    silent.socket.stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    // The first member would have been removed before the second one.
    let mut peeked = [0; 1];
    while silent.socket.stream.peek(&mut peeked).is_err() {
        alive.socket.send_frame(FINAL | PONG, b"");
    }
    silent.socket.stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let told = silent.socket.expect_close_later(4003);
    let silent = "you were removed from the room, nothing was heard from you for a while";
    assert_eq!(told, [silent.as_bytes()]);
    alive.say_in_stream(1, "still here");
    alive.read_until("still here");
}

#[test]
fn h7_begun_frame_has_a_deadline() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let alice = Member::create(&server, "room", &text("alice"));
    for begun in [&client_frame(FINAL | BINARY, b"cut")[..7], &client_frame(BINARY, b"a fragment")]
    {
        let mut bob = WebMember::join(&server, "bob");
        alice.expect("bob joined");
        bob.socket.send(begun);
        bob.socket.expect_close(1008);
        alice.expect("bob left");
        let mut early = Socket::connect(&server);
        early.send(begun);
        early.expect_close(1008);
    }
    assert!(server.final_counts().contains("connections timed out 4"));
}

#[test]
fn h7_request_has_a_deadline() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let mut alice = WebMember::create(&server, "alice");
    let mut late = Socket::connect(&server);
    late.expect_close(1001);
    alice.say("/who");
    alice.expect("alice (host)");
}

/// Sends pings until the server closes, and returns its close code.
fn ping_to_the_end(socket: &mut Socket<std::net::TcpStream>) -> Option<u16> {
    wait_for("a close frame", || {
        socket.send_frame(FINAL | PING, b"");
        let frame = socket.read().expect("an answer");
        (frame.kind == CLOSE).then(|| frame.code())
    })
}

#[test]
fn h7_pings_give_requests_no_time() {
    let server = Server::start(&["--handshake-timeout", "1", "--connect-timeout", "2"]);
    let mut begun = Socket::connect(&server);
    begun.send_frame(TEXT, b"{");
    assert_eq!(ping_to_the_end(&mut begun), Some(1008));
    let mut idle = Socket::connect(&server);
    assert_eq!(ping_to_the_end(&mut idle), Some(1001));
}
