//! Streams in the chat by itself: no socket, no waiting; time and full sockets are what the test
//! says, and every member checks the sequence that it gets.

mod answers;
mod counters;
mod credit;
mod history;
mod lives;
mod parts;
mod unanswering;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::*;
use crate::alert::Alert;
use crate::config::HostLeaves;
use crate::fanout::{Job, Receipt, TAG_SIZE};
use crate::protocol::stream::downstream::{Entry, parse};
use crate::protocol::stream::upstream::{self, Range};
use crate::protocol::{Frame, datagram, request};

/// What a member has got.
#[derive(Default)]
struct Ear {
    /// The number of the next entry that it misses.
    next: u64,
    tag: u32,
    /// What was said, in order, with the numbers.
    entries: Vec<(u64, String)>,
    /// The parts of a message that has begun, and how many messages came in parts.
    begun: Vec<u8>,
    joined: usize,
    /// Codes, expected ids, ids and texts of asides.
    asides: Vec<(u8, u32, u32, String)>,
    gone: u64,
    /// Entries that came again.
    repeated: u64,
    /// Entries that were passed over without a word.
    skipped: u64,
    /// Sizes of the datagrams.
    sizes: Vec<usize>,
    /// What came to a member without a stream.
    lines: Vec<String>,
    /// True if the last datagram had no entries.
    is_asked: bool,
}

impl Ear {
    fn hear(&mut self, datagram: &[u8]) {
        self.sizes.push(datagram.len());
        if self.tag == 0 {
            return self.lines.push(String::from_utf8(datagram.to_vec()).expect("UTF-8"));
        }
        let (header, entries) = parse(datagram).expect("a header");
        assert_eq!(header.tag, self.tag);
        assert!(datagram.len() <= 1200, "{} bytes", datagram.len());
        self.is_asked = datagram.len() == 12;
        let mut number = header.sequence;
        for entry in entries {
            let first = number;
            number += entry.numbers();
            let text = match entry {
                Entry::Aside { code, expected, id, text } => {
                    let text = String::from_utf8(text.to_vec()).expect("UTF-8");
                    self.asides.push((code, expected, id, text));
                    continue;
                }
                Entry::Message { text, .. }
                | Entry::Part { text, .. }
                | Entry::Notice { text, .. } => text,
                Entry::Gone { .. } => b"",
                Entry::Unknown => panic!("an unknown kind"),
            };
            if first < self.next {
                self.repeated += 1;
                continue;
            }
            self.skipped += first - self.next;
            self.next = number;
            match entry {
                Entry::Gone { count } => {
                    self.gone += u64::from(count);
                    self.begun.clear();
                }
                Entry::Part { .. } => self.begun.extend_from_slice(text),
                _ => self.complete(first, text),
            }
        }
    }

    fn complete(&mut self, number: u64, last: &[u8]) {
        self.joined += usize::from(!self.begun.is_empty());
        self.begun.extend_from_slice(last);
        let text = String::from_utf8(std::mem::take(&mut self.begun)).expect("UTF-8");
        self.entries.push((number, text));
    }

    /// What was said, without the numbers.
    fn said(&self) -> Vec<&str> {
        self.entries.iter().map(|(_, text)| text.as_str()).collect()
    }
}

#[derive(Clone)]
struct Guest {
    id: MemberId,
    token: Token,
    room: String,
    address: SocketAddr,
    stream: Option<Completion>,
    /// The id of its next message.
    next_id: u32,
}

struct Stage {
    chat: Chat,
    now: Instant,
    drawn: u64,
    ears: HashMap<MemberId, Ear>,
    /// Members whose sockets are full.
    blocked: HashSet<MemberId>,
    /// Members whose addresses the datagram layer knows: a datagram came from there.
    reachable: HashSet<MemberId>,
    /// Members that answer a datagram without entries with `have`.
    answering: Vec<Guest>,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const STREAM: &str = r#","delivery":"stream""#;
const SILENT: &str = "you were removed from the room, nothing was heard from you for a while";

fn open() -> ChatConfig {
    ChatConfig { rate_limit: None, max_unproved: None, ..ChatConfig::default() }
}

impl Stage {
    fn new(config: ChatConfig) -> Self {
        Self {
            chat: Chat::new(config),
            now: Instant::now(),
            drawn: 0,
            ears: HashMap::new(),
            blocked: HashSet::new(),
            reachable: HashSet::new(),
            answering: Vec::new(),
        }
    }

