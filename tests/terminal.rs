//! The client on a terminal: what a person sees on the screen, and what becomes of the terminal.

mod support;

use std::ffi::OsStr;
use std::process::Command;

use support::program::*;
use support::pty::*;
use support::*;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_L: &str = "\x0c";
const CTRL_U: &str = "\x15";
const CTRL_W: &str = "\x17";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const BACK_TAB: &str = "\x1b[Z";

/// What a host is told.
const WARNING: [&str; 2] = [
    "HH:MM         -- leaving closes the room for everybody; the same again leaves,",
    "                 /host NAME makes another one the host first",
];

fn ann(server: &Server) -> Member {
    Member::create(server, "r1", &text("ann"))
}

/// Bob at a terminal in ann's room, which he has entered; the screen shows that, and no more.
fn bob(server: &Server, ann: &Member, size: Size) -> Terminal {
    let mut bob = Terminal::start(server, size, &["join", "r1", "bob"]);
    ann.expect("bob joined");
    bob.expect_row(">");
    bob
}

/// Puts away what is on the screen.
fn clear(terminal: &mut Terminal) {
    terminal.expect_where("bob joined", |rows| rows.iter().any(|row| row.contains("bob joined")));
    terminal.keys(CTRL_L);
    terminal.expect(&[">"]);
}

#[test]
fn what_is_typed_stands_while_messages_come_and_is_sent_in_one_piece() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.expect(&[
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        ">",
    ]);
    assert!(!bob.is_cooked());
    bob.keys("half a");
    bob.expect_row("> half a");
    ann.say("are you there?");
    bob.expect(&[
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        "HH:MM       ann: are you there?",
        "> half a",
    ]);
    assert_eq!(bob.cursor(), (3, 8));
    bob.keys(" line\r");
    ann.expect("bob: half a line");
    bob.expect(&[
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        "HH:MM       ann: are you there?",
        "HH:MM       bob: half a line",
        ">",
    ]);
    bob.keys("/exit\r");
    ann.expect("bob left");
    bob.expect_end(0);
}

#[test]
fn a_small_screen_shows_messages_in_lines_below_each_other() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    clear(&mut bob);
    bob.keys("a line that is longer than the screen is wide");
    ann.say("and another one, from ann, that is longer than two of them are");
    bob.expect(&[
        "HH:MM ann: and another one, from ann,",
        "           that is longer than two of",
        "           them are",
        "> a line that is longer than the screen",
        "is wide",
    ]);
    bob.keys("\r");
    bob.expect(&[
        "HH:MM ann: and another one, from ann,",
        "           that is longer than two of",
        "           them are",
        "HH:MM bob: a line that is longer than",
        "           the screen is wide",
        ">",
    ]);
}

#[test]
fn new_lines_follow_the_width_of_the_window() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.resize(SMALL);
    ann.say("a line that does not fit the small screen");
    let lines = ["HH:MM ann: a line that does not fit the", "           small screen", ">"];
    bob.expect(&lines);
    bob.resize(USUAL);
    ann.say("a line that does not fit the small screen");
    let wide = "HH:MM       ann: a line that does not fit the small screen";
    bob.expect(&[lines[0], lines[1], wide, ">"]);
}

#[test]
fn tab_completes_commands_and_names_and_goes_round() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let _anton = Member::join(&server, "r1", &text("Anton Ü"));
    ann.expect("Anton Ü joined");
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    for (keys, row) in [
        ("/wh\t", "> /who"),
        ("/k\t", "> /kick"),
        ("an\t", "> /kick ann"),
        (CTRL_W, "> /kick"),
        (CTRL_U, ">"),
        // The list of members has no other way to the screen than this.
        ("AN\t", "> ann:"),
        ("\t", "> Anton Ü:"),
        ("\t", "> AN"),
        (BACK_TAB, "> Anton Ü:"),
        (BACK_TAB, "> ann:"),
        ("look, ant\t", "> ann: look, Anton Ü"),
        ("x\r", ">"),
    ] {
        bob.keys(keys);
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
        if row == "> /who" {
            bob.keys(CTRL_U);
        }
    }
    ann.expect("bob: ann: look, Anton Ü x");
}

#[test]
fn the_arrow_keys_bring_back_what_was_typed() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("one\rtwo\rdraft");
    ann.expect("bob: one");
    ann.expect("bob: two");
    for (key, row) in
        [(UP, "> two"), (UP, "> one"), (UP, "> one"), (DOWN, "> two"), (DOWN, "> draft")]
    {
        bob.keys(key);
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
    }
    bob.keys(UP);
    bob.keys("!\r");
    ann.expect("bob: two!");
}

