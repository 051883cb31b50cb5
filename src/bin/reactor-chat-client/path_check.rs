//! The path of datagrams. A TCP connection says nothing about it: a firewall may let one pass and
//! not the other, and messages may go to a wrong port. It counts as working when a datagram has
//! come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Time without an answer after which the user is warned about a path.
const DOUBT_AFTER: Duration = Duration::from_millis(2500);

/// The path of one membership's datagrams.
pub(crate) struct PathCheck {
    server: SocketAddr,
    works: bool,
    /// Deadline for doubting the path, once.
    doubt_at: Option<Instant>,
    /// Told when the first datagram comes back.
    greeting: Option<String>,
}

impl PathCheck {
    pub(crate) fn new(server: SocketAddr, greeting: Option<String>, now: Instant) -> Self {
        Self { server, works: false, doubt_at: Some(now + DOUBT_AFTER), greeting }
    }

    /// Notes that a datagram has come back. Returns the text for the user the first time.
    pub(crate) fn prove(&mut self) -> Option<String> {
        (self.works, self.doubt_at) = (true, None);
        self.greeting.take()
    }

    pub(crate) fn take_greeting(&mut self) -> Option<String> {
        self.greeting.take()
    }

    /// Notes that nobody is at the other end any more.
    pub(crate) fn lose(&mut self) {
        (self.works, self.doubt_at) = (false, None);
    }

    pub(crate) fn works(&self) -> bool {
        self.works
    }

    /// Returns the address that does not answer, once.
    pub(crate) fn take_doubt(&mut self, now: Instant) -> Option<SocketAddr> {
        self.doubt_at.take_if(|at| *at <= now).map(|_| self.server)
    }

    /// Returns the next deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.doubt_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_e_path_is_doubted_once() {
        let (now, server) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], 9002)));
        let mut path = PathCheck::new(server, Some("in".into()), now);
        assert_eq!(path.take_doubt(now), None);
        let late = path.poll_timeout().expect("a doubt");
        assert!(late <= now + Duration::from_secs(3));
        assert_eq!((path.take_doubt(late), path.take_doubt(late)), (Some(server), None));
        assert_eq!((path.prove().as_deref(), path.prove()), (Some("in"), None));
        assert!(path.works());
        path.lose();
        assert!(!path.works() && path.poll_timeout().is_none());
    }
}