    fn request(
        &mut self,
        ip: Ipv4Addr,
        op: u8,
        room: &str,
        payload: &str,
    ) -> Result<Reply, Status> {
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation: op, state: 0, room, payload })?;
        let drawn = &mut self.drawn;
        let draw = || {
            *drawn += 1;
            let mut bits = [1; 16];
            bits[8..].copy_from_slice(&drawn.to_be_bytes());
            bits[..4].copy_from_slice(&(*drawn as u32).to_be_bytes());
            Some(bits)
        };
        self.chat.handle_request(IpAddr::V4(ip), &request, draw, 65_536, self.now)
    }

    fn try_enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Result<Guest, Status> {
        let payload = format!(r#"{{"username":"{name}"{more}}}"#);
        match self.request(HOME, op, room, &payload)? {
            Reply::Entered { member: id, token, stream } => {
                let ear = Ear {
                    next: stream.as_ref().map_or(0, |stream| stream.next),
                    tag: stream.as_ref().map_or(0, |stream| stream.tag),
                    ..Ear::default()
                };
                self.ears.insert(id, ear);
                let address = SocketAddr::from((HOME, 1000 + (self.drawn % 60_000) as u16));
                let room = room.to_string();
                Ok(Guest { id, token, room, address, stream, next_id: 1 })
            }
            _ => panic!("not a place"),
        }
    }

    /// A host with stream delivery, whose port is proved.
    fn host(&mut self, room: &str) -> Guest {
        self.enter(1, room, "host", STREAM)
    }

    fn guest(&mut self, room: &str, name: &str) -> Guest {
        self.enter(2, room, name, STREAM)
    }

    fn enter(&mut self, op: u8, room: &str, name: &str, more: &str) -> Guest {
        let guest = self.try_enter(op, room, name, more).expect("a place");
        self.send(&guest, b"");
        guest
    }

    fn send(&mut self, guest: &Guest, body: &[u8]) -> DatagramOutcome {
        let mut bytes = Vec::new();
        datagram::encode_upstream(&guest.room, guest.token, body, &mut bytes);
        let heard = self.chat.handle_datagram(guest.address, &bytes, self.now);
        self.reachable.extend(heard.member());
        heard
    }

    fn fate(&mut self, guest: &Guest, body: &[u8]) -> MessageOutcome {
        match self.send(guest, body) {
            DatagramOutcome::Accepted(_, fate) => fate,
            DatagramOutcome::Dropped(why) => panic!("{why:?}"),
        }
    }

    /// Says something under the next id, which is used up unless it was put off.
    fn say(&mut self, guest: &mut Guest, text: &str) -> MessageOutcome {
        if guest.stream.is_none() {
            return self.fate(guest, text.as_bytes());
        }
        let mut body = Vec::new();
        upstream::encode_message(guest.next_id, text.as_bytes(), &mut body);
        let fate = self.fate(guest, &body);
        if !matches!(
            fate,
            MessageOutcome::RateLimited
                | MessageOutcome::RoomBusy
                | MessageOutcome::OutOfOrder
                | MessageOutcome::Unanswered
                | MessageOutcome::Ended
        ) {
            guest.next_id += 1;
        }
        fate
    }

    fn have(&mut self, guest: &Guest, next: u64) -> MessageOutcome {
        let mut body = Vec::new();
        upstream::encode_have(next, &mut body);
        self.fate(guest, &body)
    }

    fn repair(&mut self, guest: &Guest, ranges: &[(u64, u16)]) -> MessageOutcome {
        let mut body = Vec::new();
        let ranges = ranges.iter().map(|(from, count)| Range { from: *from, count: *count });
        upstream::encode_repair(ranges, &mut body);
        self.fate(guest, &body)
    }

    /// One turn's delivery.
    fn turn(&mut self, budget: usize) -> Receipt {
        let Self { chat, now, ears, blocked, reachable, .. } = self;
        let receipt = chat.deliver(budget, *now, |job, budget| {
            let receipt = carry(job, budget, ears, blocked, reachable);
            assert!(receipt.sent <= budget);
            receipt
        });
        assert!(receipt.sent <= budget);
        self.chat.reap(|_| {});
        receipt
    }

    /// Delivers until nothing is left that could be sent; it must not take for ever.
    fn deliver(&mut self) {
        let mut turns = 0;
        while self.chat.has_output() {
            self.turn(2048);
            self.answer_questions();
            turns += 1;
            assert!(turns < 10_000, "there is no end to it");
        }
        self.chat.reap(|_| {});
    }

    fn answer_questions(&mut self) {
        for guest in self.answering.clone() {
            let ear = self.ears.get_mut(&guest.id).expect("a known member");
            if std::mem::take(&mut ear.is_asked) {
                let next = ear.next;
                self.have(&guest, next);
            }
        }
    }

    fn unblock(&mut self) {
        self.blocked.clear();
        self.chat.resume_stalled(self.now);
    }

    /// Moves the clock, acting on every deadline in between and delivering.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.chat.handle_timeout(self.now, usize::MAX);
            self.deliver();
        }
        self.now = end;
    }

    fn ear(&self, guest: &Guest) -> &Ear {
        &self.ears[&guest.id]
    }

    fn hush(&mut self) {
        self.deliver();
        for ear in self.ears.values_mut() {
            ear.entries.clear();
            ear.asides.clear();
            ear.lines.clear();
            ear.sizes.clear();
        }
    }

    #[track_caller]
    fn assert_whole(&self, guest: &Guest, end: u64) {
        let ear = self.ear(guest);
        assert_eq!((ear.next, ear.skipped, ear.gone, ear.repeated), (end, 0, 0, 0));
    }
}

