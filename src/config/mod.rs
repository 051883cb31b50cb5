//! The settings of the server, with their units and their reasons.
#![doc = include_str!("OPERATING.md")]
#![doc = include_str!("VPS.md")]

mod limits;
mod tls;
mod warnings;
mod web;

use std::net::SocketAddr;
use std::time::Duration;

use crate::protocol::Language;
use crate::unix_addr::UnixAddr;

pub use tls::{
    CERTIFICATE_AGE, CERTIFICATE_VALIDITY, KeyFiles, MAX_HANDSHAKES_IP, TlsConfig, TlsMode,
};
pub use web::WebConfig;

/// Settings of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses to listen on. Each one gets its own TCP listener and UDP socket.
    pub bind: Vec<Bind>,
    /// Unix sockets to listen on.
    pub unix: Vec<UnixAddr>,
    /// Permissions of their files (chmod(2)).
    pub unix_mode: u32,
    /// The TCP port; 0 picks a free one.
    pub tcp_port: u16,
    /// The UDP port; 0 picks a free one.
    pub udp_port: u16,
    /// Settings of the chat.
    pub chat: ChatConfig,
    /// Settings of the connections.
    pub connections: ConnectionConfig,
    /// Settings of TLS.
    pub tls: TlsConfig,
    /// Settings of the pages and of members in browsers.
    pub web: WebConfig,
    /// Limits for each kind of work in a turn.
    pub budgets: Budgets,
    /// The kind of system calls for datagrams.
    pub datagram_path: DatagramPath,
}

/// One `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address or host name, as it was given.
    pub name: String,
    /// Its addresses, at least one, without those of an earlier `--bind`. Their ports are ignored.
    pub addresses: Vec<SocketAddr>,
}

/// The address of a server without any `--bind`: this machine alone.
pub const DEFAULT_BIND: &str = "127.0.0.1";

/// The kind of system calls for datagrams. Only tests and measurements set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatagramPath {
    /// Batch calls, with several datagrams of one member in one message.
    #[default]
    Mmsg,
    /// One call for each datagram.
    Portable,
}

/// Settings of the chat. `None` disables a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatConfig {
    /// The language of the notices.
    pub language: Language,
    /// Fate of a room whose host leaves.
    pub host_leaves: HostLeaves,
    /// Silence after which a member is removed.
    pub idle_timeout: Option<Duration>,
    /// Silence after which a join with the same name and IP replaces a member. Clients of the family
    /// vanish without a message and come back. A carried member whose connection has ended is kept for
    /// as long.
    pub replace_silent: Option<Duration>,
    /// Members per IP without a proved address and without a connection, or with an address that was
    /// only announced. Without this limit one host could fill every room with members that nobody can
    /// reach.
    pub max_unproved: Option<u32>,
    /// Rooms in total.
    pub max_rooms: Option<usize>,
    /// Rooms created per IP. A room name belongs to the first peer that takes it, so no peer may take all.
    pub max_rooms_ip: Option<u32>,
    /// Members in total.
    pub max_members: Option<usize>,
    /// Members per IP.
    pub max_members_ip: Option<u32>,
    /// Members per room, whatever capacity its creator requests.
    pub max_room_members: Option<usize>,
    /// Members in total whose messages travel on connections. They keep these for as long as they
    /// are members, so others need a part of the connections for their requests.
    pub max_carried: Option<usize>,
    /// Such members per IP: as many as it may have connections, so that it cannot take all places with
    /// members whose connections it has ended.
    pub max_carried_ip: Option<u32>,
    /// Wrong passwords and tokens per IP and minute.
    pub wrong_passwords: Option<u32>,
    /// Entries in each table of debts. Further subnets share one bucket.
    pub debtors: usize,
    /// Messages and commands per member and second.
    pub rate_limit: Option<u32>,
    /// Bytes per second that a member may cause to be sent: the size of its messages times their
    /// receivers.
    pub fanout_limit: Option<u32>,
    /// Bytes of entries that a room keeps for its stream members.
    pub room_history: usize,
    /// Bytes of entries that all rooms keep together. Every room may keep 16 KiB, even above this limit.
    pub history_memory: Option<usize>,
    /// Bytes that wait to be sent in all rooms together. Above this limit each room may have only a few.
    pub backlog_memory: Option<usize>,
}

/// Fate of a room whose host leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostLeaves {
    /// It closes for everyone.
    #[default]
    Close,
    /// The member that joined first becomes the host; the room closes if there is none.
    Pass,
}

