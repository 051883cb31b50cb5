//! Errors in the files of a certificate.

use std::fmt;
use std::path::{Path, PathBuf};

/// The reason why a file, or TLS itself, cannot be used.
#[derive(Debug)]
pub struct TlsError {
    /// `None` if no file is at fault.
    path: Option<PathBuf>,
    why: String,
}

impl TlsError {
    /// Returns the error of a file.
    pub(super) fn in_file(path: &Path, why: impl fmt::Display) -> Self {
        Self { path: Some(path.into()), why: why.to_string() }
    }

    /// Returns an error of the library.
    pub(super) fn internal(why: impl fmt::Display) -> Self {
        Self { path: None, why: why.to_string() }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", path.display(), self.why),
            None => write!(f, "TLS: {}", self.why),
        }
    }
}

impl std::error::Error for TlsError {}
