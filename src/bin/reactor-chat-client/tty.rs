//! What a terminal is like: how wide, how wide characters are on it, and its mode.

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size of a terminal that does not tell it.
const USUAL: TerminalSize = TerminalSize { columns: 80, rows: 24 };

/// Returns the present size of the terminal on stdout.
pub(crate) fn size() -> TerminalSize {
    let Ok(size) = tcgetwinsize(io::stdout()) else { return USUAL };
    let or = |told: u16, usual| if told == 0 { usual } else { usize::from(told) };
    TerminalSize { columns: or(size.ws_col, USUAL.columns), rows: or(size.ws_row, USUAL.rows) }
}

/// The columns of the terminal that stdout is, at this moment.
pub(crate) fn width() -> usize {
    size().columns
}

/// Columns of a text, character by character, as terminals count: most of them know nothing of
/// characters that are drawn as one.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Returns the most columns that a text takes: some terminals join what stands together, such as
/// the emoji of a family, and to some the mark that makes a character an emoji makes it wider.
pub(crate) fn most_columns(text: &str) -> usize {
    columns(text).max(text.width())
}

pub(crate) fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// A terminal with the mode that it had, to be put back.
pub(crate) struct TerminalMode<T> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> TerminalMode<T> {
    /// Remembers it.
    ///
    /// # Errors
    /// It is no terminal, or gone.
    pub(crate) fn of(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        Ok(Self { terminal, before })
    }

    /// What it was.
    pub(crate) fn before(&self) -> &Termios {
        &self.before
    }

    /// Sets another one.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn set(&self, mode: &Termios, when: OptionalActions) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, when, mode)?)
    }

    /// Puts it back now, and not when everything is written: a terminal may be stopped. One that
    /// is gone has no mode.
    pub(crate) fn put_back(&self) {
        let _ = self.set(&self.before, OptionalActions::Now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_counts_columns() {
        assert_eq!(columns("e\u{301}日👋"), 5);
    }
}