/// A network with full sockets, which loses nothing.
fn carry(
    job: Job<'_>,
    budget: usize,
    ears: &mut HashMap<MemberId, Ear>,
    blocked: &HashSet<MemberId>,
    reachable: &HashSet<MemberId>,
) -> Receipt {
    let mut receipt = Receipt::default();
    let Job { bytes, entries, to, is_tagged } = job;
    for share in to {
        if !reachable.contains(&share.member) {
            share.next = share.until;
        }
        while share.next < share.until && receipt.sent < budget {
            if entries[share.next as usize].audience.includes(share.member) {
                if blocked.contains(&share.member) {
                    receipt.blocked = true;
                    break;
                }
                let job = Job { bytes, entries, to: &mut [], is_tagged };
                let mut datagram = job.datagram(share.next).to_vec();
                if is_tagged {
                    datagram[..TAG_SIZE].copy_from_slice(&share.tag);
                }
                ears.get_mut(&share.member).expect("a known member").hear(&datagram);
                receipt.sent += 1;
            }
            share.next += 1;
        }
    }
    receipt
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn s7_a_full_socket_holds_up_nobody_and_what_it_missed_follows_once() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let [slow, quick] = ["slow", "quick"].map(|name| stage.guest("r", name));
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..100 {
        assert_eq!(stage.say(&mut host, &n.to_string()), MessageOutcome::Relayed);
        stage.deliver();
        assert!(!stage.chat.has_output(), "a full socket is waited for, not asked");
    }
    assert_eq!(stage.ear(&quick).said().len(), 101);
    assert_eq!(stage.ear(&slow).said().len(), 2);
    for _ in 0..3 {
        stage.chat.resume_stalled(stage.now);
        stage.deliver();
        assert_eq!(stage.ear(&slow).said().len(), 2, "it is full still");
    }
    stage.unblock();
    stage.deliver();
    for guest in [&slow, &quick] {
        stage.assert_whole(guest, 104);
    }
    assert!(stage.ear(&slow).sizes.len() < 10, "packed");
    stage.unblock();
    assert!(!stage.chat.has_output());
}

#[test]
fn s7_what_the_ring_lost_while_a_socket_was_full_is_counted_exactly() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    let quick = stage.guest("r", "quick");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..500 {
        assert_eq!(stage.say(&mut host, &format!("{n:050}")), MessageOutcome::Relayed);
        stage.deliver();
    }
    stage.unblock();
    stage.deliver();
    let ear = stage.ear(&slow);
    assert_eq!((ear.next, ear.skipped), (504, 0));
    assert_eq!(ear.gone as usize + ear.entries.len(), 502);
    assert!(ear.gone > 400 && ear.entries.len() > 30, "{} are gone", ear.gone);
    stage.assert_whole(&quick, 504);
}

#[test]
fn s7_a_full_socket_is_not_asked_again_and_again_however_many_places_its_members_stand_at() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..30).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for guest in &guests {
        stage.blocked.insert(guest.id);
        stage.say(&mut host, "one more");
        stage.deliver();
    }
    for _ in 0..3 {
        stage.chat.resume_stalled(stage.now);
        stage.deliver();
        assert!(!stage.chat.has_output());
    }
    stage.say(&mut host, "the last");
    stage.deliver();
    let end = stage.ear(&host).next;
    stage.unblock();
    stage.deliver();
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_what_a_member_says_it_has_is_not_sent_to_it() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..10 {
        stage.say(&mut host, &n.to_string());
        stage.deliver();
    }
    stage.have(&slow, 8);
    stage.unblock();
    stage.deliver();
    let numbers: Vec<u64> = stage.ear(&slow).entries.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 8, 9, 10, 11, 12]);
}

#[test]
fn s7_small_budgets_serve_everyone_and_each_entry_once() {
    for budget in 1..=9 {
        let mut stage = Stage::new(open());
        let mut host = stage.host("r");
        let guests: Vec<Guest> = (0..20).map(|n| stage.guest("r", &format!("g{n}"))).collect();
        stage.deliver();
        let mut ends = vec![0];
        for n in 0..60 {
            // What is put off comes again.
            while stage.say(&mut host, &format!("{n}{}", "x".repeat(n * 20)))
                != MessageOutcome::Relayed
            {
                stage.turn(budget);
            }
            for _ in 0..n % 3 {
                stage.turn(budget);
            }
            let nexts = guests.iter().map(|guest| stage.ear(guest).next);
            ends.push(nexts.clone().max().unwrap_or(0) - nexts.min().unwrap_or(0));
        }
        let mut turns = 0;
        while stage.chat.has_output() {
            stage.turn(budget);
            turns += 1;
            assert!(turns < 20_000, "budget {budget}");
        }
        let end = stage.ear(&host).next;
        assert!(end >= 66, "{end}");
        guests.iter().for_each(|guest| stage.assert_whole(guest, end));
    }
}

