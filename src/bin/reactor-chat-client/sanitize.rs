//! Makes text safe to print on a terminal.

/// Base of the emoji sequences (flags) that contain tag characters.
const FLAG: char = '\u{1F3F4}';

/// Returns the text on one line, without control characters. Tabs stay: they only move the cursor,
/// and text that is piped through a room may need them. Direction controls are removed, because an
/// isolate that the line does not close would affect the text after it.
pub(crate) fn plain(text: &str) -> String {
    shown(text, |c, plain| match c {
        c if is_directing(c) => {}
        c => plain.push(c),
    })
}

/// Returns the text for columns: tabs become spaces, because their width depends on the position,
/// and embeddings and isolates are escaped, because they would reorder the text beside them.
pub(crate) fn visible(text: &str) -> String {
    shown(text, |c, visible| match c {
        '\t' => visible.push_str("    "),
        '\u{202A}'..='\u{202C}' | '\u{2066}'..='\u{2069}' => visible.extend(c.escape_unicode()),
        c if is_directing(c) => {}
        c => visible.push(c),
    })
}

/// Returns the text on one line without control characters, overrides and hidden tags. `push` adds
/// the other characters.
fn shown(text: &str, push: impl Fn(char, &mut String)) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_in_flag = false;
    for c in text.chars() {
        let is_tag = matches!(c, '\u{E0001}'..='\u{E007F}');
        is_in_flag = c == FLAG || (is_in_flag && is_tag);
        match c {
            '\n' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            '\u{202D}' | '\u{202E}' => shown.extend(c.escape_unicode()),
            c if c.is_control() && c != '\t' => shown.extend(c.escape_unicode()),
            // Tag characters outside a flag are invisible text.
            _ if is_tag && !is_in_flag => {}
            c => push(c, &mut shown),
        }
    }
    shown
}

/// Returns true for direction marks, embeddings, isolates, and their deprecated predecessors.
fn is_directing(c: char) -> bool {
    matches!(
        c,
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202C}' | '\u{2066}'..='\u{206F}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(plain("a\x1b[2J\r\u{9b}\u{7f}\0b"), r"a\u{1b}[2J\u{d}\u{9b}\u{7f}\u{0}b");
        assert_eq!(plain("\u{202e}evil\u{202d}"), r"\u{202e}evil\u{202d}");
        assert_eq!(plain("tab\tand 日本語 👋🏽 stay"), "tab\tand 日本語 👋🏽 stay");
    }

    #[test]
    fn a13_direction_controls_are_removed() {
        let directing = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{2066}\u{2067}\u{2068}\u{2069}\u{206a}";
        for c in directing.chars() {
            assert_eq!(plain(&format!("a{c}b")), "ab", "{c:?}");
            assert!(!visible(&format!("a{c}b")).contains(c), "{c:?}");
        }
        assert_eq!(plain("hidden\u{e0068}\u{e0069}\u{e007f}"), "hidden");
        let scotland = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
        assert_eq!((plain(scotland), visible(scotland)), (scotland.into(), scotland.into()));
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} می\u{200c}خواهم שלום";
        assert_eq!((plain(family), visible(family)), (family.into(), family.into()));
    }

    #[test]
    fn t6_columns_have_no_controls() {
        assert_eq!(visible("a\tb\x1b[2J\u{9b}"), "a    b\\u{1b}[2J\\u{9b}");
        assert_eq!(visible("\u{202b}x\u{2067}y\u{2069}"), "\\u{202b}x\\u{2067}y\\u{2069}");
        assert_eq!(visible("שלום 日本 👋"), "שלום 日本 👋");
    }
}
