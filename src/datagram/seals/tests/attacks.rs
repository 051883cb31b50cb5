//! Tests of what the server opens, and of everything else (E7, E8).

use super::*;

#[test]
fn e7_content_has_no_room_and_token() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram("hello");
    assert_eq!(server.open(HOME, &datagram), Ok(client.taken("hello", Some(HOME), false)));
    let longest = "x".repeat(4_096);
    let datagram = client.datagram(&longest);
    assert_eq!(datagram.len(), 4_126);
    assert_eq!(server.open(HOME, &datagram), Ok(client.taken(&longest, Some(HOME), false)));
    let datagram = server.message(1, "ann: hello");
    assert_eq!(client.open(&datagram).expect("genuine"), "ann: hello");
}

#[test]
fn e7_longer_datagram_is_dropped() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let datagram = client.datagram(&"x".repeat(4_097));
    assert_eq!(datagram.len(), MAX_DATAGRAM + 1);
    assert_eq!(server.open(HOME, &datagram), Err(Rejected::Malformed));
}

#[test]
fn e8_replays_are_dropped() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let sent: Vec<_> = (0..200).map(|number| client.datagram(&number.to_string())).collect();
    for datagram in &sent {
        server.open(HOME, datagram).expect("the first copy");
    }
    for datagram in &sent {
        for from in [HOME, AWAY] {
            assert_eq!(server.open(from, datagram), Err(Rejected::Replayed));
        }
    }
}

#[test]
fn e8_window_takes_128_late_ones() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let sent: Vec<_> = (0..200).map(|_| client.datagram("late")).collect();
    server.open(HOME, &sent[199]).expect("the newest");
    assert_eq!(server.open(HOME, &sent[199 - 128]), Err(Rejected::Replayed));
    assert_eq!(server.open(HOME, &sent[199 - 127]), Ok(client.taken("late", None, false)));
}

#[test]
fn e8_no_bit_can_be_changed() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let genuine = client.datagram("hello");
    for bit in 8..8 * genuine.len() {
        let mut forged = genuine.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        server.open(HOME, &forged).expect_err("forged");
    }
    assert!(server.open(HOME, &genuine).is_ok(), "forged ones change nothing");
}

#[test]
fn e8_each_reason_has_its_name() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let genuine = client.datagram("hello");
    let changed = |at: usize, byte: u8| {
        let mut forged = genuine.clone();
        forged[at] = byte;
        forged
    };
    for (at, byte, reason) in [
        (1, 1, Rejected::Malformed),
        (2, !genuine[2], Rejected::UnknownId),
        (HEADER - 1, 0, Rejected::Replayed),
        (6, 1, Rejected::UnknownEpoch),
        (HEADER, !genuine[HEADER], Rejected::Forged),
    ] {
        assert_eq!(server.open(HOME, &changed(at, byte)), Err(reason), "byte {at}");
    }
}

#[test]
fn e8_cut_datagrams_are_dropped() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    let genuine = client.datagram("hello");
    for size in 0..genuine.len() {
        let reason = if size < 30 { Rejected::Malformed } else { Rejected::Forged };
        assert_eq!(server.open(HOME, &genuine[..size]), Err(reason), "{size} bytes");
    }
}

#[test]
fn e8_id_of_another_opens_nothing() {
    let mut server = Server::new();
    let mut ann = server.seal_at_home(1);
    let mut bob = server.seal_at_home(2);
    let mut datagram = ann.datagram("I am bob");
    datagram[2..6].copy_from_slice(&bob.terms.id.to_be_bytes());
    assert_eq!(server.open(HOME, &datagram), Err(Rejected::Forged));
    let own = bob.datagram("I am bob");
    assert_eq!(server.open(HOME, &own).expect("genuine").member, bob.member);
}

#[test]
fn e8_reused_id_opens_nothing() {
    let mut server = Server::new();
    let mut ann = server.seal_at_home(1);
    let late = ann.datagram("late");
    server.seals.remove(ann.member);
    assert_eq!(server.open(HOME, &late), Err(Rejected::UnknownId));
    assert!(!server.seals.seal(ann.member, [b"", b""], &mut Vec::new()));
    let terms = SealTerms { id: ann.terms.id, ..server.terms() };
    server.seals.seal_member(member(2), &terms, peer(HOME), server.now);
    assert_eq!(server.open(HOME, &late), Err(Rejected::Forged));
}

#[test]
fn e8_downstream_comes_not_back() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    for _ in 0..3 {
        client.datagram("lost");
    }
    for _ in 0..3 {
        let mut own = server.message(1, "hello");
        assert!(server.open(HOME, &own).is_err(), "the secrets of both directions differ");
        own[HEADER - 1] = 9;
        assert_eq!(server.open(HOME, &own), Err(Rejected::Forged));
    }
}
