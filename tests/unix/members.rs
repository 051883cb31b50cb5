//! Members on Unix sockets: always carried, private without TLS, and otherwise like all others (U2).

use std::io::Read;

use crate::support::carried::Carried;
use crate::support::peers::oversized_header;
use crate::support::streams::{Item, Listener, RESUME, SERVER_GOING, is_in, streamed};
use crate::support::unix::*;
use crate::support::*;

pub const ROOM_NOT_FOUND: u8 = 2;
pub const ENCRYPTION_REQUIRED: u8 = 12;

pub fn enter(unix: &UnixServer, operation: u8, payload: &str) -> Carried {
    Carried::enter_over(unix.connect(), operation, payload)
}

/// Returns a message in named delivery.
fn named(name: &str, text: &str) -> String {
    format!("{}{name}{text}", char::from(name.len() as u8))
}

/// Three members on a Unix socket, and three with datagrams, in all forms of delivery.
struct Everybody {
    alice: Carried,
    bob: Carried,
    carol: Carried,
    dave: Member,
    erin: Member,
    frank: Listener,
}

impl Everybody {
    pub fn enter(unix: &UnixServer) -> Self {
        Self {
            alice: enter(unix, CREATE, &text("alice")),
            bob: enter(unix, JOIN, "bob"),
            carol: enter(unix, JOIN, &streamed("carol", "")),
            dave: Member::join(&unix.server, "room", &text("dave")),
            erin: Member::join(&unix.server, "room", "erin"),
            frank: Listener::join(&unix.server, "frank"),
        }
    }

    /// Checks that all but the speaker get a message.
    fn expect(&mut self, speaker: &str, message: &str) {
        let (in_text, in_name) = (format!("{speaker}: {message}"), named(speaker, message));
        if speaker != "alice" {
            self.alice.hear_until(&in_text);
        }
        if speaker != "bob" {
            self.bob.hear_until(&in_name);
        }
        if speaker != "dave" {
            self.dave.expect_sometime(&in_text);
        }
        if speaker != "erin" {
            self.erin.expect_sometime(&in_name);
        }
        self.carol.hear_items_until(message);
        while !is_in(&self.frank.hear().items, message) {}
    }
}

#[test]
fn u2_all_forms_meet_in_one_room() {
    let unix = UnixServer::start(&[]);
    let mut all = Everybody::enter(&unix);
    all.alice.say("one");
    all.expect("alice", "one");
    all.bob.say("two");
    all.expect("bob", "two");
    all.carol.say_in_stream(1, "three");
    all.expect("carol", "three");
    all.dave.say("four");
    all.expect("dave", "four");
    all.erin.say("five");
    all.expect("erin", "five");
    all.frank.say(1, "six");
    all.expect("frank", "six");
    all.dave.say("/who");
    all.dave.expect(
        "alice (host), bob, carol, dave (unencrypted), erin (unencrypted), frank (unencrypted)",
    );
}

#[test]
fn u2_drain_tells_everybody() {
    const GOING: &str = "the server is shutting down or restarting";
    let mut unix = UnixServer::start(&[]);
    let mut all = Everybody::enter(&unix);
    unix.server.signal("TERM");
    all.alice.hear_until(GOING);
    all.bob.hear_until(&format!("\0{GOING}"));
    assert_eq!((all.alice.hear(), all.bob.hear()), (None, None));
    all.dave.expect_sometime(GOING);
    all.erin.expect_sometime(&format!("\0{GOING}"));
    all.frank.expect_aside(SERVER_GOING);
    let mut last = None;
    while let Some(unit) = all.carol.hear() {
        last = streams::Packet::read(&unit).items.pop();
    }
    assert!(matches!(last, Some(Item::Aside { code: SERVER_GOING, .. })), "{last:?}");
    assert!(unix.server.wait().success());
}

