//! The way out: the one place where the output of the chat is split by the paths of its members.

use super::Context;
use super::connections::Connections;
use crate::fanout::Receipt;
use crate::metrics::{Counter, Metrics};

/// Sends a portion of what the chat has for its members. A job names bytes and members, and goes from
/// here to the layers that have the paths of these members: first the datagram layer takes the shares of
/// members with a route, then QUIC takes the shares of its members, then the connections take the shares of
/// those that they carry. The receipt counts what was sent.
pub(super) fn deliver(context: &mut Context, connections: &mut Connections, budget: usize) {
    let Context { chat, datagrams, quic, metrics, now, .. } = context;
    while let Some(member) = chat.poll_turned() {
        quic.turn(member);
    }
    let receipt = chat.deliver(budget, *now, |mut job, budget| {
        let mut receipt = datagrams.send(job.reborrow(), budget);
        if !std::mem::take(&mut receipt.unrouted) {
            return receipt;
        }
        let left = |receipt: &Receipt| budget.saturating_sub(receipt.sent + receipt.dropped);
        receipt.add(without_overflow(quic.carry(job.reborrow(), left(&receipt)), metrics));
        if receipt.unrouted {
            let has_path = |member| datagrams.has_route(member) || quic.is_path_of(member);
            let carried = connections.carry(job, left(&receipt), has_path);
            receipt.add(without_overflow(carried, metrics));
        }
        receipt
    });
    metrics.add(Counter::Sent, receipt.sent as u64);
    metrics.add(Counter::Repairs, receipt.repairs as u64);
    metrics.add(Counter::SendErrors, receipt.dropped as u64);
    metrics.add(Counter::Withheld, receipt.withheld as u64);
    metrics.add(Counter::Blocked, u64::from(receipt.blocked));
}

/// Counts the messages that connections had no space for, which are no errors of a socket.
fn without_overflow(receipt: Receipt, metrics: &mut Metrics) -> Receipt {
    metrics.add(Counter::Overflowed, receipt.dropped as u64);
    Receipt { dropped: 0, ..receipt }
}