#[test]
fn s7_the_back_rows_are_served_although_the_front_rows_have_more() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..9).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    let start = stage.ear(&host).next;
    for n in 0..200 {
        stage.say(&mut host, &n.to_string());
        stage.turn(2);
    }
    for guest in &guests {
        assert!(stage.ear(guest).next > start + 20, "{}", stage.ear(guest).next - start);
    }
}

#[test]
fn s7_members_at_many_places_come_and_go_during_a_backlog() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guests = Vec::new();
    for n in 0..30 {
        let guest = stage.guest("r", &format!("g{n}"));
        stage.say(&mut host, &format!("line {n}"));
        if n % 3 == 0 {
            stage.blocked.insert(guest.id);
        }
        stage.turn(1 + n % 7);
        if n % 5 == 4 {
            let mut gone: Guest = guests.remove(0);
            assert_eq!(stage.say(&mut gone, "/exit"), MessageOutcome::Command);
        }
        guests.push(guest);
    }
    stage.unblock();
    stage.deliver();
    stage.advance(seconds(2));
    let end = stage.ear(&host).next;
    guests.iter().for_each(|guest| stage.assert_whole(guest, end));
}

#[test]
fn s7_messages_push_out_nothing_that_who_keeps_up_is_still_to_get() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("a place");
    stage.deliver();
    for n in 0..60 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    // Its port is proved, and in the same turn more is said than the ring holds.
    stage.send(&late, b"");
    let fates: Vec<MessageOutcome> =
        (0..60).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(fates.contains(&MessageOutcome::RoomBusy));
    stage.deliver();
    let ear = stage.ear(&late);
    assert_eq!((ear.skipped, ear.next), (0, stage.ear(&host).next));
    assert!(ear.gone > 0, "who comes late is told");
    assert_eq!(stage.ear(&host).gone, 0);
}

#[test]
fn s7_who_is_far_behind_holds_up_nobody_and_is_told_what_is_gone() {
    let mut stage = Stage::new(ChatConfig { room_history: 4096, ..open() });
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.deliver();
    stage.blocked.insert(slow.id);
    for n in 0..40 {
        stage.say(&mut host, &format!("{n:050}"));
        stage.deliver();
    }
    stage.unblock();
    let fates: Vec<MessageOutcome> =
        (0..20).map(|n| stage.say(&mut host, &format!("{n:050}"))).collect();
    assert!(fates.iter().all(|fate| *fate == MessageOutcome::Relayed), "{fates:?}");
    stage.deliver();
    let ear = stage.ear(&slow);
    assert_eq!((ear.skipped, ear.next), (0, stage.ear(&host).next));
    assert_eq!(stage.ear(&host).gone, 0);
}

#[test]
fn s7_who_is_behind_gets_a_train_at_a_time_and_then_rests() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let late = stage.try_enter(2, "r", "late", STREAM).expect("a place");
    stage.deliver();
    for n in 0..300 {
        stage.say(&mut host, &format!("{n:01000}"));
        stage.deliver();
    }
    stage.answering.push(late.clone());
    stage.send(&late, b"");
    stage.deliver();
    let (end, mut rests) = (stage.ear(&host).next, 0);
    while stage.ear(&late).next < end {
        assert!(!stage.chat.has_output(), "it waits, and does not spin");
        let before = stage.ear(&late).next;
        stage.advance(Duration::from_millis(1));
        let came = stage.ear(&late).next - before;
        assert!((1..=32).contains(&came), "{came} entries, each a datagram");
        rests += 1;
    }
    // Its first credit is 15 datagrams.
    assert_eq!(rests, (300_usize - 15).div_ceil(32));
    assert_eq!(stage.ear(&late).gone, 0);
}

#[test]
fn s12_a_young_ring_grows_before_it_refuses() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut text = stage.enter(2, "r", "text", "");
    stage.deliver();
    for n in 0..200 {
        assert_eq!(stage.say(&mut host, &"x".repeat(100)), MessageOutcome::Relayed, "{n}");
        assert_eq!(stage.say(&mut text, &"y".repeat(100)), MessageOutcome::Relayed, "{n}");
    }
    stage.deliver();
    stage.assert_whole(&host, 403);
}

#[test]
fn s12_half_of_the_ring_is_for_what_was_lost() {
    let mut stage = Stage::new(ChatConfig { room_history: 65_536, ..open() });
    let mut host = stage.host("r");
    stage.deliver();
    let mut taken = 0;
    while stage.say(&mut host, &"x".repeat(1000)) == MessageOutcome::Relayed {
        taken += 1;
        assert!(taken < 100);
    }
    assert!((30..=32).contains(&taken), "{taken}");
    stage.deliver();
    assert_eq!(stage.say(&mut host, "now there is space"), MessageOutcome::Relayed);
    assert_eq!(stage.ear(&host).asides.len(), 1);
    assert_eq!(stage.ear(&host).asides[0].0, 8);
}