#[test]
fn u2_sealed_only_room_admits_users() {
    let unix = UnixServer::start(&[]);
    let payload = r#"{"username":"alice","sealed_only":true}"#;
    let mut alice = enter(&unix, CREATE, payload);
    let mut control = Control::connect(&unix.server);
    let status = control.status_of(JOIN, "room", text("bob").as_bytes());
    assert_eq!(status, ENCRYPTION_REQUIRED);
    let mut bob = enter(&unix, JOIN, &text("bob"));
    alice.expect("bob joined");
    bob.say("among us");
    alice.expect("bob: among us");
    alice.say("/who");
    alice.expect("alice (host), bob");
}

#[test]
fn u2_nothing_is_sealed() {
    let unix = UnixServer::start(&[]);
    let mut alice = enter(&unix, CREATE, r#"{"username":"alice","seal":true}"#);
    assert_eq!(alice.payload.len(), 32, "a token alone");
    let mut bob = enter(&unix, JOIN, &streamed("bob", r#","seal":true"#));
    assert_eq!(bob.ticket().token.len(), 32, "no terms of a seal");
    bob.say_in_stream(1, "carried");
    alice.hear_until("bob: carried");
}

#[test]
fn u2_no_port_is_announced() {
    let unix = UnixServer::start(&[]);
    let alice = Member::create(&unix.server, "room", &text("alice"));
    let mut bob = enter(&unix, JOIN, &text("bob"));
    let port = alice.port().to_be_bytes();
    bob.control.send(&port);
    bob.control.end();
    assert_eq!(bob.hear(), None);
    alice.expect("bob joined");
    alice.expect("bob left");
    assert!(!unix.server.final_counts().contains("ports announced"));
}

#[test]
fn u2_member_moves_to_a_unix_socket() {
    let unix = UnixServer::start(&[]);
    let mut alice = enter(&unix, CREATE, &text("alice"));
    let bob = Listener::join(&unix.server, "bob");
    alice.expect("bob joined");
    bob.say(1, "over UDP");
    alice.expect("bob: over UDP");
    let token = String::from_utf8(bob.ticket.token.to_vec()).expect("ASCII");
    let mut moved = enter(&unix, RESUME, &token);
    moved.say_in_stream(2, "over the Unix socket");
    alice.expect("bob: over the Unix socket");
    // It is private now, and its token works in the clear no longer (E9).
    let mut control = Control::connect(&unix.server);
    assert_eq!(control.status_of(RESUME, "room", token.as_bytes()), ROOM_NOT_FOUND);
    bob.say(3, "in the clear");
    moved.say_in_stream(3, "still here");
    alice.expect("bob: still here");
}

#[test]
fn u2_detached_member_comes_back() {
    let unix = UnixServer::start(&[]);
    let mut alice = enter(&unix, CREATE, &text("alice"));
    let bob = enter(&unix, JOIN, &streamed("bob", ""));
    alice.expect("bob joined");
    let token = bob.ticket().token;
    drop(bob);
    alice.say("missed");
    let mut bob = enter(&unix, RESUME, std::str::from_utf8(&token).expect("ASCII"));
    bob.hear_items_until("missed");
    // A second connection takes the place of the first.
    let mut again = bob.resume(unix.connect());
    bob.hear_to_the_end_of_stream();
    alice.say("once more");
    again.hear_items_until("once more");
}

#[test]
fn u2_other_protocols_get_the_same() {
    let unix = UnixServer::start(&["--tls", "off"]);
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    let random: Vec<u8> = (1..=255).rev().cycle().take(3000).collect();
    let inputs: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &hello,
        &random,
        &oversized_header(),
        b"\x23\x28",
    ];
    for input in inputs {
        let answer = |mut control: Control| {
            control.send(input);
            control.end();
            let mut answer = Vec::new();
            control.stream().read_to_end(&mut answer).expect("an end");
            answer
        };
        let over_tcp = answer(Control::connect(&unix.server));
        assert!(!over_tcp.is_empty());
        assert_eq!(answer(unix.connect()), over_tcp);
    }
}
