//! Settings of the pages and of members in browsers.

use crate::network::Network;

/// Settings of the pages and of members in browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// True if the request port speaks HTTP.
    pub http: bool,
    /// True if the datagram port speaks QUIC.
    pub webtransport: bool,
    /// Further names of the server, as a browser has them in `Host`.
    pub allow_host: Vec<String>,
    /// Origins of pages of other servers that may use this one, such as `https://chat.example.org`.
    pub allow_origin: Vec<String>,
    /// Networks whose peers may see the figures of the server, beside this machine.
    pub status_from: Vec<Network>,
}

impl Default for WebConfig {
    /// Returns settings that switch on all that the build has.
    fn default() -> Self {
        Self {
            http: cfg!(feature = "web"),
            webtransport: cfg!(feature = "webtransport"),
            allow_host: Vec::new(),
            allow_origin: Vec::new(),
            status_from: Vec::new(),
        }
    }
}
