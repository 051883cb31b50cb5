//! Browsers on QUIC, with the built server: sessions and members, wrong packets and wrong HTTP/3, limits,
//! networks that lose.

mod bad_http3;
mod limits;
mod network;
mod packets;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
