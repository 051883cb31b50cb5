//! SIGINT, SIGTERM, SIGHUP and SIGUSR1 as one more source in the poll, and the work that each requests.

use std::io;

use log::Level;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::signal_name;

use super::Reactor;
use super::source::Source;
use crate::config::DRAIN;
use crate::metrics::Counter;
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
    /// shell without job control shields background jobs from Ctrl-C. SIGHUP and SIGUSR1 end nothing, so
    /// they are caught in any case, SIGHUP under nohup(1) too.
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let (mut caught, mut ignored) = (vec![SIGHUP, SIGUSR1], Vec::new());
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

/// Keeps SIGUSR1 from ending a server that does not catch its signals yet, which is the default action
/// (signal(7)).
pub(super) fn shield() -> io::Result<()> {
    sys::ignore_signal(SIGUSR1)
}

impl Reactor {
    /// Begins the end at the first signal, and shortens it at the second. SIGHUP and SIGUSR1 end nothing.
    pub(super) fn handle_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                // It accepts nobody who could use what was read, and READY would contradict STOPPING.
                SIGHUP if self.leave_by.is_some() => log::info!("SIGHUP: the server is ending"),
                SIGHUP => self.reload(),
                SIGUSR1 => self.report(),
                _ if self.leave_by.is_some() => self.forced = Some(signal),
                _ => {
                    log::info!("signal {signal}: closing the rooms");
                    self.drain();
                }
            }
        }
    }

    fn reload(&mut self) {
        self.service.reloading();
        self.context.tls.reload();
        self.service.ready();
    }

    /// Closes all rooms, tells every member, and accepts nothing new.
    fn drain(&mut self) {
        self.service.stopping();
        self.leave_by = Some(self.context.now + DRAIN);
        self.acceptor.close(self.poll.registry());
        let abandoned = self.context.chat.close_all(self.context.now);
        self.context.metrics.add(Counter::Abandoned, abandoned as u64);
        self.connections.finish_all(self.context.now);
        self.context.quic.finish_all(self.context.now);
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
