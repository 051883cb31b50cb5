//! Message budget: limits the messages of a member, and the bytes that they cost to relay.
//!
//! A message costs its bytes times the members of its room, because a rate that is harmless in a
//! room of two is a flood in a room of a thousand. A long message is several datagrams, each with
//! headers.

use std::time::{Duration, Instant};

use crate::alert::Alert;
use crate::config::ChatConfig;
use crate::fanout::HEADERS;
use crate::token_bucket::{TokenBucket, time_for};

/// Time that fills a bucket. A burst of lines pasted into a terminal passes.
const BURST: Duration = Duration::from_secs(5);

/// The budget of one member. A new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MessageBudget {
    messages: TokenBucket,
    fanout: TokenBucket,
}

impl MessageBudget {
    /// Takes the cost of a message of `size` bytes in a number of datagrams to `audience` members.
    ///
    /// # Errors
    /// The limit that was reached. Nothing is taken then.
    pub(super) fn take(
        &mut self,
        (size, datagrams, audience): (usize, usize, usize),
        config: &ChatConfig,
        now: Instant,
    ) -> Result<(), Alert> {
        let message = config.rate_limit.map(|rate| time_for(1, u64::from(rate)));
        let bytes = (size + datagrams * HEADERS).saturating_mul(audience) as u64;
        let fanout = config.fanout_limit.map(|rate| time_for(bytes, u64::from(rate)));
        let costs =
            [(&mut self.messages, message, Alert::Rate), (&mut self.fanout, fanout, Alert::Fanout)];
        for (bucket, cost, limit) in &costs {
            if cost.is_some_and(|cost| !bucket.has(cost, BURST, now)) {
                return Err(*limit);
            }
        }
        for (bucket, cost, _) in costs {
            bucket.take(cost.unwrap_or_default(), now);
        }
        Ok(())
    }

    /// Returns true if history may be sent to the member. Half of the budget is reserved for the
    /// member's own messages.
    pub(super) fn has_for_history(&self, config: &ChatConfig, now: Instant) -> bool {
        config.fanout_limit.is_none() || self.fanout.has(Duration::ZERO, BURST / 2, now)
    }

    /// Charges bytes of history that were sent to the member.
    pub(super) fn take_history(&mut self, bytes: usize, config: &ChatConfig, now: Instant) {
        if let Some(rate) = config.fanout_limit {
            self.fanout.take(time_for(bytes as u64, u64::from(rate)), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(config: &ChatConfig, size: usize, audience: usize) -> usize {
        let (now, mut budget) = (Instant::now(), MessageBudget::default());
        (0..100_000).take_while(|_| budget.take((size, 1, audience), config, now).is_ok()).count()
    }

    #[test]
    fn t10_a_message_to_many_costs_more() {
        let config =
            ChatConfig { rate_limit: Some(20), fanout_limit: Some(100_000), ..Default::default() };
        assert_eq!(burst(&config, 72, 10), 100, "the messages are counted");
        assert_eq!(burst(&config, 72, 1000), 5, "and their bytes for each who gets them");
        assert_eq!(burst(&config, 4000, 100_000), 1, "one passes in any case");
    }

    #[test]
    fn t10_refusals_cost_no_other_bucket() {
        let config = ChatConfig { fanout_limit: Some(1), ..Default::default() };
        let (now, mut budget) = (Instant::now(), MessageBudget::default());
        assert_eq!(budget.take((1000, 1, 1000), &config, now), Ok(()));
        let refused = |_| budget.take((1000, 1, 1000), &config, now) == Err(Alert::Fanout);
        assert!((0..100_000).all(refused));
        let unlimited = ChatConfig { fanout_limit: None, ..Default::default() };
        assert_eq!(budget.take((1000, 1, 1000), &unlimited, now), Ok(()), "messages are left");
    }

    #[test]
    fn t10_zero_is_no_limit() {
        let config = ChatConfig { rate_limit: None, fanout_limit: None, ..Default::default() };
        assert_eq!(burst(&config, 4096, usize::MAX), 100_000);
    }
}
