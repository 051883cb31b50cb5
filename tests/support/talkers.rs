//! Ann and Bob in a room with stream delivery, who use our client, and the datagrams of a server
//! that a test plays.

use std::net::{Ipv4Addr, SocketAddr};

use super::program::{Stranger, Talker, client};
use super::proxy::Proxy;
use super::{DEADLINE, Server};

pub const CLOSED: &str = "* the room was closed";

/// Returns a datagram of life 7 of the room: the number of its first entry, and the entries.
pub fn stream(sequence: u64, entries: &[Vec<u8>]) -> Vec<u8> {
    let header = [&7_u32.to_be_bytes()[..], &sequence.to_be_bytes()].concat();
    let sized = entries.iter().map(|entry| {
        let size = u16::try_from(entry.len()).expect("a short entry");
        [&size.to_be_bytes()[..], entry].concat()
    });
    std::iter::once(header).chain(sized).collect::<Vec<_>>().concat()
}

pub fn message(member: u32, id: u32, name: &str, text: &str) -> Vec<u8> {
    let numbers = [member.to_be_bytes(), id.to_be_bytes()].concat();
    [b"\0", &numbers[..], &[name.len() as u8], name.as_bytes(), text.as_bytes()].concat()
}

pub fn notice(code: u8, text: &str) -> Vec<u8> {
    [&[1, code, 0, 0, 0, 0, 0], text.as_bytes()].concat()
}

pub fn aside(code: u8, expected: u32, id: u32, text: &str) -> Vec<u8> {
    [&[2, code], &expected.to_be_bytes()[..], &id.to_be_bytes(), text.as_bytes()].concat()
}

pub fn gone(count: u32) -> Vec<u8> {
    [&[4], &count.to_be_bytes()[..]].concat()
}

/// Starts Bob in a stream of a server that the test plays. He has received its first datagram.
pub fn bob_in_stream(stranger: &Stranger, idle_timeout: u64) -> (Talker, SocketAddr) {
    let (bob, at) = bob_without_answer(stranger, idle_timeout);
    stranger.udp.send_to(&stream(1, &[aside(12, 1, 0, "")]), at).expect("sent");
    (bob, at)
}

/// Starts Bob in such a stream, before he has received anything.
pub fn bob_without_answer(stranger: &Stranger, idle_timeout: u64) -> (Talker, SocketAddr) {
    let bob = stranger.client(&["join", "r1", "bob"]);
    stranger.admit_to_stream(1, idle_timeout);
    let (first, at) = stranger.hear_bytes();
    assert_eq!(first, b"\x01\0\0\0\0\0\0\0\x01", "have: nothing below 1 is missing");
    (bob, at)
}

/// Starts Ann, who creates the room.
pub fn ann_creates(server: &Server, args: &[&str]) -> Talker {
    let ann = Talker::start(server, &[args, &["create", "r1", "ann"]].concat());
    ann.expect("* ann joined");
    ann
}

pub fn bob_joins(server: &Server) -> Talker {
    Talker::start(server, &["join", "r1", "bob"])
}

/// Starts a client that uses the server through this network.
pub fn over(proxy: &Proxy, server: &Server, args: &[&str]) -> Talker {
    Talker::spawn(client(server.tcp, proxy.address, args))
}

/// Returns an address for a server that is restarted. Nobody else binds there, so its ports stay
/// free. On 127.0.0.1 they would go to the next socket that requests any port.
pub fn address_of_its_own() -> String {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 | high, middle, low).to_string()
}

pub fn numbered(lines: std::ops::Range<usize>) -> String {
    lines.map(|line| format!("line {line}\n")).collect()
}

/// Returns the line that says that messages travel over TCP, because this port is blocked.
pub fn carried_now(port: SocketAddr) -> String {
    let (port, ip) = (port.port(), port.ip());
    format!(
        "reactor-chat-client: no datagram comes from UDP port {port} of {ip}; messages travel over \
         TCP now"
    )
}

/// Lets Ann and Bob say 500 lines each, with a cut after each 150 of them. Both must see all lines, each once
/// and in one order.
pub fn exchange_with_cuts(ann: &mut Talker, bob: &mut Talker, cut: impl Fn()) {
    ann.say(&numbered(0..500));
    bob.say(&numbered(500..1000));
    let mut record = Vec::new();
    while record.len() < 1000 {
        record.push(ann.out.recv_timeout(DEADLINE).expect("a line"));
        if record.len() % 150 == 0 {
            cut();
        }
    }
    for (name, lines) in [("ann", 0..500), ("bob", 500..1000)] {
        let start = format!("{name}: ");
        let said: Vec<_> = record.iter().filter_map(|line| line.strip_prefix(&start)).collect();
        assert_eq!(said, numbered(lines).lines().collect::<Vec<_>>());
    }
    let same: Vec<_> = record.iter().map_while(|_| bob.out.recv_timeout(DEADLINE).ok()).collect();
    assert_eq!(same, record);
}
