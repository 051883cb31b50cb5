//! Bans by name and by subnet.

use super::*;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

fn join(stage: &mut Stage, from: u8, room: &'static str, payload: &str) -> Result<Guest, Status> {
    match stage.request(ip(from), 2, room, payload)? {
        Reply::Entered { member: id, token, .. } => {
            let address = Endpoint::from((ip(from), 1000 + u16::from(stage.drawn)));
            let guest = Guest { id, token, room, address };
            stage.say(guest, "");
            Ok(guest)
        }
        _ => panic!("not a place"),
    }
}

fn refused(stage: &mut Stage, from: u8, name: &str) -> Option<Status> {
    join(stage, from, "r", name).err()
}

/// Returns a room whose host is at 192.0.2.1.
fn room(payload: &str) -> (Stage, Guest) {
    let mut stage = Stage::new(ChatConfig { rate_limit: None, ..ChatConfig::default() });
    let host = stage.create("r", payload);
    stage.say(host, "");
    (stage, host)
}

/// Returns the answer to a command.
fn answer(stage: &mut Stage, guest: Guest, command: &str) -> String {
    stage.deliver();
    stage.heard.clear();
    stage.say(guest, command);
    stage.take_heard(guest).pop().expect("an answer")
}

const HOST: &str = r#"{"username":"host"}"#;

#[test]
fn a8_w29_a_host_can_always_kick() {
    let (mut stage, host) = room(HOST);
    for number in 0..100 {
        let name = format!("{number:015}{}", "\u{23a}".repeat(120));
        let troll = join(&mut stage, 3, "r", &name).expect("a place");
        stage.say(host, &format!("/kick {name}"));
        assert_eq!(stage.say(troll, "I stay"), DatagramOutcome::Dropped(DropReason::UnknownToken));
        assert_eq!(refused(&mut stage, 3, &name), Some(Status::Kicked));
        stage.take_heard(host);
    }
    assert_eq!(refused(&mut stage, 3, "another"), None, "a kick bans the name only");
}

#[test]
fn a8_bans_hold_until_unban() {
    let (mut stage, host) = room(HOST);
    let bob = join(&mut stage, 2, "r", "Bob").expect("a place");
    let told = answer(&mut stage, host, "/ban BOB");
    assert_eq!(told, "Bob is banned with its address, /unban NAME lets both in again");
    assert_eq!(
        stage.take_heard(bob).last().map(String::as_str),
        Some("\0you were removed from the room by its host")
    );
    for (from, name) in [(2, "bob"), (2, "other"), (3, "ＢＯＢ")] {
        assert_eq!(refused(&mut stage, from, name), Some(Status::Kicked), "{from} {name}");
    }
    assert_eq!(refused(&mut stage, 3, "carol"), None, "another address");
    assert_eq!(answer(&mut stage, host, "/bans"), "banned (Bob + address)");
    assert_eq!(
        answer(&mut stage, host, "/unban carol"),
        "that name is not banned, /bans lists those that are"
    );
    assert_eq!(answer(&mut stage, host, "/unban bob"), "Bob may come in again");
    assert_eq!(answer(&mut stage, host, "/bans"), "nobody is banned from this room");
    assert_eq!(refused(&mut stage, 2, "bob"), None);
    assert_eq!(
        answer(&mut stage, host, "/ban nobody"),
        "nobody here has that name, and nobody who was removed had it"
    );
}

#[test]
fn a8_a_kicked_name_can_be_banned() {
    let (mut stage, host) = room(HOST);
    join(&mut stage, 2, "r", "bob").expect("a place");
    stage.say(host, "/kick bob");
    assert_eq!(answer(&mut stage, host, "/bans"), "banned (bob)");
    assert_eq!(refused(&mut stage, 2, "other"), None);
    let told = answer(&mut stage, host, "/ban bob");
    let shared = "bob is banned with its address, /unban NAME lets both in again, members with the same address stay but cannot come back (other)";
    assert_eq!(told, shared);
    assert_eq!(refused(&mut stage, 2, "third"), Some(Status::Kicked));
    answer(&mut stage, host, "/unban bob");
    assert_eq!(refused(&mut stage, 2, "bob"), None);
}

