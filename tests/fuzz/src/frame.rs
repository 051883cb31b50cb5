//! The frame decoder, on a stream of frames in any pieces.

use reactor_chat::protocol::frame::{HEADER_SIZE, PROTOCOL_MAX_PAYLOAD, encode, operation_of};
use reactor_chat::protocol::{Decoded, decode};

use super::input::{Input, pieces};

/// The result of decoding a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// The frames, encoded anew.
    frames: Vec<u8>,
    /// The operation of the frame that ended the stream, if one did.
    refused: Option<u8>,
    /// Bytes of a partial frame at the end.
    rest: usize,
}

/// The input is the limit, the sizes of the pieces, then the stream.
pub fn frame(data: &[u8]) {
    let mut input = Input(data);
    let max_payload = [0, 1, 255, 300, 65_536, PROTOCOL_MAX_PAYLOAD, usize::MAX][input.pick(7)];
    let cuts = input.bytes();
    let stream = input.0;
    let whole = read(stream, &[], max_payload);
    assert_eq!(read(stream, &cuts, max_payload), whole, "in pieces");
    assert_eq!(read_slowly(stream, max_payload), whole, "by the letter of the protocol");
}

/// Decodes as a connection does: it appends each piece to the rest and removes whole frames.
fn read(stream: &[u8], cuts: &[u8], max_payload: usize) -> Read {
    let (mut read, mut buffer) = (Read::default(), Vec::new());
    for piece in pieces(stream, cuts) {
        buffer.extend_from_slice(piece);
        loop {
            match decode(&buffer, max_payload) {
                Decoded::Incomplete => break,
                Decoded::Whole(frame) => {
                    assert_eq!(operation_of(&buffer), frame.operation);
                    assert!(frame.payload.len() <= max_payload);
                    let again = encode(frame.operation, frame.state, frame.room, frame.payload);
                    assert_eq!(again.len(), frame.size());
                    read.frames.extend_from_slice(&again);
                    buffer.drain(..again.len());
                }
                Decoded::TooLarge { operation } => {
                    return Read { refused: Some(operation), rest: 0, ..read };
                }
            }
        }
    }
    Read { rest: buffer.len(), ..read }
}

/// Decodes by the letter of the protocol: 29 bytes are one number.
fn read_slowly(stream: &[u8], max_payload: usize) -> Read {
    let (mut read, mut at) = (Read::default(), 0);
    while let Some(header) = stream.get(at..at + HEADER_SIZE) {
        let limit = max_payload.min(PROTOCOL_MAX_PAYLOAD);
        let size = header[3..].iter().try_fold(0usize, |size, byte| {
            Some(size * 256 + usize::from(*byte)).filter(|size| *size <= limit)
        });
        let Some(size) = size else { return Read { refused: Some(header[1]), rest: 0, ..read } };
        let end = at + HEADER_SIZE + usize::from(header[0]) + size;
        let Some(frame) = stream.get(at..end) else { break };
        read.frames.extend_from_slice(frame);
        at = end;
    }
    Read { rest: stream.len() - at, ..read }
}
