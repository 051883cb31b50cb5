//! A server that was late, because its process was stopped or its machine slept, reads what has
//! arrived before it handles deadlines.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use crate::support::peers::{allow_a_crowd, list_frame};
use crate::support::*;

/// More members than datagrams are read in a turn.
const MEMBERS: usize = 600;

/// More connections than events are taken from the kernel in a turn.
const CONNECTIONS: usize = 1_500;

#[test]
fn field_i_active_members_survive_a_pause() {
    let server = Server::start(&["--idle-timeout", "3", "--max-unproved", "0"]);
    let host = Member::create(&server, "r", &text("host"));
    let mut control = Control::connect(&server);
    let enter = |number| control.enter(JOIN, "r", text(&format!("m{number}")).as_bytes());
    let tokens: Vec<Token> = (0..MEMBERS).map(enter).collect();
    // The notices of 600 members would drive the host's answers out of a smaller buffer.
    let crowd = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let keep_alive = |token| {
        crowd.send_to(&datagram("r", token, b""), server.udp).expect("sent");
    };
    tokens.iter().for_each(keep_alive);
    host.prove();
    server.freeze();
    thread::sleep(Duration::from_secs(4));
    tokens.iter().for_each(keep_alive);
    host.say_bytes(b"");
    server.thaw();
    host.settle();
    host.settle();
    let mut asking = Control::connect(&server);
    asking.send(&list_frame());
    let list = String::from_utf8(asking.expect_success()).expect("UTF-8");
    assert!(list.contains(&format!(r#""members":{}"#, MEMBERS + 1)), "{list}");
}

#[test]
fn field_i_join_replaces_no_active_member() {
    let server = Server::start(&["--replace-silent", "1"]);
    let (_alice, bob) = alice_and_bob(&server);
    let mut control = Control::connect(&server);
    // A server that is stopped while it accepts a connection reads the request first.
    control.request(LIST, "", b"");
    control.expect_success();
    server.freeze();
    thread::sleep(Duration::from_millis(1_500));
    bob.say_bytes(b"");
    control.request(JOIN, &bob.room, text("bob").as_bytes());
    server.thaw();
    assert_eq!(control.expect_status(), 6);
}

#[test]
fn field_i_paused_requests_are_answered() {
    allow_a_crowd();
    let server = Server::start(&["--connect-timeout", "3", "--max-connections-ip", "0"]);
    let mut controls: Vec<Control> = (0..CONNECTIONS).map(|_| Control::connect(&server)).collect();
    crate::support::peers::expect_service(&server);
    server.freeze();
    thread::sleep(Duration::from_secs(4));
    controls.iter_mut().for_each(|control| control.send(&list_frame()));
    server.thaw();
    for control in &mut controls {
        assert_eq!(control.expect_status(), 0);
    }
}
