//! SIGINT and SIGTERM as one more source in the poll.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What shells add to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;

/// Whether a signal has come.
pub(super) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    is_readable: bool,
}

impl Signals {
    /// Catches the signals and registers them.
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        end_at_the_second()?;
        let mut inner = signal_hook_mio::v1_0::Signals::new([SIGINT, SIGTERM])?;
        registry.register(&mut inner, token, Interest::READABLE)?;
        Ok(Self { inner, is_readable: false })
    }

    pub(super) fn note_readable(&mut self) {
        self.is_readable = true;
    }

    /// Whether one has come since the last time.
    pub(super) fn take(&mut self) -> bool {
        // `pending` reads its pipe until it is empty, so the next signal makes an edge.
        std::mem::take(&mut self.is_readable) && self.inner.pending().count() > 0
    }
}

/// The loop may be held up where it hears of no signal: writing to a pipe that nobody empties, or
/// waiting for the server's reply. The second signal ends the client wherever it is. Handlers run
/// in the order of registration, so the first signal finds the flag down.
fn end_at_the_second() -> io::Result<()> {
    let first_has_come = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let status = SIGNAL_BASE + signal;
        flag::register_conditional_shutdown(signal, status, Arc::clone(&first_has_come))?;
        flag::register(signal, Arc::clone(&first_has_come))?;
    }
    Ok(())
}
