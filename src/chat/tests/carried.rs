//! Carried members in text delivery, and the limit of carried members.

use super::*;
use crate::protocol::stream::Code;

const CARRIED: &str = r#"{"username":"guest","carry":true}"#;

/// Returns a stage with a room, its host, and a carried guest.
fn carried_guest(config: ChatConfig) -> (Stage, Guest, Guest) {
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.say(host, "");
    let guest = stage.join("r", CARRIED);
    stage.take_heard(host);
    (stage, host, guest)
}

impl Stage {
    fn unit(&mut self, guest: Guest, message: &str) -> DatagramOutcome {
        self.chat.handle_carried(guest.id, message.as_bytes(), self.now)
    }

    fn path_ends(&mut self) -> Vec<MemberId> {
        std::iter::from_fn(|| self.chat.poll_path_end()).map(|end| end.member).collect()
    }
}

#[test]
fn c1_carried_member_needs_no_proof() {
    let config = ChatConfig { max_unproved: Some(1), ..ChatConfig::default() };
    let (mut stage, host, guest) = carried_guest(config);
    assert!(!stage.chat.handle_announcement(guest.id, Endpoint::from((HOME, 7))));
    stage.say(host, "hi");
    assert_eq!(stage.take_heard(guest), ["host: hi"], "without a unit of its own");
    let relayed = DatagramOutcome::Accepted(guest.id, MessageOutcome::Relayed);
    assert_eq!(stage.unit(guest, "hello"), relayed);
    assert_eq!(stage.take_heard(host), ["guest: hello"]);
    stage.advance(Duration::from_secs(20));
    assert_eq!(stage.chat.poll_alert(), None, "its datagrams are not missed");
    let usage = stage.chat.peers.quotas.unproved(Subnet::of(HOME.into()));
    assert_eq!(usage, 0);
}

#[test]
fn c1_last_notice_then_the_path_ends() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    stage.say(host, "/kick guest");
    assert!(stage.path_ends().is_empty(), "the notice waits");
    let removed = "you were removed from the room by its host";
    assert_eq!(stage.take_heard(guest), [removed]);
    assert_eq!(stage.path_ends(), [guest.id]);
    assert_eq!(stage.unit(guest, "hi"), DatagramOutcome::Accepted(guest.id, MessageOutcome::Ended));
    stage.chat.handle_path_end(guest.id, stage.now);
    assert_eq!(stage.take_heard(host), ["guest was removed by the host"]);
    assert_eq!(stage.chat.census().members, 1);
}

#[test]
fn c1_closed_room_ends_all_paths() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    let sealed_guest = stage.join("r", r#"{"username":"other","carry":true}"#);
    stage.say(host, "/exit");
    let closed = "the room was closed";
    for guest in [guest, sealed_guest] {
        assert_eq!(stage.take_heard(guest).last().map(String::as_str), Some(closed));
    }
    let mut ends = stage.path_ends();
    ends.sort();
    assert_eq!(ends, [guest.id, sealed_guest.id]);
    stage.advance(Duration::from_secs(61));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn c1_silent_carried_member_is_replaced() {
    let (mut stage, host, old) = carried_guest(ChatConfig::default());
    stage.advance(Duration::from_secs(30));
    let new = stage.join("r", CARRIED);
    assert_eq!(stage.take_heard(old), [SILENT], "at once, on its own connection");
    assert_eq!(stage.path_ends(), [old.id]);
    stage.chat.handle_path_end(old.id, stage.now);
    assert!(stage.chat.directory.live(new.id).is_some());
    assert_eq!(stage.take_heard(host), ["guest joined"]);
}

#[test]
fn c1_replaced_member_is_told_at_once() {
    let mut stage = Stage::with_defaults();
    stage.create("r", "host");
    let old = stage.join("r", r#"{"username":"guest"}"#);
    stage.say(old, "");
    stage.take_heard(old);
    stage.advance(Duration::from_secs(30));
    stage.join("r", CARRIED);
    assert_eq!(stage.take_heard(old), [SILENT], "the new one is at no address");
}

#[test]
fn c2_text_members_leave_with_it() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    stage.chat.handle_path_end(guest.id, stage.now);
    assert_eq!(stage.take_heard(host), ["guest left"]);
    assert!(stage.chat.directory.live(guest.id).is_none());
    assert!(stage.enter(2, "r", CARRIED).is_ok(), "the name is free");
}

#[test]
fn c2_old_connection_ends_nothing() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    assert_eq!(
        stage.resume(guest, HOME, r#","carry":true"#),
        Ok(Path::Carried { is_encrypted: false })
    );
    assert!(stage.path_ends().is_empty(), "it has another connection");
    stage.chat.handle_disconnect(guest.id, stage.now);
    assert_eq!(stage.resume(guest, HOME, ""), Ok(Path::Clear));
    assert_eq!(stage.path_ends(), [guest.id]);
    stage.chat.handle_path_end(guest.id, stage.now);
    stage.say(guest, "still here");
    assert_eq!(stage.take_heard(host), ["guest: still here"]);
    stage.advance(Duration::from_secs(61));
    assert!(stage.chat.directory.live(guest.id).is_some_and(|guest| guest.check_at.is_none()));
}

#[test]
fn c3_silent_carried_members_time_out() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    for _ in 0..4 {
        stage.advance(Duration::from_secs(299));
        stage.say(host, "");
        stage.unit(guest, "");
    }
    stage.take_heard(guest);
    stage.say(host, "hi");
    stage.advance(Duration::from_secs(299));
    stage.say(host, "");
    assert_eq!(stage.take_heard(guest), ["host: hi"], "silence limits no carried member");
    assert!(stage.chat.directory.live(guest.id).is_some_and(|guest| guest.check_at.is_some()));
    stage.advance(Duration::from_secs(1));
    assert_eq!(stage.take_heard(guest), [SILENT]);
    assert_eq!(stage.path_ends(), [guest.id]);
}

