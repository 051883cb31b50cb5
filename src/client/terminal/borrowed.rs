//! What the terminal had before us and gets back: its mode and its window's title.

use std::io::{self, Stdin, Write as _};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::OptionalActions;
use signal_hook::consts::SIGCONT;
use signal_hook::flag;

use crate::client::screen::Mode;

/// Text that is pasted comes between marks, and no more: as rustyline has it.
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";

/// The end of a drawing that is to be shown all at once: rustyline may have stopped inside of one.
const SHOW: &str = "\x1b[?2026l";

/// How long a terminal may take nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// How often it is looked whether the program was stopped and goes on, and how long from one look to
/// the next: without a shell that could make it go on it is not stopped at all.
const LOOKS: u32 = 40;
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// The mode and the title.
pub(super) struct Borrowed {
    mode: Mode<Stdin>,
    title: String,
    goes_on: Arc<AtomicBool>,
}

impl Borrowed {
    /// Remembers the mode and sets the title.
    ///
    /// # Errors
    /// stdin is no terminal.
    pub(super) fn new(title: String) -> io::Result<Self> {
        let goes_on = Arc::new(AtomicBool::new(false));
        flag::register(SIGCONT, Arc::clone(&goes_on))?;
        let borrowed = Self { mode: Mode::of(io::stdin())?, title, goes_on };
        borrowed.set_title();
        Ok(borrowed)
    }

    /// With the old one on the terminal's stack (XTWINOPS).
    fn set_title(&self) {
        write(&format!("\x1b[22;0t\x1b]0;{}\x07", self.title));
    }

    /// Puts back the title; the mode was put back by the editor.
    pub(super) fn put_back(&self) {
        write(&format!("{SHOW}\x1b[23;0t"));
    }

    /// Puts back the mode for an editor that can't.
    pub(super) fn put_back_mode(&self) {
        self.mode.put_back();
        write(&format!("{PASTE_OFF}\r\n"));
    }

    /// Stops the program, and all that the shell takes for one with it, and gives back everything
    /// for so long. The signal is for any thread, so this one may go on for a while: rustyline's own
    /// stop takes the terminal again in that while.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn stop(&self) -> io::Result<()> {
        let raw = Mode::of(io::stdin())?;
        raw.set(self.mode.before(), OptionalActions::Drain)?;
        write(PASTE_OFF);
        self.put_back();
        self.goes_on.store(false, Ordering::SeqCst);
        kill_current_process_group(Signal::TSTP)?;
        for _ in 0..LOOKS {
            if self.goes_on.load(Ordering::SeqCst) {
                break;
            }
            thread::sleep(LOOK_PAUSE);
        }
        raw.set(raw.before(), OptionalActions::Drain)?;
        write(PASTE_ON);
        self.set_title();
        Ok(())
    }
}

/// A terminal that takes nothing has nothing to be put back, and one that is stopped must not keep
/// the program from its end.
fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    if takes_more(&stdout) {
        let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
    }
}

/// Whether the terminal takes something now or soon. A thread that is stuck in a write to it counts
/// too: the next one would wait for that.
fn takes_more(terminal: impl AsFd) -> bool {
    let mut polled = [PollFd::new(&terminal, PollFlags::OUT)];
    // A signal breaks off nothing but a wait.
    poll(&mut polled, Some(&PATIENCE)).is_ok_and(|ready| ready > 0)
}
