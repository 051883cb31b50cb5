//! Counters: what the server did, and what it dropped and why.

use std::fmt;

use crate::protocol::Status;

#[cfg(feature = "web")]
mod exposition;
#[cfg(feature = "web")]
mod families;

#[cfg(feature = "web")]
pub use exposition::{Exposition, OPEN_METRICS_TYPE};
#[cfg(feature = "web")]
pub use families::Samples;

#[cfg(feature = "web")]
use families::Entry;

/// Defines the counters, each with its name in the log, its family in `/metrics`, and its reason if several
/// counters of one family differ by that. The doc comment of a counter is the help text of its family, unless
/// the family has reasons.
macro_rules! counters {
    ($(
        $(#[doc = $help:literal])+
        $counter:ident: $name:literal => $family:literal $($reason:literal)?,
    )*) => {
        /// A counter. The log shows counters in this order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[doc = $help])+ $counter,)*
        }

        /// The names of the counters, in their order.
        const NAMES: &[&str] = &[$($name,)*];

        /// The places of the counters in `/metrics`, in their order.
        #[cfg(feature = "web")]
        const ENTRIES: &[Entry] = &[$(Entry {
            family: $family,
            reason: [$($reason)?].as_slice(),
            help: concat!($($help),+),
        },)*];
    };
}

