//! Unix sockets (U1 to U3), on the real binary.

mod errors;
mod files;
#[path = "../support/mod.rs"]
mod support;
