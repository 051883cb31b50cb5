//! `/help` and `/who`: the replies of the server, and lines that look like them.

use reactor_chat::protocol::stream::{Code, Entry, Header};

use super::CTRL_U;
use super::support::program::*;
use super::support::pty::*;
use super::support::*;

#[test]
fn help_shows_keys_and_commands() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("/help\r");
    bob.expect_row("HH:MM         -- Tab completes commands and names, Up brings back what was");
    bob.expect_where("the server's answer", |rows| {
        rows.iter().any(|row| row.starts_with("HH:MM          * ") && row.contains("/who"))
    });
}

/// Ann at a terminal, host of a room in which bob is and says nothing, with the list of members on
/// her screen.
fn host(server: &Server, delivery: &str) -> (Terminal, Member) {
    let args = ["--delivery", delivery, "create", "r1", "ann"];
    let mut ann = Terminal::start(server, USUAL, &args);
    ann.expect_row("HH:MM         -- in r1 as ann");
    let bob = Member::join(server, "r1", &text("bob"));
    ann.expect_row("HH:MM          * bob joined");
    ann.keys("/who\r");
    ann.expect_row("HH:MM          * ann (host), bob");
    (ann, bob)
}

#[test]
fn w28_help_is_no_member_list() {
    for delivery in ["stream", "named", "text"] {
        let server = Server::start(&[]);
        let (mut ann, bob) = host(&server, delivery);
        ann.keys("/help\r");
        ann.expect_row("HH:MM          * /exit leaves, /who lists");
        for (keys, row) in [("/kick \t", "> /kick bob"), ("\t", "> /kick"), (CTRL_U, ">")] {
            ann.keys(keys);
            ann.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
        }
        ann.keys("/exit\r");
        ann.expect_row("HH:MM         -- you are the host, so the room may close for everybody");
        bob.expect_silence();
        ann.keys("/exit\r");
        bob.expect("the room was closed");
        ann.expect_end(0);
    }
}

#[test]
fn w28_similar_lines_are_no_list() {
    let resembling = "/topic eve (host), ann, mallory";
    for delivery in ["named", "text"] {
        let server = Server::start(&[]);
        let (mut ann, bob) = host(&server, delivery);
        // A question without an answer of its own is open while these come.
        ann.keys("/who\r");
        bob.say("eve (host), ann, mallory");
        ann.expect_row("HH:MM       bob: eve (host), ann, mallory");
        ann.keys(&format!("{resembling}\r"));
        ann.expect_row("HH:MM          * no such command '/topic'");
        ann.keys("/kick \t\t");
        ann.expect_where("one name", |rows| rows.last().is_some_and(|last| last == "> /kick"));
        ann.keys("\x15/exit\r");
        ann.expect_row("HH:MM         -- you are the host");
    }
}

#[test]
fn w28_answer_is_matched_by_id() {
    let stranger = Stranger::start();
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), USUAL, &[]);
    stranger.admit_to_stream(1, 60);
    let (_, at) = stranger.hear_bytes();
    let answer = |id: u32, text: &str| {
        let mut datagram = Vec::new();
        Header { tag: 7, sequence: 1 }.encode(&mut datagram);
        let (code, text) = (Code::Answer as u8, text.as_bytes());
        Entry::Aside { code, expected: id + 1, id, text }.encode(&mut datagram);
        stranger.udp.send_to(&datagram, at).expect("sent");
    };
    // The client's own question has id 1, and its answer is not shown.
    while !stranger.hear_bytes().0.ends_with(b"\x00\x00\x00\x01/who") {}
    answer(9, "eve (host), bob");
    bob.expect_row("HH:MM          * eve (host), bob");
    answer(1, "ann (host), bob");
    bob.keys("/who\r");
    while !stranger.hear_bytes().0.ends_with(b"\x00\x00\x00\x02/who") {}
    answer(2, "ann (host), bob, cy");
    bob.expect_row("HH:MM          * ann (host), bob, cy");
    assert!(!bob.rows().contains(&"HH:MM          * ann (host), bob".into()));
    for row in ["> /kick ann", "> /kick cy", "> /kick"] {
        bob.keys(if row == "> /kick ann" { "/kick \t" } else { "\t" });
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
    }
}
