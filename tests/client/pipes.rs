//! The client as a program: its pipes, its signals, its exit status; and what it does with named
//! delivery. Stream delivery is in `stream_delivery.rs`, the command line in
//! `command_line.rs`.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::program::*;
use crate::support::*;

/// These arguments, with named delivery.
fn named<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["--delivery", "named"], args].concat()
}

fn start(server: &Server, args: &[&str]) -> Talker {
    Talker::start(server, &named(args))
}

fn pipe(server: &Server, args: &[&str], input: &[u8]) -> Output {
    run_with_input(server, &named(args), input)
}

/// Bob, who talks to a server of another kind.
fn bob_at(stranger: &Stranger) -> Talker {
    stranger.client(&named(&["join", "r1", "bob"]))
}

/// Bob, in ann's room, and known to the server with his address.
fn bob_joins(server: &Server, ann: &Member) -> Talker {
    let mut bob = start(server, &["join", "r1", "bob"]);
    bob.say("here\n");
    ann.expect("bob joined");
    ann.expect("bob: here");
    bob
}

/// Ann, a client that has made a room and is known to the server with her address: it answers.
fn ann_creates(server: &Server, args: &[&str]) -> Talker {
    let mut ann = start(server, args);
    ann.say("/help\n");
    assert!(ann.out.recv_timeout(DEADLINE).expect("an answer").starts_with("* /exit leaves"));
    ann
}

fn host(server: &Server) -> Member {
    Member::create(server, "r1", r#"{"username":"ann"}"#)
}

#[test]
fn piped_lines_arrive_before_exit() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let output = pipe(&server, &["join", "r1", "bob"], b"hi\n\nlast line without end");
    expect_output(&output, 0, "", "");
    for line in ["bob joined", "bob: hi", "bob: last line without end", "bob left"] {
        ann.expect(line);
    }
}

#[test]
fn many_lines_arrive_in_order() {
    let server = Server::start(&["--rate-limit", "0"]);
    let ann = host(&server);
    let input: String = (0..150).map(|line| format!("line {line}\n")).collect();
    let output = pipe(&server, &["join", "r1", "bob"], input.as_bytes());
    assert!(output.status.success());
    ann.expect("bob joined");
    for line in 0..150 {
        ann.expect(&format!("bob: line {line}"));
    }
    ann.expect("bob left");
}

#[test]
fn end_of_hosts_input_closes_room() {
    let server = Server::start(&[]);
    let mut ann = ann_creates(&server, &["create", "r1", "ann"]);
    let mut bob = start(&server, &["join", "r1", "bob"]);
    ann.expect("* bob joined");
    bob.say("hi ann\r\n");
    ann.expect("bob: hi ann");
    ann.say("日本語\n");
    bob.expect("ann: 日本語");
    ann.end_input();
    ann.expect("* the room was closed");
    bob.expect("* the room was closed");
    ann.expect_end(0);
    bob.expect_end(0);
}

#[test]
fn lines_after_exit_are_not_sent() {
    let server = Server::start(&[]);
    let ann = host(&server);
    for exit in ["/exit\n", " /EXIT \r\n"] {
        let mut bob = bob_joins(&server, &ann);
        bob.say(&format!("bye\n{exit}still here?\n"));
        ann.expect("bob: bye");
        ann.expect("bob left");
        bob.expect_complaint("reactor-chat-client: lines not accepted: 1");
        bob.expect_end(1);
    }
    ann.expect_silence();
}

#[test]
fn late_messages_are_still_printed() {
    let stranger = Stranger::start();
    let mut bob = bob_at(&stranger);
    stranger.admit();
    bob.say("/exit\n");
    let leaving_from = loop {
        let (message, from) = stranger.hear();
        if message == "/exit" {
            break from;
        }
    };
    stranger.udp.send_to(b"\x03annlast", leaving_from).expect("sent");
    bob.expect("ann: last");
    bob.expect_end(0);
}

#[test]
fn signal_leaves_the_room() {
    let server = Server::start(&[]);
    let ann = host(&server);
    for signal in ["INT", "TERM"] {
        let mut bob = bob_joins(&server, &ann);
        bob.signal(signal);
        ann.expect("bob left");
        bob.expect_end(0);
    }
}

