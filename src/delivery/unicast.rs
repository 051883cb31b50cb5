//! Datagrams that have one reader each: answers, refusals, good-byes, repairs.
//!
//! They lie apart from what a room says, so that one of them in a large room costs no look at all
//! of its members.

use super::entry_log::{EntryLog, Pool};
use crate::fanout::{Audience, Job, NO_TAG, Share};
use crate::ids::MemberId;

/// Waiting datagrams, oldest first.
#[derive(Debug, Default)]
pub(crate) struct UnicastQueue {
    log: EntryLog,
}

impl UnicastQueue {
    /// Appends a datagram for `member`, which `encode` writes.
    pub(crate) fn push(
        &mut self,
        member: MemberId,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.log.push(Audience::Only(member), pool, encode);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Returns the number of waiting datagrams.
    pub(crate) fn len(&self) -> usize {
        self.log.entries().len()
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.log.waiting_bytes()
    }

    /// Bytes of memory in use.
    pub(crate) fn held_bytes(&self) -> usize {
        self.log.held_bytes()
    }

    /// Collects the datagrams, neighbours of one reader together.
    pub(crate) fn share_out(&self, shares: &mut Vec<Share>) {
        shares.clear();
        for (next, entry) in (0..).zip(self.log.entries()) {
            let Audience::Only(member) = entry.audience else { continue };
            match shares.last_mut() {
                Some(last) if last.member == member => last.until = next + 1,
                _ => shares.push(Share { member, next, until: next + 1, tag: NO_TAG }),
            }
        }
    }

    /// All of them, for these readers.
    pub(crate) fn job<'a>(&'a self, to: &'a mut [Share]) -> Job<'a> {
        Job { bytes: self.log.bytes(), entries: self.log.entries(), to, is_tagged: false }
    }

    /// Forgets what was sent.
    pub(crate) fn take_back(&mut self, shares: &[Share], pool: &mut Pool) {
        self.log.retain(shares.iter().flat_map(|share| share.next..share.until), pool);
    }
}
