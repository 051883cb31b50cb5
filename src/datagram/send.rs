//! Sending one job: plan the messages of one call, make the call, account for each message.
//!
//! The messages of a call go through one socket, and all are in the clear or all are sealed: an [`Exit`]
//! says which. A room with members of both kinds takes two passes over its shares.

#[cfg(all(test, feature = "tls"))]
mod sealed_tests;
#[cfg(test)]
mod tests;

use std::time::Instant;

use super::batch::Batch;
use super::hosts::Permit;
use super::routes::{Exit, Route, Routes};
use super::seals::Seals;
use super::socket::{SendOutcome, Socket};
use super::transmits::Transmits;
use crate::fanout::{Job, Receipt};

/// A job that is being sent.
pub(super) struct JobSender<'a> {
    pub(super) sockets: &'a mut [Socket],
    pub(super) routes: &'a mut Routes,
    pub(super) seals: &'a mut Seals,
    pub(super) batch: &'a mut Batch,
    /// Messages that are planned and not sent yet; all for one exit.
    pub(super) transmits: &'a mut Transmits,
    pub(super) job: Job<'a>,
    pub(super) budget: usize,
    /// True if a pass has met shares of the other kind.
    pub(super) has_others: bool,
    pub(super) receipt: Receipt,
}

/// Outcome of planning a share.
enum Planned {
    /// One more message is planned.
    Message,
    /// Nothing more can be planned of this share.
    Nothing,
    /// The planned messages have to be sent first.
    Flush,
}

/// Outcome of sending the planned messages.
enum Flushed {
    /// Each was sent, or refused for good.
    All,
    /// A member's path refuses messages that the kernel cuts into segments. The share with this index
    /// and those after it are back at their old positions, to be planned again.
    Rewound(usize),
    /// The socket is full. The shares of messages that were not sent are back at their old positions.
    Blocked,
}

impl JobSender<'_> {
    /// Sends as much as the budget and the sockets allow. Each member is reached through the socket of its
    /// route, and a full socket stops only its own members.
    pub(super) fn run(mut self) -> Receipt {
        let is_sealed = self.begins_sealed();
        for socket in 0..self.sockets.len() {
            // There are as many sockets as there were --bind options.
            let exit = Exit { socket: socket as u16, is_sealed };
            self.has_others = false;
            self.send_through(exit);
            if self.has_others {
                self.send_through(Exit { is_sealed: !is_sealed, ..exit });
            }
        }
        self.receipt
    }

    /// Returns the kind of the first member that has to be sent anything. Shares are in a fair order, and
    /// if the budget always ended in the first pass, the other kind would get nothing.
    fn begins_sealed(&self) -> bool {
        let mut left = self.job.to.iter().filter(|share| share.next < share.until);
        let first = left.find_map(|share| self.routes.get(share.member));
        first.is_some_and(|route| route.exit.is_sealed)
    }

    fn send_through(&mut self, exit: Exit) {
        let mut next = 0;
        loop {
            next = self.plan_from(next, exit);
            if self.transmits.list.is_empty() {
                return;
            }
            match self.flush(exit) {
                Flushed::All => {}
                Flushed::Rewound(share) => next = share,
                Flushed::Blocked => return,
            }
        }
    }

    /// Plans messages for the members of one exit, starting at the share with this index, until a call
    /// is full or the budget is used up. Returns the share to continue with.
    fn plan_from(&mut self, mut next: usize, exit: Exit) -> usize {
        let left = self.budget - self.receipt.sent - self.receipt.dropped;
        while !self.transmits.is_full() && self.transmits.datagrams < left {
            let Some(share) = self.job.to.get_mut(next) else { break };
            match self.routes.get(share.member).copied() {
                Some(route) if route.exit == exit && share.next < share.until => {
                    match self.plan_share(next, &route, left - self.transmits.datagrams) {
                        // The share may have more.
                        Planned::Message => continue,
                        Planned::Nothing => {}
                        Planned::Flush => break,
                    }
                }
                Some(route) => self.has_others |= route.exit.is_sealed != exit.is_sealed,
                None => self.receipt.unrouted |= share.next < share.until,
            }
            next += 1;
        }
        next
    }

    /// Plans the next message of a share, as far as its host's part of the send buffer allows.
    fn plan_share(&mut self, index: usize, route: &Route, max: usize) -> Planned {
        let size = self.job.datagram(self.job.to[index].next).len() + route.overhead();
        let socket = &self.sockets[usize::from(route.exit.socket)];
        let hosts = &mut self.routes.hosts;
        let permit = match hosts.fits(route.host, size) {
            Some(bytes) => Permit::Bytes(bytes),
            // Planned messages are not in the send buffer yet, so a sample would miss them.
            None if !self.transmits.list.is_empty() => return Planned::Flush,
            None => hosts.permit((route.host, size), Instant::now(), || socket.queued()),
        };
        let bytes = match permit {
            Permit::Bytes(bytes) => bytes,
            Permit::Wait => {
                self.receipt.blocked = true;
                return Planned::Nothing;
            }
            Permit::Drop => {
                let share = &mut self.job.to[index];
                self.receipt.withheld += (share.until - share.next) as usize;
                share.skip();
                return Planned::Nothing;
            }
        };
        let max = if self.batch.can_segment() { max } else { 1 };
        match self.transmits.plan(&mut self.job, index, (route, self.seals), (max, bytes)) {
            Some(transmit) => {
                hosts.note_sent(route.host, transmit.bytes);
                Planned::Message
            }
            None => Planned::Nothing,
        }
    }

    /// Sends the planned messages.
    fn flush(&mut self, exit: Exit) -> Flushed {
        let (mut done, socket) = (0, usize::from(exit.socket));
        let outcome = loop {
            let Some(transmit) = self.transmits.list.get(done) else { break Flushed::All };
            let (messages, bytes) = self.transmits.outgoing(done, &self.job);
            match self.sockets[socket].send(self.batch, bytes, messages) {
                SendOutcome::Sent(count) => {
                    let sent = &self.transmits.list[done..done + count];
                    self.receipt.sent += sent.iter().map(|sent| sent.datagrams).sum::<usize>();
                    done += count;
                }
                SendOutcome::Unfit if transmit.is_segmented() => {
                    let share = transmit.share;
                    self.routes.note_refused_segments(self.job.to[share].member);
                    self.rewind(done);
                    break Flushed::Rewound(share);
                }
                // The error is about this message alone: the next call starts after it.
                SendOutcome::Refused | SendOutcome::Unfit => {
                    self.receipt.dropped += transmit.datagrams;
                    done += 1;
                }
                SendOutcome::Blocked => {
                    self.receipt.blocked = true;
                    self.rewind(done);
                    break Flushed::Blocked;
                }
            }
        };
        self.transmits.clear();
        outcome
    }

    /// Moves the shares of messages that were not sent back to their old positions.
    fn rewind(&mut self, from: usize) {
        // In reverse order, because a share with several messages must end at the first one.
        for transmit in self.transmits.list[from..].iter().rev() {
            self.job.to[transmit.share].next = transmit.rewind;
        }
    }
}
