//! The path of a membership's messages: datagrams in the clear, sealed datagrams, or units on the
//! connection of its request.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `udp.rs` | the UDP socket |
//! | `wrapping.rs` | datagrams around messages: in the clear, or sealed |
//! | `carried.rs` | units on a connection |
//! | `connection.rs` | a connection whose calls do not block |

mod carried;
mod connection;
mod udp;
mod wrapping;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::Registry;
use mio::event::Event;

use self::carried::CarriedLink;
use self::udp::UdpLink;
use self::wrapping::Wrapping;
use crate::admission::Terms;
use crate::credential::Credential;
use crate::options::ChatOptions;
use crate::requests::{Membership, MessagePath};
use reactor_chat::protocol::datagram::{MAX_NAME_AND_MESSAGE, MAX_UPSTREAM};

/// The outcome of [`Link::receive`].
pub(crate) enum ReceiveOutcome {
    /// The number of datagrams or units, at least 1.
    Received(usize),
    /// Nothing is left to read for now.
    Drained,
    /// The socket failed. The next event shows whether it can be read again.
    Failed(io::Error),
}

/// The path of one membership's messages.
pub(crate) struct Link {
    server: SocketAddr,
    token: Credential,
    fits: usize,
    path: LinkPath,
}

enum LinkPath {
    Datagrams(Box<UdpLink>),
    Carried(Box<CarriedLink>),
}

impl Link {
    /// Opens the path of the membership, and registers its socket.
    pub(crate) fn open(
        registry: &Registry,
        event: mio::Token,
        options: &ChatOptions,
        membership: Membership,
        now: Instant,
    ) -> io::Result<(Self, Terms)> {
        let Membership { token, server, path, terms } = membership;
        let fits = fits(options, &token, &path, &terms);
        let place = (registry, event);
        let path = match path {
            MessagePath::Clear(socket) => {
                let wrapping = Wrapping::clear(&options.room, &token);
                LinkPath::datagrams(UdpLink::open(place, socket, server, wrapping, now)?)
            }
            MessagePath::Sealed(socket, terms) => {
                let wrapping = Wrapping::sealed(&terms);
                LinkPath::datagrams(UdpLink::open(place, socket, server, wrapping, now)?)
            }
            MessagePath::Carried(stream) => {
                LinkPath::Carried(Box::new(CarriedLink::open(place, stream)?))
            }
        };
        Ok((Self { server, token, fits, path }, terms))
    }

    /// Returns the server's address for datagrams.
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn token(&self) -> &Credential {
        &self.token
    }

    /// Returns the most bytes that a message may have.
    pub(crate) fn fits(&self) -> usize {
        self.fits
    }

    /// Returns true if the messages travel on a connection.
    pub(crate) fn is_carried(&self) -> bool {
        matches!(self.path, LinkPath::Carried(_))
    }

    /// Returns true if the connection of a carried membership has ended.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.path {
            LinkPath::Datagrams(_) => false,
            LinkPath::Carried(connection) => connection.has_ended(),
        }
    }

    /// Returns true if there is space for another message.
    pub(crate) fn has_space(&self) -> bool {
        match &self.path {
            LinkPath::Datagrams(socket) => socket.is_idle(),
            LinkPath::Carried(connection) => connection.has_space(),
        }
    }

    /// Returns true if there is work that needs no event. `is_reading` is false if the caller does
    /// not receive for now.
    pub(crate) fn has_work(&self, is_reading: bool) -> bool {
        match &self.path {
            LinkPath::Datagrams(socket) => socket.has_work(),
            LinkPath::Carried(connection) => connection.has_work(is_reading),
        }
    }

    /// Returns true if nothing listens at the server's UDP port.
    pub(crate) fn is_refused(&self) -> bool {
        match &self.path {
            LinkPath::Datagrams(socket) => socket.is_refused(),
            LinkPath::Carried(_) => false,
        }
    }

    pub(crate) fn note_event(&mut self, event: &Event) {
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.note_event(event),
            LinkPath::Carried(connection) => connection.note_event(event),
        }
    }

    /// Receives some messages of the server, and passes each to `handle`.
    pub(crate) fn receive(&mut self, now: Instant, handle: impl FnMut(&[u8])) -> ReceiveOutcome {
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.receive(now, handle),
            LinkPath::Carried(connection) => connection.receive(handle),
        }
    }

    /// Sends the body of a message, now or when the socket is writable. There must be space for it.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(crate) fn send(&mut self, body: &[u8], now: Instant) -> io::Result<()> {
        debug_assert!(self.has_space());
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.send(body, now),
            LinkPath::Carried(connection) => {
                connection.queue(body);
                Ok(())
            }
        }
    }

    /// Sends what waits, if the socket is writable.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.flush(now),
            LinkPath::Carried(connection) => {
                connection.flush();
                Ok(())
            }
        }
    }

    /// Looks for another route to the server if a sealed membership may need one (E10). Other
    /// memberships are bound to their IP (W18).
    pub(crate) fn follow_route(&mut self, now: Instant) {
        if let LinkPath::Datagrams(socket) = &mut self.path {
            socket.follow_route(now);
        }
    }

    /// Returns true if our address has changed since the last call.
    pub(crate) fn take_moved(&mut self) -> bool {
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.take_moved(),
            LinkPath::Carried(_) => false,
        }
    }

    /// Returns the number of datagrams that were not sealed for us, since the last call.
    pub(crate) fn take_unopened(&mut self) -> u64 {
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.take_unopened(),
            LinkPath::Carried(_) => 0,
        }
    }
}

impl LinkPath {
    fn datagrams(link: UdpLink) -> Self {
        Self::Datagrams(Box::new(link))
    }
}

/// Repeats a call that a signal handler interrupted (signal(7)).
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Returns the most bytes that a message may have. Stream delivery splits a long message into
/// parts; with plain delivery in the clear it must fit in one datagram, beside room and token.
fn fits(options: &ChatOptions, token: &Credential, path: &MessagePath, terms: &Terms) -> usize {
    let beside_name = MAX_NAME_AND_MESSAGE - options.name.len();
    match (terms, path) {
        (Terms::Plain { .. }, MessagePath::Clear(_)) => {
            let around = 2 + options.room.len() + token.as_bytes().len();
            beside_name.min(MAX_UPSTREAM - around)
        }
        _ => beside_name,
    }
}
