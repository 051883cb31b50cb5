//! A server that people join and leave in every possible way for a while has the same state at the
//! end as before.
//!
//! `REACTOR_CHAT_SOAK_SECONDS` sets the duration, 4 by default.

mod support;

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use support::peers::*;
use support::random::Random;
use support::streams::Ticket;
use support::*;

/// Crowds that come and go at a time, each with addresses of its own.
const CROWDS: usize = 4;

const MAX_ROOMS: usize = 400;
const MAX_MEMBERS: usize = 2000;

/// Memory that the allocator may keep after a peak, and that tombstones of stream members take for a
/// minute. The test makes some 5,000 rooms in 4 seconds, and 25,000 connections: a leak of a hundred
/// bytes for each would exceed this.
const MARGIN: u64 = 2 << 20;

/// Number of rooms of each crowd after which memory has reached its plateau.
const WARM_UP: u64 = 500;

/// Rooms that a crowd leaves to the server's deadlines at a time, and connections likewise.
const LEFT_BEHIND: usize = 20;

#[test]
fn l8_t4_soak_leaves_nothing() {
    let seconds: u64 = env::var("REACTOR_CHAT_SOAK_SECONDS")
        .map_or(4, |seconds| seconds.parse().expect("whole seconds"));
    let server = start();
    let idle = server.descriptors();

    // The first part shows the peak, the second one any leak. Both are measured by work done, not by
    // the time that a busy machine takes for it.
    let warm_up = churn(&server, Duration::ZERO, WARM_UP, 0);
    expect_emptiness(&server, idle);
    let before = server.memory();
    let lives = churn(&server, Duration::from_secs(seconds), WARM_UP, CROWDS as u64);
    expect_emptiness(&server, idle);
    let after = server.memory();

    eprintln!("{warm_up} rooms and {lives} more, {before} bytes and {after} after them");
    assert!(after < before + MARGIN, "{before} bytes before, {after} after {lives} rooms");
    expect_all_places(&server);
    eprintln!("{}", server.final_counts());
}

/// Starts a server without rate limits that soon removes silent members.
fn start() -> Server {
    let (rooms, members) = (MAX_ROOMS.to_string(), MAX_MEMBERS.to_string());
    let limits = ["--rate-limit", "0", "--max-unproved", "0"];
    let places = ["--max-rooms", &rooms, "--max-members", &members];
    let times = ["--idle-timeout", "3", "--handshake-timeout", "1", "--connect-timeout", "2"];
    Server::start(&[&limits[..], &places, &times].concat())
}

/// Waits until there is no connection and no member.
fn expect_emptiness(server: &Server, descriptors: usize) {
    wait_for("the last connection to end", || (server.descriptors() == descriptors).then_some(()));
    let list = || {
        let mut control = Control::connect(server);
        control.request(LIST, "", b"");
        (control.expect_success() == b"[]").then_some(())
    };
    wait_for("the last room to close", list);
}

/// Checks that as many rooms and members get in as at the start. A place that a departed member
/// still held would be missing.
fn expect_all_places(server: &Server) {
    const SERVER_FULL: u8 = 8;
    let mut controls: Vec<Control> =
        (0..CROWDS).map(|crowd| Control::connect_from(server, address(crowd, 0))).collect();
    for number in 0..MAX_MEMBERS {
        let control = &mut controls[number % CROWDS];
        let (operation, room) =
            (if number < MAX_ROOMS { CREATE } else { JOIN }, number % MAX_ROOMS);
        let payload = text(&number.to_string());
        let status = control.status_of(operation, &format!("room {room}"), payload.as_bytes());
        assert_eq!(status, 0, "number {number} gets in");
    }
    assert_eq!(controls[0].status_of(JOIN, "room 0", b"one more"), SERVER_FULL);
}

/// Returns one of many addresses of a crowd. One address would run out of ports within a minute,
/// because the kernel keeps each in TIME_WAIT after its connection.
fn address(crowd: usize, number: u64) -> IpAddr {
    Ipv4Addr::new(127, 1, crowd as u8, 1 + (number % 200) as u8).into()
}

/// Lets crowds come and go for some time and some rooms of each. Returns the number of rooms.
fn churn(server: &Server, time: Duration, rooms: u64, seed: u64) -> u64 {
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let crowds: Vec<_> = (0..CROWDS)
            .map(|index| {
                let mut crowd = Crowd::new(server, index, seed);
                scope.spawn(move || {
                    while crowd.rooms < rooms || Instant::now() < end {
                        crowd.live();
                    }
                    crowd.rooms
                })
            })
            .collect();
        crowds.into_iter().map(|crowd| crowd.join().expect("no failure")).sum()
    })
}

