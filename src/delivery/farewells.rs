//! Queue of farewells: the last datagrams to members that have ended.
//!
//! A hundred thousand members may end together, so the queue is cut into portions, and a delivery
//! visits only the first one.

use std::collections::VecDeque;
use std::time::Instant;

use super::entry_log::Pool;
use super::lane::{Workspace, send_lane};
use super::unicast::UnicastQueue;
use crate::fanout::{Job, Receipt};
use crate::ids::MemberId;

/// Datagrams in a portion: as many as a room sends in one turn.
const PORTION: usize = 512;

/// Waiting farewells.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    /// Never holds an empty portion.
    portions: VecDeque<UnicastQueue>,
    /// Bytes of all portions.
    bytes: usize,
    /// Number of portions at the back that wait for a full socket. If all wait, so does the queue.
    blocked: usize,
}

impl Farewells {
    /// Appends a datagram for `member`; `encode` writes it.
    pub(super) fn push(
        &mut self,
        member: MemberId,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.portions.back().is_none_or(|last| last.len() >= PORTION) {
            self.portions.push_back(UnicastQueue::default());
        }
        let Some(last) = self.portions.back_mut() else { return };
        let before = last.waiting_bytes();
        last.push(member, pool, encode);
        self.bytes += last.waiting_bytes() - before;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.portions.is_empty()
    }

    /// Returns true if something could be sent.
    pub(super) fn has_output(&self) -> bool {
        self.blocked < self.portions.len()
    }

    /// Returns the number of waiting bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// Retries all portions after a full socket has become writable.
    pub(super) fn resume(&mut self) {
        self.blocked = 0;
    }

    /// Sends the first portion, as far as the budget allows. If a full socket stops a part of it,
    /// that part goes to the back, behind portions that can be sent.
    pub(super) fn deliver(
        &mut self,
        budget: usize,
        work: &mut Workspace,
        now: Instant,
        send: &mut impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        let Some(mut portion) = self.portions.pop_front() else { return Receipt::default() };
        self.bytes -= portion.waiting_bytes();
        let receipt = send_lane(&mut portion, work, budget, now, send).unwrap_or_default();
        self.bytes += portion.waiting_bytes();
        let is_blocked = receipt.blocked && receipt.sent + receipt.dropped < budget;
        match portion.is_empty() {
            true => {}
            false if is_blocked => self.put_last(portion),
            false => self.portions.push_front(portion),
        }
        receipt
    }

    fn put_last(&mut self, portion: UnicastQueue) {
        self.portions.push_back(portion);
        self.blocked += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;

    fn farewells(count: u32) -> Farewells {
        let mut farewells = Farewells::default();
        for slot in 0..count {
            let member = MemberId(Key { slot, generation: 0 });
            farewells.push(member, &mut Pool::default(), |out| out.push(b'x'));
        }
        farewells
    }

    /// Sends a portion to the members that `reaches` accepts, by slot.
    fn deliver(farewells: &mut Farewells, reaches: impl Fn(u32) -> bool) -> (usize, usize) {
        let (mut work, mut seen) = (Workspace::default(), 0);
        let receipt = farewells.deliver(PORTION, &mut work, Instant::now(), &mut |job, _| {
            seen = job.entries.len();
            let mut receipt = Receipt::default();
            for share in job.to.iter_mut() {
                if reaches(share.member.0.slot) {
                    share.next = share.until;
                    receipt.sent += 1;
                } else {
                    receipt.blocked = true;
                }
            }
            receipt
        });
        (receipt.sent, seen)
    }

    #[test]
    fn a10_a_turn_visits_one_portion() {
        let mut farewells = farewells(100_000);
        let mut sent = 0;
        while farewells.has_output() {
            let (now, seen) = deliver(&mut farewells, |_| true);
            assert!(seen <= PORTION, "{seen}");
            sent += now;
        }
        assert_eq!((sent, farewells.is_empty(), farewells.waiting_bytes()), (100_000, true, 0));
    }

    #[test]
    fn a10_full_socket_delays_its_own() {
        const DEAF: u32 = 3 * PORTION as u32;
        let mut farewells = farewells(DEAF + 10);
        let mut sent = 0;
        for _ in 0..4 {
            sent += deliver(&mut farewells, |slot| slot >= DEAF).0;
        }
        assert_eq!(
            (sent, farewells.has_output()),
            (10, false),
            "nobody asks the full socket again"
        );
        farewells.resume();
        while farewells.has_output() {
            sent += deliver(&mut farewells, |_| true).0;
        }
        assert_eq!((sent, farewells.is_empty()), (DEAF as usize + 10, true));
    }
}
