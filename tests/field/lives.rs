//! Members and rooms in real use: programs that crash, sleep, come back, or fail before their first
//! datagram (PROTOCOL.md, W35 to W38).

use crate::support::streams::{Listener, RESUME};
use crate::support::*;

const ROOM_EXISTS: u8 = 1;
const ROOM_NOT_FOUND: u8 = 2;

const CLOSED: &str = "the room was closed";
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

#[test]
fn w36_field_n_unproved_after_close() {
    let server = Server::start(&["--max-unproved", "2"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let enter = |name: &str| {
        let mut control = Control::connect(&server);
        control.enter(JOIN, "room", name.as_bytes());
        alice.expect(&format!("{name} joined"));
        control
    };
    let mut controls = ["a", "b", "c", "d"].map(enter);
    alice.say("/who");
    alice.expect("alice (host), a, b, c, d");
    for control in &mut controls[..2] {
        control.end();
        control.expect_end();
    }
    alice.expect_silence();
    controls[3].end();
    alice.expect("a timed out");
    let mut elsewhere = Control::connect_from(&server, loopback(2));
    assert_eq!(elsewhere.status_of(JOIN, "room", b"a"), 0, "its name is free");
    alice.say("/who");
    alice.expect_sometime("alice (host), b, c, d, a");
}

#[test]
fn field_n_create_replaces_failed_host() {
    let server = Server::start(&[]);
    for failed in [text("alice").as_str(), "alice", r#"{"username":"alice","delivery":"stream"}"#] {
        let mut control = Control::connect(&server);
        wait_for("the room of bob to be taken over", || {
            (control.status_of(CREATE, "room", failed.as_bytes()) == 0).then_some(())
        });
        let mut other = Control::connect(&server);
        assert_eq!(
            other.status_of(CREATE, "room", b"bob"),
            ROOM_EXISTS,
            "it may be about to speak"
        );
        control.reset();
        wait_for("the end of the connection", || {
            let payload = text("bob");
            (other.status_of(CREATE, "room", payload.as_bytes()) == 0).then_some(())
        });
        let mut elsewhere = Control::connect_from(&server, loopback(2));
        other.end();
        other.expect_end();
        assert_eq!(elsewhere.status_of(CREATE, "room", b"carol"), ROOM_EXISTS, "another IP");
    }
}

#[test]
fn w38_field_b_host_returns_as_host() {
    let server = Server::start(&["--replace-silent", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    let again = wait_for("the return of alice", || {
        bob.say("");
        let (mut control, payload) = (Control::connect(&server), text("alice"));
        let status = control.status_of(CREATE, "room", payload.as_bytes());
        assert_eq!(status, ROOM_EXISTS, "it lives with its guests");
        control.request(JOIN, "room", payload.as_bytes());
        (control.expect_status() == 0).then(|| {
            let token = control.expect_reply().payload.try_into().expect("a token");
            Member::with_token(server.udp, control.local_ip(), "room", token)
        })
    });
    bob.expect("alice joined");
    alice.expect_empty_socket();
    again.say("/who");
    again.expect("bob, alice (host)");
    alice.expect(SILENT);
    again.say("/kick bob");
    bob.expect("you were removed from the room by its host");
    again.say("/exit");
    again.expect_sometime(CLOSED);
    alice.expect_empty_socket();
}

#[test]
fn w38_field_b_successor_gets_no_farewell() {
    let server = Server::start(&["--replace-silent", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    let mut control = Control::connect(&server);
    let token = wait_for("the return of bob", || {
        alice.say("");
        control.request(JOIN, "room", b"bob");
        (control.expect_status() == 0).then(|| control.expect_reply().payload)
    });
    let token: Token = token.try_into().expect("a token");
    bob.send_datagram(&datagram("room", &token, b"back"));
    alice.expect_sometime("bob: back");
    alice.say("hi");
    assert_eq!(bob.hear(), b"\x05alicehi");
    bob.expect_empty_socket();
}

#[test]
fn w35_field_b_room_outlives_lost_host() {
    let server = Server::start(&["--idle-timeout", "2", "--host-leaves", "pass"]);
    let vanished = Listener::create(&server, "vanished");
    let also = Member::join(&server, "room", &text("also"));
    let _silent = Listener::join(&server, "silent");
    let awake = Member::join(&server, "room", &text("awake"));
    hear_while_awake(&awake, "awake is the host now");
    also.expect_sometime("vanished timed out");
    also.expect_sometime(SILENT);
    let back = Member::join(&server, "room", &text("vanished"));
    awake.expect_sometime("vanished joined");
    back.settle();
    vanished.wire.say("under my old token");
    awake.expect_silence();
}

#[test]
fn w37_field_b_late_member_rejoins() {
    let server = Server::start(&["--idle-timeout", "1", "--max-members", "2"]);
    let payload = r#"{"username":"alice","capacity":2,"hidden":true,"password":"x"}"#;
    let alice = Member::create(&server, "room", payload);
    let bob = r#"{"username":"bob","password":"x","delivery":"stream"}"#;
    let mut control = Control::connect(&server);
    for _ in 0..3 {
        control.request(JOIN, "room", bob.as_bytes());
        let completion = control.expect_success();
        let completion: serde_json::Value = serde_json::from_slice(&completion).expect("JSON");
        let token = completion["token"].as_str().expect("a token");
        hear_while_awake(&alice, "bob timed out");
        assert_eq!(control.status_of(RESUME, "room", token.as_bytes()), ROOM_NOT_FOUND);
    }
}

#[test]
fn field_l_log_names_guessing_address() {
    let server = Server::start(&["--wrong-passwords", "3"]);
    let _host = Member::create(&server, "room", r#"{"username":"host","password":"s3cret"}"#);
    let guess = |ip: u8| {
        let wrong = r#"{"username":"eve","password":"gu3ss"}"#;
        let mut control = Control::connect_from(&server, loopback(ip));
        control.status_of(JOIN, "room", wrong.as_bytes())
    };
    for _ in 0..5 {
        guess(2);
        guess(3);
    }
    server.signal("TERM");
    let log = server.log_to_the_end();
    for ip in ["127.0.0.2", "127.0.0.3"] {
        let about: Vec<&str> = log
            .iter()
            .filter(|line| line.contains(ip))
            .map(|line| line.split_once(" WARN ] ").expect("a warning").1)
            .collect();
        let [guessed, limited] = about[..] else { panic!("one line a minute and kind: {log:#?}") };
        assert_eq!(guessed, format!("wrong password from {ip} (count 1)"));
        assert_eq!(limited, format!("limit --wrong-passwords reached by {ip} (count 1)"));
    }
    let secrets = ["s3cret", "gu3ss", "eve", "room \""];
    assert!(!log.iter().any(|line| secrets.iter().any(|word| line.contains(word))), "{log:#?}");
}

#[test]
fn field_e_missing_udp_is_warned_once() {
    // The first check comes with the idle timeout if that is shorter than 10 s.
    let server = Server::start(&["--idle-timeout", "2"]);
    let heard = Member::create(&server, "room", &text("heard"));
    let unheard: Vec<Listener> = (0..3)
        .map(|guest| {
            let payload = format!(r#"{{"username":"g{guest}","delivery":"stream"}}"#);
            Listener::enter_unproved(&server, JOIN, "room", &payload)
        })
        .collect();
    hear_while_awake(&heard, "g2 timed out");
    let line = server.expect_log("no datagram from 127.0.0.1 ");
    assert!(line.contains("WARN") && line.contains("UDP port"), "{line}");
    unheard[0].wire.expect_empty_socket();
    server.signal("TERM");
    let log = server.log_to_the_end();
    assert_eq!(log.iter().filter(|line| line.contains("no datagram")).count(), 0, "once: {log:#?}");
}
