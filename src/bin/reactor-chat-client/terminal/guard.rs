//! What the terminal had before us and gets back: its mode and its window's title.

use std::io::{self, Stdin, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios,
};
use signal_hook::consts::SIGCONT;
use signal_hook::flag;

use super::prompt::WRAP_ON;
use crate::blocking::takes_more;
use crate::tty::TerminalMode;

/// Pasted text comes between marks (bracketed paste), and the window tells when it gets and loses
/// the focus.
const REPORTS_ON: &str = "\x1b[?2004h\x1b[?1004h";
const REPORTS_OFF: &str = "\x1b[?1004l\x1b[?2004l";

/// The end of a drawing that is to be shown all at once: the editor may have stopped inside of one.
const SHOW: &str = "\x1b[?2026l";

/// How long a terminal may take nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// How often it is looked whether the program was stopped and goes on, and how long from one look to
/// the next: without a shell that could make it go on it is not stopped at all.
const LOOKS: u32 = 40;
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// The mode and the title.
pub(super) struct TerminalGuard {
    mode: TerminalMode<Stdin>,
    title: String,
    goes_on: Arc<AtomicBool>,
}

impl TerminalGuard {
    /// Remembers the mode of the terminal.
    ///
    /// # Errors
    /// stdin is no terminal.
    pub(super) fn new(title: String) -> io::Result<Self> {
        let goes_on = Arc::new(AtomicBool::new(false));
        flag::register(SIGCONT, Arc::clone(&goes_on))?;
        Ok(Self { mode: TerminalMode::of(io::stdin())?, title, goes_on })
    }

    /// Makes the terminal ours: every key comes at once and is not echoed. The old title goes to
    /// the terminal's stack (XTWINOPS).
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn take(&self) -> io::Result<()> {
        self.set_raw()?;
        write(&format!("\x1b[22;0t\x1b]0;{}\x07{REPORTS_ON}", self.title));
        Ok(())
    }

    fn set_raw(&self) -> io::Result<()> {
        self.mode.set(&raw(self.mode.before()), OptionalActions::Now)
    }

    /// Restores the mode and the title.
    pub(super) fn put_back(&self) {
        self.mode.put_back();
        write(&format!("{SHOW}{WRAP_ON}{REPORTS_OFF}\x1b[23;0t"));
    }

    /// Stops the program, and all that the shell takes for one with it, and gives back everything
    /// for so long. The signal is for any thread, so this one may go on for a while.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn stop(&self) -> io::Result<()> {
        self.put_back();
        self.goes_on.store(false, Ordering::SeqCst);
        kill_current_process_group(Signal::TSTP)?;
        for _ in 0..LOOKS {
            if self.goes_on.load(Ordering::SeqCst) {
                break;
            }
            thread::sleep(LOOK_PAUSE);
        }
        self.goes_on.store(false, Ordering::SeqCst);
        self.take()
    }

    /// Returns true if the program goes on after a stop from outside. The shell has set its own
    /// mode since, and this sets ours again.
    pub(super) fn takes_again(&self) -> bool {
        self.goes_on.swap(false, Ordering::SeqCst) && {
            write(REPORTS_ON);
            self.set_raw().is_ok()
        }
    }
}

/// The mode without echo, lines, signals from keys and flow control. Line ends are still made into
/// carriage return and line feed.
fn raw(before: &Termios) -> Termios {
    let mut raw = before.clone();
    raw.input_modes.remove(
        InputModes::BRKINT
            | InputModes::ICRNL
            | InputModes::INPCK
            | InputModes::ISTRIP
            | InputModes::IXON,
    );
    raw.control_modes.insert(ControlModes::CS8);
    raw.local_modes
        .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG);
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    raw
}

/// A terminal that takes nothing has nothing to be put back, and one that is stopped must not keep
/// the program from its end. A thread that is stuck in a write to it counts too: the next one would
/// wait for that.
fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    if takes_more(&stdout, &PATIENCE) {
        let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
    }
}
