//! The decoder of units, on a stream of units in any pieces.

use reactor_chat::protocol::carried::{DecodedUnit, MAX_DOWN, MAX_UP, SIZE_FIELD, decode, encode};

use super::input::{Input, pieces};

/// The result of decoding a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// The units, encoded anew.
    units: Vec<u8>,
    /// The size of the unit that ended the stream, if one did.
    refused: Option<usize>,
    /// Bytes of a partial unit at the end.
    rest: usize,
}

/// The input is the limit, the sizes of the pieces, then the stream.
pub fn carried(data: &[u8]) {
    let mut input = Input(data);
    let max = [0, 1, 255, MAX_DOWN, MAX_UP, usize::MAX][input.pick(6)];
    let cuts = input.bytes();
    let stream = input.0;
    let whole = read(stream, &[], max);
    assert_eq!(read(stream, &cuts, max), whole, "in pieces");
    assert_eq!(read_slowly(stream, max), whole, "by the letter of the protocol");
    assert!(stream.starts_with(&whole.units));
}

/// Decodes as a connection does: it appends each piece to the rest and removes whole units.
fn read(stream: &[u8], cuts: &[u8], max: usize) -> Read {
    let (mut read, mut buffer) = (Read::default(), Vec::new());
    for piece in pieces(stream, cuts) {
        buffer.extend_from_slice(piece);
        loop {
            match decode(&buffer, max) {
                DecodedUnit::Incomplete => break,
                DecodedUnit::Whole(content) => {
                    assert!(content.len() <= max);
                    encode(content, &mut read.units);
                    let taken = SIZE_FIELD + content.len();
                    buffer.drain(..taken);
                }
                DecodedUnit::TooLarge { size } => return Read { refused: Some(size), ..read },
            }
        }
    }
    Read { rest: buffer.len(), ..read }
}

/// Decodes by the letter of the protocol.
fn read_slowly(stream: &[u8], max: usize) -> Read {
    let (mut read, mut at) = (Read::default(), 0);
    while let Some(&[high, low]) = stream.get(at..at + 2) {
        let size = usize::from(high) * 256 + usize::from(low);
        if size > max {
            return Read { refused: Some(size), ..read };
        }
        let Some(unit) = stream.get(at..at + 2 + size) else { break };
        read.units.extend_from_slice(unit);
        at += unit.len();
    }
    Read { rest: stream.len() - at, ..read }
}