/// Keeps `in_flight` messages of 1,000 bytes under way for 100 turns of so many datagrams, and
/// counts those that were put off. A message is under way until the first `hearers` members have
/// it.
fn put_off_under_load(in_flight: u64, budget: usize, hearers: usize) -> usize {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..open() });
    let mut members = vec![stage.host("r")];
    members.extend((1..20).map(|n| stage.guest("r", &format!("guest{n}"))));
    stage.hush();
    let (text, mut end) = ("x".repeat(1000), stage.ear(&members[0]).next);
    let (mut speaker, mut put_off) = (0, 0);
    for _ in 0..100 {
        let heard = members[..hearers].iter().map(|member| stage.ear(member).next);
        let lowest = heard.min().unwrap_or(end);
        for _ in end - lowest..in_flight {
            match stage.say(&mut members[speaker % 20], &text) {
                MessageOutcome::Relayed => end += 1,
                _ => put_off += 1,
            }
            speaker += 1;
        }
        stage.turn(budget);
    }
    stage.deliver();
    members.iter().for_each(|member| stage.assert_whole(member, end));
    put_off
}

#[test]
fn field_p1_nothing_is_put_off_below_half_of_the_ring() {
    // 500 messages are 95 % of half of the ring; a round to everyone takes up to 625 datagrams.
    for (in_flight, budget) in [(64, 2048), (64, 600), (500, 600), (500, 50), (500, 7)] {
        let put_off = put_off_under_load(in_flight, budget, 20);
        assert_eq!(put_off, 0, "{in_flight}, budget {budget}");
    }
}

#[test]
fn field_p1_no_member_stays_behind_under_load() {
    for budget in [2048, 600, 50] {
        assert_eq!(put_off_under_load(256, budget, 1), 0, "budget {budget}");
    }
}

#[test]
fn field_p1_seats_are_freed_under_load_too() {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..open() });
    let mut host = stage.host("r");
    for n in 0..100 {
        let guest = stage.guest("r", &format!("guest{n}"));
        stage.turn(1);
        stage.say(&mut host, "a turn is never enough");
        stage.send(&guest, &[&[0][..], &1u32.to_be_bytes(), b"/exit"].concat());
        stage.turn(1);
        stage.turn(1);
    }
    let room = stage.chat.rooms.iter().next().expect("a room").0;
    let cursors = stage.chat.feeds.memory_of(room).cursors;
    assert!(cursors < 60, "{cursors}");
}

#[test]
fn s12_the_least_that_a_ring_may_have_is_not_taken_from_it() {
    let mut stage = Stage::new(ChatConfig { history_memory: Some(6000), ..open() });
    let mut host = stage.host("r");
    stage.deliver();
    let long = "x".repeat(4000);
    assert_eq!(stage.say(&mut host, &long), MessageOutcome::Relayed);
    for other in 0..4 {
        let mut guest = stage.host(&format!("other{other}"));
        for _ in 0..10 {
            stage.say(&mut guest, &"y".repeat(300));
        }
    }
    stage.deliver();
    assert_eq!(stage.ear(&host).gone, 0);
    assert_eq!(stage.ear(&host).said().last(), Some(&&*long));
}

#[test]
fn s11_of_a_turn_a_quarter_goes_to_repairs_and_what_is_said_now_goes_first() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..4).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..60 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for guest in &guests {
        stage.repair(guest, &[(7, 50)]);
    }
    stage.say(&mut host, "now");
    let receipt = stage.turn(20);
    assert!(guests.iter().all(|guest| stage.ear(guest).said().last() == Some(&"now")));
    let repeated: u64 = guests.iter().map(|guest| stage.ear(guest).repeated).sum();
    assert_eq!((repeated, receipt.sent), (5, 10));
    let mut turns = 0;
    while stage.chat.has_output() {
        let before: u64 = guests.iter().map(|guest| stage.ear(guest).repeated).sum();
        stage.turn(20);
        let after: u64 = guests.iter().map(|guest| stage.ear(guest).repeated).sum();
        assert!(after - before <= 5);
        turns += 1;
    }
    assert!(turns < 30, "{turns}");
    for guest in &guests {
        assert_eq!(stage.ear(guest).repeated, 16, "16 datagrams for each");
    }
}

#[test]
fn s11_one_whose_last_answer_waits_gets_no_other() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for _ in 0..50 {
        stage.repair(&guest, &[(5, 3)]);
    }
    stage.deliver();
    assert_eq!(stage.ear(&guest).repeated, 3);
    stage.repair(&guest, &[(5, 3)]);
    stage.deliver();
    assert_eq!(stage.ear(&guest).repeated, 6, "now it has been sent");
}

