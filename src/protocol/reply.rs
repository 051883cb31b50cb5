//! Replies over TCP: an acknowledgement with one status byte and, on success, a completion.
//!
//! [`acknowledgement`] and [`completion`] are the server's half, [`decode`] and [`Admission`] a
//! client's. [`to_object`] is the form for browsers.

use serde::{Deserialize, Serialize};

use super::frame::{self, Decoded, Frame, STATE_ACKNOWLEDGEMENT, STATE_COMPLETION};
use super::seal::SealTerms;
use super::status::Status;
use super::stream::Completion;
use super::stream::completion::{read_token, write_token};
use super::token::Token;

/// Encodes an acknowledgement.
///
/// # Panics
/// If the room name is longer than 255 bytes.
pub fn acknowledgement(operation: u8, echoed_room: &[u8], status: Status) -> Vec<u8> {
    frame::encode(operation, STATE_ACKNOWLEDGEMENT, echoed_room, &[status as u8])
}

/// Encodes a completion, whose payload is what was requested: an [`Admission`], or a page of the
/// [list of rooms](super::room_list).
///
/// # Panics
/// If the room name is longer than 255 bytes.
pub fn completion(operation: u8, echoed_room: &[u8], payload: &[u8]) -> Vec<u8> {
    frame::encode(operation, STATE_COMPLETION, echoed_room, payload)
}

/// Encodes a reply as one JSON object, as browsers get it (H6): the status, and beside it the keys of the
/// payload of a completion. A bare token has the key `token`, and a list the key `rooms`.
///
/// ```
/// use reactor_chat::protocol::Status;
/// use reactor_chat::protocol::reply::to_object;
///
/// assert_eq!(to_object(Status::RoomFull, None), br#"{"status":7}"#);
/// assert_eq!(to_object(Status::Success, Some(b"[]")), br#"{"status":0,"rooms":[]}"#);
/// ```
pub fn to_object(status: Status, payload: Option<&[u8]>) -> Vec<u8> {
    let status = format!(r#"{{"status":{}"#, status as u8).into_bytes();
    match payload {
        None => [&status[..], b"}"].concat(),
        Some([b'{', keys @ ..]) => [&status[..], b",", keys].concat(),
        Some(list @ [b'[', ..]) => [&status[..], br#","rooms":"#, list, b"}"].concat(),
        // A token has no character that JSON would escape.
        Some(token) => [&status[..], br#","token":""#, token, br#""}"#].concat(),
    }
}

/// The reply at the beginning of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedReply<'a> {
    /// More bytes are needed. Read them, then decode all of the input again.
    Incomplete,
    /// The server granted the request.
    Granted {
        /// The payload of the completion.
        payload: &'a [u8],
        /// Bytes of the input that the reply took.
        size: usize,
    },
    /// The server refused the request.
    Refused {
        /// A [`Status`]. [`Status::from_byte`] returns `None` for one that is newer than this
        /// library.
        status: u8,
        /// Bytes of the input that the reply took.
        size: usize,
    },
    /// The input is not a reply of this protocol, or its payload is larger than allowed. Close the
    /// connection: nothing tells where the next reply would begin.
    Invalid,
}

/// Decodes the reply at the beginning of `input`. A payload may have at most `max_payload` bytes.
///
/// This keeps nothing between calls, so the reply may arrive in any pieces.
///
/// ```
/// use reactor_chat::protocol::reply::{Admission, DecodedReply, acknowledgement, completion, decode};
/// use reactor_chat::protocol::{Operation, Status, Token};
///
/// let token = Token::from_bits([7; 16]);
/// let mut input = acknowledgement(Operation::Join as u8, b"lobby", Status::Success);
/// assert_eq!(decode(&input, 4096), DecodedReply::Incomplete);
///
/// input.extend(completion(Operation::Join as u8, b"lobby", &token.to_wire()));
/// let DecodedReply::Granted { payload, .. } = decode(&input, 4096) else { unreachable!() };
/// assert_eq!(Admission::parse(payload), Some(Admission::Plain { token, seal: None }));
/// ```
pub fn decode(input: &[u8], max_payload: usize) -> DecodedReply<'_> {
    let first = match frame::decode(input, max_payload) {
        Decoded::Whole(frame) => frame,
        Decoded::Incomplete => return DecodedReply::Incomplete,
        Decoded::TooLarge { .. } => return DecodedReply::Invalid,
    };
    let size = first.size();
    match acknowledged(&first) {
        Some(status) if status == Status::Success as u8 => {
            decode_completion(&input[size..], size, max_payload)
        }
        Some(status) => DecodedReply::Refused { status, size },
        None => DecodedReply::Invalid,
    }
}

/// Decodes what follows the first `before` bytes, which acknowledged a success.
fn decode_completion(input: &[u8], before: usize, max_payload: usize) -> DecodedReply<'_> {
    match frame::decode(input, max_payload) {
        Decoded::Incomplete => DecodedReply::Incomplete,
        Decoded::TooLarge { .. } => DecodedReply::Invalid,
        Decoded::Whole(frame) if frame.state == STATE_COMPLETION => {
            DecodedReply::Granted { payload: frame.payload, size: before + frame.size() }
        }
        // A server that evicts the connection says so with another acknowledgement.
        Decoded::Whole(frame) => match acknowledged(&frame) {
            Some(status) if status != Status::Success as u8 => {
                DecodedReply::Refused { status, size: before + frame.size() }
            }
            _ => DecodedReply::Invalid,
        },
    }
}

