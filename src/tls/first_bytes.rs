//! The first bytes of a connection, which decide between TLS and cleartext.
//!
//! A TLS record begins with its type (22, handshake), a version (3.0 to 3.4) and its length in two bytes
//! (RFC 8446, section 5.1). As TCRP the same bytes would be a frame whose room has 22 bytes, and whose
//! payload has more than 2^200. A cleartext frame that begins with the type and a version has zeros in
//! the place of the length, so a length above zero decides.

/// Bytes that always suffice to decide.
const ENOUGH: usize = 5;

/// Type of a record with a handshake message.
const HANDSHAKE: u8 = 22;

/// Upper byte of all versions of TLS.
const MAJOR: u8 = 3;

/// The protocol on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCRP without encryption.
    Clear,
    /// TLS.
    Tls,
}

/// Returns the protocol that begins with these bytes, or `None` while they are too few.
#[must_use]
pub fn kind(first: &[u8]) -> Option<Kind> {
    match *first {
        [] | [HANDSHAKE] | [HANDSHAKE, MAJOR] | [HANDSHAKE, MAJOR, 0..=4] => None,
        [HANDSHAKE, MAJOR, 0..=4, 0] => None,
        [HANDSHAKE, MAJOR, 0..=4, 0, 0, ..] => Some(Kind::Clear),
        [HANDSHAKE, MAJOR, 0..=4, ..] => Some(Kind::Tls),
        _ => Some(Kind::Clear),
    }
}

/// First bytes that did not decide. They are passed on, or go to TLS, with those that do.
#[derive(Debug, Default)]
pub(super) struct FirstBytes {
    bytes: [u8; ENOUGH - 1],
    count: u8,
}

impl FirstBytes {
    /// Replaces the bytes. There are at most four, because five decide.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        for (kept, byte) in self.bytes.iter_mut().zip(bytes) {
            *kept = *byte;
        }
        self.count = bytes.len().min(self.bytes.len()) as u8;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.count)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kind that is found in a stream, and the number of bytes that it took.
    fn found(stream: &[u8]) -> Option<(usize, Kind)> {
        (1..=stream.len()).find_map(|count| Some((count, kind(&stream[..count])?)))
    }

    #[test]
    fn e1_every_first_byte_decides_once() {
        for first in 0..=u8::MAX {
            for [second, third, high, low] in
                [[3, 1, 2, 0], [3, 3, 0, 1], [1, 0, 0, 0], [3, 0, 0, 0]]
            {
                let stream = [first, second, third, high, low, 0, 0];
                let is_tls = first == HANDSHAKE && second == MAJOR && (high, low) != (0, 0);
                let kind = if is_tls { Kind::Tls } else { Kind::Clear };
                let (count, found) = found(&stream).expect("five bytes decide");
                assert!(found == kind && count <= ENOUGH, "{stream:?}: {found:?} after {count}");
                assert!(first == HANDSHAKE || count == 1, "{stream:?}: decided after {count}");
            }
        }
    }

    #[test]
    fn e1_bounds_of_version_and_length() {
        for version in 0..=4 {
            assert_eq!(found(&[22, 3, version, 1]), Some((4, Kind::Tls)));
            assert_eq!(found(&[22, 3, version, 0, 1]), Some((5, Kind::Tls)));
            assert_eq!(found(&[22, 3, version, 0, 0]), Some((5, Kind::Clear)));
        }
        assert_eq!(found(&[22, 3, 5, 1, 1]), Some((3, Kind::Clear)));
        assert_eq!(found(&[22, 2, 1, 1, 1]), Some((2, Kind::Clear)));
        assert_eq!(found(&[22, 3, 0, 0]), None);
    }
}