#[test]
fn t10_s11_repairs_are_within_the_memory_of_what_waits_in_all_rooms() {
    const SUM: usize = 16 * 1024;
    let mut stage = Stage::new(ChatConfig { backlog_memory: Some(SUM), ..open() });
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..20).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    for guest in &guests {
        stage.repair(guest, &[(5, 16)]);
    }
    let backlog = stage.chat.census().backlog;
    // The last one taken may come to 16 datagrams.
    assert!((SUM..SUM + 20 * 1024).contains(&backlog), "{backlog}");
    stage.deliver();
    assert_eq!(stage.chat.census().backlog, 0);
}

#[test]
fn s11_s13_what_waits_for_full_sockets_is_bounded_however_often_it_is_asked_for() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guests: Vec<Guest> = (0..200).map(|n| stage.guest("r", &format!("g{n}"))).collect();
    stage.deliver();
    for _ in 0..20 {
        stage.say(&mut host, &"x".repeat(1000));
        stage.deliver();
    }
    stage.blocked.extend(guests.iter().map(|guest| guest.id));
    let waiting = |stage: &Stage| {
        let room = stage.chat.rooms.iter().next().expect("a room").0;
        stage.chat.feeds.memory_of(room).unicast_bytes
    };
    for _ in 0..100 {
        for guest in &guests {
            stage.have(guest, 3);
            stage.repair(guest, &[(5, 20)]);
        }
        stage.deliver();
        assert!(waiting(&stage) < 512 * 1024, "{}", waiting(&stage));
    }
    stage.unblock();
    stage.deliver();
    assert_eq!(waiting(&stage), 0);
    // Dead tokens.
    stage.say(&mut host, "/exit");
    stage.blocked.extend(guests.iter().map(|guest| guest.id));
    for _ in 0..100 {
        for guest in &guests {
            assert_eq!(stage.fate(guest, b""), MessageOutcome::Ended);
        }
        stage.deliver();
    }
    let sizes: usize = guests.iter().map(|guest| stage.ear(guest).asides.len()).sum();
    stage.unblock();
    stage.deliver();
    let after: usize = guests.iter().map(|guest| stage.ear(guest).asides.len()).sum();
    assert!(after - sizes <= 200 + 64 * 1024 / 24 + 1, "{}", after - sizes);
}

#[test]
fn s13_when_the_remains_have_expired_nothing_is_left() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: Some(seconds(30)), ..open() });
    for room in ["a", "b", "c"] {
        let mut host = stage.host(room);
        let mut guests: Vec<Guest> = (0..8).map(|n| stage.guest(room, &format!("g{n}"))).collect();
        stage.enter(2, room, "text", "");
        stage.try_enter(2, room, "unproved", STREAM).expect("a place");
        stage.say(&mut host, "hello");
        stage.say(&mut host, "/kick g1");
        stage.say(&mut guests[2], "/exit");
        stage.blocked.insert(guests[3].id);
        stage.deliver();
        if room == "a" {
            stage.say(&mut host, "/exit");
        }
    }
    stage.advance(seconds(31));
    assert_eq!(stage.chat.census().tokens, 0);
    assert!(stage.chat.census().tombstones > 0);
    stage.advance(seconds(58));
    assert!(stage.chat.census().tombstones > 0, "a minute");
    stage.advance(seconds(3));
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.chat.census(), Census::default());
    assert!(!stage.chat.has_last_words());
}

#[test]
fn s13_the_end_of_the_server_is_told_four_times_and_then_done() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    let blocked = stage.guest("r", "blocked");
    stage.deliver();
    stage.blocked.insert(blocked.id);
    stage.say(&mut host, "one");
    stage.chat.close_all(stage.now);
    stage.deliver();
    assert!(stage.chat.has_last_words());
    stage.unblock();
    let told =
        |stage: &Stage| stage.ear(&guest).asides.iter().filter(|aside| aside.0 == 13).count();
    assert_eq!(told(&stage), 1);
    for (wait, count) in [(250, 2), (250, 3), (499, 3), (1, 4)] {
        assert!(stage.chat.has_last_words());
        stage.advance(Duration::from_millis(wait));
        assert_eq!(told(&stage), count);
    }
    assert!(!stage.chat.has_last_words());
    assert_eq!(stage.ear(&guest).said().last(), Some(&"the server is shutting down or restarting"));
}

#[test]
fn s13_the_host_that_leaves_is_answered_and_the_others_are_told() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.hush();
    stage.say(&mut host, "hello");
    stage.say(&mut host, "/exit");
    stage.advance(seconds(5));
    assert_eq!(stage.ear(&host).asides, [(2, 3, 2, String::new())], "once, with the id");
    let told = (5, 1, 0, String::from("the room was closed"));
    assert_eq!(stage.ear(&guest).asides, [told.clone(), told.clone(), told]);
}

