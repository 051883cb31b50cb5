//! The listeners, over TCP and on Unix sockets, and the meaning of errno on accept.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use mio::net::TcpListener;
use mio::{Interest, Registry, event};

use super::source::Source;
use super::unix_socket::UnixSocket;
use crate::address::{Origin, Peer};
use crate::config::ACCEPT_PAUSE;
use crate::connection::Stream;
use crate::sys;
use crate::unix_addr::UnixAddr;

/// Outcome of one accept call.
pub(super) enum AcceptOutcome {
    /// A connection, and its peer. The way back to a peer over TCP leads through the UDP socket of the same
    /// `--bind`, from the local address of the connection.
    Accepted(Stream, Peer),
    /// Nothing to accept now: an event will come.
    Empty,
    /// This connection was reset before it was accepted (accept(2)). There may be more.
    Retry,
    /// There are no descriptors or no memory. The readiness is kept, because no new edge would come for
    /// connections that wait already. The next attempt is after a pause, or when a connection is freed.
    Pause,
}

/// The listeners: those over TCP, in the order of their UDP sockets, and then those on Unix sockets.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    paused_until: Option<Instant>,
}

struct Listener {
    inner: Inner,
    is_readable: bool,
}

enum Inner {
    Tcp {
        listener: TcpListener,
        /// Index of the UDP socket of the same address.
        socket: usize,
        is_wildcard: bool,
    },
    Unix(UnixSocket),
}

impl Acceptor {
    /// Creates the listeners, and registers them.
    pub(super) fn new(
        tcp: Vec<TcpListener>,
        unix: Vec<UnixSocket>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut inner = Vec::with_capacity(tcp.len() + unix.len());
        for (socket, listener) in tcp.into_iter().enumerate() {
            let is_wildcard = listener.local_addr()?.ip().is_unspecified();
            inner.push(Inner::Tcp { listener, socket, is_wildcard });
        }
        inner.extend(unix.into_iter().map(Inner::Unix));
        for (index, inner) in inner.iter_mut().enumerate() {
            inner.register(registry, index)?;
        }
        let ready = |inner| Listener { inner, is_readable: true };
        let listeners = inner.into_iter().map(ready).collect();
        Ok(Self { listeners, paused_until: None })
    }

    pub(super) fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Returns the addresses over TCP, in the order of the UDP sockets.
    pub(super) fn tcp_addrs(&self) -> impl Iterator<Item = io::Result<SocketAddr>> {
        self.listeners.iter().filter_map(|listener| match &listener.inner {
            Inner::Tcp { listener, .. } => Some(listener.local_addr()),
            Inner::Unix(_) => None,
        })
    }

    /// Returns the addresses of the Unix sockets.
    pub(super) fn unix_addrs(&self) -> impl Iterator<Item = &UnixAddr> {
        self.listeners.iter().filter_map(|listener| match &listener.inner {
            Inner::Tcp { .. } => None,
            Inner::Unix(socket) => Some(socket.addr()),
        })
    }

    pub(super) fn note_readable(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.is_readable = true;
        }
    }

    /// Returns true if a connection may be waiting and there is no pause.
    pub(super) fn has_input(&self) -> bool {
        self.paused_until.is_none() && self.listeners.iter().any(|listener| listener.is_readable)
    }

    /// Returns the end of the pause.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends the pause, because a descriptor has become free.
    pub(super) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Stops listening.
    pub(super) fn close(&mut self, registry: &Registry) {
        for listener in self.listeners.drain(..) {
            listener.inner.close(registry);
        }
        self.paused_until = None;
    }

    pub(super) fn accept(&mut self, index: usize, now: Instant) -> AcceptOutcome {
        if self.paused_until.is_some_and(|until| now < until) {
            return AcceptOutcome::Empty;
        }
        self.paused_until = None;
        let listener = &mut self.listeners[index];
        if !listener.is_readable {
            return AcceptOutcome::Empty;
        }
        match listener.inner.accept() {
            Ok((stream, peer)) => AcceptOutcome::Accepted(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                listener.is_readable = false;
                AcceptOutcome::Empty
            }
            Err(error) => self.outcome_of(&error, now),
        }
    }

    fn outcome_of(&mut self, error: &io::Error, now: Instant) -> AcceptOutcome {
        log::debug!("accepting a connection: {error}");
        let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        if error.raw_os_error().is_some_and(|errno| exhausted.contains(&errno)) {
            self.paused_until = Some(now + ACCEPT_PAUSE);
            return AcceptOutcome::Pause;
        }
        AcceptOutcome::Retry
    }
}

