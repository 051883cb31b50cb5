//! TLS on the request port: the streams, and the identity that the server shows.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `first_bytes.rs` | the decision between TLS and cleartext |
//! | `wire.rs` | a stream that is one of the two |
//! | `session.rs` | a TLS session |
//! | `records.rs` | the count of bytes in an incomplete record |
//! | `identity.rs` | certificate, key and fingerprint, from files or self-made |
//! | `own_key.rs` | the key that the server makes and stores |
//! | `check.rs` | the check of certificate and key before a start |
//! | `error.rs` | errors in the files |
//! | `absent.rs` | the stand-in of this module in a build without the feature `tls` |
//!
//! Only TLS 1.3 is served, without tickets, early data and client certificates: a session needs the key
//! exchange of its own handshake.

mod check;
mod error;
mod first_bytes;
mod identity;
mod own_key;
mod records;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use log::Level;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;

use crate::config::{TlsConfig, TlsMode};
use crate::connection::Stream;
use identity::{Identity, Source};

pub use error::TlsError;
pub use first_bytes::{Kind, kind};
pub use session::IDLE_SESSION;
pub use wire::Wire;

/// The stream of a connection of the server.
pub type ServerWire = Wire<Stream>;

/// Interval between looks at the date. It is shorter than the age of a certificate, because the loop's
/// clock stands still while the machine sleeps.
const DATE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// TLS as it is served now.
#[derive(Debug)]
pub struct Tls {
    is_required: bool,
    /// `None` if TLS is off.
    served: Option<Served>,
}

#[derive(Debug)]
struct Served {
    source: Source,
    identity: Identity,
    /// Time of the next look at the date.
    look_at: Instant,
}

impl Tls {
    /// Reads or makes the certificate and its key. `names` are the names and addresses of the server, for
    /// a certificate that it makes.
    ///
    /// # Errors
    /// If a file is missing or is not what it should be.
    pub fn open(settings: &TlsConfig, names: Vec<String>, now: Instant) -> Result<Self, TlsError> {
        let is_required = settings.mode == TlsMode::Required;
        if settings.mode == TlsMode::Off {
            return Ok(Self { is_required, served: None });
        }
        let mut source = match &settings.files {
            Some(files) => Source::files(files.clone()),
            None => Source::own(own_key::directory(), names)?,
        };
        let identity = source.load(SystemTime::now())?;
        let look_at = now + DATE_INTERVAL;
        Ok(Self { is_required, served: Some(Served { source, identity, look_at }) })
    }

    /// Returns lines about the certificate and its key, with their levels, and changes nothing. A line of the
    /// level `Error` is a reason why the server cannot start, or a date at which no certificate is accepted.
    pub fn check(settings: &TlsConfig) -> Vec<(Level, String)> {
        check::lines(settings, SystemTime::now())
    }

    /// Returns true if requests in cleartext are refused.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Returns the fingerprint of the public key, unless TLS is off.
    pub fn fingerprint(&self) -> Option<String> {
        self.served.as_ref().map(|served| served.identity.fingerprint.to_string())
    }

    /// Returns true if the certificate in use is for this name.
    pub fn is_certified(&self, name: &str) -> bool {
        let Some(served) = &self.served else { return false };
        let (Ok(certificate), Ok(name)) =
            (ParsedCertificate::try_from(&served.identity.certificate), ServerName::try_from(name))
        else {
            return false;
        };
        verify_server_name(&certificate, &name).is_ok()
    }

    /// Returns the hashes of the certificates in place of a root, each in base64 (H9). There are none with a
    /// certificate of the operator.
    pub fn certificate_hashes(&self) -> Vec<String> {
        let own = self.served.iter().filter(|served| served.source.is_own());
        own.map(|served| BASE64_STANDARD.encode(digest(&SHA256, &served.identity.certificate)))
            .collect()
    }

    /// Returns the settings of new connections, unless TLS is off. They are another value once the certificate is
    /// another one.
    #[cfg(feature = "webtransport")]
    pub fn server_config(&self) -> Option<&Arc<rustls::ServerConfig>> {
        self.served.as_ref().map(|served| &served.identity.config)
    }

    /// Returns the stream of a new connection. Connections keep the certificate that they began with. Unix
    /// sockets need no TLS: nobody but the kernel has their bytes.
    pub fn wire(&self, stream: Stream) -> ServerWire {
        match &self.served {
            Some(served) if matches!(stream, Stream::Tcp(_)) => {
                Wire::undecided(stream, Arc::clone(&served.identity.config))
            }
            _ => Wire::clear(stream),
        }
    }

    /// Reads the files again. Bad ones are reported, and the old certificate stays.
    pub fn reload(&mut self) {
        let Some(served) = &mut self.served else {
            return log::info!("SIGHUP: no TLS is served, so there is nothing to read again");
        };
        match served.reload(SystemTime::now()) {
            Ok(()) => {
                log::info!(
                    "SIGHUP: certificate and key are read, key {}",
                    served.identity.fingerprint
                )
            }
            Err(error) => log::error!("SIGHUP: {error}; the certificate in use stays"),
        }
    }

    /// Returns the time of the next [`Tls::expire`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.served.as_ref().filter(|served| served.source.is_own()).map(|served| served.look_at)
    }

    /// Replaces a certificate that the server has made, if it is old.
    pub fn expire(&mut self, now: Instant) {
        if let Some(served) = &mut self.served
            && now >= served.look_at
        {
            served.look_at = now + DATE_INTERVAL;
            served.renew(SystemTime::now());
        }
    }
}

impl Served {
    fn reload(&mut self, date: SystemTime) -> Result<(), TlsError> {
        self.source.read_again()?;
        self.take(date)
    }

    fn renew(&mut self, date: SystemTime) {
        if self.source.is_old(date)
            && let Err(error) = self.take(date)
        {
            log::error!("no new certificate: {error}");
        }
    }

    fn take(&mut self, date: SystemTime) -> Result<(), TlsError> {
        self.identity = self.source.load(date)?;
        Ok(())
    }
}
