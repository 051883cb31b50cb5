//! What a terminal is like, as far as output has to know.

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// The width of a terminal that does not tell it.
const WIDTH: usize = 80;

/// The columns of the terminal that stdout is, if it is one, at this moment.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| match tcgetwinsize(&stdout) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => WIDTH,
    })
}
