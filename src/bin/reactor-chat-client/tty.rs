//! The terminal: its size, its mode, and the width of text on it.

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

/// The assumed size of a terminal that does not report one.
const USUAL: TerminalSize = TerminalSize { columns: 80, rows: 24 };

/// Returns the present size of the terminal on stdout.
pub(crate) fn size() -> TerminalSize {
    let Ok(size) = tcgetwinsize(io::stdout()) else { return USUAL };
    let or = |told: u16, usual| if told == 0 { usual } else { usize::from(told) };
    TerminalSize { columns: or(size.ws_col, USUAL.columns), rows: or(size.ws_row, USUAL.rows) }
}

/// Returns the present width of the terminal on stdout.
pub(crate) fn width() -> usize {
    size().columns
}

/// Returns the columns of a text as most terminals count: character by character, without regard to
/// grapheme clusters.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Returns the most columns that a text may take. Some terminals join sequences such as the emoji
/// of a family, and on some an emoji presentation mark makes a character wider.
pub(crate) fn most_columns(text: &str) -> usize {
    columns(text).max(text.width())
}

pub(crate) fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// A terminal, and its mode at the start.
pub(crate) struct TerminalMode<T> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> TerminalMode<T> {
    /// Saves the mode of the terminal.
    ///
    /// # Errors
    /// It is not a terminal, or it is gone.
    pub(crate) fn of(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        Ok(Self { terminal, before })
    }

    /// Returns the saved mode.
    pub(crate) fn before(&self) -> &Termios {
        &self.before
    }

    /// Sets another mode.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn set(&self, mode: &Termios, when: OptionalActions) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, when, mode)?)
    }

    /// Restores the saved mode at once, without waiting for output: the terminal may be stopped. A
    /// terminal that is gone has no mode.
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
