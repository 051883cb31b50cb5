//! Unix sockets (U1 to U3), on the real binary.

#[cfg(feature = "tls")]
mod beside_tls;
mod errors;
mod files;
mod members;
mod pace;
#[path = "../support/mod.rs"]
mod support;
mod users;
