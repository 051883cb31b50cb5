//! Faults of the server that real use found.

mod late;
mod lives;
mod log;
mod parts;
#[path = "../support/mod.rs"]
mod support;
