//! The chat by itself: no socket, no waiting; time is what the test says.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::*;
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::{Job, Receipt, Share};
use crate::protocol::datagram;
use crate::protocol::{Frame, request};

mod addresses;
mod bans;
mod closing;

/// A chat with a clock that stands still until it is moved, and a network that loses nothing.
struct Stage {
    chat: Chat,
    now: Instant,
    drawn: u8,
    /// What each member got, in order.
    heard: HashMap<MemberId, Vec<String>>,
}

/// A member as its client knows it.
#[derive(Clone, Copy)]
struct Guest {
    id: MemberId,
    token: Token,
    room: &'static str,
    address: SocketAddr,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

impl Stage {
    fn new(config: ChatConfig) -> Self {
        let (chat, now) = (Chat::new(config), Instant::now());
        Self { chat, now, drawn: 0, heard: HashMap::new() }
    }

    fn with_defaults() -> Self {
        Self::new(ChatConfig::default())
    }

    fn request(
        &mut self,
        ip: Ipv4Addr,
        operation: u8,
        room: &str,
        payload: &str,
    ) -> Result<Reply, Status> {
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation, state: 0, room, payload })?;
        self.drawn += 1;
        let drawn = self.drawn;
        let draw = || Some([drawn; 16]);
        self.chat.handle_request(IpAddr::V4(ip), &request, draw, 65_536, self.now)
    }

    fn enter(&mut self, operation: u8, room: &'static str, payload: &str) -> Result<Guest, Status> {
        match self.request(HOME, operation, room, payload)? {
            Reply::Entered { member: id, token, .. } => {
                let address = SocketAddr::from((HOME, 1000 + u16::from(self.drawn)));
                Ok(Guest { id, token, room, address })
            }
            _ => panic!("not a place"),
        }
    }

    fn create(&mut self, room: &'static str, payload: &str) -> Guest {
        self.enter(1, room, payload).expect("a room")
    }

    fn join(&mut self, room: &'static str, payload: &str) -> Guest {
        self.enter(2, room, payload).expect("a place")
    }

    fn say(&mut self, guest: Guest, message: &str) -> DatagramOutcome {
        let mut bytes = Vec::new();
        datagram::encode_upstream(guest.room, guest.token, message.as_bytes(), &mut bytes);
        self.chat.handle_datagram(guest.address, &bytes, self.now)
    }

    /// Delivers and reaps, as a turn does, until nothing is left.
    fn deliver(&mut self) {
        while self.chat.has_output() {
            let heard = &mut self.heard;
            self.chat.deliver(usize::MAX, self.now, |job, budget| send_all(job, budget, heard));
        }
        self.chat.reap(|_| {});
    }

    fn take_heard(&mut self, guest: Guest) -> Vec<String> {
        self.deliver();
        self.heard.remove(&guest.id).unwrap_or_default()
    }

    /// Moves the clock, acting on every deadline in between.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, usize::MAX);
        }
        self.now = end;
    }
}

/// A network that takes everything, as far as the budget goes.
fn send_all(job: Job<'_>, budget: usize, heard: &mut HashMap<MemberId, Vec<String>>) -> Receipt {
    let mut receipt = Receipt::default();
    let Job { bytes, entries, to, is_tagged } = job;
    for share in to {
        while share.next < share.until && receipt.sent < budget {
            if entries[share.next as usize].audience.includes(share.member) {
                let job = Job { bytes, entries, to: &mut [], is_tagged };
                let datagram = job.datagram(share.next);
                let text = String::from_utf8_lossy(datagram).into_owned();
                heard.entry(share.member).or_default().push(text);
                receipt.sent += 1;
            }
            share.next += 1;
        }
    }
    receipt
}

