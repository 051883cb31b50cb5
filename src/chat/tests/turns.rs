//! Turns: order and bounds of the output of all rooms.

use super::*;
use crate::fanout::Audience;

#[test]
fn w24_audience_is_fixed_at_append() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let early = stage.join("r", r#"{"username":"early"}"#);
    stage.deliver();
    stage.heard.clear();
    stage.say(host, "one");
    let late = stage.join("r", r#"{"username":"late"}"#);
    stage.say(early, "/exit");
    stage.say(host, "two");
    assert_eq!(stage.take_heard(early), ["host: one", "late joined"]);
    assert_eq!(stage.take_heard(late), ["early left", "host: two"]);
    assert_eq!(stage.take_heard(host), ["late joined", "early left"]);
}

#[test]
fn a_quantum_serves_the_back_rows() {
    let mut stage = Stage::new(ChatConfig { rate_limit: None, ..ChatConfig::default() });
    stage.chat.config.max_unproved = None;
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests: Vec<Guest> =
        (0..9).map(|n| stage.join("r", &format!(r#"{{"username":"g{n}"}}"#))).collect();
    stage.advance(Duration::from_secs(2));
    stage.deliver();
    stage.heard.clear();
    for text in texts(10) {
        stage.say(host, &text);
    }
    let mut calls = 0;
    while stage.chat.has_output() {
        let heard = &mut stage.heard;
        let receipt = stage.chat.deliver(25, stage.now, |job, budget| send_all(job, budget, heard));
        assert!(receipt.sent <= 25);
        calls += 1;
        if calls == 2 {
            let served = guests.iter().filter(|guest| stage.heard.contains_key(&guest.id)).count();
            assert!(served >= 5, "the second call goes on where the first was cut");
        }
    }
    let expected: Vec<String> = texts(10).iter().map(|text| format!("host: {text}")).collect();
    for guest in guests {
        assert_eq!(stage.heard[&guest.id], expected, "each once and in order");
    }
}

#[test]
fn l14_a_reply_visits_one_member() {
    let mut stage = Stage::new(ChatConfig { max_unproved: None, ..ChatConfig::default() });
    let host = stage.create("r", r#"{"username":"host"}"#);
    for n in 0..50 {
        stage.join("r", &format!("g{n}"));
    }
    stage.advance(Duration::from_secs(2));
    stage.take_heard(host);
    stage.say(host, "/who");
    stage.say(host, "/kick nobody");
    let mut readers = Vec::new();
    stage.chat.deliver(9, stage.now, |job, budget| {
        readers.extend(job.to.iter().map(|share| share.member));
        send_all(job, budget, &mut HashMap::new())
    });
    assert_eq!(readers, [host.id], "nobody else is looked at");
}

#[test]
fn replies_come_under_overload() {
    let mut stage = Stage::new(ChatConfig { rate_limit: None, ..ChatConfig::default() });
    let host = stage.create("r", r#"{"username":"host"}"#);
    for n in 0..20 {
        stage.join("r", &format!(r#"{{"username":"g{n}"}}"#));
    }
    let told = "the room is too busy, what you wrote last was not sent on";
    for turn in 0..2000 {
        for _ in 0..256 {
            stage.say(host, &"x".repeat(40));
        }
        let heard = &mut stage.heard;
        stage.chat.deliver(2048, stage.now, |job, budget| send_all(job, budget, heard));
        stage.advance(Duration::from_millis(5));
        let heard = stage.heard.remove(&host.id).unwrap_or_default();
        if heard.iter().any(|text| text == told) {
            return assert!(turn < 500, "told in turn {turn}");
        }
    }
    panic!("never told");
}

#[test]
fn a_full_socket_delays_no_others() {
    let mut stage = Stage::with_defaults();
    let near = stage.create("r", r#"{"username":"near"}"#);
    let far = stage.join("r", r#"{"username":"far"}"#);
    stage.take_heard(near);
    stage.say(far, "one");
    stage.say(near, "two");
    stage.say(near, "/who");
    let heard = &mut stage.heard;
    stage.chat.deliver(99, stage.now, |job, budget| {
        let (blocked, open): (Vec<Share>, Vec<Share>) =
            job.to.iter().partition(|share| share.member == far.id);
        let mut open = open;
        let Job { bytes, entries, is_tagged, .. } = job;
        let mut receipt = send_all(Job { bytes, entries, to: &mut open, is_tagged }, budget, heard);
        receipt.blocked = !blocked.is_empty();
        for share in &mut *job.to {
            let sent = open.iter().find(|sent| sent.member == share.member);
            share.next = sent.map_or(share.next, |sent| sent.next);
        }
        receipt
    });
    assert_eq!(stage.heard[&near.id], ["far: one", "near (host), far"]);
    assert!(!stage.heard.contains_key(&far.id));
}

#[test]
fn blocked_replies_come_once() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    stage.take_heard(host);
    stage.say(host, "/kick nobody");
    stage.say(host, "/kick guest");
    assert!(stage.chat.deliver(9, stage.now, block_all).blocked);
    assert!(stage.chat.directory.members.get(guest.id).is_some(), "its last word is not sent yet");
    stage.chat.resume_stalled(stage.now);
    let removed = "you were removed from the room by its host";
    assert_eq!(stage.take_heard(guest), [removed]);
    let answer = "nobody here has that name, /who lists the names";
    assert_eq!(stage.take_heard(host), ["guest was removed by the host", answer]);
    assert_eq!(stage.chat.census().members, 1);
}

/// The older entries reach its next turn, in which the datagram layer drops what has no address.
#[test]
fn resume_ends_waiting_for_a_socket() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    stage.take_heard(host);
    stage.say(host, "one");
    assert!(stage.chat.deliver(9, stage.now, block_all).blocked);
    let token = String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    stage.request(Ipv4Addr::new(192, 0, 2, 2), 4, "r", &token).expect("the same member");
    stage.say(host, "two");
    assert_eq!(stage.take_heard(guest)[..2], ["host: one", "host: two"]);
}

/// More members wait for a full socket than a turn looks at.
#[test]
fn full_socket_delays_no_reply() {
    let mut stage = Stage::new(ChatConfig { max_unproved: None, ..ChatConfig::default() });
    let host = stage.create("r", r#"{"username":"host"}"#);
    for n in 0..20 {
        stage.join("r", &format!("g{n}"));
    }
    stage.take_heard(host);
    stage.say(host, "one");
    stage.say(host, "/kick nobody");
    let mut replies = 0;
    stage.chat.deliver(1, stage.now, |job, budget| {
        if job.entries[0].audience == Audience::Only(host.id) {
            replies += 1;
            return send_all(job, budget, &mut HashMap::new());
        }
        Receipt { blocked: true, ..Receipt::default() }
    });
    assert_eq!(replies, 1);
}

#[test]
fn l14_busy_rooms_delay_no_quiet_one() {
    let mut stage = Stage::new(ChatConfig { rate_limit: None, ..ChatConfig::default() });
    stage.chat.config.max_unproved = None;
    for room in ["busy", "busier"] {
        let host = stage.create(room, r#"{"username":"host"}"#);
        for n in 0..20 {
            stage.join(room, &format!("g{n}"));
        }
        stage.deliver();
        for text in texts(100) {
            stage.say(host, &text);
        }
    }
    let heard = &mut stage.heard;
    stage.chat.deliver(1500, stage.now, |job, budget| send_all(job, budget, heard));
    let host = stage.create("quiet", r#"{"username":"host"}"#);
    let guest = stage.join("quiet", r#"{"username":"guest"}"#);
    stage.say(host, "hi");
    let heard = &mut stage.heard;
    stage.chat.deliver(10, stage.now, |job, budget| send_all(job, budget, heard));
    assert_eq!(stage.heard[&guest.id], ["host: hi"]);
}

#[test]
fn both_plain_forms_take_turns() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let text = stage.join("r", r#"{"username":"text"}"#);
    let named = stage.join("r", "named");
    stage.deliver();
    stage.heard.clear();
    for message in texts(20) {
        stage.say(host, &message);
        let heard = &mut stage.heard;
        stage.chat.deliver(1, stage.now, |job, budget| send_all(job, budget, heard));
    }
    let [text, named] = [text, named].map(|guest| stage.heard[&guest.id].len());
    assert_eq!((text, named), (10, 10));
}

#[test]
fn a_blocked_room_does_not_spin() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    stage.take_heard(host);
    stage.say(host, "hi");
    assert!(stage.chat.deliver(9, stage.now, block_all).blocked);
    assert!(!stage.chat.has_output(), "no spin");
    stage.deliver();
    assert!(stage.take_heard(guest).is_empty());
    stage.chat.resume_stalled(stage.now);
    assert!(stage.chat.has_output());
    assert_eq!(stage.take_heard(guest), ["host: hi"]);
}

#[test]
fn a_full_room_warns_once() {
    let mut stage = Stage::new(ChatConfig { rate_limit: None, ..ChatConfig::default() });
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    stage.deliver();
    stage.heard.clear();
    let message = "x".repeat(1000);
    let mut taken = 0;
    for _ in 0..1000 {
        match stage.say(host, &message) {
            DatagramOutcome::Accepted(_, MessageOutcome::Relayed) => taken += 1,
            DatagramOutcome::Accepted(_, MessageOutcome::RoomBusy) => {}
            other => panic!("{other:?}"),
        }
        stage.chat.deliver(9, stage.now, block_all);
    }
    assert!((200..300).contains(&taken), "about 256 KiB: {taken}");
    stage.chat.resume_stalled(stage.now);
    assert_eq!(stage.take_heard(guest).len(), taken, "what was taken is delivered");
    let told = stage.take_heard(host);
    assert_eq!(told, ["the room is too busy, what you wrote last was not sent on"]);
}

/// Rooms whose members' sockets are full: what waits is bounded by the sum, and a room that was quiet
/// still has its place.
#[test]
fn t10_total_backlog_is_bounded() {
    const SUM: usize = 64 * 1024;
    const ROOMS: &str = "abcdefghijklmnopqrst";
    let config = ChatConfig {
        backlog_memory: Some(SUM),
        rate_limit: None,
        max_unproved: None,
        ..Default::default()
    };
    let mut stage = Stage::new(config);
    let (mut taken, mut pairs) = (Vec::new(), Vec::new());
    for n in 0..ROOMS.len() {
        let host = stage.create(&ROOMS[n..=n], r#"{"username":"host"}"#);
        let guest = stage.join(&ROOMS[n..=n], r#"{"username":"guest"}"#);
        let is_taken = |heard: &DatagramOutcome| {
            matches!(heard, DatagramOutcome::Accepted(_, MessageOutcome::Relayed))
        };
        let text = "x".repeat(1000);
        taken.push((0..300).take_while(|_| is_taken(&stage.say(guest, &text))).count());
        pairs.push((host, guest));
    }
    // Nor is there more to be had by notices and answers.
    for (host, guest) in pairs {
        for _ in 0..300 {
            stage.say(host, "/host guest");
            stage.say(guest, "/host host");
            stage.say(guest, "/help");
        }
    }
    assert!(taken[0] > 60 && taken[1..].iter().all(|taken| *taken == 8), "{taken:?}");
    let backlog = stage.chat.census().backlog;
    assert!(backlog > SUM && backlog < SUM + ROOMS.len() * 10 * 1024, "{backlog}");
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, 0);
}

/// A short message costs more than its bytes: what is held to find it counts too.
#[test]
fn t10_short_messages_cost_overhead() {
    const SUM: usize = 64 * 1024;
    let config = ChatConfig {
        backlog_memory: Some(SUM),
        rate_limit: None,
        fanout_limit: None,
        ..Default::default()
    };
    let mut stage = Stage::new(config);
    stage.create("r", r#"{"username":"a"}"#);
    let guest = stage.join("r", r#"{"username":"b"}"#);
    let is_taken = |heard: &DatagramOutcome| {
        matches!(heard, DatagramOutcome::Accepted(_, MessageOutcome::Relayed))
    };
    let taken = (0..SUM).take_while(|_| is_taken(&stage.say(guest, "x"))).count();
    let each = "b: x".len() + size_of::<crate::fanout::Extent>();
    assert!((taken * each).abs_diff(SUM) < 1024, "{taken}");
}
