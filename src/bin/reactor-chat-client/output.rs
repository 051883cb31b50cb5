//! What the user sees, in one of two ways that is chosen once: a conversation on a terminal, or
//! plain lines, for pipes and for terminals that can do no more.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use crate::log_file::LogFile;
use crate::stdout::{self, PlainLines};
use crate::terminal::{self, Conversation};

/// The displayed and logged conversation. Lines wait in it until they are flushed.
pub(crate) struct Output {
    view: Frontend,
    log: Option<LogFile>,
}

enum Frontend {
    Plain(PlainLines),
    Terminal(Box<Conversation>),
}

impl Output {
    pub(crate) fn plain(lines: PlainLines, log: Option<LogFile>) -> Self {
        Self { view: Frontend::Plain(lines), log }
    }

    pub(crate) fn terminal(conversation: Conversation, log: Option<LogFile>) -> Self {
        Self { view: Frontend::Terminal(Box::new(conversation)), log }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.view, Frontend::Terminal(_))
    }

    /// Whether our own messages are shown when they come back. On a bare terminal they stand there
    /// already, by its echo; elsewhere stdout is the room's record, the same for everyone.
    pub(crate) fn shows_own(&self) -> bool {
        match &self.view {
            Frontend::Plain(_) => !(io::stdin().is_terminal() && io::stdout().is_terminal()),
            Frontend::Terminal(_) => true,
        }
    }

    /// Whether what is added from now on is of now.
    pub(crate) fn show_time(&mut self, is_now: bool) {
        self.log_with(|log| log.show_time(is_now));
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.show_time(is_now);
        }
    }

    pub(crate) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        self.log_with(|log| log.add_message(name, message));
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_message(name, message),
            Frontend::Terminal(conversation) => conversation.add_message(name, message),
        }
    }

    /// Logs our own message, which is on the screen already.
    pub(crate) fn log_own(&mut self, name: &[u8], message: &[u8]) {
        self.log_with(|log| log.add_message(name, message));
    }

    fn log_with(&mut self, add: impl FnOnce(&mut LogFile)) {
        if let Some(log) = &mut self.log {
            add(log);
        }
    }

    /// Adds our own message, with a delivery that does not return it to us. A pipe needs it too
    /// when the input is a terminal, whose echo is not in the pipe.
    pub(crate) fn add_own(&mut self, name: &str, message: &str) {
        self.log_own(name.as_bytes(), message.as_bytes());
        match &mut self.view {
            Frontend::Terminal(conversation) => conversation.add_own(message),
            Frontend::Plain(lines) if io::stdin().is_terminal() && !io::stdout().is_terminal() => {
                lines.add_message(name.as_bytes(), message.as_bytes());
            }
            Frontend::Plain(_) => {}
        }
    }

    /// What the server has made into a line itself.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        self.log_with(|log| log.add(line));
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_line(line),
            Frontend::Terminal(conversation) => conversation.add_line(line),
        }
    }

    pub(crate) fn add_notice(&mut self, text: &[u8]) {
        self.log_with(|log| log.add_notice(text));
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_notice(text),
            Frontend::Terminal(conversation) => conversation.add_notice(text),
        }
    }

    /// A notice whose code says what it does to the member of this name.
    pub(crate) fn add_event(&mut self, code: u8, name: &[u8], text: &[u8]) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_event(code, name);
        }
        self.add_notice(text);
    }

    /// Learns who is there from the answer to that question.
    pub(crate) fn note_members(&mut self, text: &[u8]) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_members(text);
        }
    }

    /// In their place: so many entries are gone for good.
    pub(crate) fn add_gone(&mut self, count: u64) {
        self.add_notice(gone(count).as_bytes());
    }

    /// Says something about the client itself.
    pub(crate) fn tell(&mut self, text: &str) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.tell(text),
            Frontend::Terminal(conversation) => conversation.tell(text),
        }
    }

    /// What the keys do, where they are ours.
    pub(crate) fn tell_keys(&mut self) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.tell(terminal::KEYS);
        }
    }

    /// Whether the server should be asked who is there, for the page's own use.
    pub(crate) fn takes_question(&mut self, now: Instant) -> bool {
        match &mut self.view {
            Frontend::Plain(_) => false,
            Frontend::Terminal(conversation) => conversation.takes_question(now),
        }
    }

    /// The membership is a new one.
    pub(crate) fn begin_again(&mut self, is_host: bool) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.begin_again(is_host);
        }
    }

    /// Returns true if our end may be the end for others, and nobody is told that it is coming.
    /// `knows_others`: whether everybody who comes is known.
    pub(crate) fn asks_before_leaving(&self, knows_others: bool) -> bool {
        match &self.view {
            Frontend::Plain(_) => false,
            Frontend::Terminal(conversation) => conversation.may_have_guests(knows_others),
        }
    }

    /// Notes that a line of the input was taken.
    pub(crate) fn note_taken(&mut self) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_taken();
        }
    }

    /// Shows our own lines that the server has not taken yet.
    pub(crate) fn show_waiting<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.show_waiting(lines.map(|line| String::from_utf8_lossy(line).into()));
        }
    }

    /// Adds a refusal of one of our lines. It is not the room's, so it has no place in the record.
    pub(crate) fn add_refusal(&mut self, line: Option<&[u8]>, why: &[u8]) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_refusal(line, why),
            Frontend::Terminal(conversation) => conversation.add_notice(why),
        }
    }

    /// Adds a hint of the server about our own sending. It is no part of the record either.
    pub(crate) fn add_hint(&mut self, text: &[u8]) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_hint(text),
            Frontend::Terminal(conversation) => conversation.add_notice(text),
        }
    }

    /// Returns true while so much waits to be shown that no more should come.
    pub(crate) fn is_full(&self) -> bool {
        match &self.view {
            Frontend::Plain(lines) => lines.is_full(),
            Frontend::Terminal(_) => false,
        }
    }

    /// Shows the lines. An error is told once; a terminal that takes nothing is told of by who
    /// reads from it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(why) = self.log.as_mut().and_then(LogFile::flush) {
            self.tell(&why);
        }
        match &mut self.view {
            Frontend::Plain(lines) => lines.flush(),
            Frontend::Terminal(conversation) => {
                conversation.flush();
                Ok(())
            }
        }
    }

    /// Ends the conversation and restores the terminal.
    pub(crate) fn close(&mut self) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.close();
        }
    }

    /// Says something about the client itself at its end, when the terminal is restored.
    pub(crate) fn tell_last(&mut self, text: &str) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.tell(text),
            Frontend::Terminal(_) => stdout::tell(text),
        }
    }

    /// Waits until everything is written, at most for `patience` if there is one. Returns how many
    /// lines are left.
    pub(crate) fn drain(&mut self, patience: Option<Duration>) -> usize {
        match &mut self.view {
            Frontend::Plain(lines) => lines.drain(patience),
            Frontend::Terminal(_) => 0,
        }
    }
}

fn gone(count: u64) -> String {
    let messages = if count == 1 { "message" } else { "messages" };
    format!("{count} {messages} could not be recovered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_entries_are_counted() {
        assert_eq!(gone(1), "1 message could not be recovered");
        assert_eq!(gone(3), "3 messages could not be recovered");
    }
}
