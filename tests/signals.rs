//! The end of the server: SIGINT and SIGTERM, once and twice.

mod support;

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use support::*;

/// How long the server may take to its end.
const DRAIN: Duration = reactor_chat::config::DRAIN;

#[test]
fn a_signal_closes_every_room_and_ends_with_status_0() {
    for signal in ["INT", "TERM"] {
        let mut server = Server::start(&[]);
        let (alice, bob) = alice_and_bob(&server);
        let carol = Member::create(&server, "other", "carol");
        let start = Instant::now();
        server.signal(signal);
        alice.expect("the room was closed");
        bob.expect("the room was closed");
        carol.expect("\0the room was closed");
        assert_eq!(server.wait().code(), Some(0));
        assert!(start.elapsed() < DRAIN, "nobody kept it");
    }
}

#[test]
fn connections_get_a_clean_end() {
    let mut server = Server::start(&[]);
    let mut silent = Control::connect(&server);
    let mut hosting = Control::connect(&server);
    hosting.enter(CREATE, "room", b"alice");
    let mut halfway = Control::connect(&server);
    halfway.send(&frame(JOIN, "room", b"bob")[..20]);
    let mut ended = Control::connect(&server);
    ended.end();
    ended.expect_end();
    // The server has accepted all of them and read what they sent.
    assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
    server.signal("TERM");
    for control in [&mut silent, &mut hosting, &mut halfway] {
        control.expect_end();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_the_server_did_is_logged_at_its_end() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    alice.say("hi");
    bob.expect("alice: hi");
    server.signal("INT");
    server.expect_log("signal 2: closing the rooms");
    let counts = server.expect_log("connections accepted 2, ");
    for part in ["keep-alives 2, ", "messages 1, ", "commands 2, ", "status-0 replies 2"] {
        assert!(counts.contains(part), "{part:?} in {counts}");
    }
}

#[test]
fn a_peer_that_does_not_read_keeps_the_server_for_the_drain_at_most() {
    let mut server = Server::start(&["--max-unproved", "0"]);
    let _deaf = ask_and_never_read(&server);
    let start = Instant::now();
    server.signal("TERM");
    server.expect_log("closing the rooms");
    assert_eq!(server.wait().code(), Some(0));
    let took = start.elapsed();
    assert!(took >= DRAIN - Duration::from_millis(100), "it did wait: {took:?}");
    assert!(took < DRAIN + Duration::from_secs(1), "and no longer: {took:?}");
}

#[test]
fn after_the_first_signal_nobody_comes_in() {
    let mut server = Server::start(&["--max-unproved", "0"]);
    let _deaf = ask_and_never_read(&server);
    let bob = Member::join(&server, "room 0", &text("bob"));
    server.signal("TERM");
    bob.expect("the room was closed");
    let error = TcpStream::connect_timeout(&server.tcp, DEADLINE).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(server.is_running(), "still draining");
    bob.say("too late");
    bob.say("/who");
    assert_eq!(server.wait().code(), Some(0));
    bob.expect_empty_socket();
}

#[test]
fn a_second_signal_ends_at_once_and_says_so_in_the_status() {
    for (first, second, number) in [("TERM", "TERM", 15), ("INT", "INT", 2), ("TERM", "INT", 2)] {
        let mut server = Server::start(&["--max-unproved", "0"]);
        let _deaf = ask_and_never_read(&server);
        server.signal(first);
        server.expect_log("closing the rooms");
        let start = Instant::now();
        server.signal(second);
        let status = server.wait();
        assert_eq!(status.code(), Some(128 + number), "{:?}", status.signal());
        assert!(start.elapsed() < DRAIN, "at once");
        server.expect_log("connections accepted 1, ");
    }
}

/// A client that asks for more than the buffers between it and the server hold and reads nothing,
/// so that the server has something left to send.
fn ask_and_never_read(server: &Server) -> Control {
    const LISTS: usize = 300;
    let mut control = Control::connect(server);
    // 200 rooms of about 300 bytes: a list has about 60 KB, and all lists have 18 MB.
    for room in 0..200 {
        let name = format!("room {room}");
        let name = if room == 0 { name } else { format!("{name:x<250}") };
        control.enter(CREATE, &name, b"host");
    }
    control.send(&frame(LIST, "", b"").repeat(LISTS));
    // Whatever can be sent, has been: the reply at the front has come.
    control.stream().peek(&mut [0]).expect("the first reply");
    control
}
