//! Tests of the moves of sealed members (E10, E11).

use std::collections::HashMap;

use super::*;

/// A datagram that pays for a challenge.
const LONG: &str = "a longer message";

#[test]
fn e10_join_proves_address_of_its_peer() {
    let mut server = Server::new();
    let mut client = server.seal(1, HOME);
    let first = client.datagram("");
    assert_eq!(server.open(HOME, &first), Ok(client.taken("", Some(HOME), true)));
}

#[test]
fn e10_join_from_another_ip_is_challenged() {
    let mut server = Server::new();
    let mut client = server.seal(1, HOME);
    let first = client.datagram(LONG);
    assert_eq!(server.open(AWAY, &first), Ok(client.taken(LONG, None, false)));
    let (to, challenge) = server.challenge().expect("a challenge");
    assert_eq!(to, endpoint(AWAY));
    let answer = client.answer_to(&challenge);
    assert_eq!(server.open(AWAY, &answer), Ok(client.taken("", Some(AWAY), true)));
}

#[test]
fn e10_new_port_moves_at_once() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram("hello");
    let moved = client.taken("hello", Some("192.0.2.1:10"), true);
    assert_eq!(server.open("192.0.2.1:10", &datagram), Ok(moved));
    assert_eq!(server.challenge(), None);
}

#[test]
fn e10_new_ip_moves_with_the_answer() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram(LONG);
    assert_eq!(server.open(AWAY, &datagram), Ok(client.taken(LONG, None, false)), "but it arrives");
    let (to, challenge) = server.challenge().expect("a challenge");
    assert_eq!(to, endpoint(AWAY));
    assert!(challenge.len() <= datagram.len());
    let answer = client.answer_to(&challenge);
    assert_eq!(server.open(AWAY, &answer), Ok(client.taken("", Some(AWAY), true)));
}

#[test]
fn e10_answer_from_elsewhere_moves_nobody() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram(LONG);
    assert_eq!(server.at(AWAY, &datagram), None);
    let (_, challenge) = server.challenge().expect("a challenge");
    let answer = client.answer_to(&challenge);
    assert_eq!(server.at("203.0.113.1:9", &answer), None);
    let wrong = client.answer([0; 8]);
    assert_eq!(server.at(AWAY, &wrong), None);
    let right = client.answer([7; 8]);
    assert_eq!(server.at(AWAY, &right), None, "the address before was challenged, not this one");
}

#[test]
fn e10_older_number_moves_nobody() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let [older, newer] = [client.datagram(LONG), client.datagram(LONG)];
    assert_eq!(server.at(HOME, &newer), Some(endpoint(HOME)));
    assert_eq!(server.at("192.0.2.1:10", &older), None);
    assert_eq!(server.challenge(), None);
}

#[test]
fn e10_replay_from_elsewhere_moves_nobody() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram(LONG);
    server.open(HOME, &datagram).expect("genuine");
    for from in [AWAY, "192.0.2.1:10"] {
        assert_eq!(server.open(from, &datagram), Err(Rejected::Replayed));
    }
    let copied = client.datagram(LONG);
    assert_eq!(server.at(AWAY, &copied), None, "the copy is faster, and proves nothing");
    assert_eq!(server.open(HOME, &copied), Err(Rejected::Replayed));
    let next = client.datagram(LONG);
    assert_eq!(server.open(HOME, &next), Ok(client.taken(LONG, Some(HOME), false)));
    assert_eq!(server.challenge(), None, "the member is where it was");
}

#[test]
fn e10_challenges_of_members_are_ignored() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let challenge = client.seal(CONTROL, &Control::Challenge([1; 8]).encode());
    assert_eq!(server.open(HOME, &challenge), Ok(client.taken("", Some(HOME), false)));
    for content in [&b""[..], b"\x02", b"\x03........", b"/exit"] {
        let odd = client.seal(CONTROL, content);
        assert_eq!(server.open(HOME, &odd), Ok(client.taken("", Some(HOME), false)));
    }
    assert_eq!(server.challenge(), None);
}

#[test]
fn e10_no_randomness_no_challenge() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram(LONG);
    server.open(AWAY, &datagram).expect("genuine");
    assert_eq!(server.seals.poll_challenge(|| None, &mut Vec::new()), None);
}

/// A member and an attacker that sends copies first, each from any of many addresses.
#[test]
fn e10_bytes_out_never_exceed_bytes_in() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let (mut bytes_in, mut bytes_out) = (HashMap::new(), HashMap::new());
    let mut challenges = 0;
    for step in 0..5_000_usize {
        let from = format!("203.0.113.{}:9", step * step % 7);
        let datagram = client.datagram(&"x".repeat(step % 11));
        *bytes_in.entry(endpoint(&from)).or_default() += datagram.len();
        assert_eq!(server.at(&from, &datagram), None);
        while let Some((to, challenge)) = server.challenge() {
            *bytes_out.entry(to).or_insert(0) += challenge.len();
            assert!(bytes_out[&to] <= bytes_in[&to]);
            challenges += 1;
        }
        server.wait(Duration::from_millis(100));
    }
    assert!((100..=500).contains(&challenges), "{challenges} in 500 seconds");
}

#[test]
fn e11_ip_of_the_join_does_not_bind() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    for from in [AWAY, "203.0.113.1:9", "[2001:db8::1]:9"] {
        let datagram = client.datagram(LONG);
        assert_eq!(server.open(from, &datagram), Ok(client.taken(LONG, None, false)));
        let (_, challenge) = server.challenge().expect("a challenge");
        let answer = client.answer_to(&challenge);
        assert_eq!(server.open(from, &answer), Ok(client.taken("", Some(from), true)));
        server.wait(Duration::from_secs(1));
    }
}
