//! The client's way to a server and back: names, addresses, ports that do not answer, servers that
//! restart, hidden rooms.

mod support;

use support::pty::*;
use support::*;

/// Ann's room, which lists leave out.
fn hidden_room(server: &Server) -> Member {
    let ann = r#"{"username":"ann","password":"secret","hidden":true}"#;
    Member::create(server, "r1", ann)
}

const HIDDEN: &str =
    "Room 'r1' does not exist, or is hidden and needs a password. Password, if any:";

#[test]
fn field_client_hidden_room_asks_for_its_password() {
    let server = Server::start(&[]);
    let ann = hidden_room(&server);
    let mut bob = Terminal::start(&server, WIDE, &["join", "r1", "bob"]);
    bob.expect(&[HIDDEN]);
    bob.keys("secret\r");
    ann.expect("bob joined");
    bob.expect_row("HH:MM         -- in r1 as bob; /exit leaves");
}

#[test]
fn field_client_misspelt_room_is_left_with_enter() {
    let server = Server::start(&[]);
    let mut bob = Terminal::start(&server, WIDE, &["join", "r1", "bob"]);
    bob.expect(&[HIDDEN]);
    bob.keys("\r");
    bob.expect_end(1);
    bob.expect_where("advice", |rows| {
        rows[1].contains("does not exist, or is hidden and needs a password; create it with:")
    });
}
