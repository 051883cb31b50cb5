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
pub(crate) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    caught: Vec<i32>,
    /// What ends the client at the second one.
    last_resort: Vec<SigId>,
    is_readable: bool,
}

impl Signals {
    /// Catches the signals and registers them. A signal that was ignored at the start stays
    /// ignored: nohup(1), or a script that starts jobs with `&`, wants us to outlive it.
    pub(crate) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_ours = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
        let caught: Vec<i32> = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_ours).collect();
        let last_resort = end_at_the_second(&caught)?;
        let mut inner = signal_hook_mio::v1_0::Signals::new(&caught)?;
        registry.register(&mut inner, token, Interest::READABLE)?;
        Ok(Self { inner, caught, last_resort, is_readable: false })
    }

    /// For a loop that nothing holds up: the second signal ends nothing by itself any more, so a
    /// terminal is not left as it is, and lines that were not taken are still counted.
    pub(crate) fn leave_all_to_the_loop(&mut self) {
        for id in self.last_resort.drain(..) {
            low_level::unregister(id);
        }
    }

    pub(crate) fn note_readable(&mut self) {
        self.is_readable = true;
    }

    /// One that has come since the last time.
    pub(crate) fn take(&mut self) -> Option<i32> {
        // `pending` reads its pipe until it is empty, so the next signal makes an edge.
        std::mem::take(&mut self.is_readable).then(|| self.inner.pending().last()).flatten()
    }

    /// The loop is over, and what is left to be written may be held up by a reader that takes
    /// nothing: the next signal ends us there. Returns true if one has come that was not handled.
    pub(crate) fn end_at_the_next(&mut self) -> bool {
        let always = Arc::new(AtomicBool::new(true));
        for signal in &self.caught {
            let status = SIGNAL_BASE + signal;
            // If there is no memory for it, it is as before: the reader has to go on.
            let _ = flag::register_conditional_shutdown(*signal, status, Arc::clone(&always));
        }
        self.inner.pending().next().is_some()
    }
}

/// Before the loop begins, waiting for the server's reply may hold us up where no signal is heard.
/// The second signal ends the client wherever it is. Handlers run in the order of registration, so
/// the first signal finds the flag down.
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

/// Returns the signals that are ignored, the first bit for signal 1: proc(5), a mask in hex digits.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