/// As nohup(1) does it for those who want it to outlive the terminal.
#[test]
fn ignored_hangup_stays_ignored() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let client = client(server.tcp, server.udp, &named(&["join", "r1", "bob"]));
    let mut nohup = Command::new("nohup");
    nohup.arg(client.get_program()).args(client.get_args());
    nohup.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bob = Talker::spawn(nohup);
    ann.expect("bob joined");
    bob.signal("HUP");
    // A signal that is caught is heeded before the next line.
    bob.say("still here\n");
    ann.expect("bob: still here");
    bob.signal("TERM");
    ann.expect("bob left");
    bob.expect_end(0);
}

#[test]
fn second_signal_ends_blocked_client() {
    let stranger = Stranger::start();
    let mut bob = bob_at(&stranger);
    // The request is here, so the signals are caught; the reply never comes.
    let (mut stream, _) = stranger.tcp.accept().expect("a client");
    assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
    bob.signal("TERM");
    bob.signal("INT");
    let status = bob.wait().code();
    // The kernel chooses which of two pending signals it delivers first.
    assert!(matches!(status, Some(130 | 143)), "{status:?}");
}

#[test]
fn closed_stdout_leaves_silently() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut command = client(server.tcp, server.udp, &named(&["join", "r1", "bob"]));
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the built client");
    drop(child.stdout.take());
    // Kept open, so that it is not the end of the input that ends the client.
    let _input = child.stdin.take();
    ann.expect("bob joined");
    // More than once: while another test starts a program, a copy of the pipe's end is open in that.
    ann.socket.set_nonblocking(true).expect("an option");
    wait_for("bob to leave", || {
        ann.say("are you there?");
        let mut buffer = [0; 100];
        let heard = ann.socket.recv(&mut buffer).map(|size| buffer[..size] == *b"bob left");
        heard.unwrap_or_default().then_some(())
    });
    expect_output(&child.wait_with_output().expect("a child"), 0, "", "");
}

#[test]
fn full_stdout_is_a_failure() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let full = File::options().write(true).open("/dev/full").expect("full(4)");
    let mut command = client(server.tcp, server.udp, &named(&["--commands", "join", "r1", "bob"]));
    let mut child = command.stdin(Stdio::piped()).stdout(full).spawn().expect("the built client");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"/help\n").expect("written");
    ann.expect("bob joined");
    ann.expect("bob left");
    let output = child.wait_with_output().expect("a child");
    let why = "No space left on device (os error 28)";
    expect_output(&output, 1, "", &format!("reactor-chat-client: cannot print: {why}\n"));
}

#[test]
fn right_password_opens_room() {
    let server = Server::start(&[]);
    let password = "pässwörd \"1\"";
    let mut ann = ann_creates(&server, &["--password", password, "create", "r1", "ann"]);
    let output = pipe(&server, &["--password", password, "join", "r1", "bob"], b"hi\n");
    assert!(output.status.success());
    ann.expect("* bob joined");
    ann.expect("bob: hi");
    ann.expect("* bob left");
    ann.say("/exit\n");
    ann.expect("* the room was closed");
    ann.expect_end(0);
}

#[test]
fn stdin_may_be_file_or_null() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("lines {}.txt", std::process::id()));
    std::fs::write(&path, "from a file\n").expect("written");
    let mut command = client(server.tcp, server.udp, &named(&["join", "r1", "bob"]));
    command.stdin(File::open(&path).expect("a file"));
    expect_output(&command.output().expect("the client"), 0, "", "");
    for line in ["bob joined", "bob: from a file", "bob left"] {
        ann.expect(line);
    }
    expect_output(&run(&server, &named(&["join", "r1", "cy"])), 0, "", "");
    ann.expect("cy joined");
    ann.expect("cy left");
}

#[test]
fn unreadable_stdin_is_a_failure() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut command = client(server.tcp, server.udp, &named(&["join", "r1", "bob"]));
    command.stdin(File::open("/").expect("a directory"));
    let why = "cannot read from stdin: Is a directory (os error 21)";
    let output = command.output().expect("the client");
    expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
    ann.expect("bob joined");
    ann.expect("bob left");
}

