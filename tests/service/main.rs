//! The server under a service manager: passed sockets, the notify socket, its log, and its signals.

mod journal;
mod signals;
#[path = "../support/mod.rs"]
mod support;
