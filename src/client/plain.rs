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

/// The same where it stands in columns: also without tabs, which are as wide as their place wants,
/// and without anything that would turn around what stands beside it.
pub(super) fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '\t' => visible.push_str("    "),
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => visible.extend(c.escape_unicode()),
            c => visible.push(c),
        }
    }
    visible
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

    #[test]
    fn t6_nothing_is_obeyed_and_nothing_is_turned_around() {
        assert_eq!(visible("a\tb\x1b[2J\u{9b}"), "a    b\\u{1b}[2J\\u{9b}");
        assert_eq!(visible("\u{202b}x\u{2067}y\u{2069}"), "\\u{202b}x\\u{2067}y\\u{2069}");
        assert_eq!(visible("שלום 日本 👋"), "שלום 日本 👋");
    }
}
