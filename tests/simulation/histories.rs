//! Short random histories of the same world, by proptest: it shrinks one that fails to the smallest,
//! prints it, and keeps its seed in `regressions.txt` beside this file, to be tried first from then on.
//! Commit that file with the fix.
//!
//! There are few names, addresses and rooms, so that everything meets everything. Everything that waits
//! is delivered after each deed, so that the model knows exactly who is told what.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, FileFailurePersistence};
use reactor_chat::config::{ChatConfig, HostLeaves};
use serde_json::json;

use crate::support::random::Random;
use crate::world::World;

const IDLE: Duration = Duration::from_secs(40);
const MAX_MEMBERS: usize = 5;

const ROOMS: [&str; 3] = ["r", "rr", "s"];
const NAMES: [&str; 4] = ["a", "A", "b", "é"];
const LINES: [&str; 18] = [
    "", "hi", "exit", "/exit", "/who", "/kick a", "/kick B", "/kick É", "/kick x", "/host A",
    "/host b", "/host é", "/ban a", "/ban B", "/ban é", "/unban A", "/unban b", "/bans",
];

/// A request for a place in a room. Only a create uses the capacity and `hidden`.
#[derive(Clone, Debug)]
struct Entry {
    ip: u8,
    room: &'static str,
    name: &'static str,
    password: Option<&'static str>,
    named: bool,
    capacity: Option<usize>,
    hidden: bool,
}

/// Members are counted from the newest. Without an IP or a room, a member uses its own.
#[derive(Clone, Debug)]
enum Deed {
    Create(Entry),
    Join(Entry),
    Say {
        who: Index,
        ip: Option<u8>,
        room: Option<&'static str>,
        port: u16,
        text: &'static str,
    },
    Announce {
        who: Index,
        ip: Option<u8>,
        port: u16,
    },
    Resume {
        who: Index,
        room: Option<&'static str>,
        ip: u8,
    },
    /// Ends a connection over which a member has entered or resumed.
    Disconnect(Index),
    WaitSeconds(u64),
}

fn entry() -> impl Strategy<Value = Entry> {
    let password = option::weighted(0.3, select(&["p", "q"][..]));
    let capacity = option::weighted(0.3, 1..4usize);
    let hidden = prop::bool::weighted(0.2);
    (1..3u8, room(), select(&NAMES[..]), password, any::<bool>(), capacity, hidden).prop_map(
        |(ip, room, name, password, named, capacity, hidden)| Entry {
            ip,
            room,
            name,
            password,
            named,
            capacity,
            hidden,
        },
    )
}

fn room() -> impl Strategy<Value = &'static str> {
    select(&ROOMS[..])
}

fn deed() -> impl Strategy<Value = Deed> {
    let wrong_ip = || option::weighted(0.05, 1..4u8);
    let wrong_room = || option::weighted(0.05, room());
    let said = (any::<Index>(), wrong_ip(), wrong_room(), 1..4u16, select(&LINES[..]));
    prop_oneof![
        2 => entry().prop_map(Deed::Create),
        4 => entry().prop_map(Deed::Join),
        9 => said.prop_map(|(who, ip, room, port, text)| Deed::Say { who, ip, room, port, text }),
        2 => (any::<Index>(), wrong_ip(), 0..4u16)
            .prop_map(|(who, ip, port)| Deed::Announce { who, ip, port }),
        1 => (any::<Index>(), wrong_room(), 1..3u8)
            .prop_map(|(who, room, ip)| Deed::Resume { who, room, ip }),
        4 => any::<Index>().prop_map(Deed::Disconnect),
        1 => (0..25u64).prop_map(Deed::WaitSeconds),
    ]
}

fn config(is_passed_on: bool) -> ChatConfig {
    ChatConfig {
        host_leaves: if is_passed_on { HostLeaves::Pass } else { HostLeaves::Close },
        idle_timeout: Some(IDLE),
        replace_silent: Some(Duration::from_secs(10)),
        max_unproved: Some(2),
        max_rooms: Some(2),
        max_members: Some(MAX_MEMBERS),
        rate_limit: None,
        ..ChatConfig::default()
    }
}

fn address(ip: u8, port: u16) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, ip)), port).into()
}

fn enter(world: &mut World, operation: u8, entry: &Entry) {
    let payload = json!({
        "username": entry.name, "password": entry.password, "capacity": entry.capacity,
        "delivery": if entry.named { "named" } else { "text" }, "hidden": entry.hidden,
    });
    let payload = payload.to_string().into_bytes();
    world.request(address(entry.ip, 1), operation, entry.room, &payload);
}

fn act(world: &mut World, deed: &Deed) {
    match deed {
        Deed::Create(entry) => enter(world, 1, entry),
        Deed::Join(entry) => enter(world, 2, entry),
        Deed::WaitSeconds(seconds) => (0..*seconds).for_each(|_| tick(world)),
        _ if world.model.members.is_empty() => {}
        Deed::Say { who, ip, room, port, text } => {
            let who = pick(world, who);
            let own = &world.model.members[who].room_spelling;
            let bytes = world.encode_for(room.unwrap_or(own), who, text.as_bytes());
            let from = from(world, who, *ip, *port);
            world.receive(from, &bytes);
        }
        Deed::Announce { who, ip, port } => {
            let who = pick(world, who);
            let from = from(world, who, *ip, *port);
            world.announce_at(who, from);
        }
        Deed::Resume { who, room, ip } => {
            let who = pick(world, who);
            let own = world.model.rooms[world.model.members[who].room].name.clone();
            world.resume_at(who, address(*ip, 1), room.unwrap_or(&own));
        }
        Deed::Disconnect(who) => {
            let who = pick(world, who);
            if world.model.members[who].connections > 0 {
                world.end_connection(who);
            }
        }
    }
}

/// Returns one of the newest members. Hardly any of those before is still live.
fn pick(world: &World, who: &Index) -> usize {
    let count = world.model.members.len();
    count - 1 - who.index(count.min(MAX_MEMBERS + 2))
}

fn from(world: &World, who: usize, ip: Option<u8>, port: u16) -> SocketAddr {
    match ip {
        Some(ip) => address(ip, port),
        None => SocketAddr::new(world.model.members[who].ip, port),
    }
}

fn tick(world: &mut World) {
    world.pass(Duration::from_secs(1), World::drain);
    world.ask_again();
    settle(world);
}

/// Delivers everything, and compares the chat with the model.
fn settle(world: &mut World) {
    world.drain();
    world.check();
    for prefix in ["", "r", "rr", "x"] {
        world.request(address(1, 1), 3, prefix, b"");
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 3_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/simulation/regressions.txt",
        ))),
        ..Config::default()
    })]

    #[test]
    fn w12_w13_w18_w24_w29_w30_w35_w36_w38_field_b_n_chat_equals_model(
        is_passed_on in any::<bool>(),
        deeds in vec(deed(), 1..80),
    ) {
        let mut world = World::with(config(is_passed_on), Random(0));
        world.model.is_exact = true;
        for deed in &deeds {
            tick(&mut world);
            act(&mut world, deed);
            settle(&mut world);
        }
        // The last members may have replaced others, which are remembered for another 60 s.
        for _ in 0..=IDLE.as_secs() + 60 {
            tick(&mut world);
        }
        world.check_nothing_is_left();
    }
}