#[test]
fn pasted_lines_are_looked_at_and_then_sent_in_order() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("\x1b[200~one\rtwo\r\nthree \u{9b}2J\x1b[201~");
    bob.expect(&["> one", "two", "three 2J"]);
    bob.keys("\x7f\x7f\x7f\x7f");
    bob.keys("\r");
    for line in ["bob: one", "bob: two", "bob: three"] {
        ann.expect(line);
    }
    bob.expect_row("HH:MM       bob: three");
}

#[test]
fn names_have_colours_notices_are_dim_and_mentions_stand_out() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    ann.say("hello Bob, not bobby");
    bob.expect_row("HH:MM       ann: hello Bob, not bobby");
    bob.keys("me, bob.\r");
    bob.expect_row("HH:MM       bob: me, bob.");
    let mut cell = |part| bob.find(part).expect(part);
    assert!(cell("in r1 as").dim() && cell("bob joined").dim());
    assert_ne!(cell("ann:").fgcolor(), vt100::Color::Default);
    assert!(cell("bob: me").bold());
    assert!(cell("Bob, not").inverse() && !cell(", not").inverse() && !cell("bobby").inverse());
    assert!(!cell("bob.").inverse(), "our own words");
}

#[test]
fn no_color_is_honoured() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let command = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[("NO_COLOR", "1")]);
    ann.expect("bob joined");
    ann.say("hello bob");
    bob.expect_row("HH:MM       ann: hello bob");
    for part in ["in r1", "bob joined", "ann:", "hello", "bob"] {
        let cell = bob.find(part).expect(part);
        assert_eq!(cell.fgcolor(), vt100::Color::Default, "{part}");
        assert!(!cell.dim() && !cell.bold() && !cell.inverse(), "{part}");
    }
}

#[test]
fn wide_names_and_messages_stand_in_their_columns() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let tanaka = Member::join(&server, "r1", &text("田中"));
    ann.expect("田中 joined");
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    tanaka.say(&"日本語の長いメッセージ ".repeat(4));
    ann.say("e\u{301}te\u{301} 👋 ok");
    bob.expect(&[
        "HH:MM      田中: 日本語の長いメッセージ 日本語の長いメッセージ",
        "                 日本語の長いメッセージ 日本語の長いメッセージ",
        "HH:MM       ann: e\u{301}te\u{301} 👋 ok",
        ">",
    ]);
    bob.keys("日本e\u{301}");
    bob.expect_row("> 日本e\u{301}");
    assert_eq!(bob.cursor(), (3, 7));
    bob.keys("\x7f\x7fx\r");
    ann.expect_sometime("bob: 日x");
}

