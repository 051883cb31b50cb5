//! A room at full speed: one member receives nothing for two seconds, another asks for everything
//! again and again, and a stranger forges datagrams to all of them. The others lose nothing. The
//! first one gets all entries that are still held, and learns the number of lost ones.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::*;
use reactor_chat::protocol::stream::upstream::{Range, encode_repair};
use reactor_chat::protocol::stream::{Completion, Entry, Header};
use reactor_chat::stream::{Event, StreamReceiver, StreamSender};

const SPEAKERS: usize = 6;
const DEAF_FOR: Duration = Duration::from_secs(2);

/// A member with stream delivery, driven by hand.
struct Streamer {
    token: Token,
    socket: UdpSocket,
    tag: u32,
    first: u64,
    receiver: StreamReceiver,
    sender: StreamSender,
    /// Number of each message that was handed on, or nothing for a notice.
    heard: BTreeMap<u64, Option<String>>,
    said: usize,
    /// Bytes received.
    bytes: usize,
}

impl Streamer {
    fn enter(server: &Server, operation: u8, name: &str) -> Self {
        let mut control = Control::connect(server);
        let payload = format!(r#"{{"username":"{name}","delivery":"stream"}}"#);
        control.request(operation, "room", payload.as_bytes());
        let completion = Completion::parse(&control.expect_success()).expect("a stream's");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect(server.udp).expect("a route");
        socket.set_nonblocking(true).expect("an option");
        let keep_alive = Duration::from_secs(completion.keep_alive);
        let Completion { tag, next, expected, member, .. } = completion;
        Self {
            token: completion.token.to_wire(),
            socket,
            tag,
            first: next,
            receiver: StreamReceiver::new(tag, next, keep_alive, Instant::now()),
            sender: StreamSender::new(member, expected, "room"),
            heard: BTreeMap::new(),
            said: 0,
            bytes: 0,
        }
    }

    /// Reads what has arrived, and drops it if the member is deaf.
    fn hear(&mut self, is_deaf: bool) {
        let mut buffer = [0; 5000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(size) if !is_deaf => self.take(&buffer[..size]),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn take(&mut self, datagram: &[u8]) {
        self.bytes += datagram.len();
        let (now, heard) = (Instant::now(), &mut self.heard);
        self.receiver.handle_datagram(datagram, now, |event| {
            self.sender.handle_event(&event, now);
            let (number, text) = match event {
                Event::Message { number, text, .. } => {
                    (number, Some(String::from_utf8(text.to_vec()).expect("UTF-8")))
                }
                Event::Notice { number, .. } => (number, None),
                Event::Gone { .. } | Event::Aside { .. } => return,
            };
            assert!(heard.insert(number, text).is_none(), "{number} twice");
        });
    }

    fn say_as_much_as_fits(&mut self) {
        while self.sender.has_space() {
            self.said += 1;
            let text = format!("message {:08}", self.said);
            self.sender.push(text.as_bytes()).expect("space");
        }
    }

    fn transmit(&mut self) {
        let (now, mut body) = (Instant::now(), Vec::new());
        self.receiver.handle_timeout(now);
        self.sender.handle_timeout(now);
        while self.receiver.poll_transmit(now, &mut body)
            || self.sender.poll_transmit(now, &mut body)
        {
            self.send(&body);
        }
    }

    fn send(&self, body: &[u8]) {
        // Datagrams that do not fit the socket's buffer are lost.
        let _ = self.socket.send(&datagram("room", &self.token, body));
    }

    fn ask_for_everything(&self) {
        let mut body = Vec::new();
        let from = |index: u64| Range { from: 1 + index * 65_535, count: u16::MAX };
        encode_repair((0..100).map(from), &mut body);
        self.send(&body);
    }

    fn is_done(&self, end: u64) -> bool {
        self.sender.open() == 0 && self.receiver.next() == end
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }
}

#[test]
fn s7_s11_full_speed_with_bad_members() {
    let server = Server::start(&["--rate-limit", "0"]);
    let mut speakers: Vec<Streamer> = (0..SPEAKERS)
        .map(|index| {
            Streamer::enter(&server, if index == 0 { CREATE } else { JOIN }, &format!("s{index}"))
        })
        .collect();
    let mut deaf = Streamer::enter(&server, JOIN, "deaf");
    let mut greedy = Streamer::enter(&server, JOIN, "greedy");
    let forger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let start = Instant::now();
    while start.elapsed() < DEAF_FOR {
        for speaker in &mut speakers {
            speaker.hear(false);
            speaker.say_as_much_as_fits();
            speaker.transmit();
            forge(&forger, speaker);
        }
        deaf.hear(true);
        greedy.hear(true);
        greedy.ask_for_everything();
    }
    let said: usize = speakers.iter().map(|speaker| speaker.said).sum();
    wait_for("everyone to have everything", || {
        for member in speakers.iter_mut().chain([&mut deaf]) {
            member.hear(false);
            member.transmit();
        }
        let end = speakers.iter().map(|speaker| speaker.receiver.next()).max()?;
        let all = speakers.iter().chain([&deaf]).all(|member| member.is_done(end));
        let messages = speakers[0].heard.values().flatten().count();
        (all && messages == said).then_some(())
    });
    for speaker in &speakers {
        assert_eq!(speaker.receiver.gone(), 0, "the others lose nothing");
        assert_eq!(speaker.heard.values().flatten().count(), said);
        let theirs = speaker.heard.range(speakers[SPEAKERS - 1].first..);
        assert!(theirs.eq(speakers[SPEAKERS - 1].heard.iter()), "one order");
    }
    let numbers = deaf.receiver.next() - deaf.first;
    assert_eq!(deaf.receiver.gone() + deaf.heard.len() as u64, numbers, "the exact count");
    assert!(deaf.receiver.gone() > 0, "{said} messages are more than a ring holds");
    assert!(deaf.heard.iter().all(|(number, text)| speakers[0].heard[number] == *text));
    let held: usize = deaf.heard.values().flatten().map(|text| text.len() + 20).sum();
    assert!(held > 700_000, "what the ring held: {held} bytes of a MiB");
    check_the_ration(&mut greedy);
}

/// Counts the bytes for a member that asks for everything again and again in a silent room.
fn check_the_ration(greedy: &mut Streamer) {
    greedy.hear(true);
    greedy.bytes = 0;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        greedy.ask_for_everything();
        greedy.hear(false);
    }
    let most = 64 * 1024 + 16 * 1024;
    assert!(greedy.bytes < most, "{} bytes", greedy.bytes);
}

/// A stranger that even knows the tag, but not the server's address.
fn forge(forger: &UdpSocket, victim: &Streamer) {
    let mut bytes = Vec::new();
    let sequence = victim.receiver.next();
    Header { tag: victim.tag, sequence }.encode(&mut bytes);
    Entry::Message { member: 1, id: 1, name: b"s0", text: b"forged" }.encode(&mut bytes);
    // A full socket may refuse it.
    let _ = forger.send_to(&bytes, victim.address());
}
