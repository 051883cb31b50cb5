//! SIGINT, SIGTERM and SIGHUP as one more source in the poll.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

/// What shells add to the number of the signal that ended a program.
pub const SIGNAL_BASE: i32 = 128;

/// Which signal has come.
pub(super) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    caught: &'static [i32],
    /// What ends the client at the second one.
    last_resort: Vec<SigId>,
    is_readable: bool,
}

impl Signals {
    /// Catches the signals and registers them.
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let caught: &[i32] = match is_hangup_ignored() {
            true => &[SIGINT, SIGTERM],
            false => &[SIGINT, SIGTERM, SIGHUP],
        };
        let last_resort = end_at_the_second(caught)?;
        let mut inner = signal_hook_mio::v1_0::Signals::new(caught)?;
        registry.register(&mut inner, token, Interest::READABLE)?;
        Ok(Self { inner, caught, last_resort, is_readable: false })
    }

    /// For a loop that nothing holds up, and a terminal that must not be left as it is: the second
    /// signal ends nothing by itself any more.
    pub(super) fn leave_all_to_the_loop(&mut self) {
        for id in self.last_resort.drain(..) {
            low_level::unregister(id);
        }
    }

    pub(super) fn note_readable(&mut self) {
        self.is_readable = true;
    }

    /// One that has come since the last time.
    pub(super) fn take(&mut self) -> Option<i32> {
        // `pending` reads its pipe until it is empty, so the next signal makes an edge.
        std::mem::take(&mut self.is_readable).then(|| self.inner.pending().last()).flatten()
    }
}

impl Drop for Signals {
    /// The loop is over, and what is left to be said may be held up by a terminal that takes nothing:
    /// the next signal ends us there.
    fn drop(&mut self) {
        let always = Arc::new(AtomicBool::new(true));
        for signal in self.caught {
            let status = SIGNAL_BASE + signal;
            // If there is no memory for it, it is as before: the terminal has to go on.
            let _ = flag::register_conditional_shutdown(*signal, status, Arc::clone(&always));
        }
    }
}

/// The loop may be held up where it hears of no signal: writing to a pipe that nobody empties, or
/// waiting for the server's reply. The second signal ends the client wherever it is. Handlers run
/// in the order of registration, so the first signal finds the flag down.
fn end_at_the_second(signals: &[i32]) -> io::Result<Vec<SigId>> {
    let first_has_come = Arc::new(AtomicBool::new(false));
    let mut registered = Vec::new();
    for signal in signals.iter().copied() {
        let status = SIGNAL_BASE + signal;
        let ends = flag::register_conditional_shutdown(signal, status, Arc::clone(&first_has_come));
        registered.push(ends?);
        registered.push(flag::register(signal, Arc::clone(&first_has_come))?);
    }
    Ok(registered)
}

/// Whether who started us wants us to outlive the terminal, as nohup(1) does: proc(5), a mask in
/// hex digits, the first bit for signal 1.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
