//! Feeds with one room, and simulated paths of its members.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::super::*;
use crate::fanout::{Job, Receipt};
use crate::ids::Key;
use crate::protocol::stream::downstream::parse;
use crate::protocol::stream::{Entry, MAX_PACKED};

pub(super) const ROOM: RoomId = RoomId(Key { slot: 0, generation: 0 });

/// The output to one member.
#[derive(Debug, Default)]
pub(super) struct Got {
    /// The numbers of entries, in the order of their arrival.
    pub(super) numbers: Vec<u64>,
    pub(super) gone: u64,
    /// Datagrams without numbered entries.
    pub(super) probes: usize,
    /// Datagrams in plain delivery, and unicasts.
    pub(super) plain: usize,
    pub(super) bytes: usize,
}

impl Got {
    fn take(&mut self, datagram: &[u8], is_tagged: bool) {
        self.bytes += datagram.len();
        if !is_tagged {
            self.plain += 1;
            return;
        }
        assert!(datagram.len() <= MAX_PACKED);
        let (header, entries) = parse(datagram).expect("a header");
        let (mut next, mut gone) = (header.sequence, 0);
        for entry in entries {
            if let Entry::Gone { count } = entry {
                gone += u64::from(count);
            } else if entry.numbers() > 0 {
                self.numbers.push(next);
            }
            next += entry.numbers();
        }
        self.probes += usize::from(next == header.sequence);
        self.gone += gone;
    }
}

/// A room, and the paths of its members.
pub(super) struct Bench {
    pub(super) feeds: Feeds,
    pub(super) now: Instant,
    pub(super) got: HashMap<MemberId, Got>,
    /// Space in the outboxes of carried members, in bytes. All others have no end.
    pub(super) space: HashMap<MemberId, usize>,
    /// Members whose sockets are full.
    pub(super) blocked: HashSet<MemberId>,
    /// Shares of all jobs.
    pub(super) shares: usize,
    /// Bytes of history that may be paid, and those that were.
    pub(super) credit: usize,
    pub(super) paid: usize,
}

pub(super) fn recipient(number: u32, delivery: Delivery, is_carried: bool) -> Recipient {
    let member = MemberId(Key { slot: number, generation: 0 });
    Recipient { room: ROOM, member, number, delivery, is_carried }
}

impl Bench {
    pub(super) fn new() -> Self {
        let limits = MemoryLimits { backlog: None, history: None, room_history: 1 << 20 };
        let mut feeds = Feeds::new(limits);
        feeds.open(ROOM, Subnet::of(std::net::Ipv4Addr::LOCALHOST.into()));
        Self {
            feeds,
            now: Instant::now(),
            got: HashMap::new(),
            space: HashMap::new(),
            blocked: HashSet::new(),
            shares: 0,
            credit: usize::MAX,
            paid: 0,
        }
    }

    /// Seats a member, and proves its address.
    pub(super) fn enter(&mut self, to: &Recipient, history: u32) {
        self.feeds.seat(to, &StreamOptions { tag: to.number, life: 7, history });
        self.prove(to);
    }

    pub(super) fn carried(&mut self, number: u32) -> Recipient {
        let to = recipient(number, Delivery::Stream, true);
        self.enter(&to, 0);
        to
    }

    pub(super) fn by_datagrams(&mut self, number: u32) -> Recipient {
        let to = recipient(number, Delivery::Stream, false);
        self.enter(&to, 0);
        to
    }

    pub(super) fn prove(&mut self, to: &Recipient) {
        let Self { feeds, now, credit, paid, .. } = self;
        feeds.prove(to, *now, |_, bytes| pay(bytes, credit, paid));
    }

    pub(super) fn confirm(&mut self, to: &Recipient, next: u64) {
        self.feeds.confirm(to, next, self.now, |_, _| true);
    }

