//! The server under a service manager: passed sockets, the notify socket, its log, and its signals.

#[cfg(feature = "systemd")]
mod directory;
mod journal;
#[cfg(not(feature = "systemd"))]
mod no_sockets;
mod signals;
#[cfg(feature = "systemd")]
mod sockets;
mod states;
#[path = "../support/mod.rs"]
mod support;
#[cfg(all(feature = "client", feature = "systemd"))]
mod upgrade;
