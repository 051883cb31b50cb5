//! Silent members that a join replaces.

use super::*;

#[test]
fn w38_a11_a_join_replaces_silent() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host","password":"pw"}"#);
    let payload = r#"{"username":"guest","password":"pw"}"#;
    let old = stage.join("r", payload);
    stage.say(old, "");
    stage.take_heard(host);
    stage.advance(Duration::from_secs(29));
    assert_eq!(stage.enter(2, "r", payload).err(), Some(Status::NameTaken), "not silent enough");
    stage.advance(Duration::from_secs(1));
    let elsewhere = stage.request(Ipv4Addr::new(192, 0, 2, 9), 2, "r", payload);
    assert_eq!(elsewhere, Err(Status::NameTaken), "another IP");
    let wrong = stage.enter(2, "r", r#"{"username":"guest","password":"no"}"#);
    assert_eq!(wrong.err(), Some(Status::WrongPassword));
    let new = stage.join("r", r#"{"username":"GUEST","password":"pw"}"#);
    assert_eq!(stage.say(old, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    assert!(matches!(stage.say(new, "hi"), DatagramOutcome::Accepted(..)));
    assert_eq!(stage.take_heard(host), ["GUEST joined", "GUEST: hi"]);
    assert_eq!(stage.take_heard(old).last().map(String::as_str), Some(SILENT));
}

#[test]
fn w38_a11_a_host_returns_as_host() {
    let mut stage = Stage::with_defaults();
    let payload = r#"{"username":"host","password":"pw"}"#;
    let old = stage.create("r", payload);
    stage.say(old, "");
    let guest = stage.join("r", r#"{"username":"guest","password":"pw"}"#);
    stage.advance(Duration::from_secs(30));
    stage.say(guest, "hello?");
    assert_eq!(stage.enter(1, "r", payload).err(), Some(Status::RoomExists), "it is not made anew");
    let wrong = stage.enter(2, "r", r#"{"username":"host","password":"no"}"#);
    assert_eq!(wrong.err(), Some(Status::WrongPassword));
    stage.take_heard(guest);
    let new = stage.join("r", payload);
    stage.say(new, "/who");
    assert_eq!(stage.take_heard(new), ["guest, host (host)"]);
    assert_eq!(stage.take_heard(old).last().map(String::as_str), Some(SILENT));
    stage.say(new, "/kick guest");
    assert_eq!(
        stage.take_heard(guest),
        ["host joined", "you were removed from the room by its host"]
    );
    assert_eq!(stage.say(old, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
}

#[test]
fn w38_a11_farewell_after_successor() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let old = stage.join("r", "guest");
    stage.say(old, "");
    stage.take_heard(old);
    let wait = |stage: &mut Stage, seconds| {
        stage.advance(Duration::from_secs(seconds));
        stage.say(host, "");
    };
    wait(&mut stage, 30);
    let next = stage.join("r", "guest");
    wait(&mut stage, 30);
    let last = stage.join("r", "guest");
    assert!(stage.take_heard(old).is_empty(), "its address may be the last one's");
    wait(&mut stage, 299);
    assert!(stage.take_heard(old).is_empty());
    wait(&mut stage, 1);
    assert!(stage.chat.directory.live(last.id).is_none());
    assert_eq!(stage.take_heard(old), [format!("\0{SILENT}")]);
    assert!(stage.take_heard(next).is_empty(), "it had no address");
    wait(&mut stage, 60);
    stage.deliver();
    assert_eq!(stage.chat.census().members, 1);
}

#[test]
fn w38_a11_ports_cause_no_farewell() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let old = stage.join("r", "guest");
    stage.say(old, "");
    stage.take_heard(old);
    stage.advance(Duration::from_secs(30));
    let new = stage.join("r", "guest");
    assert!(stage.chat.handle_announcement(new.id, Endpoint::from((HOME, 7000))));
    stage.say(host, "");
    assert!(stage.take_heard(old).is_empty(), "the new one may send from the old one's port");
    stage.say(Guest { address: old.address, ..new }, "");
    assert!(stage.take_heard(old).is_empty(), "it does");

    stage.advance(Duration::from_secs(30));
    let last = stage.join("r", "guest");
    assert!(stage.chat.handle_announcement(last.id, Endpoint::from((HOME, 7000))));
    stage.say(last, "");
    assert_eq!(stage.take_heard(new).last(), Some(&format!("\0{SILENT}")));
}

#[test]
fn w38_a11_chains_are_forgotten() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let first = stage.join("r", "guest");
    stage.say(first, "");
    stage.take_heard(first);
    for port in [7000, 7001] {
        stage.advance(Duration::from_secs(30));
        stage.say(host, "");
        let next = stage.join("r", "guest");
        assert!(stage.chat.handle_announcement(next.id, Endpoint::from((HOME, port))));
    }
    assert!(stage.take_heard(first).is_empty(), "the last one may be at its address");
    stage.say(host, "/exit");
    stage.deliver();
    stage.advance(Duration::from_secs(60));
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}