struct Guest {
    member: Member,
    /// The message with which it leaves.
    last: &'static [u8],
}

impl Guest {
    fn leave(&self) {
        self.member.say_bytes(self.last);
    }
}

/// A crowd that makes one room after the other.
struct Crowd {
    tcp: SocketAddr,
    udp: SocketAddr,
    index: usize,
    ip: IpAddr,
    random: Random,
    /// Connections that only a deadline ends.
    left: Vec<Control>,
    /// Times at which rooms were left without a word.
    abandoned: Vec<Instant>,
    rooms: u64,
}

impl Crowd {
    fn new(server: &Server, index: usize, seed: u64) -> Self {
        let random = Random(0x50A4 + seed + index as u64);
        let Server { tcp, udp, .. } = *server;
        let ip = address(index, 0);
        Self { tcp, udp, index, ip, random, left: vec![], abandoned: vec![], rooms: 0 }
    }

    /// Plays the life of a room.
    fn live(&mut self) {
        let name = format!("{} {}", self.index, self.rooms);
        self.rooms += 1;
        self.ip = address(self.index, self.rooms);
        let host = self.enter(CREATE, &name, &text("host"));
        host.prove();
        let guests = self.random.size_below(6);
        let guests: Vec<Guest> = (0..guests).map(|index| self.come(&name, index)).collect();
        for number in 0..self.random.size_below(20) {
            host.say(&format!("{number:>0$}", 1 + self.random.size_below(500)));
            if let Some(guest) = guests.get(self.random.size_below(6)) {
                guest.member.say("hi");
            }
        }
        self.misbehave();
        host.settle();
        for (index, guest) in guests.iter().enumerate() {
            match self.random.size_below(4) {
                0 => guest.leave(),
                1 => host.say(&format!("/kick m{index}")),
                2 => host.say(&format!("/host m{index}")),
                _ => {}
            }
        }
        self.end(&host, &guests);
    }

    fn end(&mut self, host: &Member, guests: &[Guest]) {
        let now = Instant::now();
        self.abandoned.retain(|at| now < *at + Duration::from_secs(4));
        if self.abandoned.len() < LEFT_BEHIND && self.random.size_below(10) == 0 {
            self.abandoned.push(now);
            return;
        }
        // The current host closes the room.
        guests.iter().for_each(Guest::leave);
        host.say("/exit");
    }

    /// A guest with one of the three deliveries, which usually proves its port.
    fn come(&mut self, room: &str, index: usize) -> Guest {
        let is_seen = self.random.size_below(8) > 0;
        let name = format!("m{index}");
        let (payload, last) = match self.random.size_below(3) {
            0 => (name, &b"/exit"[..]),
            1 => (text(&name), &b"/exit"[..]),
            _ => {
                let payload = format!(r#"{{"username":"{name}","delivery":"stream"}}"#);
                // Its first message.
                (payload, &b"\0\0\0\0\x01/exit"[..])
            }
        };
        let member = self.enter(JOIN, room, &payload);
        if is_seen {
            member.say("");
        }
        Guest { member, last }
    }

    fn enter(&mut self, operation: u8, room: &str, payload: &str) -> Member {
        let mut control = Control::connect_to_from(self.tcp, self.ip);
        control.request(operation, room, payload.as_bytes());
        let secret = control.expect_success();
        // With stream delivery it comes with more entries.
        let token = secret.try_into().unwrap_or_else(|secret: Vec<u8>| Ticket::read(&secret).token);
        self.part(control);
        Member::with_token(self.udp, self.ip, room, token)
    }

    /// Ends a connection in one of several ways.
    fn part(&mut self, mut control: Control) {
        self.left.retain(|control| !control.has_heard());
        match self.random.size_below(4) {
            0 => control.reset(),
            1 => control.send(&[0xff, 0xff]),
            2 if self.left.len() < LEFT_BEHIND => self.left.push(control),
            _ => control.end(),
        }
    }

    /// A connection without a complete request.
    fn misbehave(&mut self) {
        let mut control = Control::connect_to_from(self.tcp, self.ip);
        let request = frame(CREATE, "never", text("x").as_bytes());
        let bytes = match self.random.size_below(4) {
            0 => request[..self.random.size_below(request.len())].to_vec(),
            1 => self.random.bytes(),
            2 => oversized_header(),
            _ => list_frame().repeat(20),
        };
        control.send(&bytes);
        self.part(control);
    }
}
