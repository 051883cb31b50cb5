//! Unicast queue: datagrams addressed to exactly one member (command replies, refusals, questions,
//! repairs).
//!
//! It is separate from the entries for everybody: to deliver one reply must not scan every member
//! of a large room.

use super::entry_log::{EntryLog, Pool};
use super::lane::{Lane, Outcome, Workspace};
use crate::fanout::{Audience, Job, NO_TAG, Share};
use crate::ids::MemberId;

/// Waiting datagrams, oldest first.
#[derive(Debug, Default)]
pub(super) struct UnicastQueue {
    log: EntryLog,
}

impl UnicastQueue {
    /// Appends a datagram for `member`, which `encode` writes.
    pub(super) fn push(
        &mut self,
        member: MemberId,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.log.push(Audience::Only(member), pool, encode);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Returns the number of waiting datagrams.
    pub(super) fn len(&self) -> usize {
        self.log.extents().len()
    }

    /// Returns the number of waiting bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.log.waiting_bytes()
    }

    /// Returns the bytes of memory in use.
    pub(super) fn held_bytes(&self) -> usize {
        self.log.held_bytes()
    }
}

impl Lane for UnicastQueue {
    /// Collects all datagrams, those of one member that follow each other in one share. The shares
    /// are numbered in order.
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool {
        let shares = &mut work.shares;
        shares.clear();
        for (next, extent) in (0..).zip(self.log.extents()) {
            let Audience::Only(member) = extent.audience else { continue };
            let cursor = shares.len() as u32;
            match shares.last_mut() {
                Some(last) if last.member == member => last.until = next + 1,
                _ => shares.push(Share { member, cursor, next, until: next + 1, tag: NO_TAG }),
            }
        }
        max > 0 && !shares.is_empty()
    }

    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a> {
        self.log.job(&mut work.shares)
    }

    /// Keeps the datagrams that were not sent.
    fn take_back(&mut self, work: &mut Workspace, _: Outcome) {
        let waiting = work.shares.iter().flat_map(|share| share.next..share.until);
        self.log.retain(waiting, &mut work.pool);
    }
}
