//! Carried members with stream delivery: their ends, and their return after a connection has ended.

use super::*;

const CARRIED: &str = r#","delivery":"stream","carry":true"#;
const CARRY: &str = r#","carry":true"#;

/// Returns a stage with a room, its host, and a carried guest that has received everything.
fn carried_guest(config: ChatConfig) -> (Stage, Guest, Guest) {
    let mut stage = Stage::new(config);
    let host = stage.host("r");
    let guest = stage.try_enter(2, "r", "guest", CARRIED).expect("admission");
    stage.deliver();
    (stage, host, guest)
}

impl Stage {
    fn unit(&mut self, guest: &Guest, body: &[u8]) -> MessageOutcome {
        match self.chat.handle_carried(guest.id, body, self.now) {
            DatagramOutcome::Accepted(_, outcome) => outcome,
            DatagramOutcome::Dropped(why) => panic!("{why:?}"),
        }
    }

    fn say_unit(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_message(guest.next_id, text.as_bytes(), &mut body);
        guest.next_id += 1;
        self.unit(guest, &body)
    }

    fn have_unit(&mut self, guest: &Guest) {
        let mut body = Vec::new();
        upstream::encode_have(self.received(guest).next, &mut body);
        self.unit(guest, &body);
    }

    /// Ends the connection of a carried member.
    fn cut(&mut self, guest: &Guest) {
        self.reachable.remove(&guest.id);
        self.chat.handle_path_end(guest.id, self.now);
    }

    /// Returns the members whose connections are to be finished.
    fn path_ends(&mut self) -> Vec<MemberId> {
        self.deliver();
        std::iter::from_fn(|| self.chat.poll_path_end()).map(|end| end.member).collect()
    }

    fn is_live(&self, guest: &Guest) -> bool {
        self.chat.directory.live(guest.id).is_some()
    }
}

#[test]
fn c1_stream_needs_no_first_unit() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.say(&mut host, "hi");
    stage.deliver();
    let end = stage.received(&host).next;
    stage.assert_whole(&guest, end);
    stage.advance(seconds(5));
    assert!(stage.received(&guest).sizes.iter().all(|size| *size > 12), "no tail probes");
}

#[test]
fn c1_end_is_told_once_and_last() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.discard_received();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick guest");
    assert!(stage.path_ends().is_empty(), "entries wait for its connection");
    assert!(stage.chat.has_last_words());
    stage.blocked.clear();
    stage.chat.resume_member(guest.id);
    assert_eq!(stage.path_ends(), [guest.id]);
    let received = stage.received(&guest);
    assert_eq!(received.texts(), ["one"]);
    let removed = "you were removed from the room by its host".into();
    assert_eq!(received.asides, [(7, 1, 0, removed)], "once");
    assert_eq!(stage.chat.census().tombstones, 0);
    assert_eq!(stage.unit(&guest, b""), MessageOutcome::Ended);
    stage.advance(seconds(70));
    assert_eq!(stage.received(&guest).asides.len(), 1);
    assert!(!stage.chat.has_last_words());
}

#[test]
fn c1_exit_is_answered_then_it_ends() {
    let (mut stage, host, mut guest) = carried_guest(unlimited());
    stage.discard_received();
    assert_eq!(stage.say_unit(&mut guest, "/exit"), MessageOutcome::Command);
    assert_eq!(stage.path_ends(), [guest.id]);
    assert_eq!(stage.received(&guest).asides, [(2, 2, 1, String::new())]);
    assert_eq!(stage.received(&host).texts(), ["guest left"]);
    stage.chat.handle_path_end(guest.id, stage.now);
    assert_eq!(stage.chat.census().members, 1);
}

