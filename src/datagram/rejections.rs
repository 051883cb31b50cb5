//! The reasons to drop a sealed datagram, and their counts.

/// The reason to drop a sealed datagram. Such a datagram is never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is cut or too long, or has undefined flags.
    Malformed,
    /// No sealed member has its id.
    UnknownId,
    /// Its number was received before, or is behind the replay window.
    Replayed,
    /// Its number is in an epoch that is neither the last, the current nor the next one.
    UnknownEpoch,
    /// Its tag is wrong.
    Forged,
}

impl Rejected {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::UnknownId, Self::Replayed, Self::UnknownEpoch, Self::Forged];
}

/// Numbers of dropped sealed datagrams, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: [usize; Rejected::ALL.len()],
}

impl Rejections {
    /// Counts one datagram.
    pub fn note(&mut self, reason: Rejected) {
        self.counts[reason as usize] += 1;
    }

    /// Returns the number of datagrams that were dropped for this reason.
    pub fn count(&self, reason: Rejected) -> usize {
        self.counts[reason as usize]
    }
}
