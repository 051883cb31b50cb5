//! The stand-in of the pages in a build without the feature `web`.

use std::io;

use crate::config::WebConfig;

/// The stand-in for the pages.
pub(super) struct Web;

impl Web {
    /// Returns the stand-in. A command line that asks for HTTP was refused before.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(_: &WebConfig, _: Vec<String>) -> io::Result<Self> {
        Ok(Self)
    }

    /// Returns true: there is no HTTP.
    pub(super) fn is_off(&self) -> bool {
        true
    }
}
