//! Carried members (C1, C2, C4), on the real binary: their messages travel on the connection of the
//! request.

use std::fs;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::support::carried::{Carried, carried, unit};
use crate::support::namespace::in_namespace;
use crate::support::streams::{Item, LEFT, Listener, REMOVED, SERVER_GOING, is_in};
use crate::support::*;

/// The forms of plain delivery: further keys of a request, and a notice in this form.
const FORMS: [(&str, &str); 2] = [("", ""), (r#","delivery":"named""#, "\0")];

/// Returns a message as it arrives in a form.
fn message(form: &str, name: &str, text: &str) -> String {
    match form {
        "" => format!("{name}: {text}"),
        _ => format!("{}{name}{text}", name.len() as u8 as char),
    }
}

#[test]
fn c1_units_replace_datagrams() {
    let server = Server::start(&[]);
    for (form, notice) in FORMS {
        let mut alice = Carried::enter(&server, CREATE, &carried("alice", form));
        let mut bob = Carried::enter(&server, JOIN, &carried("bob", form));
        let carol = format!(r#"{{"username":"carol"{form}}}"#);
        let carol = Member::join(&server, "room", &carol);
        alice.expect(&format!("{notice}bob joined"));
        alice.expect(&format!("{notice}carol joined"));
        bob.expect(&format!("{notice}carol joined"));
        alice.say("one");
        bob.expect(&message(form, "alice", "one"));
        carol.expect(&message(form, "alice", "one"));
        carol.say("two");
        alice.expect(&message(form, "carol", "two"));
        bob.expect(&message(form, "carol", "two"));
        bob.say("/exit");
        alice.expect(&format!("{notice}bob left"));
        carol.expect(&format!("{notice}bob left"));
        assert_eq!(bob.hear_to_the_end(), Vec::<String>::new());
        alice.say("/exit");
        carol.expect(&format!("{notice}the room was closed"));
        assert_eq!(alice.hear_to_the_end(), [format!("{notice}the room was closed")]);
    }
}

#[test]
fn c1_any_cut_of_the_bytes() {
    let mut bytes = frame(JOIN, "room", carried("bob", "").as_bytes());
    for content in ["one", "", "two", "/help"] {
        bytes.extend(unit(content.as_bytes()));
    }
    for step in [1, 3, bytes.len()] {
        let server = Server::start(&[]);
        let alice = Member::create(&server, "room", &text("alice"));
        let mut control = Control::connect(&server);
        bytes.chunks(step).for_each(|piece| control.send(piece));
        let payload = control.expect_success();
        let mut bob = Carried { control, payload };
        assert!(bob.hear_text().starts_with('/'), "the commands");
        alice.expect("bob joined");
        alice.expect("bob: one");
        alice.expect("bob: two");
        bob.say("/exit");
        alice.expect("bob left");
    }
}

#[test]
fn c1_stream_entries_are_equal() {
    let server = Server::start(&[]);
    let mut alice = Carried::stream(&server, CREATE, "alice");
    let udp = Listener::join(&server, "udp");
    let mut bob = Carried::stream(&server, JOIN, "bob");
    alice.say_in_stream(1, "one");
    udp.say(1, "two");
    bob.say_in_stream(1, &"long ".repeat(700));
    let last = "last";
    bob.say_in_stream(2, last);
    let (of_alice, of_bob) = (alice.hear_items_until(last), bob.hear_items_until(last));
    let first = bob.ticket().next;
    assert_eq!(of_alice[0], (1, Item::joined(1, "alice")));
    assert_eq!(of_alice[first as usize - 1..], of_bob, "nobody asks for anything again");
    let mut of_udp = Vec::new();
    while !is_in(&of_udp, last) {
        of_udp.extend(udp.hear().items);
    }
    let numbered = |items: Vec<Item>| items.into_iter().filter(|item| item.numbers() > 0);
    let of_alice = of_alice.into_iter().map(|(_, item)| item).collect();
    assert!(numbered(of_alice).skip(1).eq(numbered(of_udp)), "one room for both paths");
}

#[test]
fn c1_failed_wish_is_only_a_reply() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", carried("bob", "").as_bytes()), 2);
    let mut bob = Carried::enter_over(control, CREATE, &carried("bob", ""));
    bob.say("/who");
    bob.expect("bob (host)");
}

#[test]
fn c1_keep_alive_counts() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let mut alice = Carried::create(&server, "alice");
    let mut bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    alice.control.stream().set_read_timeout(Some(Duration::from_millis(100))).expect("one");
    let silence = wait_for("bob's end", || {
        alice.say("");
        let mut heard = [0; 64];
        let size = std::io::Read::read(&mut alice.control.stream(), &mut heard).ok()?;
        Some(String::from_utf8_lossy(&heard[2..size]).into_owned())
    });
    assert_eq!(silence, "bob timed out");
    let notice = "you were removed from the room, nothing was heard from you for a while";
    assert_eq!(bob.hear_to_the_end(), [notice]);
}

#[test]
fn c1_too_large_unit_ends_connection() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    bob.say_bytes(&[b'x'; 4096]);
    assert!(bob.hear_text().starts_with("message refused, it is too long"), "but not for a unit");
    bob.control.send(&[0x10, 0x01]);
    alice.expect("bob left");
    assert_eq!(bob.hear(), None);
    assert!(server.final_counts().contains("too long 1"));
}

