//! The UDP socket: datagrams to the server and from it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry};

use super::credential::Credential;
use super::entering::{Seat, Terms};
use super::options::Entry;
use crate::protocol::datagram::{MAX_NAME_AND_MESSAGE, MAX_UPSTREAM, encode_claim};

/// What [`Link::receive`] came to.
pub(super) enum ReceiveOutcome {
    /// A datagram of this size.
    Received(usize),
    /// There is none up to now.
    Drained,
    /// The socket does not say. The next event will tell whether it can be read again.
    Failed(io::Error),
}

/// The socket, and the one datagram that may wait to be sent.
pub(super) struct Link {
    socket: UdpSocket,
    server: SocketAddr,
    room: String,
    token: Credential,
    fits: usize,
    /// What was sent last, or waits to be sent.
    datagram: Vec<u8>,
    is_waiting: bool,
    is_readable: bool,
    is_writable: bool,
    is_refused: bool,
}

impl Link {
    /// Connects the socket of the membership: then it hears nobody but the server, and hears that
    /// the server is gone.
    pub(super) fn open(
        registry: &Registry,
        token: mio::Token,
        entry: &Entry,
        seat: Seat,
    ) -> io::Result<(Self, Terms)> {
        seat.socket.set_nonblocking(true)?;
        seat.socket.connect(seat.server)?;
        let mut socket = UdpSocket::from_std(seat.socket);
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let link = Self {
            socket,
            server: seat.server,
            fits: fits(entry, &seat.token, &seat.terms),
            room: entry.room.clone(),
            token: seat.token,
            datagram: Vec::with_capacity(MAX_UPSTREAM),
            is_waiting: false,
            is_readable: false,
            is_writable: true,
            is_refused: false,
        };
        Ok((link, seat.terms))
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn token(&self) -> &Credential {
        &self.token
    }

    /// How many bytes a message may have.
    pub(super) fn fits(&self) -> usize {
        self.fits
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_waiting
    }

    /// Whether something can be done without an event.
    pub(super) fn has_work(&self) -> bool {
        self.is_readable || (self.is_writable && self.is_waiting)
    }

    /// Whether nothing listens where our datagrams go (ICMP port unreachable, udp(7)). The kernel
    /// tells that before what lies in the socket already, and that may be the notice which explains
    /// it: it is not said before everything is read.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused && !self.is_readable
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        // An error is told by the next call, whichever it is.
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> ReceiveOutcome {
        while self.is_readable {
            match retry(|| self.socket.recv(buffer)) {
                Ok(size) => return ReceiveOutcome::Received(size),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.is_readable = false,
                    ErrorKind::ConnectionRefused => self.is_refused = true,
                    _ => {
                        self.is_readable = false;
                        return ReceiveOutcome::Failed(error);
                    }
                },
            }
        }
        ReceiveOutcome::Drained
    }

    /// Sends this behind the token, now or when the socket takes it. Nothing else may be waiting.
    ///
    /// # Errors
    /// It could not be sent and is given up.
    pub(super) fn send(&mut self, body: &[u8]) -> io::Result<()> {
        debug_assert!(self.is_idle());
        self.datagram.clear();
        encode_claim(&self.room, self.token.as_bytes(), &mut self.datagram);
        self.datagram.extend_from_slice(body);
        self.is_waiting = true;
        self.flush()
    }

    /// Sends what waits, if the socket takes it.
    ///
    /// # Errors
    /// It could not be sent and is given up.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.is_waiting || !self.is_writable {
            return Ok(());
        }
        match retry(|| self.socket.send(&self.datagram)) {
            Ok(_) => self.is_waiting = false,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => self.is_writable = false,
                ErrorKind::ConnectionRefused => {
                    // What an earlier datagram met. This one waits for the next turn; receiving
                    // goes on until there is nothing more.
                    (self.is_refused, self.is_readable) = (true, true);
                }
                _ => {
                    self.is_waiting = false;
                    return Err(error);
                }
            },
        }
        Ok(())
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

/// Returns how many bytes a message may have. With stream delivery a long one travels in parts; else
/// one datagram has to hold it.
fn fits(entry: &Entry, token: &Credential, terms: &Terms) -> usize {
    let beside_name = MAX_NAME_AND_MESSAGE - entry.name.len();
    match terms {
        Terms::Each { .. } => {
            let around = 2 + entry.room.len() + token.as_bytes().len();
            beside_name.min(MAX_UPSTREAM - around)
        }
        Terms::Stream(_) => beside_name,
    }
}
