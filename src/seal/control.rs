//! The plaintext of a control datagram (E10): `kind u8 | 8 bytes`.

const CHALLENGE: u8 = 1;
const ANSWER: u8 = 2;

/// A control datagram. With a challenge, the server asks a sealed member to prove that it receives at
/// its new address. The member answers from there with the same 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// From the server.
    Challenge([u8; 8]),
    /// From the member.
    Answer([u8; 8]),
}

impl Control {
    /// The size of the plaintext, in bytes.
    pub const SIZE: usize = 9;

    /// Parses the plaintext of a control datagram. Returns `None` for another size or kind.
    pub fn parse(plaintext: &[u8]) -> Option<Self> {
        let [kind, value @ ..] = *plaintext.as_array::<{ Self::SIZE }>()?;
        match kind {
            CHALLENGE => Some(Self::Challenge(value)),
            ANSWER => Some(Self::Answer(value)),
            _ => None,
        }
    }

    /// Encodes the plaintext.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let (kind, [a, b, c, d, e, f, g, h]) = match self {
            Self::Challenge(value) => (CHALLENGE, value),
            Self::Answer(value) => (ANSWER, value),
        };
        [kind, a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e10_control_kinds() {
        let value = [1, 2, 3, 4, 5, 6, 7, 8];
        for (kind, control) in [(1, Control::Challenge(value)), (2, Control::Answer(value))] {
            let bytes = control.encode();
            assert_eq!(bytes, [kind, 1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(Control::parse(&bytes), Some(control));
        }
    }

    #[test]
    fn e10_other_controls_are_ignored() {
        let bytes = [1; Control::SIZE + 1];
        assert!(
            (0..=bytes.len()).all(|size| {
                Control::parse(&bytes[..size]).is_some() == (size == Control::SIZE)
            })
        );
        for kind in [0, 3, u8::MAX] {
            assert_eq!(Control::parse(&[kind, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        }
    }
}
