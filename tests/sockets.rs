//! Facts of the kernel on which src/connection/SOCKETS.md stands: the reasons for no Unix datagrams (U2).
//!
//! All sockets here are ours, and no server runs. A poll without a wait is enough, because sockets on
//! one machine raise their edges within the call that causes them.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, event::Source};
use socket2::SockRef;

const MESSAGE: [u8; 64] = [b'x'; 64];

/// Larger than what any socket here holds.
const MANY: usize = 1_000_000;

/// A datagram socket that nobody reads, and its address.
fn sleeper(name: &str) -> (UnixDatagram, SocketAddr) {
    let name = format!("reactor-chat-test-{}-{name}", process::id());
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    (UnixDatagram::bind_addr(&address).expect("a reader"), address)
}

/// An unbound datagram socket that does not wait.
fn sender() -> UnixDatagram {
    let sender = UnixDatagram::unbound().expect("a sender");
    sender.set_nonblocking(true).expect("no waiting");
    sender
}

/// Sends until it would block, and returns the number of datagrams that were taken.
fn fill(sender: &UnixDatagram, to: &SocketAddr) -> usize {
    let is_taken = |_: &usize| !would_block(&sender.send_to_addr(&MESSAGE, to));
    (0..MANY).take_while(is_taken).count()
}

/// Writes until it would block.
fn fill_stream(stream: &mut UnixStream) {
    let is_full = (0..MANY).any(|_| would_block(&stream.write(&MESSAGE)));
    assert!(is_full);
}

fn would_block(outcome: &io::Result<usize>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::WouldBlock => true,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the number of datagrams that a sleeping reader takes: net.unix.max_dgram_qlen, and one.
fn queue_length() -> usize {
    let limit = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").expect("the limit");
    limit.trim().parse::<usize>().expect("a number") + 1
}

/// Waits for writable edges, as the server does.
struct Edges {
    poll: Poll,
    events: Events,
}

impl Edges {
    /// Watches a socket, and takes the edge of its begin.
    fn of(socket: &mut impl Source) -> Self {
        let poll = Poll::new().expect("a poll");
        poll.registry().register(socket, Token(0), Interest::WRITABLE).expect("watched");
        let mut edges = Self { poll, events: Events::with_capacity(1) };
        assert!(edges.has_one(), "the begin is an edge");
        assert!(!edges.has_one(), "which comes once");
        edges
    }

    fn has_one(&mut self) -> bool {
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).expect("a poll");
        self.events.iter().any(|event| event.is_writable())
    }
}

#[test]
fn u2_sleeping_reader_takes_few() {
    let (reader, address) = sleeper("few");
    let sender = sender();
    assert_eq!(fill(&sender, &address), queue_length());
    reader.recv(&mut [0; 64]).expect("a datagram");
    assert_eq!(fill(&sender, &address), 1, "one place is free");
}

#[test]
fn u2_reader_blocks_its_sender_alone() {
    let (_reader, address) = sleeper("alone");
    let (_other_reader, other) = sleeper("other");
    let sender = sender();
    fill(&sender, &address);
    assert_eq!(fill(&sender, &other), queue_length(), "another reader");
}

#[test]
fn u2_failed_send_raises_an_edge() {
    let (_reader, address) = sleeper("edge");
    let sender = sender();
    let watched = sender.try_clone().expect("a second descriptor");
    let mut edges = Edges::of(&mut mio::net::UnixDatagram::from_std(watched));
    fill(&sender, &address);
    for round in 0..1_000 {
        assert!(edges.has_one(), "an edge comes, and nobody has read: round {round}");
        assert!(would_block(&sender.send_to_addr(&MESSAGE, &address)), "so it is of no use");
    }
}

#[test]
fn u2_connected_sender_has_no_edge() {
    let (reader, address) = sleeper("connected");
    let sender = sender();
    sender.connect_addr(&address).expect("connected");
    let watched = sender.try_clone().expect("a second descriptor");
    let mut edges = Edges::of(&mut mio::net::UnixDatagram::from_std(watched));
    let is_full = (0..MANY).any(|_| would_block(&sender.send(&MESSAGE)));
    assert!(is_full && !edges.has_one(), "a failed send raises none");
    reader.recv(&mut [0; 64]).expect("a datagram");
    assert!(edges.has_one(), "reading does");
}

#[test]
fn u2_queues_share_the_senders_buffer() {
    let sender = sender();
    // The kernel raises it to its minimum.
    SockRef::from(&sender).set_send_buffer_size(1).expect("a size");
    let (_full_reader, full) = sleeper("full");
    let (empty_reader, empty) = sleeper("empty");
    let taken = fill(&sender, &full);
    assert!((1..queue_length()).contains(&taken), "the buffer is the limit: {taken}");
    assert_eq!(fill(&sender, &empty), 0, "and nothing is left of it for another reader");
    empty_reader.set_nonblocking(true).expect("no waiting");
    assert!(would_block(&empty_reader.recv(&mut [0; 64])), "whose queue is empty");
}

#[test]
fn u2_unbound_sender_has_no_address() {
    let (reader, address) = sleeper("answer");
    sender().send_to_addr(&MESSAGE, &address).expect("sent");
    let (_, from) = reader.recv_from(&mut [0; 64]).expect("a datagram");
    assert!(from.is_unnamed());
    let error = reader.send_to_addr(&MESSAGE, &from).expect_err("nobody to answer");
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn u2_stopped_stream_stops_no_other() {
    let (mut full, _stopped) = UnixStream::pair().expect("a stream");
    let (mut free, mut reader) = UnixStream::pair().expect("a stream");
    full.set_nonblocking(true).expect("no waiting");
    fill_stream(&mut full);
    for _ in 0..1_000 {
        free.write_all(&MESSAGE).expect("written");
        reader.read_exact(&mut [0; 64]).expect("read");
    }
}

#[test]
fn u2_stream_has_an_edge_after_reading() {
    let (mut full, mut stopped) = UnixStream::pair().expect("a stream");
    full.set_nonblocking(true).expect("no waiting");
    stopped.set_nonblocking(true).expect("no waiting");
    let watched = full.try_clone().expect("a second descriptor");
    let mut edges = Edges::of(&mut mio::net::UnixStream::from_std(watched));
    for _ in 0..3 {
        fill_stream(&mut full);
        assert!(!edges.has_one(), "a failed write raises none");
        while !would_block(&stopped.read(&mut [0; 4096])) {}
        assert!(edges.has_one(), "reading does");
    }
}