/// Returns the status byte if the frame is an acknowledgement.
fn acknowledged(frame: &Frame<'_>) -> Option<u8> {
    match (frame.state, frame.payload) {
        (STATE_ACKNOWLEDGEMENT, [status]) => Some(*status),
        _ => None,
    }
}

/// The payload of the completion for a sealed member with plain delivery (E5), a JSON object.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlainCompletion {
    /// The member's token.
    #[serde(serialize_with = "write_token", deserialize_with = "read_token")]
    pub token: Token,
    /// The terms of its datagrams.
    pub seal: SealTerms,
}

impl PlainCompletion {
    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        // Writing numbers and strings into a Vec cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The payload of the completion of a create, join or resume request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A token without a stream. The member has plain delivery, even if it requested stream
    /// delivery: other servers of this protocol do not know that.
    Plain {
        /// The token. Alone in the payload it is bare, not in an object.
        token: Token,
        /// The terms of sealed datagrams, if the member is sealed (E5).
        seal: Option<SealTerms>,
    },
    /// The member has stream delivery. The token is in the completion.
    Stream(Completion),
}

impl Admission {
    /// Returns the admission in this payload, or `None` if there is none. Tokens of another length
    /// than [`Token::WIRE_SIZE`], which other servers of this protocol may use, are not parsed.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        if let Some(token) = Token::from_wire(payload) {
            return Some(Self::Plain { token, seal: None });
        }
        if let Some(completion) = Completion::parse(payload) {
            return Some(Self::Stream(completion));
        }
        let PlainCompletion { token, seal } = serde_json::from_slice(payload).ok()?;
        Some(Self::Plain { token, seal: Some(seal) })
    }

    /// Returns the member's token.
    pub fn token(&self) -> Token {
        match self {
            Self::Plain { token, .. } => *token,
            Self::Stream(completion) => completion.token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w10_acknowledgement_is_one_status_byte() {
        let bytes = acknowledgement(2, b"r", Status::RoomFull);
        let Decoded::Whole(frame) = frame::decode(&bytes, 1) else { panic!("whole") };
        assert_eq!((frame.operation, frame.state), (2, 1));
        assert_eq!((frame.room, frame.payload), (&b"r"[..], &[7][..]));
    }

    #[test]
    fn h6_reply_is_one_object() {
        let text = |payload| String::from_utf8(to_object(Status::Success, payload)).unwrap();
        let token = Token::from_bits([0; 16]);
        let zeros = "0".repeat(32);
        let bare = token.to_wire();
        assert_eq!(text(Some(&bare)), format!(r#"{{"status":0,"token":"{zeros}"}}"#));
        let object = br#"{"token":"0","member":1}"#;
        assert_eq!(text(Some(object)), r#"{"status":0,"token":"0","member":1}"#);
        assert_eq!(text(Some(br#"[{"room":"a"}]"#)), r#"{"status":0,"rooms":[{"room":"a"}]}"#);
        assert_eq!(to_object(Status::Malformed, None), br#"{"status":9}"#);
    }

    #[test]
    fn w11_completion_echoes_operation() {
        let bytes = completion(3, b"", b"[]");
        let Decoded::Whole(frame) = frame::decode(&bytes, 2) else { panic!("whole") };
        assert_eq!((frame.operation, frame.state), (3, 2));
        assert_eq!((frame.room, frame.payload), (&b""[..], &b"[]"[..]));
    }

    #[test]
    fn w10_reply_is_decoded_in_any_pieces() {
        let mut bytes = acknowledgement(3, b"", Status::Success);
        bytes.extend(completion(3, b"", b"[]"));
        let size = bytes.len();
        bytes.extend_from_slice(b"the next reply");
        for cut in 0..size {
            assert_eq!(decode(&bytes[..cut], 2), DecodedReply::Incomplete, "cut at {cut}");
        }
        assert_eq!(decode(&bytes, 2), DecodedReply::Granted { payload: b"[]", size });
        assert_eq!(decode(&bytes, 1), DecodedReply::Invalid, "a payload over the limit");
    }

    #[test]
    fn w10_refusal_may_come_instead_of_completion() {
        let refusal = acknowledgement(2, b"r", Status::RateLimited);
        let size = refusal.len();
        assert_eq!(decode(&refusal, 1), DecodedReply::Refused { status: 10, size });
        let success = acknowledgement(2, b"r", Status::Success);
        let both = [&success[..], &refusal].concat();
        assert_eq!(decode(&both, 1), DecodedReply::Refused { status: 10, size: 2 * size });
        assert_eq!(decode(&success.repeat(2), 1), DecodedReply::Invalid);
    }

    #[test]
    fn w10_frames_of_another_kind_are_no_reply() {
        for (state, payload) in [(0, &b"\0"[..]), (1, b""), (1, b"\0\0"), (2, b"\0"), (3, b"\0")] {
            let frame = frame::encode(2, state, b"", payload);
            assert_eq!(decode(&frame, 9), DecodedReply::Invalid, "{state} {payload:?}");
        }
    }
}
