//! The budget for bytes that are skipped.

use super::error::{Fault, code};

/// Limit for skipped bytes over the life of a connection. Unknown frames, capsules and QPACK instructions
/// are allowed, and browsers send a few to keep servers tolerant; nobody needs this many.
const MAX_SKIPPED: u32 = 16 * 1024;

/// Skipped bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Skipped(u32);

impl Skipped {
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0 = self.0.saturating_add(bytes);
        if self.0 > MAX_SKIPPED {
            return Err(Fault::connection(code::EXCESSIVE_LOAD, "too many unknown bytes"));
        }
        Ok(())
    }
}
