//! The way out: the one place where the output of the chat is split by the paths of its members.

use super::Context;
use super::connections::Connections;
use crate::fanout::Receipt;
use crate::metrics::Counter;

/// Sends a portion of what the chat has for its members. A job names bytes and members, and goes from
/// here to the layers that have the paths of these members: first the datagram layer takes the shares of
/// members with a route, then the connections take the shares of those that they carry. The receipt
/// counts what was sent.
pub(super) fn deliver(context: &mut Context, connections: &mut Connections, budget: usize) {
    let Context { chat, datagrams, metrics, now, .. } = context;
    let receipt = chat.deliver(budget, *now, |mut job, budget| {
        let mut receipt = datagrams.send(job.reborrow(), budget);
        if receipt.unrouted {
            let left = budget.saturating_sub(receipt.sent + receipt.dropped);
            let carried = connections.carry(job, left, |member| datagrams.has_route(member));
            metrics.add(Counter::Overflowed, carried.dropped as u64);
            receipt.add(Receipt { dropped: 0, ..carried });
        }
        receipt
    });
    metrics.add(Counter::Sent, receipt.sent as u64);
    metrics.add(Counter::Repairs, receipt.repairs as u64);
    metrics.add(Counter::SendErrors, receipt.dropped as u64);
    metrics.add(Counter::Withheld, receipt.withheld as u64);
    metrics.add(Counter::Blocked, u64::from(receipt.blocked));
}
