//! Tests of the seal that a resume brings (E5).

use super::*;

#[test]
fn e5_lost_reply_breaks_nothing() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    server.seal(1, AWAY);
    let datagram = client.datagram("hello");
    assert_eq!(server.open(HOME, &datagram), Ok(client.taken("hello", Some(HOME), false)));
    let datagram = server.message(1, "ann: hello");
    assert_eq!(client.open(&datagram).expect("under the former seal"), "ann: hello");
}

#[test]
fn e5_first_datagram_ends_former_seal() {
    let mut server = Server::new();
    let mut former = server.seal_at_home(1);
    let mut client = server.seal(1, AWAY);
    let (early, late) = (former.datagram("early"), former.datagram("late"));
    server.open(HOME, &early).expect("before the first one");
    let first = client.datagram("first");
    assert_eq!(server.open(AWAY, &first), Ok(client.taken("first", Some(AWAY), true)));
    assert_eq!(server.open(HOME, &late), Err(Rejected::UnknownId));
    let datagram = server.message(1, "ann: hello");
    assert_eq!(client.open(&datagram).expect("under the new seal"), "ann: hello");
    assert!(former.open(&datagram).is_err());
}

#[test]
fn e5_forged_first_datagram_ends_nothing() {
    let mut server = Server::new();
    let mut former = server.seal_at_home(1);
    let mut client = server.seal(1, AWAY);
    let mut forged = client.datagram("first");
    forged[HEADER] ^= 1;
    assert_eq!(server.open(AWAY, &forged), Err(Rejected::Forged));
    let datagram = former.datagram("hello");
    assert_eq!(server.open(HOME, &datagram), Ok(former.taken("hello", Some(HOME), false)));
}

#[test]
fn e5_second_resume_replaces_the_first() {
    let mut server = Server::new();
    let mut former = server.seal_at_home(1);
    let mut lost = server.seal(1, AWAY);
    let mut client = server.seal(1, AWAY);
    let datagram = lost.datagram("lost");
    assert_eq!(server.open(AWAY, &datagram), Err(Rejected::UnknownId));
    let datagram = former.datagram("former");
    assert!(server.open(HOME, &datagram).is_ok());
    let datagram = client.datagram("first");
    assert_eq!(server.open(AWAY, &datagram), Ok(client.taken("first", Some(AWAY), true)));
}

#[test]
fn e5_removed_member_frees_all_ids() {
    let mut server = Server::new();
    let mut former = server.seal_at_home(1);
    let mut client = server.seal(1, HOME);
    server.seals.remove(former.member);
    for datagram in [former.datagram("former"), client.datagram("first")] {
        assert_eq!(server.open(HOME, &datagram), Err(Rejected::UnknownId));
    }
    assert!(server.seals.ids.is_empty());
}

#[test]
fn e10_resume_needs_no_challenge() {
    let mut server = Server::new();
    server.seal_at_home(1);
    let mut client = server.seal(1, AWAY);
    let first = client.datagram("first");
    assert_eq!(server.at(AWAY, &first), Some(endpoint(AWAY)));
    assert_eq!(server.challenge(), None);
}

#[test]
fn e10_resume_from_elsewhere_is_challenged() {
    let mut server = Server::new();
    server.seal_at_home(1);
    let mut client = server.seal(1, AWAY);
    let first = client.datagram("the first one from a third IP");
    assert_eq!(server.at("203.0.113.1:9", &first), None);
    let (to, challenge) = server.challenge().expect("a challenge");
    assert_eq!(to, endpoint("203.0.113.1:9"));
    let answer = client.answer_to(&challenge);
    assert_eq!(server.at("203.0.113.1:9", &answer), Some(endpoint("203.0.113.1:9")));
}

#[test]
fn e10_only_first_datagram_needs_none() {
    let mut server = Server::new();
    server.seal_at_home(1);
    let mut client = server.seal(1, AWAY);
    let [first, second] = [client.datagram("first"), client.datagram("second")];
    assert_eq!(server.at(HOME, &first), Some(endpoint(HOME)));
    assert_eq!(server.at(AWAY, &second), None, "the reply of the resume has done its work");
}
