//! Unix sockets of a server that has TLS on its TCP port (U2).

use crate::members::{ENCRYPTION_REQUIRED, ROOM_NOT_FOUND, enter};
use crate::support::carried::unit;
use crate::support::encrypted::Encrypted;
use crate::support::peers::{expect_answer, oversized_header};
use crate::support::streams::{RESUME, streamed};
use crate::support::unix::*;
use crate::support::*;

const OK: u8 = 0;
const MALFORMED: u8 = 9;

#[test]
fn u2_required_tls_is_for_tcp() {
    let unix = UnixServer::start(&["--tls", "required"]);
    let status = Control::connect(&unix.server).status_of(LIST, "", b"");
    assert_eq!(status, ENCRYPTION_REQUIRED);
    expect_answer(&mut unix.connect());
    // Bytes that are no frame are told their own reason.
    let mut control = unix.connect();
    control.send(&oversized_header());
    assert_ne!(control.expect_status(), ENCRYPTION_REQUIRED);
}

#[test]
fn u2_tls_is_not_served() {
    let unix = UnixServer::start(&[]);
    let mut control = unix.connect();
    // The begin of a record with a ClientHello (RFC 8446, 5.1), and more than a frame's header.
    control.send(&[&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat());
    assert_eq!(control.expect_status(), MALFORMED);
    control.expect_end();
}

#[test]
fn u2_member_moves_into_tls() {
    let unix = UnixServer::start(&[]);
    let mut alice = enter(&unix, CREATE, &text("alice"));
    let bob = enter(&unix, JOIN, &streamed("bob", ""));
    let token = String::from_utf8(bob.ticket().token.to_vec()).expect("ASCII");
    let mut control = Control::connect(&unix.server);
    assert_eq!(control.status_of(RESUME, "room", token.as_bytes()), ROOM_NOT_FOUND);
    let mut inside = Encrypted::connect(&unix.server);
    assert_eq!(inside.status_of(RESUME, "room", token.as_bytes()), ENCRYPTION_REQUIRED);
    let payload = format!(r#"{{"token":"{token}","carry":true}}"#);
    assert_eq!(inside.status_of(RESUME, "room", payload.as_bytes()), OK);
    inside.send(&unit(&[&[0], &1u32.to_be_bytes()[..], b"inside TLS"].concat()));
    alice.hear_until("bob: inside TLS");
    // Its datagrams may be sealed, because its token was never in the clear (E5).
    let payload = format!(r#"{{"token":"{token}","seal":true}}"#);
    let mut inside = Encrypted::connect(&unix.server);
    assert_eq!(inside.status_of(RESUME, "room", payload.as_bytes()), OK);
}

#[test]
fn u2_unix_alone_needs_no_key() {
    let directory = Directory::new();
    let state = directory.file("state");
    for (options, has_key) in [(&[][..], false), (&["--bind", "127.0.0.1"][..], true)] {
        let mut command = server_at(&directory.file("chat"));
        command.args(options).env(STATE_DIRECTORY, &state);
        let addresses = 1 + options.len() / 2;
        drop(Server::spawn(command, addresses));
        assert_eq!(state.join("key.pem").exists(), has_key);
    }
}
