//! The UDP socket: datagrams to the server and from it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry};

use super::entering::Seat;
use super::options::Entry;
use crate::protocol::Token;
use crate::protocol::datagram::{MAX_NAME_AND_MESSAGE, MAX_UPSTREAM, encode_upstream};

/// What [`Link::receive`] came to.
pub(super) enum ReceiveOutcome {
    /// A datagram of this size.
    Received(usize),
    /// There is none up to now.
    Drained,
    /// Nothing listens where our datagrams go (ICMP port unreachable, udp(7)).
    Refused,
    /// The socket is of no use.
    Failed(io::Error),
}

/// What [`Link::flush`] came to.
pub(super) enum FlushOutcome {
    /// Everything is sent, or what is not waits until the socket is writable.
    Done,
    /// Nothing listens where our datagrams go.
    Refused,
    /// One datagram could not be sent and is given up; the rest waits for the next turn.
    Failed(io::Error),
}

/// The socket, and what waits to be sent.
pub(super) struct Link {
    socket: UdpSocket,
    server: SocketAddr,
    room: String,
    token: Token,
    fits: usize,
    waiting: VecDeque<Vec<u8>>,
    is_readable: bool,
    is_writable: bool,
}

impl Link {
    /// Opens the socket at the address that the server knows from TCP: from any other it takes
    /// nothing. Connected, it hears nobody but the server, and hears that the server is gone.
    pub(super) fn open(
        registry: &Registry,
        token: mio::Token,
        entry: &Entry,
        seat: &Seat,
    ) -> io::Result<Self> {
        let mut socket = UdpSocket::bind(seat.local)?;
        socket.connect(seat.server)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            socket,
            server: seat.server,
            fits: fits(entry),
            room: entry.room.clone(),
            token: seat.token,
            waiting: VecDeque::new(),
            is_readable: false,
            is_writable: true,
        })
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// How many bytes a message may have.
    pub(super) fn fits(&self) -> usize {
        self.fits
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_input(&self) -> bool {
        self.is_readable
    }

    /// Whether something can be done without an event.
    pub(super) fn has_work(&self) -> bool {
        self.is_readable || (self.is_writable && !self.is_idle())
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        // An error is told by the next call, whichever it is.
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> ReceiveOutcome {
        if !self.is_readable {
            return ReceiveOutcome::Drained;
        }
        match retry(|| self.socket.recv(buffer)) {
            Ok(size) => ReceiveOutcome::Received(size),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    ReceiveOutcome::Drained
                }
                ErrorKind::ConnectionRefused => ReceiveOutcome::Refused,
                _ => ReceiveOutcome::Failed(error),
            },
        }
    }

    /// Puts a message at the end of what waits.
    pub(super) fn queue(&mut self, message: &str) {
        let mut datagram = Vec::with_capacity(MAX_UPSTREAM);
        encode_upstream(&self.room, self.token, message.as_bytes(), &mut datagram);
        self.waiting.push_back(datagram);
    }

    /// Sends what waits, in order, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> FlushOutcome {
        while let Some(datagram) = self.waiting.front().filter(|_| self.is_writable) {
            match retry(|| self.socket.send(datagram)) {
                Ok(_) => self.waiting.pop_front(),
                Err(error) => return self.fail(error),
            };
        }
        FlushOutcome::Done
    }

    fn fail(&mut self, error: io::Error) -> FlushOutcome {
        match error.kind() {
            ErrorKind::WouldBlock => {
                self.is_writable = false;
                FlushOutcome::Done
            }
            ErrorKind::ConnectionRefused => {
                // Receiving goes on until there is nothing more, and finds that out itself.
                self.is_readable = true;
                FlushOutcome::Refused
            }
            _ => {
                self.waiting.pop_front();
                FlushOutcome::Failed(error)
            }
        }
    }
}

/// Calls again what a signal handler interrupted (signal(7)).
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The room that is left in the smaller of two limits: that of the datagram, and that of name and
/// message together.
fn fits(entry: &Entry) -> usize {
    let sizes_room_and_token = 2 + entry.room.len() + Token::WIRE_SIZE;
    (MAX_UPSTREAM - sizes_room_and_token).min(MAX_NAME_AND_MESSAGE - entry.name.len())
}