#[test]
fn bad_line_does_not_stop_the_next() {
    let server = Server::start(&[]);
    let ann = host(&server);
    // In the clear, a datagram may have 4,096 bytes: two sizes, the room, the token, the message. A
    // sealed one has neither room nor token, and the name counts (W24).
    for (options, size) in [(&["--plain"][..], 4060), (&[], 4070 - 3)] {
        let (fits, long) = ("x".repeat(size), "é".repeat(size / 2 + 1));
        let huge = "y".repeat(1 << 20);
        let input = [fits.as_bytes(), long.as_bytes(), huge.as_bytes(), b"\xff", b"ok\n"];
        let args = [options, &["join", "r1", "bob"]].concat();
        let output = pipe(&server, &args, &input.join(&b'\n'));
        let too_long =
            format!("reactor-chat-client: line not sent: it is too long, {size} bytes fit\n");
        let not_utf8 = "reactor-chat-client: line not sent: it is not UTF-8\n";
        let count = "reactor-chat-client: lines not accepted: 3\n";
        expect_output(&output, 1, "", &[&*too_long, &*too_long, not_utf8, count].concat());
        for line in ["bob joined", &format!("bob: {fits}"), "bob: ok", "bob left"] {
            ann.expect(line);
        }
    }
}

#[test]
fn name_counts_against_line_length() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let name = "b".repeat(255);
    let fits = 4070 - 255;
    let input = format!("{}\n{}\n", "x".repeat(fits + 1), "x".repeat(fits));
    let output = pipe(&server, &["join", "r1", &name], input.as_bytes());
    let complaint = format!("line not sent: it is too long, {fits} bytes fit");
    let count = "lines not accepted: 1";
    let told = format!("reactor-chat-client: {complaint}\nreactor-chat-client: {count}\n");
    expect_output(&output, 1, "", &told);
    for line in [
        &format!("{name} joined"),
        &format!("{name}: {}", "x".repeat(fits)),
        &format!("{name} left"),
    ] {
        ann.expect(line);
    }
}

#[test]
fn japanese_closing_notice_ends_client() {
    let server = Server::start(&["--lang", "ja"]);
    let ann = host(&server);
    let mut bob = start(&server, &["join", "r1", "bob"]);
    bob.say("here\n");
    ann.expect_sometime("bob: here");
    ann.say("/exit");
    bob.expect("* チャットルームが閉じられました");
    bob.expect_end(0);
}

#[test]
fn removed_client_ends() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut bob = bob_joins(&server, &ann);
    ann.say("/kick bob");
    bob.expect("* you were removed from the room by its host");
    bob.expect_end(0);
    let output = run(&server, &["join", "r1", "bob"]);
    let list = format!("reactor-chat-client {} list", options_to(server.tcp, server.udp));
    let why = format!(
        "the host has banned 'bob' or this address from room 'r1'; ask the \
         host, or find another room with: {list}"
    );
    expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
}

#[test]
fn quoted_notice_ends_nothing() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut bob = bob_joins(&server, &ann);
    ann.say("the room was closed");
    ann.say("a\nbob: b");
    bob.expect("ann: the room was closed");
    bob.expect("ann: a bob: b");
    bob.end_input();
    bob.expect_end(0);
}

#[test]
fn t6_network_text_is_sanitized() {
    let stranger = Stranger::start();
    let bob = bob_at(&stranger);
    stranger.admit();
    let (_, at) = stranger.hear();
    for datagram in [
        &b""[..],
        b"\x06short",
        b"\x04a\x1b[mred\x1b[31m\r\x07\x9b\xc2\x9b",
        b"\0notice\n* \x1b]0;title\x07",
    ] {
        stranger.udp.send_to(datagram, at).expect("sent");
    }
    bob.expect("a\\u{1b}[m: red\\u{1b}[31m\\u{d}\\u{7}\u{fffd}\\u{9b}");
    bob.expect("* notice * \\u{1b}]0;title\\u{7}");
}

#[test]
fn foreign_datagrams_are_ignored() {
    let stranger = Stranger::start();
    let bob = bob_at(&stranger);
    stranger.admit();
    let (_, at) = stranger.hear();
    let forger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    // Refused, if it is told at all: the client's socket is another's.
    let _ = forger.send_to(b"\x03annforged", at);
    stranger.udp.send_to(b"\x03annreal", at).expect("sent");
    bob.expect("ann: real");
}

