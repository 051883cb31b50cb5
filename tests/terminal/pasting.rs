//! Pasted text: it is sent in order, can be undone, and is data, never keys.

use super::support::pty::*;
use super::support::*;
use super::{CTRL_U, CTRL_W, CTRL_Y, UP};

#[test]
fn field_f_any_paste_is_survived() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    let lines: String = (0..3000).map(|at| format!("pasted by mistake, line {at}\r")).collect();
    for paste in [
        &*"x".repeat(70_000),
        &lines,
        &"日本語👩\u{200d}💻".repeat(5_000),
        &format!("a{}", "\u{301}".repeat(70_000)),
        "\0\x01\x1b[2J\x1b]0;x\x07\x1bP\u{9b}",
    ] {
        bob.paste(paste);
        for key in [CTRL_W, CTRL_Y, CTRL_U] {
            bob.keys(key);
        }
        bob.expect_where("an empty line", |rows| rows.last().is_some_and(|last| last == ">"));
    }
    bob.resize((1, 1));
    bob.paste("日本\ra");
    bob.keys(CTRL_U);
    bob.resize(USUAL);
    bob.keys("sorry\r");
    // The screen first: it takes what the editor draws.
    bob.expect_row("HH:MM       bob: sorry");
    ann.expect("bob: sorry");
    bob.keys(CTRL_C);
    bob.expect_end(0);
}

#[test]
fn pasted_lines_are_sent_in_order() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("\x1b[200~one\rtwo\r\nthree \u{9b}2J\x07\x1b[201~");
    bob.expect(&["> one", "two", r"three \u{9b}2J\u{7}"]);
    assert_eq!(bob.window().others, Vec::<String>::new());
    bob.keys("\x7f\x7f\x7f\x7f\x7f");
    bob.keys("\r");
    for line in ["bob: one", "bob: two", "bob: three"] {
        ann.expect(line);
    }
    bob.expect_row("HH:MM       bob: three");
}

#[test]
fn paste_can_be_undone() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("\x1b[200~one\rtwo\rthree\x1b[201~");
    bob.expect(&["> one", "two", "three"]);
    bob.keys(CTRL_U);
    bob.expect(&[">"]);
    bob.keys(CTRL_Y);
    bob.expect(&["> one", "two", "three"]);
    bob.keys(CTRL_U);
    bob.keys("four\r");
    ann.expect("bob: four");
}

#[test]
fn field_d_pasted_lines_are_data() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~");
    bob.keys(&paste("/exit\r//two\r/exit\r"));
    bob.expect(&["> /exit", "//two", "/exit"]);
    bob.keys("\r");
    for line in ["bob: /exit", "bob: //two", "bob: /exit"] {
        ann.expect(line);
    }
    bob.keys(&paste("/help"));
    bob.keys("\r");
    ann.expect("bob: /help");
    // Brought back, it still means the same.
    bob.keys(UP);
    bob.expect_row("> //help");
    bob.keys("\r");
    ann.expect("bob: /help");
    bob.keys("/kick ");
    bob.keys(&paste("ann"));
    bob.keys("\r");
    bob.expect_row("HH:MM          * only the host may do that");
    bob.keys("/exit\r");
    ann.expect("bob left");
    bob.expect_end(0);
}
