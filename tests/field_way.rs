//! The client's way to a server and back: names, addresses, ports that do not answer, servers that
//! restart, hidden rooms.

mod support;

use support::family::Family;
use support::program::*;
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

/// A client with these arguments at a server of the family.
fn at_family(family: &Family, args: &[&str]) -> Talker {
    Talker::spawn(client(family.tcp, family.udp, args))
}

/// As `str(uuid4())` makes them.
fn dashed(count: u8) -> Vec<u8> {
    format!("0b29dcc8-3f65-4f2c-9b1f-6ab1a4e13a{count:02x}").into()
}

/// The longest, of bytes that are no text.
fn binary(count: u8) -> Vec<u8> {
    [&[0xff; 254][..], &[count]].concat()
}

#[test]
fn field_n_client_chats_at_a_server_of_the_family() {
    for token in [dashed, binary] {
        for delivery in [&["--delivery", "text"][..], &[]] {
            let family = Family::start(token);
            let args = |words| [delivery, words].concat();
            let mut ann = at_family(&family, &args(&["create", "r1", "ann"]));
            family.wait_for_member("ann");
            let mut bob = at_family(&family, &args(&["join", "r1", "bob"]));
            bob.say("hi ann\n");
            ann.expect("bob がチャットルームに参加しました");
            // No message before this one: keep-alives are none.
            ann.expect("bob: hi ann");
            ann.say("hi bob\n");
            bob.expect("ann: hi bob");
            ann.end_input();
            bob.expect("ann: /exit");
            bob.expect("チャットルームが閉じられました");
            ann.expect("チャットルームが閉じられました");
            bob.expect_end(0);
            ann.expect_end(0);
        }
    }
}
