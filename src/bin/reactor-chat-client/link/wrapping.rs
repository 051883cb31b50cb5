//! Datagrams around messages: in the clear behind room and token (W17), or sealed (E6).

use std::io;

use crate::credential::Credential;
use reactor_chat::protocol::SealTerms;
use reactor_chat::protocol::datagram::encode_sender_key;
use reactor_chat::seal::{CONTROL, ClientOpener, Control, OpenError, Sealer};

/// The way in which a membership writes and reads its datagrams.
pub(super) enum Wrapping {
    /// Room and token, with their sizes, stand before each message.
    Clear { sender_key: Box<[u8]> },
    /// Nothing is in the clear, in either direction.
    Sealed(Box<Seal>),
}

/// Both directions of a sealed membership.
pub(super) struct Seal {
    sealer: Sealer,
    opener: ClientOpener,
    /// The content of the last datagram that was opened. The buffer is reused.
    plaintext: Vec<u8>,
}

/// The content of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwrapped<'a> {
    Message(&'a [u8]),
    /// The server asks whether we receive at this address (E10).
    Challenge([u8; 8]),
    /// A copy of a datagram, one that came very late, or an unknown control datagram.
    Ignored,
    /// The datagram was not sealed for us.
    Unopened,
}

impl Wrapping {
    pub(super) fn clear(room: &str, token: &Credential) -> Self {
        let mut sender_key = Vec::new();
        encode_sender_key(room, token.as_bytes(), &mut sender_key);
        Self::Clear { sender_key: sender_key.into() }
    }

    pub(super) fn sealed(terms: &SealTerms) -> Self {
        let SealTerms { id, cipher, up, down } = *terms;
        Self::Sealed(Box::new(Seal {
            sealer: Sealer::new(id, cipher, up),
            opener: ClientOpener::new(id, cipher, down),
            plaintext: Vec::new(),
        }))
    }

    pub(super) fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }

    /// Writes the datagram with this message.
    ///
    /// # Errors
    /// The numbers of the seal are used up.
    pub(super) fn wrap(&mut self, message: &[u8], datagram: &mut Vec<u8>) -> io::Result<()> {
        datagram.clear();
        match self {
            Self::Clear { sender_key } => {
                datagram.extend_from_slice(sender_key);
                datagram.extend_from_slice(message);
                Ok(())
            }
            Self::Sealed(seal) => seal.sealer.seal(0, message, datagram).map_err(io::Error::other),
        }
    }

    pub(super) fn unwrap<'a>(&'a mut self, datagram: &'a [u8]) -> Unwrapped<'a> {
        match self {
            Self::Clear { .. } => Unwrapped::Message(datagram),
            Self::Sealed(seal) => seal.open(datagram),
        }
    }

    /// Returns the datagram that answers a challenge. In the clear there are none.
    pub(super) fn answer(&mut self, challenge: [u8; 8]) -> Option<Vec<u8>> {
        let Self::Sealed(seal) = self else { return None };
        let (answer, mut datagram) = (Control::Answer(challenge).encode(), Vec::new());
        seal.sealer.seal(CONTROL, &answer, &mut datagram).ok()?;
        Some(datagram)
    }
}

impl Seal {
    fn open(&mut self, datagram: &[u8]) -> Unwrapped<'_> {
        match self.opener.open(datagram, &mut self.plaintext) {
            Ok(opened) if opened.is_control() => match Control::parse(&self.plaintext) {
                Some(Control::Challenge(challenge)) => Unwrapped::Challenge(challenge),
                _ => Unwrapped::Ignored,
            },
            Ok(_) => Unwrapped::Message(&self.plaintext),
            Err(OpenError::Replayed) => Unwrapped::Ignored,
            Err(_) => Unwrapped::Unopened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::{Cipher, Secret, Token};
    use reactor_chat::seal::ServerOpener;

    const TERMS: SealTerms = SealTerms {
        id: 7,
        cipher: Cipher::Chacha20Poly1305,
        up: Secret::from_bits([1; 32]),
        down: Secret::from_bits([2; 32]),
    };

    /// Returns what a server seals with the secret of its direction.
    fn sealed(flags: u8, plaintext: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        let mut sealer = Sealer::new(TERMS.id, TERMS.cipher, TERMS.down);
        sealer.seal(flags, plaintext, &mut datagram).expect("sealed");
        datagram
    }

    #[test]
    fn w17_clear_datagram_has_room_and_token() {
        let token = Token::from_bits([7; 16]);
        let mut wrapping = Wrapping::clear("lobby", &token.into());
        let mut datagram = Vec::new();
        wrapping.wrap(b"hi", &mut datagram).expect("a datagram");
        assert_eq!(datagram, [b"\x05\x20lobby", &token.to_wire()[..], b"hi"].concat());
        assert_eq!(wrapping.unwrap(b"ann: hi"), Unwrapped::Message(b"ann: hi"));
        assert_eq!(wrapping.answer([0; 8]), None);
    }

    #[test]
    fn e7_sealed_message_has_no_room() {
        let mut wrapping = Wrapping::sealed(&TERMS);
        let (mut datagram, mut plaintext) = (Vec::new(), Vec::new());
        let mut server = ServerOpener::new(TERMS.id, TERMS.cipher, TERMS.up);
        for message in [&b"hi"[..], b""] {
            wrapping.wrap(message, &mut datagram).expect("a datagram");
            let opened = server.open(&datagram, &mut plaintext).expect("for this server");
            assert_eq!((&plaintext[..], opened.is_control()), (message, false));
        }
    }

    #[test]
    fn e9_clear_datagram_is_not_opened() {
        let mut wrapping = Wrapping::sealed(&TERMS);
        let mut forged = sealed(0, b"ann: hi");
        *forged.last_mut().expect("a tag") ^= 1;
        for foreign in [&b"ann: hi"[..], b"", &[0; 64], &forged] {
            assert_eq!(wrapping.unwrap(foreign), Unwrapped::Unopened);
        }
        let datagram = sealed(0, b"ann: hi");
        assert_eq!(wrapping.unwrap(&datagram), Unwrapped::Message(b"ann: hi"));
        assert_eq!(wrapping.unwrap(&datagram), Unwrapped::Ignored, "a copy");
    }

    #[test]
    fn e10_challenge_is_answered_sealed() {
        let mut wrapping = Wrapping::sealed(&TERMS);
        let challenge = Control::Challenge(*b"12345678").encode();
        let asked = sealed(CONTROL, &challenge);
        assert_eq!(wrapping.unwrap(&asked), Unwrapped::Challenge(*b"12345678"));
        let answer = wrapping.answer(*b"12345678").expect("an answer");
        let mut plaintext = Vec::new();
        let mut server = ServerOpener::new(TERMS.id, TERMS.cipher, TERMS.up);
        let opened = server.open(&answer, &mut plaintext).expect("for this server");
        let control = Control::parse(&plaintext);
        assert_eq!((opened.is_control(), control), (true, Some(Control::Answer(*b"12345678"))));
    }
}
