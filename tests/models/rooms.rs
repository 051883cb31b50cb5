//! Rooms and members: whatever is done in whatever order, the chat does what the naive one does.
//! There are few names, addresses and places, so that everything meets everything.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use reactor_chat::chat::{Census, Chat, DatagramOutcome, MessageOutcome, Reply};
use reactor_chat::config::{ChatConfig, HostLeaves};
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::datagram::encode_upstream;
use reactor_chat::protocol::{Frame, Status, Token, request};

use super::inputs;
use super::naive::{self, Naive, Wish};
use super::support::jobs::{Sent, send};

const ROOMS: [&str; 3] = ["r", "rr", "s"];
const NAMES: [&str; 4] = ["a", "A", "b", "é"];
const LINES: [&str; 18] = [
    "", "hi", "exit", "/exit", "/who", "/kick a", "/kick B", "/kick É", "/kick x", "/host A",
    "/host b", "/host é", "/ban a", "/ban B", "/ban é", "/unban A", "/unban b", "/bans",
];

/// What somebody does. Members are counted from the last that entered.
#[derive(Clone, Debug)]
enum Deed {
    Create(Wish),
    Join(Wish),
    /// A datagram: from whom, its IP and room unless another, its port, what it says.
    Say(Index, Option<u8>, Option<&'static str>, u16, &'static str),
    Announce(Index, Option<u8>, u16),
    Resume(Index, Option<&'static str>, u8),
    /// The connection that somebody entered or resumed over ends, if one does still.
    Disconnect(Index),
    /// So many seconds pass.
    Wait(u64),
}

fn wish() -> impl Strategy<Value = Wish> {
    let password = option::weighted(0.3, select(&["p", "q"][..]));
    let capacity = option::weighted(0.3, 1..4usize);
    (
        1..3u8,
        room(),
        select(&NAMES[..]),
        password,
        any::<bool>(),
        capacity,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(ip, room, name, password, named, capacity, hidden)| Wish {
            ip,
            room,
            name,
            password,
            named,
            capacity,
            hidden,
        })
}

fn room() -> impl Strategy<Value = &'static str> {
    select(&ROOMS[..])
}

fn deed() -> impl Strategy<Value = Deed> {
    let wrong_ip = || option::weighted(0.05, 1..4u8);
    let wrong_room = || option::weighted(0.05, room());
    let says = (any::<Index>(), wrong_ip(), wrong_room(), 1..4u16, select(&LINES[..]));
    prop_oneof![
        2 => wish().prop_map(Deed::Create),
        4 => wish().prop_map(Deed::Join),
        9 => says.prop_map(|(who, ip, room, port, text)| Deed::Say(who, ip, room, port, text)),
        2 => (any::<Index>(), wrong_ip(), 0..4u16)
            .prop_map(|(who, ip, port)| Deed::Announce(who, ip, port)),
        1 => (any::<Index>(), wrong_room(), 1..3u8)
            .prop_map(|(who, room, ip)| Deed::Resume(who, room, ip)),
        4 => any::<Index>().prop_map(Deed::Disconnect),
        1 => (0..25u64).prop_map(Deed::Wait),
    ]
}

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Who entered, as its client knows it.
struct Guest {
    id: MemberId,
    token: Token,
    room: &'static str,
    ip: u8,
    connections: u32,
}

/// The real chat beside the naive one.
struct Pair {
    naive: Naive,
    chat: Chat,
    now: Instant,
    guests: Vec<Guest>,
    /// Where each member's datagrams go, as the reactor keeps it.
    table: HashMap<MemberId, SocketAddr>,
    told: Vec<(usize, String)>,
}

impl Pair {
    fn new(is_passed_on: bool) -> Self {
        let chat = Chat::new(ChatConfig {
            host_leaves: if is_passed_on { HostLeaves::Pass } else { HostLeaves::Close },
            idle_timeout: Some(Duration::from_secs(naive::IDLE)),
            replace_silent: Some(Duration::from_secs(naive::SILENT)),
            max_unproved: Some(naive::MAX_UNPROVED as u32),
            max_rooms: Some(naive::MAX_ROOMS),
            max_members: Some(naive::MAX_MEMBERS),
            rate_limit: None,
            ..ChatConfig::default()
        });
        Self {
            naive: Naive::new(is_passed_on),
            chat,
            now: Instant::now(),
            guests: Vec::new(),
            table: HashMap::new(),
            told: Vec::new(),
        }
    }

