//! The key schedule (E6): the keys of an epoch, the secret of the next one, and the nonce of a number.

use aws_lc_rs::aead::{AES_128_GCM, Aad, Algorithm, CHACHA20_POLY1305};
use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};

use super::header::TAG;
use crate::protocol::{Cipher, Secret};

/// The keys of one epoch in one direction, ready for use.
pub(super) struct Keys {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
}

impl Keys {
    /// Derives the keys of the epoch with this secret.
    pub(super) fn derive(cipher: Cipher, secret: &Secret) -> Self {
        let (key, iv) = key_and_iv(cipher, secret);
        // The key has the length that the algorithm asks for.
        let key = UnboundKey::new(algorithm(cipher), &key).expect("a key of the right length");
        Self { key: LessSafeKey::new(key), iv }
    }

    /// Encrypts in place, and returns the tag over the header and the ciphertext.
    pub(super) fn seal(&self, number: u64, header: &[u8], in_out: &mut [u8]) -> Tag {
        let sealed =
            self.key.seal_in_place_separate_tag(self.nonce(number), Aad::from(header), in_out);
        // Only a plaintext of 64 GiB and more is refused (RFC 5116, section 5.1).
        sealed.expect("a plaintext below 64 GiB")
    }

    /// Decrypts into `out`, which is as long as the ciphertext. Returns false if the tag is wrong; `out`
    /// has no meaning then.
    pub(super) fn open(&self, number: u64, header: &[u8], sealed: &[u8], out: &mut [u8]) -> bool {
        let Some((ciphertext, tag)) = sealed.split_last_chunk::<TAG>() else { return false };
        let nonce = self.nonce(number);
        self.key.open_separate_gather(nonce, Aad::from(header), ciphertext, tag, out).is_ok()
    }

    /// Returns the nonce of a number, as in RFC 8446, section 5.3.
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        let last = nonce.iter_mut().skip(NONCE_LEN - size_of_val(&number));
        last.zip(number.to_be_bytes()).for_each(|(byte, of_number)| *byte ^= of_number);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Derives the key and the IV of the epoch with this secret.
pub(super) fn key_and_iv(cipher: Cipher, secret: &Secret) -> (Vec<u8>, [u8; NONCE_LEN]) {
    let (mut key, mut iv) = (vec![0; algorithm(cipher).key_len()], [0; NONCE_LEN]);
    expand(secret, b"tcrp key", &mut key);
    expand(secret, b"tcrp iv", &mut iv);
    (key, iv)
}

/// Returns the secret of the next epoch.
pub(super) fn next_secret(secret: &Secret) -> Secret {
    let mut next = [0; Secret::SIZE];
    expand(secret, b"tcrp next", &mut next);
    Secret::from_bits(next)
}

fn algorithm(cipher: Cipher) -> &'static Algorithm {
    match cipher {
        Cipher::Aes128Gcm => &AES_128_GCM,
        Cipher::Chacha20Poly1305 => &CHACHA20_POLY1305,
    }
}

/// The length of an output of HKDF, in bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand of RFC 5869 with SHA-256. The secret is the pseudorandom key, so there is no Extract.
fn expand(secret: &Secret, label: &[u8], out: &mut [u8]) {
    let key = Prk::new_less_safe(HKDF_SHA256, secret.as_bits());
    let info = [label];
    let filled = key.expand(&info, Length(out.len())).and_then(|output| output.fill(out));
    // Only more than 255 * 32 bytes are refused, or another length than that of `out`.
    filled.expect("an output of at most 32 bytes");
}
