//! Datagrams into the chat and out of it: rooms with members of every delivery, and steps that the
//! input chooses. The steps insert valid tokens, so that the code behind that check is reached.

use std::net::SocketAddr;
use std::time::Duration;

use reactor_chat::chat::MessageOutcome;
use reactor_chat::protocol::datagram::encode_upstream;
use reactor_chat::protocol::stream::upstream;

use super::input::Input;
use super::stage::{Stage, ip};

const ROOMS: [&str; 3] = ["r", "another room", "部屋"];
const DELIVERIES: [&str; 3] = ["text", "named", "stream"];

/// The number of IPs of members, from 192.0.2.0 on. A stranger has a higher one.
const IPS: usize = 4;
const STRANGER: usize = 99;

/// The most guests that ever enter.
const MAX_GUESTS: usize = 64;

/// Runs steps, each of which is a byte that selects it and the bytes that it needs.
pub fn datagrams(data: &[u8]) {
    let mut input = Input(data);
    let mut stage = Stage::new(input.byte() & 1 == 1);
    fill_rooms(&mut stage);
    while !input.is_empty() {
        step(&mut stage, &mut input);
    }
    stage.end();
}

/// Fills each room with a host and three guests, of all deliveries. All but the last prove their
/// address.
fn fill_rooms(stage: &mut Stage) {
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
            // It contains no token, unless the fuzzer guessed one.
            assert_eq!(stage.receive(from, None, &bytes), None);
        }
        1 => {
            let (index, port) = (input.pick(stage.guests.len()), 1000 + input.number() % 8);
            say(stage, index, port, &input.bytes());
        }
        2 => {
            let index = input.pick(stage.guests.len());
            say_in_stream(stage, index, &input.bytes());
        }
        3 => {
            let index = input.pick(stage.guests.len());
            confirm_or_repair(stage, index, input);
        }
        4 => misplace(stage, input),
        5 => request(stage, input),
        6 => resume(stage, input),
        7 => {
            let (index, from) = (input.pick(stage.guests.len()), input.pick(IPS));
            stage.announce(index, SocketAddr::from((ip(from), 1000 + input.number() % 8)));
        }
        8 => stage.advance(Duration::from_millis(u64::from(input.number()))),
        9 => stage.deliver(input.pick(256)),
        10 => stage.reap(),
        _ => match input.byte() {
            port @ ..8 => stage.fill(1000 + u16::from(port)),
            8..32 => {
                let index = input.pick(stage.guests.len());
                say_part(stage, index, &input.bytes());
            }
            _ => stage.unblock(),
        },
    }
}

/// Sends a datagram of a member.
fn say(stage: &mut Stage, index: usize, port: u16, message: &[u8]) -> Option<MessageOutcome> {
    let guest = stage.guests[index].clone();
    let mut bytes = Vec::new();
    encode_upstream(&guest.room, guest.token, message, &mut bytes);
    stage.receive(SocketAddr::from((guest.ip, port)), Some(index), &bytes)
}

/// Sends a message with the id that the server expects.
fn say_in_stream(stage: &mut Stage, index: usize, text: &[u8]) {
    let mut message = Vec::new();
    upstream::encode_message(stage.guests[index].next_id, text, &mut message);
    let outcome = say(stage, index, 1000 + index as u16, &message);
    let is_taken = matches!(
        outcome,
        Some(
            MessageOutcome::Relayed
                | MessageOutcome::Command
                | MessageOutcome::Refused
                | MessageOutcome::KeptAlive
        )
    );
    stage.guests[index].next_id += u32::from(is_taken);
}

/// Sends a part of a message that is not the last one.
fn say_part(stage: &mut Stage, index: usize, text: &[u8]) {
    let mut part = Vec::new();
    upstream::encode_part(stage.guests[index].next_id, text, &mut part);
    let outcome = say(stage, index, 1000 + index as u16, &part);
    stage.guests[index].next_id += u32::from(outcome == Some(MessageOutcome::Kept));
}

/// Confirms entries or requests repairs.
fn confirm_or_repair(stage: &mut Stage, index: usize, input: &mut Input<'_>) {
    let mut message = Vec::new();
    match input.pick(5) {
        0 => upstream::encode_have(u64::from(input.number()), &mut message),
        ranges => {
            let range = |from, count| upstream::Range { from, count };
            let ranges = (0..ranges).map(|_| range(u64::from(input.number()), input.number()));
            upstream::encode_repair(ranges.collect::<Vec<_>>(), &mut message);
        }
    }
    say(stage, index, 1000 + index as u16, &message);
}

/// Sends a valid token in the wrong room or from the wrong address.
fn misplace(stage: &mut Stage, input: &mut Input<'_>) {
    let guest = stage.guests[input.pick(stage.guests.len())].clone();
    let (room, place) = (ROOMS[input.pick(ROOMS.len())], input.pick(IPS + 1));
    let is_wrong = room != guest.room || ip(place) != guest.ip;
    let from = if is_wrong { ip(place) } else { ip(STRANGER) };
    let mut bytes = Vec::new();
    encode_upstream(room, guest.token, &input.bytes(), &mut bytes);
    let outcome = stage.receive(SocketAddr::from((from, 9)), None, &bytes);
    assert_eq!(outcome, None);
}

/// Sends a create, join or list request.
fn request(stage: &mut Stage, input: &mut Input<'_>) {
    let (from, operation) = (input.pick(IPS), 1 + input.byte() % 3);
    let (room, payload) = (ROOMS[input.pick(ROOMS.len())], input.bytes());
    if stage.guests.len() < MAX_GUESTS {
        stage.request(ip(from), operation, room, &payload);
    }
}

/// Resumes a membership from another IP.
fn resume(stage: &mut Stage, input: &mut Input<'_>) {
    let guest = stage.guests[input.pick(stage.guests.len())].clone();
    stage.request(ip(input.pick(IPS)), 4, &guest.room, &guest.token.to_wire());
}
