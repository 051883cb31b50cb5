//! The shutdown of the server: SIGINT and SIGTERM, once, twice, and ignored. SIGHUP ends nothing.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use support::peers::*;
use support::streams::*;
use support::*;

/// Maximum time from a signal to the exit.
const DRAIN: Duration = reactor_chat::config::DRAIN;

/// The notice to text and named members.
const GOING: &str = "the server is shutting down or restarting";

#[test]
fn l17_signal_closes_rooms_and_exits_0() {
    for signal in ["INT", "TERM"] {
        let mut server = Server::start(&[]);
        let (alice, bob) = alice_and_bob(&server);
        let carol = Member::create(&server, "other", "carol");
        let start = Instant::now();
        server.signal(signal);
        alice.expect(GOING);
        bob.expect(GOING);
        carol.expect(&format!("\0{GOING}"));
        assert_eq!(server.wait().code(), Some(0));
        assert!(start.elapsed() < DRAIN, "nothing delayed the exit");
    }
}

#[test]
fn s17_field_b_signal_has_own_notice() {
    let closed = "チャットルームが閉じられました";
    for (lang, plain) in [("en", GOING), ("ja", closed)] {
        let mut server = Server::start(&["--lang", lang]);
        let text = Member::create(&server, "room", &text("alice"));
        let named = Member::join(&server, "room", "bob");
        let stream = Listener::join(&server, "carol");
        text.settle();
        named.settle();
        server.signal("TERM");
        text.expect_sometime(plain);
        named.expect_sometime(&format!("\0{plain}"));
        let (aside, _) = stream.expect_aside(SERVER_GOING);
        assert!(!format!("{aside:?}").contains(closed), "{aside:?}");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn field_g_ignored_signals_stay_ignored() {
    let mut command = Command::new("sh");
    let script = "trap '' INT; exec \"$0\" --tcp-port 0 --udp-port 0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_reactor-chat")]);
    let mut server = Server::spawn(command, 1);
    let (alice, bob) = alice_and_bob(&server);
    for round in ["one", "two"] {
        server.signal("INT");
        alice.say(round);
        bob.expect(&format!("alice: {round}"));
    }
    server.expect_log("INFO ] SIGINT stays ignored");
    server.signal("TERM");
    bob.expect(GOING);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn field_g_ignored_sigterm_is_a_warning() {
    let mut command = Command::new("sh");
    let script = "trap '' TERM; exec \"$0\" --tcp-port 0 --udp-port 0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_reactor-chat")]);
    let mut server = Server::spawn(command, 1);
    server.expect_log("WARN ] SIGTERM stays ignored");
    server.signal("TERM");
    assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

/// Options for TLS. The last one needs a build with TLS.
const MODES: [&str; 3] = ["", "--tls off", "--tls required"];

/// Both the kernel and the shell may send a hangup when a terminal closes.
#[test]
fn e3_hangup_ends_nothing() {
    let modes = if cfg!(feature = "tls") { &MODES[..] } else { &MODES[..2] };
    for options in modes {
        for trap in ["trap - HUP", "trap '' HUP"] {
            let mut command = Command::new("sh");
            let script = format!("{trap}; exec \"$0\" --tcp-port 0 --udp-port 0 {options}");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_reactor-chat")]);
            let mut server = Server::spawn(command, 1);
            for _ in 0..2 {
                server.signal("HUP");
                server.expect_log("INFO ] SIGHUP: ");
            }
            let control = &mut Control::connect(&server);
            let status = if options.ends_with("required") { 12 } else { 0 };
            assert_eq!(control.status_of(LIST, "", b""), status);
            server.signal("TERM");
            assert_eq!(server.wait().code(), Some(0));
        }
    }
}

#[test]
fn e3_hangup_keeps_the_drain() {
    let (mut server, _deaf) = server_with_a_deaf_peer();
    let start = Instant::now();
    server.signal("TERM");
    server.expect_log("closing the rooms");
    server.signal("HUP");
    // It reads nothing again, so no READY follows STOPPING.
    server.expect_log("SIGHUP: the server is ending");
    assert_eq!(server.wait().code(), Some(0));
    assert!(start.elapsed() >= DRAIN - Duration::from_millis(100), "it waited for the deaf peer");
}

