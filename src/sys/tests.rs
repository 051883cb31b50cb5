//! Each test uses real sockets on loopback, which delivers in the send call.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use super::socket::set_option;
use super::*;

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_nonblocking(true).expect("non-blocking");
    socket
}

/// Receives all datagrams. Loopback delivers them in the send call.
fn received(socket: &UdpSocket) -> ReceiveBatch {
    let mut batch = ReceiveBatch::new(16);
    batch.receive(socket.as_fd(), BATCH).expect("datagrams");
    batch
}

fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr, local: Option<IpAddr>) {
    let to = Address::from(to);
    let pieces = [(0, bytes.len() as u32)];
    let message = Outgoing { to: &to, local, pieces: &pieces, segment: None };
    let sent = SendBatch::new().send(socket.as_fd(), bytes, [message].into_iter());
    assert_eq!(sent.expect("sent"), 1);
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("an address")
}

/// A client sends to one address of a wildcard socket, which must reply from that address.
fn check_reply_address(wildcard: &str, client: &str, local: IpAddr) {
    let server = socket(wildcard);
    enable_packet_info(server.as_fd(), address(&server).ip()).expect("packet info");
    let client = socket(client);
    client.connect((local, address(&server).port())).expect("a route");
    client.send(b"hello").expect("sent");
    let batch = received(&server);
    let arrival = batch.arrivals().next().expect("one");
    assert_eq!((arrival.bytes, arrival.remote), (&b"hello"[..], address(&client)));
    assert_eq!(arrival.local, Some(local));
    // A connected socket receives only from the address that it is connected to.
    send(&server, b"back", arrival.remote, arrival.local);
    assert_eq!(received(&client).arrivals().next().expect("one").bytes, b"back");
}

#[test]
fn d7_wildcard_replies_from_right_ip() {
    let local = Ipv4Addr::new(127, 0, 0, 2).into();
    check_reply_address("0.0.0.0:0", "127.0.0.1:0", local);
    check_reply_address("[::]:0", "[::1]:0", Ipv6Addr::LOCALHOST.into());
}

#[test]
fn d1_empty_datagram_is_a_datagram() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    for bytes in [&b""[..], b"x", b""] {
        send(&a, bytes, address(&b), None);
    }
    let batch = received(&b);
    let all: Vec<&[u8]> = batch.arrivals().map(|arrival| arrival.bytes).collect();
    assert_eq!(all, [&b""[..], b"x", b""]);
    let nothing = ReceiveBatch::new(16).receive(b.as_fd(), BATCH).expect_err("no more");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn message_is_gathered_and_segmented() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    let to = Address::from(address(&b));
    let pieces = [(0, 4), (6, 9)];
    let message = Outgoing { to: &to, local: None, pieces: &pieces, segment: Some(2) };
    let sent = SendBatch::new().send(a.as_fd(), b"aabb__ccd", [message].into_iter());
    assert_eq!(sent.expect("sent"), 1);
    let batch = received(&b);
    let all: Vec<&[u8]> = batch.arrivals().map(|arrival| arrival.bytes).collect();
    assert_eq!(all, [&b"aa"[..], b"bb", b"cc", b"d"]);
}

#[test]
fn gro_joins_segments() {
    let (a, b) = (socket("[::]:0"), socket("[::1]:0"));
    enable_gro(b.as_fd()).expect("the option");
    enable_packet_info(b.as_fd(), address(&b).ip()).expect("packet info");
    let to = Address::from(address(&b));
    let pieces = [(0, 5)];
    let message = Outgoing { to: &to, local: None, pieces: &pieces, segment: Some(2) };
    let sent = SendBatch::new().send(a.as_fd(), b"aabbc", [message].into_iter());
    assert_eq!(sent.expect("sent"), 1);
    let batch = received(&b);
    let all: Vec<_> = batch.arrivals().map(|one| (one.bytes, one.segment)).collect();
    assert_eq!(all, [(&b"aabbc"[..], Some(2))]);
    let local = batch.arrivals().next().expect("one").local;
    assert_eq!(local, Some(Ipv6Addr::LOCALHOST.into()));
}

#[test]
fn kernel_drops_are_counted() {
    let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
    enable_overflow_count(b.as_fd()).expect("the option");
    set_option(b.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).expect("the least there is");
    for _ in 0..100 {
        send(&a, &[0; 1000], address(&b), None);
    }
    let mut batch = ReceiveBatch::new(1000);
    let mut received = 0;
    while let Ok(count) = batch.receive(b.as_fd(), BATCH) {
        received += count as u32;
    }
    send(&a, b"x", address(&b), None);
    batch.receive(b.as_fd(), 1).expect("one");
    assert_eq!(batch.arrivals().next().expect("one").overflow, Some(100 - received));
}

#[test]
fn descriptor_limit_is_the_hard_one() {
    let limit = raise_descriptor_limit().expect("a limit");
    assert_eq!(raise_descriptor_limit().expect("a limit"), limit);
    assert!(limit > 0);
}
