//! Reply budget: limits the replies to datagrams that nothing else limits. These are messages out of
//! order or over the message budget, confirmations, repair requests, and datagrams after the end.
//!
//! A reply costs the server several times the cost of the request for the member. A client that
//! waits for replies, as the protocol asks, gets all of them.

use std::time::{Duration, Instant};

use crate::token_bucket::TokenBucket;

/// Time in which one reply is refilled. A member that catches up at 32 MB a second confirms a
/// thousand times a second. So many replies take less than a hundredth of a CPU.
const ONE: Duration = Duration::from_millis(1);
/// Time that fills the bucket.
const DEPTH: Duration = Duration::from_secs(5);

/// The budget of one member. A new one is full.
#[derive(Debug, Default)]
pub(super) struct ReplyBudget {
    bucket: TokenBucket,
}

impl ReplyBudget {
    /// Takes a reply. Returns false if none is left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let has_one = self.bucket.has(ONE, DEPTH, now);
        if has_one {
            self.bucket.take(ONE, now);
        }
        has_one
    }
}