#[test]
fn connections_end_cleanly() {
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
fn summary_is_logged_at_exit() {
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
fn l17_drain_has_a_deadline() {
    let (mut server, _deaf) = server_with_a_deaf_peer();
    let start = Instant::now();
    server.signal("TERM");
    server.expect_log("closing the rooms");
    assert_eq!(server.wait().code(), Some(0));
    let took = start.elapsed();
    assert!(took >= DRAIN - Duration::from_millis(100), "it did wait: {took:?}");
    assert!(took < DRAIN + Duration::from_secs(1), "and no longer: {took:?}");
}

#[test]
fn nobody_joins_after_a_signal() {
    let (mut server, _deaf) = server_with_a_deaf_peer();
    let bob = Member::create(&server, "room", &text("bob"));
    server.signal("TERM");
    bob.expect(GOING);
    let error = TcpStream::connect_timeout(&server.tcp, DEADLINE).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(server.is_running(), "still draining");
    bob.say("too late");
    bob.say("/who");
    assert_eq!(server.wait().code(), Some(0));
    bob.expect_empty_socket();
}

#[test]
fn l17_second_signal_exits_at_once() {
    for (first, second, number) in [("TERM", "TERM", 15), ("INT", "INT", 2), ("TERM", "INT", 2)] {
        let (mut server, _deaf) = server_with_a_deaf_peer();
        server.signal(first);
        server.expect_log("closing the rooms");
        let start = Instant::now();
        server.signal(second);
        let status = server.wait();
        assert_eq!(status.code(), Some(128 + number), "{:?}", status.signal());
        assert!(start.elapsed() < DRAIN, "at once");
        server.expect_log("connections accepted");
    }
}

#[test]
fn l17_signal_storm_ends_cleanly() {
    let (mut server, _deaf) = server_with_a_deaf_peer();
    let alice = Member::create(&server, "room", &text("alice"));
    let start = Instant::now();
    let mut storm = server.storm(&["TERM", "INT"], 500);
    alice.expect(GOING);
    // The storm comes first: a process keeps its id until it is waited for, so no other can be hit.
    storm.wait().expect("a shell");
    let code = server.wait().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    assert!(start.elapsed() < DRAIN, "the deaf one did not keep it");
    server.expect_log("connections accepted");
}

#[test]
fn l16_stop_storm_is_harmless() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let mut control = Control::connect(&server);
    let mut storm = server.storm(&["STOP", "WINCH", "CONT", "URG", "CHLD"], 20_000);
    let mut exchanges = 0;
    while storm.try_wait().expect("a shell").is_none() {
        exchanges += 1;
        alice.say(&exchanges.to_string());
        bob.expect(&format!("alice: {exchanges}"));
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
    assert!(exchanges > 10, "{exchanges}");
    assert!(server.final_counts().contains(&format!("messages {exchanges}, ")));
}

#[test]
fn l17_crowd_is_told_of_the_signal() {
    let mut server = Server::start(&["--rate-limit", "0", "--max-unproved", "0"]);
    let rooms: Vec<Vec<Member>> = (0..10).map(|room| full_room(&server, room)).collect();
    let mut asking: Vec<Control> = (0..50).map(|_| Control::connect(&server)).collect();
    let (mut said, mut heard, mut told) = (0, 0, 0);
    let mut signalled: Option<Instant> = None;
    let all = rooms.iter().flatten().count();
    while told < all {
        if heard > 10_000 && signalled.is_none() {
            server.signal("TERM");
            signalled = Some(Instant::now());
        }
        assert!(signalled.is_none_or(|at| at.elapsed() < DEADLINE), "{told} of {all} were told");
        for members in &rooms {
            members[said % members.len()].say(&said.to_string());
        }
        for control in &mut asking {
            // From the signal on nobody answers.
            let _ = control.stream().write(&frame(LIST, "", b""));
        }
        said += 1;
        for member in rooms.iter().flatten() {
            let (messages, ends) = read_all(member);
            heard += messages;
            told += ends;
        }
        asking.retain_mut(read_replies);
    }
    while !asking.is_empty() {
        asking.retain_mut(read_replies);
    }
    assert_eq!(server.wait().code(), Some(0));
    let took = signalled.expect("sent").elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(heard > 10_000 && told == all, "{heard} messages, {told} of {all} ends");
}

/// A room of ten, whose sockets do not block.
fn full_room(server: &Server, room: usize) -> Vec<Member> {
    let name = format!("room {room}");
    let enter = |member| match member {
        0 => Member::create(server, &name, &text("host")),
        _ => Member::join(server, &name, &text(&format!("m{member}"))),
    };
    let members: Vec<Member> = (0..10).map(enter).collect();
    members.iter().for_each(|member| member.socket.set_nonblocking(true).expect("an option"));
    members
}

/// Reads everything that has arrived. Returns the number of messages and of room-closed notices.
fn read_all(member: &Member) -> (usize, usize) {
    let (mut messages, mut ends) = (0, 0);
    let mut buffer = [0; 5000];
    while let Ok(size) = member.socket.recv(&mut buffer) {
        match &buffer[..size] == GOING.as_bytes() {
            true => ends += 1,
            false => messages += 1,
        }
    }
    (messages, ends)
}

/// Reads everything that has arrived. Returns true until the end.
fn read_replies(control: &mut Control) -> bool {
    while control.has_heard() {
        if !control.stream().read(&mut [0; 4096]).is_ok_and(|size| size > 0) {
            return false;
        }
    }
    true
}

/// Starts a server with a client that requests more than the buffers between them hold and reads
/// nothing, so that the server always has something left to send.
fn server_with_a_deaf_peer() -> (Server, TcpStream) {
    let server = server_with_a_long_list(&[]);
    let deaf = hoard(&server);
    // The server serves others in turn with it: by now nothing more can be sent.
    let mut bystander = Control::connect(&server);
    for _ in 0..200 {
        expect_answer(&mut bystander);
    }
    (server, deaf)
}
