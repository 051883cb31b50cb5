//! The errors that keep a request from its reply. `explain.rs` puts them into words.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use dns_lookup::{LookupError, LookupErrorKind};
use reactor_chat::protocol::Status;

/// Limit for all connection attempts together, and for a server's whole reply.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The reason why a request over an open connection failed.
pub(crate) enum RequestError {
    /// The server refused it with this status byte.
    Refused(u8),
    /// The server is of another kind, and carries no messages.
    NotCarried,
    /// The server did not grant the seal that we requested inside TLS (E5).
    Unsealed,
    /// The server's answer is not a reply of this protocol.
    Invalid,
    /// The reply was not complete within this time.
    TimedOut(Duration),
    /// The connection ended in the middle of the reply.
    Ended,
    /// The connection failed.
    Broken(io::Error),
}

impl RequestError {
    /// Returns the status of a refusal. An unknown status counts as [`Status::Malformed`], which no
    /// further try can change.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Self::Refused(byte) => Some(Status::from_byte(*byte).unwrap_or(Status::Malformed)),
            _ => None,
        }
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Sockets report a timeout as either of them (socket(7), SO_RCVTIMEO).
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut(PATIENCE),
            _ => Self::Broken(error),
        }
    }
}

/// An address that took no connection, and its error.
pub(crate) type FailedAttempt = (SocketAddr, io::Error);

/// The reason why a host name has no address.
#[derive(Debug)]
pub(crate) struct ResolveError {
    /// True if the resolver could not tell (EAI_AGAIN and the like): the name may be right.
    pub(crate) is_temporary: bool,
    pub(crate) error: io::Error,
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        use LookupErrorKind::{Again, Fail, Memory, System};
        let is_temporary = matches!(error.kind(), Again | Fail | Memory | System);
        Self { is_temporary, error: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_failures_blame_no_name() {
        use libc::{EAI_AGAIN, EAI_FAIL, EAI_NODATA, EAI_NONAME, EAI_SYSTEM};
        let is_temporary = |code| ResolveError::from(LookupError::new(code)).is_temporary;
        assert_eq!([EAI_AGAIN, EAI_FAIL, EAI_SYSTEM].map(is_temporary), [true; 3]);
        assert_eq!([EAI_NONAME, EAI_NODATA].map(is_temporary), [false; 2]);
    }
}