#[test]
fn s13_closed_rooms_are_forgotten_in_whatever_order_they_end() {
    let mut stage = Stage::new(open());
    for round in 0..20 {
        let mut hosts: Vec<Guest> =
            (0..5).map(|n| stage.host(&format!("room{round}-{n}"))).collect();
        hosts.reverse();
        for host in &mut hosts {
            stage.say(host, "/exit");
        }
        stage.advance(seconds(61));
    }
    assert_eq!(stage.chat.census(), Census::default());
    assert_eq!(stage.chat.feeds.rings().1, 0);
}

#[test]
fn s1_s13_no_number_is_given_twice_in_the_life_of_a_room() {
    let mut stage = Stage::new(ChatConfig { idle_timeout: None, ..open() });
    stage.host("r");
    let mut numbers = HashSet::from([1]);
    for n in 0..50 {
        let mut guest = stage.guest("r", &format!("g{}", n % 3));
        assert!(numbers.insert(guest.stream.as_ref().map_or(0, |stream| stream.member)));
        stage.say(&mut guest, "/exit");
        stage.deliver();
        if n % 10 == 0 {
            stage.advance(seconds(61));
        }
    }
}

#[test]
fn w38_s13_a11_a_farewell_goes_only_to_another_address() {
    for has_same_address in [false, true] {
        let mut stage = Stage::new(open());
        let mut host = stage.host("r");
        let old = stage.guest("r", "guest");
        stage.hush();
        stage.advance(seconds(30));
        stage.say(&mut host, "hello?");
        let mut new = stage.try_enter(2, "r", "guest", STREAM).expect("a place");
        stage.advance(seconds(5));
        assert_eq!(stage.ear(&old).asides, [], "the address of the new one is not known yet");
        if has_same_address {
            new.address = old.address;
        }
        stage.send(&new, b"");
        stage.advance(seconds(5));
        let told = (7, 1, 0, String::from(SILENT));
        let times = if has_same_address { 0 } else { 3 };
        assert_eq!(stage.ear(&old).asides, vec![told; times]);
        assert_eq!(stage.fate(&old, b""), MessageOutcome::Ended);
        stage.deliver();
        assert_eq!(stage.ear(&old).asides.last(), Some(&(7, 1, 0, String::new())));
        assert_eq!(stage.ear(&new).said(), ["guest joined"]);
        stage.advance(seconds(400));
        stage.deliver();
        assert_eq!(stage.chat.census(), Census::default());
    }
}

#[test]
fn s14_who_was_behind_a_full_socket_and_resumed_gets_nothing_before_it_is_proved_again() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    stage.deliver();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.deliver();
    let token = String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    stage.request(elsewhere, 4, "r", &token).expect("to go on");
    stage.reachable.remove(&guest.id);
    stage.unblock();
    stage.say(&mut host, "two");
    stage.deliver();
    guest.address.set_ip(elsewhere.into());
    stage.send(&guest, b"");
    stage.deliver();
    let end = stage.ear(&host).next;
    stage.assert_whole(&guest, end);
}

#[test]
fn s14_the_same_request_again_is_no_unproved_member_more() {
    let mut stage = Stage::new(ChatConfig { max_unproved: Some(1), ..open() });
    let host = stage.host("r");
    stage.chat.handle_disconnect(host.id, stage.now);
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    for _ in 0..3 {
        assert!(stage.request(Ipv4Addr::new(192, 0, 2, 2), 4, "r", &token).is_ok());
        stage.chat.handle_disconnect(host.id, stage.now);
        stage.chat.handle_timeout(stage.now, usize::MAX);
    }
    assert!(stage.chat.live(host.id).is_some());
}

#[test]
fn s14_field_b_a_member_that_resumes_counts_as_heard() {
    let mut stage = Stage::new(open());
    let host = stage.host("r");
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    stage.advance(seconds(299));
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    assert!(stage.request(elsewhere, 4, "r", &token).is_ok());
    stage.advance(seconds(299));
    assert!(stage.chat.live(host.id).is_some(), "its next datagram may be on its way");
    stage.advance(seconds(1));
    assert!(stage.chat.live(host.id).is_none());
}

#[test]
fn w13_s14_a_port_announced_from_the_ip_that_a_member_has_left_is_not_its_own() {
    let mut stage = Stage::new(open());
    let host = stage.enter(1, "r", "host", "");
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    stage.request(elsewhere, 4, "r", &token).expect("to go on");
    assert!(!stage.chat.handle_announcement(host.id, SocketAddr::from((HOME, 9))));
    assert!(stage.chat.handle_announcement(host.id, SocketAddr::from((elsewhere, 9))));
}

