//! The window: its width and height, and what wraps where.

use super::support::program::*;
use super::support::pty::*;
use super::support::*;

#[test]
fn messages_leave_typed_text_alone() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob, encrypted; /exit leaves",
        "HH:MM          * bob joined",
        ">",
    ]);
    assert!(!bob.is_cooked());
    bob.keys("half a");
    bob.expect_row("> half a");
    ann.say("are you there?");
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob, encrypted; /exit leaves",
        "HH:MM          * bob joined",
        "HH:MM       ann: are you there?",
        "> half a",
    ]);
    assert_eq!(bob.cursor(), (4, 8));
    bob.keys(" line\r");
    ann.expect("bob: half a line");
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob, encrypted; /exit leaves",
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
fn small_screen_wraps_messages() {
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
fn new_lines_follow_window_width() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.resize(SMALL);
    ann.say("a line that does not fit the small screen");
    let lines = ["HH:MM ann: a line that does not fit the", "           small screen", ">"];
    bob.expect(&lines);
    bob.resize(USUAL);
    let wide = "HH:MM       ann: a line that does not fit the small screen";
    bob.expect(&[wide, ">"]);
    ann.say("a line that does not fit the small screen");
    bob.expect(&[wide, wide, ">"]);
}

#[test]
fn field_m_resizing_leaves_one_prompt() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    ann.say("hello");
    let typed = "a line that is long enough to take several rows on a screen of forty columns, and \
                 two on one of eighty";
    bob.keys(typed);
    for size in [SMALL, USUAL, (60, 8), SMALL] {
        bob.resize(size);
        bob.expect_where("one prompt and the line above it", |rows| {
            let is_hello = rows[0].starts_with("HH:MM") && rows[0].ends_with("ann: hello");
            is_hello && rows[1..].concat().replace(' ', "") == format!("> {typed}").replace(' ', "")
        });
    }
    bob.keys("!\r");
    ann.expect(&format!("bob: {typed}!"));
}

#[test]
fn wide_text_keeps_its_columns() {
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
fn dumb_terminal_gets_plain_lines() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let command = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[("TERM", "dumb")]);
    ann.expect("bob joined");
    ann.say("hi");
    bob.expect(&[
        "reactor-chat-client: in r1 as bob, encrypted; /exit leaves",
        "* bob joined",
        "ann: hi",
    ]);
    assert!(bob.is_cooked());
    bob.keys("/exit\n");
    assert_eq!(bob.wait().code(), Some(0));
}

#[test]
fn field_m_terminal_wraps_url() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    clear(&mut bob);
    ann.say(
        "look: https://example.org/a/path/that/is/longer/than/the/screen?and=more#than-that yes",
    );
    bob.expect(&[
        "HH:MM ann: look:",
        "           https://example.org/a/path/th",
        "at/is/longer/than/the/screen?and=more#th",
        "an-that",
        "           yes",
        ">",
    ]);
}
