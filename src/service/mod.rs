//! The service manager that has started the server, such as systemd: the sockets that it passes
//! (sd_listen_fds(3)), and the socket on which it learns the server's state (sd_notify(3)).
//!
//! Its variables stay in the environment, because removing them is unsafe while threads may run. The
//! server starts no other process that could inherit them.

mod notifier;

use std::env;
use std::ffi::OsStr;
use std::process;
use std::time::Duration;

pub use notifier::{Notifier, State};

/// The service manager. The default is to have none.
#[derive(Debug, Default)]
pub struct ServiceManager {
    /// The socket on which it learns the server's state.
    pub notifier: Option<Notifier>,
    /// Time without [`State::Alive`] after which it ends the server.
    pub watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads the variables of the environment. A server that cannot tell its state serves nevertheless.
    pub fn from_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let notifier = name.and_then(|name| open_notifier(&name));
        Self { notifier, watchdog: watchdog() }
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
