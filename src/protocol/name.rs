//! What may be a name.
//!
//! A name is shown to people and compared by them, so it holds nothing that can't be seen: control
//! and format characters, line and paragraph separators, unassigned and private code points, the
//! letters that Unicode defines as blank, and no white space but single spaces inside.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The longest name in bytes: its length travels in one byte.
pub const MAX_NAME: usize = 255;

/// Letters by their category, blank by their shape: the Hangul fillers.
const FILLERS: [char; 4] = ['\u{115F}', '\u{1160}', '\u{3164}', '\u{FFA0}'];

/// The room name in these bytes, if they are one.
pub fn room_name(bytes: &[u8]) -> Option<&str> {
    let name = str::from_utf8(bytes).ok()?;
    is_visible(name).then_some(name)
}

/// Whether this is a user name: as a room name, and without what would let `NAME: MESSAGE` be cut
/// in two ways.
pub fn is_user_name(name: &str) -> bool {
    is_visible(name) && !name.contains(": ") && !name.ends_with(':')
}

/// The form in which user names are compared: Unicode lower case, without normalisation.
pub fn fold(name: &str) -> Box<str> {
    name.to_lowercase().into_boxed_str()
}

fn is_visible(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(' ')
        && !name.ends_with(' ')
        && !name.contains("  ")
        && name.chars().all(is_allowed)
}

fn is_allowed(c: char) -> bool {
    let hidden = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    !hidden && !FILLERS.contains(&c) && (c == ' ' || !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w7_names_that_people_use_are_taken() {
        for name in ["alice", "A b c", "日本語の部屋", "żółć", "👋🏽", "a:b", "O'Neil", "x\u{301}"]
        {
            assert!(is_user_name(name), "{name:?}");
            assert_eq!(room_name(name.as_bytes()), Some(name));
        }
        assert!(is_user_name(&"x".repeat(MAX_NAME)));
    }

    #[test]
    fn w7_what_cannot_be_seen_is_refused() {
        let hidden = [
            "\0",
            "\n",
            "\t",
            "\u{7f}",
            "\u{85}",
            "\u{ad}",
            "\u{200b}",
            "\u{200d}",
            "\u{202e}",
            "\u{2028}",
            "\u{2029}",
            "\u{feff}",
            "\u{e000}",
            "\u{10ffff}",
            "\u{378}",
            "\u{115f}",
            "\u{1160}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{a0}",
            "\u{3000}",
            "\u{2003}",
            "\u{1b}[31m",
        ];
        for hidden in hidden {
            let name = format!("a{hidden}b");
            assert_eq!(room_name(name.as_bytes()), None, "{name:?}");
            assert!(!is_user_name(&name), "{name:?}");
        }
        for name in ["", " ", " a", "a ", "a  b"] {
            assert_eq!(room_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(room_name(&[b'x'; MAX_NAME + 1]), None);
        assert_eq!(room_name(b"caf\xe9"), None);
    }

    #[test]
    fn w7_a_user_name_cannot_end_itself() {
        for name in ["bob: hi", "bob:", ":", "a: b"] {
            assert!(!is_user_name(name), "{name:?}");
            assert!(room_name(name.as_bytes()).is_some(), "a room may: {name:?}");
        }
    }

    #[test]
    fn w8_names_are_compared_in_lower_case_without_normalisation() {
        assert_eq!(fold("Élan İ"), fold("élan i\u{307}"));
        assert_ne!(fold("e\u{301}"), fold("\u{e9}"));
        assert_ne!(fold("ß"), fold("ss"));
    }
}
