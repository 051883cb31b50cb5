//! W13: announced ports.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::support::{CREATE, Control, DEADLINE, JOIN, Member, Server, frame, loopback, wait_for};
use crate::{NAME_TAKEN, Newcomer, OK, ROOM_NOT_FOUND, expect_refusal, json, settle};

/// Ends the server and returns true if it has counted an announced port as taken.
fn has_taken_a_port(server: &Server) -> bool {
    server.final_counts().contains("ports announced")
}

#[test]
fn w13_port_then_end_of_stream() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(guest.member.port());
    host.say("not before the end");
    host.settle();
    let guest = guest.leave_tcp();
    host.say("hi");
    guest.expect("host: hi");
}

#[test]
fn w13_port_then_deadline() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(guest.member.port());
    let mut later = Control::connect(&server);
    later.send(b"x");
    host.say("too early");
    // The deadline of the later one has passed, and so has the first.
    expect_refusal(&mut later, 0);
    host.say("hi");
    guest.member.expect("host: hi");
    let still_open = guest.control.status_of(JOIN, "absent", b"x");
    assert_eq!(still_open, ROOM_NOT_FOUND);
}

#[test]
fn w13_longer_input_is_a_frame() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    let request = frame(JOIN, "r", json("second").as_bytes());
    guest.control.send(&request[..2]);
    settle(&mut Control::connect(&server));
    guest.control.send(&request[2..]);
    guest.control.expect_success();
    guest.announce(guest.member.port());
    guest.control.send(b"x");
    guest.control.end();
    expect_refusal(&mut guest.control, (guest.member.port() & 0xff) as u8);
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_is_for_the_last_success() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let Newcomer { mut control, member: first } = Newcomer::join(&server, "first");
    let token = control.enter(JOIN, "r", json("second").as_bytes());
    assert_eq!(control.status_of(JOIN, "r", json("second").as_bytes()), NAME_TAKEN);
    let second = Member::with_token(server.udp, control.local_ip(), "r", token);
    let mut second = Newcomer { control, member: second };
    second.announce(second.member.port());
    let second = second.leave_tcp();
    host.say("/kick second");
    second.expect("you were removed from the room by its host");
    first.expect_silence();
}

#[test]
fn w13_port_needs_a_success() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "absent", b"bob"), ROOM_NOT_FOUND);
    control.send(b"\x10\x02");
    control.end();
    expect_refusal(&mut control, 2);
}

#[test]
fn w13_learned_port_outranks_announced() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.member.prove();
    let elsewhere = Member::with_token(server.udp, loopback(1), "r", guest.member.token);
    guest.announce(elsewhere.port());
    let guest = guest.leave_tcp();
    host.say("hi");
    guest.expect("host: hi");
    elsewhere.expect_empty_socket();
}

#[test]
fn w13_datagram_replaces_announced_port() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    let elsewhere = Member::with_token(server.udp, loopback(1), "r", guest.member.token);
    guest.announce(elsewhere.port());
    let guest = guest.leave_tcp();
    guest.prove();
    host.say("hi");
    guest.expect("host: hi");
    elsewhere.expect_empty_socket();
}

#[test]
fn w13_port_0_is_ignored() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(0);
    guest.leave_tcp();
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_of_live_member_is_ignored() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let victim = Member::join(&server, "r", &json("victim"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(victim.port());
    guest.leave_tcp();
    victim.settle();
    host.say("hi");
    assert_eq!(victim.heard_up_to_now(), ["host: hi"], "once");
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_of_departed_member_is_free() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let gone = Member::join(&server, "r", &json("gone"));
    gone.say("/exit");
    host.expect_sometime("gone left");
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(gone.port());
    guest.leave_tcp();
    host.say("hi");
    gone.expect("host: hi");
}

#[test]
fn w13_reset_keeps_announced_port() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "r", &json("alice"));
    let mut control = Control::connect(&server);
    control.request(JOIN, "r", json("bob").as_bytes());
    assert_eq!(control.expect_status(), OK);
    // The completion has arrived and is unread.
    assert_ne!(control.stream().peek(&mut [0; 1]).expect("a byte"), 0);
    let socket = UdpSocket::bind((control.local_ip(), 0)).expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    alice.expect("bob joined");
    control.send(&socket.local_addr().expect("an address").port().to_be_bytes());
    control.reset();
    wait_for("the announcement", || {
        alice.say("are you there");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let mut buffer = [0; 64];
        socket.recv(&mut buffer).ok()
    });
}

#[test]
fn w13_t1_own_port_is_refused() {
    for bind in ["127.0.0.1", "0.0.0.0"] {
        let server = Server::start(&["--bind", bind]);
        let tcp = (Ipv4Addr::LOCALHOST, server.tcp.port()).into();
        let mut control = Control::connect_to(tcp);
        control.enter(CREATE, "r", json("alice").as_bytes());
        control.send(&server.udp.port().to_be_bytes());
        control.end();
        control.expect_end();
        let mut bob = Control::connect_to(tcp);
        bob.enter(JOIN, "r", json("bob").as_bytes());
        let counts = server.final_counts();
        assert!(!counts.contains("ports announced") && !counts.contains("sent"), "{counts}");
    }
}
