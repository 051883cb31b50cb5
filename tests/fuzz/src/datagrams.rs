//! The way of datagrams into the chat and out of it: rooms with members of every delivery, and
//! steps that the input chooses. Tokens are put in, so that what is behind them can be reached.

use std::net::SocketAddr;
use std::time::Duration;

use reactor_chat::chat::MessageOutcome;
use reactor_chat::protocol::datagram::encode_upstream;
use reactor_chat::protocol::stream::upstream;

use super::input::Input;
use super::stage::{Stage, ip};

const ROOMS: [&str; 3] = ["r", "another room", "部屋"];
const DELIVERIES: [&str; 3] = ["text", "named", "stream"];

/// Members come from 192.0.2.0 to here, strangers from above.
const IPS: usize = 4;
const STRANGER: usize = 99;

/// The most who ever enter.
const MAX_GUESTS: usize = 64;

/// Steps, each a byte that says which and what it needs.
pub fn datagrams(data: &[u8]) {
    let mut input = Input(data);
    let mut stage = Stage::new(input.byte() & 1 == 1);
    people(&mut stage);
    while !input.is_empty() {
        step(&mut stage, &mut input);
    }
    stage.end();
}

/// In each room a host and a guest of each delivery, all of whom are heard but the last.
fn people(stage: &mut Stage) {
    for (number, room) in ROOMS.iter().enumerate() {
        for (place, delivery) in DELIVERIES.iter().cycle().skip(number).take(4).enumerate() {
            let operation = if place == 0 { 1 } else { 2 };
            let payload =
                format!(r#"{{"username":"m{place}","delivery":"{delivery}","history":9}}"#);
            stage.request(ip(place % IPS), operation, room, payload.as_bytes());
            if place < 3 {
                let last = stage.guests.len() - 1;
                say(stage, last, 1000 + last as u16, b"");
            }
        }
    }
    stage.deliver(64);
}

fn step(stage: &mut Stage, input: &mut Input<'_>) {
    match input.pick(12) {
        0 => {
            let (from, bytes) = (SocketAddr::from((ip(input.pick(IPS)), 7)), input.bytes());
            // Nobody's token is in it, unless it was guessed.
            assert_eq!(stage.hear(from, None, &bytes), None);
        }
        1 => {
            let (who, port) = (input.pick(stage.guests.len()), 1000 + input.number() % 8);
            say(stage, who, port, &input.bytes());
        }
        2 => {
            let who = input.pick(stage.guests.len());
            say_in_stream(stage, who, &input.bytes());
        }
        3 => {
            let who = input.pick(stage.guests.len());
            ask_again(stage, who, input);
        }
        4 => misplace(stage, input),
        5 => request(stage, input),
        6 => resume(stage, input),
        7 => {
            let (who, from) = (input.pick(stage.guests.len()), input.pick(IPS));
            stage.announce(who, SocketAddr::from((ip(from), 1000 + input.number() % 8)));
        }
        8 => stage.advance(Duration::from_millis(u64::from(input.number()))),
        9 => stage.deliver(input.pick(256)),
        10 => stage.reap(),
        _ => match input.byte() {
            port @ ..8 => stage.fill(1000 + u16::from(port)),
            8..32 => {
                let who = input.pick(stage.guests.len());
                say_part(stage, who, &input.bytes());
            }
            _ => stage.unblock(),
        },
    }
}

/// A member's own datagram.
fn say(stage: &mut Stage, who: usize, port: u16, message: &[u8]) -> Option<MessageOutcome> {
    let guest = stage.guests[who].clone();
    let mut bytes = Vec::new();
    encode_upstream(&guest.room, guest.token, message, &mut bytes);
    stage.hear(SocketAddr::from((guest.ip, port)), Some(who), &bytes)
}

/// A message with the id that its sender must give it.
fn say_in_stream(stage: &mut Stage, who: usize, text: &[u8]) {
    let mut message = Vec::new();
    upstream::encode_message(stage.guests[who].next_id, text, &mut message);
    let fate = say(stage, who, 1000 + who as u16, &message);
    let is_taken = matches!(
        fate,
        Some(
            MessageOutcome::Relayed
                | MessageOutcome::Command
                | MessageOutcome::Refused
                | MessageOutcome::KeptAlive
        )
    );
    stage.guests[who].next_id += u32::from(is_taken);
}

/// A part of a message, with more to come.
fn say_part(stage: &mut Stage, who: usize, text: &[u8]) {
    let mut part = Vec::new();
    upstream::encode_part(stage.guests[who].next_id, text, &mut part);
    let fate = say(stage, who, 1000 + who as u16, &part);
    stage.guests[who].next_id += u32::from(fate == Some(MessageOutcome::Kept));
}

/// What arrived and what did not.
fn ask_again(stage: &mut Stage, who: usize, input: &mut Input<'_>) {
    let mut message = Vec::new();
    match input.pick(5) {
        0 => upstream::encode_have(u64::from(input.number()), &mut message),
        ranges => {
            let range = |from, count| upstream::Range { from, count };
            let ranges = (0..ranges).map(|_| range(u64::from(input.number()), input.number()));
            upstream::encode_repair(ranges.collect::<Vec<_>>(), &mut message);
        }
    }
    say(stage, who, 1000 + who as u16, &message);
}

/// A right token in the wrong room, or from the wrong address.
fn misplace(stage: &mut Stage, input: &mut Input<'_>) {
    let guest = stage.guests[input.pick(stage.guests.len())].clone();
    let (room, place) = (ROOMS[input.pick(ROOMS.len())], input.pick(IPS + 1));
    let is_wrong = room != guest.room || ip(place) != guest.ip;
    let from = if is_wrong { ip(place) } else { ip(STRANGER) };
    let mut bytes = Vec::new();
    encode_upstream(room, guest.token, &input.bytes(), &mut bytes);
    let fate = stage.hear(SocketAddr::from((from, 9)), None, &bytes);
    assert_eq!(fate, None);
}

/// Somebody creates, joins or lists.
fn request(stage: &mut Stage, input: &mut Input<'_>) {
    let (from, operation) = (input.pick(IPS), 1 + input.byte() % 3);
    let (room, payload) = (ROOMS[input.pick(ROOMS.len())], input.bytes());
    if stage.guests.len() < MAX_GUESTS {
        stage.request(ip(from), operation, room, &payload);
    }
}

/// A member goes on elsewhere.
fn resume(stage: &mut Stage, input: &mut Input<'_>) {
    let guest = stage.guests[input.pick(stage.guests.len())].clone();
    stage.request(ip(input.pick(IPS)), 4, &guest.room, &guest.token.to_wire());
}
