//! A member's token as the client keeps it: the bytes that the server sent.

use reactor_chat::protocol::Token;

/// The longest token: its size travels in one byte.
const MAX_SIZE: usize = 255;

/// A token of any server of this protocol. This project's tokens are 32 hex characters, others are
/// up to 255 bytes of anything. There is no `Debug`, so that no token gets into a log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential(Box<[u8]>);

impl Credential {
    /// Returns the credential in the payload of a completion, if it can be one.
    pub(crate) fn from_wire(bytes: &[u8]) -> Option<Self> {
        (1..=MAX_SIZE).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the token if it has this project's form.
    pub(crate) fn token(&self) -> Option<Token> {
        Token::from_wire(&self.0)
    }

    /// Returns true if a server of this project may have issued it. Other servers know neither empty
    /// messages nor commands such as `/who`: they relay them to everybody.
    pub(crate) fn is_of_this_project(&self) -> bool {
        self.token().is_some()
    }
}

impl From<Token> for Credential {
    fn from(token: Token) -> Self {
        Self(Box::new(token.to_wire()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_n_tokens_may_be_any_bytes() {
        let is_ours = |bytes: &[u8]| Credential::from_wire(bytes).map(|it| it.is_of_this_project());
        assert_eq!(is_ours(&[b'7'; 32]), Some(true));
        assert_eq!(is_ours(b"0b29dcc8-3f65-4f2c-9b1f-6ab1a4e13a5d"), Some(false));
        assert_eq!(is_ours(&[0xff; 255]), Some(false));
        assert_eq!(is_ours(b"x"), Some(false));
        assert_eq!(is_ours(b""), None);
        assert_eq!(is_ours(&[b'x'; 256]), None);
    }
}
