//! Splits messages into entries: one, or several parts if one would not fit a datagram (S16).

use super::downstream::{Entry, MESSAGE_OVERHEAD};
use super::{MAX_ENTRY, MAX_TEXT};
use crate::protocol::datagram::MAX_NAME_AND_MESSAGE;
use crate::protocol::name::MAX_NAME;

/// Returns the bytes of text that fit an entry beside a name of `name` bytes.
const fn space(name: usize) -> usize {
    MAX_ENTRY - MESSAGE_OVERHEAD - name
}

/// The most parts of one message. Beside the longest name, each part holds the fewest bytes. A part
/// may end up to three bytes early, so that it ends with a whole character.
pub const MAX_PARTS: usize = (MAX_NAME_AND_MESSAGE - MAX_NAME).div_ceil(space(MAX_NAME) - 3);

/// The most bytes of all entries of one message.
pub const MAX_PARTS_SIZE: usize = MAX_NAME_AND_MESSAGE + MAX_PARTS * (MESSAGE_OVERHEAD + MAX_NAME);

// Shorter names need no more parts, and the server joins every message that it may relay.
const _: () = assert!(MAX_NAME_AND_MESSAGE.div_ceil(space(1) - 3) <= MAX_PARTS);
const _: () = assert!(MAX_NAME_AND_MESSAGE <= MAX_TEXT);

/// Returns the number of entries for a message with a name and a text of these sizes in bytes. It is
/// one too low if parts end early so as not to cut characters.
pub fn count(name: usize, text: usize) -> usize {
    text.div_ceil(space(name)).max(1)
}

/// Appends the entries of a message to `out`. Every part but the last is an [`Entry::Part`]. Each part
/// ends with a whole character.
pub fn encode_message((member, id): (u32, u32), name: &str, text: &str, out: &mut Vec<u8>) {
    let (name, space) = (name.as_bytes(), space(name.len()));
    let mut rest = text;
    while rest.len() > space {
        let (part, more) = rest.split_at(rest.floor_char_boundary(space));
        Entry::Part { member, id, name, text: part.as_bytes() }.encode(out);
        rest = more;
    }
    Entry::Message { member, id, name, text: rest.as_bytes() }.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stream::downstream::entries;

    /// Returns the texts of the entries of a message, of which all but the last are parts.
    fn texts(name: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        encode_message((7, 9), name, text, &mut out);
        assert!(out.len() <= MAX_PARTS_SIZE);
        let mut texts = Vec::new();
        let mut all = entries(&out);
        let mut is_more_to_come = true;
        while let Some((bytes, entry)) = all.next_with_bytes() {
            assert!(is_more_to_come && bytes.len() <= MAX_ENTRY, "{} bytes", bytes.len());
            is_more_to_come = matches!(entry, Entry::Part { .. });
            let (Entry::Part { member, id, name: its, text }
            | Entry::Message { member, id, name: its, text }) = entry
            else {
                panic!("{entry:?}")
            };
            assert_eq!((member, id, its), (7, 9, name.as_bytes()));
            texts.push(String::from_utf8(text.to_vec()).expect("whole characters"));
        }
        assert!(!is_more_to_come && texts.len() <= MAX_PARTS);
        assert_eq!(texts.concat(), text);
        texts
    }

    #[test]
    fn s16_longer_text_takes_more_parts() {
        let fits = MAX_ENTRY - MESSAGE_OVERHEAD - "bob".len();
        for (size, parts) in [(0, 1), (1, 1), (fits, 1), (fits + 1, 2), (2 * fits, 2)] {
            assert_eq!(texts("bob", &"x".repeat(size)).len(), parts, "{size} bytes");
            assert_eq!(count("bob".len(), size), parts, "{size} bytes");
        }
    }

    #[test]
    fn s16_parts_never_exceed_a_packet() {
        for name in [1, 3, 100, 254, 255] {
            for character in ["x", "é", "部", "👋"] {
                for size in (0..MAX_NAME_AND_MESSAGE - name).step_by(97) {
                    let text = character.repeat(size / character.len());
                    texts(&"n".repeat(name), &text);
                }
                let longest = (MAX_NAME_AND_MESSAGE - name) / character.len();
                texts(&"n".repeat(name), &character.repeat(longest));
            }
        }
    }
}