#[test]
fn c3_carried_members_have_a_limit() {
    let config = ChatConfig { max_carried: Some(2), ..ChatConfig::default() };
    let (mut stage, host, guest) = carried_guest(config);
    let stream = r#"{"username":"stream","carry":true,"delivery":"stream"}"#;
    let detached = stage.join("r", stream);
    stage.chat.handle_path_end(detached.id, stage.now);
    let third = r#"{"username":"third","carry":true}"#;
    let before = stage.chat.census();
    for _ in 0..2 {
        assert_eq!(stage.enter(2, "r", third).err(), Some(Status::ServerFull));
        assert_eq!(stage.enter(1, "new", third).err(), Some(Status::ServerFull));
        assert_eq!(stage.resume(host, HOME, r#","carry":true"#), Err(Status::ServerFull));
    }
    assert_eq!(stage.chat.census(), before, "nothing has changed");
    assert_eq!(stage.chat.poll_alert(), Some((Alert::Carried, HOME.into(), 6)));
    assert!(stage.resume(guest, HOME, r#","carry":true"#).is_ok(), "it is one of them");
    assert!(stage.enter(2, "r", stream).is_ok(), "in place of the detached one");
    stage.chat.handle_disconnect(guest.id, stage.now);
    stage.unit(guest, "/exit");
    assert!(stage.enter(2, "r", third).is_ok());
}

#[test]
fn c3_one_ip_cannot_take_all_places() {
    let config = ChatConfig { max_carried_ip: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let carried = |n| format!(r#"{{"username":"guest {n}","carry":true,"delivery":"stream"}}"#);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests = [1, 2].map(|n| stage.join("r", &carried(n)));
    guests.iter().for_each(|guest| stage.chat.handle_path_end(guest.id, stage.now));
    for (operation, room) in [(1, "new"), (2, "r"), (2, "none")] {
        let refused = stage.request(HOME, operation, room, &carried(3));
        assert_eq!(refused, Err(Status::RateLimited), "before the room: {room}");
    }
    assert_eq!(stage.resume(host, HOME, r#","carry":true"#), Err(Status::RateLimited));
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    assert!(stage.request(elsewhere, 2, "r", &carried(3)).is_ok());
    assert!(stage.resume(guests[0], HOME, r#","carry":true"#).is_ok(), "it counts already");
    assert!(stage.resume(guests[1], elsewhere, r#","carry":true"#).is_ok());
    assert_eq!(stage.resume(guests[0], elsewhere, r#","carry":true"#), Err(Status::RateLimited));
}

#[test]
fn h6_path_end_has_its_code() {
    let (mut stage, host, kicked) = carried_guest(ChatConfig::default());
    let leaving = stage.join("r", r#"{"username":"leaving","carry":true}"#);
    let moved = stage.join("r", r#"{"username":"moved","carry":true}"#);
    let left = stage.join("r", r#"{"username":"last","carry":true,"delivery":"stream"}"#);
    stage.say(host, "/kick guest");
    stage.unit(leaving, "/exit");
    assert_eq!(stage.resume(moved, HOME, ""), Ok(Path::Clear));
    stage.say(host, "/exit");
    let guests = [kicked, leaving, moved, left];
    guests.iter().for_each(|guest| drop(stage.take_heard(*guest)));
    let mut ends: Vec<_> = std::iter::from_fn(|| stage.chat.poll_path_end()).collect();
    ends.sort_by_key(|end| end.member);
    let codes = [Some(Code::Removed), Some(Code::Left), None, Some(Code::RoomClosed)];
    let expected = guests.iter().zip(codes).map(|(guest, code)| PathEnd { member: guest.id, code });
    assert_eq!(ends, expected.collect::<Vec<_>>());
}

#[test]
fn h7_sign_of_life_puts_off_removal() {
    let (mut stage, host, guest) = carried_guest(ChatConfig::default());
    for _ in 0..4 {
        stage.advance(Duration::from_secs(299));
        stage.say(host, "");
        stage.chat.note_alive(guest.id, stage.now);
    }
    assert!(stage.take_heard(guest).is_empty());
    stage.chat.handle_path_end(guest.id, stage.now);
    stage.chat.note_alive(guest.id, stage.now);
    assert!(stage.chat.directory.live(guest.id).is_none(), "not of one that has left");
}