#[test]
fn c1_no_port_is_announced() {
    let server = Server::start(&[]);
    let mut bob = Carried::create(&server, "bob");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port().to_be_bytes();
    bob.control.send(&port);
    bob.control.end();
    assert_eq!(bob.hear(), None);
    assert!(!server.final_counts().contains("ports announced"));
}

#[test]
fn c1_last_answers_follow_the_end() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut bob = Carried::join(&server, "bob");
    bob.say("/who");
    bob.say("bye");
    bob.control.end();
    assert_eq!(bob.hear_to_the_end(), ["alice (host), bob"]);
    for text in ["bob joined", "bob: bye", "bob left"] {
        alice.expect(text);
    }
}

#[test]
fn c1_end_is_told_once() {
    let server = Server::start(&[]);
    let before = server.descriptors();
    let mut alice = Carried::stream(&server, CREATE, "alice");
    let [mut bob, mut carol] = ["bob", "carol"].map(|name| Carried::stream(&server, JOIN, name));
    bob.say_in_stream(1, "/exit");
    alice.say_in_stream(1, "/kick carol");
    alice.say_in_stream(2, "/exit");
    for (member, code) in [(&mut bob, LEFT), (&mut carol, REMOVED), (&mut alice, LEFT)] {
        let mut last = None;
        while let Some(unit) = member.hear() {
            last = streams::Packet::read(&unit).items.pop();
        }
        let Some(Item::Aside { code: told, .. }) = last else { panic!("{last:?}") };
        assert_eq!(told, code);
    }
    wait_for("all connections to end", || (server.descriptors() == before).then_some(()));
}

#[test]
fn c1_resume_moves_to_a_new_connection() {
    let server = Server::start(&[]);
    let mut alice = Carried::stream(&server, CREATE, "alice");
    alice.say_in_stream(1, "one");
    alice.hear_items_until("one");
    alice.say_bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(alice.hear_packet().items, [Item::state(2, 0)]);
    let mut moved = alice.resume(Control::connect(&server));
    assert_eq!(alice.hear(), None, "the old connection ends");
    drop(alice);
    moved.say_in_stream(2, "two");
    let heard = moved.hear_items_until("two");
    assert_eq!(heard, [(3, Item::message(1, 2, "alice", "two"))]);
}

#[test]
fn c1_datagrams_take_over() {
    let server = Server::start(&[]);
    let alice = Carried::stream(&server, CREATE, "alice");
    let mut control = Control::connect(&server);
    let ticket = alice.ticket();
    control.request(streams::RESUME, "room", &ticket.token);
    control.expect_success();
    let mut alice = alice;
    assert_eq!(alice.hear_to_the_end_of_stream(), 1, "its own join, then the end");
    let wire = Member::with_token(server.udp, control.local_ip(), "room", ticket.token);
    let listener = Listener { ticket, wire };
    listener.say(1, "one");
    listener.expect(2, &[Item::message(1, 1, "alice", "one")]);
}

