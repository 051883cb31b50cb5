//! The token of a member, its secret (W10).

use std::fmt;

use super::hex;

/// A token: 128 random bits, on the wire 32 lowercase hex characters. A datagram with it from the
/// right IP is from the member. It has no `Display`, because a token must never be logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

impl Token {
    /// The size of a token on the wire, in bytes.
    pub const WIRE_SIZE: usize = 32;

    /// Creates a token from random bits.
    pub const fn from_bits(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// Parses exactly 32 lowercase hex characters.
    pub fn from_wire(hex: &[u8]) -> Option<Self> {
        let hex: &[u8; Self::WIRE_SIZE] = hex.try_into().ok()?;
        hex::decode(hex).map(Self)
    }

    /// Returns the 32 hex characters.
    pub fn to_wire(self) -> [u8; Self::WIRE_SIZE] {
        hex::encode(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w10_token_is_lowercase_hex() {
        let bits = [0, 1, 0x7f, 0x80, 0xab, 0xcd, 0xef, 0xff, 9, 10, 11, 12, 13, 14, 15, 16];
        let wire = Token::from_bits(bits).to_wire();
        assert_eq!(&wire, b"00017f80abcdefff090a0b0c0d0e0f10");
        assert_eq!(Token::from_wire(&wire), Some(Token::from_bits(bits)));
        assert_eq!(Token::from_wire(&wire.to_ascii_uppercase()), None);
        assert_eq!(Token::from_wire(&wire[..31]), None);
        assert_eq!(Token::from_wire(&[&wire[..], b"0"].concat()), None);
        assert_eq!(Token::from_wire(b"g0017f80abcdefff090a0b0c0d0e0f10"), None);
    }

    #[test]
    fn t6_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token::from_bits([7; 16])), "Token(..)");
    }
}
