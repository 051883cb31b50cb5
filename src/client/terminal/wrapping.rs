//! Where a text is cut into lines.

use crate::client::screen::columns_of;

/// Cuts a text into lines of so many columns: at blanks if there are any, else inside of a word.
pub(super) fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((line, next)) = cut(rest, width) {
        lines.push(line);
        rest = next;
    }
    lines.push(rest);
    lines
}

/// The first line of a text and the rest; nothing if it is one line.
fn cut(text: &str, width: usize) -> Option<(&str, &str)> {
    let (mut taken, mut blank) = (0, None);
    for (at, c) in text.char_indices() {
        taken += columns_of(c);
        if c == ' ' {
            blank = Some(at).filter(|at| !text[..*at].trim().is_empty()).or(blank);
        }
        if taken > width && at > 0 {
            return match blank {
                Some(blank) => Some((text[..blank].trim_end(), text[blank..].trim_start())),
                None => Some(text.split_at(at)),
            };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_words_that_are_too_long_anywhere() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("hello", 5), ["hello"]);
        assert_eq!(wrap("hello world", 5), ["hello", "world"]);
        assert_eq!(wrap("a bc  def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("  ab cd", 4), ["  ab", "cd"]);
    }

    #[test]
    fn wide_and_combining_characters_are_kept_whole() {
        assert_eq!(wrap("日本語", 5), ["日本", "語"]);
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
        // Narrower than a character: one a line all the same.
        assert_eq!(wrap("日本", 1), ["日", "本"]);
    }
}
