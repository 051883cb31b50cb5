//! Announced addresses that another member proves.

use super::*;

fn at(port: u16) -> Endpoint {
    Endpoint::from((HOME, port))
}

fn withdrawn(stage: &mut Stage) -> Vec<MemberId> {
    std::iter::from_fn(|| stage.chat.poll_withdrawn()).collect()
}

/// Returns a neighbour in a room of its own, who has announced the victim's port.
fn neighbours() -> (Stage, Guest, Guest) {
    let mut stage = Stage::with_defaults();
    let neighbour = stage.create("trap", r#"{"username":"alice"}"#);
    let victim = stage.create("r", r#"{"username":"victim"}"#);
    assert!(stage.chat.handle_announcement(neighbour.id, victim.address));
    (stage, neighbour, victim)
}

#[test]
fn a2_proof_beats_announcement() {
    let (mut stage, neighbour, victim) = neighbours();
    stage.say(victim, "");
    assert_eq!(withdrawn(&mut stage), [neighbour.id]);
    assert_eq!(withdrawn(&mut stage), []);
    let other = stage.join("trap", "other");
    assert!(!stage.chat.handle_announcement(other.id, victim.address), "it is the victim's");
    assert!(!stage.chat.handle_announcement(neighbour.id, at(7)), "it has to prove itself");
    stage.say(neighbour, "");
    assert_eq!(withdrawn(&mut stage), [], "now it can be reached");
}

#[test]
fn a2_a_sender_keeps_its_address() {
    let (mut stage, neighbour, victim) = neighbours();
    stage.say(victim, "");
    stage.say(neighbour, "");
    assert_eq!(withdrawn(&mut stage), []);
}

#[test]
fn a2_a_program_shares_its_address() {
    let mut stage = Stage::with_defaults();
    let one = stage.create("r", r#"{"username":"one"}"#);
    let other = stage.create("s", r#"{"username":"other"}"#);
    stage.say(one, "");
    stage.say(Guest { address: one.address, ..other }, "");
    assert_eq!(withdrawn(&mut stage), []);
}

#[test]
fn a2_rebinding_moves_the_address() {
    let mut stage = Stage::with_defaults();
    let neighbour = stage.create("trap", r#"{"username":"alice"}"#);
    let victim = stage.create("r", r#"{"username":"victim"}"#);
    stage.say(victim, "");
    assert!(stage.chat.handle_announcement(neighbour.id, at(7)));
    stage.say(Guest { address: at(7), ..victim }, "");
    assert_eq!(withdrawn(&mut stage), [neighbour.id], "after a NAT has rebound it");

    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    let Ok(Reply::Entered { member, .. }) = stage.request(elsewhere, 2, "trap", "bob") else {
        panic!("a place")
    };
    let address = Endpoint::from((elsewhere, 7));
    assert!(stage.chat.handle_announcement(member, address));
    let token = String::from_utf8(victim.token.to_wire().to_vec()).expect("hex");
    assert!(stage.request(elsewhere, 4, "r", &token).is_ok());
    stage.say(Guest { address, ..victim }, "");
    assert_eq!(withdrawn(&mut stage), [member], "after it has gone on elsewhere");
}

#[test]
fn a2_an_ipv6_port_has_one_address() {
    let mut stage = Stage::with_defaults();
    let ip = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    let mut enter = |ip: IpAddr, operation, room: &str, name: &str| {
        let payload = format!(r#"{{"username":"{name}"}}"#).into_bytes();
        let request = Frame { operation, state: 0, room: room.as_bytes(), payload: &payload };
        let request = request::parse(&request).expect("a request");
        stage.drawn += 1;
        let drawn = [stage.drawn; 16];
        match stage.chat.handle_request(ip.into(), &request, || Some(drawn), 99, stage.now) {
            Ok(Reply::Entered { member, token, .. }) => (member, token),
            other => panic!("{other:?}"),
        }
    };
    let (neighbour, _) = enter(ip(1), 1, "trap", "alice");
    let (victim, token) = enter(ip(2), 1, "r", "victim");
    assert!(stage.chat.handle_announcement(neighbour, (ip(1), 7).into()));
    assert!(!stage.chat.handle_announcement(neighbour, (ip(2), 7).into()));
    let address = Endpoint::from((ip(2), 7));
    stage.say(Guest { id: victim, token, room: "r", address }, "");
    assert_eq!(withdrawn(&mut stage), []);
}

#[test]
fn a2_no_farewell_to_proved_address() {
    let mut stage = Stage::with_defaults();
    let trap = stage.create("trap", r#"{"username":"host"}"#);
    let victim = stage.create("r", r#"{"username":"victim"}"#);
    let bait = stage.join("trap", "bait");
    assert!(stage.chat.handle_announcement(bait.id, victim.address));
    stage.say(trap, "/exit");
    stage.say(victim, "");
    assert_eq!(withdrawn(&mut stage), [bait.id], "the room was closed, and it was not told yet");
}

#[test]
fn a2_no_farewell_reaches_another() {
    for is_proved in [false, true] {
        let mut stage = Stage::with_defaults();
        stage.create("trap", r#"{"username":"host"}"#);
        let bait = stage.join("trap", "bait");
        let victim = stage.create("r", r#"{"username":"victim"}"#);
        assert!(stage.chat.handle_announcement(bait.id, victim.address));
        stage.advance(Duration::from_secs(30));
        let new = stage.join("trap", "bait");
        if is_proved {
            stage.say(victim, "");
        } else {
            assert!(stage.chat.handle_announcement(victim.id, victim.address));
        }
        assert_eq!(withdrawn(&mut stage), [bait.id]);
        stage.say(new, "");
        assert_eq!(stage.take_heard(bait), [""; 0]);
    }
}

#[test]
fn a11_w38_ports_stop_no_farewell() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let bob = stage.join("r", "bob");
    stage.say(bob, "hi");
    stage.take_heard(bob);
    stage.advance(Duration::from_secs(30));
    stage.say(host, "");
    let impostor = stage.join("r", "BOB");
    let helper = stage.join("r", "helper");
    assert!(stage.chat.handle_announcement(helper.id, bob.address));
    assert_eq!(withdrawn(&mut stage), [], "the address was proved by bob");
    stage.say(impostor, "it is me");
    assert_eq!(stage.take_heard(bob).last(), Some(&format!("\0{SILENT}")));
}

#[test]
fn a2_a_lost_port_is_only_unproved() {
    let mut stage = Stage::new(ChatConfig { max_unproved: Some(1), ..ChatConfig::default() });
    let host = stage.create("r", r#"{"username":"host"}"#);
    let victim = stage.create("s", r#"{"username":"victim"}"#);
    assert!(stage.chat.handle_announcement(host.id, victim.address));
    stage.chat.handle_disconnect(host.id, stage.now);
    stage.say(victim, "");
    stage.advance(Duration::from_secs(3));
    stage.say(victim, "");
    let again = stage.enter(1, "r", r#"{"username":"thief"}"#);
    assert_eq!(again.err(), Some(Status::RoomExists), "its port shows that it lives");
    let other = stage.join("s", "other");
    stage.chat.handle_disconnect(other.id, stage.now);
    stage.advance(Duration::from_secs(3));
    assert!(
        stage.chat.directory.live(host.id).is_none(),
        "two are too many, and it is the older one"
    );
    assert!(stage.chat.directory.live(other.id).is_some());
}
