//! The pace and the limits of carried members (C3), on the real binary.

use std::time::{Duration, Instant};

use crate::support::carried::{Carried, carried};
use crate::support::streams::{Item, Listener, is_in, streamed};
use crate::support::*;
use socket2::{Domain, Socket, Type};

/// Messages of a test in which a member stops reading: more than its kernel's buffers and its outbox
/// hold, and less than the history of a room.
const UNREAD: u32 = 200;
const SIZE: usize = 1000;

fn numbered(number: u32) -> String {
    format!("{number:0SIZE$}")
}

/// Connects with a small receive buffer, so that the kernels hold little of what is not read.
fn connect_with_little_space(server: &Server) -> Control {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    socket.connect(&server.tcp.into()).expect("a connection");
    Control::over(socket.into())
}

/// Returns a stream member that reads nothing yet.
fn slow(server: &Server) -> Carried {
    let payload = streamed("slow", r#","carry":true"#);
    Carried::enter_over(connect_with_little_space(server), JOIN, &payload)
}

/// Lets a member say many messages, which two others get, one of them carried.
fn talk(speaker: &mut Carried, listeners: (&Listener, &mut Carried)) {
    for number in 1..=UNREAD {
        speaker.say_in_stream(number, &numbered(number));
        if number % 20 == 0 {
            let text = numbered(number);
            listeners.1.hear_items_until(&text);
            speaker.hear_items_until(&text);
            while !is_in(&listeners.0.hear().items, &text) {}
        }
    }
}

#[test]
fn c3_slow_reader_delays_nobody() {
    let options = ["--rate-limit", "0", "--fanout-limit", "0", "--handshake-timeout", "1"];
    let server = Server::start(&options);
    let mut alice = Carried::stream(&server, CREATE, "alice");
    let mut slow = slow(&server);
    let udp = Listener::join(&server, "udp");
    let mut carol = Carried::stream(&server, JOIN, "carol");
    // For its reader the deadline of unread replies is over long before it reads on.
    let start = Instant::now();
    talk(&mut alice, (&udp, &mut carol));
    let cpu = server.cpu_time();
    carol.expect_quiet_for(Duration::from_secs(2).saturating_sub(start.elapsed()));
    let cpu = server.cpu_time() - cpu;
    assert!(cpu < Duration::from_millis(200), "no spin: {cpu:?}");
    let heard = slow.hear_items_until(&numbered(UNREAD));
    let messages = heard.iter().filter(|(_, item)| matches!(item, Item::Message { .. }));
    assert_eq!(messages.count() as u32, UNREAD, "nothing is lost");
    let numbers: Vec<u64> = heard.iter().map(|(number, _)| *number).collect();
    let first = slow.ticket().next;
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn c3_slow_reader_learns_what_is_gone() {
    let options = ["--rate-limit", "0", "--fanout-limit", "0", "--room-history", "65536"];
    let server = Server::start(&options);
    let mut alice = Carried::stream(&server, CREATE, "alice");
    let mut slow = slow(&server);
    let udp = Listener::join(&server, "udp");
    let mut carol = Carried::stream(&server, JOIN, "carol");
    talk(&mut alice, (&udp, &mut carol));
    let heard = slow.hear_items_until(&numbered(UNREAD));
    assert!(heard.iter().any(|(_, item)| matches!(item, Item::Gone(_))), "kind 4");
    let total: u64 = heard.iter().map(|(_, item)| item.numbers()).sum();
    assert_eq!(heard[0].0 + total, heard.last().expect("one").0 + 1, "every number");
}

#[test]
fn c3_plain_reader_loses_the_rest() {
    let server = Server::start(&["--rate-limit", "0", "--fanout-limit", "0"]);
    let mut alice = Carried::create(&server, "alice");
    let control = connect_with_little_space(&server);
    let mut slow = Carried::enter_over(control, JOIN, &carried("slow", ""));
    let mut carol = Carried::join(&server, "carol");
    for number in 0..UNREAD {
        alice.say(&numbered(number));
        carol.hear_until(&format!("alice: {}", numbered(number)));
    }
    alice.say("/kick slow");
    carol.expect("slow was removed by the host");
    let heard = slow.hear_to_the_end();
    let kept = heard.iter().filter(|text| text.starts_with("alice: ")).count();
    assert!(kept > 64 && kept < UNREAD as usize, "{kept}");
    let begin = (0..64).map(|number| format!("alice: {}", numbered(number)));
    assert!(begin.eq(heard[1..].iter().take(64).cloned()), "those that had space");
    assert!(server.final_counts().contains("not sent to full connections"));
}

/// Returns the number of messages that are kept for a member that reads nothing of them.
fn kept_for_a_reader_that_stops(options: &[&str]) -> usize {
    let limits = ["--rate-limit", "0", "--fanout-limit", "0"];
    let server = Server::start(&[&limits, options].concat());
    let mut alice = Carried::create(&server, "alice");
    let control = connect_with_little_space(&server);
    let mut slow = Carried::enter_over(control, JOIN, &carried("slow", ""));
    alice.expect("slow joined");
    for number in 0..UNREAD {
        alice.say(&numbered(number));
        // One turn each: the answer is behind it.
        alice.say("/who");
        alice.expect("alice (host), slow");
    }
    alice.say("/exit");
    slow.hear_to_the_end().iter().filter(|text| text.starts_with("alice: ")).count()
}

#[test]
fn c3_scarce_memory_keeps_less() {
    let plenty = kept_for_a_reader_that_stops(&[]);
    let scarce = kept_for_a_reader_that_stops(&["--buffer-memory", "1"]);
    assert!(scarce + 50 < plenty, "{scarce} and {plenty}: 4 KiB in place of 64");
}

#[test]
fn c3_begun_unit_has_a_deadline() {
    let server = Server::start(&["--handshake-timeout", "1", "--connect-timeout", "1"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    bob.expect_quiet_for(Duration::from_millis(1500));
    bob.say("still here");
    alice.expect("bob: still here");
    bob.control.send(&[0, 9, b'x']);
    alice.expect("bob left");
    assert_eq!(bob.hear(), None);
    assert!(server.final_counts().contains("connections timed out 1"));
}

#[test]
fn c3_carried_connection_stays() {
    let server = Server::start(&["--max-connections", "4", "--max-carried", "0"]);
    let mut alice = Carried::create(&server, "alice");
    let mut bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    let mut others: Vec<Control> = (0..9).map(|_| Control::connect(&server)).collect();
    let mut evicted = others.remove(0);
    assert_eq!(evicted.expect_status(), 8);
    alice.say("hello");
    bob.expect("alice: hello");
    assert!(server.final_counts().contains("connections evicted 7"));
}

#[test]
fn c3_full_server_refuses_newcomers() {
    for (option, status) in [("--max-connections", 8), ("--max-connections-ip", 10)] {
        let server = Server::start(&[option, "2", "--max-carried", "0"]);
        let mut alice = Carried::create(&server, "alice");
        let mut bob = Carried::join(&server, "bob");
        alice.expect("bob joined");
        for _ in 0..3 {
            let mut refused = Control::connect(&server);
            assert_eq!(refused.expect_status(), status);
            refused.expect_end();
        }
        bob.say("hello");
        alice.expect("bob: hello");
        bob.say("/exit");
        assert_eq!(bob.hear(), None);
        drop(bob);
        alice.expect("bob left");
        Carried::join(&server, "carol");
        alice.expect("carol joined");
    }
}

#[test]
fn c3_carried_members_have_a_limit() {
    let server = Server::start(&["--max-connections", "4"]);
    let mut alice = Carried::create(&server, "alice");
    let _bob = Carried::join(&server, "bob");
    alice.expect("bob joined");
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", carried("carol", "").as_bytes()), 8);
    assert_eq!(control.status_of(JOIN, "room", text("carol").as_bytes()), 0, "but by datagrams");
}

#[test]
fn c3_units_wait_while_output_is_unread() {
    let server = Server::start(&["--rate-limit", "0", "--fanout-limit", "0"]);
    let mut alice = Carried::create(&server, "alice");
    let control = connect_with_little_space(&server);
    let mut deaf = Carried::enter_over(control, JOIN, &carried("deaf", ""));
    alice.expect("deaf joined");
    for number in 0..200 {
        alice.say(&numbered(number));
    }
    alice.say("/who");
    alice.expect("alice (host), deaf");
    deaf.say("I read nothing");
    alice.say("/who");
    alice.expect("alice (host), deaf");
    alice.expect_quiet_for(Duration::from_millis(100));
    deaf.hear_until(&format!("alice: {}", numbered(60)));
    alice.expect("deaf: I read nothing");
}
