//! A room's stream: one order of entries for all who take it, each with a cursor of its own.
//!
//! Everyone gets the same bytes. A member that is slow, or whose socket is full, falls behind in the
//! ring and holds up nobody; a cursor that has fallen below the ring is told how much is gone. What
//! a member has lost on the way it asks for again, within its ration.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `ring.rs` | the last entries |
//! | `train.rs` | entries packed into datagrams |
//! | `seat.rs` | a member's cursor |
//! | `ration.rs` | how much may be repaired |
//! | `tail.rs` | telling a room that fell silent what came last |

mod ration;
mod ring;
mod seat;
mod tail;
mod train;

use std::time::Instant;

use super::asides::Asides;
use super::log::Pool;
use crate::fanout::Share;
use crate::ids::MemberId;
use crate::protocol::stream::upstream::Range;
use crate::protocol::stream::{Code, Entry, Header, MAX_REPAIR};

pub(super) use ring::{FIRST_CAPACITY, Ring};
pub(super) use seat::Seat;
pub(super) use tail::{Tail, TailStep};
pub(super) use train::Train;

/// The most datagrams that a member is sent in one go: a receiver's socket holds some 90 of them as
/// Linux has it by default, and what it can't hold would only have to be repaired.
const MAX_TRAIN: usize = 32;

/// Answers to repair requests that wait, in bytes. A request that finds them full is not answered;
/// it will be asked again.
const MAX_WAITING_REPAIRS: usize = 256 * 1024;

/// The stream of one room, from its first stream member to the room's end.
#[derive(Debug)]
pub(super) struct Stream {
    /// Which life of the room this is: in every datagram.
    pub(super) tag: u32,
    pub(super) ring: Ring,
    /// In the order of their numbers. Those that ended stay until they got what they should, in a
    /// closed room until nobody may ask any more.
    seats: Vec<Seat>,
    /// Live seats.
    population: usize,
    /// Entries from this number on are still to be sent to somebody who could be sent to.
    unsent: u64,
    /// Somebody can be sent to who could not be at the last delivery.
    has_newcomers: bool,
    /// Somebody waited for a socket at the last delivery.
    is_blocked: bool,
    /// The seat at which the next delivery begins.
    first_seat: usize,
    pub(super) tail: Tail,
    /// Answers to repair requests, and whom they are for, in the same order.
    repairs: Asides,
    in_repair: Vec<(MemberId, u32)>,
}

impl Stream {
    pub(super) fn new(tag: u32) -> Self {
        Self {
            tag,
            ring: Ring::new(),
            seats: Vec::new(),
            population: 0,
            unsent: 1,
            has_newcomers: false,
            is_blocked: false,
            first_seat: 0,
            tail: Tail::default(),
            repairs: Asides::default(),
            in_repair: Vec::new(),
        }
    }

    /// What a datagram without numbered entries begins with.
    pub(super) fn header(&self) -> Header {
        Header { tag: self.tag, sequence: self.ring.end() }
    }

    // Who is in it.

    /// Seats a member, whose number is above all before; it may see so many earlier entries. Gives
    /// the number of the first.
    pub(super) fn seat(
        &mut self,
        member: MemberId,
        number: u32,
        history: u32,
        now: Instant,
    ) -> u64 {
        let end = self.ring.end();
        let first = end.saturating_sub(u64::from(history)).max(self.ring.first());
        self.seats.push(Seat::new(member, number, first, now));
        self.population += 1;
        first
    }

    pub(super) fn find(&self, number: u32) -> Option<&Seat> {
        let index = self.seats.binary_search_by_key(&number, |seat| seat.number).ok()?;
        Some(&self.seats[index])
    }

    pub(super) fn find_mut(&mut self, number: u32) -> Option<&mut Seat> {
        let index = self.seats.binary_search_by_key(&number, |seat| seat.number).ok()?;
        Some(&mut self.seats[index])
    }

