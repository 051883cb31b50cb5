//! Questions at the terminal that are answered with yes or no.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use rustix::termios::{QueueSelector, tcflush};

/// Bytes of the longest answer. The rest of a line is discarded before the next question.
const LONGEST: u64 = 4096;

/// Asks at the terminal. Everything but `y` and `yes` means no, the end of the input too.
///
/// # Errors
/// There is no terminal.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // Keys that were typed before the question are no answer to it.
    tcflush(&terminal, QueueSelector::IFlush)?;
    terminal.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    BufReader::new(&terminal).take(LONGEST).read_until(b'\n', &mut answer)?;
    if !answer.ends_with(b"\n") {
        terminal.write_all(b"\n")?;
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii().to_ascii_lowercase();
    answer == b"y" || answer == b"yes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e12_answer_is_no_by_default() {
        for no in ["", "\n", "n\n", "no\n", "yep\n", "y n\n", "ye\n", "\u{ff}\n"] {
            assert!(!is_yes(no.as_bytes()), "{no:?}");
        }
        for yes in ["y\n", "Y", "yes\r\n", " Yes \n"] {
            assert!(is_yes(yes.as_bytes()), "{yes:?}");
        }
    }
}
