//! The stand-in of TLS in a build without the feature `tls`: every connection is cleartext.

use std::convert::Infallible;
use std::time::Instant;

use log::Level;

use crate::config::TlsConfig;
use crate::connection::Stream;

/// The stream of a connection of the server.
pub type ServerWire = Stream;

/// An error that cannot occur.
pub type TlsError = Infallible;

/// Memory of an idle session in bytes. There are no sessions.
pub const IDLE_SESSION: usize = 0;

/// The stand-in for the TLS of a server.
#[derive(Debug)]
pub struct Tls;

impl Tls {
    /// Returns the stand-in. A command line that asks for TLS was refused before.
    ///
    /// # Errors
    /// Never.
    pub fn open(_: &TlsConfig, _: Vec<String>, _: Instant) -> Result<Self, TlsError> {
        Ok(Self)
    }

    /// Returns a line about this build.
    pub fn check(_: &TlsConfig) -> Vec<(Level, String)> {
        vec![(Level::Info, "off: this build has no TLS".into())]
    }

    /// Returns false: requests in cleartext are not refused.
    pub fn is_required(&self) -> bool {
        false
    }

    /// Returns no fingerprint.
    pub fn fingerprint(&self) -> Option<String> {
        None
    }

    /// Returns the stream of a new connection.
    pub fn wire(&self, stream: Stream) -> ServerWire {
        stream
    }

    /// Reports that there is nothing to read again.
    pub fn reload(&mut self) {
        log::info!("SIGHUP: this build has no TLS, so there is nothing to read again");
    }

    /// Returns no deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does nothing.
    pub fn expire(&mut self, _: Instant) {}
}