#[test]
fn c1_closed_room_ends_all_paths() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.enter(1, "r", "host", STREAM);
    let guests: Vec<Guest> = (0..9)
        .map(|n| stage.try_enter(2, "r", &format!("g{n}"), CARRIED).expect("admission"))
        .collect();
    stage.discard_received();
    stage.say(&mut host, "bye");
    stage.say(&mut host, "/exit");
    // In portions, so that some members are freed from the tables late.
    while stage.chat.has_output() {
        stage.turn(3);
    }
    let mut ends = stage.path_ends();
    ends.sort();
    assert_eq!(ends, guests.iter().map(|guest| guest.id).collect::<Vec<_>>());
    for guest in &guests {
        let received = stage.received(guest);
        assert_eq!(received.texts(), ["bye", "the room was closed"]);
        let codes: Vec<u8> = received.asides.iter().map(|aside| aside.0).collect();
        assert_eq!(codes, [5], "once");
    }
    assert_eq!(stage.chat.census().tombstones, 1, "that of the host");
}

#[test]
fn c1_cut_connection_waits_for_nothing() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick guest");
    stage.deliver();
    assert_eq!(stage.chat.census().members, 2);
    stage.blocked.clear();
    stage.cut(&guest);
    stage.path_ends();
    assert_eq!(stage.chat.census().members, 1);
    assert!(!stage.chat.has_last_words());
}

#[test]
fn c1_unread_end_is_given_up() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick guest");
    stage.deliver();
    stage.advance(Duration::from_millis(9_999));
    assert!(stage.path_ends().is_empty());
    stage.advance(Duration::from_millis(1));
    // The last aside does not fit, and is dropped.
    stage.blocked.clear();
    stage.reachable.remove(&guest.id);
    assert_eq!(stage.path_ends(), [guest.id]);
    assert!(!stage.chat.has_last_words());
}

#[test]
fn c2_detached_member_comes_back_whole() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.say(&mut host, "one");
    stage.deliver();
    stage.have_unit(&guest);
    stage.discard_received();
    stage.cut(&guest);
    let unproved = stage.chat.peers.quotas.unproved(Subnet::of(HOME.into()));
    assert_eq!(unproved, 0, "nobody gives way for it, and it for nobody");
    stage.say(&mut host, "two");
    stage.advance(Duration::from_millis(29_999));
    stage.say(&mut host, "/who");
    stage.deliver();
    assert_eq!(stage.received(&host).texts(), ["two"], "no notice");
    let who = &stage.received(&host).asides.last().expect("an answer").3;
    assert_eq!(who, "host (host), guest");
    assert!(stage.resume_on(&guest, ELSEWHERE, CARRY).is_ok());
    stage.deliver();
    assert_eq!(stage.received(&guest).texts(), ["two"]);
    let end = stage.received(&host).next;
    stage.assert_whole(&guest, end);
    stage.advance(seconds(31));
    assert!(stage.is_live(&guest), "it is attached");
}

#[test]
fn c2_unconfirmed_entries_come_again() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    stage.have_unit(&guest);
    let have = stage.received(&guest).next;
    stage.say(&mut host, "lost with the old connection");
    stage.deliver();
    stage.cut(&guest);
    let received = stage.received.get_mut(&guest.id).expect("a known member");
    *received = Received { next: have, tag: received.tag, ..Received::default() };
    stage.resume_on(&guest, HOME, CARRY).expect("a path");
    stage.deliver();
    assert_eq!(stage.received(&guest).texts(), ["lost with the old connection"]);
}

#[test]
fn c2_detached_member_times_out() {
    let (mut stage, host, guest) = carried_guest(unlimited());
    stage.discard_received();
    stage.cut(&guest);
    stage.advance(seconds(30));
    assert!(!stage.is_live(&guest));
    stage.deliver();
    assert_eq!(stage.received(&host).texts(), ["guest timed out"]);
    assert_eq!(stage.resume_on(&guest, HOME, CARRY), Err(Status::RoomNotFound));
    assert!(stage.received(&guest).asides.is_empty(), "nobody is there to be told");
    let census = stage.chat.census();
    assert_eq!((census.members, census.tombstones), (1, 0));
}

