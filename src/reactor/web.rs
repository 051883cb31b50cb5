//! The pages and the rules for them, as all connections with HTTP share them.

use std::io;
use std::sync::Arc;

use crate::config::WebConfig;
use crate::web::Site;

/// The pages, and the rules for requests.
pub(super) struct Web {
    /// `None` if HTTP is off.
    site: Option<Arc<Site>>,
    has_quic: bool,
}

impl Web {
    /// Makes the pages. `names` are those of this server.
    ///
    /// # Errors
    /// If a page cannot be compressed.
    pub(super) fn new(config: &WebConfig, names: Vec<String>) -> io::Result<Self> {
        let site = config.http.then(|| Site::new(config, names)).transpose()?.map(Arc::new);
        Ok(Self { site, has_quic: config.webtransport })
    }

    pub(super) fn is_off(&self) -> bool {
        self.site.is_none()
    }

    pub(super) fn site(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
    }

    /// Returns true if there is WebTransport.
    pub(super) fn has_quic(&self) -> bool {
        self.has_quic
    }
}
