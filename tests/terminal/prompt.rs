//! The client on a terminal, outside of a conversation: the password that is asked for, and lists.

use crate::support::program::*;
use crate::support::pty::*;
use crate::support::*;

/// A room with the password "secret".
fn locked_room(server: &Server) -> Member {
    Member::create(server, "r1", r#"{"username":"ann","password":"secret"}"#)
}

/// Bob at a terminal, who is asked.
fn asked(server: &Server) -> Terminal {
    let command = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[("REACTOR_CHAT_PASSWORD", "")]);
    bob.expect(&[QUESTION]);
    assert!(!bob.echoes());
    bob
}

const QUESTION: &str = "Room 'r1' needs a password. Password:";
const AGAIN: &str = "That is not the password of room 'r1'. Password:";

#[test]
fn password_is_read_without_echo() {
    let server = Server::start(&[]);
    let ann = locked_room(&server);
    let mut bob = asked(&server);
    bob.keys("secret?\r");
    bob.expect(&[QUESTION, AGAIN]);
    bob.keys("secret\r");
    ann.expect("bob joined");
    bob.expect(&[
        QUESTION,
        AGAIN,
        TODAY,
        "HH:MM         -- in r1 as bob, encrypted; /exit leaves",
        "HH:MM          * bob joined",
        ">",
    ]);
    bob.keys(CTRL_D);
    ann.expect("bob left");
    bob.expect_end(0);
}

#[test]
fn three_wrong_passwords_end_it() {
    let server = Server::start(&[]);
    let _ann = locked_room(&server);
    let mut bob = asked(&server);
    for questions in 2..=3 {
        bob.keys("wrong\r");
        bob.expect_where("another question", |rows| rows.len() == questions);
    }
    bob.keys("wrong\r");
    bob.expect_end(1);
    let why = "reactor-chat-client: that is not the password of room 'r1'; ask its host for it";
    bob.expect(&[QUESTION, AGAIN, AGAIN, why]);
}

#[test]
fn cancelled_question_restores_terminal() {
    let server = Server::start(&[]);
    let _ann = locked_room(&server);
    for key in [CTRL_C, CTRL_D] {
        let mut bob = asked(&server);
        bob.keys(key);
        bob.expect_end(1);
        let why = "reactor-chat-client: no password was given";
        bob.expect(&[QUESTION, why]);
    }
    for signal in ["TERM", "INT", "HUP"] {
        let mut bob = asked(&server);
        bob.keys("sec");
        bob.signal(signal);
        bob.expect_end(1);
    }
}

/// Keys that would kill or stop the client while the terminal echoes nothing.
#[test]
fn password_question_has_its_line_end() {
    let server = Server::start(&[]);
    let _ann = locked_room(&server);
    let mut bob = asked(&server);
    bob.keys("\x1c\x1a\r");
    bob.expect(&[QUESTION, AGAIN]);
    bob.keys(CTRL_C);
    bob.expect_end(1);
}

#[test]
fn closed_terminal_ends_question() {
    let server = Server::start(&[]);
    let _ann = locked_room(&server);
    let mut bob = asked(&server);
    bob.hang_up();
    assert_eq!(bob.wait().code(), Some(1));
}

#[test]
fn list_fits_the_screen() {
    let server = Server::start(&["--max-members", "0", "--max-room-members", "0"]);
    let lobby = r#"{"username":"a","capacity":500,"password":"x"}"#;
    let _lobby = Member::create(&server, "lobby", lobby);
    let _wide = Member::create(&server, "とても長い名前の部屋です", &text("b"));
    let mut list = Terminal::start(&server, SMALL, &["list"]);
    list.expect(&[
        "ROOM                  MEMBERS   PASSWORD",
        "lobby                 1 of 500  yes",
        "とても長い名前の部…   1         no",
    ]);
    list.expect_end(0);
    let mut list = Terminal::start(&server, USUAL, &["list"]);
    list.expect(&[
        "ROOM                      MEMBERS   PASSWORD",
        "lobby                     1 of 500  yes",
        "とても長い名前の部屋です  1         no",
    ]);
    list.expect_end(0);
}
