//! The paths of requests and messages, as far as the chat has to know them. It contains no
//! cryptography: other layers protect the bytes, and tell the chat which member sent them.

use crate::address::PeerAddr;
use crate::protocol::Status;
use crate::protocol::request::PathWishes;

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its address.
    pub peer: PeerAddr,
    /// True if nobody on the way can read the request, because it came inside TLS.
    pub is_encrypted: bool,
    /// True if the request came over QUIC, which is always encrypted.
    pub is_quic: bool,
}

/// Returns the sender of a request in the clear.
impl<A: Into<PeerAddr>> From<A> for Caller {
    fn from(peer: A) -> Self {
        Self { peer: peer.into(), is_encrypted: false, is_quic: false }
    }
}

/// The way of a member's messages, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Datagrams that everybody on the way can read.
    Clear,
    /// Sealed datagrams.
    Sealed,
    /// The connection of its last request.
    Carried {
        /// True if nobody on the way can read it.
        is_encrypted: bool,
    },
    /// The QUIC connection of its last request: datagrams, which may be lost, and a stream for what does
    /// not fit them.
    Quic,
}

impl Path {
    /// Returns true if nobody on the way can read the messages.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Sealed | Self::Quic | Self::Carried { is_encrypted: true })
    }

    /// Returns true if the messages travel on a stream, where none is lost.
    pub fn is_carried(self) -> bool {
        matches!(self, Self::Carried { .. })
    }

    /// Returns true if the path is a connection, whose end the server notices.
    pub fn has_connection(self) -> bool {
        self.is_carried() || self == Self::Quic
    }
}

/// Numbers of live members by path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Members with datagrams in the clear.
    pub clear: usize,
    /// Members with sealed datagrams.
    pub sealed: usize,
    /// Members with a stream.
    pub carried: usize,
    /// Members with a QUIC connection.
    pub quic: usize,
    /// Members whose connection has ended, whatever it was.
    pub detached: usize,
}

impl PathCounts {
    /// Returns the number that a member counts in.
    pub(super) fn of(&mut self, path: Path, is_detached: bool) -> &mut usize {
        match path {
            _ if is_detached => &mut self.detached,
            Path::Clear => &mut self.clear,
            Path::Sealed => &mut self.sealed,
            Path::Carried { .. } => &mut self.carried,
            Path::Quic => &mut self.quic,
        }
    }
}

impl Caller {
    /// Returns the path that a request asks for. With both wishes, `carry` wins (C1). On QUIC, `carry` selects
    /// the stream of the request.
    ///
    /// # Errors
    /// [`Status::Malformed`] for secrets that everybody on the way could read (E5).
    pub(super) fn path(self, wishes: &PathWishes) -> Result<Path, Status> {
        match (wishes.carry, wishes.seal) {
            (_, true) if !self.is_encrypted => Err(Status::Malformed),
            (true, _) => Ok(Path::Carried { is_encrypted: self.is_encrypted }),
            _ if self.is_quic => Ok(Path::Quic),
            (false, true) => Ok(Path::Sealed),
            (false, false) => Ok(Path::Clear),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::seal::Ciphers;

    #[test]
    fn e5_c1_path_follows_the_wishes() {
        let path = |is_encrypted, seal, carry| {
            let caller = Caller { is_encrypted, ..Caller::from([127, 0, 0, 1]) };
            caller.path(&PathWishes { seal, ciphers: Ciphers::ALL, carry })
        };
        assert_eq!(path(false, false, false), Ok(Path::Clear));
        assert_eq!(path(true, false, false), Ok(Path::Clear), "as requested");
        assert_eq!(path(true, true, false), Ok(Path::Sealed));
        assert_eq!(path(false, true, false), Err(Status::Malformed));
        assert_eq!(path(false, true, true), Err(Status::Malformed));
        for is_encrypted in [false, true] {
            assert_eq!(path(is_encrypted, false, true), Ok(Path::Carried { is_encrypted }));
        }
        assert_eq!(path(true, true, true), Ok(Path::Carried { is_encrypted: true }));
    }

    #[test]
    fn h8_request_over_quic_stays_there() {
        let path = |seal, carry| {
            let caller =
                Caller { is_encrypted: true, is_quic: true, ..Caller::from([127, 0, 0, 1]) };
            caller.path(&PathWishes { seal, ciphers: Ciphers::ALL, carry })
        };
        assert_eq!((path(false, false), path(true, false)), (Ok(Path::Quic), Ok(Path::Quic)));
        assert_eq!(path(false, true), Ok(Path::Carried { is_encrypted: true }));
        assert!(Path::Quic.is_encrypted() && Path::Quic.has_connection());
        assert!(!Path::Quic.is_carried() && !Path::Sealed.has_connection());
    }
}
