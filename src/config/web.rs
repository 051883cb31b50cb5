//! Settings of the pages and of members in browsers.

/// Settings of the pages and of members in browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// True if the request port speaks HTTP.
    pub http: bool,
    /// True if the datagram port speaks QUIC.
    pub webtransport: bool,
}

impl Default for WebConfig {
    /// Returns `true` for what the build has.
    fn default() -> Self {
        Self { http: cfg!(feature = "web"), webtransport: cfg!(feature = "webtransport") }
    }
}
