//! Tests of the send path, with a kernel that plays a script.

use super::*;
use std::net::SocketAddr;

use crate::address::Origin;
use crate::datagram::batch::played::{Line, Played};
use crate::datagram::socket::bind;
use crate::fanout::{Audience, Extent, NO_TAG, Share};
use crate::ids::{Key, MemberId};

/// Three members, each with five messages of one size to get, and a kernel that plays a script.
pub(super) struct Stage {
    pub(super) sockets: Vec<Socket>,
    pub(super) routes: Routes,
    pub(super) seals: Seals,
    pub(super) batch: Batch,
    pub(super) transmits: Transmits,
    pub(super) entries: Vec<Extent>,
    pub(super) shares: Vec<Share>,
    pub(super) bytes: &'static [u8],
    pub(super) is_tagged: bool,
}

const BYTES: &[u8] = b"aabbccddee";

pub(super) fn member(slot: u32) -> MemberId {
    MemberId(Key { slot, generation: 0 })
}

pub(super) fn address(slot: u32) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1 + slot as u16))
}

impl Stage {
    pub(super) fn new(lines: impl IntoIterator<Item = Line>) -> Self {
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

    pub(super) fn send(&mut self, budget: usize) -> Receipt {
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
    pub(super) fn tag(&mut self) {
        (self.bytes, self.is_tagged) = (b"....aa....bb....c", true);
        let entry = |end| Extent { end, audience: Audience::All };
        self.entries = [6, 12, 17].map(entry).to_vec();
        for (share, tag) in self.shares.iter_mut().zip([b"tag0", b"tag1", b"tag2"]) {
            (share.until, share.tag) = (3, *tag);
        }
    }

    pub(super) fn positions(&self) -> [u32; 3] {
        [0, 1, 2].map(|index| self.shares[index].next)
    }

    /// Returns the datagrams that a member was sent, in order.
    pub(super) fn datagrams_to(&self, slot: u32) -> impl Iterator<Item = &[u8]> {
        let sent = self.played().sent.iter().filter(move |(to, _)| *to == address(slot));
        sent.map(|(_, datagram)| &**datagram)
    }

    /// Returns the same as one text.
    fn sent_to(&self, slot: u32) -> String {
        let texts = self.datagrams_to(slot).map(String::from_utf8_lossy);
        texts.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn played(&self) -> &Played {
        let Batch::Played(played) = &self.batch else { panic!("played") };
        played
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
