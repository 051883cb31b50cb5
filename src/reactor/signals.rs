//! SIGINT, SIGTERM and SIGHUP as one more source in the poll.

use std::io;

use log::Level;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::signal_name;

use super::source::Source;
use crate::sys;

/// The signals that end the server.
const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Signals that have come and were not handled yet.
pub(super) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    readable: bool,
}

impl Signals {
    /// Catches the signals and registers them, except those that are ignored: with nohup(1) the server
    /// should outlive the terminal, and a shell without job control shields background jobs from Ctrl-C.
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let (mut caught, mut ignored) = (Vec::new(), Vec::new());
        for signal in ENDING {
            if sys::is_ignored(signal)? { &mut ignored } else { &mut caught }.push(signal);
        }
        log_ignored(&ignored);
        let mut inner = signal_hook_mio::v1_0::Signals::new(caught)?;
        registry.register(&mut inner, Source::Signals.into(), Interest::READABLE)?;
        Ok(Self { inner, readable: false })
    }

    pub(super) fn note_readable(&mut self) {
        self.readable = true;
    }

    /// Returns the signals that have come since the last call.
    pub(super) fn take(&mut self) -> Vec<i32> {
        match std::mem::take(&mut self.readable) {
            // `pending` reads its pipe until it is empty, so the next signal makes an edge.
            true => self.inner.pending().collect(),
            false => Vec::new(),
        }
    }
}

/// Returns true if a second signal of this kind ends the server at once. SIGHUP is not one: when a
/// terminal closes, the kernel and the shell may each send it.
pub(super) fn forces(signal: i32) -> bool {
    signal != SIGHUP
}

/// Logs the ignored signals. SIGTERM is worth a warning: without it no supervisor can stop the server in an
/// orderly way.
fn log_ignored(ignored: &[i32]) {
    if ignored.is_empty() {
        return;
    }
    let level = if ignored.contains(&SIGTERM) { Level::Warn } else { Level::Info };
    let names: Vec<&str> = ignored.iter().filter_map(|signal| signal_name(*signal)).collect();
    log::log!(level, "{} stays ignored, as it was at the start", names.join(", "));
}
