//! Members that send as fast as they can have a bounded cost, and others are served.

mod support;

use std::iter;
use std::os::fd::AsFd;
use std::time::Instant;

use reactor_chat::sys::{Address, Outgoing, SendBatch};
use support::streams::*;
use support::*;

/// Replies to a stream member: the burst, and the number per second.
const BURST: f64 = 5_000.0;
const RATE: f64 = 1_000.0;

/// Sends datagrams of one size, of which the last may be shorter, with UDP_SEGMENT. A receiver with
/// UDP_GRO gets them in one piece.
fn send_together(member: &Member, messages: &[&str]) {
    let datagrams: Vec<Vec<u8>> = messages
        .iter()
        .map(|text| datagram(&member.room, &member.token, text.as_bytes()))
        .collect();
    send_pieces_together(member, &datagrams);
}

fn send_pieces_together(member: &Member, datagrams: &[Vec<u8>]) {
    let (bytes, to) = (datagrams.concat(), Address::from(member.server));
    let all = [(0, bytes.len() as u32)];
    let segment = Some(datagrams[0].len() as u16);
    let message = Outgoing { to: &to, local: None, pieces: &all, segment };
    let sent = SendBatch::new().send(member.socket.as_fd(), &bytes, iter::once(message));
    assert_eq!(sent.expect("sent"), 1);
}

/// Returns the value of a counter, which is 0 if it is not logged.
fn counted(counts: &str, what: &str) -> u64 {
    let named = counts.split(", ").find_map(|count| count.strip_prefix(what)?.strip_prefix(' '));
    named.map_or(0, |count| count.parse().expect("a number"))
}

#[test]
fn d1_d2_coalesced_datagrams_are_split() {
    for path in ["mmsg", "portable"] {
        let server = Server::start(&["--datagram-path", path]);
        let (alice, bob) = alice_and_bob(&server);
        let said: Vec<String> = (0..60).map(|number| format!("message {number:02}")).collect();
        let mut said: Vec<&str> = said.iter().map(String::as_str).collect();
        // The last datagram is shorter than the others: a keep-alive.
        said.push("");
        send_together(&alice, &said);
        for text in &said[..60] {
            bob.expect(&format!("alice: {text}"));
        }
        bob.expect_silence();
        let too_long = "x".repeat(4_000 + 96);
        send_together(&alice, &[&too_long, &too_long, "fits"]);
        bob.expect("alice: fits");
        let counts = server.final_counts();
        assert_eq!(counted(&counts, "too long"), 2, "{path}: {counts}");
        assert!(counted(&counts, "keep-alives") >= 1, "{path}: {counts}");
    }
}

#[test]
fn l14_useless_batch_is_skipped() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    let mut flood = ["a message"; 64];
    flood[63] = "/exit";
    send_together(&bob, &flood);
    let mut relayed = 0;
    loop {
        match alice.hear_text().as_str() {
            "bob: a message" => relayed += 1,
            "bob left" => break,
            other => panic!("{other}"),
        }
    }
    assert!((1..=5).contains(&relayed), "{relayed} messages of a burst of 5");
    let counts = server.final_counts();
    assert_eq!(counted(&counts, "rate limited"), 8, "{counts}");
    assert_eq!(counted(&counts, "skipped"), 64 - relayed - 8 - 1, "{counts}");
}

/// A program may be several members at one port. A flood of one of them costs the others nothing.
#[test]
fn l14_skipping_affects_one_sender() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let forged = datagram(&bob.room, &[b'0'; 32], b"a message");
    let true_one = datagram(&bob.room, &bob.token, b"a message");
    let mut all = vec![forged; 40];
    all.extend(vec![true_one; 5]);
    send_pieces_together(&bob, &all);
    for _ in 0..5 {
        alice.expect("bob: a message");
    }
    assert_eq!(counted(&server.final_counts(), "skipped"), 32);
}

#[test]
fn l14_reply_flood_is_bounded() {
    const ROUNDS: usize = 200;
    const A_ROUND: usize = 100;
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let start = Instant::now();
    for round in 0..ROUNDS {
        for _ in 0..A_ROUND / 2 {
            alice.have(0);
            alice.say(7, "not the next");
        }
        // The token is dead when it gets no answer.
        bob.end();
        assert_eq!(alice.ticket.expected, 1);
        if round % 50 == 0 {
            bob.say(1 + (round / 50) as u32, "and what is said is heard");
        }
    }
    // Four messages to two members, a notice or two, tail probes.
    let others = (ROUNDS + 50) as f64;
    let most = BURST + RATE * start.elapsed().as_secs_f64() + others;
    // Alice's messages are taken as before.
    alice.say(1, "the next");
    let has_come = |packet: &Packet| {
        packet.items.iter().any(|item| matches!(item, Item::Message { member: 1, id: 1, .. }))
    };
    while !has_come(&bob.hear()) {}
    let counts = server.final_counts();
    assert!(counted(&counts, "over reply budget") > 0, "{counts}");
    let sent = counted(&counts, "sent") as f64;
    assert!(sent < most && sent > BURST, "{sent} sent, {most} at most: {counts}");
}
