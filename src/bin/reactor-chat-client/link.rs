//! The UDP socket that carries datagrams to and from the server.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry};

use crate::credential::Credential;
use crate::options::ChatOptions;
use crate::requests::{Membership, Terms};
use reactor_chat::protocol::datagram::{MAX_NAME_AND_MESSAGE, MAX_UPSTREAM, encode_sender_key};
use reactor_chat::sys::{self, MAX_ARRIVAL, ReceiveBatch};

/// The outcome of [`Link::receive`].
pub(crate) enum ReceiveOutcome {
    /// The number of datagrams, at least 1.
    Received(usize),
    /// The socket is empty.
    Drained,
    /// The socket failed. The next event shows whether it can be read again.
    Failed(io::Error),
}

/// The UDP socket, and at most one datagram that waits to be sent.
pub(crate) struct Link {
    socket: UdpSocket,
    server: SocketAddr,
    room: String,
    token: Credential,
    fits: usize,
    /// The last datagram that was sent, or the one that waits.
    datagram: Vec<u8>,
    /// The datagrams that were received last.
    batch: ReceiveBatch,
    is_waiting: bool,
    is_readable: bool,
    is_writable: bool,
    is_refused: bool,
}

impl Link {
    /// Connects the socket of the membership. A connected socket accepts datagrams from the server
    /// only, and reports if no server listens any more.
    pub(crate) fn open(
        registry: &Registry,
        token: mio::Token,
        options: &ChatOptions,
        membership: Membership,
    ) -> io::Result<(Self, Terms)> {
        membership.socket.set_nonblocking(true)?;
        membership.socket.connect(membership.server)?;
        let mut socket = UdpSocket::from_std(membership.socket);
        prepare(&socket, membership.server)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let link = Self {
            socket,
            server: membership.server,
            fits: fits(options, &membership.token, &membership.terms),
            room: options.room.clone(),
            token: membership.token,
            datagram: Vec::with_capacity(MAX_UPSTREAM),
            batch: ReceiveBatch::with_count(MAX_ARRIVAL, 1),
            is_waiting: false,
            is_readable: false,
            is_writable: true,
            is_refused: false,
        };
        Ok((link, membership.terms))
    }

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

    /// Returns true if no datagram waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_waiting
    }

    /// Returns true if there is work that needs no event.
    pub(crate) fn has_work(&self) -> bool {
        self.is_readable || (self.is_writable && self.is_waiting)
    }

    /// Returns true if nothing listens at the server's address (ICMP port unreachable, udp(7)). The
    /// kernel reports that ahead of the datagrams in the socket, and one of those may be the notice
    /// that explains it. So this is false until all of them are read.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused && !self.is_readable
    }

    pub(crate) fn note_event(&mut self, event: &Event) {
        // The next call on the socket returns the error.
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
    }

    /// Receives the datagrams that the kernel has coalesced, and passes each to `handle`.
    pub(crate) fn receive(&mut self, mut hear: impl FnMut(&[u8])) -> ReceiveOutcome {
        while self.is_readable {
            let Self { socket, batch, .. } = self;
            match retry(|| socket.try_io(|| batch.receive(socket.as_fd(), 1))) {
                Ok(_) => {
                    let datagrams = batch.arrivals().flat_map(|arrival| arrival.datagrams());
                    return ReceiveOutcome::Received(datagrams.map(&mut hear).count());
                }
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

    /// Sends the body behind the token, now or when the socket is writable. No other datagram may
    /// be waiting.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(crate) fn send(&mut self, body: &[u8]) -> io::Result<()> {
        debug_assert!(self.is_idle());
        self.datagram.clear();
        encode_sender_key(&self.room, self.token.as_bytes(), &mut self.datagram);
        self.datagram.extend_from_slice(body);
        self.is_waiting = true;
        self.flush()
    }

    /// Sends the waiting datagram if the socket is writable.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.is_waiting || !self.is_writable {
            return Ok(());
        }
        match retry(|| self.socket.send(&self.datagram)) {
            Ok(_) => self.is_waiting = false,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => self.is_writable = false,
                ErrorKind::ConnectionRefused => {
                    // An earlier datagram caused this error. This one waits for the next turn, and
                    // receiving goes on until the socket is empty.
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

/// Sets the socket options of a membership.
fn prepare(socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    if server.is_ipv4() {
        // IPv6 routers never fragment, whatever a socket asks for.
        sys::let_routers_fragment(socket.as_fd())?;
    }
    // The server sends bursts. Received one by one, their datagrams cost more and overflow the
    // socket sooner. Kernels before 5.0 lack the option.
    let _ = sys::enable_gro(socket.as_fd());
    Ok(())
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
/// parts; with plain delivery it must fit in one datagram.
fn fits(options: &ChatOptions, token: &Credential, terms: &Terms) -> usize {
    let beside_name = MAX_NAME_AND_MESSAGE - options.name.len();
    match terms {
        Terms::Plain { .. } => {
            let around = 2 + options.room.len() + token.as_bytes().len();
            beside_name.min(MAX_UPSTREAM - around)
        }
        Terms::Stream(_) => beside_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, parse};
    use reactor_chat::protocol::{Form, Token};
    use reactor_chat::sys::{Address, Outgoing, SendBatch};
    use std::net::UdpSocket as Socket;
    use std::time::Duration;

    /// Returns a link, its server's socket, and the poll of the link.
    fn link(loopback: &str) -> (Link, Socket, mio::Poll) {
        let poll = mio::Poll::new().expect("a poll");
        let server = Socket::bind((loopback, 0)).expect("a free port");
        let Ok(Invocation::Chat(options)) = parse(["join", "r", "bob"].map(Into::into)) else {
            panic!("a chat")
        };
        let membership = Membership {
            token: Token::from_bits([7; 16]).into(),
            socket: Socket::bind((loopback, 0)).expect("a free port"),
            server: server.local_addr().expect("an address"),
            terms: Terms::Plain { form: Form::Text, is_of_this_project: true },
        };
        let (link, _) =
            Link::open(poll.registry(), mio::Token(0), &options, membership).expect("a link");
        (link, server, poll)
    }

    #[test]
    fn field_p2_gro_datagrams_are_split() {
        for loopback in ["127.0.0.1", "::1"] {
            let (mut link, server, mut poll) = link(loopback);
            let to = Address::from(link.socket.local_addr().expect("an address"));
            let message = Outgoing { to: &to, local: None, pieces: &[(0, 5)], segment: Some(2) };
            let sent = SendBatch::new().send(server.as_fd(), b"aabbc", [message].into_iter());
            assert_eq!(sent.expect("sent"), 1);
            let mut events = mio::Events::with_capacity(1);
            poll.poll(&mut events, Some(Duration::from_secs(10))).expect("an event");
            events.iter().for_each(|event| link.note_event(event));
            let mut heard = Vec::new();
            let outcome = link.receive(|datagram| heard.push(datagram.to_vec()));
            assert!(matches!(outcome, ReceiveOutcome::Received(3)), "{heard:?}");
            assert_eq!(heard, [&b"aa"[..], b"bb", b"c"]);
            let outcome = link.receive(|_| panic!("once"));
            assert!(matches!(outcome, ReceiveOutcome::Drained));
        }
    }
}