#[test]
fn a_host_is_asked_before_its_end_closes_the_room_for_others() {
    let server = Server::start(&[]);
    for (first, again) in [(CTRL_C, CTRL_C), (CTRL_D, CTRL_D), ("/exit\r", "/exit\r")] {
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
fn a_host_that_is_alone_or_none_any_more_is_not_asked() {
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
fn a_signal_asks_nobody_and_leaves() {
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
fn ctrl_z_stops_the_client_and_fg_goes_on() {
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

/// Keys behind which rustyline waits for another one: its thread can't be asked for the terminal.
#[test]
fn a_terminal_comes_back_from_an_editor_that_is_stuck() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("text\x1b5");
    bob.expect_row("(arg: 5) text");
    bob.signal("TERM");
    ann.expect("bob left");
    bob.expect_end(0);
}

#[test]
fn keys_that_would_hide_messages_do_nothing() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    for (key, text) in [("\x12", "a"), ("\x13", "b"), ("\x16", "c"), ("\x18", "d"), ("\x1b", "e")] {
        bob.keys(key);
        ann.say(text);
        bob.expect_row(&format!("HH:MM       ann: {text}"));
    }
}

#[test]
fn bytes_that_are_no_text_cost_their_line_only() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("caf");
    bob.expect_row("> caf");
    bob.bytes(b"\xe9!");
    bob.expect_where("an empty line", |rows| rows.last().is_some_and(|last| last == ">"));
    bob.keys("coffee\r");
    ann.expect("bob: coffee");
    bob.expect_row("HH:MM       bob: coffee");
}

#[test]
fn a_line_that_is_too_long_is_told_and_can_be_taken_back() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    // More than a screen, and more than a datagram.
    let long = "word ".repeat(820);
    bob.keys(&long[..2000]);
    bob.keys(&long[2000..]);
    bob.keys("\r");
    bob.expect_row("HH:MM         -- line not sent: it is too long, 4055 bytes fit");
    bob.keys(UP);
    bob.keys(&"\x17".repeat(810));
    bob.keys("are enough\r");
    let words = "word ".repeat(10);
    // The screen first: it takes what the editor draws.
    bob.expect_row(&format!("HH:MM       bob: {words}are"));
    ann.expect(&format!("bob: {words}are enough"));
}

#[test]
fn a_terminal_that_is_closed_leaves_the_room() {
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
fn s8_a_server_that_is_gone_is_told_of_and_ctrl_c_ends_the_client() {
    let mut server = Server::start(&[]);
    let mut bob = Terminal::start(&server, USUAL, &["create", "r1", "bob"]);
    bob.expect_row("HH:MM          * bob joined");
    server.signal("KILL");
    server.wait();
    bob.keys("anybody there?\r");
    bob.expect_row("HH:MM         -- no answer from the server, trying on");
    bob.keys("and now?");
    bob.expect_row("> and now?");
    bob.keys(CTRL_C);
    bob.expect_end(1);
    let last = bob.rows().pop();
    let why = "the server is gone, lines that it has not confirmed: 1";
    assert_eq!(last, Some(format!("reactor-chat-client: {why}")));
}

#[test]
fn the_window_has_the_rooms_name_as_long_as_it_lasts() {
    let server = Server::start(&[]);
    let mut ann = Terminal::start(&server, USUAL, &["create", "部屋 1", "ann"]);
    ann.expect_row("HH:MM          * ann joined");
    assert_eq!(ann.window().title, "部屋 1 - reactor-chat");
    ann.keys(CTRL_D);
    ann.expect_end(0);
    assert_eq!(ann.window().title, "before");
}

#[test]
fn t6_t8_nothing_from_the_network_is_obeyed() {
    let evil = "a\x1b]0;title\x07\x1b[2J\u{9b}31m\u{202e}dcba\u{2066}";
    let shown = r"a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}dcba\u{2066}";
    for delivery in ["text", "named"] {
        let stranger = Stranger::start();
        let [tcp, udp] = [stranger.tcp.local_addr(), stranger.udp.local_addr()];
        let [tcp, udp] = [tcp, udp].map(|address| address.expect("an address"));
        let command = client(tcp, udp, &["--delivery", delivery, "join", "r1", "bob"]);
        let mut bob = Terminal::spawn(&command, USUAL, &[]);
        stranger.admit();
        let (_, at) = stranger.hear();
        bob.expect_row(">");
        let before: &[u8] = if delivery == "named" { b"\x03ann" } else { b"" };
        let datagram = [before, evil.as_bytes(), b"\nHH:MM ann: forged"].concat();
        stranger.udp.send_to(&datagram, at).expect("sent");
        let name = if delivery == "named" { "      ann:" } else { "          " };
        bob.expect(&[
            "HH:MM         -- in r1 as bob; /exit leaves",
            &format!("HH:MM {name} {shown}"),
            "                 HH:MM ann: forged",
            ">",
        ]);
        assert_eq!(bob.window().title, "r1 - reactor-chat");
        assert_eq!(bob.window().others, Vec::<String>::new());
    }
}

#[test]
fn a_thousand_earlier_entries_are_there_at_once() {
    let server = Server::start(&["--rate-limit", "0"]);
    let mut ann = Talker::start(&server, &["--history", "1024", "create", "r1", "ann"]);
    ann.expect("* ann joined");
    let lines: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    ann.say(&lines);
    ann.lines_up_to("ann: line 999");
    let mut bob = Terminal::start(&server, USUAL, &["--history", "1024", "join", "r1", "bob"]);
    bob.expect_where("the last lines", |rows| {
        let tail: Vec<&str> = rows.iter().rev().take(3).map(String::as_str).collect();
        tail == [">", "HH:MM          * bob joined", "HH:MM       ann: line 999"]
    });
}

#[test]
fn a_terminal_that_can_do_nothing_gets_plain_lines() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let command = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[("TERM", "dumb")]);
    ann.expect("bob joined");
    ann.say("hi");
    bob.expect(&["reactor-chat-client: in r1 as bob; /exit leaves", "* bob joined", "ann: hi"]);
    assert!(bob.is_cooked());
    bob.keys("/exit\n");
    assert_eq!(bob.wait().code(), Some(0));
}

#[test]
fn own_lines_stand_among_the_others_with_every_delivery() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    for delivery in ["named", "text"] {
        let args = ["--delivery", delivery, "join", "r1", "bob"];
        let mut bob = Terminal::start(&server, USUAL, &args);
        ann.expect("bob joined");
        bob.expect_row(">");
        bob.keys("hi\r//who\r/nonsense\r");
        ann.expect("bob: hi");
        ann.expect("bob: /who");
        bob.expect_where("own lines, and the answer", |rows| {
            let own = ["HH:MM       bob: hi", "HH:MM       bob: /who"];
            let is_answered = rows.get(3).is_some_and(|row| row.contains("no such command, /help"));
            rows.get(1..3).is_some_and(|rows| rows == own) && is_answered
        });
        bob.keys(CTRL_C);
        ann.expect("bob left");
        bob.expect_end(0);
    }
}
