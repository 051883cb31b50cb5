//! QUIC, for browsers that are members over WebTransport.

pub mod h3;
