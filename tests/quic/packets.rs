//! Packets: proof of addresses, answers to strangers, damage.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::quic::{Browser, QuicMember};
use crate::support::random::Random;
use crate::support::streams::is_in;
use crate::support::*;

/// The two highest bits and the type of a Retry packet (RFC 9000, section 17.2.5).
const RETRY: u8 = 0xf0;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((loopback(1), 0)).expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket
}

/// Returns the first packet of a new connection.
fn hello(server: &Server) -> Vec<u8> {
    let mut packet = Vec::new();
    assert!(Browser::begin(server.udp).link.poll_transmit(&mut packet, Instant::now()));
    packet
}

/// Returns a first packet of a version that the server does not speak.
fn unknown_version(size: usize) -> Vec<u8> {
    let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    packet.resize(size, 0);
    packet
}

#[test]
fn h8_retry_answers_every_stranger() {
    let server = Server::start(&[]);
    let (socket, mut buffer) = (socket(), [0; 2048]);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..20 {
        let packet = hello(&server);
        socket.send_to(&packet, server.udp).expect("sent");
        let (size, _) = receive(&socket, &mut buffer);
        assert_eq!(buffer[0] & RETRY, RETRY);
        assert!(size < 200, "{size} bytes");
        (sent, received) = (sent + packet.len(), received + size);
    }
    assert!(received < sent);
}

#[test]
fn h8_repeated_hello_is_not_amplified() {
    let server = Server::start(&[]);
    let (socket, packet) = (socket(), hello(&server));
    for _ in 0..10 {
        socket.send_to(&packet, server.udp).expect("sent");
    }
    let mut buffer = [0; 2048];
    let sizes: Vec<usize> = (0..10).map(|_| receive(&socket, &mut buffer).0).collect();
    assert!(sizes.iter().all(|size| *size < packet.len() / 5), "{sizes:?}");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(socket.recv(&mut buffer).is_err(), "nothing is repeated");
}

#[test]
fn h8_version_negotiation_is_short() {
    let server = Server::start(&[]);
    let (socket, mut buffer) = (socket(), [0; 2048]);
    socket.send_to(&unknown_version(1_200), server.udp).expect("sent");
    let (size, _) = receive(&socket, &mut buffer);
    assert!(size < 60 && buffer[1..5] == [0; 4], "{:x?}", &buffer[..size]);
    // A first packet has at least 1,200 bytes (RFC 9000, section 14.1).
    socket.send_to(&unknown_version(1_199), server.udp).expect("sent");
    socket.send_to(&unknown_version(40), server.udp).expect("sent");
    socket.send_to(&unknown_version(1_200), server.udp).expect("sent");
    receive(&socket, &mut buffer);
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert!(socket.recv(&mut buffer).is_err(), "one answer only");
}

#[test]
fn h8_answers_to_strangers_have_a_rate() {
    let server = Server::start(&[]);
    let socket = socket();
    socket.set_nonblocking(true).expect("an option");
    let (packet, mut buffer, mut answers) = (unknown_version(1_200), [0; 64], 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1_500) {
        // A full socket takes it later.
        let _ = socket.send_to(&packet, server.udp);
        while socket.recv(&mut buffer).is_ok() {
            answers += 1;
        }
    }
    let most = 100 + start.elapsed().as_millis() as usize * 11 / 10;
    assert!((200..=most).contains(&answers), "{answers} answers, at most {most}");
    QuicMember::create(&server, "ann");
}

#[test]
fn h8_stray_packets_get_no_long_answer() {
    let server = Server::start(&[]);
    let (socket, mut buffer) = (socket(), [0; 2048]);
    let mut random = Random(8);
    for size in (22..1_200).step_by(97) {
        let mut packet: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
        // A packet of a connection that does not exist.
        (packet[0], packet[1]) = (0x40 | packet[0] & 0x3f, 0x80 | packet[1]);
        socket.send_to(&packet, server.udp).expect("sent");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        if let Ok(answer) = socket.recv(&mut buffer) {
            assert!(answer < size, "{answer} bytes for {size}");
        }
    }
}

#[test]
fn h8_damaged_packets_cost_nothing() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut guest = QuicMember::join(&server, "bob");
    let mut random = Random(9);
    for id in 1..=50 {
        let text = format!("number {id}");
        let body = [&[0], &u32::to_be_bytes(id)[..], text.as_bytes()].concat();
        assert!(host.browser.link.send_datagram(&body));
        let mut packet = Vec::new();
        while host.browser.link.poll_transmit(&mut packet, Instant::now()) {
            let mut damaged = packet.clone();
            let place = random.size_below(damaged.len());
            damaged[place] ^= 1 << random.below(8);
            for bytes in [&damaged[..], &packet[..packet.len() / 2], &packet, &packet] {
                host.browser.socket.send_to(bytes, server.udp).expect("sent");
            }
        }
        guest.hear_until(|items| is_in(items, &text));
    }
}

#[test]
fn h8_random_packets_end_nobody() {
    let mut server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let (socket, mut random) = (socket(), Random(10));
    for _ in 0..5_000 {
        let mut packet = random.bytes();
        if random.chance(50)
            && let [first, second, ..] = &mut packet[..]
        {
            (*first, *second) = (*first | 0x40, *second & 0x80);
        }
        if random.chance(10) {
            packet = hello_with_damage(&server, &mut random);
        }
        let _ = socket.send_to(&packet, server.udp);
    }
    let mut guest = QuicMember::join(&server, "bob");
    host.say(1, "hello");
    guest.hear_until(|items| is_in(items, "hello"));
    assert!(server.is_running());
}

fn hello_with_damage(server: &Server, random: &mut Random) -> Vec<u8> {
    let mut packet = hello(server);
    for _ in 0..1 + random.below(4) {
        let place = random.size_below(packet.len().min(60));
        packet[place] = random.next() as u8;
    }
    packet
}

#[test]
fn h8_other_protocol_is_refused() {
    let server = Server::start(&[]);
    let mut browser = Browser::begin(server.udp);
    browser.link =
        crate::support::webtransport::WebTransport::for_protocol(server.udp, b"hq", Instant::now());
    browser.wait("the end", |link| link.lost.clone());
    assert!(!browser.link.is_connected);
}
