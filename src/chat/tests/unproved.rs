//! Members without a proved address, and hosts that crashed before they had one.

use super::*;

#[test]
fn w36_field_n_oldest_unproved_goes() {
    let config = ChatConfig { max_unproved: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.say(host, "");
    stage.chat.handle_disconnect(host.id, stage.now);
    let guests: Vec<Guest> = ["a", "b", "c", "d"].map(|name| stage.join("r", name)).into();
    stage.advance(Duration::from_secs(1));
    stage.take_heard(host);
    let live = |stage: &Stage| -> Vec<bool> {
        guests.iter().map(|guest| stage.chat.directory.live(guest.id).is_some()).collect()
    };
    assert_eq!(live(&stage), [true; 4], "connections are open");
    for guest in [guests[3], guests[1]] {
        stage.chat.handle_disconnect(guest.id, stage.now);
    }
    stage.advance(Duration::ZERO);
    assert_eq!(live(&stage), [true; 4], "as many as may be");
    stage.chat.handle_disconnect(guests[2].id, stage.now);
    stage.advance(Duration::from_secs(1));
    stage.say(guests[1], "");
    stage.advance(Duration::from_secs(1));
    assert_eq!(live(&stage), [true; 4], "one is proved within two seconds");
    stage.chat.handle_disconnect(guests[0].id, stage.now);
    stage.advance(Duration::from_millis(1_999));
    assert_eq!(live(&stage), [true; 4], "its datagram may still come");
    stage.chat.note_read(stage.now);
    stage.now += Duration::from_secs(1);
    stage.chat.handle_timeout(stage.now, usize::MAX);
    assert_eq!(live(&stage), [true; 4], "its datagram may be unread");
    stage.chat.note_read(stage.now);
    stage.advance(Duration::from_millis(10));
    assert_eq!(live(&stage), [false, true, true, true]);
    assert_eq!(stage.take_heard(host), ["a timed out"]);
    assert_eq!(stage.chat.poll_alert(), Some((Alert::Unproved, HOME.into(), 1)));
    assert_eq!(stage.chat.poll_alert(), None);
}

#[test]
fn w36_field_n_nat_joins_all_stay() {
    let config = ChatConfig { max_unproved: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.chat.handle_disconnect(host.id, stage.now);
    let enter = |stage: &mut Stage, names: [&'static str; 4]| {
        names.map(|name| {
            let guest = stage.join("r", name);
            stage.chat.handle_disconnect(guest.id, stage.now);
            guest
        })
    };
    let first = enter(&mut stage, ["a", "b", "c", "d"]);
    stage.advance(Duration::from_secs(1));
    stage.say(host, "");
    for guest in first {
        stage.say(guest, "");
    }
    let second = enter(&mut stage, ["e", "f", "g", "h"]);
    stage.advance(Duration::from_millis(1_999));
    for guest in second {
        stage.say(guest, "");
    }
    stage.advance(Duration::from_secs(5));
    assert_eq!(stage.chat.census().tokens, 9);
    assert_eq!(stage.chat.poll_alert(), None);
    assert!(stage.chat.peers.excesses.is_empty(), "the alarm is gone");
}

#[test]
fn w36_a2_announced_ports_limited() {
    let config = ChatConfig { max_unproved: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests = ["a", "b"].map(|name| stage.join("r", name));
    let announce = |stage: &mut Stage, guest: Guest, port| {
        stage.chat.handle_announcement(guest.id, Endpoint::from((HOME, port)))
    };
    assert!(announce(&mut stage, host, 7000));
    assert!(announce(&mut stage, guests[0], 7001));
    assert!(!announce(&mut stage, guests[1], 7002), "two are not proved");
    assert!(announce(&mut stage, host, 7003), "it has one already");
    stage.say(host, "");
    assert!(announce(&mut stage, guests[1], 7002));
}

#[test]
fn field_n_abandoned_room_is_remade() {
    let mut stage = Stage::with_defaults();
    let host = r#"{"username":"host"}"#;
    let failed = stage.create("r", host);
    assert_eq!(stage.enter(1, "r", host).err(), Some(Status::RoomExists), "its connection is open");
    stage.chat.handle_disconnect(failed.id, stage.now);
    let elsewhere = stage.request(Ipv4Addr::new(192, 0, 2, 9), 1, "r", host);
    assert_eq!(elsewhere, Err(Status::RoomExists), "another IP");
    stage.advance(Duration::from_millis(1_999));
    assert_eq!(stage.enter(1, "r", host).err(), Some(Status::RoomExists), "it may still speak");
    stage.chat.note_read(stage.now);
    stage.now += Duration::from_millis(1);
    assert_eq!(stage.enter(1, "r", host).err(), Some(Status::RoomExists), "it may be unread");
    stage.chat.note_read(stage.now);
    let again = stage.create("r", r#"{"username":"other","password":"x"}"#);
    assert_eq!(stage.say(failed, ""), DatagramOutcome::Dropped(DropReason::UnknownToken));
    assert_eq!(stage.chat.census().open, 1);
    stage.say(again, "");
    stage.chat.handle_disconnect(again.id, stage.now);
    let pass_time = |stage: &mut Stage| {
        stage.advance(Duration::from_secs(3));
        stage.chat.note_read(stage.now);
    };
    pass_time(&mut stage);
    assert_eq!(stage.enter(1, "r", host).err(), Some(Status::RoomExists), "it has been heard");

    let alone = stage.create("s", host);
    stage.chat.handle_disconnect(alone.id, stage.now);
    let guest = stage.join("s", "guest");
    stage.chat.handle_disconnect(guest.id, stage.now);
    pass_time(&mut stage);
    assert_eq!(stage.enter(1, "s", host).err(), Some(Status::RoomExists), "somebody is there");
}

#[test]
fn w35_field_b_lost_host_passes_on() {
    let config = ChatConfig { host_leaves: HostLeaves::Pass, ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let silent = stage.join("r", r#"{"username":"silent"}"#);
    let awake = stage.join("r", r#"{"username":"awake"}"#);
    for member in [host, silent, awake] {
        stage.say(member, "");
    }
    stage.advance(Duration::from_secs(299));
    stage.say(awake, "");
    stage.take_heard(awake);
    stage.advance(Duration::from_secs(1));
    let told =
        ["host timed out", "silent is the host now", "silent timed out", "awake is the host now"];
    assert_eq!(stage.take_heard(awake), told);
    let back = stage.join("r", r#"{"username":"host"}"#);
    assert!(stage.chat.directory.live(back.id).is_some(), "its name is free");
}

#[test]
fn w13_announced_ports_are_checked() {
    let mut stage = Stage::with_defaults();
    let a = stage.create("r", r#"{"username":"a"}"#);
    let b = stage.join("r", "b");
    assert!(!stage.chat.handle_announcement(a.id, Endpoint::from((HOME, 0))));
    assert!(stage.chat.handle_announcement(a.id, Endpoint::from((HOME, 7000))));
    assert!(!stage.chat.handle_announcement(b.id, Endpoint::from((HOME, 7000))), "that is a's");
    assert!(
        stage.chat.handle_announcement(a.id, Endpoint::from((HOME, 7001))),
        "a later one counts"
    );
    assert!(stage.chat.handle_announcement(b.id, Endpoint::from((HOME, 7000))), "now it is free");
    stage.say(a, "");
    assert!(
        !stage.chat.handle_announcement(a.id, Endpoint::from((HOME, 7002))),
        "a datagram has taught the real one"
    );
}