#[test]
fn c1_c3_vanished_peers() {
    let server = Server::start(&["--replace-silent", "1"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    bob.control.reset();
    alice.expect("bob left");
    let carol = Carried::stream(&server, JOIN, "carol");
    alice.expect("carol joined");
    let start = Instant::now();
    carol.control.reset();
    alice.expect("carol timed out");
    assert!(start.elapsed() > Duration::from_millis(900), "its place is kept for a while");
}

/// A peer may end its half before its connection carries the member, while the request is delayed.
#[test]
fn c2_end_in_a_delay_ends_the_path() {
    let server = Server::start(&["--wrong-passwords", "6"]);
    let password = r#","password":"right""#;
    let mut alice = Carried::enter(&server, CREATE, &carried("alice", password));
    for ip in 2..8 {
        let mut guesser = Control::connect_from(&server, loopback(ip));
        for _ in 0..6 {
            guesser.status_of(JOIN, "room", br#"{"username":"guesser","password":"wrong"}"#);
        }
    }
    let mut bob = Control::connect_from(&server, loopback(8));
    bob.request(JOIN, "room", carried("bob", password).as_bytes());
    bob.stream().shutdown(Shutdown::Write).expect("an open stream");
    alice.expect("bob joined");
    alice.expect("bob left");
    bob.expect_success();
    bob.expect_end();
}

#[test]
fn c1_drained_members_are_told() {
    let mut server = Server::start(&[]);
    let mut alice = Carried::create(&server, "alice");
    let mut bob = Carried::stream(&server, JOIN, "bob");
    alice.expect("bob joined");
    server.signal("TERM");
    assert_eq!(alice.hear_to_the_end(), ["the server is shutting down or restarting"]);
    let mut last = None;
    while let Some(unit) = bob.hear() {
        last = streams::Packet::read(&unit).items.pop();
    }
    assert!(matches!(last, Some(Item::Aside { code: SERVER_GOING, .. })), "{last:?}");
    assert!(server.wait().success());
}

#[test]
fn c4_units_of_a_turn_share_a_write() {
    in_namespace(
        "c4_units_of_a_turn_share_a_write",
        "c4 on the real binary, no count of packets",
        "ip link set lo up && cat /sys/class/net/lo/statistics/rx_packets",
        units_of_a_turn_share_a_packet,
    );
}

fn units_of_a_turn_share_a_packet() {
    const COUNT: u64 = 14;
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    server.freeze();
    for number in 0..COUNT {
        alice.say(&number.to_string());
    }
    let before = packets_on_loopback();
    server.thaw();
    bob.hear_until(&format!("alice: {}", COUNT - 1));
    // One write is one packet here, and its acknowledgement is another.
    let packets = packets_on_loopback() - before;
    assert!(packets <= 4, "{packets} packets for {COUNT} units");
}

fn packets_on_loopback() -> u64 {
    // The mount of sysfs may be that of the outer namespace; proc(5) follows the process.
    let table = fs::read_to_string("/proc/self/net/dev").expect("proc(5)");
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("lo");
    line.split_whitespace().nth(1).expect("packets").parse().expect("a number")
}

#[test]
fn c1_c4_many_members_in_one_room() {
    const COUNT: usize = 500;
    let server = Server::start(&[]);
    let mut host = Carried::create(&server, "host");
    let before = server.memory();
    let mut members: Vec<Carried> =
        (0..COUNT).map(|index| Carried::join(&server, &format!("m{index}"))).collect();
    for round in 0..3 {
        let text = format!("round {round}");
        host.say(&text);
        for member in &mut members {
            member.hear_until(&format!("host: {text}"));
        }
    }
    let each = (server.memory() - before) / COUNT as u64;
    assert!(each < 3_000, "{each} bytes for each, with a connection and without units");
    members[COUNT - 1].say("and back");
    host.hear_until(&format!("m{}: and back", COUNT - 1));
}
