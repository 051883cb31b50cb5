//! The service manager that has started the server, such as systemd: the sockets that it passes
//! (sd_listen_fds(3)), and the socket on which it learns the server's state (sd_notify(3)).
//!
//! `NOTIFY_SOCKET` and the variables of the watchdog stay in the environment, because removing them is unsafe
//! while threads may run. The server starts no other process that could inherit them.

#[cfg_attr(not(feature = "systemd"), path = "no_descriptors.rs")]
mod descriptors;
mod notifier;
mod passed;

use std::env;
use std::ffi::OsStr;
use std::process;
use std::time::Duration;

pub use notifier::{Notifier, State};
pub use passed::{PassedError, PassedSockets};

/// The service manager. The default is to have none.
#[derive(Debug, Default)]
pub struct ServiceManager {
    /// The sockets that it has opened for the server.
    pub sockets: PassedSockets,
    /// The socket on which it learns the server's state.
    pub notifier: Option<Notifier>,
    /// Time without [`State::Alive`] after which it ends the server.
    pub watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads the variables of the environment. A server that cannot tell its state serves nevertheless. Must
    /// be called once, before any thread starts.
    ///
    /// # Errors
    /// If the server cannot use the sockets that were passed.
    pub fn from_environment() -> Result<Self, PassedError> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let notifier = name.and_then(|name| open_notifier(&name));
        Ok(Self { sockets: PassedSockets::take()?, notifier, watchdog: watchdog() })
    }
}

fn open_notifier(name: &OsStr) -> Option<Notifier> {
    match Notifier::open(name) {
        Ok(notifier) => Some(notifier),
        Err(error) => {
            log::warn!("NOTIFY_SOCKET={}: {error}", name.display());
            None
        }
    }
}

/// Returns the time after which the manager ends a server that does not say that it is alive
/// (sd_watchdog_enabled(3)). A process inherits the variables of another one with their `WATCHDOG_PID`.
fn watchdog() -> Option<Duration> {
    let text = env::var("WATCHDOG_USEC").ok()?;
    let pid = env::var("WATCHDOG_PID").ok();
    if pid.is_some_and(|pid| pid != process::id().to_string()) {
        return None;
    }
    match text.parse() {
        Ok(micros) if micros > 0 => Some(Duration::from_micros(micros)),
        _ => {
            log::warn!("WATCHDOG_USEC={text} is no number of microseconds");
            None
        }
    }
}
