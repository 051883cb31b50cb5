//! Unix sockets (U1 to U3), on the real binary.

mod errors;
mod files;
mod members;
mod pace;
#[path = "../support/mod.rs"]
mod support;
mod users;