impl Inner {
    fn register(&mut self, registry: &Registry, index: usize) -> io::Result<()> {
        self.source().register(registry, Source::Listener(index).into(), Interest::READABLE)
    }

    /// Closes the listener. That takes the descriptor out of the poll, unless a supervisor has another one
    /// (epoll(7)).
    fn close(mut self, registry: &Registry) {
        // A failure leaves an event that finds no listener.
        let _ = self.source().deregister(registry);
    }

    fn source(&mut self) -> &mut dyn event::Source {
        match self {
            Self::Tcp { listener, .. } => listener,
            Self::Unix(socket) => socket.listener_mut(),
        }
    }

    fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp { listener, socket, is_wildcard } => {
                let (stream, remote) = listener.accept()?;
                if let Err(error) = stream.set_nodelay(true) {
                    log::debug!("{remote}: {error}");
                }
                // Connections of other listeners have the address of the listener.
                let local = is_wildcard.then(|| stream.local_addr().ok()).flatten();
                let local = local.map(|address| address.ip());
                let origin = Origin { socket: *socket, local, remote: remote.into() };
                Ok((Stream::Tcp(stream), Peer::Remote(origin)))
            }
            Self::Unix(socket) => {
                let stream = socket.accept()?;
                let uid = sys::peer_user(stream.as_fd())?;
                Ok((Stream::Unix(stream), Peer::Local { uid }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;

    /// Returns an acceptor with one waiting connection.
    fn acceptor() -> (Acceptor, std::net::TcpStream) {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let waiting = std::net::TcpStream::connect(address).expect("a place in the backlog");
        let poll = Poll::new().expect("a poll");
        let acceptor = Acceptor::new(vec![listener], Vec::new(), poll.registry());
        (acceptor.expect("an address"), waiting)
    }

    #[test]
    fn l4_exhaustion_keeps_readiness() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            let (mut acceptor, _waiting) = acceptor();
            let now = Instant::now();
            let outcome = acceptor.outcome_of(&io::Error::from_raw_os_error(errno), now);
            assert!(matches!(outcome, AcceptOutcome::Pause), "errno {errno}");
            assert_eq!(acceptor.next_deadline(), Some(now + ACCEPT_PAUSE));
            assert!(!acceptor.has_input(), "no turn without a wait");
            let too_early = acceptor.accept(0, now + ACCEPT_PAUSE / 2);
            assert!(matches!(too_early, AcceptOutcome::Empty));
            let in_time = acceptor.accept(0, now + ACCEPT_PAUSE);
            assert!(matches!(in_time, AcceptOutcome::Accepted(..)), "without a new edge");
        }
    }

    #[test]
    fn l4_freed_descriptor_ends_the_pause() {
        let (mut acceptor, _waiting) = acceptor();
        let now = Instant::now();
        acceptor.outcome_of(&io::Error::from_raw_os_error(libc::EMFILE), now);
        acceptor.resume();
        assert!(acceptor.has_input());
        assert!(matches!(acceptor.accept(0, now), AcceptOutcome::Accepted(..)));
    }

    #[test]
    fn l5_connection_error_does_not_pause() {
        let errnos = [
            libc::ECONNABORTED,
            libc::EPROTO,
            libc::EPERM,
            libc::EINTR,
            libc::ENETDOWN,
            libc::EHOSTUNREACH,
        ];
        for errno in errnos {
            let (mut acceptor, _waiting) = acceptor();
            let now = Instant::now();
            let outcome = acceptor.outcome_of(&io::Error::from_raw_os_error(errno), now);
            assert!(matches!(outcome, AcceptOutcome::Retry), "errno {errno}");
            assert!(acceptor.has_input());
            assert!(matches!(acceptor.accept(0, now), AcceptOutcome::Accepted(..)));
        }
    }
}