#[test]
fn a8_host_address_is_never_banned() {
    let (mut stage, host) = room(HOST);
    join(&mut stage, 1, "r", "bob").expect("a place");
    let told = answer(&mut stage, host, "/ban bob");
    assert_eq!(told, "bob is banned by name only, its address is yours too");
    assert_eq!(refused(&mut stage, 1, "bob"), Some(Status::Kicked));
    assert_eq!(refused(&mut stage, 1, "carol"), None);
    assert_eq!(
        answer(&mut stage, host, "/ban host"),
        "you cannot remove yourself, /exit leaves and closes the room"
    );

    // A new host may be at a banned address, and come back there.
    let [dave, eve] = ["dave", "eve"].map(|name| join(&mut stage, 2, "r", name).expect("a place"));
    stage.say(host, "/ban eve");
    stage.say(host, "/host dave");
    assert_eq!(stage.say(eve, ""), DatagramOutcome::Dropped(DropReason::UnknownToken));
    stage.advance(Duration::from_secs(31));
    let dave_again = join(&mut stage, 2, "r", "dave").expect("it is the host's own address");
    assert_eq!(refused(&mut stage, 2, "eve"), Some(Status::Kicked), "the name is banned");
    stage.say(dave_again, "/host carol");
    assert_eq!(refused(&mut stage, 2, "frank"), Some(Status::Kicked), "it is no longer the host");
    assert!(stage.chat.directory.live(dave.id).is_none());
}

#[test]
fn a8_only_the_host_bans() {
    let (mut stage, _) = room(HOST);
    let guest = join(&mut stage, 2, "r", r#"{"username":"guest"}"#).expect("a place");
    for command in ["/ban host", "/unban host", "/bans"] {
        assert_eq!(answer(&mut stage, guest, command), "only the host may do that");
    }
    assert_eq!(
        answer(&mut stage, guest, "/ban"),
        "a name is needed, as in /kick NAME or /host NAME"
    );
}

#[test]
fn a8_hosts_resume_despite_bans() {
    let (mut stage, host) = room(HOST);
    let hex = |guest: Guest| String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    join(&mut stage, 2, "r", "bob").expect("a place");
    let carol = join(&mut stage, 3, "r", "carol").expect("a place");
    stage.say(host, "/ban bob");
    assert_eq!(stage.request(ip(2), 4, "r", &hex(carol)).err(), Some(Status::Kicked));
    assert!(stage.request(ip(4), 4, "r", &hex(carol)).is_ok());
    assert!(stage.request(ip(2), 4, "r", &hex(host)).is_ok());
}

#[test]
fn a8_w12_password_then_ban_then_name() {
    let (mut stage, host) =
        room(r#"{"username":"host","password":"p","hidden":true,"capacity":2}"#);
    let payload = |name, password| format!(r#"{{"username":"{name}","password":"{password}"}}"#);
    join(&mut stage, 2, "r", &payload("bob", "p")).expect("a place");
    stage.say(host, "/ban bob");
    join(&mut stage, 3, "r", &payload("carol", "p")).expect("a place");
    let mut status =
        |from, name, password| join(&mut stage, from, "r", &payload(name, password)).err();
    assert_eq!(status(2, "dave", "wrong"), Some(Status::RoomNotFound));
    assert_eq!(status(2, "dave", "p"), Some(Status::Kicked), "before room full");
    assert_eq!(status(2, "carol", "p"), Some(Status::Kicked), "before name taken");
}

#[test]
fn a8_an_ipv6_ban_covers_the_64() {
    let (mut stage, host) = room(HOST);
    let mut enter = |address: &str, name: &str| {
        let payload = format!(r#"{{"username":"{name}"}}"#).into_bytes();
        let frame = Frame { operation: 2, state: 0, room: b"r", payload: &payload };
        let request = request::parse(&frame).expect("a request");
        stage.drawn += 1;
        let drawn = [stage.drawn; 16];
        let from = address.parse::<IpAddr>().expect("an address").into();
        let reply = stage.chat.handle_request(from, &request, || Some(drawn), 99, stage.now);
        if name == "bob" && reply.is_ok() {
            stage.say(host, "/ban bob");
        }
        reply.err()
    };
    assert_eq!(enter("2001:db8:0:1::1", "bob"), None);
    assert_eq!(enter("2001:db8:0:1:ffff::9", "x"), Some(Status::Kicked));
    assert_eq!(enter("2001:db8:0:2::1", "x"), None);
}
