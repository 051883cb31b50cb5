//! The seals of members in a build without encryption: there is none, and none can be made.

use std::convert::Infallible;
use std::time::Instant;

use super::rejections::Rejected;
use crate::address::{Endpoint, Origin, PeerAddr};
use crate::ids::MemberId;
use crate::protocol::{Ciphers, SealTerms};

pub(super) const SEAL_SIZE: usize = 0;

/// The stand-in for the seals of members.
pub struct Seals;

/// A datagram that was opened. There is none.
pub struct Opened<'a> {
    /// The member that has sealed it.
    pub member: MemberId,
    /// Its content.
    pub content: &'a [u8],
    /// The address that it came from, if it is proved.
    pub at: Option<Endpoint>,
    /// True if the member's datagrams went elsewhere before.
    pub has_moved: bool,
    /// No value of this type exists.
    pub never: Infallible,
}

impl Seals {
    /// Creates the machine without members.
    pub fn new(_: Instant) -> Self {
        Self
    }

    /// Returns `None`.
    pub fn make_terms(&self, _: Ciphers, _: impl FnMut() -> Option<[u8; 16]>) -> Option<SealTerms> {
        None
    }

    /// Does nothing: nobody has terms.
    pub fn seal_member(&mut self, _: MemberId, _: &SealTerms, _: PeerAddr, _: Instant) {}

    /// Does nothing.
    pub fn remove(&mut self, _: MemberId) {}

    /// Returns false.
    pub fn contains(&self, _: MemberId) -> bool {
        false
    }

    /// Opens nothing.
    ///
    /// # Errors
    /// Always.
    pub fn open(&mut self, _: &Origin, _: &[u8], _: Instant) -> Result<Opened<'_>, Rejected> {
        Err(Rejected::UnknownId)
    }

    /// Returns false.
    pub fn seal(&mut self, _: MemberId, _: [&[u8]; 2], _: &mut Vec<u8>) -> bool {
        false
    }

    /// Returns `None`.
    pub fn poll_challenge(
        &mut self,
        _: impl FnMut() -> Option<[u8; 8]>,
        _: &mut Vec<u8>,
    ) -> Option<Origin> {
        None
    }

    /// Does nothing.
    pub fn drop_idle_keys(&mut self, _: Instant) {}

    /// Returns `None`.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
