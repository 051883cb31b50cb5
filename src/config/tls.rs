//! Settings of encryption.

use std::path::PathBuf;
use std::time::Duration;

use super::Config;

/// Settings of TLS on the request port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Use of TLS.
    pub mode: TlsMode,
    /// The certificate and its key. `None` selects a key and certificates that the server makes.
    pub files: Option<KeyFiles>,
}

impl Config {
    /// Turns TLS off if no client can use it: Unix sockets have none (U2), so a server with them alone needs
    /// no key. Files that were given are read nevertheless, because a mistake in them should not wait.
    pub fn drop_unused_tls(&mut self) {
        if self.bind.is_empty() && self.tls.files.is_none() {
            self.tls.mode = TlsMode::Off;
        }
    }
}

/// Use of TLS on the request port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS: all bytes are cleartext.
    Off,
    /// The first bytes of a connection decide.
    On,
    /// As `On`, and requests in cleartext are refused.
    Required,
}

impl Default for TlsMode {
    /// Returns `On` in a build that has TLS.
    fn default() -> Self {
        if cfg!(feature = "tls") { Self::On } else { Self::Off }
    }
}

/// The files of a certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// Handshakes in progress per IP. A handshake takes a few round trips, and people behind one address seldom
/// connect in the same moment.
pub const MAX_HANDSHAKES_IP: u32 = 8;

/// Validity of a certificate that the server makes. Browsers accept the hash of a certificate in place of
/// a root if it is valid for at most 14 days (`WebTransport`, serverCertificateHashes).
pub const CERTIFICATE_VALIDITY: Duration = Duration::from_secs(13 * 24 * 60 * 60);

/// Age at which the server replaces such a certificate.
pub const CERTIFICATE_AGE: Duration = Duration::from_secs(10 * 24 * 60 * 60);
