//! Lowercase hex, the form of tokens and secrets in requests and replies.

/// Decodes lowercase hex characters. `DIGITS` must be twice `BYTES`. Returns `None` if a character is
/// no digit.
pub(super) fn decode<const DIGITS: usize, const BYTES: usize>(
    hex: &[u8; DIGITS],
) -> Option<[u8; BYTES]> {
    const { assert!(DIGITS == 2 * BYTES) };
    // This runs for every datagram with a token. Without an early exit the compiler vectorizes the loops.
    let values = hex.map(nibble);
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(values.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    let is_hex = values.iter().fold(true, |is_hex, value| is_hex & (*value != NOT_HEX));
    is_hex.then_some(bytes)
}

/// Encodes bytes. `DIGITS` must be twice `BYTES`.
pub(super) fn encode<const DIGITS: usize, const BYTES: usize>(bytes: &[u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(DIGITS == 2 * BYTES) };
    const ALPHABET: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; DIGITS];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
        pair[0] = ALPHABET[usize::from(byte >> 4)];
        pair[1] = ALPHABET[usize::from(byte & 0xf)];
    }
    hex
}

/// Marks a byte that is not a digit. The value of a digit has four bits.
const NOT_HEX: u8 = u8::MAX;

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => NOT_HEX,
    }
}
