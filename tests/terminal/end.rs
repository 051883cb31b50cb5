//! The client on a terminal, and its end: who is asked, who is told, and what becomes of the
//! terminal.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;

use crate::support::program::*;
use crate::support::pty::*;
use crate::support::talkers::*;
use crate::support::*;

/// The warning for a host.
const WARNING: [&str; 2] = [
    "HH:MM         -- you are the host, so the room may close for everybody; the",
    "                 same again leaves, /host NAME makes another one the host first",
];

#[test]
fn host_with_guests_is_warned() {
    let server = Server::start(&[]);
    for (first, again) in [(CTRL_C, CTRL_C), (CTRL_D, CTRL_D), ("/quit\r", " /Leave\r")] {
        let mut ann = Terminal::start(&server, USUAL, &["create", "r1", "ann"]);
        ann.expect_row("HH:MM          * ann joined");
        let mut bob = Terminal::start(&server, USUAL, &["join", "r1", "bob"]);
        ann.expect_row("HH:MM          * bob joined");
        ann.keys(first);
        ann.expect_row(WARNING[0]);
        ann.expect_row(WARNING[1]);
        ann.keys("so I stay\r");
        for screen in [&mut bob, &mut ann] {
            screen.expect_row("HH:MM       ann: so I stay");
        }
        // A new resolution is a new question.
        ann.keys(CTRL_L);
        ann.expect(&[">"]);
        ann.keys(first);
        ann.expect_row(WARNING[1]);
        ann.keys(again);
        ann.expect_end(0);
        bob.expect_end(0);
        bob.expect_row("HH:MM          * the room was closed");
        assert_eq!(
            bob.rows().last().map(String::as_str),
            Some("HH:MM          * the room was closed")
        );
    }
}

#[test]
fn lone_host_is_not_warned() {
    let server = Server::start(&[]);
    let mut ann = Terminal::start(&server, USUAL, &["create", "r1", "ann"]);
    ann.expect_row("HH:MM          * ann joined");
    ann.keys(CTRL_D);
    ann.expect_end(0);

    let mut ann = Terminal::start(&server, USUAL, &["create", "r1", "ann"]);
    ann.expect_row("HH:MM          * ann joined");
    let mut bob = Terminal::start(&server, USUAL, &["join", "r1", "bob"]);
    ann.expect_row("HH:MM          * bob joined");
    ann.keys("/host bob\r");
    ann.expect_row("HH:MM          * bob is the host now");
    ann.keys(CTRL_C);
    ann.expect_end(0);
    bob.expect_row("HH:MM          * ann left");
    bob.keys(CTRL_C);
    bob.expect_end(0);
}

#[test]
fn signal_leaves_without_warning() {
    let server = Server::start(&[]);
    for signal in ["TERM", "INT", "HUP"] {
        let mut ann = Terminal::start(&server, USUAL, &["create", "r1", "ann"]);
        ann.expect_row("HH:MM          * ann joined");
        let mut bob = Terminal::start(&server, SMALL, &["join", "r1", "bob"]);
        ann.expect_row("HH:MM          * bob joined");
        ann.signal(signal);
        ann.expect_end(0);
        bob.expect_end(0);
    }
}

/// With a shell that has jobs: without one a terminal program is not stopped.
#[test]
fn ctrl_z_stops_and_fg_resumes() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-i"]);
    let mut bob = Terminal::spawn(&bash, USUAL, &[("PS1", "$ ")]);
    bob.expect_row("$");
    let client = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let words: Vec<_> = [client.get_program()].into_iter().chain(client.get_args()).collect();
    let line = words.join(OsStr::new(" "));
    bob.keys(&format!("clear; {}\r", line.to_str().expect("UTF-8")));
    ann.expect("bob joined");
    clear(&mut bob);
    bob.keys("typed\x1a");
    bob.expect_where("stopped", |rows| rows.iter().any(|row| row.contains("Stopped")));
    assert_eq!(bob.window().title, "before");
    ann.say("are you there?");
    bob.keys("clear; fg\r");
    bob.expect_row("HH:MM       ann: are you there?");
    bob.expect_where("the line", |rows| rows.last().is_some_and(|last| last == "> typed"));
    assert_eq!(bob.window().title, "r1 - reactor-chat");
    bob.keys("!\r");
    ann.expect("bob: typed!");
}

/// A sequence whose end does not come.
#[test]
fn resume_redraws_within_a_key() {
    for keys in ["text\x1b[", "text\x1b]", "\x1b[200~text", "\x12text"] {
        let server = Server::start(&[]);
        let ann = ann(&server);
        let mut bob = bob(&server, &ann, USUAL);
        bob.keys(keys);
        bob.signal("TERM");
        ann.expect("bob left");
        bob.expect_end(0);
    }
}

