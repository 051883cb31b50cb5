//! Answers to repair requests, prepared and not sent yet. A member has one at a time: asking again
//! before it has come gets no other.

use std::time::Instant;

use super::ring::Ring;
use super::seat::Seat;
use super::seats::Seats;
use super::train::Train;
use crate::chat::asides::Asides;
use crate::chat::log::Pool;
use crate::fanout::Share;
use crate::ids::MemberId;
use crate::protocol::stream::upstream::Range;
use crate::protocol::stream::{MAX_PACKED, MAX_REPAIR};

/// Answers that wait, in bytes. A request that finds them full is not answered; it will be asked
/// again.
const MAX_WAITING: usize = 256 * 1024;

/// Answers that wait, and whose they are, in the same order.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    asides: Asides,
    members: Vec<(MemberId, u32)>,
}

impl Repairs {
    pub(super) fn asides(&self) -> &Asides {
        &self.asides
    }

    /// Prepares the answer to a member's request, as far as its ration goes.
    pub(super) fn prepare(
        &mut self,
        seat: &mut Seat,
        ranges: impl Iterator<Item = Range>,
        ring: &Ring,
        train: &mut Train,
        pool: &mut Pool,
        now: Instant,
    ) {
        if seat.is_in_repair || self.asides.waiting_bytes() > MAX_WAITING {
            return;
        }
        let mut left = MAX_REPAIR;
        for Range { from, count } in ranges {
            // No more than the ration pays is packed: asking has to cost less than an answer.
            let most = left.min(seat.ration.left(now).div_ceil(MAX_PACKED));
            if most == 0 {
                return;
            }
            // Reports all gone entries at once, so that the report never ends within a message.
            let until = from.saturating_add(u64::from(count)).max(ring.first());
            let until = until.min(seat.repairable(ring.end()));
            train.pack(ring, seat.tag, (from.max(seat.first), until), most);
            for datagram in train.datagrams() {
                if datagram.len() > seat.ration.left(now) {
                    return;
                }
                seat.ration.take(datagram.len());
                self.push(seat, datagram, pool);
                left -= 1;
            }
        }
    }

    fn push(&mut self, seat: &mut Seat, datagram: &[u8], pool: &mut Pool) {
        if !std::mem::replace(&mut seat.is_in_repair, true) {
            self.members.push((seat.member, seat.number));
        }
        self.asides.push(seat.member, pool, |out| out.extend_from_slice(datagram));
    }

    /// Forgets what was sent: who has an answer may ask again.
    pub(super) fn take_back(&mut self, shares: &[Share], seats: &mut Seats, pool: &mut Pool) {
        self.asides.take_back(shares, pool);
        let mut waiting = shares.iter().filter(|share| share.next < share.until).peekable();
        self.members.retain(|(member, number)| {
            let waits = waiting.next_if(|share| share.member == *member).is_some();
            if let Some(seat) = seats.find_mut(*number) {
                seat.is_in_repair = waits;
            }
            waits
        });
    }
}
