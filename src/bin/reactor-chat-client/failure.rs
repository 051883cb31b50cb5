//! Why the client did not do what it was asked to.

use std::fmt;
use std::io;

/// Why the client did not do what it was asked to: one sentence.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(deed: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("cannot {deed}: {why}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A reader that wants no more is no failure: `head` is one.
pub(crate) fn unless_unread(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::new("print", error)),
    }
}
