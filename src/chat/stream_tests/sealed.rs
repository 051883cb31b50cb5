//! Sealed members with stream delivery: their addresses, their resumes and their tombstones.

use super::*;

/// Bytes that a seal adds to a datagram (E6).
const OVERHEAD: usize = 30;

const SEALED: &str = r#","delivery":"stream","seal":true"#;
const SEAL: &str = r#","seal":true"#;

/// Returns a stage with a room, its host, and a sealed guest that has proved its address.
fn sealed_guest() -> (Stage, Guest, Guest) {
    let mut stage = Stage::new(unlimited());
    let host = stage.host("r");
    stage.is_encrypted = true;
    let guest = stage.try_enter(2, "r", "guest", SEALED).expect("admission");
    stage.sealed(&guest, Some(guest.address), b"");
    stage.deliver();
    (stage, host, guest)
}

impl Stage {
    /// Hands in what a sealed member has sent. `at` is its address, if it is proved.
    fn sealed(&mut self, guest: &Guest, at: Option<Endpoint>, body: &[u8]) -> MessageOutcome {
        if at.is_some() {
            self.reachable.insert(guest.id);
        }
        match self.chat.handle_sealed(guest.id, at, body, self.now) {
            DatagramOutcome::Accepted(_, outcome) => outcome,
            DatagramOutcome::Dropped(why) => panic!("{why:?}"),
        }
    }
}

#[test]
fn e10_unproved_address_gets_nothing() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    stage.is_encrypted = true;
    let guest = stage.try_enter(2, "r", "guest", SEALED).expect("admission");
    stage.sealed(&guest, None, b"");
    stage.reachable.insert(guest.id);
    stage.say(&mut host, "hi");
    stage.deliver();
    assert!(stage.received(&guest).texts().is_empty());
    stage.sealed(&guest, Some((ELSEWHERE, 7).into()), b"");
    stage.deliver();
    let end = stage.received(&host).next;
    stage.assert_whole(&guest, end);
}

#[test]
fn e5_resume_keeps_the_old_address() {
    let (mut stage, mut host, guest) = sealed_guest();
    stage.resume_on(&guest, ELSEWHERE, SEAL).expect("a path");
    stage.reachable.insert(guest.id);
    stage.say(&mut host, "to the old address");
    stage.deliver();
    let end = stage.received(&host).next;
    stage.assert_whole(&guest, end);
    let member = stage.chat.directory.live(guest.id).expect("live");
    assert_eq!(member.address(), Some((HOME.into(), guest.address.port())));
    assert_eq!(member.peer, ELSEWHERE.into(), "the limits count by the new one");
    stage.sealed(&guest, Some((ELSEWHERE, 7).into()), b"");
    let member = stage.chat.directory.live(guest.id).expect("live");
    assert_eq!(member.address(), Some((ELSEWHERE.into(), 7)));
}

#[test]
fn e5_other_resumes_need_a_new_proof() {
    let (mut stage, mut host, guest) = sealed_guest();
    let carry = r#","carry":true"#;
    stage.resume_on(&guest, HOME, carry).expect("a path");
    stage.resume_on(&guest, HOME, SEAL).expect("a path");
    let moved = PathEnd { member: guest.id, code: None };
    assert_eq!(stage.chat.poll_path_end(), Some(moved));
    stage.reachable.insert(guest.id);
    stage.discard_received();
    stage.say(&mut host, "hi");
    stage.deliver();
    assert!(stage.received(&guest).texts().is_empty(), "its old address is forgotten");
}

#[test]
fn e8_s13_tombstone_answers_its_seal() {
    let (mut stage, mut host, guest) = sealed_guest();
    stage.discard_received();
    stage.say(&mut host, "/kick guest");
    stage.advance(seconds(2));
    assert_eq!(stage.received(&guest).asides.len(), 3, "repeated");
    stage.advance(seconds(50));
    let moved = Some((ELSEWHERE, 9).into());
    assert_eq!(stage.sealed(&guest, moved, b"\x01late"), MessageOutcome::Ended);
    stage.deliver();
    assert_eq!(stage.received(&guest).asides.len(), 4);
    let clear = DatagramOutcome::Dropped(DropReason::OtherPath);
    assert_eq!(stage.send(&guest, b""), clear, "E9 holds behind the end too");
    stage.advance(seconds(10));
    stage.deliver();
    let unknown = DatagramOutcome::Dropped(DropReason::UnknownToken);
    assert_eq!(stage.chat.handle_sealed(guest.id, moved, b"", stage.now), unknown);
}

#[test]
fn e8_replies_stay_below_three_times() {
    let (mut stage, _, guest) = sealed_guest();
    let mut have = Vec::new();
    upstream::encode_have(1, &mut have);
    for request in [&have[..], b"\0\0\0\0\x09text"] {
        stage.discard_received();
        stage.sealed(&guest, None, request);
        stage.deliver();
        let sent: usize = stage.received(&guest).sizes.iter().map(|size| size + OVERHEAD).sum();
        assert!(sent > 0 && sent <= 3 * (request.len() + OVERHEAD), "{sent} for {request:?}");
    }
}

#[test]
fn e5_c2_sealed_member_is_carried_and_back() {
    let (mut stage, mut host, guest) = sealed_guest();
    let mut have = Vec::new();
    upstream::encode_have(stage.received(&guest).next, &mut have);
    stage.sealed(&guest, None, &have);
    stage.discard_received();
    stage.resume_on(&guest, HOME, r#","carry":true"#).expect("a path");
    stage.say(&mut host, "carried");
    stage.deliver();
    assert_eq!(stage.received(&guest).texts(), ["carried"]);
    stage.chat.handle_carried(guest.id, &have, stage.now);
    stage.reachable.remove(&guest.id);
    stage.chat.handle_path_end(guest.id, stage.now);
    stage.say(&mut host, "detached");
    stage.resume_on(&guest, ELSEWHERE, SEAL).expect("a path");
    assert_eq!(stage.chat.poll_path_end(), None);
    stage.sealed(&guest, Some((ELSEWHERE, 7).into()), b"");
    stage.advance(seconds(1));
    assert_eq!(stage.received(&guest).texts().last(), Some(&"detached"));
}
