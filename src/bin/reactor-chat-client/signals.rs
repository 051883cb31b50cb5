//! SIGINT, SIGTERM and SIGHUP as one more source of the poll.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

/// Shells add this to the number of the signal that ended a program.
pub const SIGNAL_BASE: i32 = 128;

/// The caught signals.
pub(crate) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    caught: Vec<i32>,
    /// Registrations that end the client at the second signal.
    last_resort: Vec<SigId>,
    is_readable: bool,
}

impl Signals {
    /// Catches and registers the signals. A signal that was ignored at the start stays ignored:
    /// nohup(1), or a script that starts jobs with `&`, wants us to outlive it.
    pub(crate) fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_ours = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
        let caught: Vec<i32> = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_ours).collect();
        let last_resort = end_at_the_second(&caught)?;
        let mut inner = signal_hook_mio::v1_0::Signals::new(&caught)?;
        registry.register(&mut inner, token, Interest::READABLE)?;
        Ok(Self { inner, caught, last_resort, is_readable: false })
    }

    /// Leaves the second signal to the event loop too. From now on nothing blocks, and the loop
    /// restores the terminal and counts the lines that were not accepted.
    pub(crate) fn leave_all_to_the_loop(&mut self) {
        for id in self.last_resort.drain(..) {
            low_level::unregister(id);
        }
    }

    pub(crate) fn note_readable(&mut self) {
        self.is_readable = true;
    }

    /// Returns a signal that came since the last call.
    pub(crate) fn take(&mut self) -> Option<i32> {
        // `pending` reads its pipe until it is empty, so the next signal makes an edge.
        std::mem::take(&mut self.is_readable).then(|| self.inner.pending().last()).flatten()
    }

    /// Makes the next signal end the client. The loop is over, and only a reader that does not read
    /// can still block us. Returns true if a signal was left unhandled.
    pub(crate) fn end_at_the_next(&mut self) -> bool {
        let always = Arc::new(AtomicBool::new(true));
        for signal in &self.caught {
            let status = SIGNAL_BASE + signal;
            // If this fails for lack of memory, only the reader can end the wait.
            let _ = flag::register_conditional_shutdown(*signal, status, Arc::clone(&always));
        }
        self.inner.pending().next().is_some()
    }
}

/// Makes the second signal end the client wherever it is: before the loop starts, waiting for a
/// reply may block us. Handlers run in the order of registration, so at the first signal the flag
/// is still false.
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

/// Returns the ignored signals as a bit mask, with signal 1 in the lowest bit (proc(5), SigIgn).
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
