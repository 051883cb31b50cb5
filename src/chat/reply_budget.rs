//! How many of a member's datagrams are answered that nothing else bounds: messages that are not the
//! next or come too fast, words on how far it is, requests for repair, what it says after its end.
//!
//! An answer costs the server several times what the question cost the member. A member that waits
//! for answers, as the protocol has it, gets every one: it asks again what is not answered, and its
//! messages and repairs have bounds of their own.

use std::time::{Duration, Instant};

use crate::token_bucket::TokenBucket;

/// In which time one more grows. A member that is behind and takes 32 MB a second says a thousand
/// times a second how far it is; so many answers are less than a hundredth of a CPU.
const ONE: Duration = Duration::from_millis(1);
/// The bucket holds what grows in this time.
const DEPTH: Duration = Duration::from_secs(5);

/// What one member is still answered; a new one is answered a burst.
#[derive(Debug, Default)]
pub(super) struct ReplyBudget {
    bucket: TokenBucket,
}

impl ReplyBudget {
    /// Takes one, if there is one left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let has_one = self.bucket.has(ONE, DEPTH, now);
        if has_one {
            self.bucket.take(ONE, now);
        }
        has_one
    }
}
