//! Closing rooms: dead at once, freed in portions.

use super::*;

const STREAM: &str = r#","delivery":"stream""#;

/// Lets `count` members join a room, each with a token of its own.
fn crowd(stage: &mut Stage, room: &str, count: u128) {
    for number in 0..count {
        let payload = format!(r#"{{"username":"m{number}"}}"#);
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation: 2, state: 0, room, payload });
        let draw = || Some((1 + number).to_be_bytes());
        let request = request.expect("a join");
        stage.chat.handle_request(HOME.into(), &request, draw, 99, stage.now).expect("a place");
    }
}

/// Skips members without an address, as the datagram layer does.
fn pass_over(job: Job<'_>, _: usize) -> Receipt {
    job.to.iter_mut().for_each(|share| share.next = share.until);
    Receipt::default()
}

#[test]
fn a10_a_room_is_freed_in_portions() {
    const MEMBERS: usize = 3_001;
    let mut stage = Stage::with_defaults();
    let host = stage.create("large", r#"{"username":"host"}"#);
    crowd(&mut stage, "large", MEMBERS as u128 - 1);
    stage.chat.deliver(usize::MAX, stage.now, pass_over);
    stage.say(host, "/exit");
    let census = stage.chat.census();
    assert_eq!((census.open, census.tokens, census.closing), (0, 0, MEMBERS));

    let mut before = census;
    while stage.chat.has_output() || stage.chat.has_garbage() {
        stage.chat.deliver(100, stage.now, pass_over);
        let delivered = stage.chat.census();
        assert!(before.closing - delivered.closing <= 100, "{delivered:?}");
        stage.chat.reap(|_| {});
        let reaped = stage.chat.census();
        assert!(delivered.members - reaped.members <= 1024, "{reaped:?}");
        before = reaped;
    }
    assert_eq!(before, Census::default());
}

#[test]
fn a10_closed_members_make_place() {
    const MOST: usize = 6;
    let config = ChatConfig { max_members: Some(MOST), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("old", r#"{"username":"host"}"#);
    for number in 1..MOST {
        stage.join("old", &format!(r#"{{"username":"m{number}"{STREAM}}}"#));
    }
    stage.say(host, "/exit");
    stage.create("new", r#"{"username":"host"}"#);
    for count in 1..MOST {
        let Census { tokens, closing, tombstones, .. } = stage.chat.census();
        assert_eq!(tokens, count);
        assert!(tokens + closing + tombstones <= MOST, "{closing} and {tombstones}");
        stage.join("new", &format!(r#"{{"username":"m{count}"}}"#));
    }
    stage.deliver();
    let Census { tokens, closing, tombstones, .. } = stage.chat.census();
    assert_eq!((tokens, closing, tombstones), (MOST, 0, 0));
}

#[test]
fn a10_closing_ends_no_live_member() {
    let config = ChatConfig { max_unproved: Some(1), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("stays", r#"{"username":"host"}"#);
    let closer = stage.create("closes", r#"{"username":"host"}"#);
    stage.say(host, "");
    stage.say(closer, "");
    let live = stage.join("stays", r#"{"username":"guest"}"#);
    stage.now += Duration::from_secs(1);
    let closing = stage.join("closes", r#"{"username":"guest"}"#);
    for guest in [live, closing] {
        stage.chat.handle_disconnect(guest.id, stage.now);
    }
    stage.say(closer, "/exit");
    assert_eq!(stage.chat.census().closing, 2);
    stage.now += Duration::from_secs(9);
    stage.chat.note_read(stage.now);
    stage.chat.handle_timeout(stage.now, usize::MAX);
    assert!(stage.chat.directory.live(live.id).is_some());
    assert_eq!(stage.chat.census().tokens, 2);
}

#[test]
fn a10_a_closed_room_is_dead_at_once() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let text = stage.join("r", r#"{"username":"text"}"#);
    let stream = stage.join("r", &format!(r#"{{"username":"stream"{STREAM}}}"#));
    let resuming = stage.join("r", &format!(r#"{{"username":"resuming"{STREAM}}}"#));
    stage.say(stream, "");
    stage.deliver();
    stage.say(host, "/exit");
    assert_eq!(stage.chat.census().closing, 4);

    assert_eq!(stage.say(text, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    assert_eq!(stage.say(stream, ""), DatagramOutcome::Accepted(stream.id, MessageOutcome::Ended));
    let token = String::from_utf8(resuming.token.to_wire().to_vec()).expect("hex");
    assert_eq!(stage.request(HOME, 4, "r", &token), Err(Status::RoomNotFound));
    assert!(!stage.chat.handle_announcement(text.id, Endpoint::from((HOME, 9))));
    stage.create("r", r#"{"username":"host"}"#);
    assert_eq!(stage.chat.census().tokens, 1, "the new host");
}

#[test]
fn a10_freed_members_leave_nothing() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    for number in 0..9 {
        stage.join("r", &format!(r#"{{"username":"g{number}"}}"#));
    }
    stage.say(host, "/exit");
    // Everyone has got the farewell, and only one member is out of the tables.
    stage.chat.deliver(1, stage.now, pass_over);
    assert_eq!(stage.chat.census().closing, 9);
    stage.chat.reap(|_| {});
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn a10_farewells_go_after_messages() {
    let mut stage = Stage::with_defaults();
    let quiet = stage.create("quiet", r#"{"username":"host"}"#);
    let listener = stage.join("quiet", r#"{"username":"listener"}"#);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let kicked: Vec<Guest> =
        (0..9).map(|n| stage.join("r", &format!(r#"{{"username":"g{n}"{STREAM}}}"#))).collect();
    kicked.iter().for_each(|guest| {
        stage.say(*guest, "");
    });
    stage.deliver();
    (0..9).for_each(|n| {
        stage.say(host, &format!("/kick g{n}"));
    });
    stage.say(quiet, "hello");
    let mut order = Vec::new();
    stage.chat.deliver(400, stage.now, |job, _| {
        order.extend(job.to.iter().map(|share| share.member));
        pass_over(job, 0)
    });
    let heard = order.iter().position(|id| *id == listener.id).expect("the message");
    for guest in kicked {
        let farewell = order.iter().rposition(|id| *id == guest.id).expect("a farewell");
        assert!(farewell > heard, "{farewell} {heard}");
    }
}

#[test]
fn close_all_notifies_everyone() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("a", r#"{"username":"host"}"#);
    let guest = stage.join("a", "guest");
    let other = stage.create("b", r#"{"username":"host"}"#);
    stage.deliver();
    stage.heard.clear();
    stage.chat.close_all(stage.now);
    assert_eq!(stage.take_heard(host), ["the server is shutting down or restarting"]);
    assert_eq!(stage.take_heard(guest), ["\0the server is shutting down or restarting"]);
    assert_eq!(stage.take_heard(other), ["the server is shutting down or restarting"]);
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn close_all_skips_the_backlog() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests = ["a", "b"].map(|name| stage.join("r", &format!(r#"{{"username":"{name}"}}"#)));
    stage.deliver();
    stage.heard.clear();
    for text in texts(50) {
        stage.say(host, &text);
    }
    stage.chat.deliver(9, stage.now, block_all);
    stage.chat.resume_stalled(stage.now);
    assert!(stage.chat.close_all(stage.now) >= 2 * 50);
    let heard = &mut stage.heard;
    stage.chat.deliver(3, stage.now, |job, budget| send_all(job, budget, heard));
    for member in [host, guests[0], guests[1]] {
        assert_eq!(stage.heard[&member.id], ["the server is shutting down or restarting"]);
    }
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}
