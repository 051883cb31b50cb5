//! Repairs: answers to requests for lost entries, prepared and not sent yet.
//!
//! A member has one answer at a time: a request before it is sent gets no other.

use std::mem;
use std::time::Instant;

use super::cursor::OrderedCursor;
use super::tracked::TrackedCursors;
use crate::delivery::entry_log::Pool;
use crate::delivery::lane::{Lane, Outcome, Workspace};
use crate::delivery::packing::PacketTrain;
use crate::delivery::ring::Ring;
use crate::delivery::unicast::UnicastQueue;
use crate::fanout::Job;
use crate::protocol::stream::upstream::Range;
use crate::protocol::stream::{MAX_PACKED, MAX_REPAIR};

/// Limit for the bytes of waiting answers. A request that finds it reached is not answered; the
/// member will ask again.
const MAX_WAITING: usize = 256 * 1024;

/// Waiting answers, and the numbers of their members in the same order.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    pub(super) queue: UnicastQueue,
    members: Vec<u32>,
}

impl Repairs {
    /// Prepares the answer to a member's request, as far as its budget goes.
    pub(super) fn prepare(
        &mut self,
        cursor: &mut OrderedCursor,
        ranges: impl Iterator<Item = Range>,
        ring: &Ring,
        train: &mut PacketTrain,
        pool: &mut Pool,
        now: Instant,
    ) {
        if cursor.is_in_repair || self.queue.waiting_bytes() > MAX_WAITING {
            return;
        }
        let mut left = MAX_REPAIR;
        for Range { from, count } in ranges {
            // No more than the budget pays is packed: a request has to cost less than its answer.
            let most = left.min(cursor.repair_budget.left(now).div_ceil(MAX_PACKED));
            if most == 0 {
                return;
            }
            // Reports all lost entries at once, so that the report never ends within a message.
            let until = from.saturating_add(u64::from(count)).max(ring.first());
            let until = until.min(cursor.repairable(ring.end()));
            train.pack(ring, cursor.tag, (from.max(cursor.first), until), most);
            for datagram in train.datagrams() {
                if datagram.len() > cursor.repair_budget.left(now) {
                    return;
                }
                cursor.repair_budget.take(datagram.len(), now);
                self.push(cursor, datagram, pool);
                left -= 1;
            }
        }
    }

    fn push(&mut self, cursor: &mut OrderedCursor, datagram: &[u8], pool: &mut Pool) {
        if !mem::replace(&mut cursor.is_in_repair, true) {
            self.members.push(cursor.number);
        }
        self.queue.push(cursor.member, pool, |out| out.extend_from_slice(datagram));
    }

    /// Forgets the datagrams that were sent. A member whose answer was sent may ask again.
    pub(super) fn take_back(
        &mut self,
        work: &mut Workspace,
        cursors: &mut TrackedCursors,
        outcome: Outcome,
    ) {
        // The queue has one share for each answer, in order.
        let mut shares = work.shares.iter();
        self.members.retain(|number| {
            let waits = shares.next().is_some_and(|share| share.next < share.until);
            if let Some(cursor) = cursors.find_mut(*number) {
                cursor.is_in_repair = waits;
            }
            waits
        });
        self.queue.take_back(work, outcome);
    }
}

/// The answers to repair requests.
pub(in crate::delivery) struct RepairLane<'a> {
    pub(super) repairs: &'a mut Repairs,
    pub(super) cursors: &'a mut TrackedCursors,
}

impl Lane for RepairLane<'_> {
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool {
        self.repairs.queue.share_out(work, max)
    }

    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a> {
        self.repairs.queue.job(work)
    }

    fn take_back(&mut self, work: &mut Workspace, outcome: Outcome) {
        self.repairs.take_back(work, self.cursors, outcome);
    }
}
