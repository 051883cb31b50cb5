//! The floors: the plainest relays there are, without any protocol, each in a process of its own.
//!
//! A member is an address. A datagram of four bytes names its room and is sent back; any other goes
//! to everyone else in that room as it is. The bare TCP loop is the floor of joining. All of them
//! wait in the kernel when there is nothing to do, and end when stdin does: when the bench is gone.

mod packed;
mod unix;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process;
use std::str::FromStr;
use std::thread;

use mio::{Events, Interest, Poll, Token};
use reactor_chat::sys::{self, Address, BATCH, MAX_SEGMENTS, Outgoing, ReceiveBatch, SendBatch};
use reactor_chat::unix_addr::UnixAddr;

use super::control;
use packed::Packed;

pub use packed::unpack;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One recv a message, one send_to a member.
    SendTo,
    /// One recv a message, members in batches.
    SendMmsg,
    /// recv until empty, then several messages of one size to one member in one send.
    Gso,
    /// recv until empty, then several messages in a datagram, and several of those in one send.
    Pack,
    /// accept, read, write, write, close.
    Tcp,
    /// On a Unix socket: read what one member has sent, one write of it a member.
    UnixReads,
    /// On a Unix socket: read what all have sent, one write of it a member.
    UnixTurns,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::SendTo,
        Self::SendMmsg,
        Self::Gso,
        Self::Pack,
        Self::Tcp,
        Self::UnixReads,
        Self::UnixTurns,
    ];

    /// Floors of text delivery. Ratios refer to the first.
    pub const OF_MESSAGES: [Self; 4] = [Self::SendTo, Self::SendMmsg, Self::Gso, Self::Pack];

    /// Floors of stream delivery, which packs messages.
    pub const OF_STREAMS: [Self; 2] = [Self::SendTo, Self::Pack];

    /// Floors on a Unix socket. Ratios refer to the first.
    pub const ON_UNIX: [Self; 2] = [Self::UnixTurns, Self::UnixReads];

    pub fn name(self) -> &'static str {
        match self {
            Self::SendTo => "relay_send_to",
            Self::SendMmsg => "relay_sendmmsg",
            Self::Gso => "relay_gso",
            Self::Pack => "relay_pack",
            Self::Tcp => "bare_accept",
            Self::UnixReads => "relay_unix_reads",
            Self::UnixTurns => "relay_unix_turns",
        }
    }

    /// Returns true if it listens on a Unix socket.
    pub fn is_on_unix(self) -> bool {
        matches!(self, Self::UnixReads | Self::UnixTurns)
    }

    /// Returns its name on the command line.
    pub fn word(self) -> &'static str {
        self.name().split_once('_').map_or(self.name(), |(_, word)| word)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| format!("there is no relay '{word}'"))
    }
}

/// Bytes of a datagram that names a room.
pub const REGISTRATION: usize = 4;

/// Longer than any message of the bench.
const MAX_DATAGRAM: usize = 4096;

/// The size that the server asks for.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// Number of messages read before they are sent on: as many as the server reads in a turn.
const MAX_WAITING: usize = 256;

/// Maximum bytes in one send, with room for headers below UDP's 65,507.
const MAX_SEND: u32 = 60_000;

/// Relays until the bench is gone, at this address if it is a Unix socket.
///
/// # Errors
/// If there is no socket to be had.
pub fn serve(kind: Kind, name: Option<UnixAddr>) -> io::Result<()> {
    thread::spawn(end_with_stdin);
    match name {
        Some(name) => unix::serve(&name, kind == Kind::UnixTurns),
        None => serve_addresses(kind),
    }
}

