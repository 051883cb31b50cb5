//! Sending one job: plan the messages of one call, make the call, account for each message.
//!
//! The messages of a call go through one socket, and all are in the clear or all are sealed: an [`Exit`] says
//! which. A room with members of both kinds takes two passes over its shares.

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    use crate::address::Origin;
    use crate::datagram::batch::played::{Line, Played};
    use crate::datagram::socket::bind;
    use crate::fanout::{Audience, Extent, NO_TAG, Share};
    use crate::ids::{Key, MemberId};

    /// Three members, each with five messages of one size to get, and a kernel that plays a script.
    struct Stage {
        sockets: Vec<Socket>,
        routes: Routes,
        seals: Seals,
        batch: Batch,
        transmits: Transmits,
        entries: Vec<Extent>,
        shares: Vec<Share>,
        bytes: &'static [u8],
        is_tagged: bool,
    }

    const BYTES: &[u8] = b"aabbccddee";

    fn member(slot: u32) -> MemberId {
        MemberId(Key { slot, generation: 0 })
    }

    fn address(slot: u32) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1 + slot as u16))
    }

    impl Stage {
        fn new(lines: impl IntoIterator<Item = Line>) -> Self {
            let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
            let mut routes = Routes::default();
            routes.hosts.add_socket(1 << 20, Instant::now());
            for slot in 0..3 {
                let origin = Origin { socket: 0, local: None, remote: address(slot).into() };
                routes.announce(member(slot), &origin, false);
            }
            let entry = |end| Extent { end, audience: Audience::All };
            let share =
                |slot| Share { member: member(slot), cursor: 0, next: 0, until: 5, tag: NO_TAG };
            Self {
                sockets: vec![Socket::new(socket).expect("an address")],
                routes,
                seals: Seals::new(Instant::now()),
                batch: Batch::Played(Played {
                    lines: lines.into_iter().collect(),
                    ..Played::default()
                }),
                transmits: Transmits::new(),
                entries: [2, 4, 6, 8, 10].map(entry).to_vec(),
                shares: [0, 1, 2].map(share).to_vec(),
                bytes: BYTES,
                is_tagged: false,
            }
        }

        fn send(&mut self, budget: usize) -> Receipt {
            let (bytes, is_tagged) = (self.bytes, self.is_tagged);
            let job = Job { bytes, entries: &self.entries, to: &mut self.shares, is_tagged };
            self.transmits.begin(&job);
            JobSender {
                sockets: &mut self.sockets,
                routes: &mut self.routes,
                seals: &mut self.seals,
                batch: &mut self.batch,
                transmits: &mut self.transmits,
                job,
                budget,
                has_others: false,
                receipt: Receipt::default(),
            }
            .run()
        }

        /// Replaces the five datagrams by three that begin with each member's tag.
        fn tag(&mut self) {
            (self.bytes, self.is_tagged) = (b"....aa....bb....c", true);
            let entry = |end| Extent { end, audience: Audience::All };
            self.entries = [6, 12, 17].map(entry).to_vec();
            for (share, tag) in self.shares.iter_mut().zip([b"tag0", b"tag1", b"tag2"]) {
                (share.until, share.tag) = (3, *tag);
            }
        }

        fn positions(&self) -> [u32; 3] {
            [0, 1, 2].map(|index| self.shares[index].next)
        }

        /// Returns the datagrams that a member was sent, in order.
        fn sent_to(&self, slot: u32) -> String {
            let Batch::Played(played) = &self.batch else { panic!("played") };
            let texts = played.sent.iter().filter(|(to, _)| *to == address(slot));
            texts.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
        }
    }

    const ALL: &str = "aa bb cc dd ee";

    #[test]
    fn d6_full_socket_only_delays() {
        let mut stage = Stage::new([Line::Take(1), Line::Fail(libc::EAGAIN)]);
        let receipt = stage.send(99);
        assert_eq!(receipt, Receipt { sent: 5, blocked: true, ..Receipt::default() });
        assert_eq!(stage.positions(), [5, 0, 0]);
        assert_eq!(stage.send(99), Receipt { blocked: true, ..Receipt::default() }, "no call");
        stage.sockets[0].is_writable = true;
        assert_eq!(stage.send(99), Receipt { sent: 10, ..Receipt::default() });
        assert_eq!([0, 1, 2].map(|slot| stage.sent_to(slot)), [ALL, ALL, ALL]);
    }

    #[test]
    fn d4_short_count_continues_after_it() {
        let mut stage = Stage::new([Line::Take(1), Line::Take(1), Line::Take(1)]);
        assert_eq!(stage.send(99).sent, 15);
        assert_eq!([0, 1, 2].map(|slot| stage.sent_to(slot)), [ALL, ALL, ALL]);
    }

    #[test]
    fn refused_segments_become_datagrams() {
        for errno in [libc::EINVAL, libc::EIO, libc::EMSGSIZE] {
            let refused = [Line::Take(1), Line::Fail(errno), Line::Fail(errno)];
            let mut stage = Stage::new(refused);
            assert_eq!(stage.send(99), Receipt { sent: 15, ..Receipt::default() });
            assert_eq!([0, 1, 2].map(|slot| stage.sent_to(slot)), [ALL, ALL, ALL]);
            let has_refused = |slot| {
                let route = stage.routes.get(member(slot)).expect("a route");
                route.largest_segment == 0
            };
            assert_eq!([0, 1, 2].map(has_refused), [false, true, false], "errno {errno}");
        }
    }

    #[test]
    fn other_errors_do_not_end_segments() {
        let refused = || Line::Fail(libc::ENOBUFS);
        let mut stage = Stage::new([refused(), refused()]);
        assert_eq!(stage.send(99), Receipt { sent: 10, dropped: 5, ..Receipt::default() });
        assert_ne!(stage.routes.get(member(0)).expect("a route").largest_segment, 0);
    }

    #[test]
    fn d3_error_about_earlier_datagram() {
        let mut stage = Stage::new([Line::Fail(libc::ECONNREFUSED)]);
        assert_eq!(stage.send(99), Receipt { sent: 15, ..Receipt::default() });
    }

    #[test]
    fn d4_bad_message_is_dropped_alone() {
        let mut stage = Stage::new([]);
        stage.entries.truncate(1);
        stage.shares.iter_mut().for_each(|share| share.until = 1);
        let Batch::Played(played) = &mut stage.batch else { panic!("played") };
        let refused = || Line::Fail(libc::EPERM);
        played.lines.extend([Line::Take(1), refused(), refused()]);
        assert_eq!(stage.send(99), Receipt { sent: 2, dropped: 1, ..Receipt::default() });
        assert_eq!([0, 1, 2].map(|slot| stage.sent_to(slot)), ["aa", "", "aa"]);
    }

    #[test]
    fn a9_datagrams_begin_with_own_tag() {
        let full = || Line::Fail(libc::EAGAIN);
        let unfit = || Line::Fail(libc::EMSGSIZE);
        for lines in [
            vec![],
            vec![Line::Take(1), full()],
            vec![Line::Take(2), unfit(), unfit(), Line::Take(1), full()],
            vec![Line::Fail(libc::EPERM), Line::Take(2)],
        ] {
            let mut stage = Stage::new(lines);
            stage.tag();
            for budget in [1, 4, 99, 99] {
                stage.send(budget);
                stage.sockets[0].is_writable = true;
            }
            for (slot, tag) in [(0, "tag0"), (1, "tag1"), (2, "tag2")] {
                assert_eq!(stage.sent_to(slot), format!("{tag}aa {tag}bb {tag}c"));
            }
        }
    }

    #[test]
    fn c1_unrouted_shares_stay() {
        let mut stage = Stage::new([]);
        stage.routes.forget(member(1));
        let receipt = stage.send(99);
        assert_eq!(receipt, Receipt { sent: 10, unrouted: true, ..Receipt::default() });
        assert_eq!(stage.positions(), [5, 0, 5]);
        stage.shares[1].skip();
        assert_eq!(stage.send(99), Receipt::default(), "nothing is left of the others");
    }

    #[test]
    fn budget_is_exact() {
        let mut stage = Stage::new([]);
        assert_eq!(stage.send(7).sent, 7);
        assert_eq!(stage.positions(), [5, 2, 0]);
        assert_eq!(stage.send(99).sent, 8);
        assert_eq!([0, 1, 2].map(|slot| stage.sent_to(slot)), [ALL, ALL, ALL]);
    }
}
