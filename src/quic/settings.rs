//! Settings of the QUIC library: its limits, which are lower than its defaults by far.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn_proto::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};

use super::connection_ids::ConnectionIds;
use super::greetings::MAX_GREETINGS;
use super::h3;

/// Version 1 (RFC 9000). Browsers have spoken no draft for years.
const VERSIONS: [u32; 1] = [1];

/// Limit for the streams in both directions that a peer may have open: one for the session, one for the member,
/// and two for lists.
const STREAMS: u32 = 4;

/// Limit for its streams in one direction: HTTP/3 takes three, and browsers open further ones as grease.
const WAYS: u32 = 8;

/// Bytes of each window: as much as a carried member may leave unread.
const WINDOW: u32 = 64 * 1024;

/// Bytes of datagrams to a peer that wait for its path, and of those from it. The latter are taken in the turn in
/// which they come.
const DATAGRAMS_OUT: usize = 32 * 1024;
const DATAGRAMS_IN: usize = 16 * 1024;

/// Limit for the memory of a connection in bytes: the windows, 32 KiB of packets that hold little of the receive
/// window, the datagrams, incomplete units and requests, one list that waits, and the states of QUIC, TLS and
/// HTTP/3.
pub const MAX_MEMORY: u64 = 264 * 1024;

/// Limit for the bytes of packets that wait for their handshake to be answered, for one connection and for all.
const WAITING_BYTES: u64 = 8 * 1024;
const ALL_WAITING_BYTES: u64 = 1024 * 1024;

/// Limit for the bytes of a handshake that wait for earlier ones.
const CRYPTO_BYTES: usize = 16 * 1024;

/// Silence after which a connection has ended. Two pings and their repeats are lost then.
const IDLE: VarInt = VarInt::from_u32(60_000);

/// Interval between pings on a connection that is silent: below the 30 s after which a home router may forget
/// a UDP flow (RFC 4787, section 4.3, has 2 min, and routers have less).
const PING: Duration = Duration::from_secs(20);

/// Least interval between two resets. Their number has a limit of its own: see `replies.rs`.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// Returns the settings that all connections share.
pub(super) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config
        .cid_generator(|| Box::new(ConnectionIds))
        // A peer that cleared this bit would be mistaken for one without QUIC (H1).
        .grease_quic_bit(false)
        .supported_versions(VERSIONS.to_vec())
        .min_reset_interval(RESET_INTERVAL);
    config
}

/// Returns the settings of new connections, which show the certificate of the request port. Those `before` keep the key of
/// Retry, so that the handshakes that are under way go on.
///
/// # Errors
/// If `tls` lacks the cipher suite of the first packets.
pub(super) fn server(
    tls: &rustls::ServerConfig,
    before: Option<&ServerConfig>,
) -> Result<ServerConfig, NoInitialCipherSuite> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![h3::ALPN.to_vec()];
    let crypto = Arc::new(QuicServerConfig::try_from(tls)?);
    if let Some(before) = before {
        let mut config = before.clone();
        config.crypto = crypto;
        return Ok(config);
    }
    let mut config = ServerConfig::with_crypto(crypto);
    config
        .transport_config(Arc::new(transport()))
        .max_incoming(MAX_GREETINGS)
        .incoming_buffer_size(WAITING_BYTES)
        .incoming_buffer_size_total(ALL_WAITING_BYTES);
    Ok(config)
}

fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(WAYS.into())
        .stream_receive_window(WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(Some(DATAGRAMS_IN))
        .datagram_send_buffer_size(DATAGRAMS_OUT)
        .crypto_buffer_size(CRYPTO_BYTES)
        .max_idle_timeout(Some(IdleTimeout::from(IDLE)))
        .keep_alive_interval(Some(PING))
        // Our IPv4 sockets let routers fragment, so a probe for a larger size would always succeed.
        .mtu_discovery_config(None);
    config
}
