//! SIGINT, SIGTERM and SIGHUP as one more source in the poll.

use std::io;

use log::Level;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::signal_name;

use super::source::Source;
use crate::sys;

/// The signals that end the server.
const ENDING: [i32; 2] = [SIGINT, SIGTERM];

/// Signals that have come and were not handled yet.
pub(super) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    readable: bool,
}

impl Signals {
    /// Catches the signals and registers them. Those that end the server stay ignored if they are: a
    /// shell without job control shields background jobs from Ctrl-C. SIGHUP ends nothing, so it is
    /// caught under nohup(1) too.
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let (mut caught, mut ignored) = (vec![SIGHUP], Vec::new());
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
