//! SIGINT and SIGTERM as one more source in the poll.

use std::io;

use mio::{Interest, Registry};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::source::Source;

/// Signals that have come and were not looked at.
pub(super) struct Signals {
    inner: signal_hook_mio::v1_0::Signals,
    readable: bool,
}

impl Signals {
    /// Catches the signals and registers them.
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let mut inner = signal_hook_mio::v1_0::Signals::new([SIGINT, SIGTERM])?;
        registry.register(&mut inner, Source::Signals.into(), Interest::READABLE)?;
        Ok(Self { inner, readable: false })
    }

    pub(super) fn note_readable(&mut self) {
        self.readable = true;
    }

    /// The signals that have come since the last time.
    pub(super) fn take(&mut self) -> Vec<i32> {
        match std::mem::take(&mut self.readable) {
            // `pending` reads its pipe until it is empty, so the next signal makes an edge.
            true => self.inner.pending().collect(),
            false => Vec::new(),
        }
    }
}
