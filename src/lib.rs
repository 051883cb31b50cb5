//! reactor-chat: rooms over TCP, messages over UDP, one thread in one poll loop.
//!
//! # One turn
//!
//! ```text
//!            +--------------------------- mio::Poll ---------------------------+
//!            |  TCP listeners   TCP connections   UDP sockets   signals   log  |
//!            +---------------------------------+-------------------------------+
//!                                              v
//!   wait -> note readiness -> handle signals -> accept -> read connections -> read datagrams
//!    ^                                                                           |
//!    +--- reap <- flush <- deliver <- expire timers <----------------------------+
//! ```
//!
//! Read on in [`reactor`]: its `turn` is this picture in code. A step that has more to do than its
//! budget allows leaves the rest for the next turn, and the next wait is then zero.
//!
//! # Who sees whom
//!
//! Imports point one way, and a test holds that:
//!
//! ```text
//!   bin  ->  reactor  ->  chat | connection | datagram | metrics | output
//!                                   |
//!                                   v
//!        alert | protocol | config | fanout | ids | slots | subnet | timers | sys
//! ```
//!
//! The five in the upper row do not see one another; only [`reactor`] introduces them. [`chat`]
//! knows rooms and members and has no socket, no clock and no randomness. `connection` moves the
//! bytes of a TCP stream and does not know what they mean. `datagram` moves datagrams and knows
//! where each member's go. [`output`] writes to stdout and stderr without waiting. [`protocol`]
//! turns bytes into values and back. [`stream`] is the member's side of stream delivery, for ours and
//! any other client: it sees [`protocol`] alone and has no socket and no clock.
//!
//! A client in Rust needs [`protocol`] and [`stream`] only. Ours is the binary
//! `reactor-chat-client`. It is built with the feature `client`, on by default, and brings
//! dependencies that the server has no use for.
//!
//! # Words
//!
//! A *connection* is a TCP stream and its buffers. A *member* is a user in a *room*; the *host* is
//! the member that created it. A *token* is a member's secret. A *request* asks over TCP and a
//! *reply* answers. A *message* is a line from a member, a *notice* a line from the server, both in a
//! *datagram*, in the form that the member's *delivery* says. In a *log* or a *stream* each is an
//! *entry*; a member is a *cursor* into it. A *ring* is the last entries of a stream, a *repair* is
//! sending one again, what is *gone* can't be repaired. The *audience* of an entry is who gets it,
//! *fan-out* is sending it to them. A *turn* is one round of the loop, *readiness* a bit that an
//! event sets, a *budget* the most that a step does in a turn, an *outbox* what waits to be written,
//! to *drain* is to end in good order, to *reap* is to free.
//!
//! # What always holds
//!
//! * Nothing is sent to an address that is not proved: the IP by a TCP handshake, the port by a
//!   datagram with the token or by that same TCP connection.
//! * One peer's error ends that peer at most.
//! * An id is a slot and a generation: kept too long, it finds nobody.
//! * Nothing is freed but in the last step of a turn.
//! * Whatever a peer can make grow has a limit.
//! * Readiness is forgotten only when a call would have blocked.

#![deny(unsafe_code)]
#![deny(missing_docs)]

#[cfg(not(target_os = "linux"))]
compile_error!("reactor-chat needs Linux: its datagram calls are those of ip(7) and ipv6(7)");

pub mod alert;
pub mod chat;
pub mod config;
mod connection;
mod datagram;
mod delivery;
pub mod fanout;
pub mod ids;
mod metrics;
pub mod options;
pub mod output;
pub mod protocol;
pub mod reactor;
mod slots;
pub mod stream;
mod subnet;
// Open for the bench, whose floors make the same calls as the server.
#[doc(hidden)]
pub mod sys;
mod timers;
mod token_bucket;
