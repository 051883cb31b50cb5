//! Carried members: their messages travel on the connection of their request (C1 to C5).

#[cfg(feature = "tls")]
mod inside_tls;
mod pace;
#[path = "../support/mod.rs"]
mod support;
mod units;
