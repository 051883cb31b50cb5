//! Sending one job: plan a call's worth of messages, make the call, account for each message.

use super::batch::Batch;
use super::parcels::Parcels;
use super::socket::{SendOutcome, Socket};
use super::table::Table;
use crate::fanout::{Job, Receipt};

/// A job under way.
pub(super) struct Dispatch<'a> {
    pub(super) sockets: &'a mut [Socket],
    pub(super) table: &'a mut Table,
    pub(super) batch: &'a mut Batch,
    /// Planned and not sent yet; all for one socket.
    pub(super) parcels: &'a mut Parcels,
    pub(super) job: Job<'a>,
    pub(super) budget: usize,
    pub(super) receipt: Receipt,
}

/// What came of one call's worth.
enum Flushed {
    /// Every message was sent, or refused for good.
    All,
    /// A member's way does not take messages that the kernel cuts up. Its share, with this index,
    /// and those behind it are where they were: they are to be planned again.
    Rewound(usize),
    /// The socket is full. What was not sent is where it was.
    Blocked,
}

impl Dispatch<'_> {
    /// Sends as much as the budget and the sockets allow. Each socket by itself: one that is full
    /// stops only its own members.
    pub(super) fn run(mut self) -> Receipt {
        for socket in 0..self.sockets.len() {
            self.send_through(socket);
        }
        self.receipt
    }

    fn send_through(&mut self, socket: usize) {
        let mut next = 0;
        loop {
            next = self.plan_from(next, socket);
            if self.parcels.is_empty() {
                return;
            }
            match self.flush(socket) {
                Flushed::All => {}
                Flushed::Rewound(share) => next = share,
                Flushed::Blocked => return,
            }
        }
    }

    /// Plans messages for the members of one socket, from the share with this index on, until a call
    /// is full or the budget is used up; gives the share to go on with.
    fn plan_from(&mut self, mut next: usize, socket: usize) -> usize {
        let can_segment = self.batch.can_segment();
        let left = self.budget - self.receipt.sent - self.receipt.dropped;
        while !self.parcels.is_full() && self.parcels.datagrams() < left {
            let Some(share) = self.job.to.get_mut(next) else { break };
            let max = left - self.parcels.datagrams();
            let planned = match self.table.get(share.member) {
                Some(row) if row.socket() == socket => {
                    self.parcels.plan((next, share), self.job.entries, row, can_segment, max)
                }
                Some(_) => false,
                // No address is proved: nothing is sent, and nothing waits.
                None => {
                    share.next = share.until;
                    false
                }
            };
            if !planned {
                next += 1;
            }
        }
        next
    }

    fn flush(&mut self, socket: usize) -> Flushed {
        let mut done = 0;
        let outcome = loop {
            let Some(parcel) = self.parcels.parcels().get(done) else { break Flushed::All };
            let messages = self.parcels.outgoing(done);
            match self.sockets[socket].send(self.batch, self.job.bytes, messages) {
                SendOutcome::Sent(count) => done += self.account_sent(done, count),
                SendOutcome::Refused if parcel.is_segmented() => {
                    let share = parcel.share;
                    self.table.note_refused_segments(self.job.to[share].member);
                    self.rewind(done);
                    break Flushed::Rewound(share);
                }
                SendOutcome::Refused => {
                    self.receipt.dropped += 1;
                    done += 1;
                }
                SendOutcome::Blocked => {
                    self.receipt.blocked = true;
                    self.rewind(done);
                    break Flushed::Blocked;
                }
            }
        };
        self.parcels.clear();
        outcome
    }

    fn account_sent(&mut self, from: usize, count: usize) -> usize {
        let sent = &self.parcels.parcels()[from..from + count];
        self.receipt.sent += sent.iter().map(|parcel| parcel.datagrams).sum::<usize>();
        count
    }

    /// Puts the shares of messages that were not sent back to where they were.
    fn rewind(&mut self, from: usize) {
        for parcel in self.parcels.parcels()[from..].iter().rev() {
            self.job.to[parcel.share].next = parcel.rewind;
        }
    }
}
