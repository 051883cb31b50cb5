//! Carried members inside TLS (C1, C3, C5), on the real binary.

use std::io::Read;

use crate::support::carried::{carried, unit};
use crate::support::encrypted::Encrypted;
use crate::support::streams::{Item, Packet, Ticket, streamed};
use crate::support::*;

/// Enters "room" inside TLS, and returns the connection and the payload of the completion.
fn enter(server: &Server, operation: u8, payload: &str) -> (Encrypted, Vec<u8>) {
    let mut encrypted = Encrypted::connect(server);
    encrypted.send(&frame(operation, "room", payload.as_bytes()));
    assert_eq!(encrypted.expect_reply().payload, [0]);
    let completion = encrypted.expect_reply().payload;
    (encrypted, completion)
}

fn hear(encrypted: &mut Encrypted) -> Vec<u8> {
    let mut size = [0; 2];
    encrypted.read_exact(&mut size).expect("a unit");
    let mut content = vec![0; usize::from(u16::from_be_bytes(size))];
    encrypted.read_exact(&mut content).expect("a whole unit");
    content
}

#[test]
fn c5_units_travel_inside_tls() {
    let server = Server::start(&[]);
    let (mut alice, token) = enter(&server, CREATE, &carried("alice", r#","seal":true"#));
    assert_eq!(token.len(), 32, "with both wishes nothing is sealed");
    let mut bob = carried::Carried::join(&server, "bob");
    let carol = Member::join(&server, "room", &text("carol"));
    for text in ["bob joined", "carol joined"] {
        assert_eq!(hear(&mut alice), text.as_bytes());
    }
    bob.expect("carol joined");
    for byte in unit(b"hello") {
        alice.send(&[byte]);
    }
    bob.expect("alice: hello");
    carol.expect("alice: hello");
    carol.say("/who");
    carol.expect("alice (host), bob (unencrypted), carol (unencrypted)");
    bob.say(&"x".repeat(4000));
    assert_eq!(hear(&mut alice).len(), "bob: ".len() + 4000);
    drop(alice);
    bob.hear_until("the room was closed");
}

#[test]
fn c3_slow_reader_inside_tls_loses_nothing() {
    const COUNT: u32 = 300;
    let server = Server::start(&["--rate-limit", "0", "--fanout-limit", "0"]);
    let mut alice = carried::Carried::stream(&server, CREATE, "alice");
    let (mut slow, completion) = enter(&server, JOIN, &streamed("slow", r#","carry":true"#));
    for number in 1..=COUNT {
        let text = format!("{number:01000}");
        alice.say_in_stream(number, &text);
        alice.hear_items_until(&text);
    }
    let (mut next, mut messages) = (Ticket::read(&completion).next, 0);
    while messages < COUNT {
        let packet = Packet::read(&hear(&mut slow));
        assert!(packet.items.is_empty() || packet.sequence == next, "in order");
        next += packet.numbers();
        let is_message = |item: &&Item| matches!(item, Item::Message { .. });
        messages += packet.items.iter().filter(is_message).count() as u32;
    }
    slow.send(&unit(&[&[0], &1u32.to_be_bytes()[..], b"all of it"].concat()));
    alice.hear_items_until("all of it");
}
