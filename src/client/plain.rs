//! What may be shown on a terminal.

/// The text on one line, and with nothing in it that a terminal would obey. A tab stays: all it
/// does is to move on, and what is piped through a room may need it.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' => plain.push(' '),
            '\t' => plain.push(c),
            '\u{202D}' | '\u{202E}' => plain.extend(c.escape_unicode()),
            c if c.is_control() => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_done() {
        assert_eq!(plain("a\x1b[2J\r\u{9b}\u{7f}\0b"), r"a\u{1b}[2J\u{d}\u{9b}\u{7f}\u{0}b");
        assert_eq!(plain("\u{202e}evil\u{202d}"), r"\u{202e}evil\u{202d}");
        assert_eq!(plain("tab\tand 日本語 👋🏽 stay"), "tab\tand 日本語 👋🏽 stay");
    }
}
