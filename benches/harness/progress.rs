//! One line on stderr that says what is going on, if a terminal shows it.

use std::io::{self, IsTerminal, Write};

pub fn show(scenario: &str, step: &str) {
    write(&format!("{scenario}: {step}"));
}

/// Makes way for the table.
pub fn clear() {
    write("");
}

fn write(text: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        // Progress that can't be shown is not missed.
        let _ = write!(err, "\r\x1b[K{text}");
    }
}
