//! Many rooms at once: loopback loses nothing at a rate far below the server's maximum.
//!
//! 500 rooms of 10 members, each sending 2 messages a second, spread evenly: 10,000 messages in and
//! 90,000 deliveries out a second. `REACTOR_CHAT_LOAD_SECONDS` sets the duration, 2 by default.

mod support;

use std::env;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use support::*;

const ROOMS: usize = 500;
const MEMBERS: usize = 10;
const MESSAGES_PER_SECOND: u32 = (ROOMS * MEMBERS) as u32 * 2;
/// Rooms that share sockets. A socket carries one member of each of its rooms, because the server
/// knows a member by its token, not by its port. Many machines do not allow 5,000 descriptors.
const ROOMS_A_GROUP: usize = 50;

struct Load {
    server: Server,
    /// By group and member.
    sockets: Vec<UdpSocket>,
    /// By room and member.
    tokens: Vec<Token>,
    /// Last number by room, listener and speaker.
    last_heard: Vec<Option<u32>>,
    delivered: u64,
}

impl Load {
    fn start() -> Self {
        let server = Server::start(&["--max-unproved", "0"]);
        let sockets = (0..ROOMS / ROOMS_A_GROUP * MEMBERS).map(|_| socket()).collect();
        let mut control = Control::connect(&server);
        let mut tokens = Vec::new();
        for room in 0..ROOMS {
            for member in 0..MEMBERS {
                let operation = if member == 0 { CREATE } else { JOIN };
                let payload = format!(r#"{{"username":"m{member}"}}"#);
                tokens.push(control.enter(operation, &room_name(room), payload.as_bytes()));
            }
        }
        let last_heard = vec![None; ROOMS * MEMBERS * MEMBERS];
        Self { server, sockets, tokens, last_heard, delivered: 0 }
    }

    fn send(&self, room: usize, member: usize, text: &str) {
        let token = &self.tokens[room * MEMBERS + member];
        let bytes = datagram(&room_name(room), token, text.as_bytes());
        let socket = &self.sockets[room / ROOMS_A_GROUP * MEMBERS + member];
        socket.send_to(&bytes, self.server.udp).expect("sent");
    }

    /// Reads everything that has arrived, and checks its order.
    fn receive(&mut self) {
        let mut buffer = [0; 512];
        for index in 0..self.sockets.len() {
            loop {
                match self.sockets[index].recv(&mut buffer) {
                    Ok(size) => self.note(index % MEMBERS, &buffer[..size]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Notes `mSPEAKER: ROOM NUMBER`; notices have no colon.
    fn note(&mut self, listener: usize, bytes: &[u8]) {
        let text = str::from_utf8(bytes).expect("UTF-8");
        let Some((speaker, rest)) = text.split_once(": ") else { return };
        let (room, number) = rest.split_once(' ').expect("a room and a number");
        let [speaker, room, number] =
            [&speaker[1..], room, number].map(|word| word.parse::<u32>().expect("a number"));
        let index = (room as usize * MEMBERS + listener) * MEMBERS + speaker as usize;
        let last = self.last_heard[index].replace(number);
        assert!(last.is_none_or(|last| last < number), "{last:?} before {number} in {room}");
        self.delivered += 1;
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_nonblocking(true).expect("an option");
    // The kernel cuts this to its own limit.
    SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("an option");
    socket
}

fn room_name(room: usize) -> String {
    format!("room {room}")
}

#[test]
fn w26_500_rooms_lose_nothing() {
    let seconds: u32 = env::var("REACTOR_CHAT_LOAD_SECONDS")
        .map_or(2, |seconds| seconds.parse().expect("whole seconds"));
    let mut load = Load::start();
    for index in 0..ROOMS * MEMBERS {
        load.send(index / MEMBERS, index % MEMBERS, "");
    }
    let total = MESSAGES_PER_SECOND * seconds;
    let start = Instant::now() + Duration::from_millis(100);
    let mut sent = 0;
    while sent < total {
        while sent < total && Instant::now() >= start + due(sent) {
            let index = sent as usize % (ROOMS * MEMBERS);
            let (room, member) = (index % ROOMS, index / ROOMS);
            load.send(room, member, &format!("{room} {sent}"));
            sent += 1;
        }
        load.receive();
        thread::sleep(Duration::from_micros(200));
    }
    let expected = u64::from(total) * (MEMBERS as u64 - 1);
    wait_for("every delivery", || {
        load.receive();
        (load.delivered == expected).then_some(())
    });
}

/// Returns the time at which a message is due, from the start.
fn due(number: u32) -> Duration {
    Duration::from_secs(1) * number / MESSAGES_PER_SECOND
}
