//! stdout and stderr, and what may be shown there.
//!
//! stdout carries messages and notices and nothing else, so that it can be piped on. What
//! comes from the network is never shown as it is: a terminal obeys control characters, and the
//! server need not be one of ours that holds them back.

use std::io::{self, Write as _};

use super::plain::plain;

/// Says something about the client itself. A stderr that takes nothing leaves nobody to tell.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "reactor-chat-client: {text}");
}

/// Lines for stdout that are written together.
pub(super) struct Page {
    lines: String,
    /// stdout has failed: what comes now is lost, once and for all.
    is_closed: bool,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { lines: String::new(), is_closed: false }
    }

    pub(super) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        self.add(&[&shown(name), ": ", &shown(message)]);
    }

    /// What the server has made into a line itself.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        self.add(&[&shown(line)]);
    }

    pub(super) fn add_notice(&mut self, text: &[u8]) {
        self.add(&["* ", &shown(text)]);
    }

    /// In their place: so many entries are gone for good.
    pub(super) fn add_gone(&mut self, count: u64) {
        let messages = if count == 1 { "message" } else { "messages" };
        self.add(&[&format!("* {count} {messages} could not be recovered")]);
    }

    fn add(&mut self, parts: &[&str]) {
        self.lines.extend(parts.iter().copied());
        self.lines.push('\n');
    }

    /// Writes the lines out. An error is told once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() || self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
        self.is_closed = written.is_err();
        written
    }
}

fn shown(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let mut page = Page::new();
        page.add_message(b"bob", "a\nalice: b\u{2028}c\u{2029}d".as_bytes());
        page.add_message(b"b\n* x", b"\xff");
        page.add_notice(b"bob left\n* alice left");
        page.add_line(b"bob: a\x1b");
        let messages = "bob: a alice: b c d\nb * x: \u{fffd}\n* bob left * alice left\n";
        assert_eq!(page.lines, [messages, "bob: a\\u{1b}\n"].concat());
    }

    #[test]
    fn what_is_gone_is_counted() {
        let mut page = Page::new();
        page.add_gone(1);
        page.add_gone(3);
        let lines = "* 1 message could not be recovered\n* 3 messages could not be recovered\n";
        assert_eq!(page.lines, lines);
    }
}
