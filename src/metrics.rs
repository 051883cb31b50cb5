//! Counters: what the server did, and what it dropped and why.

use std::fmt;

use crate::protocol::Status;

/// Defines the counters, each with its name in the log.
macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident: $name:literal,)*) => {
        /// A counter. The log shows counters in this order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $counter,)*
        }

        /// The names of the counters, in their order.
        const NAMES: &[&str] = &[$($name,)*];
    };
}

counters! {
    /// Connections accepted.
    Accepted: "connections accepted",
    /// Accepts that failed.
    AcceptErrors: "accept errors",
    /// Connections closed in favour of a new one.
    Evicted: "connections evicted",
    /// Connections that ended in an error or were reset.
    ConnectionErrors: "connection errors",
    /// Connections that ran out of time.
    TimedOut: "connections timed out",
    /// Handshakes of TLS that were finished.
    Handshakes: "handshakes",
    /// Handshakes that failed, or ended before they were finished.
    HandshakesFailed: "handshakes failed",
    /// Connections closed because their peer had too many handshakes in progress.
    HandshakesRefused: "handshakes refused",
    /// Ports announced over TCP and accepted.
    Announcements: "ports announced",
    /// Datagrams read.
    Datagrams: "datagrams",
    /// Datagrams skipped, because others of the same sender in the same batch had no effect.
    Skipped: "skipped",
    /// Errors of reading datagrams.
    ReceiveErrors: "receive errors",
    /// Datagrams that the kernel dropped because the receive queue was full.
    KernelDropped: "dropped by the kernel",
    /// Sealed datagrams opened.
    Opened: "sealed datagrams",
    /// Sealed datagrams that were cut or too long, or had undefined flags.
    SealMalformed: "malformed seals",
    /// Sealed datagrams whose id no member has.
    SealUnknown: "seals of unknown members",
    /// Sealed datagrams that were received before, or were too old to tell.
    SealReplayed: "replayed seals",
    /// Sealed datagrams of epochs without keys.
    SealStale: "seals of other epochs",
    /// Sealed datagrams with a wrong tag.
    SealForged: "forged seals",
    /// Challenges sent to addresses that sealed members had not proved.
    Challenges: "challenges sent",
    /// Moves of sealed members to another address. The first address of each counts too.
    Moves: "addresses of sealed members",
    /// Units read from connections that carry a member.
    Units: "units",
    /// Datagrams and units that were too long.
    TooLong: "too long",
    /// Datagrams without the layout of a client's datagram.
    Malformed: "malformed",
    /// Datagrams whose token no member has.
    UnknownToken: "unknown token",
    /// Datagrams whose token belongs to another room or another address.
    MisplacedToken: "token of another room or address",
    /// Datagrams and units that came on another path than that of their member, such as datagrams in
    /// the clear for a sealed one.
    OtherPath: "on another path than their member's",
    /// Keep-alives.
    KeepAlives: "keep-alives",
    /// Messages relayed.
    Messages: "messages",
    /// Parts of messages kept.
    Parts: "parts of messages",
    /// Commands executed.
    Commands: "commands",
    /// Messages refused for their content.
    Refused: "refused",
    /// Messages over the message budget of their sender.
    RateLimited: "rate limited",
    /// Messages for which a room had no space.
    RoomBusy: "room busy",
    /// Confirmations of stream members.
    Confirmations: "confirmations",
    /// Repair requests of stream members.
    RepairRequests: "repair requests",
    /// Messages of stream members without the expected id: repeated, or after one that was lost.
    OutOfOrder: "out of order",
    /// Datagrams over the reply budget of a stream member.
    OverReplyBudget: "over reply budget",
    /// Datagrams of stream members that are no valid message.
    InvalidStream: "invalid stream messages",
    /// Datagrams from members that have ended.
    Departed: "from departed members",
    /// Datagrams sent, and units.
    Sent: "sent",
    /// Datagrams that the kernel refused to send.
    SendErrors: "send errors",
    /// Datagrams not sent, because earlier ones to the host are still in the send buffer, or because
    /// their members were silent.
    Withheld: "not sent to unresponsive hosts",
    /// Units not sent, because the member that they were for reads too slowly.
    Overflowed: "not sent to full connections",
    /// Turns in which a socket or a connection was full and its members had to wait.
    Blocked: "waits for a full socket",
    /// Deliveries that were still pending when the server was told to end.
    Abandoned: "abandoned at the end",
}

/// All counters. They have 64 bits each: at a million a second they last 580,000 years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    counts: [u64; NAMES.len()],
    replies: [u64; Status::COUNT],
}

impl Default for Metrics {
    fn default() -> Self {
        Self { counts: [0; NAMES.len()], replies: [0; Status::COUNT] }
    }
}

impl Metrics {
    /// Counts one event.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several events.
    pub fn add(&mut self, counter: Counter, count: u64) {
        self.counts[counter as usize] += count;
    }

    /// Counts a reply.
    pub fn count_reply(&mut self, status: Status) {
        self.replies[status as usize] += 1;
    }

    /// Returns the value of a counter.
    #[cfg(test)]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }
}

/// Writes the counters that are not zero, in one line.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let named = NAMES.iter().zip(&self.counts);
        for (name, count) in named.filter(|(_, count)| **count > 0) {
            write!(f, "{separator}{name} {count}")?;
            separator = ", ";
        }
        for (status, count) in self.replies.iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(f, "{separator}status-{status} replies {count}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("nothing happened") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_counters_are_not_shown() {
        let mut metrics = Metrics::default();
        assert_eq!(metrics.to_string(), "nothing happened");
        metrics.add(Counter::Messages, 3);
        metrics.count_reply(Status::RoomFull);
        assert_eq!(metrics.to_string(), "messages 3, status-7 replies 1");
    }
}