#[test]
fn stopped_terminal_allows_exit() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_who_does_not_read(&stranger, "");
    // The question who is there has arrived, so nothing keeps `/exit` back.
    stranger.udp.send_to(&stream(41, &[aside(12, 2, 0, "")]), at).expect("sent");
    bob.signal("TERM");
    while !stranger.hear_bytes().0.ends_with(b"/exit") {}
    stranger.udp.send_to(&stream(41, &[aside(2, 2, 0, "")]), at).expect("sent");
    assert_eq!(bob.wait_unseen().code(), Some(0));
    assert!(bob.is_cooked());
}

/// The server has not confirmed a line, and that can't be told.
#[test]
fn signal_leaves_stopped_terminal() {
    let stranger = Stranger::start();
    let (mut bob, _) = bob_who_does_not_read(&stranger, "a line\r");
    bob.signal("TERM");
    wait_for("the terminal's mode", || bob.is_cooked().then_some(()));
    // The loop may be on its last way still.
    let status = wait_for("the end", || {
        bob.signal("INT");
        bob.ended()
    });
    assert_eq!(status.code(), Some(130));
}

/// Bob, who has typed this, whose terminal is full, and where he is.
fn bob_who_does_not_read(stranger: &Stranger, keys: &str) -> (Terminal, SocketAddr) {
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), USUAL, &[]);
    stranger.admit_to_stream(1, 3);
    bob.expect_row(">");
    bob.keys(keys);
    let (_, at) = stranger.hear_bytes();
    // More than the kernel keeps for who does not read.
    for id in 1..=40 {
        let line = message(1, id, "ann", &"x".repeat(2000));
        stranger.udp.send_to(&stream(u64::from(id), &[line]), at).expect("sent");
    }
    while stranger.hear_bytes().0 != b"\x01\0\0\0\0\0\0\0\x29" {}
    (bob, at)
}

/// The client has asked who is there, which is nobody's line.
#[test]
fn rejoin_repeats_no_command() {
    let stranger = Stranger::start();
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), USUAL, &[]);
    stranger.admit_to_stream(1, 300);
    bob.expect_row(">");
    while !stranger.hear_bytes().0.ends_with(b"/who") {}
    bob.keys(CTRL_C);
    bob.expect_end(0);
    assert!(!bob.rows().iter().any(|row| row.contains("not accepted")), "{:#?}", bob.rows());
}

#[test]
fn closed_terminal_leaves_room() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    for size in [USUAL, SMALL] {
        let mut bob = bob(&server, &ann, size);
        bob.hang_up();
        ann.expect("bob left");
        assert_eq!(bob.wait().code(), Some(0));
    }
}

#[test]
fn s8_ctrl_c_ends_without_server() {
    let mut server = Server::start(&[]);
    let mut bob = Terminal::start(&server, USUAL, &["create", "r1", "bob"]);
    bob.expect_row("HH:MM          * bob joined");
    server.signal("KILL");
    server.wait();
    bob.keys("anybody there?\r");
    bob.expect_row("HH:MM         -- no answer from the server, still trying");
    bob.keys("and now?");
    bob.expect_row("> and now?");
    bob.keys(CTRL_C);
    bob.expect_end(1);
    let rows = bob.rows();
    assert_eq!(rows[rows.len() - 1], "reactor-chat-client: lines not accepted: 1");
}

#[test]
fn s15_typed_line_survives_restart() {
    let address = address_of_its_own();
    let options = ["--bind", &address];
    let server = Server::start(&options);
    let mut ann = Terminal::start(&server, USUAL, &["create", "r1", "ann"]);
    ann.expect_row("HH:MM          * ann joined");
    let (tcp, udp) = (server.tcp.port().to_string(), server.udp.port().to_string());
    drop(server);
    ann.keys("one\rtwo");
    ann.expect_row("HH:MM         -- no answer from the server, still trying");
    let _server = Server::start_at(&tcp, &udp, &options);
    ann.expect_row("HH:MM         -- still no answer, trying to get back into r1");
    ann.expect_row("HH:MM         -- in r1 again");
    ann.expect_row("HH:MM       ann: one");
    ann.expect_row("> two");
    ann.keys(CTRL_C);
    ann.expect_end(0);
}

#[test]
fn window_title_is_the_room() {
    let server = Server::start(&[]);
    let mut ann = Terminal::start(&server, USUAL, &["create", "部屋 1", "ann"]);
    ann.expect_row("HH:MM          * ann joined");
    assert_eq!(ann.window().title, "部屋 1 - reactor-chat");
    ann.keys(CTRL_D);
    ann.expect_end(0);
    assert_eq!(ann.window().title, "before");
}

#[test]
fn second_signal_restores_terminal() {
    let stranger = Stranger::start();
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), USUAL, &[]);
    stranger.admit_to_stream(1, 300);
    bob.expect_row(">");
    bob.signal("INT");
    // The first one is heeded: `/exit` is here.
    while !stranger.hear_bytes().0.ends_with(b"/exit") {}
    bob.signal("TERM");
    bob.expect_end(143);
}