counters! {
    /// Connections accepted.
    Accepted: "connections accepted" => "connections_accepted",
    /// Accepts that failed.
    AcceptErrors: "accept errors" => "accept_errors",
    /// Connections closed in favour of a new one.
    Evicted: "connections evicted" => "connections_evicted",
    /// Connections that ended in an error or were reset.
    ConnectionErrors: "connection errors" => "connection_errors",
    /// Connections that ran out of time.
    TimedOut: "connections timed out" => "connections_timed_out",
    /// Handshakes of TLS that were finished.
    Handshakes: "handshakes" => "handshakes",
    /// Handshakes that failed, or ended before they were finished.
    HandshakesFailed: "handshakes failed" => "handshakes_failed",
    /// Connections closed because their peer had too many handshakes in progress.
    HandshakesRefused: "handshakes refused" => "handshakes_refused",
    /// Responses of HTTP.
    HttpRequests: "http requests" => "http_requests",
    /// Responses of HTTP with a status from 400 on.
    HttpRefused: "http requests refused" => "http_requests_refused",
    /// Ports announced over TCP and accepted.
    Announcements: "ports announced" => "ports_announced",
    /// Datagrams read.
    Datagrams: "datagrams" => "datagrams_received",
    /// Datagrams skipped, because others of the same sender in the same batch had no effect.
    Skipped: "skipped" => "dropped_datagrams" "skipped",
    /// Errors of reading datagrams.
    ReceiveErrors: "receive errors" => "receive_errors",
    /// Datagrams that the kernel dropped because the receive queue was full.
    KernelDropped: "dropped by the kernel" => "kernel_dropped_datagrams",
    /// Sealed datagrams opened.
    Opened: "sealed datagrams" => "sealed_datagrams_opened",
    /// Sealed datagrams that were cut or too long, or had undefined flags.
    SealMalformed: "malformed seals" => "dropped_datagrams" "seal_malformed",
    /// Sealed datagrams whose id no member has.
    SealUnknown: "seals of unknown members" => "dropped_datagrams" "seal_unknown",
    /// Sealed datagrams that were received before, or were too old to tell.
    SealReplayed: "replayed seals" => "dropped_datagrams" "seal_replayed",
    /// Sealed datagrams of epochs without keys.
    SealStale: "seals of other epochs" => "dropped_datagrams" "seal_stale",
    /// Sealed datagrams with a wrong tag.
    SealForged: "forged seals" => "dropped_datagrams" "seal_forged",
    /// Challenges sent to addresses that sealed members had not proved.
    Challenges: "challenges sent" => "challenges_sent",
    /// Moves of sealed members to another address. The first address of each counts too.
    Moves: "addresses of sealed members" => "sealed_member_moves",
    /// Connections of QUIC begun.
    QuicBegun: "QUIC connections" => "quic_connections",
    /// Connections of QUIC refused at a limit.
    QuicRefused: "QUIC connections refused" => "quic_connections_refused",
    /// Packets that answered a QUIC packet of an unproved address: Retry, version negotiation, resets, refusals.
    QuicReplies: "QUIC replies to unproved addresses" => "quic_replies",
    /// Such answers that were not sent, because there were too many.
    QuicUnanswered: "QUIC replies over their rate" => "quic_replies_suppressed",
    /// QUIC packets of no connection, and those that cannot be decoded.
    QuicStrays: "stray QUIC packets" => "dropped_datagrams" "quic_stray",
    /// QUIC packets dropped because too many handshakes were waiting.
    QuicCrowded: "QUIC packets in a crowd of handshakes" => "dropped_datagrams" "quic_crowded",
    /// Datagrams of no session.
    QuicStrayDatagrams: "QUIC datagrams of no member" => "dropped_datagrams" "no_member",
    /// Connections of QUIC ended for an error in HTTP/3, or for a unit that was too long.
    QuicFaults: "QUIC connections with faults" => "quic_faults",
    /// Packets of QUIC sent on connections.
    QuicPackets: "QUIC packets sent" => "quic_packets_sent",
    /// Packets of QUIC that a full socket did not take, or that would have gone to an address of our own.
    QuicUnsent: "QUIC packets not sent" => "quic_packets_unsent",
    /// Sessions of WebTransport opened.
    Sessions: "sessions" => "sessions",
    /// Requests for sessions that were refused.
    SessionsRefused: "sessions refused" => "sessions_refused",
    /// Units read from connections that carry a member.
    Units: "units" => "units_received",
    /// Datagrams and units that were too long.
    TooLong: "too long" => "dropped_datagrams" "too_long",
    /// Datagrams without the layout of a client's datagram.
    Malformed: "malformed" => "dropped_datagrams" "malformed",
    /// Datagrams whose token no member has.
    UnknownToken: "unknown token" => "dropped_datagrams" "unknown_token",
    /// Datagrams whose token belongs to another room or another address.
    MisplacedToken: "token of another room or address" => "dropped_datagrams" "misplaced_token",
    /// Datagrams and units that came on another path than that of their member, such as datagrams in
    /// the clear for a sealed one.
    OtherPath: "on another path than their member's" => "dropped_datagrams" "other_path",
    /// Keep-alives.
    KeepAlives: "keep-alives" => "keep_alives",
    /// Messages relayed.
    Messages: "messages" => "messages",
    /// Parts of messages kept.
    Parts: "parts of messages" => "message_parts",
    /// Commands executed.
    Commands: "commands" => "commands",
    /// Messages refused for their content.
    Refused: "refused" => "dropped_datagrams" "refused",
    /// Messages over the message budget of their sender.
    RateLimited: "rate limited" => "dropped_datagrams" "rate_limited",
    /// Messages for which a room had no space.
    RoomBusy: "room busy" => "dropped_datagrams" "room_busy",
    /// Confirmations of stream members.
    Confirmations: "confirmations" => "confirmations",
    /// Repair requests of stream members.
    RepairRequests: "repair requests" => "repair_requests",
    /// Messages of stream members without the expected id: repeated, or after one that was lost.
    OutOfOrder: "out of order" => "dropped_datagrams" "out_of_order",
    /// Datagrams over the reply budget of a stream member.
    OverReplyBudget: "over reply budget" => "dropped_datagrams" "over_reply_budget",
    /// Datagrams of stream members that are no valid message.
    InvalidStream: "invalid stream messages" => "dropped_datagrams" "invalid_stream",
    /// Datagrams from members that have ended.
    Departed: "from departed members" => "dropped_datagrams" "departed",
    /// Datagrams sent, and units.
    Sent: "sent" => "datagrams_sent",
    /// Datagrams sent again to stream members that had missed them.
    Repairs: "repairs" => "repairs_sent",
    /// Datagrams that the kernel refused to send.
    SendErrors: "send errors" => "unsent_datagrams" "send_error",
    /// Datagrams not sent, because earlier ones to the host are still in the send buffer, or because
    /// their members were silent.
    Withheld: "not sent to unresponsive hosts" => "unsent_datagrams" "unresponsive_host",
    /// Units not sent, because the member that they were for reads too slowly.
    Overflowed: "not sent to full connections" => "unsent_datagrams" "full_connection",
    /// Turns in which a socket or a connection was full and its members had to wait.
    Blocked: "waits for a full socket" => "full_socket_waits",
    /// Deliveries that were still pending when the server was told to end.
    Abandoned: "abandoned at the end" => "unsent_datagrams" "server_ended",
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
