//! Every number of the server, with its unit and its reason.
#![doc = include_str!("OPERATING.md")]

mod limits;
mod warnings;

use std::net::SocketAddr;
use std::time::Duration;

use crate::protocol::Language;

/// What the server is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses to listen on. Each one gets a TCP listener and a UDP socket of its own.
    pub bind: Vec<Bind>,
    /// The TCP port; 0 takes a free one.
    pub tcp_port: u16,
    /// The UDP port; 0 takes a free one.
    pub udp_port: u16,
    /// The rules of the chat.
    pub chat: ChatConfig,
    /// The rules of the TCP connections.
    pub connections: ConnectionConfig,
    /// How much of each kind of work a turn does.
    pub budgets: Budgets,
    /// How datagrams go through the kernel.
    pub datagram_path: DatagramPath,
}

/// One `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address or host name, as it was given.
    pub name: String,
    /// Its addresses, at least one, without those that an earlier `--bind` has. The ports in here
    /// are ignored.
    pub addresses: Vec<SocketAddr>,
}

/// How datagrams go through the kernel. For tests and measurements; the server takes the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatagramPath {
    /// In batches, many of one member's in one message.
    #[default]
    Mmsg,
    /// A call for each.
    Portable,
}

/// The rules of the chat. `None` is no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatConfig {
    /// The language of the notices.
    pub language: Language,
    /// What becomes of a room whose host goes.
    pub host_leaves: HostLeaves,
    /// A member that sends nothing for so long is removed.
    pub idle_timeout: Option<Duration>,
    /// A member that was not heard for so long gives way to a join under its name from its IP:
    /// clients of the family vanish without a word and come back.
    pub replace_silent: Option<Duration>,
    /// Members of one IP that may be without a proved address and without a connection at a time,
    /// and those whose port was only announced. Without it one host could fill every room with
    /// members that nobody can reach.
    pub max_unproved: Option<u32>,
    /// Rooms in all.
    pub max_rooms: Option<usize>,
    /// Rooms that one IP has made: names are free for whoever comes first, so nobody may take all.
    pub max_rooms_ip: Option<u32>,
    /// Members in all.
    pub max_members: Option<usize>,
    /// Members of one IP.
    pub max_members_ip: Option<u32>,
    /// Members of one room, whatever capacity its creator wants.
    pub max_room_members: Option<usize>,
    /// Wrong passwords and tokens of one IP a minute.
    pub wrong_passwords: Option<u32>,
    /// Entries in each table of debts. Subnets beyond that share one bucket.
    pub debtors: usize,
    /// Messages and commands a second and member.
    pub rate_limit: Option<u32>,
    /// Bytes a second that a member may cause to be sent: those of its messages, times the members
    /// who get them.
    pub fanout_limit: Option<u32>,
    /// Bytes of entries that a room keeps for its stream members.
    pub room_history: usize,
    /// Bytes of entries that all rooms keep together. Each room may have 16 KiB in any case.
    pub history_memory: Option<usize>,
    /// Bytes that may wait to be sent in all rooms. Beyond it each may have only a little.
    pub backlog_memory: Option<usize>,
}

/// What becomes of a room whose host goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostLeaves {
    /// It closes for everyone.
    #[default]
    Close,
    /// Its longest member becomes the host; it closes when there is none.
    Pass,
}

/// The rules of the TCP connections. `None` is no limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionConfig {
    /// How long the first byte of a request may take: people type their answers with the
    /// connection open.
    pub connect_timeout: Option<Duration>,
    /// How long a frame may take from its first byte, however it trickles in; also how long a peer
    /// may leave a reply unread.
    pub handshake_timeout: Option<Duration>,
    /// Connections at a time; the one that has been silent longest gives way.
    pub max_connections: Option<usize>,
    /// The same of one IP.
    pub max_connections_ip: Option<usize>,
    /// Bytes of an operation payload, of a request and of the list of rooms.
    pub max_payload: usize,
    /// Bytes of requests and replies under way of all connections. Beyond it each may have only a
    /// little.
    pub buffer_memory: Option<usize>,
}