    /// Live members with their numbers, in the order of joining.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        self.seats.iter().filter(|seat| seat.is_live()).map(|seat| (seat.number, seat.member))
    }

    /// Ends a member: it gets what was appended up to now.
    pub(super) fn end_seat(&mut self, number: u32) {
        let end = self.ring.end();
        if let Some(seat) = self.find_mut(number).filter(|seat| seat.is_live()) {
            seat.end(end);
            self.population -= 1;
        }
    }

    pub(super) fn end_all_seats(&mut self) {
        let end = self.ring.end();
        self.seats.iter_mut().for_each(|seat| seat.end(end));
        self.population = 0;
    }

    /// Frees the seat of a member that ended and may not ask any more.
    pub(super) fn drop_seat(&mut self, number: u32) {
        if let Ok(index) = self.seats.binary_search_by_key(&number, |seat| seat.number) {
            self.seats.remove(index);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    // What is said.

    /// Bytes that are still to be sent to somebody who could be sent to.
    fn waiting_bytes(&self) -> usize {
        let unsent = self.unsent.max(self.ring.first());
        self.ring.size(unsent, self.ring.end())
    }

    /// Whether a larger ring would serve an entry of so many bytes: this one would push something
    /// out for it, or has no half free of what is still to be sent.
    pub(super) fn wants_larger_ring(&self, entry: usize) -> bool {
        !self.ring.has_space_for(entry) || !self.has_half_for(entry)
    }

    /// Whether what is to be sent takes half of the ring at most, with an entry of so many bytes.
    fn has_half_for(&self, entry: usize) -> bool {
        self.waiting_bytes() + entry <= (self.ring.capacity() / 2).max(entry)
    }

    /// Whether an entry of so many bytes can be taken: it pushes nothing out that is still to be
    /// sent, and half of the ring stays for what was lost on the way.
    pub(super) fn has_space_for(&self, entry: usize) -> bool {
        self.has_space_for_notice(entry) && self.has_half_for(entry)
    }

    /// The same for a notice, which has all of the ring.
    pub(super) fn has_space_for_notice(&self, entry: usize) -> bool {
        self.ring.first_after(entry) <= self.unsent.max(self.ring.first())
    }

    /// Writes an aside to `member`, a whole datagram.
    pub(super) fn encode_aside(
        &self,
        number: u32,
        code: Code,
        id: u32,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        let expected = self.find(number).map_or(0, |seat| seat.expected);
        self.header().encode(out);
        let (code, text) = (code as u8, text.as_bytes());
        Entry::Aside { code, expected, id, text }.encode(out);
    }

    // What a member says of it.

    /// A member's port is proved: it is sent to from now on.
    pub(super) fn prove(&mut self, number: u32) {
        let end = self.ring.end();
        if let Some(seat) = self.find_mut(number) {
            seat.is_proved = true;
            let next = if seat.waits(end) { seat.next } else { end };
            self.unsent = self.unsent.min(next);
            self.has_newcomers = true;
        }
    }

    /// Nothing is sent to a member until it proves its port again.
    pub(super) fn disprove(&mut self, number: u32) {
        if let Some(seat) = self.find_mut(number) {
            seat.is_proved = false;
        }
    }

    /// A member has everything below `next`.
    pub(super) fn confirm(&mut self, number: u32, next: u64) {
        let Self { ring, seats, .. } = self;
        let Ok(index) = seats.binary_search_by_key(&number, |seat| seat.number) else { return };
        let seat = &mut seats[index];
        let next = next.min(seat.limit(ring.end()));
        let before = seat.have.max(ring.first());
        seat.have = seat.have.max(next);
        seat.next = seat.next.max(next);
        seat.ration.refill(ring.size(before, before.max(next)));
    }

    /// Prepares the answer to a repair request, as far as the member's ration goes. One whose last
    /// answer still waits gets no other.
    pub(super) fn repair(
        &mut self,
        number: u32,
        ranges: impl Iterator<Item = Range>,
        train: &mut Train,
        pool: &mut Pool,
        now: Instant,
    ) {
        let Self { ring, seats, repairs, in_repair, tag, .. } = self;
        let Ok(index) = seats.binary_search_by_key(&number, |seat| seat.number) else { return };
        let seat = &mut seats[index];
        if seat.is_in_repair || repairs.waiting_bytes() > MAX_WAITING_REPAIRS {
            return;
        }
        let mut datagrams = 0;
        for Range { from, count } in ranges {
            let until = from.saturating_add(u64::from(count)).min(seat.limit(ring.end()));
            train.pack(ring, *tag, (from.max(seat.first), until), MAX_REPAIR - datagrams);
            for datagram in train.datagrams() {
                if datagram.len() > seat.ration.left(now) {
                    return;
                }
                seat.ration.take(datagram.len());
                if !std::mem::replace(&mut seat.is_in_repair, true) {
                    in_repair.push((seat.member, number));
                }
                repairs.push(seat.member, pool, |out| out.extend_from_slice(datagram));
                datagrams += 1;
            }
        }
    }

    // What is to be sent.

    /// Packs what waits at one cursor, and collects everyone whose cursor stands where one of its
    /// datagrams begins. Gives whether there is anything.
    pub(super) fn share_out(&self, train: &mut Train, shares: &mut Vec<Share>) -> bool {
        shares.clear();
        let end = self.ring.end();
        if self.unsent == end && !self.has_newcomers {
            return false;
        }
        let Some(leader) = self.in_turn().find(|seat| seat.waits(end)) else { return false };
        let limit = leader.limit(end);
        train.pack(&self.ring, self.tag, (leader.next, limit), MAX_TRAIN);
        let until = train.len();
        let alike = self.in_turn().filter(|seat| seat.waits(end) && seat.limit(end) == limit);
        shares.extend(alike.filter_map(|seat| {
            let next = train.index(seat.next)?;
            Some(Share { member: seat.member, next, until })
        }));
        true
    }

    /// Takes back what [`Stream::share_out`] gave, moved on as far as it was sent. With `is_blocked`
    /// those that were not sent to wait for a socket.
    pub(super) fn take_back(&mut self, train: &Train, shares: &[Share], is_blocked: bool) {
        let start = self.first_seat.min(self.seats.len());
        let mut shares = shares.iter().peekable();
        let (mut leader, mut cut) = (None, None);
        for index in (start..self.seats.len()).chain(0..start) {
            let seat = &mut self.seats[index];
            let Some(share) = shares.next_if(|share| share.member == seat.member) else {
                continue;
            };
            leader = leader.or(Some(index));
            seat.next = seat.next.max(train.number(share.next));
            if share.next < share.until {
                seat.is_blocked = is_blocked;
                self.is_blocked |= is_blocked;
                cut = cut.or(Some(index));
            }
        }
        // Whose turn it was comes last now: should everyone before have more again, there are others.
        self.first_seat = cut.or(leader.map(|index| index + 1)).unwrap_or_default();
    }

    /// Answers to repair requests that wait.
    pub(super) fn repairs(&self) -> &Asides {
        &self.repairs
    }

    /// Forgets the repairs that were sent.
    pub(super) fn take_back_repairs(&mut self, shares: &[Share], pool: &mut Pool) {
        self.repairs.take_back(shares, pool);
        let mut waiting = shares.iter().filter(|share| share.next < share.until).peekable();
        for (member, number) in std::mem::take(&mut self.in_repair) {
            if waiting.next_if(|share| share.member == member).is_some() {
                self.in_repair.push((member, number));
            } else if let Some(seat) = self.find_mut(number) {
                seat.is_in_repair = false;
            }
        }
    }

    /// The sockets that were full are so no more.
    pub(super) fn unblock(&mut self) {
        if !std::mem::take(&mut self.is_blocked) {
            return;
        }
        self.seats.iter_mut().for_each(|seat| seat.is_blocked = false);
        self.has_newcomers = true;
        self.note_waiting();
    }

    /// Notes from which entry on there is somebody who could be sent to.
    fn note_waiting(&mut self) {
        let end = self.ring.end();
        let waiting = self.seats.iter().filter(|seat| seat.waits(end));
        self.unsent = waiting.map(|seat| seat.next).min().unwrap_or(end);
    }

    /// After a delivery: notes how far everyone is, and frees the seats of those that ended and got
    /// everything, except in a closed room, whose members may still ask.
    pub(super) fn settle(&mut self, is_closed: bool, now: Instant) {
        let end = self.ring.end();
        if !is_closed && self.population < self.seats.len() {
            self.seats.retain(|seat| !seat.is_finished());
        }
        if self.unsent < end || self.has_newcomers {
            self.note_waiting();
            self.has_newcomers = false;
            self.is_blocked = self.seats.iter().any(|seat| seat.is_blocked);
        }
        if self.unsent == end {
            self.tail.note_delivered(end, now);
        }
    }

    /// Whether there is something that could be sent at once, but for repairs.
    pub(super) fn has_output(&self) -> bool {
        self.unsent < self.ring.end() || self.has_newcomers || self.tail.is_under_way()
    }

    /// Whether everything is delivered that could be, and no repair waits.
    pub(super) fn is_delivered(&self) -> bool {
        !self.has_output() && !self.is_blocked && self.repairs.is_empty()
    }

    /// Whether something waits for a socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Passes over everything that waits; gives how many entries that are at most.
    pub(super) fn abandon_backlog(&mut self) -> usize {
        let end = self.ring.end();
        let mut abandoned = 0;
        for seat in self.seats.iter_mut().filter(|seat| seat.is_live() && seat.is_proved) {
            abandoned += (end - seat.next) as usize;
            seat.next = end;
        }
        abandoned
    }

    /// Collects at most `max` members that have not confirmed the last entry, and packs the datagram
    /// that tells them of it. Gives whether a round is under way.
    pub(super) fn share_out_tail(
        &mut self,
        train: &mut Train,
        shares: &mut Vec<Share>,
        max: usize,
    ) -> bool {
        shares.clear();
        let Some(start) = self.tail.round() else { return false };
        let end = self.ring.end();
        train.pack_sequence(self.tag, end);
        let mut next = None;
        for (index, seat) in self.seats.iter().enumerate().skip(start) {
            if shares.len() == max {
                next = Some(index);
                break;
            }
            if seat.is_live() && seat.is_proved && !seat.is_blocked && seat.have < end {
                shares.push(Share { member: seat.member, next: 0, until: 1 });
            }
        }
        self.tail.set_round(next);
        true
    }

    /// The seats, beginning with the one whose turn it is.
    fn in_turn(&self) -> impl Iterator<Item = &Seat> {
        let (later, sooner) = self.seats.split_at(self.first_seat.min(self.seats.len()));
        sooner.iter().chain(later)
    }
}
