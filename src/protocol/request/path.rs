//! The keys of a request about the path of the member's messages (E5, C1).

use serde::{Deserialize, Serialize};

use crate::protocol::seal::Ciphers;
use crate::protocol::status::Status;

/// The wishes of a request about the path of the member's messages. By default they travel in
/// datagrams in the clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathWishes {
    /// Sealed datagrams (E5). A server grants them inside TLS only.
    pub seal: bool,
    /// The ciphers that the client has, for `seal`.
    pub ciphers: Ciphers,
    /// The connection of the request (C1).
    pub carry: bool,
}

/// The keys about the path. Absent ones are false, and an absent list of ciphers means all.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct PathPayload {
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphers: Option<Ciphers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carry: Option<bool>,
}

impl From<&PathWishes> for PathPayload {
    fn from(wishes: &PathWishes) -> Self {
        Self {
            seal: wishes.seal.then_some(true),
            ciphers: wishes.seal.then_some(wishes.ciphers),
            carry: wishes.carry.then_some(true),
        }
    }
}

impl PathPayload {
    /// Returns the wishes.
    ///
    /// # Errors
    /// [`Status::Malformed`] if the client can seal with no cipher of ours.
    pub(super) fn wishes(self) -> Result<PathWishes, Status> {
        let seal = self.seal.unwrap_or(false);
        let ciphers = self.ciphers.filter(|_| seal).unwrap_or_default();
        if ciphers.is_empty() {
            return Err(Status::Malformed);
        }
        Ok(PathWishes { seal, ciphers, carry: self.carry.unwrap_or(false) })
    }
}
