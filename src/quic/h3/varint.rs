//! Variable-length integers of QUIC (RFC 9000, section 16): the two highest bits of the first byte tell
//! the size, 1, 2, 4 or 8 bytes.

/// The largest value, 2^62 - 1.
const MAX: u64 = (1 << 62) - 1;

/// Appends a value below 2^62 in its shortest form.
pub fn put(out: &mut Vec<u8>, value: u64) {
    debug_assert!(value <= MAX);
    let (size, mark) = match value {
        0..=0x3f => (1, 0),
        0x40..=0x3fff => (2, 1),
        0x4000..=0x3fff_ffff => (4, 2),
        _ => (8, 3),
    };
    let bytes = value.to_be_bytes();
    let start = out.len();
    out.extend_from_slice(&bytes[bytes.len() - size..]);
    out[start] |= mark << 6;
}

/// Removes a value from the front. Returns `None`, and removes nothing, if the value is not complete.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.first()?;
    let (value, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let rest_of_value = value[1..].iter();
    let number =
        rest_of_value.fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte));
    *bytes = rest;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9000, appendix A.1.
    #[test]
    fn h8_varints_of_the_rfc() {
        let examples: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x40, 0x25], 37),
            (&[0x25], 37),
        ];
        for (mut bytes, value) in examples {
            assert_eq!(take(&mut bytes), Some(value));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn h8_varints_come_back() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            for size in 0..bytes.len() {
                assert_eq!(take(&mut &bytes[..size]), None);
            }
            bytes.push(7);
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), Some(value));
            assert_eq!(rest, [7]);
        }
    }
}
