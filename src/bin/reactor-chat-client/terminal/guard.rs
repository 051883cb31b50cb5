//! Saves and restores the state of the terminal: its mode and the window title.

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

/// Bracketed paste, and reports of the window's focus.
const REPORTS_ON: &str = "\x1b[?2004h\x1b[?1004h";
const REPORTS_OFF: &str = "\x1b[?1004l\x1b[?2004l";

/// End of synchronized output, because the editor may have stopped inside of it.
const SHOW: &str = "\x1b[?2026l";

/// The longest wait for a terminal that takes no output.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// Number of checks, and the pause between them, whether a stopped program has been resumed.
/// Without a shell that could resume it, the stop has no effect.
const LOOKS: u32 = 40;
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// The saved mode and the title.
pub(super) struct TerminalGuard {
    mode: TerminalMode<Stdin>,
    title: String,
    goes_on: Arc<AtomicBool>,
}

impl TerminalGuard {
    /// Saves the mode of the terminal.
    ///
    /// # Errors
    /// stdin is not a terminal.
    pub(super) fn new(title: String) -> io::Result<Self> {
        let goes_on = Arc::new(AtomicBool::new(false));
        flag::register(SIGCONT, Arc::clone(&goes_on))?;
        Ok(Self { mode: TerminalMode::of(io::stdin())?, title, goes_on })
    }

    /// Switches to raw mode: keys arrive at once and without echo. The terminal keeps the old title
    /// on its stack (XTWINOPS).
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

    /// Stops the whole process group, as the shell expects, with the terminal restored meanwhile.
    /// The signal may go to any thread, so this one may run on for a while.
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

    /// Returns true if the program was resumed after a stop from outside. The shell has changed the
    /// mode since then, so this sets ours again.
    pub(super) fn takes_again(&self) -> bool {
        self.goes_on.swap(false, Ordering::SeqCst) && {
            write(REPORTS_ON);
            self.set_raw().is_ok()
        }
    }
}

/// Returns the raw mode: no echo, no line buffering, no signals from keys, no flow control. Line
/// feeds are still written with a carriage return.
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

/// Writes to the terminal if it takes output. A stopped terminal must not keep the program from its
/// end. The lock on stdout matters: if another thread is stuck in a write, this one would wait for
/// it.
fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    if takes_more(&stdout, &PATIENCE) {
        let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
    }
}
