//! The error that ends the client, as one sentence for the user.

use std::fmt;
use std::io;

use crate::sanitize::plain;

/// The reason why the client failed: one sentence that is safe to print.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// Returns the failure of an action, such as "print".
    pub(crate) fn new(action: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::sentence(&format!("cannot {action}: {error}"))
    }

    /// Returns the failure that this sentence explains. The sentence is sanitized.
    pub(crate) fn sentence(text: &str) -> Self {
        Self(plain(text))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Converts a write error on stdout. A closed pipe is no failure: `head` closes it when it has read
/// enough.
pub(crate) fn unless_closed_pipe(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::new("print", error)),
    }
}