fn serve_addresses(kind: Kind) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sys::request_buffers(socket.as_fd(), SOCKET_BUFFER);
    let (tcp, udp) = (listener.local_addr()?, socket.local_addr()?);
    writeln!(io::stdout(), "listening on tcp {tcp} udp {udp}")?;
    match kind {
        Kind::SendTo => relay_one_by_one(&socket, |socket, bytes, to| {
            for remote in to {
                // A member that can't be reached costs the others nothing.
                let _ = socket.send_to(bytes, remote.to_socket_addr());
            }
        }),
        Kind::SendMmsg => {
            let mut batch = SendBatch::new();
            relay_one_by_one(&socket, |socket, bytes, to| {
                let pieces = [(0, bytes.len() as u32)];
                let outgoing: Vec<Outgoing<'_>> = to
                    .iter()
                    .map(|to| Outgoing { to, local: None, pieces: &pieces, segment: None })
                    .collect();
                send_all(&mut batch, socket, bytes, &outgoing);
            })
        }
        Kind::Gso => {
            let mut batch = SendBatch::new();
            relay_in_turns(socket, |socket, bytes, messages, members| {
                relay_room(&mut batch, socket, bytes, messages, members);
            })
        }
        Kind::Pack => {
            let (mut batch, mut packed) = (SendBatch::new(), Packed::default());
            relay_in_turns(socket, |socket, bytes, messages, members| {
                packed.fill(bytes, messages);
                packed.send(&mut batch, socket, members);
            })
        }
        Kind::Tcp => serve_bare_tcp(&listener),
        Kind::UnixReads | Kind::UnixTurns => Err(io::Error::other("it needs a name")),
    }
}

fn end_with_stdin() {
    // Nothing comes but the end of the stream.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    process::exit(0);
}

/// The members of each room.
#[derive(Default)]
struct Rooms {
    /// The room of each address, and its place there.
    places: HashMap<SocketAddr, (u32, usize)>,
    members: HashMap<u32, Vec<Address>>,
}

impl Rooms {
    fn register(&mut self, member: SocketAddr, room: [u8; REGISTRATION]) {
        let room = u32::from_be_bytes(room);
        let members = self.members.entry(room).or_default();
        self.places.entry(member).or_insert_with(|| {
            members.push(member.into());
            (room, members.len() - 1)
        });
    }
}

/// The loop of the two plainest relays: one message in, then out to everyone else.
fn relay_one_by_one(
    socket: &UdpSocket,
    mut send: impl FnMut(&UdpSocket, &[u8], &[Address]),
) -> io::Result<()> {
    let mut rooms = Rooms::default();
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let Ok((size, from)) = socket.recv_from(&mut buffer) else { continue };
        let bytes = &buffer[..size];
        if let Ok(room) = bytes.try_into() {
            rooms.register(from, room);
            socket.send_to(bytes, from)?;
        } else if let Some((room, place)) = rooms.places.get(&from) {
            let members = &rooms.members[room];
            send(socket, bytes, &members[..*place]);
            send(socket, bytes, &members[place + 1..]);
        }
    }
}

/// Sends everything, leaving out what can't be sent.
fn send_all(batch: &mut SendBatch, socket: &UdpSocket, bytes: &[u8], outgoing: &[Outgoing<'_>]) {
    let mut next = 0;
    while next < outgoing.len() {
        let calls = outgoing[next..].iter().take(BATCH).copied();
        next += batch.send(socket.as_fd(), bytes, calls).unwrap_or(1);
    }
}

/// A message that has not been sent on yet.
struct Message {
    /// Place of its sender in the room.
    from: usize,
    /// Start and end of its bytes.
    piece: (u32, u32),
}

/// Messages that have not been sent on yet, by room.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    messages: HashMap<u32, Vec<Message>>,
    /// Rooms with messages.
    busy: Vec<u32>,
    count: usize,
}

impl Waiting {
    fn push(&mut self, room: u32, from: usize, message: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(message);
        let piece = (start, self.bytes.len() as u32);
        let messages = self.messages.entry(room).or_default();
        if messages.is_empty() {
            self.busy.push(room);
        }
        messages.push(Message { from, piece });
        self.count += 1;
    }
}

