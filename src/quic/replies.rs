//! Packets that answer a datagram of an unproved address: Retry, version negotiation, resets and refusals.
//!
//! An attacker may forge that address. So each is shorter than its cause, and together they have a limit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::count::{Count, Counts};
use crate::address::Origin;
use crate::token_bucket::{TokenBucket, time_for};

/// Replies in a second.
const RATE: u64 = 1_000;

/// Time in which a full bucket grows: a tenth of a second's replies may go at once.
const DEPTH: Duration = Duration::from_millis(100);

/// Replies that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Replies {
    bucket: TokenBucket,
    queue: VecDeque<(Origin, Vec<u8>)>,
}

impl Replies {
    /// Queues the reply to a datagram of `cause` bytes, unless it is longer or there are too many. Returns true if
    /// it was queued.
    pub(super) fn push(
        &mut self,
        (to, cause): (&Origin, usize),
        reply: &[u8],
        counts: &mut Counts,
        now: Instant,
    ) -> bool {
        let is_sent = reply.len() < cause && self.bucket.try_take(time_for(1, RATE), DEPTH, now);
        if is_sent {
            self.queue.push_back((*to, reply.to_vec()));
        } else {
            counts.note(Count::Unanswered);
        }
        is_sent
    }

    /// Removes and returns the oldest reply.
    pub(super) fn pop(&mut self) -> Option<(Origin, Vec<u8>)> {
        self.queue.pop_front()
    }

    /// Returns true if a reply waits.
    pub(super) fn has_output(&self) -> bool {
        !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const TO: fn() -> Origin = || {
        let remote = SocketAddr::from(([192, 0, 2, 1], 9));
        Origin { socket: 0, local: None, remote: remote.into() }
    };

    #[test]
    fn h8_reply_is_shorter_than_its_cause() {
        let (mut replies, mut counts) = (Replies::default(), Counts::default());
        let now = Instant::now();
        assert!(replies.push((&TO(), 41), &[0; 40], &mut counts, now));
        assert!(!replies.push((&TO(), 40), &[0; 40], &mut counts, now));
        assert_eq!(counts.take(Count::Unanswered), 1);
        assert!(replies.pop().is_some_and(|(_, reply)| reply.len() == 40));
        assert!(!replies.has_output());
    }

    #[test]
    fn h8_replies_have_a_rate() {
        let (mut replies, mut counts) = (Replies::default(), Counts::default());
        let start = Instant::now();
        let mut sent = 0;
        for microseconds in (0..2_000_000).step_by(100) {
            let now = start + Duration::from_micros(microseconds);
            sent += u64::from(replies.push((&TO(), 1200), &[0; 40], &mut counts, now));
        }
        assert!((2 * RATE..=2 * RATE + RATE / 10).contains(&sent), "{sent}");
        assert_eq!(counts.take(Count::Unanswered), 20_000 - sent);
    }
}
