//! The state that the event loop and the editor's thread share.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex};

use crate::terminal::keys::locked;
use crate::terminal::lines::{Label, RoomLine};

/// The most bytes that wait to be printed. A terminal that is stopped for long misses the rest.
const MOST_WAITING: usize = 1024 * 1024;

/// New content from the loop.
pub(in crate::terminal) struct Update {
    /// Lines to print above the prompt.
    pub(in crate::terminal) lines: Vec<RoomLine>,
    /// All our own lines that the server has not accepted yet.
    pub(in crate::terminal) waiting: Vec<String>,
    /// Number of typed lines that are among these or are done.
    pub(in crate::terminal) taken: usize,
    /// True if the bell should ring.
    pub(in crate::terminal) rings: bool,
}

/// State that the threads share.
pub(super) struct EditorDesk {
    pub(super) state: Mutex<EditorState>,
    pub(super) changed: Condvar,
    /// Wakes the thread when a byte is written to it.
    pub(super) bell: UnixStream,
}

/// Content for the thread, and the state of the terminal.
#[derive(Default)]
pub(super) struct EditorState {
    /// Content to be printed next.
    lines: Vec<RoomLine>,
    bytes: usize,
    /// Number of lines that were dropped for lack of space.
    lost: usize,
    /// Our own lines that the server has not accepted yet.
    pub(super) waiting: Vec<String>,
    /// Number of typed lines that the loop has read since the last drawing.
    pub(super) taken: usize,
    /// True if the bell should ring.
    pub(super) rings: bool,
    /// True if the window has lost the focus.
    pub(super) is_away: bool,
    /// True if the first message since then was marked.
    pub(super) is_marked: bool,
    /// True if no more content comes.
    pub(super) is_closing: bool,
    /// True if the thread is done with the terminal.
    pub(super) is_over: bool,
}

impl EditorDesk {
    /// Changes the state, and wakes both threads.
    pub(super) fn set(&self, change: impl FnOnce(&mut EditorState)) {
        change(&mut locked(&self.state));
        self.changed.notify_all();
        // A full pipe wakes the thread as well.
        let _ = (&self.bell).write(b"!");
    }
}

impl EditorState {
    /// Adds new content from the loop.
    pub(super) fn note(&mut self, update: Update) {
        self.waiting = update.waiting;
        self.taken += update.taken;
        self.rings |= update.rings;
        update.lines.into_iter().for_each(|line| self.add(line));
    }

    /// Adds a line to print, or counts it as lost if too much waits.
    pub(super) fn add(&mut self, line: RoomLine) {
        match self.bytes + line.size() {
            0..=MOST_WAITING => {
                self.bytes += line.size();
                self.lines.push(line);
            }
            _ => self.lost += 1,
        }
    }

    /// Takes the lines to print.
    pub(super) fn take_lines(&mut self) -> Vec<RoomLine> {
        self.bytes = 0;
        let mut lines = std::mem::take(&mut self.lines);
        match std::mem::take(&mut self.lost) {
            0 => {}
            lost => lines.push(told(&format!("{lost} lines were not shown: the terminal stood"))),
        }
        lines
    }
}

/// Returns a line of our own.
pub(super) fn told(text: &str) -> RoomLine {
    RoomLine { time: String::new(), label: Label::Mark("--"), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_terminal_counts_lost_lines() {
        let mut state = EditorState::default();
        let line =
            |text: &str| RoomLine { time: String::new(), label: Label::Nothing, text: text.into() };
        let half = line(&"a".repeat(MOST_WAITING / 2 - 10));
        (0..3).for_each(|_| state.add(half.clone()));
        let lines = state.take_lines();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2].text, "1 lines were not shown: the terminal stood");
        state.add(line("c"));
        assert_eq!(state.take_lines().len(), 1);
    }
}