/// Settings of the connections. `None` disables a limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionConfig {
    /// Time for the first byte of a request. People type their answers while the connection is open.
    pub connect_timeout: Option<Duration>,
    /// Time for a frame, counted from its first byte, however slowly it arrives; also the time for which a
    /// peer may leave a reply unread.
    pub handshake_timeout: Option<Duration>,
    /// Connections at a time. At the limit, a new one replaces the one that has been idle longest.
    pub max_connections: Option<usize>,
    /// Connections at a time per IP.
    pub max_connections_ip: Option<usize>,
    /// Bytes of the payload of a request, and of the list of rooms.
    pub max_payload: usize,
    /// Bytes in the buffers of all connections together. Above this limit each may have only a few.
    pub buffer_memory: Option<usize>,
}

/// Default permissions of the files of Unix sockets: the server's user and its group may connect (unix(7)).
pub const UNIX_MODE: u32 = 0o660;

/// Time for which a half-closed connection is still read. Otherwise late bytes of the peer would meet a
/// closed socket, and the reset would overtake the last reply (RFC 1122, 4.2.2.13).
pub const LINGER: Duration = Duration::from_secs(2);

/// Time from the first signal to the end at the latest. Together with the turn in progress and with
/// freeing all memory, the server ends within 2 s.
pub const DRAIN: Duration = Duration::from_millis(1800);

/// Pause in accepting while there are no descriptors or no memory, unless a connection is freed first. It is
/// short for a person who waits, and long compared with a turn.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Interval between logs of the counters. A log is skipped if none of them changed.
pub const METRICS_INTERVAL: Duration = Duration::from_secs(60);

/// Limit for connections that wait to be accepted. The kernel lowers it to `net.core.somaxconn` (listen(2)).
pub const BACKLOG: i32 = 4096;

/// Size in bytes of each of the kernel's buffers for a TCP connection. The kernel doubles it for its
/// own bookkeeping (socket(7)). Requests and their replies fit, and a list of rooms takes a few round
/// trips. By default the kernel lets a buffer grow to megabytes for a peer that does not read.
pub const TCP_BUFFER: usize = 16 * 1024;

/// Bytes requested from the kernel for each buffer of a UDP socket. This covers a stall of ours of a tenth
/// of a second at 40,000 small datagrams a second, for each of which the kernel charges about 1 KiB.
pub const UDP_BUFFER: usize = 4 << 20;

/// Descriptors that connections never get, besides those of `--bind`: the poll, the signals, the log, and
/// those that a supervisor passes to the server.
pub const RESERVED_DESCRIPTORS: usize = 62;

/// Limits for each kind of work in a turn. Left-over work goes to the back of its queue, and the next
/// wait is zero, so that no peer and no kind of work starves the others.
///
/// A step repeats a portion of its work until none is left or its time slice is over, because time is the
/// only common measure for all kinds of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// Time slice of each step. While all ten steps are busy, a peer waits ten slices.
    pub slice: Duration,
    /// Connections accepted per listener.
    pub accepts: usize,
    /// Connections served, flushed or freed in a portion.
    pub connections: usize,
    /// Bytes read per connection. A frame of the largest default size fits one turn.
    pub connection_bytes: usize,
    /// Requests answered per connection.
    pub requests: usize,
    /// Handshakes of TLS answered in a turn. They take one or two milliseconds.
    pub handshakes: usize,
    /// Bytes of replies to all connections in a portion. As lists they take about a millisecond.
    pub reply_bytes: usize,
    /// Datagrams read per UDP socket in a portion. They take less than a millisecond.
    pub datagrams: usize,
    /// Datagrams sent in a portion. They take one or two milliseconds.
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
            handshakes: 16,
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
            // A game lobby on one machine, with a room for each match; it leaves space for 19 more.
            max_rooms_ip: Some(500),
            max_members: Some(100_000),
            // A university behind one address; it leaves space for nine more.
            max_members_ip: Some(10_000),
            // An event with its audience. One message to that many members takes about 30 ms of the loop.
            max_room_members: Some(10_000),
            // Half of the connections.
            max_carried: Some(5_000),
            max_carried_ip: Some(1_000),
            // A class that mistypes. At this rate, ten million guesses take a year.
            wrong_passwords: Some(20),
            // A botnet of that many addresses at once, in about two megabytes per table.
            debtors: 16_384,
            // A person types one or two per second; games and scripts send bursts.
            rate_limit: Some(20),
            // Ten messages of 1,600 bytes per second to 1,000 members.
            fanout_limit: Some(16 << 20),
            // About ten thousand lines of chat, or a tenth of a second at full speed.
            room_history: 1 << 20,
            history_memory: Some(64 << 20),
            // Two hundred and fifty rooms under a flood.
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
            // A school behind one address; it leaves space for nine more.
            max_connections_ip: Some(1_000),
            max_payload: 64 * 1024,
            // A thousand requests of the largest size.
            buffer_memory: Some(64 << 20),
        }
    }
}