#[test]
fn s13_of_closed_rooms_there_are_no_more_than_there_may_be_open_ones() {
    let mut stage = Stage::new(ChatConfig { max_rooms: Some(5), ..open() });
    for n in 0..100 {
        let mut host = stage.host(&format!("r{n}"));
        stage.say(&mut host, "/exit");
        stage.deliver();
    }
    assert!(stage.chat.census().rooms <= 5 + 1, "{:?}", stage.chat.census());
    assert!(stage.chat.census().tombstones > 0);
}

#[test]
fn s14_a_peer_with_members_enough_gets_none_by_resuming() {
    let mut stage = Stage::new(ChatConfig { max_members_ip: Some(2), ..open() });
    let host = stage.host("r");
    let guest = stage.guest("r", "guest");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    let hex = |guest: &Guest| String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    assert!(stage.request(elsewhere, 4, "r", &hex(&host)).is_ok());
    stage.guest("r", "other");
    assert_eq!(stage.request(HOME, 4, "r", &hex(&host)), Err(Status::RateLimited));
    assert!(stage.request(HOME, 4, "r", &hex(&guest)).is_ok(), "it is of that peer already");
}

#[test]
fn s13_a_dead_token_asks_in_vain_for_what_a_living_room_says() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let slow = stage.guest("r", "slow");
    stage.hush();
    stage.blocked.insert(slow.id);
    stage.say(&mut host, "one");
    stage.say(&mut host, "/kick slow");
    stage.deliver();
    stage.repair(&slow, &[(1, 9)]);
    stage.unblock();
    stage.deliver();
    assert_eq!(stage.ear(&slow).said(), ["one"], "what was said before its end");
    assert_eq!(stage.ear(&slow).repeated, 0);
    assert_eq!(stage.ear(&slow).asides.len(), 2);
}

#[test]
fn s13_remains_that_gave_way_are_waited_for_by_nobody() {
    let mut stage = Stage::new(ChatConfig { max_members: Some(2), ..open() });
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.say(&mut host, "/kick guest");
    stage.deliver();
    assert!(stage.chat.has_last_words());
    stage.guest("r", "other");
    stage.deliver();
    assert!(!stage.chat.has_last_words());
    assert!(matches!(stage.send(&guest, b""), DatagramOutcome::Dropped(DropReason::UnknownToken)));
}

#[test]
fn field_p4_members_of_a_room_in_rhythm_get_few_tails() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.hush();
    for n in 0..20 {
        stage.say(&mut host, &format!("{n}"));
        stage.deliver();
        stage.advance(Duration::from_millis(60));
    }
    let tails = |stage: &Stage| stage.ear(&guest).sizes.iter().filter(|size| **size == 12).count();
    assert_eq!(tails(&stage), 1, "after the first message, when nobody knew of the rhythm");
    stage.advance(seconds(2));
    assert_eq!(tails(&stage), 4);
}

#[test]
fn s9_only_who_is_behind_is_told_and_nobody_whose_socket_is_full() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let [behind, here, full] = ["behind", "here", "full"].map(|name| stage.guest("r", name));
    let unproved = stage.try_enter(2, "r", "unproved", STREAM).expect("a place");
    stage.say(&mut host, "last");
    stage.deliver();
    let end = stage.ear(&here).next;
    for guest in [&host, &here] {
        stage.have(guest, end);
    }
    stage.hush();
    stage.blocked.insert(full.id);
    for (wait, count) in [(49, 0), (1, 1), (199, 1), (1, 2), (999, 2), (1, 3), (9999, 3)] {
        stage.advance(Duration::from_millis(wait));
        assert_eq!(stage.ear(&behind).sizes, vec![12; count]);
        assert_eq!(stage.ear(&here).sizes, [0; 0]);
        assert_eq!(stage.ear(&unproved).sizes, [0; 0]);
        assert!(!stage.chat.has_output());
    }
    assert_eq!(stage.ear(&behind).next, end);
}

#[test]
fn s15_a_host_with_text_delivery_hears_text_alone_whatever_it_commands() {
    let mut stage = Stage::new(open());
    let mut host = stage.enter(1, "r", "host", "");
    let [one, two] = ["one", "two"].map(|name| stage.guest("r", name));
    stage.hush();
    stage.say(&mut host, "/kick one");
    stage.say(&mut host, "/host two");
    stage.deliver();
    let lines = ["one was removed by the host", "two is the host now"];
    assert_eq!(stage.ear(&host).lines, lines);
    assert_eq!(stage.ear(&two).said(), lines);
    assert_eq!(stage.ear(&one).asides[0].0, 7);
}

#[test]
fn s2_s5_the_list_of_members_fits_1200_bytes_in_a_stream_too() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    for n in 0..60 {
        stage.try_enter(2, "r", &format!("{n:030}"), STREAM).expect("a place");
    }
    stage.hush();
    stage.say(&mut host, "/who");
    stage.deliver();
    assert_eq!(stage.ear(&host).asides.len(), 1);
    let size = stage.ear(&host).sizes[0];
    assert!((1160..=1200).contains(&size), "{size}");
}
