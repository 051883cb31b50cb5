//! Wraps text into lines.

use std::ops::Range;

use crate::tty::columns_of;

/// Wraps a text into lines of this width: at blanks if possible, otherwise inside of a word, but
/// not inside of a URL if `keeps_urls`. A URL that is too long has a line of its own.
pub(super) fn wrap(text: &str, width: usize, keeps_urls: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((line, next)) = cut(rest, width, keeps_urls) {
        lines.push(line);
        rest = next;
    }
    lines.push(rest);
    lines
}

/// Returns the first line and the rest, or `None` if the text fits in one line.
fn cut(text: &str, width: usize, keeps_urls: bool) -> Option<(&str, &str)> {
    let (mut taken, mut blank) = (0, None);
    for (at, c) in text.char_indices() {
        taken += columns_of(c);
        if c == ' ' {
            blank = Some(at).filter(|at| !text[..*at].trim().is_empty()).or(blank);
        }
        if taken > width && at > 0 {
            let url = url_around(text, at).filter(|_| keeps_urls);
            return cut_before(text, at, blank, url);
        }
    }
    None
}

/// Splits the text if the character at `end` does not fit and may be a part of this URL.
fn cut_before(
    text: &str,
    end: usize,
    blank: Option<usize>,
    url: Option<Range<usize>>,
) -> Option<(&str, &str)> {
    match (url, blank) {
        (None, None) => Some(text.split_at(end)),
        (None, Some(blank)) => Some(at_blank(text, blank)),
        (Some(url), Some(blank)) if blank >= url.end => Some(at_blank(text, blank)),
        (Some(url), _) if !text[..url.start].trim().is_empty() => Some(at_blank(text, url.start)),
        (Some(url), _) if text[url.end..].trim().is_empty() => None,
        (Some(url), _) => Some(at_blank(text, url.end)),
    }
}

fn at_blank(text: &str, at: usize) -> (&str, &str) {
    (text[..at].trim_end(), text[at..].trim_start())
}

/// Returns the URL around this place: a scheme, `://`, and all text up to white space or a bracket
/// that no URL contains.
fn url_around(text: &str, at: usize) -> Option<Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || "<>\"「」『』（）".contains(c);
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let mut urls = text.match_indices("://").map(|(colon, _)| {
        let scheme = text[..colon].rfind(|c| !is_scheme(c));
        let start = scheme.map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
        let end = text[colon..].find(is_end).map_or(text.len(), |end| colon + end);
        start..end
    });
    urls.find(|url| url.start < at && at < url.end)
}

#[cfg(test)]
mod tests {
    fn wrap(text: &str, width: usize) -> Vec<&str> {
        super::wrap(text, width, true)
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("hello", 5), ["hello"]);
        assert_eq!(wrap("hello world", 5), ["hello", "world"]);
        assert_eq!(wrap("a bc  def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("  ab cd", 4), ["  ab", "cd"]);
    }

    #[test]
    fn clusters_are_not_cut() {
        assert_eq!(wrap("日本語", 5), ["日本", "語"]);
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
        // A character that is wider than the line has a line of its own.
        assert_eq!(wrap("日本", 1), ["日", "本"]);
    }

    #[test]
    fn field_m_urls_are_not_cut() {
        let url = "https://a.example/b?c=d-e";
        assert_eq!(wrap(url, 8), [url]);
        assert_eq!(wrap(&format!("see {url} and more"), 8), ["see", url, "and more"]);
        assert_eq!(wrap(&format!("{url} {url}"), 8), [url, url]);
        assert_eq!(wrap(&format!("見て「{url}」です"), 8), ["見て「", url, "」です"]);
        assert_eq!(wrap(&format!("  {url}  "), 8), [format!("  {url}  ")]);
        assert_eq!(super::wrap("x://abcd", 5, false), ["x://a", "bcd"]);
        // A URL that fits stays in its place.
        assert_eq!(wrap("see x://yz now", 10), ["see x://yz", "now"]);
    }
}
