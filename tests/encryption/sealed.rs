//! Sealed members of a real server: their datagrams, their resumes, their moves, and attackers.

use std::net::UdpSocket;

use crate::support::sealed::*;
use crate::support::streams::RESUME;
use crate::support::*;

const ROOM_NOT_FOUND: u8 = 2;
const MALFORMED: u8 = 9;
const ENCRYPTION_REQUIRED: u8 = 12;

/// A message that pays for a challenge.
const LONG: &str = "I am somewhere else now";

/// Creates "room" with two sealed members.
fn alice_and_bob(server: &Server) -> (Sealed, Sealed) {
    let alice = Sealed::create(server, "alice", "");
    let bob = Sealed::join(server, "bob", "");
    alice.expect("bob joined");
    assert!(bob.heard_up_to_now().is_empty());
    (alice, bob)
}

#[test]
fn e5_completion_is_an_object() {
    let server = Server::start(&[]);
    for (delivery, keys) in [("text", 2), ("named", 2), ("stream", 9)] {
        let more = format!(r#","delivery":"{delivery}""#);
        let payload = request(server.tcp, loopback(1), CREATE, &sealed("alice", &more));
        let alice = Sealed::new(server.udp, &payload.expect("a place"), loopback(1));
        let object = alice.payload.as_object().expect("an object");
        assert_eq!(object.len(), keys, "{delivery}: {object:?}");
        assert_eq!(object.contains_key("next"), delivery == "stream");
        assert_eq!(object["seal"].as_object().expect("an object").len(), 4);
        alice.say("");
        alice.say("/exit");
    }
}

#[test]
fn e5_seal_outside_tls_is_refused() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    let payload = sealed("alice", "");
    assert_eq!(control.status_of(CREATE, "room", payload.as_bytes()), MALFORMED);
    let alice = Member::create(&server, "room", &text("alice"));
    let token = String::from_utf8_lossy(&alice.token);
    let resume = format!(r#"{{"token":"{token}","seal":true}}"#);
    assert_eq!(
        request(server.tcp, loopback(1), RESUME, &resume),
        Err(MALFORMED),
        "joined in clear"
    );
    alice.expect_silence();
}

#[test]
fn e7_all_members_of_a_mixed_room() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", &text("carol"));
    alice.expect("carol joined");
    bob.expect("carol joined");
    alice.say("hello");
    bob.expect("alice: hello");
    carol.expect("alice: hello");
    carol.say("hi");
    alice.expect("carol: hi");
    bob.expect("carol: hi");
    let longest = "x".repeat(4_065);
    bob.say(&longest);
    alice.expect(&format!("bob: {longest}"));
    carol.expect(&format!("bob: {longest}"));
}

#[test]
fn e8_attackers_get_no_answer() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let attacker = UdpSocket::bind((loopback(2), 0)).expect("a free port");
    let attack = |datagram: &[u8]| {
        attacker.send_to(datagram, server.udp).expect("sent");
        alice.send_datagram(datagram);
    };
    let genuine = alice.seal(0, b"once");
    alice.send_datagram(&genuine);
    bob.expect("alice: once");
    let later = alice.seal(0, b"forged");
    attack(&genuine);
    for (at, byte) in [(1, 4), (2, !later[2]), (6, 1), (20, !later[20])] {
        let mut forged = later.clone();
        forged[at] = byte;
        attack(&forged);
    }
    attack(&later[..29]);
    assert!(alice.heard_up_to_now().is_empty());
    assert!(bob.heard_up_to_now().is_empty());
    expect_empty(&attacker);
    let counts = server.final_counts();
    for (name, count) in [
        ("malformed seals", 4),
        ("seals of unknown members", 2),
        ("replayed seals", 2),
        ("seals of other epochs", 2),
        ("forged seals", 2),
    ] {
        assert!(counts.contains(&format!(" {name} {count},")), "{name}: {counts}");
    }
}