#[test]
fn c2_without_a_time_it_ends_at_once() {
    let (mut stage, host, guest) =
        carried_guest(ChatConfig { replace_silent: None, ..unlimited() });
    stage.discard_received();
    stage.cut(&guest);
    assert!(!stage.is_live(&guest));
    stage.deliver();
    assert_eq!(stage.received(&host).texts().len(), 1);
}

#[test]
fn c2_a_join_replaces_a_detached_one() {
    let mut stage = Stage::new(unlimited());
    let host = stage.enter(1, "r", "host", r#","delivery":"stream","password":"pw""#);
    let entry = r#","delivery":"stream","carry":true,"password":"pw""#;
    let guest = stage.try_enter(2, "r", "guest", entry).expect("admission");
    assert_eq!(stage.try_enter(2, "r", "guest", entry).err(), Some(Status::NameTaken));
    stage.cut(&guest);
    let wrong = stage.try_enter(2, "r", "guest", CARRIED).err();
    assert_eq!(wrong, Some(Status::WrongPassword));
    let payload = r#"{"username":"guest","password":"pw"}"#;
    let elsewhere = stage.request(ELSEWHERE, 2, "r", payload);
    assert_eq!(elsewhere, Err(Status::NameTaken));
    let new = stage.try_enter(2, "r", "guest", entry).expect("its place, at once");
    stage.deliver();
    assert!(stage.path_ends().is_empty(), "the old connection has ended before");
    assert!(!stage.is_live(&guest) && stage.is_live(&new) && stage.is_live(&host));
    assert_eq!(stage.chat.census().members, 2);
}

#[test]
fn c2_a_resume_attaches_to_any_path() {
    for keys in ["", CARRY] {
        let (mut stage, mut host, mut guest) = carried_guest(unlimited());
        stage.have_unit(&guest);
        stage.discard_received();
        stage.cut(&guest);
        stage.say(&mut host, "meanwhile");
        stage.resume_on(&guest, ELSEWHERE, keys).expect("a path");
        if keys.is_empty() {
            guest.address = (ELSEWHERE, 7).into();
            stage.send(&guest, b"");
            stage.advance(seconds(1));
        }
        stage.deliver();
        assert_eq!(stage.received(&guest).texts(), ["meanwhile"], "{keys}");
        assert!(stage.path_ends().is_empty(), "no connection is left");
        stage.advance(seconds(60));
        assert!(stage.is_live(&guest));
    }
}

#[test]
fn c2_a_member_leaves_its_connection() {
    let (mut stage, mut host, mut guest) = carried_guest(unlimited());
    stage.have_unit(&guest);
    stage.resume_on(&guest, ELSEWHERE, "").expect("a path");
    assert_eq!(stage.path_ends(), [guest.id]);
    stage.chat.handle_path_end(guest.id, stage.now);
    assert!(stage.is_live(&guest), "its old connection ends nothing");
    guest.address = (ELSEWHERE, 7).into();
    stage.send(&guest, b"");
    stage.say(&mut host, "hi");
    stage.advance(seconds(1));
    assert_eq!(stage.received(&guest).texts().last(), Some(&"hi"));
    stage.say(&mut guest, "/exit");
    stage.deliver();
    assert_eq!(stage.chat.census().tombstones, 1, "as any member with datagrams");
}

#[test]
fn c3_full_connection_delays_nobody() {
    let (mut stage, mut host, guest) = carried_guest(unlimited());
    let other = stage.guest("r", "other");
    stage.deliver();
    stage.have_unit(&guest);
    stage.discard_received();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.deliver();
    assert_eq!(stage.received(&other).texts(), ["one"]);
    assert!(stage.received(&guest).texts().is_empty());
    stage.advance(seconds(299));
    stage.have_unit(&guest);
    stage.blocked.clear();
    stage.chat.resume_member(guest.id);
    stage.deliver();
    assert_eq!(stage.received(&guest).texts()[0], "one");
}