    /// Appends a message with a text of so many bytes.
    pub(super) fn say(&mut self, size: usize) -> Result<(), Full> {
        let text = vec![b'x'; size];
        self.feeds.append(ROOM, Kind::Message { size }, Audience::All, |delivery, out| {
            match delivery {
                Delivery::Stream => {
                    Entry::Message { member: 0, id: 1, name: b"ann", text: &text }.encode(out);
                }
                Delivery::Plain(_) => out.extend_from_slice(&text),
            }
        })
    }

    /// Appends messages and delivers each.
    pub(super) fn say_often(&mut self, count: usize, size: usize) {
        for _ in 0..count {
            assert_eq!(self.say(size), Ok(()));
            self.deliver();
        }
    }

    /// Delivers at most `budget` datagrams.
    pub(super) fn turn(&mut self, budget: usize) -> Receipt {
        let Self { feeds, now, got, space, blocked, shares, .. } = self;
        let send = |job: Job<'_>, budget| transmit(job, budget, (got, space, blocked), shares);
        feeds.deliver(budget, *now, send, |_, _| {})
    }

    /// Delivers until nothing is left that could be.
    pub(super) fn deliver(&mut self) {
        let turns = std::iter::repeat_with(|| self.turn(4096)).take(1000);
        let mut turns = turns.take_while(|receipt| receipt.sent + receipt.dropped > 0);
        assert!(turns.nth(998).is_none(), "delivery comes to an end");
    }

    /// Lets the deadlines of this time pass, and delivers.
    pub(super) fn advance(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.feeds.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let Self { feeds, now, credit, paid, .. } = self;
            feeds.handle_timeout(*now, |_, bytes| pay(bytes, credit, paid));
            self.deliver();
        }
        self.now = until;
    }

    /// Lets the outbox of a carried member have more space.
    pub(super) fn drain(&mut self, to: &Recipient, bytes: usize) {
        *self.space.get_mut(&to.member).expect("an outbox with an end") += bytes;
        self.feeds.resume_member(to);
    }

    pub(super) fn got(&self, to: &Recipient) -> &Got {
        &self.got[&to.member]
    }

    pub(super) fn has_all(&self, to: &Recipient, numbers: std::ops::Range<u64>) -> bool {
        self.got(to).numbers.iter().copied().eq(numbers)
    }

    pub(super) fn ended(&mut self) -> Vec<Ended> {
        std::iter::from_fn(|| self.feeds.poll_ended()).collect()
    }
}

fn pay(bytes: usize, credit: &mut usize, paid: &mut usize) -> bool {
    let is_paid = *credit >= bytes;
    if is_paid {
        *credit -= bytes;
        *paid += bytes;
    }
    is_paid
}

type Paths<'a> =
    (&'a mut HashMap<MemberId, Got>, &'a mut HashMap<MemberId, usize>, &'a HashSet<MemberId>);

/// Sends a job as the reactor does: datagrams wait for a full socket; in a full outbox tagged ones
/// wait and others are dropped.
fn transmit(job: Job<'_>, budget: usize, paths: Paths<'_>, shares: &mut usize) -> Receipt {
    let (got, space, blocked) = paths;
    let Job { bytes, entries, to, is_tagged } = job;
    let mut receipt = Receipt::default();
    for share in to {
        *shares += 1;
        while share.next < share.until && receipt.sent + receipt.dropped < budget {
            if !entries[share.next as usize].audience.includes(share.member) {
                share.next += 1;
                continue;
            }
            let datagram = Job { bytes, entries, to: &mut [], is_tagged }.datagram(share.next);
            let left = space.get_mut(&share.member);
            let is_full = left.as_ref().is_some_and(|left| **left < datagram.len());
            if blocked.contains(&share.member) || (is_full && is_tagged) {
                receipt.blocked = true;
                break;
            }
            share.next += 1;
            if is_full {
                receipt.dropped += 1;
                continue;
            }
            if let Some(left) = left {
                *left -= datagram.len();
            }
            receipt.sent += 1;
            got.entry(share.member).or_default().take(datagram, is_tagged);
        }
    }
    receipt
}
