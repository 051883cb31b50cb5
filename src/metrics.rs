//! Plain counters: what the server did, and what it had to drop and why.

use std::fmt;

use crate::protocol::Status;

/// Everything that is counted. 64 bits each: at a million a second they last 580,000 years.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed.
    pub accept_errors: u64,
    /// Connections that gave way to a new one.
    pub evicted: u64,
    /// Connections that ended in an error or were reset.
    pub connection_errors: u64,
    /// Connections that ran out of time.
    pub timed_out: u64,
    /// Ports announced over TCP and taken.
    pub announcements: u64,
    /// Replies by status.
    pub replies: [u64; Status::COUNT],
    /// Datagrams read.
    pub datagrams: u64,
    /// Of these, those that nobody looked at: behind others of one sender that came in vain.
    pub unheard: u64,
    /// Errors met while reading datagrams.
    pub receive_errors: u64,
    /// Datagrams that the kernel dropped because we were late.
    pub kernel_dropped: u64,
    /// Datagrams that were too long.
    pub too_long: u64,
    /// Datagrams that made no sense.
    pub malformed: u64,
    /// Datagrams whose token nobody has.
    pub unknown_token: u64,
    /// Datagrams whose token is one of another room or another address.
    pub misplaced_token: u64,
    /// Keep-alives.
    pub kept_alive: u64,
    /// Messages taken.
    pub messages: u64,
    /// Parts of messages kept.
    pub parts: u64,
    /// Commands obeyed.
    pub commands: u64,
    /// Messages refused for what they hold.
    pub refused: u64,
    /// Messages over the rate limit.
    pub rate_limited: u64,
    /// Messages for which a room had no space.
    pub room_busy: u64,
    /// Stream members' word on how far they are.
    pub confirmations: u64,
    /// Repair requests of stream members.
    pub repair_requests: u64,
    /// Messages of stream members that were not the next: repeated, or behind one that was lost.
    pub out_of_order: u64,
    /// What stream members sent beyond what is answered.
    pub unanswered: u64,
    /// What stream members sent without sense.
    pub senseless: u64,
    /// Datagrams of stream members that have ended.
    pub ended: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel refused.
    pub send_errors: u64,
    /// Datagrams that were not sent because earlier ones to the same host stay in the send buffer, or
    /// because their members were silent.
    pub withheld: u64,
    /// Turns in which a socket was full and its members had to wait.
    pub blocked: u64,
    /// Deliveries that still waited when the server was told to end.
    pub abandoned: u64,
}

impl Metrics {
    /// Counts a reply.
    pub fn count_reply(&mut self, status: Status) {
        self.replies[status as usize] += 1;
    }

    fn named(&self) -> [(&'static str, u64); 32] {
        [
            ("connections accepted", self.accepted),
            ("accept errors", self.accept_errors),
            ("connections that gave way", self.evicted),
            ("connection errors", self.connection_errors),
            ("connections timed out", self.timed_out),
            ("ports announced", self.announcements),
            ("datagrams", self.datagrams),
            ("not looked at", self.unheard),
            ("receive errors", self.receive_errors),
            ("dropped by the kernel", self.kernel_dropped),
            ("too long", self.too_long),
            ("malformed", self.malformed),
            ("unknown token", self.unknown_token),
            ("token of another room or address", self.misplaced_token),
            ("keep-alives", self.kept_alive),
            ("messages", self.messages),
            ("parts of messages", self.parts),
            ("commands", self.commands),
            ("refused", self.refused),
            ("rate limited", self.rate_limited),
            ("room busy", self.room_busy),
            ("confirmations", self.confirmations),
            ("repair requests", self.repair_requests),
            ("out of order", self.out_of_order),
            ("beyond what is answered", self.unanswered),
            ("senseless", self.senseless),
            ("of ended members", self.ended),
            ("sent", self.sent),
            ("send errors", self.send_errors),
            ("not sent to unresponsive hosts", self.withheld),
            ("waits for a full socket", self.blocked),
            ("abandoned at the end", self.abandoned),
        ]
    }
}

/// What is not zero, in one line.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (name, count) in self.named().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{between}{name} {count}")?;
            between = ", ";
        }
        for (status, count) in self.replies.iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(f, "{between}status-{status} replies {count}")?;
            between = ", ";
        }
        if between.is_empty() { f.write_str("nothing happened") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_shown() {
        let mut metrics = Metrics::default();
        assert_eq!(metrics.to_string(), "nothing happened");
        metrics.messages = 3;
        metrics.count_reply(Status::RoomFull);
        assert_eq!(metrics.to_string(), "messages 3, status-7 replies 1");
    }
}
