//! reactor-chat is a chat relay: clients create and join rooms over TCP and send messages over UDP.
//! One thread serves everything in one poll loop.
//!
//! # For clients
//!
//! A client in Rust needs two or three modules, which have no socket and no clock. Everything else is the
//! server. The crate is not on crates.io yet; depend on its repository, without the default features:
//!
//! ```toml
//! reactor-chat = { git = "https://...", default-features = false }
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | encode requests | [`protocol::request::encode`] |
//! | decode replies | [`protocol::reply::decode`], [`protocol::reply::Admission`] |
//! | read lists of rooms | [`protocol::room_list::parse_page`] |
//! | write and read datagrams | [`protocol::datagram`] |
//! | receive a stream | [`stream::StreamReceiver`] |
//! | send into a stream | [`stream::StreamSender`] |
//! | open TLS to a server with a certificate of its own | `proof_of_key` and `fingerprint`, with the feature `tls` |
//! | seal and open datagrams | `seal`, with the feature `tls` |
//!
//! The specification stands in [`protocol`]. The terminal client is the binary `reactor-chat-client`, and
//! needs the feature `client`, which is on by default.
//!
//! # One turn
//!
//! ```text
//!        +---------------------------- mio::Poll ----------------------------+
//!        |  TCP listeners   TCP connections   UDP sockets   signals   log    |
//!        +---------------------------------+---------------------------------+
//!                                          v
//!   1 wait -> 2 note readiness -> 3 handle signals -> 4 accept -> 5 read datagrams
//!       ^                                                               |
//!       |                                                               v
//!   10 reap <- 9 flush <- 8 deliver <- 7 expire timers <- 6 read connections
//! ```
//!
//! `Reactor::turn` in [`reactor`] is this picture in code. A step does as much as its budget allows.
//! If work is left over, the next wait is zero.
//!
//! # Layers
//!
//! Imports point down, and `tests/layers.rs` enforces it:
//!
//! ```text
//!   bin         reactor-chat: options, log, exit status
//!    |
//!   reactor     the loop; it owns all sockets, and alone connects the parts below it
//!    |
//!    +-- tls           encryption of a connection, and the server's certificate
//!    |     |
//!    +-- connection    bytes of one connection: inbox, outbox, state
//!    +-- datagram      UDP sockets, routes of the members, batches
//!    +-- output        stdout and stderr, without waiting
//!    +-- service       the sockets and variables of a service manager
//!    +-- web           HTTP, and the pages for browsers
//!    +-- quic          QUIC: sessions of browsers on the datagram port
//!    +-- chat          permission: rooms, members, names, passwords, commands
//!    |
//!   delivery    obligation: entries still owed to each member, their order, their memory
//!    |
//!   fanout      a job to send, and the receipt for it
//!    |
//!   ids  slots  subnet  timers  token_bucket  address  alert  metrics  config  options  authority
//!   protocol  stream  seal  sys  fingerprint  proof_of_key  state_file  unix_addr  usage  network
//! ```
//!
//! Connection, datagram, output, service, web, quic and chat do not import one another.
//!
//! # The way of a message
//!
//! A message in text delivery makes twelve stops between two sockets. Stops 2 to 7 are step 5 of a turn,
//! stops 8 to 12 are step 8:
//!
//! 1. [`Reactor::turn`](reactor::Reactor::turn) runs the ten steps, each with a budget.
//! 2. [`Reactor::read_datagrams`](reactor::Reactor::read_datagrams) reads every socket that is ready.
//! 3. [`Datagrams::receive`](datagram::Datagrams::receive) takes a batch from the kernel.
//! 4. [`Chat::handle_datagram`](chat::Chat::handle_datagram) finds the sender by its token, and learns its port.
//! 5. [`Chat::handle_line`](chat::Chat::handle_line) checks exit and budget, and tells commands from messages.
//! 6. [`Chat::append_message`](chat::Chat::append_message) fixes the audience: all but the sender.
//! 7. [`Feeds::append`](delivery::Feeds::append) encodes the entry once for each form in use, and puts it into the room's logs and the room into the schedule.
//! 8. [`Reactor::deliver`](reactor::Reactor::deliver) connects the delivery with the sockets.
//! 9. [`Feeds::deliver`](delivery::Feeds::deliver) lets the rooms take turns, each with a quantum.
//! 10. [`Job`](fanout::Job) holds the bytes of the waiting entries, and the share of each member.
//! 11. [`Datagrams::send`](datagram::Datagrams::send) sends the shares in batches, and returns a [`Receipt`](fanout::Receipt).
//! 12. [`Feeds::put_back`](delivery::Feeds::put_back) schedules the rest of a room for its next turn, or keeps it until its socket is writable.
//!
//! It passes 61 functions in 22 files. Not counted are accessors, the upkeep of the steps, and three side
//! trips: the codecs of [`protocol`], the system calls behind `src/datagram/batch/mod.rs`, and hosts that
//! do not respond, `src/datagram/hosts.rs`.
//!
//! | file | functions |
//! | --- | --- |
//! | `src/reactor/mod.rs` | `turn`, `read_datagrams`, `deliver` |
//! | `src/reactor/context.rs` | `read_socket` |
//! | `src/reactor/egress.rs` | `deliver` |
//! | `src/datagram/mod.rs` | `receive`, `send` |
//! | `src/datagram/intake.rs` | `deliver`, `is_quic`, `handle_clear` |
//! | `src/datagram/socket.rs` | `receive`, `send` |
//! | `src/datagram/routes.rs` | `announce` |
//! | `src/chat/inbound.rs` | `handle_datagram`, `identify`, `handle_message`, `handle_line`, `is_allowed`, `parse_line`, `relay`, `append_message` |
//! | `src/chat/mod.rs` | `deliver` |
//! | `src/chat/closing.rs` | `find_speaker` |
//! | `src/chat/addresses.rs` | `learn_address` |
//! | `src/chat/rate_limit.rs` | `take` |
//! | `src/delivery/mod.rs` | `append`, `queue` |
//! | `src/delivery/feed.rs` | `has_space_for`, `append`, `next_order`, `settle` |
//! | `src/delivery/plain.rs` | `append`, `drop_excess`, `share_out`, `job`, `take_back`, `settle` |
//! | `src/delivery/entry_log.rs` | `push`, `forget_before`, `give_back` |
//! | `src/delivery/schedule.rs` | `push`, `pop` |
//! | `src/delivery/turn.rs` | `deliver`, `deliver_rooms`, `deliver_room`, `run`, `send_plain`, `send`, `put_back` |
//! | `src/delivery/lane.rs` | `send_lane` |
//! | `src/fanout.rs` | `seek`, `includes` |
//! | `src/datagram/send.rs` | `run`, `begins_sealed`, `send_through`, `plan_from`, `plan_share`, `flush` |
//! | `src/datagram/transmits.rs` | `plan`, `next_entry`, `outgoing` |
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | connection | a stream over TCP or a Unix socket, and its buffers |
//! | request, reply | a question on a connection, and its answer |
//! | room, member, host | users meet in a room as members; the host created it |
//! | token | a member's secret: it names the member in each datagram |
//! | message, notice | a line from a member, a line from the server |
//! | peer address, subnet | the address of a peer, or its user id on a Unix socket; the addresses that limits count as one peer |
//! | endpoint | the address and the port that a member's datagrams go to |
//! | path | the way of a member's messages: datagrams in the clear, sealed datagrams, a connection that carries them, or QUIC |
//! | session | a browser's connection of WebTransport: datagrams and streams on QUIC |
//! | seal, sealed member | the protection of datagrams with an AEAD cipher; a member whose datagrams have it |
//! | secret, epoch | the origin of the keys of one direction; the numbers of datagrams that use the same keys |
//! | replay window | the last numbers of one direction, and which of them were received |
//! | challenge | a datagram that is answered from an address to prove it |
//! | carried member, unit | a member whose messages travel on the connection of its request; one of these messages |
//! | detached | the state of a member, carried or on QUIC, whose connection has ended, until it resumes |
//! | delivery | the form in which a member gets both: text or named (both: plain), or stream |
//! | entry | a message or notice as it is encoded, once for all its readers in one form |
//! | log, ring | entries of a room that wait for text and named members; the last entries of a stream |
//! | cursor | a member's position in them |
//! | repair, gone | an entry sent again; an entry that is no longer held |
//! | aside | a datagram entry for one member alone |
//! | audience, fan-out | the members that get an entry; sending it to them |
//! | feed, lane | all output of a room; its output of one kind |
//! | job, share, receipt | bytes to send; one member's part of them, moved on as it is sent; the counts of what was sent |
//! | turn of a room, quantum | one chance to send; the most datagrams in it |
//! | turn, budget | one round of the loop; the most that a step does in it |
//! | readiness | a bit that an event sets, and only `WouldBlock` clears |
//! | inbox, outbox | bytes of a connection that were read and not parsed; bytes that wait to be written |
//! | drain, reap | to end in good order; to free |
//!
//! # The words of sockets
//!
//! | word | meaning | here |
//! | --- | --- | --- |
//! | socket domain | the kind of a socket's addresses: `AF_INET` is IPv4, `AF_INET6` is IPv6, `AF_UNIX` a path or a name on one machine | all three, by `--bind`; IPv6 sockets take IPv6 only |
//! | stream socket | `SOCK_STREAM`, TCP or Unix: bytes in order, without borders between messages | requests and replies, and units of carried members; sizes make the borders |
//! | datagram socket | `SOCK_DGRAM`, UDP: single messages, each whole or lost, in any order | messages and notices; never Unix datagrams: see `src/connection/SOCKETS.md` |
//! | listener | a stream socket that returns a new one for each client | `src/reactor/acceptor.rs` |
//! | packet | the unit on the wire, over most links at most 1,500 bytes with IP and UDP headers | a datagram of up to 1,472 bytes is one IPv4 packet; a larger one becomes fragments, and is lost with any of them |
//! | sizes | over IPv4 a UDP datagram has at most 65,507 bytes | at most 4,096 to the server and 4,094 from it; a longer one is dropped, not cut |
//! | port | a number that selects a program on a machine | TCP 9001, UDP 9002; the server learns a member's UDP port from its datagrams |
//! | non-blocking | a call that would wait returns `EWOULDBLOCK` | all sockets; only this result clears readiness |
//! | edge-triggered | the poll reports once that a socket has become ready, not that it still is | `note_readiness` in [`reactor`] |
//!
//! # Invariants
//!
//! * Nothing is sent to an address that is not proved: the IP by a TCP handshake, the port by a
//!   datagram with the token or by that same TCP connection. A sealed member proves another IP by the
//!   answer to a challenge, which is the only datagram that goes there before.
//! * Nothing is sent in the clear to a sealed member.
//! * An error of one peer ends that peer at most.
//! * An id is a slot and a generation. A stale id finds nobody.
//! * Only the last step of a turn frees anything.
//! * Everything that a peer can make grow has a limit.
//! * Only a call that would have blocked clears readiness.

