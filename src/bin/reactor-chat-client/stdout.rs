//! Plain lines on stdout, and lines about the client on stderr.
//!
//! stdout carries messages and notices only, so that it can be piped on. All text from the network
//! is sanitized: a terminal obeys control characters, and other servers may relay them.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use mio::Waker;
use rustix::event::Timespec;

use crate::blocking::{takes_more, write_all};
use crate::sanitize::plain;
use crate::writer::{Writer, WriterTarget};

/// The longest time that an unread stderr may delay the end.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Characters of a line that identify it for the user.
const BEGINNING: usize = 40;

/// Prints a line about the client itself at once. Does nothing if stderr is full.
pub(crate) fn notify(text: &str) {
    if takes_more(io::stderr(), &POLL_PATIENCE) {
        let _ = write_all(io::stderr(), complaint(text).as_bytes());
    }
}

fn complaint(text: &str) -> String {
    format!("reactor-chat-client: {text}\n")
}

/// Buffered lines for stdout, and lines about the client for stderr.
pub(crate) struct PlainLines {
    text: String,
    stdout: Writer,
    stderr: Writer,
    /// True if both are the user's terminal. Then lines about the client keep their place among the
    /// others.
    is_one: bool,
}

impl PlainLines {
    /// Returns lines that are dropped until [`Self::start`].
    pub(crate) fn new() -> Self {
        let is_one = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { text: String::new(), stdout: Writer::default(), stderr: Writer::default(), is_one }
    }

    /// Starts the writers.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(crate) fn start(&self, waker: &Arc<Waker>) -> io::Result<()> {
        self.stdout.start(WriterTarget::Stdout, Arc::clone(waker))?;
        self.stderr.start(WriterTarget::Stderr, Arc::clone(waker))
    }

    /// Adds a line about the client itself.
    pub(crate) fn notify(&mut self, text: &str) {
        match self.is_one {
            true => self.text.push_str(&complaint(text)),
            false => self.stderr.push(&complaint(text)),
        }
    }

    pub(crate) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        self.add(&[&shown(name), ": ", &shown(message)]);
    }

    /// Adds a line that the server has formatted itself.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        self.add(&[&shown(line)]);
    }

    pub(crate) fn add_notice(&mut self, text: &[u8]) {
        self.add(&["* ", &shown(text)]);
    }

    /// Adds a hint on stderr.
    pub(crate) fn add_hint(&mut self, text: &[u8]) {
        self.notify(&shown(text));
    }

    /// Adds a refusal on stderr, with the beginning of the line if it is known.
    pub(crate) fn add_refusal(&mut self, line: Option<&[u8]>, why: &[u8]) {
        match line {
            None => self.notify(&format!("line not accepted: {}", shown(why))),
            Some(line) => {
                self.notify(&format!("line not accepted: {}: '{}'", shown(why), beginning(line)))
            }
        }
    }

    fn add(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
        self.text.push('\n');
    }

    fn hand_over(&mut self) {
        if !self.text.is_empty() {
            self.stdout.push(&std::mem::take(&mut self.text));
        }
    }

    /// Queues the lines for writing. A write error is reported once.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.hand_over();
        self.stdout.take_failure().map_or(Ok(()), Err)
    }

    /// Returns true while no more lines should be added, because the reader is slow.
    pub(crate) fn is_full(&self) -> bool {
        self.stdout.is_full()
    }

    /// Waits until everything is written: on stdout for as long as the reader needs, unless there
    /// is a limit. Returns the number of lines that stdout has not taken.
    pub(crate) fn drain(&mut self, patience: Option<Duration>) -> usize {
        self.hand_over();
        self.stderr.drain(Some(PATIENCE));
        self.stdout.drain(patience)
    }
}

/// Returns the first characters of a line.
fn beginning(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(BEGINNING) {
        None => plain(&text),
        Some((end, _)) => format!("{}...", plain(&text[..end])),
    }
}

fn shown(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_one_line() {
        let mut lines = PlainLines::new();
        lines.add_message(b"bob", "a\nalice: b\u{2028}c\u{2029}d".as_bytes());
        lines.add_message(b"b\n* x", b"\xff");
        lines.add_notice(b"bob left\n* alice left");
        lines.add_line(b"bob: a\x1b");
        let messages = "bob: a alice: b c d\nb * x: \u{fffd}\n* bob left * alice left\n";
        assert_eq!(lines.text, [messages, "bob: a\\u{1b}\n"].concat());
    }
}
