//! The TCP frame: a 32-byte header, the room name, the operation payload (W1 to W4).
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | size of the room name |
//! | 1 | 1 | operation |
//! | 2 | 1 | state |
//! | 3 | 29 | size of the payload, big endian |

/// The size of a header, in bytes.
pub const HEADER_SIZE: usize = 32;

/// The largest payload that the protocol allows, in bytes: 2^29.
pub const PROTOCOL_MAX_PAYLOAD: usize = 1 << 29;

/// The state of a request. The server ignores it (W4), because some clients send 1.
pub const STATE_REQUEST: u8 = 0;
/// The state of an acknowledgement, whose payload is one status byte.
pub const STATE_ACKNOWLEDGEMENT: u8 = 1;
/// The state of a completion, whose payload is the result.
pub const STATE_COMPLETION: u8 = 2;

/// The offset of the operation in a header.
const OPERATION: usize = 1;
/// The offset of the payload's size in a header.
const PAYLOAD_SIZE: usize = 3;
/// The offset of the low eight bytes of the payload's size. Those before them must be zero.
const LOW_PAYLOAD_SIZE: usize = HEADER_SIZE - size_of::<u64>();

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The operation that is requested, or whose reply this is.
    pub operation: u8,
    /// The kind of frame: request, acknowledgement or completion.
    pub state: u8,
    /// The room name, unchecked.
    pub room: &'a [u8],
    /// The operation payload.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Returns the number of bytes of the input that the frame took.
    pub fn size(&self) -> usize {
        HEADER_SIZE + self.room.len() + self.payload.len()
    }
}

/// The frame at the beginning of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// More bytes are needed. Read them, then decode all of the input again.
    Incomplete,
    /// A whole frame. The bytes behind it belong to the next one.
    Whole(Frame<'a>),
    /// A header that announces a larger payload than allowed. Nothing tells where the next frame
    /// would begin.
    TooLarge {
        /// The operation, for the reply.
        operation: u8,
    },
}

/// Decodes the frame at the beginning of `input`. A payload may have at most `max_payload` bytes.
///
/// This keeps nothing between calls and allocates nothing. So a frame may arrive in any pieces, and
/// an announced size costs no memory.
pub fn decode(input: &[u8], max_payload: usize) -> Decoded<'_> {
    let Some((header, body)) = input.split_first_chunk::<HEADER_SIZE>() else {
        return Decoded::Incomplete;
    };
    let [operation, state] = [header[OPERATION], header[OPERATION + 1]];
    let room_size = usize::from(header[0]);
    let Some(payload_size) = payload_size(header).filter(|size| *size <= max_payload) else {
        return Decoded::TooLarge { operation };
    };
    match body.get(..room_size + payload_size).map(|body| body.split_at(room_size)) {
        Some((room, payload)) => Decoded::Whole(Frame { operation, state, room, payload }),
        None => Decoded::Incomplete,
    }
}

/// Returns the operation of a partial frame, for the reply; 0 if it has not arrived.
pub fn operation_of(input: &[u8]) -> u8 {
    input.get(OPERATION).copied().unwrap_or(0)
}

fn payload_size(header: &[u8; HEADER_SIZE]) -> Option<usize> {
    let (high, low) = header[PAYLOAD_SIZE..].split_at(LOW_PAYLOAD_SIZE - PAYLOAD_SIZE);
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    let low = u64::from_be_bytes(low.try_into().ok()?);
    usize::try_from(low).ok().filter(|size| *size <= PROTOCOL_MAX_PAYLOAD)
}

/// Encodes a frame.
///
/// # Panics
/// If the room name is longer than 255 bytes. Names from a frame and valid names never are.
pub fn encode(operation: u8, state: u8, room: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_SIZE + room.len() + payload.len());
    frame.push(u8::try_from(room.len()).expect("a room name of at most 255 bytes"));
    frame.extend_from_slice(&[operation, state]);
    frame.extend_from_slice(&[0; LOW_PAYLOAD_SIZE - PAYLOAD_SIZE]);
    frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    frame.extend_from_slice(room);
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64 * 1024;

    #[test]
    fn w1_header_layout() {
        let bytes = encode(1, 0, b"lobby", b"alice");
        assert_eq!(bytes[..3], [5, 1, 0]);
        assert_eq!(bytes[3..31], [0; 28]);
        assert_eq!(bytes[31], 5);
        assert_eq!(&bytes[32..], b"lobbyalice");
        let Decoded::Whole(frame) = decode(&bytes, MAX) else { panic!("whole") };
        assert_eq!((frame.operation, frame.state, frame.size()), (1, 0, bytes.len()));
        assert_eq!((frame.room, frame.payload), (&b"lobby"[..], &b"alice"[..]));
    }

    #[test]
    fn w2_frame_arrives_in_any_pieces() {
        let mut bytes = encode(2, 0, b"r", &[7; 300]);
        let whole = bytes.len();
        bytes.extend_from_slice(b"the next frame");
        for cut in 0..whole {
            assert_eq!(decode(&bytes[..cut], MAX), Decoded::Incomplete, "cut at {cut}");
        }
        for cut in whole..bytes.len() {
            let Decoded::Whole(frame) = decode(&bytes[..cut], MAX) else { panic!("cut at {cut}") };
            assert_eq!(frame.size(), whole);
        }
    }

    #[test]
    fn w3_size_over_limit_is_refused() {
        for position in PAYLOAD_SIZE..HEADER_SIZE {
            let mut header = [0; HEADER_SIZE];
            header[OPERATION] = 2;
            header[position] = 1;
            let expected = match position {
                30 | 31 => Decoded::Incomplete,
                29 => Decoded::Incomplete, // 65,536, the limit itself
                _ => Decoded::TooLarge { operation: 2 },
            };
            assert_eq!(decode(&header, MAX), expected, "byte {position}");
        }
        let mut header = [0; HEADER_SIZE];
        header[29..].copy_from_slice(&[1, 0, 1]);
        assert_eq!(decode(&header, MAX), Decoded::TooLarge { operation: 0 });
    }

    #[test]
    fn w1_protocol_limit_always_holds() {
        let mut header = [0; HEADER_SIZE];
        header[28] = 0x20; // 2^29
        assert_eq!(decode(&header, usize::MAX), Decoded::Incomplete);
        header[31] = 1;
        assert_eq!(decode(&header, usize::MAX), Decoded::TooLarge { operation: 0 });
    }

    #[test]
    fn w3_operation_of_a_partial_frame() {
        assert_eq!(operation_of(&[]), 0);
        assert_eq!(operation_of(&[9]), 0);
        assert_eq!(operation_of(&[9, 3]), 3);
    }
}