    fn request(
        &mut self,
        peer: u8,
        operation: u8,
        room: &str,
        payload: &str,
    ) -> Result<Reply, Status> {
        let (room, payload) = (room.as_bytes(), payload.as_bytes());
        let request = request::parse(&Frame { operation, state: 0, room, payload })?;
        let token = self.guests.len() as u128;
        let draw = || Some(token.to_be_bytes());
        self.chat.handle_request(ip(peer), &request, draw, 10_000, self.now)
    }

    /// Asks for a place, and gives the status.
    fn enter(&mut self, operation: u8, wish: &Wish) -> Status {
        let delivery = if wish.named { "named" } else { "text" };
        let payload = json!({
            "username": wish.name, "password": wish.password, "delivery": delivery,
            "capacity": wish.capacity, "hidden": wish.hidden,
        });
        match self.request(wish.ip, operation, wish.room, &payload.to_string()) {
            Ok(Reply::Entered { member: id, token, .. }) => {
                self.guests.push(Guest { id, token, room: wish.room, ip: wish.ip, connections: 1 });
                Status::Success
            }
            Ok(other) => panic!("{other:?}"),
            Err(status) => status,
        }
    }

    fn resume(&mut self, who: usize, room: &str, to: u8) -> Status {
        let token = String::from_utf8(self.guests[who].token.to_wire().into()).expect("hex");
        match self.request(to, 4, room, &token) {
            Ok(Reply::Resumed { member, .. }) => {
                self.guests[who].ip = to;
                self.guests[who].connections += 1;
                self.table.remove(&member);
                Status::Success
            }
            Ok(other) => panic!("{other:?}"),
            Err(status) => status,
        }
    }

