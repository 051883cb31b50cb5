//! Ids of connections. They begin with a set bit, by which a packet is told from a datagram of a member: its
//! second byte is never the size of a token (H1).

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

/// Bytes of an id. Nobody guesses the id of another connection.
const SIZE: usize = 8;

/// The bit of the first byte that is set in each id.
const MARK: u8 = 0x80;

/// Makes ids of random bits.
#[derive(Debug)]
pub(super) struct ConnectionIds;

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        // Without randomness from the kernel, hash keys that std has drawn before still differ for each id.
        let bits = getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(0));
        let mut id: [u8; SIZE] = bits.to_be_bytes();
        id[0] |= MARK;
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.first() {
            Some(first) if first & MARK != 0 => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        SIZE
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_ids_begin_with_a_mark() {
        let mut ids: Vec<ConnectionId> = (0..999).map(|_| ConnectionIds.generate_cid()).collect();
        assert!(ids.iter().all(|id| id.len() == SIZE && id[0] >= 0x80));
        assert!(ids.iter().all(|id| ConnectionIds.validate(id).is_ok()));
        assert!(ConnectionIds.validate(&ConnectionId::new(&[0x7f; SIZE])).is_err());
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 999);
    }
}
