//! Lanes: the kinds of output of a feed, which are all sent in the same three steps.

use std::time::Instant;

use super::entry_log::Pool;
use super::packing::PacketTrain;
use crate::fanout::{Job, Receipt, Share};
use crate::ids::MemberId;

/// Buffers that all lanes of all feeds use in turn, so that a delivery allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) pool: Pool,
    pub(super) shares: Vec<Share>,
    pub(super) train: PacketTrain,
    /// The entry that is being appended, in its encoding for streams.
    pub(super) entry: Vec<u8>,
    /// Bytes of history that members were sent in this call.
    pub(super) history: Vec<(MemberId, usize)>,
}

/// The outcome of a job, as far as its lane has to know it. The shares tell what was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// True if a full socket has stopped the rest, and not the budget.
    pub(super) is_blocked: bool,
    pub(super) now: Instant,
}

/// Output of one kind.
pub(super) trait Lane {
    /// Collects members and what each of them is to get in `work.shares`, up to `max` datagrams.
    /// Returns false if there is nothing to send.
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool;

    /// Returns the job for these shares.
    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a>;

    /// Takes the shares back: [`Share::next`] tells how much of each was sent.
    fn take_back(&mut self, work: &mut Workspace, outcome: Outcome);
}

/// Sends at most `budget` datagrams of a lane. Returns `None` if there is nothing to send.
pub(super) fn send_lane(
    lane: &mut impl Lane,
    work: &mut Workspace,
    budget: usize,
    now: Instant,
    send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
) -> Option<Receipt> {
    if !lane.share_out(work, budget) {
        return None;
    }
    let receipt = send(lane.job(work), budget);
    let is_blocked = receipt.blocked && receipt.sent + receipt.dropped < budget;
    lane.take_back(work, Outcome { is_blocked, now });
    Some(receipt)
}
