//! The shares of jobs for members on QUIC.

use super::Quic;
use super::link::Offered;
use crate::fanout::{Job, Receipt, Share};
use crate::ids::QuicId;

impl Quic {
    /// Returns true if no member is on QUIC.
    pub fn has_no_members(&self) -> bool {
        self.members == 0
    }

    /// Hands the shares of members on QUIC to their connections, at most `budget` messages. Shares of others stay
    /// where they are. If a connection is full, the numbered entries of its member stay too, and other messages
    /// are dropped.
    pub fn carry(&mut self, job: Job<'_>, budget: usize) -> Receipt {
        let (job, shares) = job.split();
        let mut total = Receipt::default();
        for share in shares.iter_mut().filter(|share| share.next < share.until) {
            let Some(id) = self.paths.get(share.member).copied() else {
                total.unrouted = true;
                continue;
            };
            if total.sent >= budget {
                break;
            }
            total.add(self.carry_share(id, &job, share, budget - total.sent));
        }
        total
    }

    fn carry_share(
        &mut self,
        id: QuicId,
        job: &Job<'_>,
        share: &mut Share,
        budget: usize,
    ) -> Receipt {
        let mut receipt = Receipt::default();
        let Some(link) = self.links.get_mut(id) else {
            share.skip();
            return receipt;
        };
        while receipt.sent < budget
            && let Some(index) = share.seek(job.entries)
        {
            let tag = job.is_tagged.then_some(share.tag);
            match link.offer(job.datagram(index), tag) {
                Offered::Taken => receipt.sent += 1,
                Offered::Full if job.is_tagged => {
                    receipt.blocked = true;
                    break;
                }
                Offered::Full | Offered::Gone => receipt.dropped += 1,
            }
            share.next += 1;
        }
        self.mark_dirty(id);
        receipt
    }
}
