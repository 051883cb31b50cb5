//! Units: the messages of a carried member, which travel on the connection of its request (C1).
//!
//! Behind the completion, the connection carries units in both directions:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | size of the content, big endian |
//! | 2 | size | content |
//!
//! From client to server, the content is the part of a datagram that follows the token; a unit of size 0
//! is a keep-alive. From server to client, it is the content of one datagram.

use super::datagram::{MAX_DOWNSTREAM, MAX_UPSTREAM};

/// The size of the field in front of the content, in bytes.
pub const SIZE_FIELD: usize = size_of::<u16>();

/// The largest content of a unit to the server, in bytes. A larger one ends the connection.
pub const MAX_UP: usize = MAX_UPSTREAM;

/// The largest content of a unit to a client, in bytes. A larger one ends the connection.
pub const MAX_DOWN: usize = MAX_DOWNSTREAM;

/// The unit at the beginning of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedUnit<'a> {
    /// More bytes are needed. Read them, then decode all of the input again.
    Incomplete,
    /// The content of a whole unit. It took [`SIZE_FIELD`] bytes more of the input, and the bytes
    /// behind them belong to the next unit.
    Whole(&'a [u8]),
    /// A size over the limit. End the connection.
    TooLarge {
        /// The size, in bytes.
        size: usize,
    },
}

/// Decodes the unit at the beginning of `input`. Its content may have at most `max` bytes: [`MAX_UP`]
/// at the server, [`MAX_DOWN`] at a client.
///
/// This keeps nothing between calls and allocates nothing. So a unit may arrive in any pieces, and an
/// announced size costs no memory.
///
/// ```
/// use reactor_chat::protocol::carried::{DecodedUnit, MAX_DOWN, SIZE_FIELD, decode, encode};
///
/// let mut input = Vec::new();
/// encode(b"ann: hello", &mut input);
/// assert_eq!(decode(&input[..5], MAX_DOWN), DecodedUnit::Incomplete);
/// let DecodedUnit::Whole(content) = decode(&input, MAX_DOWN) else { unreachable!() };
/// assert_eq!((content, input.len()), (&b"ann: hello"[..], SIZE_FIELD + content.len()));
/// ```
pub fn decode(input: &[u8], max: usize) -> DecodedUnit<'_> {
    let Some((size, rest)) = input.split_first_chunk::<SIZE_FIELD>() else {
        return DecodedUnit::Incomplete;
    };
    match usize::from(u16::from_be_bytes(*size)) {
        size if size > max => DecodedUnit::TooLarge { size },
        size => rest.get(..size).map_or(DecodedUnit::Incomplete, DecodedUnit::Whole),
    }
}

/// Appends a unit with this content to `out`.
///
/// # Panics
/// If the content is longer than 65,535 bytes. No unit of this protocol is.
pub fn encode(content: &[u8], out: &mut Vec<u8>) {
    let size = u16::try_from(content.len()).expect("a content that fits its size field");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c1_sizes_are_big_endian() {
        let mut out = Vec::new();
        encode(&[b'x'; 258], &mut out);
        assert_eq!((&out[..3], out.len()), (&[1, 2, b'x'][..], 260));
        assert_eq!(decode(&[0, 0, 9], MAX_UP), DecodedUnit::Whole(b""), "a keep-alive");
    }

    #[test]
    fn c1_limits_are_exact() {
        for max in [MAX_UP, MAX_DOWN] {
            let mut out = Vec::new();
            encode(&vec![b'x'; max], &mut out);
            assert_eq!(decode(&out, max), DecodedUnit::Whole(&out[SIZE_FIELD..]));
            let size = max + 1;
            let announced = (size as u16).to_be_bytes();
            assert_eq!(
                decode(&announced, max),
                DecodedUnit::TooLarge { size },
                "before it is there"
            );
        }
    }

    proptest! {
        #[test]
        fn c1_units_survive_any_cut(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..9),
            cuts in proptest::collection::vec(1usize..99, 0..60),
        ) {
            let mut stream = Vec::new();
            contents.iter().for_each(|content| encode(content, &mut stream));
            let (mut rest, mut input, mut read) = (&stream[..], Vec::new(), Vec::new());
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(cuts.next().unwrap_or(7).min(rest.len()));
                input.extend_from_slice(piece);
                rest = later;
                while let DecodedUnit::Whole(content) = decode(&input, MAX_DOWN) {
                    let taken = SIZE_FIELD + content.len();
                    read.push(content.to_vec());
                    input.drain(..taken);
                }
            }
            prop_assert_eq!(decode(&input, MAX_DOWN), DecodedUnit::Incomplete);
            prop_assert_eq!((read, input.len()), (contents, 0));
        }
    }
}
