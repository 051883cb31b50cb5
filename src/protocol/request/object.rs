//! A request as one JSON object, as browsers send it (H6): operation and room stand beside the keys of
//! the payload.

use serde::Deserialize;

use super::{Operation, is_json, json};
use crate::protocol::frame::{Frame, STATE_REQUEST};
use crate::protocol::status::Status;

/// The operation of no request. It gets the reply of an unknown one.
const NO_OPERATION: u8 = 0;

/// A request as one JSON object. Its [frame](Self::frame) has the object itself as the payload, because
/// unknown keys mean nothing there. So each key and each status is that of a frame.
///
/// ```
/// use reactor_chat::protocol::request::{self, ObjectRequest};
/// use reactor_chat::protocol::Request;
///
/// let text = br#"{"operation":"join","room":"lobby","username":"ann","delivery":"stream"}"#;
/// let object = ObjectRequest::parse(text).expect("a JSON object");
/// let Ok(Request::Join(ann)) = request::parse(&object.frame()) else { unreachable!("a join") };
/// assert_eq!((&*ann.room.name, &*ann.name), ("lobby", "ann"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRequest<'a> {
    operation: u8,
    room: String,
    payload: &'a [u8],
}

/// The keys that stand for fields of a frame. A key with the value `null` counts as absent.
#[derive(Deserialize)]
struct Fields {
    operation: Option<String>,
    room: Option<String>,
}

impl<'a> ObjectRequest<'a> {
    /// Parses the keys `operation` and `room`. An unknown operation is left to [`super::parse`], and so
    /// is a missing room, which is an empty one.
    ///
    /// # Errors
    /// [`Status::Malformed`] if the text is no JSON object, or one of these keys is repeated or is not a
    /// string.
    pub fn parse(text: &'a [u8]) -> Result<Self, Status> {
        // An array would be read as the values of the keys in their order.
        if !is_json(text) {
            return Err(Status::Malformed);
        }
        let Fields { operation, room } = json(text)?;
        let operation = operation.as_deref().and_then(Operation::from_name);
        Ok(Self {
            operation: operation.map_or(NO_OPERATION, |known| known as u8),
            room: room.unwrap_or_default(),
            payload: text,
        })
    }

    /// Returns the request as a frame, for [`super::parse`].
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            operation: self.operation,
            state: STATE_REQUEST,
            room: self.room.as_bytes(),
            payload: self.payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::name::MAX_NAME;
    use crate::protocol::request::{Request, parse};
    use crate::protocol::{Delivery, Token};

    /// Returns the status of a request, and `None` if it is valid.
    fn refusal(text: &str) -> Option<Status> {
        let object = ObjectRequest::parse(text.as_bytes());
        object.and_then(|object| parse(&object.frame()).map(drop)).err()
    }

    fn join(room: &str, keys: &str) -> Option<Status> {
        refusal(&format!(r#"{{"operation":"join","room":"{room}"{keys}}}"#))
    }

    #[test]
    fn h6_object_has_the_keys_of_frames() {
        let text = br#" {"username":"a","operation":"create","capacity":3,"room":"r\u00e9","hidden":true,"delivery":"stream"}"#;
        let object = ObjectRequest::parse(text).unwrap();
        let Ok(Request::Create { host, capacity, hidden, .. }) = parse(&object.frame()) else {
            panic!("a create request")
        };
        assert_eq!((&*host.room.name, &*host.name), ("r\u{e9}", "a"));
        assert_eq!((host.delivery, capacity, hidden), (Delivery::Stream, Some(3), true));
    }

    #[test]
    fn h6_object_resumes() {
        let token = Token::from_bits([7; 16]);
        let wire = token.to_wire();
        let wire = str::from_utf8(&wire).unwrap();
        let text = format!(r#"{{"operation":"resume","room":"r","token":"{wire}"}}"#);
        let object = ObjectRequest::parse(text.as_bytes()).unwrap();
        let Ok(Request::Resume { token: parsed, path: Some(path), .. }) = parse(&object.frame())
        else {
            panic!("a resume request with wishes")
        };
        assert_eq!((parsed, path.carry), (token, false));
        assert_eq!(refusal(r#"{"operation":"resume","room":"r"}"#), Some(Status::Malformed));
    }

    #[test]
    fn h6_object_lists() {
        let object = ObjectRequest::parse(br#"{"operation":"list","room":"lo","after":"lob"}"#);
        let object = object.unwrap();
        let Ok(Request::List { prefix, after }) = parse(&object.frame()) else { panic!("a list") };
        assert_eq!((prefix.as_deref(), after.as_deref()), (Some("lo"), Some("lob")));
        assert_eq!(refusal(r#"{"operation":"list"}"#), None, "of all rooms");
    }

    #[test]
    fn h6_unknown_operation_is_malformed() {
        for operation in ["", r#""operation":"talk","#, r#""operation":null,"#] {
            let text = format!(r#"{{{operation}"room":"r","username":"b"}}"#);
            assert_eq!(refusal(&text), Some(Status::Malformed), "{operation}");
        }
    }

    #[test]
    fn h6_missing_room_is_invalid() {
        let missing = r#"{"operation":"join","username":"b"}"#;
        assert_eq!(refusal(missing), Some(Status::InvalidRoomName));
        assert_eq!(join(" ", r#","username":"b""#), Some(Status::InvalidRoomName));
        let longest = "x".repeat(MAX_NAME);
        assert_eq!(join(&longest, r#","username":"b""#), None);
        assert_eq!(join(&(longest + "x"), r#","username":"b""#), Some(Status::InvalidRoomName));
        assert_eq!(join("r", ""), Some(Status::InvalidUserName));
    }

    #[test]
    fn h6_bad_objects_are_malformed() {
        for text in [
            "",
            "{",
            "null",
            "\"join\"",
            r#"["join","r"]"#,
            r#"{"operation":2,"room":"r","username":"b"}"#,
            r#"{"operation":"join","room":1,"username":"b"}"#,
            r#"{"operation":"join","operation":"join","room":"r","username":"b"}"#,
            r#"{"operation":"join","room":"r","room":"r","username":"b"}"#,
            r#"{"operation":"join","room":"r","username":"b","username":"b"}"#,
            r#"{"operation":"join","room":"\ud800","username":"b"}"#,
            r#"{"operation":"join","room":"r","username":"b"} x"#,
        ] {
            assert_eq!(refusal(text), Some(Status::Malformed), "{text}");
        }
    }
}
