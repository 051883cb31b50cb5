//! The vocabulary of the tests: a server, connections with raw bytes, members.
//!
//! Everything is real: the built binary, sockets on loopback, ports from the system. The bytes of
//! the protocol are written out here and not taken from the library, so that a mistake there cannot
//! hide itself. Every wait is for an event, with a deadline.

// Every one of these crates compiles all of it.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub mod agenda;
#[cfg(feature = "web")]
pub mod browser;
pub mod carried;
mod control;
#[cfg(feature = "tls")]
pub mod encrypted;
pub mod family;
pub mod faults;
pub mod http;
pub mod jobs;
pub mod manager;
mod member;
pub mod modules;
pub mod namespace;
pub mod pages;
pub mod peers;
#[cfg(feature = "client")]
pub mod program;
pub mod proxy;
#[cfg(feature = "client")]
pub mod pty;
#[cfg(feature = "webtransport")]
pub mod quic;
pub mod random;
#[cfg(feature = "tls")]
pub mod sealed;
mod server;
pub mod sources;
pub mod stream_member;
pub mod streams;
pub mod supervisor;
#[cfg(feature = "client")]
pub mod talkers;
pub mod tcp_proxy;
pub mod unix;
pub mod websocket;
#[cfg(feature = "webtransport")]
pub mod webtransport;

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use control::*;
pub use member::*;
pub use server::*;

/// Deadline for anything that is expected to happen. It is long because machines are shared. A test
/// that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub const CREATE: u8 = 1;
pub const JOIN: u8 = 2;
pub const LIST: u8 = 3;

pub type Token = [u8; 32];

/// Returns the lines of a child's output. A thread reads them, so that the child never blocks.
pub fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The receiver may be gone.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Reads a datagram from a socket with a timeout. The kernel does not restart such a call after a
/// signal (signal(7)).
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome.expect("a datagram in time"),
        }
    }
}

/// Polls until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Returns an address of the loopback range, for a client other than 127.0.0.1.
pub fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}
