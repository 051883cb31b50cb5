//! The TCP frame: a 32-byte header, the room name, the operation payload.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | length of the room name |
//! | 1 | 1 | operation |
//! | 2 | 1 | state |
//! | 3 | 29 | length of the payload, big endian |

/// Bytes of a header.
pub const HEADER_SIZE: usize = 32;

/// The largest payload that the protocol knows, in bytes: 2^29.
pub const PROTOCOL_MAX_PAYLOAD: usize = 1 << 29;

/// State 0: a request. What a request says here is not looked at: some clients send 1.
pub const STATE_REQUEST: u8 = 0;
/// State 1: the acknowledgement, whose payload is one status byte.
pub const STATE_ACKNOWLEDGEMENT: u8 = 1;
/// State 2: the completion, whose payload is what was asked for.
pub const STATE_COMPLETION: u8 = 2;

/// Where the header holds the operation.
const OPERATION: usize = 1;
/// Where the header's payload size begins.
const PAYLOAD_SIZE: usize = 3;
/// Where the eight bytes begin that a size of ours can need; those before must be zero.
const LOW_PAYLOAD_SIZE: usize = HEADER_SIZE - size_of::<u64>();

/// One whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What is asked, or what is answered.
    pub operation: u8,
    /// Which part of the exchange this is.
    pub state: u8,
    /// The room name, not checked yet.
    pub room: &'a [u8],
    /// The operation payload.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes of the input the frame took.
    pub fn size(&self) -> usize {
        HEADER_SIZE + self.room.len() + self.payload.len()
    }
}

/// What the input begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Less than a frame.
    Incomplete,
    /// A frame; what follows belongs to the next one.
    Whole(Frame<'a>),
    /// A header that announces more payload than is allowed. There is no telling where the next
    /// frame would begin.
    TooLarge {
        /// The operation, to be echoed.
        operation: u8,
    },
}

/// Looks at the beginning of `input`. Nothing is kept between calls and nothing is allocated, so a
/// frame may arrive in any pieces, and a size that was only announced costs nothing.
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

/// The operation of a frame that is not whole, to be echoed; 0 if it has not arrived.
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

/// Encodes one frame.
///
/// # Panics
/// If the room name is longer than 255 bytes: every name comes from a frame or is checked first.
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