#![deny(unsafe_code)]
#![deny(missing_docs)]

#[cfg(not(target_os = "linux"))]
compile_error!("reactor-chat needs Linux: its datagram calls are those of ip(7) and ipv6(7)");

pub mod address;
pub mod alert;
pub mod authority;
pub mod chat;
pub mod config;
// Open for the fuzz target of the first bytes.
#[doc(hidden)]
pub mod connection;
// Open for the simulation, which drives the seals.
#[doc(hidden)]
pub mod datagram;
mod delivery;
pub mod fanout;
#[cfg(feature = "tls")]
pub mod fingerprint;
pub mod ids;
mod metrics;
pub mod network;
pub mod options;
pub mod output;
#[cfg(feature = "tls")]
pub mod proof_of_key;
pub mod protocol;
#[cfg(feature = "webtransport")]
// Open for the fuzz target of HTTP/3, and for the client in the tests.
#[doc(hidden)]
pub mod quic;
pub mod reactor;
#[cfg(feature = "tls")]
pub mod seal;
pub mod service;
mod slots;
#[cfg(feature = "tls")]
pub mod state_file;
pub mod stream;
mod subnet;
// Open for the bench, whose floors make the same calls as the server.
#[doc(hidden)]
pub mod sys;
mod timers;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
pub mod tls;
mod token_bucket;
pub mod unix_addr;
// Open for the client, which has a table of its own.
#[doc(hidden)]
pub mod usage;
#[cfg(feature = "web")]
pub mod web;
