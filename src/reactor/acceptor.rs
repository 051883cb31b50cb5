//! The TCP listeners, and the meaning of errno on accept.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::Registry;
use mio::net::{TcpListener, TcpStream};

use crate::address::Origin;
use crate::config::ACCEPT_PAUSE;

/// Outcome of one accept call.
pub(super) enum AcceptOutcome {
    /// A connection, and the way back to its peer: through the UDP socket of the same `--bind`, from the
    /// local address of the connection.
    Accepted(TcpStream, Origin),
    /// Nothing to accept now: an event will come.
    Empty,
    /// This connection was reset before it was accepted (accept(2)). There may be more.
    Retry,
    /// There are no descriptors or no memory. The readiness is kept, because no new edge would come for
    /// connections that wait already. The next attempt is after a pause, or when a connection is freed.
    Pause,
}

/// The listeners, in the order of `--bind`.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    paused_until: Option<Instant>,
}

struct Listener {
    inner: TcpListener,
    is_wildcard: bool,
    is_readable: bool,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<TcpListener>) -> io::Result<Self> {
        let listeners = listeners
            .into_iter()
            .map(|inner| {
                let is_wildcard = inner.local_addr()?.ip().is_unspecified();
                Ok(Listener { inner, is_wildcard, is_readable: true })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { listeners, paused_until: None })
    }

    pub(super) fn len(&self) -> usize {
        self.listeners.len()
    }

    pub(super) fn local_addr(&self, index: usize) -> io::Result<SocketAddr> {
        self.listeners.get(index).ok_or(ErrorKind::NotFound)?.inner.local_addr()
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
        for mut listener in self.listeners.drain(..) {
            // Closing the descriptor takes it out of the poll anyway.
            let _ = registry.deregister(&mut listener.inner);
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
            Ok((stream, remote)) => {
                // Only on a wildcard listener does the local address have to be asked for.
                let local = listener.is_wildcard.then(|| stream.local_addr().ok()).flatten();
                let local = local.map(|address| address.ip());
                AcceptOutcome::Accepted(
                    stream,
                    Origin { socket: index, local, remote: remote.into() },
                )
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an acceptor with one waiting connection.
    fn acceptor() -> (Acceptor, std::net::TcpStream) {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let waiting = std::net::TcpStream::connect(address).expect("a place in the backlog");
        (Acceptor::new(vec![listener]).expect("an address"), waiting)
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
