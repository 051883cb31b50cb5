//! Checks whether datagrams reach us. A TCP connection does not show that: a firewall may pass TCP
//! and drop UDP, or the UDP port may be wrong. The path works once a datagram has come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::link::Link;

/// Time without a datagram after which the user is warned.
const DOUBT_AFTER: Duration = Duration::from_millis(2500);

/// The check of one membership's path.
pub(crate) struct PathCheck {
    works: bool,
    /// The server's address, and the deadline of the warning about it, which comes once.
    doubt: Option<(SocketAddr, Instant)>,
    /// Shown when the first datagram comes back.
    greeting: Option<String>,
}

impl PathCheck {
    /// Starts the check of a path. A connection needs none.
    pub(crate) fn of(link: &Link, greeting: Option<String>, now: Instant) -> Self {
        Self::new(link.server(), greeting, now)
    }

    fn new(server: Option<SocketAddr>, greeting: Option<String>, now: Instant) -> Self {
        let doubt = server.map(|server| (server, now + DOUBT_AFTER));
        Self { works: false, doubt, greeting }
    }

    /// Notes that a datagram has come back. Returns the greeting the first time.
    pub(crate) fn prove(&mut self) -> Option<String> {
        (self.works, self.doubt) = (true, None);
        self.greeting.take()
    }

    pub(crate) fn take_greeting(&mut self) -> Option<String> {
        self.greeting.take()
    }

    /// Notes that the server has ended the membership, or that the connection has ended.
    pub(crate) fn lose(&mut self) {
        (self.works, self.doubt) = (false, None);
    }

    pub(crate) fn works(&self) -> bool {
        self.works
    }

    /// Returns the address if it has not answered in time, once.
    pub(crate) fn take_doubt(&mut self, now: Instant) -> Option<SocketAddr> {
        self.doubt.take_if(|(_, at)| *at <= now).map(|(server, _)| server)
    }

    /// Returns the next deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.doubt.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_e_path_is_doubted_once() {
        let (now, server) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], 9002)));
        let mut path = PathCheck::new(Some(server), Some("in".into()), now);
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
