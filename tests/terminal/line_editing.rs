//! Editing the line that is being typed: keys, recall, search, completion, and long lines.

use super::support::pty::*;
use super::support::*;
use super::{BACK_TAB, CTRL_U, CTRL_W, DOWN, UP};

#[test]
fn field_m_typed_emoji_erase_nothing() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, (60, 16));
    clear(&mut bob);
    ann.say("hello");
    bob.expect_row("HH:MM       ann: hello");
    let typed = "typing 👩\u{200d}💻 and 👨\u{200d}👩\u{200d}👧\u{200d}👦 flags 🇩🇪🇯🇵 heart ❤\u{fe0f} wave 👋🏽 \
                 e\u{301} and नमस्ते then more text to wrap";
    for c in typed.chars() {
        bob.keys(&c.to_string());
    }
    bob.keys("\r");
    ann.expect(&format!("bob: {typed}"));
    bob.expect_where("both lines", |rows| {
        rows[0] == "HH:MM       ann: hello" && rows[1].starts_with("HH:MM       bob: typing")
    });
}

#[test]
fn field_m_search_goes_on_at_messages() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    bob.keys("apples\rpears\r");
    ann.expect("bob: apples");
    ann.expect("bob: pears");
    bob.expect_row("HH:MM bob: pears");
    clear(&mut bob);
    bob.keys("draft\x12APP");
    bob.expect(&["(search 'APP') apples"]);
    ann.say("still here");
    bob.expect(&["HH:MM ann: still here", "(search 'APP') apples"]);
    bob.keys("x");
    bob.expect(&["HH:MM ann: still here", "(nothing older has 'APPx') apples"]);
    bob.keys("\x07");
    bob.expect(&["HH:MM ann: still here", "> draft"]);
    bob.keys("\x12pea\r");
    ann.expect("bob: pears");
}

#[test]
fn tab_completes_commands_and_names() {
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
        ("@an\t", "> ann: look, Anton Ü @ann"),
        ("\t", "> ann: look, Anton Ü @Anton Ü"),
        ("x\r", ">"),
    ] {
        bob.keys(keys);
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
        if row == "> /who" {
            bob.keys(CTRL_U);
        }
    }
    ann.expect("bob: ann: look, Anton Ü @Anton Ü x");
}

#[test]
fn arrow_keys_recall_lines() {
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
fn keys_hide_no_messages() {
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
fn invalid_bytes_are_skipped() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("caf");
    bob.expect_row("> caf");
    bob.bytes(b"\xe9!");
    bob.expect_where("the rest of the line", |rows| {
        rows.last().is_some_and(|last| last.starts_with("> caf") && last.ends_with('!'))
    });
    bob.keys(CTRL_U);
    bob.keys("coffee\r");
    ann.expect("bob: coffee");
    bob.expect_row("HH:MM       bob: coffee");
}

#[test]
fn too_long_line_can_be_edited() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    // More than a screen, and more than a message.
    let long = "word ".repeat(820);
    bob.keys(&long[..2000]);
    bob.keys(&long[2000..]);
    bob.keys("\r");
    bob.expect_row("HH:MM         -- line not sent: it is too long, 4067 bytes fit");
    bob.keys(UP);
    bob.keys(&"\x17".repeat(810));
    bob.keys("are enough\r");
    let words = "word ".repeat(10);
    // The screen first: it takes what the editor draws.
    bob.expect_row(&format!("HH:MM       bob: {words}are"));
    ann.expect(&format!("bob: {words}are enough"));
}