#[test]
fn e9_token_works_only_inside_tls() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    alice.send_datagram(&datagram("room", &alice.token, b"in the clear"));
    let mut control = Control::connect(&server);
    let status = control.status_of(RESUME, "room", &alice.token);
    assert_eq!(status, ROOM_NOT_FOUND, "as for a dead token");
    assert!(bob.heard_up_to_now().is_empty());
    alice.say("sealed");
    bob.expect("alice: sealed");
    bob.say("answer");
    alice.expect("bob: answer");
}

#[test]
fn e9_sealed_only_room() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    let payload = br#"{"username":"alice","sealed_only":true}"#;
    assert_eq!(control.status_of(CREATE, "room", payload), ENCRYPTION_REQUIRED);
    let alice = Sealed::create(&server, "alice", r#","sealed_only":true"#);
    let status = control.status_of(JOIN, "room", text("carol").as_bytes());
    assert_eq!(status, ENCRYPTION_REQUIRED);
    let bob = Sealed::join(&server, "bob", "");
    alice.expect("bob joined");
    bob.say("among us");
    alice.expect("bob: among us");
}

#[test]
fn e10_new_port_needs_one_datagram() {
    let server = Server::start(&[]);
    let (mut alice, bob) = alice_and_bob(&server);
    let before = alice.move_to(loopback(1));
    alice.say("moved");
    bob.expect("alice: moved");
    bob.say("there?");
    alice.expect("bob: there?");
    expect_empty(&before);
}

#[test]
fn e10_new_ip_needs_an_answer() {
    let server = Server::start(&[]);
    let (mut alice, bob) = alice_and_bob(&server);
    let before = alice.move_to(loopback(2));
    alice.say(LONG);
    bob.expect(&format!("alice: {LONG}"));
    let value = alice.expect_challenge();
    bob.say("to the old address");
    let (mut buffer, text) = ([0; 5000], "bob: to the old address");
    let (size, _) = receive(&before, &mut buffer);
    assert_eq!(alice.open(&buffer[..size]), (false, text.into()));
    alice.answer(value);
    alice.expect_help();
    bob.say("to the new one");
    alice.expect("bob: to the new one");
    expect_empty(&before);
}

#[test]
fn e10_replay_moves_nobody() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let datagram = alice.seal(0, b"once");
    alice.send_datagram(&datagram);
    bob.expect("alice: once");
    let attackers = [1, 2].map(|last| UdpSocket::bind((loopback(last), 0)).expect("a port"));
    for attacker in &attackers {
        attacker.send_to(&datagram, server.udp).expect("sent");
    }
    assert!(bob.heard_up_to_now().is_empty());
    bob.say("where are you?");
    alice.expect("bob: where are you?");
    attackers.iter().for_each(expect_empty);
}

#[test]
fn e5_resume_brings_a_new_seal() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let resumed = alice.resume(&server, loopback(2)).expect("a resume");
    assert_ne!(resumed.terms.id, alice.terms.id);
    assert_eq!(resumed.token, alice.token);
    // The reply might have been lost.
    alice.say("still the old seal");
    bob.expect("alice: still the old seal");
    bob.say("heard");
    alice.expect("bob: heard");
    resumed.say("the new seal");
    bob.expect("alice: the new seal");
    bob.say("heard again");
    resumed.expect("bob: heard again");
    alice.say("too late");
    assert!(bob.heard_up_to_now().is_empty());
    expect_empty(&alice.socket);
}

#[test]
fn e11_moves_without_a_new_connection() {
    let server = Server::start(&[]);
    let (mut alice, bob) = alice_and_bob(&server);
    alice.move_to(loopback(3));
    alice.say(LONG);
    bob.expect(&format!("alice: {LONG}"));
    let value = alice.expect_challenge();
    alice.answer(value);
    alice.expect_help();
    alice.say("/exit");
    bob.expect("the room was closed");
}

impl Sealed {
    /// Checks that an answer comes to the socket: the server works off datagrams in order.
    fn expect_help(&self) {
        assert!(self.heard_up_to_now().is_empty());
    }
}