/// A network whose sockets are all full.
fn block_all(_: Job<'_>, _: usize) -> Receipt {
    Receipt { blocked: true, ..Receipt::default() }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[test]
fn w24_the_audience_is_that_of_the_moment_the_message_was_taken() {
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
fn w24_what_fits_is_exact_and_the_sender_is_told() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", "guest");
    let fits = datagram::MAX_NAME_AND_MESSAGE - "guest".len();
    assert_eq!(fits, 4065);
    let room_and_token = 2 + "r".len() + Token::WIRE_SIZE;
    assert!(room_and_token + fits > datagram::MAX_UPSTREAM, "a short name can't get there");
    let name = "n".repeat(60);
    let long = stage.join("r", &name);
    let fits = datagram::MAX_NAME_AND_MESSAGE - name.len();
    let fate = |heard| match heard {
        DatagramOutcome::Accepted(_, fate) => fate,
        DatagramOutcome::Dropped(why) => panic!("{why:?}"),
    };
    assert_eq!(fate(stage.say(long, &"x".repeat(fits))), MessageOutcome::Relayed);
    assert_eq!(fate(stage.say(long, &"x".repeat(fits + 1))), MessageOutcome::Refused);
    let told = format!("\0message refused, it is too long, {fits} bytes fit");
    assert_eq!(stage.take_heard(long), [told]);
    let longest = stage.take_heard(host).into_iter().map(|text| text.len()).max();
    assert_eq!(longest, Some(datagram::MAX_NAME_AND_MESSAGE + 2));
    assert_eq!(stage.take_heard(guest).len(), 2, "the join and the one that fitted");
}

#[test]
fn a_quantum_cuts_a_room_and_the_back_rows_get_their_turn() {
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
fn l14_an_answer_looks_at_its_member_alone_however_large_the_room_is() {
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
fn in_a_room_that_gets_more_than_can_be_sent_answers_still_come() {
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
fn members_of_a_full_socket_do_not_hold_up_the_answers_of_others() {
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
fn answers_wait_for_a_full_socket_too_and_come_once() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    stage.take_heard(host);
    stage.say(host, "/kick nobody");
    stage.say(host, "/kick guest");
    assert!(stage.chat.deliver(9, stage.now, block_all).blocked);
    assert!(stage.chat.members.get(guest.id).is_some(), "its last word is not sent yet");
    stage.chat.resume_stalled(stage.now);
    let removed = "you were removed from the room by its host";
    assert_eq!(stage.take_heard(guest), [removed]);
    let answer = "nobody here has that name, /who lists the names";
    assert_eq!(stage.take_heard(host), ["guest was removed by the host", answer]);
    assert_eq!(stage.chat.census().members, 1);
}

#[test]
fn l14_a_quiet_room_does_not_wait_for_the_backlogs_of_busy_ones() {
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
fn neither_form_of_delivery_uses_up_the_turns_of_the_other() {
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
fn a_blocked_room_waits_without_being_asked_again_and_goes_on_when_told() {
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
fn a_room_that_is_not_sent_takes_messages_up_to_its_bound_and_says_so_once() {
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

#[test]
fn l9_members_end_while_their_rooms_output_waits() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests: Vec<Guest> =
        (0..4).map(|n| stage.join("r", &format!(r#"{{"username":"g{n}"}}"#))).collect();
    stage.deliver();
    stage.heard.clear();
    stage.say(host, "before");
    stage.chat.deliver(2, stage.now, block_all);
    stage.say(guests[1], "/exit");
    stage.say(host, "/kick g2");
    stage.say(host, "after");
    assert_eq!(stage.chat.census().members, 5, "nobody is freed who has still to hear something");
    stage.chat.resume_stalled(stage.now);
    assert_eq!(stage.take_heard(guests[1]), ["host: before"]);
    let removed = "you were removed from the room by its host";
    assert_eq!(stage.take_heard(guests[2]), ["host: before", "g1 left", removed]);
    let rest = ["host: before", "g1 left", "g2 was removed by the host", "host: after"];
    assert_eq!(stage.take_heard(guests[0]), rest);
    assert_eq!(stage.take_heard(guests[3]), rest);
    assert_eq!(stage.chat.census().members, 3);
}

#[test]
fn l8_a_slot_that_is_used_again_keeps_nothing_of_the_last_tenant() {
    let mut stage = Stage::with_defaults();
    stage.create("r", r#"{"username":"host"}"#);
    let gone = stage.join("r", r#"{"username":"gone"}"#);
    stage.say(gone, "/exit");
    stage.deliver();
    let new = stage.join("r", r#"{"username":"new"}"#);
    assert_eq!(new.id.0.slot, gone.id.0.slot, "the slot is used again");
    assert!(
        !stage.chat.handle_announcement(gone.id, SocketAddr::from((HOME, 7))),
        "an old id reaches nobody"
    );
    assert_eq!(stage.say(gone, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    stage.advance(Duration::from_secs(299));
    assert!(stage.chat.live(new.id).is_some(), "no deadline of the old one fires");
}

#[test]
fn w36_an_idle_deadline_moves_with_every_accepted_datagram() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    for _ in 0..3 {
        stage.advance(Duration::from_secs(299));
        stage.say(host, "");
        stage.say(guest, "");
    }
    stage.take_heard(guest);
    stage.advance(Duration::from_secs(200));
    stage.say(host, "");
    stage.advance(Duration::from_secs(99));
    assert!(stage.chat.live(guest.id).is_some());
    stage.advance(Duration::from_secs(1));
    assert!(stage.chat.live(guest.id).is_none(), "300 s after its last datagram, to the tick");
    assert!(stage.chat.live(host.id).is_some());
    let last = "you were removed from the room, nothing was heard from you for a while";
    assert_eq!(stage.take_heard(guest), [last]);
    assert_eq!(stage.take_heard(host).last().map(String::as_str), Some("guest timed out"));
}

#[test]
fn w36_without_a_timeout_nobody_is_removed() {
    let config = ChatConfig { idle_timeout: None, ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.advance(Duration::from_secs(60));
    assert_eq!(stage.chat.poll_timeout(), None, "it is not looked at until it is heard");
    stage.advance(Duration::from_secs(1_000_000));
    assert!(stage.chat.live(host.id).is_some());
}

#[test]
fn w38_a11_a_silent_member_gives_way_to_its_return() {
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
fn w38_a11_a_silent_host_comes_back_as_the_host() {
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
fn w38_a11_a_farewell_follows_the_end_of_an_unproved_successor() {
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
    assert!(stage.chat.live(last.id).is_none());
    assert_eq!(stage.take_heard(old), [format!("\0{SILENT}")]);
    assert!(stage.take_heard(next).is_empty(), "it had no address");
    wait(&mut stage, 60);
    stage.deliver();
    assert_eq!(stage.chat.census().members, 1);
}

#[test]
fn w38_a11_an_announced_port_causes_no_farewell() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let old = stage.join("r", "guest");
    stage.say(old, "");
    stage.take_heard(old);
    stage.advance(Duration::from_secs(30));
    let new = stage.join("r", "guest");
    assert!(stage.chat.handle_announcement(new.id, SocketAddr::from((HOME, 7000))));
    stage.say(host, "");
    assert!(stage.take_heard(old).is_empty(), "the new one may send from the old one's port");
    stage.say(Guest { address: old.address, ..new }, "");
    assert!(stage.take_heard(old).is_empty(), "it does");

    stage.advance(Duration::from_secs(30));
    let last = stage.join("r", "guest");
    assert!(stage.chat.handle_announcement(last.id, SocketAddr::from((HOME, 7000))));
    stage.say(last, "");
    assert_eq!(stage.take_heard(new).last(), Some(&format!("\0{SILENT}")));
}

#[test]
fn w38_a11_a_chain_of_replaced_members_is_forgotten() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let first = stage.join("r", "guest");
    stage.say(first, "");
    stage.take_heard(first);
    for port in [7000, 7001] {
        stage.advance(Duration::from_secs(30));
        stage.say(host, "");
        let next = stage.join("r", "guest");
        assert!(stage.chat.handle_announcement(next.id, SocketAddr::from((HOME, port))));
    }
    assert!(stage.take_heard(first).is_empty(), "the last one may be at its address");
    stage.say(host, "/exit");
    stage.deliver();
    stage.advance(Duration::from_secs(60));
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn w36_field_n_the_oldest_unproved_member_without_a_connection_gives_way() {
    let config = ChatConfig { max_unproved: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    stage.say(host, "");
    stage.chat.handle_disconnect(host.id, stage.now);
    let guests: Vec<Guest> = ["a", "b", "c", "d"].map(|name| stage.join("r", name)).into();
    stage.advance(Duration::from_secs(1));
    stage.take_heard(host);
    let live = |stage: &Stage| -> Vec<bool> {
        guests.iter().map(|guest| stage.chat.live(guest.id).is_some()).collect()
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
fn w36_field_n_many_that_enter_together_behind_one_nat_all_stay() {
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
    assert!(stage.chat.excesses.is_empty(), "the alarm is gone");
}

#[test]
fn w36_a2_announced_ports_of_one_ip_are_limited() {
    let config = ChatConfig { max_unproved: Some(2), ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guests = ["a", "b"].map(|name| stage.join("r", name));
    let announce = |stage: &mut Stage, guest: Guest, port| {
        stage.chat.handle_announcement(guest.id, SocketAddr::from((HOME, port)))
    };
    assert!(announce(&mut stage, host, 7000));
    assert!(announce(&mut stage, guests[0], 7001));
    assert!(!announce(&mut stage, guests[1], 7002), "two are not proved");
    assert!(announce(&mut stage, host, 7003), "it has one already");
    stage.say(host, "");
    assert!(announce(&mut stage, guests[1], 7002));
}

#[test]
fn field_n_a_room_of_a_host_that_failed_is_made_anew() {
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
fn w35_field_b_a_room_whose_host_vanished_passes_on() {
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
    assert!(stage.chat.live(back.id).is_some(), "its name is free");
}

#[test]
fn field_e_l_alerts_name_the_limit_and_the_address() {
    let mut stage = Stage::new(ChatConfig {
        max_rooms: Some(2),
        max_rooms_ip: Some(1),
        max_members: Some(4),
        max_room_members: Some(2),
        wrong_passwords: Some(1),
        rate_limit: Some(1),
        ..ChatConfig::default()
    });
    let alerts = |stage: &mut Stage| -> Vec<(Alert, IpAddr, u64)> {
        std::iter::from_fn(|| stage.chat.poll_alert()).collect()
    };
    let [two, three] = [2, 3].map(|last| Ipv4Addr::new(192, 0, 2, last));
    let host = stage.create("r", r#"{"username":"host","password":"pw"}"#);
    for _ in 0..2 {
        assert!(stage.enter(1, "s", "host").is_err());
    }
    assert_eq!(alerts(&mut stage), [(Alert::RoomsIp, HOME.into(), 2)]);
    let wrong = r#"{"username":"eve","password":"no"}"#;
    for _ in 0..3 {
        assert!(stage.request(two, 2, "r", wrong).is_err());
    }
    let guessed = [(Alert::WrongPassword, two.into(), 1), (Alert::WrongPasswords, two.into(), 2)];
    assert_eq!(alerts(&mut stage), guessed);
    assert!(stage.request(three, 2, "r", r#"{"username":"a","password":"pw"}"#).is_ok());
    assert!(stage.request(three, 2, "r", r#"{"username":"b","password":"pw"}"#).is_err());
    assert_eq!(alerts(&mut stage), [(Alert::RoomMembers, three.into(), 1)]);
    assert!(stage.request(three, 1, "s", "host").is_ok());
    assert!(stage.request(two, 1, "t", "host").is_err());
    assert_eq!(alerts(&mut stage), [(Alert::Rooms, two.into(), 1)]);
    for _ in 0..7 {
        stage.say(host, "hi");
    }
    assert_eq!(alerts(&mut stage), [(Alert::Rate, HOME.into(), 2)]);
    stage.advance(Duration::from_secs(10));
    assert_eq!(alerts(&mut stage), [(Alert::Unheard, three.into(), 2)], "the host was heard");
    stage.advance(Duration::from_secs(20));
    assert_eq!(alerts(&mut stage), [], "once for each member");
}

#[test]
fn w12_a_hidden_room_is_not_there_for_who_has_not_shown_its_password() {
    let mut stage = Stage::with_defaults();
    stage.create("h", r#"{"username":"host","password":"pw","hidden":true,"capacity":1}"#);
    let mut status = |payload: &str| stage.enter(2, "h", payload).err();
    assert_eq!(status("bob"), Some(Status::RoomNotFound));
    assert_eq!(status(r#"{"username":"bob","password":"no"}"#), Some(Status::RoomNotFound));
    assert_eq!(status(r#"{"username":"HOST","password":"pw"}"#), Some(Status::NameTaken));
    assert_eq!(status(r#"{"username":"bob","password":"pw"}"#), Some(Status::RoomFull));
    assert_eq!(stage.enter(1, "h", "eve").err(), Some(Status::RoomExists));
    stage.chat.config.max_members_ip = Some(1);
    for room in ["h", "none"] {
        let status = stage.enter(2, room, r#"{"username":"bob","password":"pw"}"#).err();
        assert_eq!(status, Some(Status::RateLimited), "{room}");
    }
}

#[test]
fn w13_an_announced_port_is_taken_unless_it_is_zero_or_anothers_or_too_late() {
    let mut stage = Stage::with_defaults();
    let a = stage.create("r", r#"{"username":"a"}"#);
    let b = stage.join("r", "b");
    assert!(!stage.chat.handle_announcement(a.id, SocketAddr::from((HOME, 0))));
    assert!(stage.chat.handle_announcement(a.id, SocketAddr::from((HOME, 7000))));
    assert!(!stage.chat.handle_announcement(b.id, SocketAddr::from((HOME, 7000))), "that is a's");
    assert!(
        stage.chat.handle_announcement(a.id, SocketAddr::from((HOME, 7001))),
        "a later one counts"
    );
    assert!(stage.chat.handle_announcement(b.id, SocketAddr::from((HOME, 7000))), "now it is free");
    stage.say(a, "");
    assert!(
        !stage.chat.handle_announcement(a.id, SocketAddr::from((HOME, 7002))),
        "a datagram has taught the real one"
    );
}

#[test]
fn w35_pass_makes_the_longest_member_host_and_closes_only_the_last() {
    let config = ChatConfig { host_leaves: HostLeaves::Pass, ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let second = stage.join("r", r#"{"username":"second"}"#);
    let third = stage.join("r", r#"{"username":"third"}"#);
    stage.deliver();
    stage.heard.clear();
    stage.say(host, "/exit");
    assert_eq!(stage.take_heard(third), ["host left", "second is the host now"]);
    stage.say(second, "/host THIRD");
    stage.say(second, "/exit");
    stage.say(third, "/exit");
    assert_eq!(stage.take_heard(third).last().map(String::as_str), Some("the room was closed"));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn t10_w33_a_crowd_is_told_in_one_notice_when_the_second_is_over() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    for n in 0..12 {
        let guest = stage.join("r", &format!("g{n}"));
        if n >= 10 {
            stage.say(guest, "/exit");
        }
    }
    let named: Vec<String> = (0..5).map(|n| format!("g{n} joined")).collect();
    assert_eq!(stage.take_heard(host), named);
    stage.advance(Duration::from_millis(999));
    assert!(stage.take_heard(host).is_empty());
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.take_heard(host), ["7 joined, 2 left"]);
    stage.join("r", "later");
    assert_eq!(stage.take_heard(host), ["later joined"]);
}

#[test]
fn t10_the_rate_limit_takes_a_burst_warns_once_in_five_seconds_and_never_holds_back_an_exit() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    let relayed = (0..500)
        .filter(|_| {
            matches!(stage.say(guest, "x"), DatagramOutcome::Accepted(_, MessageOutcome::Relayed))
        })
        .count();
    assert_eq!(relayed, 100);
    let warning = "you are sending too fast, what came last was not sent on";
    assert_eq!(stage.take_heard(guest), [warning]);
    assert_eq!(
        stage.say(guest, "/who"),
        DatagramOutcome::Accepted(guest.id, MessageOutcome::RateLimited)
    );
    assert!(matches!(
        stage.say(guest, "/exit"),
        DatagramOutcome::Accepted(_, MessageOutcome::Command)
    ));
    assert_eq!(stage.take_heard(host).last().map(String::as_str), Some("guest left"));
}

/// Rooms whose members' sockets are full: what waits is bounded by the sum, and a room that was quiet
/// still has its place.
#[test]
fn t10_what_waits_in_all_rooms_is_bounded_and_quiet_rooms_do_not_notice() {
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
fn t10_short_messages_fill_the_memory_of_what_waits_as_long_ones_do() {
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

/// Else one peer could fill one room after the other, and each would keep what the limits allow once.
#[test]
fn t4_a_room_that_was_large_keeps_no_memory_for_it() {
    for (room, delivery) in [("a", "text"), ("b", "stream")] {
        let mut stage = Stage::new(ChatConfig { max_unproved: None, ..Default::default() });
        let payload = |name| format!(r#"{{"username":"{name}","delivery":"{delivery}"}}"#);
        stage.create(room, &payload(0));
        let guests: Vec<_> = (1..200).map(|n| stage.join(room, &payload(n))).collect();
        let exit = if room == "a" { "/exit" } else { "\0\0\0\0\x01/exit" };
        let id = stage.chat.names[room];
        let held = |stage: &Stage| {
            let names = stage.chat.rooms.get(id).expect("a room").name_capacity();
            names + stage.chat.feeds.memory_of(id).cursors
        };
        assert!(held(&stage) >= 400, "{}", held(&stage));
        for guest in guests {
            stage.say(guest, exit);
        }
        stage.deliver();
        assert!(held(&stage) < 100, "{}", held(&stage));
    }
}

#[test]
fn when_everyone_is_gone_nothing_is_left() {
    let mut stage = Stage::with_defaults();
    for (room, payload) in [
        ("a", r#"{"username":"host"}"#),
        ("b", r#"{"username":"host","hidden":true,"password":"x"}"#),
    ] {
        let host = stage.create(room, payload);
        for n in 0..8 {
            let payload = format!(r#"{{"username":"g{n}","password":"x"}}"#);
            let guest = stage.join(room, &payload);
            match n {
                0 => drop(stage.say(guest, "/exit")),
                1 => drop(stage.say(host, "/kick g1")),
                2 => drop(stage.chat.handle_announcement(guest.id, SocketAddr::from((HOME, 9)))),
                3 => drop(stage.say(guest, "hi")),
                _ => {}
            }
        }
    }
    assert_ne!(stage.chat.census(), Census::default());
    stage.advance(Duration::from_secs(301));
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn t2_without_randomness_there_is_no_token_and_nothing_has_changed() {
    let mut stage = Stage::with_defaults();
    stage.create("r", r#"{"username":"host"}"#);
    let before = stage.chat.census();
    for (operation, room) in [(1, "new"), (2, "r")] {
        let (room, payload) = (room.as_bytes(), &b"guest"[..]);
        let request = request::parse(&Frame { operation, state: 0, room, payload }).expect("one");
        let peer = IpAddr::V4(HOME);
        let outcome = stage.chat.handle_request(peer, &request, || None, 99, stage.now);
        assert_eq!(outcome, Err(Status::ServerFull));
    }
    assert_eq!(stage.chat.census(), before);
}

/// Its slot is still there, and so is its address, until it is reaped.
#[test]
fn t2_a_token_dies_with_its_member_and_not_when_that_is_reaped() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let [left, kicked, other] = ["left", "kicked", "other"]
        .map(|name| stage.join("r", &format!(r#"{{"username":"{name}"}}"#)));
    stage.say(left, "/exit");
    stage.say(host, "/kick kicked");
    for dead in [left, kicked] {
        assert_eq!(stage.say(dead, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    }
    stage.say(host, "/exit");
    for dead in [host, other] {
        assert_eq!(stage.say(dead, "hi"), DatagramOutcome::Dropped(DropReason::UnknownToken));
    }
    assert_eq!(stage.chat.census().members, 4, "nobody is reaped yet");
}

#[test]
fn closing_all_rooms_tells_everyone_and_leaves_nothing() {
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
fn at_the_end_everyone_is_told_before_a_backlog_that_there_is_no_time_for() {
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

/// A stage with rooms of these names, and how each is listed.
fn listed(rooms: &[&'static str]) -> (Stage, impl Fn(&str) -> String) {
    let mut stage = Stage::with_defaults();
    for room in rooms {
        stage.create(room, r#"{"username":"host","capacity":5}"#);
    }
    let row =
        |room: &str| format!(r#"{{"room":"{room}","members":1,"capacity":5,"password":false}}"#);
    (stage, row)
}

#[test]
fn w10_field_h_a_list_that_is_cut_says_so_in_its_last_entry() {
    let (stage, row) = listed(&["b", "a", "ab"]);
    let more = |room: &str| row(room).replace('}', r#","more":true}"#);
    let whole = format!("[{},{},{}]", row("a"), row("ab"), row("b"));
    let list_after =
        |prefix, after, max| String::from_utf8(stage.chat.list(prefix, after, max)).expect("UTF-8");
    let list = |prefix, max| list_after(prefix, None, max);
    assert_eq!(list(Some(""), whole.len()), whole);
    assert_eq!(list(Some(""), whole.len() - 1), format!("[{},{}]", row("a"), more("ab")));
    let two = format!("[{},{}]", row("a"), row("ab"));
    assert_eq!(list(Some(""), two.len()), two, "the sign does not fit");
    assert_eq!(list_after(Some(""), Some(""), two.len()), format!("[{}]", more("a")));
    for max in 0..whole.len() + 5 {
        let cut = list_after(Some(""), Some(""), max);
        assert!(cut == "[]" || cut.len() <= max, "{max}: {cut}");
        assert!(cut == "[]" || cut == whole || cut.ends_with(r#","more":true}]"#), "{max}: {cut}");
    }
    assert_eq!(list(Some(""), 3), "[]");
    assert_eq!(list(Some("a"), 999), format!("[{},{}]", row("a"), row("ab")));
    assert_eq!(list(None, 999), "[]");
}

#[test]
fn w10_field_h_a_name_too_long_for_a_page_hides_no_other_room() {
    let (stage, row) = listed(&["a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "c"]);
    let list =
        |after, max| String::from_utf8(stage.chat.list(Some(""), after, max)).expect("UTF-8");
    let more = row("a").replace('}', r#","more":true}"#);
    let max = more.len() + 2;
    assert_eq!(list(Some(""), max), format!("[{more}]"));
    assert_eq!(list(Some("a"), max), format!("[{}]", row("c")), "the long name is left out");
    assert_eq!(list(Some("c"), max), "[]");
    let (stage, row) = listed(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"]);
    let whole = String::from_utf8(stage.chat.list(Some(""), None, max)).expect("UTF-8");
    assert_eq!(whole, format!("[{}]", row("b")), "nor to those who know of no pages");
}

#[test]
fn w10_field_h_a_page_begins_behind_the_name_that_was_asked_for() {
    let (mut stage, row) = listed(&["a", "ab", "b", "c"]);
    let list = |stage: &Stage, prefix, after| {
        String::from_utf8(stage.chat.list(Some(prefix), Some(after), 999)).expect("UTF-8")
    };
    assert_eq!(list(&stage, "", "ab"), format!("[{},{}]", row("b"), row("c")));
    assert_eq!(list(&stage, "", "aa"), format!("[{},{},{}]", row("ab"), row("b"), row("c")));
    assert_eq!(list(&stage, "a", "a"), format!("[{}]", row("ab")));
    assert_eq!(list(&stage, "b", "a"), format!("[{}]", row("b")), "before all of the prefix");
    assert_eq!(list(&stage, "a", "b"), "[]", "behind all of the prefix");
    assert_eq!(list(&stage, "", "c"), "[]");
    // Another room comes between the pages, and the one behind which the next begins goes.
    stage.create("aaa", r#"{"username":"host","capacity":5}"#);
    assert_eq!(list(&stage, "", "b"), format!("[{}]", row("c")));
    stage.create("hid", r#"{"username":"host","hidden":true}"#);
    assert_eq!(list(&stage, "", "c"), "[]", "hidden rooms stay hidden");
}
