//! Credit of a member that catches up: limits the bytes that it is sent before it confirms, because
//! history must not flow to a member that does not answer.
//!
//! Credit counts bytes on the wire, padding included, so that entries of odd sizes do not increase
//! it.

use crate::protocol::stream::MAX_PACKED;
use crate::protocol::stream::downstream::HEADER_SIZE;

/// Minimum that is sent at once: a datagram of any size, and the question after it.
pub(crate) const LEAST: usize = MAX_PACKED + HEADER_SIZE;

/// Credit of a member that has confirmed nothing yet, in bytes.
const FIRST: u32 = 16 * 1024;

/// Credit of all other members, in bytes. A receiver's socket holds several times as much by
/// default.
const FULL: u32 = 64 * 1024;

/// One member's credit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    window: u32,
    /// Bytes sent and not confirmed.
    used: u32,
}

impl Credit {
    /// Returns the credit of a new member.
    pub(crate) fn new() -> Self {
        Self { window: FIRST, used: 0 }
    }

    /// Returns the number of bytes that may be sent.
    pub(crate) fn left(self) -> usize {
        (self.window - self.used.min(self.window)) as usize
    }

    /// Returns true if a datagram of any size may be sent.
    pub(crate) fn has_left(self) -> bool {
        self.left() >= LEAST
    }

    /// Takes the bytes of what was sent.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.used = self.used.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Returns confirmed bytes to the credit. Padding comes back when everything is confirmed.
    pub(crate) fn confirm(&mut self, bytes: usize, is_all: bool) {
        let confirmed = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.used = if is_all { 0 } else { self.used.saturating_sub(confirmed) };
        self.window = FULL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_first_credit_is_small() {
        let mut credit = Credit::new();
        assert_eq!(credit.left(), 16 * 1024);
        credit.take(16 * 1024 - 1000);
        assert!(!credit.has_left(), "no datagram may exceed it");
        credit.confirm(5000, false);
        assert_eq!(credit.left(), 64 * 1024 - 16 * 1024 + 1000 + 5000);
        credit.confirm(0, true);
        assert_eq!(credit.left(), 64 * 1024);
        credit.take(usize::MAX);
        assert_eq!(credit.left(), 0);
    }
}
