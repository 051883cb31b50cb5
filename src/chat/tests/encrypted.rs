//! Encrypted members: who gets which path, and that none of them returns to the clear.

use super::*;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const SEAL: &str = r#","seal":true"#;
const CARRY: &str = r#","carry":true"#;
const SEALED_HOST: &str = r#"{"username":"host","seal":true}"#;

fn named(name: &str, keys: &str) -> String {
    format!(r#"{{"username":"{name}"{keys}}}"#)
}

/// Returns a stage with a room whose host is sealed.
fn sealed_host() -> (Stage, Guest) {
    let mut stage = Stage::with_defaults();
    let host = stage.encrypt(true).create("r", SEALED_HOST);
    (stage, host)
}

impl Stage {
    /// Hands in what a sealed member has sent. `at` is its address, if it is proved.
    fn say_sealed(&mut self, guest: Guest, at: Option<Endpoint>, message: &str) -> DatagramOutcome {
        self.chat.handle_sealed(guest.id, at, message.as_bytes(), self.now)
    }
}

#[test]
fn e5_seal_outside_tls_is_9_first() {
    let config = ChatConfig { max_members_ip: Some(1), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", "host");
    for (operation, room) in [(1, "r"), (1, "new"), (2, "r"), (2, "none")] {
        let mut request = |keys| stage.request(HOME, operation, room, &named("guest", keys));
        assert_eq!(request(SEAL), Err(Status::Malformed), "{operation} {room}");
        assert_eq!(request(r#","seal":true,"carry":true"#), Err(Status::Malformed));
        assert_eq!(request(r#","password":"x","seal":true"#), Err(Status::Malformed));
        assert_eq!(request(""), Err(Status::RateLimited), "{operation} {room}");
    }
    assert_eq!(stage.resume(host, HOME, SEAL), Err(Status::Malformed));
    let stranger = Guest { token: Token::from_bits([9; 16]), ..host };
    assert_eq!(stage.resume(stranger, HOME, SEAL), Err(Status::Malformed), "tells nothing");
}

#[test]
fn e5_no_seal_after_a_clear_join() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", "host");
    stage.encrypt(true);
    assert_eq!(stage.resume(host, HOME, SEAL), Err(Status::Malformed));
    assert_eq!(stage.resume(host, HOME, r#","seal":true,"carry":true"#), Err(Status::Malformed));
    let stranger = Guest { token: Token::from_bits([9; 16]), ..host };
    assert_eq!(stage.resume(stranger, HOME, SEAL), Err(Status::RoomNotFound));
    assert_eq!(stage.resume(host, HOME, ""), Ok(Path::Clear));
    assert_eq!(stage.resume(host, HOME, CARRY), Ok(Path::Carried { is_encrypted: true }));
}

#[test]
fn e9_token_works_only_inside_tls() {
    let (mut stage, host) = sealed_host();
    for keys in ["", r#","seal":false"#, CARRY] {
        assert_eq!(stage.encrypt(false).resume(host, HOME, keys), Err(Status::RoomNotFound));
    }
    for keys in ["", r#","seal":false"#] {
        let refused = stage.encrypt(true).resume(host, HOME, keys);
        assert_eq!(refused, Err(Status::EncryptionRequired), "no downgrade");
    }
    assert_eq!(stage.resume(host, ELSEWHERE, SEAL), Ok(Path::Sealed));
    assert_eq!(stage.resume(host, HOME, CARRY), Ok(Path::Carried { is_encrypted: true }));
    assert_eq!(stage.encrypt(false).resume(host, HOME, CARRY), Err(Status::RoomNotFound));
    assert_eq!(stage.encrypt(true).resume(host, HOME, SEAL), Ok(Path::Sealed));
}

#[test]
fn e9_leaked_token_looks_dead() {
    let outcomes = [true, false].map(|is_live| {
        let config = ChatConfig { max_members_ip: Some(1), ..ChatConfig::default() };
        let mut stage = Stage::new(config);
        let host = stage.encrypt(true).create("r", SEALED_HOST);
        let token = if is_live { host.token } else { Token::from_bits([9; 16]) };
        let stranger = Guest { token, ..host };
        stage.encrypt(false);
        let refused = [HOME, ELSEWHERE].map(|ip| stage.resume(stranger, ip, ""));
        (refused, stage.chat.census())
    });
    assert_eq!(outcomes[0], outcomes[1], "it counts as a guess, too");
    let refused = [Err(Status::RateLimited), Err(Status::RoomNotFound)];
    assert_eq!(outcomes[0].0, refused);
}

#[test]
fn e9_clear_datagrams_are_dropped() {
    let (mut stage, sealed) = sealed_host();
    let dropped = DatagramOutcome::Dropped(DropReason::OtherPath);
    let carried = stage.join("r", &named("carried", CARRY));
    let clear = stage.encrypt(false).join("r", &named("clear", CARRY));
    for guest in [sealed, carried, clear] {
        assert_eq!(stage.say(guest, "hi"), dropped);
        assert_eq!(stage.say(guest, "/exit"), dropped);
    }
    assert_eq!(stage.resume(clear, HOME, ""), Ok(Path::Clear));
    assert!(matches!(stage.say(clear, "hi"), DatagramOutcome::Accepted(..)));
    assert_eq!(stage.resume(clear, HOME, CARRY), Ok(Path::Carried { is_encrypted: false }));
    assert_eq!(stage.say(clear, "hi"), dropped);
    assert_eq!(stage.say_sealed(clear, None, "hi"), dropped, "and no other path but its own");
    assert_eq!(stage.chat.handle_carried(sealed.id, b"hi", stage.now), dropped);
    assert_eq!(stage.chat.census().tokens, 3);
}

#[test]
fn e9_sealed_only_rooms_rank_12() {
    let config = ChatConfig { max_rooms: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let only = |more| named("host", &format!(r#","sealed_only":true,"password":"pw"{more}"#));
    stage.create("open", "host");
    assert_eq!(stage.request(HOME, 1, "open", &only("")), Err(Status::RoomExists));
    for is_encrypted in [false, true] {
        let refused = stage.encrypt(is_encrypted).request(HOME, 1, "r", &only(""));
        assert_eq!(refused, Err(Status::EncryptionRequired), "the creator too");
    }
    stage.create("r", &only(SEAL));
    let refused = stage.request(HOME, 1, "third", &only(""));
    assert_eq!(refused, Err(Status::EncryptionRequired), "before 8");
    let mut join = |is_encrypted, keys: &str| {
        stage.encrypt(is_encrypted).request(HOME, 2, "r", &named("bob", keys)).map(|_| ())
    };
    for keys in ["", r#","password":"pw""#, r#","password":"no""#, CARRY] {
        assert_eq!(join(false, keys), Err(Status::EncryptionRequired), "before 3: {keys}");
    }
    assert_eq!(join(true, r#","password":"pw""#), Err(Status::EncryptionRequired));
    assert_eq!(join(true, SEAL), Err(Status::WrongPassword));
    assert_eq!(join(true, r#","password":"pw","carry":true"#), Ok(()));
    let Ok(Reply::Rooms(list)) = stage.request(HOME, 3, "r", "") else { panic!("a list") };
    let list = String::from_utf8(list).expect("UTF-8");
    assert!(list.contains(r#""room":"r""#) && list.contains(r#""sealed":true"#), "{list}");
}

#[test]
fn e9_hidden_sealed_room_looks_missing() {
    let hidden = r#","sealed_only":true,"hidden":true,"password":"pw","seal":true"#;
    let outcomes = ["r", "none"].map(|room| {
        let config = ChatConfig { wrong_passwords: Some(10), ..ChatConfig::default() };
        let mut stage = Stage::new(config);
        stage.encrypt(true).create("r", &named("host", hidden));
        let start = stage.now;
        let mut outcomes = Vec::new();
        for n in 0..120_u8 {
            let is_encrypted = n % 2 == 0;
            let keys = if n % 5 == 0 { "" } else { r#","password":"pw""# };
            let ip = Ipv4Addr::new(10, 0, 0, n);
            match stage.encrypt(is_encrypted).request(ip, 2, room, &named("bob", keys)) {
                Ok(Reply::Later { at }) => outcomes.push(Err(at - start)),
                outcome => outcomes.push(Ok(outcome)),
            }
        }
        outcomes
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert!(outcomes[0].iter().any(|outcome| outcome.is_err()), "passwords wait");
}

#[test]
fn e10_unproved_address_is_not_learnt() {
    let (mut stage, host) = sealed_host();
    let accepted = DatagramOutcome::Accepted(host.id, MessageOutcome::KeptAlive);
    assert_eq!(stage.say_sealed(host, None, ""), accepted);
    let member = |stage: &Stage| stage.chat.directory.live(host.id).expect("live").address();
    assert_eq!(member(&stage), None);
    let home = Endpoint::from((HOME, 7));
    assert_eq!(stage.say_sealed(host, Some(home), ""), accepted);
    assert_eq!(stage.say_sealed(host, None, ""), accepted);
    assert_eq!(member(&stage), Some((HOME.into(), 7)));
}

#[test]
fn e10_unproved_members_go_by_silence() {
    let config = ChatConfig { max_unproved: Some(1), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    stage.encrypt(true);
    let members = ["a", "b"].map(|name| {
        stage.advance(Duration::from_secs(1));
        let member = stage.create(name, SEALED_HOST);
        stage.chat.handle_disconnect(member.id, stage.now);
        member
    });
    stage.advance(Duration::from_millis(100));
    stage.say_sealed(members[0], None, "");
    stage.advance(Duration::from_secs(2));
    let live = members.map(|member| stage.chat.directory.live(member.id).is_some());
    assert_eq!(live, [true, false], "the one that was silent for longer gives way");
}

#[test]
fn e11_sealed_members_speak_from_anywhere() {
    let config = ChatConfig { max_members_ip: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.encrypt(true).create("r", SEALED_HOST);
    let guest = stage.encrypt(false).join("r", "guest");
    stage.say(guest, "");
    let roaming = Endpoint::from((ELSEWHERE, 7));
    let relayed = DatagramOutcome::Accepted(host.id, MessageOutcome::Relayed);
    assert_eq!(stage.say_sealed(host, Some(roaming), "hi"), relayed);
    assert_eq!(stage.take_heard(guest), ["\x04hosthi"]);
    let one_more = stage.request(HOME, 2, "r", "third").err();
    assert_eq!(one_more, Some(Status::RateLimited), "it counts for the IP of its join");
    assert_eq!(stage.resume(host, ELSEWHERE, ""), Err(Status::RoomNotFound));
    assert_eq!(stage.encrypt(true).resume(host, ELSEWHERE, SEAL), Ok(Path::Sealed));
    assert!(stage.request(HOME, 2, "r", "third").is_ok(), "or of its resume");
}

#[test]
fn e10_sealed_ports_are_not_announced() {
    let (mut stage, host) = sealed_host();
    let announced = Endpoint::from((HOME, 7));
    assert!(!stage.chat.handle_announcement(host.id, announced));
    let guest = stage.encrypt(false).join("r", "guest");
    assert!(stage.chat.handle_announcement(guest.id, announced), "nobody has it");
}

#[test]
fn e11_proof_elsewhere_withdraws_ports() {
    let (mut stage, host) = sealed_host();
    let there = Endpoint::from((ELSEWHERE, 7));
    let Ok(Reply::Entered { member: announcer, .. }) = stage.request(ELSEWHERE, 2, "r", "other")
    else {
        panic!("no place")
    };
    assert!(stage.chat.handle_announcement(announcer, there));
    stage.say_sealed(host, Some(Endpoint::from((HOME, 7))), "");
    assert_eq!(stage.chat.poll_withdrawn(), None, "another IP");
    stage.say_sealed(host, Some(there), "");
    assert_eq!(stage.chat.poll_withdrawn(), Some(announcer));
    let at_home = Endpoint::from((HOME, 7));
    let Ok(Reply::Entered { member: third, .. }) = stage.request(HOME, 2, "r", "third") else {
        panic!("no place")
    };
    assert!(stage.chat.handle_announcement(third, at_home), "its old address is free");
}

#[test]
fn e12_who_marks_members_in_the_clear() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.join("r", &named("carried", CARRY));
    stage.say(host, "/who");
    assert_eq!(stage.take_heard(host).last().unwrap(), "host (host), carried");
    let sealed = stage.encrypt(true).join("r", &named("sealed", SEAL));
    stage.say(host, "/who");
    let marked = "host (host) (unencrypted), carried (unencrypted), sealed";
    assert_eq!(stage.take_heard(host).last().unwrap(), marked);
    stage.say_sealed(sealed, None, "/exit");
    stage.say(host, "/who");
    assert_eq!(stage.take_heard(host).last().unwrap(), "host (host), carried");
}
