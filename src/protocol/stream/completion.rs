//! The payload of the completion for a member with stream delivery (S1).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::Token;
use crate::protocol::seal::SealTerms;

/// The most seconds between two signs of life of a member. Many routers forget a path after 30 silent
/// seconds, although RFC 4787 (REQ-5) requires two minutes.
pub const MAX_KEEP_ALIVE: u64 = 20;

/// The payload of the completion of a create, join or resume request, a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The member's token.
    #[serde(serialize_with = "write_token", deserialize_with = "read_token")]
    pub token: Token,
    /// The member's number in the room, never reused while the room exists.
    pub member: u32,
    /// The first four bytes of every datagram to the member. Each membership has its own.
    pub tag: u32,
    /// Identifies the room among earlier and later ones with its name. Older servers do not send
    /// it; see [`Self::life`].
    #[serde(default)]
    pub life: Option<u32>,
    /// The number of the next entry of the stream.
    pub next: u64,
    /// The id that the member's next message must have.
    pub expected: u32,
    /// Seconds between two signs of life.
    pub keep_alive: u64,
    /// Seconds of silence after which the member is removed; 0 for never.
    pub idle_timeout: u64,
    /// The terms of sealed datagrams, if the member is sealed (E5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealTerms>,
}

impl Completion {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        // Writing numbers and a string into a Vec cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the value that identifies the room among those with its name. From an older server it
    /// is the tag.
    pub fn life(&self) -> u32 {
        self.life.unwrap_or(self.tag)
    }

    /// Parses a payload. Returns `None` if it is not for stream delivery: a server that does not
    /// know that sends the token alone.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

pub(in crate::protocol) fn write_token<S: Serializer>(
    token: &Token,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // A token on the wire is ASCII.
    serializer.serialize_str(&String::from_utf8_lossy(&token.to_wire()))
}

pub(in crate::protocol) fn read_token<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Token, D::Error> {
    let text = String::deserialize(deserializer)?;
    Token::from_wire(text.as_bytes()).ok_or_else(|| D::Error::custom("not a token"))
}

/// Returns the seconds between two signs of life for an idle timeout in seconds, 0 for none. Three fit
/// the timeout, so that two may be lost.
pub fn keep_alive(idle_timeout: u64) -> u64 {
    match idle_timeout {
        0 => MAX_KEEP_ALIVE,
        timeout => (timeout / 3).clamp(1, MAX_KEEP_ALIVE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_completion_keys() {
        let completion = Completion {
            token: Token::from_bits([0; 16]),
            member: 3,
            tag: u32::MAX,
            life: Some(5),
            next: 1 << 40,
            expected: 1,
            keep_alive: 20,
            idle_timeout: 300,
            seal: None,
        };
        let text = String::from_utf8(completion.encode()).unwrap();
        let token = "0".repeat(32);
        assert_eq!(
            text,
            format!(
                r#"{{"token":"{token}","member":3,"tag":4294967295,"life":5,"next":1099511627776,"expected":1,"keep_alive":20,"idle_timeout":300}}"#
            )
        );
        assert_eq!(Completion::parse(text.as_bytes()), Some(completion));
    }

    #[test]
    fn s1_token_alone_is_no_completion() {
        for payload in [&b"0123456789abcdef0123456789abcdef"[..], b"", b"{}", b"[]"] {
            assert_eq!(Completion::parse(payload), None);
        }
    }

    #[test]
    fn s1_three_keep_alives_per_idle_timeout() {
        assert_eq!([1, 3, 7, 30, 60, 300].map(keep_alive), [1, 1, 2, 10, 20, 20]);
        assert_eq!(keep_alive(0), 20, "no timeout");
    }
}