    fn hear(&mut self, who: usize, from: u8, port: u16, room: &str, text: &str) -> naive::Heard {
        let mut bytes = Vec::new();
        encode_upstream(room, self.guests[who].token, text.as_bytes(), &mut bytes);
        let from = SocketAddr::from((ip(from), port));
        match self.chat.handle_datagram(from, &bytes, self.now) {
            DatagramOutcome::Dropped(_) => naive::Heard::Dropped,
            DatagramOutcome::Accepted(id, fate) => {
                assert_eq!(id, self.guests[who].id);
                self.table.insert(id, from);
                self.forget_withdrawn();
                match fate {
                    MessageOutcome::KeptAlive => naive::Heard::KeptAlive,
                    MessageOutcome::Relayed => naive::Heard::Relayed,
                    MessageOutcome::Command => naive::Heard::Command,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn announce(&mut self, who: usize, from: u8, port: u16) -> bool {
        let (id, from) = (self.guests[who].id, SocketAddr::from((ip(from), port)));
        let is_taken = self.chat.handle_announcement(id, from);
        if is_taken {
            self.table.insert(id, from);
            self.forget_withdrawn();
        }
        is_taken
    }

    fn forget_withdrawn(&mut self) {
        while let Some(member) = self.chat.poll_withdrawn() {
            self.table.remove(&member);
        }
    }

    /// Does it in both, and compares what they say.
    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Create(wish) => {
                let predicted = self.naive.create(wish);
                assert_eq!(self.enter(1, wish), predicted);
            }
            Deed::Join(wish) => {
                let predicted = self.naive.join(wish);
                assert_eq!(self.enter(2, wish), predicted);
            }
            Deed::Wait(seconds) => (0..*seconds).for_each(|_| self.tick()),
            _ if self.guests.is_empty() => {}
            Deed::Say(who, from, room, port, text) => {
                let who = self.pick(who);
                let (from, room) = (self.ip_of(who, *from), self.room_of(who, *room));
                let predicted = self.naive.hear(who, from, *port, room, text);
                assert_eq!(self.hear(who, from, *port, room, text), predicted);
            }
            Deed::Announce(who, from, port) => {
                let who = self.pick(who);
                let from = self.ip_of(who, *from);
                let predicted = self.naive.announce(who, from, *port);
                assert_eq!(self.announce(who, from, *port), predicted);
            }
            Deed::Disconnect(who) => {
                let who = self.pick(who);
                let guest = &mut self.guests[who];
                if guest.connections > 0 {
                    guest.connections -= 1;
                    self.chat.handle_disconnect(guest.id, self.now);
                    self.naive.disconnect(who);
                }
            }
            Deed::Resume(who, room, to) => {
                let who = self.pick(who);
                let room = self.room_of(who, *room);
                let predicted = self.naive.resume(who, room, *to);
                assert_eq!(self.resume(who, room, *to), predicted);
            }
        }
    }

    /// One of the last who entered; of those before hardly any is a member still.
    fn pick(&self, who: &Index) -> usize {
        self.guests.len() - 1 - who.index(self.guests.len().min(naive::MAX_MEMBERS + 2))
    }

    fn ip_of(&self, who: usize, other: Option<u8>) -> u8 {
        other.unwrap_or(self.guests[who].ip)
    }

    fn room_of(&self, who: usize, other: Option<&'static str>) -> &'static str {
        other.unwrap_or(self.guests[who].room)
    }

    fn tick(&mut self) {
        self.naive.tick();
        self.now += Duration::from_secs(1);
        self.chat.handle_timeout(self.now, usize::MAX);
        self.compare();
    }

    /// Delivers everything, and compares who is told what, who is there, and what the list shows.
    fn compare(&mut self) {
        while self.chat.has_output() {
            let Self { chat, table, told, guests, .. } = self;
            chat.deliver(usize::MAX, self.now, |job, budget| {
                send(job, budget, |id, datagram| {
                    if !table.contains_key(&id) {
                        return Sent::Nowhere;
                    }
                    let who = guests.iter().rposition(|guest| guest.id == id).expect("a guest");
                    told.push((who, String::from_utf8(datagram.into()).expect("UTF-8")));
                    Sent::Taken
                })
            });
        }
        let table = &mut self.table;
        self.chat.reap(|member| {
            table.remove(&member);
        });
        // Two that are told by the same event have no order between them.
        self.told.sort();
        self.naive.told.sort();
        assert_eq!(self.told, self.naive.told, "who is told what");
        self.told.clear();
        self.naive.told.clear();
        let census = self.chat.census();
        let counted = (self.naive.open_rooms(), self.naive.population());
        assert_eq!((census.open, census.tokens), counted, "rooms and members");
        ["", "r", "rr", "x"].iter().for_each(|prefix| self.compare_lists(prefix));
    }

    fn compare_lists(&mut self, prefix: &str) {
        let Ok(Reply::Rooms(list)) = self.request(1, 3, prefix, "") else { panic!("a list") };
        let list: Value = serde_json::from_slice(&list).expect("JSON");
        let row = |(room, members, capacity, password)| {
            json!({
                "room": room, "members": members, "capacity": capacity, "password": password,
            })
        };
        let expected: Vec<Value> = self.naive.list(prefix).into_iter().map(row).collect();
        assert_eq!(list, Value::from(expected), "rooms that begin with {prefix:?}");
    }
}

proptest! {
    #![proptest_config(inputs(3_000))]

    #[test]
    fn w12_w13_w18_w24_w29_w30_w35_w36_w38_field_b_n_chat_equals_model(
        is_passed_on in any::<bool>(),
        deeds in vec(deed(), 1..80),
    ) {
        let mut pair = Pair::new(is_passed_on);
        for deed in &deeds {
            pair.tick();
            pair.act(deed);
            pair.compare();
        }
        // The last to go may have replaced somebody, who is remembered for another 60 s.
        (0..=naive::IDLE + 60).for_each(|_| pair.tick());
        prop_assert_eq!(pair.chat.census(), Census::default());
    }
}
