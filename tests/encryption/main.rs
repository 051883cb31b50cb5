//! Encryption on the real binary: TLS on the request port, and sealed datagrams.

mod exchange;
mod files;
mod sealed;
#[path = "../support/mod.rs"]
mod support;
mod tls;
