//! The choice of the cipher by the server (E5).

use crate::protocol::{Cipher, Ciphers};

/// Chooses one of the ciphers that a client offers: AES if this machine has it in hardware, otherwise
/// ChaCha20-Poly1305. If the client does not offer that one, the other is used. Returns `None` if it
/// offers neither.
pub fn choose_cipher(offered: Ciphers) -> Option<Cipher> {
    choose(offered, has_fast_aes())
}

fn choose(offered: Ciphers, has_fast_aes: bool) -> Option<Cipher> {
    let (aes, chacha) = (Cipher::Aes128Gcm, Cipher::Chacha20Poly1305);
    let wishes = if has_fast_aes { [aes, chacha] } else { [chacha, aes] };
    wishes.into_iter().find(|cipher| offered.contains(*cipher))
}

/// Returns true if this machine has instructions for AES, and for the multiplication in GCM.
#[cfg(target_arch = "x86_64")]
fn has_fast_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

/// Returns true if this machine has instructions for AES, and for the multiplication in GCM.
#[cfg(target_arch = "aarch64")]
fn has_fast_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

/// Other machines count as machines without instructions for AES.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_fast_aes() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e5_aes_if_in_hardware() {
        let aes = Ciphers::from_iter([Cipher::Aes128Gcm]);
        let chacha = Ciphers::from_iter([Cipher::Chacha20Poly1305]);
        let none = Ciphers::from_iter([]);
        for has_fast_aes in [false, true] {
            assert_eq!(choose(aes, has_fast_aes), Some(Cipher::Aes128Gcm));
            assert_eq!(choose(chacha, has_fast_aes), Some(Cipher::Chacha20Poly1305));
            assert_eq!(choose(none, has_fast_aes), None);
        }
        assert_eq!(choose(Ciphers::ALL, true), Some(Cipher::Aes128Gcm));
        assert_eq!(choose(Ciphers::ALL, false), Some(Cipher::Chacha20Poly1305));
        assert_eq!(choose_cipher(Ciphers::ALL), choose(Ciphers::ALL, has_fast_aes()));
    }
}