/// The loop of the two relays that collect messages: reads all that have arrived, then sends those of
/// each room to everyone in it.
fn relay_in_turns(
    socket: UdpSocket,
    mut relay_room: impl FnMut(&UdpSocket, &[u8], &[Message], &[Address]),
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let mut polled = mio::net::UdpSocket::from_std(socket.try_clone()?);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut polled, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(1);
    let (mut rooms, mut waiting) = (Rooms::default(), Waiting::default());
    let mut receive = ReceiveBatch::new(MAX_DATAGRAM);
    loop {
        let is_empty = take_waiting(&socket, &mut receive, &mut rooms, &mut waiting)?;
        for room in waiting.busy.drain(..) {
            let Some(messages) = waiting.messages.get_mut(&room) else { continue };
            relay_room(&socket, &waiting.bytes, messages, &rooms.members[&room]);
            messages.clear();
        }
        waiting.bytes.clear();
        waiting.count = 0;
        if is_empty {
            poll.poll(&mut events, None)?;
        }
    }
}

/// Reads messages from the socket. Returns true if it is empty now.
fn take_waiting(
    socket: &UdpSocket,
    receive: &mut ReceiveBatch,
    rooms: &mut Rooms,
    waiting: &mut Waiting,
) -> io::Result<bool> {
    while waiting.count < MAX_WAITING {
        match receive.receive(socket.as_fd(), BATCH) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            // The echo of a datagram to a member that is gone.
            Err(_) => continue,
        }
        for arrival in receive.arrivals() {
            if let Ok(room) = arrival.bytes.try_into() {
                rooms.register(arrival.remote, room);
                socket.send_to(arrival.bytes, arrival.remote)?;
            } else if let Some((room, place)) = rooms.places.get(&arrival.remote) {
                waiting.push(*room, *place, arrival.bytes);
            }
        }
    }
    Ok(false)
}

/// Sends to each member the messages of the others, consecutive ones of one size in one call.
fn relay_room(
    batch: &mut SendBatch,
    socket: &UdpSocket,
    bytes: &[u8],
    messages: &[Message],
    members: &[Address],
) {
    for (group_index, group) in members.chunks(BATCH).enumerate() {
        let mut pieces = Vec::with_capacity(group.len() * messages.len());
        let mut plans = Vec::with_capacity(group.len());
        for (index, to) in group.iter().enumerate() {
            let place = group_index * BATCH + index;
            let others = messages.iter().filter(|message| message.from != place);
            plan(to, others.map(|message| message.piece), &mut pieces, &mut plans);
        }
        let outgoing: Vec<Outgoing<'_>> = plans
            .iter()
            .map(|(to, start, end, size)| {
                let segment = (end - start > 1).then_some(*size as u16);
                Outgoing { to, local: None, pieces: &pieces[*start..*end], segment }
            })
            .collect();
        send_all(batch, socket, bytes, &outgoing);
    }
}

/// A send: its receiver, the range of its pieces, and their size.
type Plan<'a> = (&'a Address, usize, usize, u32);

fn plan<'a>(
    to: &'a Address,
    messages: impl Iterator<Item = (u32, u32)>,
    pieces: &mut Vec<(u32, u32)>,
    plans: &mut Vec<Plan<'a>>,
) {
    let first = plans.len();
    for (start, end) in messages {
        pieces.push((start, end));
        let size = end - start;
        match plans[first..].last_mut() {
            Some((_, start, end, all)) if *all == size && takes_more(*end - *start, size) => {
                *end += 1;
            }
            _ => plans.push((to, pieces.len() - 1, pieces.len(), size)),
        }
    }
}

fn takes_more(count: usize, size: u32) -> bool {
    count < MAX_SEGMENTS && (count as u32 + 1) * size <= MAX_SEND
}

/// Answers each connection with as many bytes as a join gets, and closes it.
fn serve_bare_tcp(listener: &TcpListener) -> io::Result<()> {
    let mut request = [0; 1024];
    let (acknowledgement, completion) = control::answer_like_a_join();
    let mut exchange = |mut stream: TcpStream| -> io::Result<()> {
        // Both writes are to be packets of their own, as the protocol wants them.
        stream.set_nodelay(true)?;
        if stream.read(&mut request)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&acknowledgement)?;
        stream.write_all(&completion)
    };
    loop {
        let (stream, _) = listener.accept()?;
        // A client that went away costs the others nothing.
        let _ = exchange(stream);
    }
}