/// How long a half-closed connection is read on, so that bytes of the peer on their way do not meet
/// a closed socket, whose reset would overtake the last reply (RFC 1122, 4.2.2.13).
pub const LINGER: Duration = Duration::from_secs(2);

/// How long the server goes on from the first signal at most. With the turn that is under way, and
/// with what freeing everything takes, it has ended within 2 s.
pub const DRAIN: Duration = Duration::from_millis(1800);

/// How long an accept pauses when there are no descriptors or no memory, unless a connection goes
/// first. Short beside what a person waits, long beside a turn.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the counters are logged, if one moved.
pub const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// Size of each buffer of a TCP connection in the kernel, in bytes; the kernel doubles it for its
/// own accounts (socket(7)). Requests and their replies fit, and a list of rooms takes a few round
/// trips. Left alone, the kernel lets each grow to megabytes for a peer that does not read.
pub const TCP_BUFFER: usize = 16 * 1024;

/// What is asked of the kernel for a UDP socket's buffers, in bytes, either way. A stall of ours of
/// a tenth of a second at 40,000 small datagrams a second: the kernel charges each about 1 KiB.
pub const UDP_BUFFER: usize = 4 << 20;

/// Descriptors that connections never get, beside those of `--bind`: the poll, the signals, the log, and
/// what a supervisor has handed down.
pub const RESERVED_DESCRIPTORS: usize = 62;

/// How much of each kind of work a turn does at most. What is left over goes to the back of its
/// queue and the next wait is zero, so that no peer and no kind of work starves the others.
///
/// A step repeats a portion of its work until nothing is left or its time slice is over: time
/// alone is common to all kinds of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// Time slice of each step. With all ten steps busy, a peer waits ten slices.
    pub slice: Duration,
    /// Connections accepted a listener.
    pub accepts: usize,
    /// Connections served, flushed or freed in a portion.
    pub connections: usize,
    /// Bytes read of one connection: a frame at the default limit in one turn.
    pub connection_bytes: usize,
    /// Requests answered of one connection.
    pub requests: usize,
    /// Bytes of replies made for all connections in a portion: about a millisecond of lists.
    pub reply_bytes: usize,
    /// Datagrams read of each UDP socket in a portion: less than a millisecond of them.
    pub datagrams: usize,
    /// Datagrams sent in a portion: one or two milliseconds of them.
    pub deliveries: usize,
    /// Deadlines acted on in a portion.
    pub timers: usize,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            slice: Duration::from_millis(2),
            accepts: 64,
            connections: 32,
            connection_bytes: 80 * 1024,
            requests: 16,
            reply_bytes: 256 << 10,
            datagrams: 256,
            deliveries: 512,
            timers: 16,
        }
    }
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            language: Language::English,
            host_leaves: HostLeaves::Close,
            idle_timeout: Some(Duration::from_secs(300)),
            replace_silent: Some(Duration::from_secs(30)),
            max_unproved: Some(32),
            max_rooms: Some(10_000),
            // Each match of a game's lobby, run by one machine; ten others still find room.
            max_rooms_ip: Some(500),
            max_members: Some(100_000),
            // A university behind one address; nine others still find room.
            max_members_ip: Some(10_000),
            // An event with its audience. One message to so many takes some 30 ms of the loop.
            max_room_members: Some(10_000),
            // A class that mistypes; it takes a year to try the ten million likeliest.
            wrong_passwords: Some(20),
            // A botnet of that many addresses at once, in some two megabytes for each kind.
            debtors: 16_384,
            // A person types one or two a second; games and scripts send bursts.
            rate_limit: Some(20),
            // Ten messages a second of 1,600 bytes to 1,000 members.
            fanout_limit: Some(16 << 20),
            // Some ten thousand lines of a chat; at full speed a tenth of a second.
            room_history: 1 << 20,
            history_memory: Some(64 << 20),
            // Two hundred and fifty rooms that are flooded.
            backlog_memory: Some(64 << 20),
        }
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(120)),
            handshake_timeout: Some(Duration::from_secs(10)),
            max_connections: Some(10_000),
            // A school behind one address; nine others still find room.
            max_connections_ip: Some(1_000),
            max_payload: 64 * 1024,
            // A thousand requests of the largest.
            buffer_memory: Some(64 << 20),
        }
    }
}
