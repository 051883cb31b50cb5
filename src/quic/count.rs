//! Counts of events, and of dropped packets by their reason.

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Connections begun.
    Begun,
    /// Connections refused at a limit, or because the server is going.
    Refused,
    /// Handshakes finished.
    Handshakes,
    /// Handshakes that failed, or ended before they were finished.
    HandshakesFailed,
    /// Replies to unproved addresses: Retry, version negotiation, resets and refusals.
    Replies,
    /// Such replies that were not sent, because there were too many.
    Unanswered,
    /// Packets of no connection, and those that cannot be decoded.
    Strays,
    /// Packets dropped because too many handshakes wait.
    Crowded,
    /// Sessions opened.
    Sessions,
    /// Requests for sessions that were refused.
    SessionsRefused,
    /// Datagrams of no session or of no member.
    StrayDatagrams,
    /// Connections ended for an error in their HTTP/3 or for a unit that is too long.
    Faults,
    /// Connections that ran out of time.
    TimedOut,
}

impl Count {
    /// Everything that is counted.
    pub const ALL: [Self; 13] = [
        Self::Begun,
        Self::Refused,
        Self::Handshakes,
        Self::HandshakesFailed,
        Self::Replies,
        Self::Unanswered,
        Self::Strays,
        Self::Crowded,
        Self::Sessions,
        Self::SessionsRefused,
        Self::StrayDatagrams,
        Self::Faults,
        Self::TimedOut,
    ];
}

/// The counts since they were taken last.
#[derive(Debug, Default)]
pub(super) struct Counts([u64; Count::ALL.len()]);

impl Counts {
    pub(super) fn note(&mut self, count: Count) {
        self.0[count as usize] += 1;
    }

    pub(super) fn take(&mut self, count: Count) -> u64 {
        std::mem::take(&mut self.0[count as usize])
    }
}
