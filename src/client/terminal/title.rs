//! What the terminal had before us and gets back: its mode and its window's title.

use std::io::{self, Write as _};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The mode and the title, put back when this goes out of scope.
pub(super) struct Borrowed {
    mode: Termios,
}

impl Borrowed {
    /// Remembers the mode and sets the title, with the old one on the terminal's stack (XTWINOPS).
    ///
    /// # Errors
    /// stdin is no terminal.
    pub(super) fn new(title: &str) -> io::Result<Self> {
        let mode = tcgetattr(io::stdin())?;
        write(&format!("\x1b[22;0t\x1b]0;{title}\x07"));
        Ok(Self { mode })
    }

    /// For an editor that can't give back what it changed.
    pub(super) fn put_back_mode(&self) {
        // Now, and not when everything is written: a terminal may be stopped. One that is gone has
        // no mode.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.mode);
        write("\x1b[?2004l\r\n");
    }
}

impl Drop for Borrowed {
    /// The editor, which may have stopped in the middle of a drawing, has asked for that to be shown
    /// all at once: the first sequence is its end.
    fn drop(&mut self) {
        write("\x1b[?2026l\x1b[23;0t");
    }
}

/// A terminal that takes nothing has nothing to be put back.
fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
}
