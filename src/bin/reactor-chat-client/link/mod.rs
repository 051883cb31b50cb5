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
    token: Credential,
    fits: usize,
    path: LinkPath,
    /// The sealed path from before a resume. The server sends there until it has opened a datagram
    /// from here (E5).
    former: Option<Box<UdpLink>>,
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
        let Membership { token, path, terms } = membership;
        let fits = fits(options, &token, &path, &terms);
        let place = (registry, event);
        let path = match path {
            MessagePath::Clear(socket, server) => {
                let wrapping = Wrapping::clear(&options.room, &token);
                LinkPath::datagrams(UdpLink::open(place, socket, server, wrapping, now)?)
            }
            MessagePath::Sealed(socket, server, terms) => {
                let wrapping = Wrapping::sealed(&terms);
                LinkPath::datagrams(UdpLink::open(place, socket, server, wrapping, now)?)
            }
            MessagePath::Carried(stream) => {
                LinkPath::Carried(Box::new(CarriedLink::open(place, stream)?))
            }
        };
        Ok((Self { token, fits, path, former: None }, terms))
    }

    /// Keeps the path that this one replaces for receiving, if both are sealed, until something
    /// comes here.
    pub(crate) fn replace(&mut self, former: Self) {
        self.former = match (&self.path, former.path) {
            (LinkPath::Datagrams(new), LinkPath::Datagrams(old))
                if new.is_sealed() && old.is_sealed() =>
            {
                Some(old)
            }
            _ => None,
        };
    }

    /// Returns the server's address for datagrams. A connection has none.
    pub(crate) fn server(&self) -> Option<SocketAddr> {
        match &self.path {
            LinkPath::Datagrams(socket) => Some(socket.server),
            LinkPath::Carried(_) => None,
        }
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
        let is_readable = self.former.as_ref().is_some_and(|former| former.is_readable());
        is_readable
            || match &self.path {
                LinkPath::Datagrams(socket) => socket.has_work(),
                LinkPath::Carried(connection) => connection.has_work(is_reading),
            }
    }

    /// Returns the server's address for datagrams if nothing listens there.
    pub(crate) fn refused(&self) -> Option<SocketAddr> {
        match &self.path {
            LinkPath::Datagrams(socket) if socket.is_refused() => Some(socket.server),
            _ => None,
        }
    }

    pub(crate) fn note_event(&mut self, event: &Event) {
        if let Some(former) = &mut self.former {
            former.note_event(event);
        }
        match &mut self.path {
            LinkPath::Datagrams(socket) => socket.note_event(event),
            LinkPath::Carried(connection) => connection.note_event(event),
        }
    }

    /// Receives some messages of the server, and passes each to `handle`.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        mut handle: impl FnMut(&[u8]),
    ) -> ReceiveOutcome {
        if let Some(former) = &mut self.former
            && let received @ ReceiveOutcome::Received(_) = former.receive(now, &mut handle)
        {
            return received;
        }
        let outcome = match &mut self.path {
            LinkPath::Datagrams(socket) => socket.receive(now, handle),
            LinkPath::Carried(connection) => connection.receive(handle),
        };
        if matches!(outcome, ReceiveOutcome::Received(_)) {
            self.former = None;
        }
        outcome
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
        (Terms::Plain { .. }, MessagePath::Clear(..)) => {
            let around = 2 + options.room.len() + token.as_bytes().len();
            beside_name.min(MAX_UPSTREAM - around)
        }
        _ => beside_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, parse};
    use reactor_chat::protocol::{Cipher, Form, SealTerms, Secret, Token};
    use reactor_chat::seal::Sealer;
    use std::net::UdpSocket;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(10);

    const EVENT: mio::Token = mio::Token(0);

    fn terms(id: u32) -> SealTerms {
        let [up, down] = [1, 2].map(|bits| Secret::from_bits([bits; 32]));
        SealTerms { id, cipher: Cipher::Aes128Gcm, up, down }
    }

    /// Opens a sealed link to this server, as a reply with these terms would.
    fn link(poll: &mio::Poll, server: &UdpSocket, terms: SealTerms) -> (Link, SocketAddr) {
        let Ok(Invocation::Chat(options)) = parse(["join", "r", "bob"].map(Into::into)) else {
            panic!("a chat")
        };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let at = socket.local_addr().expect("an address");
        let membership = Membership {
            token: Token::from_bits([7; 16]).into(),
            path: MessagePath::Sealed(socket, server.local_addr().expect("an address"), terms),
            terms: Terms::Plain { form: Form::Text, is_of_this_project: true },
        };
        let now = Instant::now();
        let link = Link::open(poll.registry(), EVENT, &options, membership, now);
        (link.expect("a link").0, at)
    }

    fn sealed(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        sealer.seal(0, text, &mut datagram).expect("sealed");
        datagram
    }

    /// Waits for a message.
    fn received(link: &mut Link, poll: &mut mio::Poll) -> Vec<u8> {
        let mut received = Vec::new();
        while received.is_empty() {
            let mut events = mio::Events::with_capacity(4);
            if !link.has_work(true) {
                poll.poll(&mut events, Some(DEADLINE)).expect("an event");
                assert!(!events.is_empty(), "nothing came");
            }
            events.iter().for_each(|event| link.note_event(event));
            link.receive(Instant::now(), |message| received.extend_from_slice(message));
        }
        received
    }

    #[test]
    fn e5_old_seal_opens_until_the_new_one_does() {
        let mut poll = mio::Poll::new().expect("a poll");
        let server = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let (old, old_at) = link(&poll, &server, terms(1));
        let (mut new, new_at) = link(&poll, &server, terms(2));
        new.replace(old);
        let [mut old_sealer, mut new_sealer] =
            [1, 2].map(terms).map(|terms| Sealer::new(terms.id, terms.cipher, terms.down));
        for text in [&b"one"[..], b"two"] {
            server.send_to(&sealed(&mut old_sealer, text), old_at).expect("sent");
            assert_eq!(received(&mut new, &mut poll), text);
        }
        assert!(new.former.is_some());
        server.send_to(&sealed(&mut new_sealer, b"three"), new_at).expect("sent");
        assert_eq!(received(&mut new, &mut poll), b"three");
        assert!(new.former.is_none());
    }
}
