//! The layout of a sealed datagram (E6): `0 | flags u8 | id u32 | number u64 | ciphertext | tag 16`.

/// Size of the header, in bytes. The header is associated data of the seal.
pub const HEADER: usize = 14;

/// Size of the tag, in bytes.
pub const TAG: usize = 16;

/// Difference between the sizes of a sealed datagram and its plaintext, in bytes.
pub const OVERHEAD: usize = HEADER + TAG;

/// Flag of a control datagram (E10). All other flags are undefined and zero.
pub const CONTROL: u8 = 0x80;

/// A cleartext datagram begins with the size of a room name, which is not 0 (W17).
const FIRST_BYTE: u8 = 0;

/// The header of a sealed datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`CONTROL`] or 0. Other flags are undefined, and an opener refuses them.
    pub flags: u8,
    /// Identifies the membership.
    pub id: u32,
    /// Number of the datagram in its direction.
    pub number: u64,
}

impl Header {
    /// Parses the header of a datagram. Returns `None` if the datagram is not sealed: its first byte is
    /// not 0, or it is too short for a header and a tag.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let (bytes, rest) = datagram.split_first_chunk::<HEADER>()?;
        let [FIRST_BYTE, flags, i0, i1, i2, i3, number @ ..] = *bytes else { return None };
        let id = u32::from_be_bytes([i0, i1, i2, i3]);
        let header = Self { flags, id, number: u64::from_be_bytes(number) };
        (rest.len() >= TAG).then_some(header)
    }

    /// Encodes the header.
    pub fn encode(self) -> [u8; HEADER] {
        let mut bytes = [FIRST_BYTE; HEADER];
        bytes[1] = self.flags;
        bytes[2..6].copy_from_slice(&self.id.to_be_bytes());
        bytes[6..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// Returns true if all flags are defined.
    pub fn is_defined(self) -> bool {
        self.flags & !CONTROL == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARSED: Header =
        Header { flags: CONTROL, id: 0x0102_0304, number: 0x0506_0708_090a_0b0c };

    #[test]
    fn e6_header_is_big_endian() {
        let bytes = PARSED.encode();
        assert_eq!(bytes, [0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let datagram = [&bytes[..], &[0xee; TAG]].concat();
        assert_eq!(Header::parse(&datagram), Some(PARSED));
    }

    #[test]
    fn e6_shorter_than_30_bytes_is_not_sealed() {
        let datagram = [&PARSED.encode()[..], &[0; TAG]].concat();
        assert_eq!(datagram.len(), OVERHEAD);
        assert!((0..OVERHEAD).all(|size| Header::parse(&datagram[..size]).is_none()));
    }

    #[test]
    fn e6_first_byte_is_zero() {
        let mut datagram = [0; OVERHEAD + 1];
        for first in 1..=u8::MAX {
            datagram[0] = first;
            assert_eq!(Header::parse(&datagram), None);
        }
    }

    #[test]
    fn e6_one_flag_is_defined() {
        let defined = |flags: &u8| Header { flags: *flags, ..PARSED }.is_defined();
        assert!((0..=u8::MAX).filter(defined).eq([0, CONTROL]));
    }
}