#[test]
fn address_is_proved_three_times() {
    let stranger = Stranger::start();
    let mut bob = bob_at(&stranger);
    let start = Instant::now();
    stranger.admit();
    for _ in 0..3 {
        assert_eq!(stranger.hear().0, "");
    }
    assert!(start.elapsed().as_millis() >= 1000, "{:?}", start.elapsed());
    bob.say("hi\n");
    assert_eq!(stranger.hear().0, "hi");
}

#[test]
fn gone_server_is_a_failure() {
    let stranger = Stranger::start();
    let mut bob = bob_at(&stranger);
    stranger.admit();
    let (_, at) = stranger.hear();
    let [tcp, udp] = [stranger.tcp.local_addr(), stranger.udp.local_addr()];
    let [tcp, udp] = [tcp, udp].map(|address| address.expect("an address"));
    stranger.udp.send_to(b"\x03annlast", at).expect("sent");
    bob.expect("ann: last");
    drop(stranger);
    bob.say("anybody?\n");
    let back = format!("reactor-chat-client {} --plain --name bob join r1", options_to(tcp, udp));
    let why = format!("nothing listens at UDP {udp}");
    let line = format!("the server is gone: {why}; when it is back, go on with: {back}");
    bob.expect_complaint(&format!("reactor-chat-client: {line}"));
    bob.expect_end(1);
}

#[test]
fn stopping_server_is_no_failure() {
    let mut server = Server::start(&[]);
    let mut ann = ann_creates(&server, &["create", "r1", "ann"]);
    server.signal("TERM");
    assert!(server.wait().success());
    ann.expect("* the server is shutting down or restarting");
    ann.expect_end(0);
}

#[test]
fn invalid_reply_is_a_failure() {
    let mut too_large = frame(JOIN, "", b"");
    (too_large[2], too_large[29]) = (1, 0x11);
    let mut unknown = frame(JOIN, "", &[99]);
    unknown[2] = 1;
    let mut not_acknowledged = frame(JOIN, "", &[0]);
    not_acknowledged[2] = 2;
    let mut no_token = [frame(JOIN, "", &[0]), frame(JOIN, "", br#"{"token":"t"}"#)];
    (no_token[0][2], no_token[1][2]) = (1, 2);
    for (reply, why) in [
        (&b""[..], "the server at PLACE ended the connection without a reply; try again, and "),
        (
            &unknown[..20],
            "the server at PLACE ended the connection without a reply; try again, and ",
        ),
        (
            &unknown,
            "the server refuses it with status 99, unknown here; a newer client may know it",
        ),
        (&too_large, "the program at PLACE is no server of this protocol; "),
        (&not_acknowledged, "the program at PLACE is no server of this protocol; "),
        (&no_token.concat(), "the program at PLACE is no server of this protocol; "),
    ] {
        let stranger = Stranger::start();
        let mut bob = bob_at(&stranger);
        stranger.answer(reply);
        let port = stranger.tcp.local_addr().expect("an address").port();
        let next = if why.ends_with(' ') { "check host and port" } else { "" };
        let why = why.replace("PLACE", &format!("127.0.0.1 port {port}"));
        bob.expect_complaint(&format!("reactor-chat-client: {why}{next}"));
        bob.expect_end(1);
    }
}

#[test]
fn endless_input_needs_no_memory() {
    let server = Server::start(&["--rate-limit", "0"]);
    let ann = host(&server);
    let mut bob = bob_joins(&server, &ann);
    let mut stdin = bob.stdin.take().expect("open");
    let writer = thread::spawn(move || {
        loop {
            if let Err(error) = stdin.write_all(b"and on and on\n") {
                return error.kind();
            }
        }
    });
    let start = server.cpu_time();
    let is_busy = || server.cpu_time() - start > Duration::from_millis(50);
    wait_for("a signal to be worth it", || is_busy().then_some(()));
    bob.signal("INT");
    assert_eq!(bob.wait().code(), Some(1));
    assert_eq!(writer.join().expect("no panic"), ErrorKind::BrokenPipe);
}
