//! The server under a service manager: passed sockets, the notify socket, its log, and its signals.

mod journal;
mod signals;
mod states;
#[path = "../support/mod.rs"]
mod support;
