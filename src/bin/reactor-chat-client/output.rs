//! Everything that the user sees. There are two forms, chosen at the start: a conversation on a
//! terminal, or plain lines for pipes and simple terminals.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use crate::log_file::LogFile;
use crate::stdout::{self, PlainLines};
use crate::terminal::{self, Conversation};

/// The conversation as the user sees it and as the log has it. Lines are buffered until
/// [`Output::flush`].
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

    /// Returns true if our own messages are shown when they come back. The echo of a plain terminal
    /// has shown them already. Elsewhere stdout is the room's record, the same for everyone.
    pub(crate) fn shows_own(&self) -> bool {
        match &self.view {
            Frontend::Plain(_) => !(io::stdin().is_terminal() && io::stdout().is_terminal()),
            Frontend::Terminal(_) => true,
        }
    }

    /// Notes whether the lines that follow are current, and so have a time.
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

    /// Logs our own message, which the screen shows already.
    pub(crate) fn log_own(&mut self, name: &[u8], message: &[u8]) {
        self.log_with(|log| log.add_message(name, message));
    }

    fn log_with(&mut self, add: impl FnOnce(&mut LogFile)) {
        if let Some(log) = &mut self.log {
            add(log);
        }
    }

    /// Adds our own message, for deliveries that do not return it. If stdin is a terminal and
    /// stdout a pipe, the pipe needs it too: the terminal's echo does not reach it.
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

    /// Adds a line that the server has formatted itself.
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

    /// Adds a notice. Its code tells the roster what happened to this member.
    pub(crate) fn add_event(&mut self, code: u8, name: &[u8], text: &[u8]) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_event(code, name);
        }
        self.add_notice(text);
    }

    /// Updates the roster from an answer to `/who`.
    pub(crate) fn note_members(&mut self, text: &[u8]) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_members(text);
        }
    }

    /// Adds a notice in the place of entries that are lost for good.
    pub(crate) fn add_gone(&mut self, count: u64) {
        self.add_notice(gone(count).as_bytes());
    }

    /// Prints a line about the client itself.
    pub(crate) fn notify(&mut self, text: &str) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.notify(text),
            Frontend::Terminal(conversation) => conversation.notify(text),
        }
    }

    /// Prints the keys, if there is a terminal.
    pub(crate) fn show_keys(&mut self) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.notify(terminal::KEYS);
        }
    }

    /// Returns true if the output needs the list of members.
    pub(crate) fn wants_members(&mut self, now: Instant) -> bool {
        match &mut self.view {
            Frontend::Plain(_) => false,
            Frontend::Terminal(conversation) => conversation.wants_members(now),
        }
    }

    /// Resets the roster for a new membership.
    pub(crate) fn begin_again(&mut self, is_host: bool) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.begin_again(is_host);
        }
    }

    /// Returns true if leaving would close the room for others. `knows_others` is true if every
    /// other member is known by name.
    pub(crate) fn warns_before_leaving(&self, knows_others: bool) -> bool {
        match &self.view {
            Frontend::Plain(_) => false,
            Frontend::Terminal(conversation) => conversation.may_have_guests(knows_others),
        }
    }

    /// Notes that a typed line was read.
    pub(crate) fn note_taken(&mut self) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.note_taken();
        }
    }

    /// Shows our own lines that the server has not accepted yet.
    pub(crate) fn show_waiting<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>) {
        if let Frontend::Terminal(conversation) = &mut self.view {
            conversation.show_waiting(lines.map(|line| String::from_utf8_lossy(line).into()));
        }
    }

    /// Adds the refusal of one of our lines. It concerns us alone, so the log does not have it.
    pub(crate) fn add_refusal(&mut self, line: Option<&[u8]>, why: &[u8]) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_refusal(line, why),
            Frontend::Terminal(conversation) => conversation.add_notice(why),
        }
    }

    /// Adds a hint from the server about our sending. The log does not have it either.
    pub(crate) fn add_hint(&mut self, text: &[u8]) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.add_hint(text),
            Frontend::Terminal(conversation) => conversation.add_notice(text),
        }
    }

    /// Returns true while no more entries should be added, because the reader is slow.
    pub(crate) fn is_full(&self) -> bool {
        match &self.view {
            Frontend::Plain(lines) => lines.is_full(),
            Frontend::Terminal(_) => false,
        }
    }

    /// Writes the buffered lines. Returns a write error once. The reader of a terminal reports its
    /// errors itself.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(why) = self.log.as_mut().and_then(LogFile::flush) {
            self.notify(&why);
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

    /// Prints a last line about the client, after the terminal is restored.
    pub(crate) fn notify_last(&mut self, text: &str) {
        match &mut self.view {
            Frontend::Plain(lines) => lines.notify(text),
            Frontend::Terminal(_) => stdout::notify(text),
        }
    }

    /// Waits until everything is written, for at most `patience` if that is set. Returns the number
    /// of lines left.
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
