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
pub(super) struct Lines {
    text: String,
    /// stdout has failed: what comes now is lost, once and for all.
    is_closed: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_closed: false }
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

    fn add(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
        self.text.push('\n');
    }

    /// Writes the lines out. An error is told once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() || self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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
        let mut lines = Lines::new();
        lines.add_message(b"bob", "a\nalice: b\u{2028}c\u{2029}d".as_bytes());
        lines.add_message(b"b\n* x", b"\xff");
        lines.add_notice(b"bob left\n* alice left");
        lines.add_line(b"bob: a\x1b");
        let messages = "bob: a alice: b c d\nb * x: \u{fffd}\n* bob left * alice left\n";
        assert_eq!(lines.text, [messages, "bob: a\\u{1b}\n"].concat());
    }
}
