//! A storm of connections from many addresses, as fast as one thread makes them. Most of them cost the
//! server a handshake, and cost the attacker no cryptography.
//!
//! The storm has a window: without it, the kernel would drop connections of everyone before the server sees
//! them, and the figures would be those of the kernel.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use super::control;
use super::tls;

/// Connections of a wave, whose bytes arrive in the server together.
const WAVE: usize = 32;

/// Connections that wait for an answer of the server. It needs a tenth of a second for all.
const WINDOW: usize = 500;

/// Connections that stay open in the middle of their hello. Then the oldest is closed.
const MAX_CUT: usize = 500;

/// Handshakes that go on. Then the oldest is given up.
const MAX_UNDER_WAY: usize = 100;

/// Pause while the window is full.
const PAUSE: Duration = Duration::from_micros(200);

/// Size of a hello that stops.
const FRAGMENT: usize = 64;

/// Bytes at the beginning that look like a hello: the header of a record, and its first byte.
const LIKE_A_HELLO: usize = 6;

/// Client numbers for the addresses of the storm. Clients that join during the run have others.
const FIRST_CLIENT: usize = 100_000;
const CLIENTS: usize = 50_000;

pub struct Storm {
    server: SocketAddr,
    /// A hello that is sent again and again.
    hello: Vec<u8>,
    garbage: Vec<u8>,
}

/// The connections at one moment.
#[derive(Default)]
struct Front {
    /// In the order of their begin.
    silent: VecDeque<TcpStream>,
    cut: VecDeque<TcpStream>,
    under_way: VecDeque<Handshake>,
    /// Number of connections that were begun.
    begun: usize,
    /// Number of those that were refused, or given up before the end of their handshake.
    failed: u64,
}

struct Handshake {
    stream: TcpStream,
    tls: ClientConnection,
}

impl Storm {
    /// # Errors
    /// If TLS cannot make a hello.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let mut hello = Vec::new();
        tls::client(server.ip())?.write_tls(&mut hello)?;
        let mut garbage = hello[..LIKE_A_HELLO].to_vec();
        // The server waits for the rest of a record.
        garbage.resize(hello.len(), b'g');
        Ok(Self { server, hello, garbage })
    }

    /// Makes connections until the flag is set, and returns their number.
    pub fn rage(&self, is_over: &AtomicBool) -> u64 {
        let mut front = Front::default();
        while !is_over.load(Relaxed) {
            if front.has_space() {
                for _ in 0..WAVE {
                    let begun = self.begin(&mut front);
                    front.failed += u64::from(begun.is_err());
                }
            } else {
                thread::sleep(PAUSE);
            }
            front.advance();
        }
        front.begun as u64 - front.failed - front.under_way.len() as u64
    }

    /// Begins a connection. Of eight, one makes a whole handshake, one stops in its hello, one sends
    /// garbage, and the others are silent after a hello.
    fn begin(&self, front: &mut Front) -> io::Result<()> {
        let number = front.begun;
        front.begun += 1;
        let mut stream = self.connect(FIRST_CLIENT + number % CLIENTS)?;
        match number % 8 {
            0 => {
                let tls = tls::client(self.server.ip())?;
                front.under_way.push_back(Handshake { stream, tls });
                return Ok(());
            }
            1 => {
                stream.write_all(&self.hello[..FRAGMENT])?;
                front.cut.push_back(stream);
                return Ok(());
            }
            2 => stream.write_all(&self.garbage)?,
            _ => stream.write_all(&self.hello)?,
        }
        front.silent.push_back(stream);
        Ok(())
    }

    fn connect(&self, client: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        if let Some(source) = control::source_of(self.server, client) {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        socket.set_nonblocking(true)?;
        match socket.connect(&self.server.into()) {
            // A server on this machine with space in its queue has answered by now.
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket.into()),
        }
    }
}

impl Front {
    /// Closes the connections that the server has answered, and returns true if the window has space.
    fn has_space(&mut self) -> bool {
        let is_waiting = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        let answered = self.silent.iter().take_while(|stream| !is_waiting(stream)).count();
        self.silent.drain(..answered);
        self.silent.len() < WINDOW
    }

    /// Lets each handshake go on, and closes what is too much.
    fn advance(&mut self) {
        for _ in 0..self.under_way.len() {
            let Some(mut handshake) = self.under_way.pop_front() else { return };
            match handshake.advance() {
                Ok(true) => {}
                Ok(false) => self.under_way.push_back(handshake),
                Err(_) => self.failed += 1,
            }
        }
        let late = self.under_way.len().saturating_sub(MAX_UNDER_WAY);
        self.failed += self.under_way.drain(..late).len() as u64;
        self.cut.drain(..self.cut.len().saturating_sub(MAX_CUT));
    }
}

impl Handshake {
    /// Reads and writes all that can be. Returns true when the handshake is done and written.
    fn advance(&mut self) -> io::Result<bool> {
        let Self { stream, tls } = self;
        match tls.complete_io(stream) {
            Ok(_) => Ok(!tls.is_handshaking()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
