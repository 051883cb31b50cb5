//! The terms of a sealed membership, as requests and completions carry them (E5): ciphers and secrets.
//! It has no cryptography.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex;

/// A cipher that seals datagrams. Both are AEADs with a nonce of 12 bytes and a tag of 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128-GCM, with a key of 16 bytes. It is the faster one on machines with AES in hardware.
    Aes128Gcm,
    /// ChaCha20-Poly1305 (RFC 8439), with a key of 32 bytes.
    Chacha20Poly1305,
}

impl Cipher {
    const ALL: [Self; 2] = [Self::Aes128Gcm, Self::Chacha20Poly1305];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Chacha20Poly1305 => "chacha20-poly1305",
        }
    }

    /// Returns the cipher with a name on the wire, or `None` if it is unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.name() == name)
    }
}

impl Serialize for Cipher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Cipher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| D::Error::custom("not a known cipher"))
    }
}

/// A set of ciphers, on the wire a list of their names.
///
/// A list may have names of ciphers that we do not know. They are ignored, so the set is empty if we
/// know none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ciphers {
    bits: u8,
}

impl Ciphers {
    /// Every cipher.
    pub const ALL: Self = Self { bits: u8::MAX >> (u8::BITS as usize - Cipher::ALL.len()) };

    /// Returns true if the set has the cipher.
    pub const fn contains(self, cipher: Cipher) -> bool {
        self.bits & bit(cipher) != 0
    }

    /// Returns true if the set has no cipher.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    fn iter(self) -> impl Iterator<Item = Cipher> {
        Cipher::ALL.into_iter().filter(move |cipher| self.contains(*cipher))
    }
}

/// All ciphers. A request without a list accepts them all.
impl Default for Ciphers {
    fn default() -> Self {
        Self::ALL
    }
}

const fn bit(cipher: Cipher) -> u8 {
    1 << cipher as u8
}

impl FromIterator<Cipher> for Ciphers {
    fn from_iter<T: IntoIterator<Item = Cipher>>(ciphers: T) -> Self {
        Self { bits: ciphers.into_iter().fold(0, |bits, cipher| bits | bit(cipher)) }
    }
}

impl Serialize for Ciphers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Ciphers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<Cow<str>>::deserialize(deserializer)?;
        Ok(names.iter().filter_map(|name| Cipher::from_name(name)).collect())
    }
}

/// A secret from which the keys of one direction are derived: 256 random bits, on the wire 64
/// lowercase hex characters. It has no `Display`, because a secret must never be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The size of a secret, in bytes.
    pub const SIZE: usize = 32;

    /// Creates a secret from random bits.
    pub const fn from_bits(bits: [u8; Self::SIZE]) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn as_bits(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: [u8; 2 * Self::SIZE] = hex::encode(&self.0);
        // Hex is ASCII.
        serializer.serialize_str(&String::from_utf8_lossy(&digits))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digits: Option<&[u8; 2 * Self::SIZE]> = text.as_bytes().try_into().ok();
        let bits = digits.and_then(hex::decode);
        bits.map(Self).ok_or_else(|| D::Error::custom("not a secret"))
    }
}

/// The value of the key `seal` in a completion: all that both ends need to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealTerms {
    /// The number in the header of every sealed datagram, in both directions.
    pub id: u32,
    /// The cipher for both directions.
    pub cipher: Cipher,
    /// The secret for datagrams to the server.
    pub up: Secret,
    /// The secret for datagrams to the member.
    pub down: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> SealTerms {
        SealTerms {
            id: u32::MAX,
            cipher: Cipher::Chacha20Poly1305,
            up: Secret::from_bits([0xab; 32]),
            down: Secret::from_bits([0x05; 32]),
        }
    }

    fn ciphers(list: &str) -> Option<Ciphers> {
        serde_json::from_str(list).ok()
    }

    #[test]
    fn e5_terms_on_the_wire() {
        let (up, down) = ("ab".repeat(32), "05".repeat(32));
        let text = format!(
            r#"{{"id":4294967295,"cipher":"chacha20-poly1305","up":"{up}","down":"{down}"}}"#
        );
        assert_eq!(serde_json::to_string(&terms()).unwrap(), text);
        assert_eq!(serde_json::from_str::<SealTerms>(&text).unwrap(), terms());
    }

    #[test]
    fn e5_broken_terms_are_refused() {
        let text = serde_json::to_string(&terms()).unwrap();
        let breaks = [
            ("4294967295", "4294967296"),
            ("4294967295", "-1"),
            ("chacha20-poly1305", "chacha20"),
            ("abab", "ab"),
            ("abab", "ABAB"),
            ("abab", "abag"),
            ("abab", "ababab"),
            ("down", "dawn"),
        ];
        for (good, bad) in breaks {
            let text = text.replacen(good, bad, 1);
            assert!(serde_json::from_str::<SealTerms>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn e5_escaped_strings_are_read() {
        let cipher = r#""\u0061es-128-gcm""#;
        assert_eq!(serde_json::from_str::<Cipher>(cipher).unwrap(), Cipher::Aes128Gcm);
        assert_eq!(ciphers(&format!("[{cipher}]")), ciphers(r#"["aes-128-gcm"]"#));
        let secret = format!(r#""\u0061b{}""#, "ab".repeat(31));
        assert_eq!(serde_json::from_str::<Secret>(&secret).unwrap(), terms().up);
    }

    #[test]
    fn e5_unknown_ciphers_are_ignored() {
        let aes = ciphers(r#"["aes-256-gcm","aes-128-gcm","aes-128-gcm"]"#).unwrap();
        assert!(aes.contains(Cipher::Aes128Gcm) && !aes.contains(Cipher::Chacha20Poly1305));
        assert_eq!(serde_json::to_string(&aes).unwrap(), r#"["aes-128-gcm"]"#);
        assert!(ciphers(r#"["rot13"]"#).unwrap().is_empty());
        assert!(ciphers("[]").unwrap().is_empty());
        assert_eq!(ciphers(r#"["aes-128-gcm",7]"#), None);
        assert_eq!(ciphers(r#""aes-128-gcm""#), None);
    }

    #[test]
    fn e5_all_ciphers() {
        let list = serde_json::to_string(&Ciphers::ALL).unwrap();
        assert_eq!(list, r#"["aes-128-gcm","chacha20-poly1305"]"#);
        assert_eq!(ciphers(&list), Some(Ciphers::ALL));
        assert_eq!(Cipher::ALL.into_iter().collect::<Ciphers>(), Ciphers::default());
    }

    #[test]
    fn e5_secrets_are_never_printed() {
        let printed = format!("{:?}", terms());
        assert!(printed.contains("up: Secret(..), down: Secret(..)"), "{printed}");
    }
}
