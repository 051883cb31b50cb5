//! What the server answers over TCP: an acknowledgement, and on success a completion.

use super::frame::{self, STATE_ACKNOWLEDGEMENT, STATE_COMPLETION};
use super::status::Status;

/// The acknowledgement: one status byte.
pub fn acknowledgement(operation: u8, echoed_room: &[u8], status: Status) -> Vec<u8> {
    frame::encode(operation, STATE_ACKNOWLEDGEMENT, echoed_room, &[status as u8])
}

/// The completion: what was asked for.
pub fn completion(operation: u8, echoed_room: &[u8], payload: &[u8]) -> Vec<u8> {
    frame::encode(operation, STATE_COMPLETION, echoed_room, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Decoded, decode};

    #[test]
    fn w10_an_acknowledgement_holds_exactly_one_status_byte() {
        let bytes = acknowledgement(2, b"r", Status::RoomFull);
        let Decoded::Whole(frame) = decode(&bytes, 1) else { panic!("whole") };
        assert_eq!((frame.operation, frame.state), (2, 1));
        assert_eq!((frame.room, frame.payload), (&b"r"[..], &[7][..]));
    }

    #[test]
    fn w11_a_completion_echoes_the_operation() {
        let bytes = completion(3, b"", b"[]");
        let Decoded::Whole(frame) = decode(&bytes, 2) else { panic!("whole") };
        assert_eq!((frame.operation, frame.state), (3, 2));
        assert_eq!((frame.room, frame.payload), (&b""[..], &b"[]"[..]));
    }
}
