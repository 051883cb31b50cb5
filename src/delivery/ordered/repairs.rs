//! ReplyBudget to repair requests, prepared and not sent yet. A member has one at a time: asking again
//! before it has come gets no other.

use std::time::Instant;

use super::cursor::Cursor;
use super::cursors::Cursors;
use super::packing::PacketTrain;
use super::ring::Ring;
use crate::delivery::entry_log::Pool;
use crate::delivery::unicast::UnicastQueue;
use crate::fanout::Share;
use crate::ids::MemberId;
use crate::protocol::stream::upstream::Range;
use crate::protocol::stream::{MAX_PACKED, MAX_REPAIR};

/// ReplyBudget that wait, in bytes. A request that finds them full is not answered; it will be asked
/// again.
const MAX_WAITING: usize = 256 * 1024;

/// ReplyBudget that wait, and whose they are, in the same order.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    asides: UnicastQueue,
    members: Vec<(MemberId, u32)>,
}

impl Repairs {
    pub(crate) fn asides(&self) -> &UnicastQueue {
        &self.asides
    }

    /// Prepares the answer to a member's request, as far as its ration goes.
    pub(crate) fn prepare(
        &mut self,
        cursor: &mut Cursor,
        ranges: impl Iterator<Item = Range>,
        ring: &Ring,
        train: &mut PacketTrain,
        pool: &mut Pool,
        now: Instant,
    ) {
        if cursor.is_in_repair || self.asides.waiting_bytes() > MAX_WAITING {
            return;
        }
        let mut left = MAX_REPAIR;
        for Range { from, count } in ranges {
            // No more than the ration pays is packed: asking has to cost less than an answer.
            let most = left.min(cursor.ration.left(now).div_ceil(MAX_PACKED));
            if most == 0 {
                return;
            }
            // Reports all gone entries at once, so that the report never ends within a message.
            let until = from.saturating_add(u64::from(count)).max(ring.first());
            let until = until.min(cursor.repairable(ring.end()));
            train.pack(ring, cursor.tag, (from.max(cursor.first), until), most);
            for datagram in train.datagrams() {
                if datagram.len() > cursor.ration.left(now) {
                    return;
                }
                cursor.ration.take(datagram.len());
                self.push(cursor, datagram, pool);
                left -= 1;
            }
        }
    }

    fn push(&mut self, cursor: &mut Cursor, datagram: &[u8], pool: &mut Pool) {
        if !std::mem::replace(&mut cursor.is_in_repair, true) {
            self.members.push((cursor.member, cursor.number));
        }
        self.asides.push(cursor.member, pool, |out| out.extend_from_slice(datagram));
    }

    /// Forgets what was sent: who has an answer may ask again.
    pub(crate) fn take_back(&mut self, shares: &[Share], cursors: &mut Cursors, pool: &mut Pool) {
        self.asides.take_back(shares, pool);
        let mut waiting = shares.iter().filter(|share| share.next < share.until).peekable();
        self.members.retain(|(member, number)| {
            let waits = waiting.next_if(|share| share.member == *member).is_some();
            if let Some(cursor) = cursors.find_mut(*number) {
                cursor.is_in_repair = waits;
            }
            waits
        });
    }
}
