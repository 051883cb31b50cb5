//! The fingerprint of a server's public key: SHA-256 of the key as a certificate has it
//! (SubjectPublicKeyInfo, RFC 5280, section 4.1), in base64 (RFC 4648, section 4).
//!
//! It depends on the key alone, so a certificate that was renewed with the same key keeps it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Bytes of a SHA-256.
const SIZE: usize = 32;

/// openssl(1) and curl(1) pad their base64, ssh(1) does not. Both forms are parsed.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The SHA-256 of a public key. It is displayed as 44 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; SIZE]);

impl Fingerprint {
    /// Returns the fingerprint of a public key in DER (SubjectPublicKeyInfo).
    #[must_use]
    pub fn of_key(spki: &[u8]) -> Self {
        let mut bytes = [0; SIZE];
        bytes.copy_from_slice(digest(&SHA256, spki).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE64.encode(self.0))
    }
}

/// The text is not 32 bytes in base64.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64.decode(text).map_err(|_| InvalidFingerprint)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidFingerprint)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of no bytes, from FIPS 180-4's examples.
    const OF_NOTHING: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn e3_fingerprint_is_sha_256_in_base64() {
        let fingerprint = Fingerprint::of_key(b"");
        assert_eq!(fingerprint.to_string(), OF_NOTHING);
        assert_eq!(OF_NOTHING.parse(), Ok(fingerprint));
        assert_eq!(OF_NOTHING.trim_end_matches('=').parse(), Ok(fingerprint));
    }

    #[test]
    fn e12_text_of_other_size_is_refused() {
        for text in ["", "47DEQpj8", "not base64", &OF_NOTHING.repeat(2), &OF_NOTHING[4..]] {
            assert_eq!(text.parse::<Fingerprint>(), Err(InvalidFingerprint), "{text}");
        }
    }
}
