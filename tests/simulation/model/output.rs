//! Checks the chat's output: every datagram must be one that its member is owed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reactor_chat::ids::MemberId;
use reactor_chat::protocol::datagram::MAX_DOWNSTREAM;
use reactor_chat::protocol::stream::downstream::{HEADER_SIZE, parse};
use reactor_chat::protocol::stream::{Code, Entry, MAX_PACKED};

use super::room::{Owed, RING};
use super::{CREDIT, FIRST_CREDIT, Member, Model, REPAIR_BUDGET, SILENT_RATE};

/// The codes of farewells.
const ENDS: [Code; 5] =
    [Code::Left, Code::TimedOut, Code::RoomClosed, Code::Removed, Code::ServerStopping];

impl Model {
    /// Checks a datagram that the chat sends to a member, with its address, if there is one.
    pub fn check_output(
        &mut self,
        id: MemberId,
        datagram: &[u8],
        alone: bool,
        (to, arrives): (Option<SocketAddr>, bool),
        now: Instant,
    ) {
        assert!(!datagram.is_empty() && datagram.len() <= MAX_DOWNSTREAM);
        let Some(index) = self.find(id) else {
            assert!(alone && to.is_none(), "output for a freed member");
            return;
        };
        self.check_way(index, to);
        let member = &self.members[index];
        if !alone && member.check_at.is_none() && member.is_live() && !member.is_carried() {
            self.note_limited(index, datagram.len() as u64, now);
        }
        let member = &self.members[index];
        if member.takes_stream() {
            self.check_stream_output(index, datagram, alone, (to.is_some(), arrives), now);
        } else {
            self.check_plain_output(index, datagram, alone);
        }
    }

    /// Checks where a datagram goes.
    fn check_way(&mut self, index: usize, to: Option<SocketAddr>) {
        let member = &self.members[index];
        match (to, member.port) {
            (Some(_), _) if member.is_carried() => {
                assert!(member.is_attached() && !member.is_cut, "without a connection");
            }
            (Some(to), Some((port, _))) => {
                assert_eq!(to, SocketAddr::new(member.home, port), "not where it proved to be");
            }
            (Some(to), None) => panic!("to {to}, which is not proved"),
            (None, _) => self.tally.note("swallowed"),
        }
    }

    fn check_plain_output(&mut self, index: usize, datagram: &[u8], alone: bool) {
        let member = &mut self.members[index];
        let is_ended = member.end.is_some();
        let (owed, what) = match alone {
            true => (&mut member.asides, "notice sent"),
            false => (&mut member.owed, "message sent"),
        };
        while owed.front().is_some_and(|owed| owed.may_be_missing && *owed.bytes != *datagram) {
            owed.pop_front();
        }
        // The farewell of a member overtakes answers that wait in its room.
        let is_said = |owed: Option<&Owed>| owed.is_some_and(|owed| *owed.bytes == *datagram);
        let is_early = !is_said(owed.front()) && is_said(owed.back());
        let overtakes = alone && is_ended && is_early;
        let said = if overtakes { owed.pop_back() } else { owed.pop_front() };
        let said = said.expect("an unexpected or repeated datagram");
        if let Some(end) = &mut member.end {
            end.needs_farewell &= !alone;
        }
        let text = String::from_utf8_lossy(datagram);
        assert_eq!(String::from_utf8_lossy(&said.bytes), text, "in order and to the letter");
        self.tally.note(what);
    }

    /// Checks the rate of messages to a silent member.
    fn note_limited(&mut self, index: usize, size: u64, now: Instant) {
        let member = &mut self.members[index];
        member.limited_bytes += size;
        let time = (now - member.limited_since).as_nanos() as u64;
        let most = SILENT_RATE + (time / 1000) * SILENT_RATE / 1_000_000;
        assert!(member.limited_bytes <= most, "{} of {most} bytes", member.limited_bytes);
    }

    fn check_stream_output(
        &mut self,
        index: usize,
        datagram: &[u8],
        alone: bool,
        (is_reached, arrives): (bool, bool),
        now: Instant,
    ) {
        assert!(datagram.len() <= MAX_PACKED, "{} bytes", datagram.len());
        let (header, mut entries) = parse(datagram).expect("a header");
        let room = &self.rooms[self.members[index].room];
        assert_eq!(Some(header.tag), self.members[index].tag, "the member's own tag");
        assert!(header.sequence <= room.highest_end());
        match (alone, entries.clone().next()) {
            (true, Some(Entry::Aside { code, .. })) => {
                assert!(entries.next_with_bytes().is_some() && entries.next().is_none());
                self.check_aside(index, code, &datagram[HEADER_SIZE..], is_reached);
            }
            (_, None) => {
                let member = &self.members[index];
                assert!(is_reached || alone, "a tail probe to a member without an address");
                assert!(alone || !member.is_carried(), "a tail probe on a connection");
                assert_eq!(datagram.len(), HEADER_SIZE);
                // A question may wait while its answer comes.
                assert!(alone || member.surely_has < header.sequence);
                self.tally.note(if alone { "asked again" } else { "tail sent" });
            }
            _ => self.check_entries(index, datagram, alone, (is_reached, arrives), now),
        }
    }

    fn check_aside(&mut self, index: usize, code: u8, bytes: &[u8], is_reached: bool) {
        let member = &mut self.members[index];
        let is_farewell = matches!(Code::from_byte(code), Some(code) if ENDS.contains(&code));
        if is_farewell {
            let end = member.end.as_mut().expect("a farewell to a live member");
            assert_eq!(end.code as u8, code, "the reason of its end");
            assert!(end.farewells > 0, "farewells without an end");
            end.farewells -= 1;
            end.needs_farewell = false;
            if is_reached {
                self.tally.note("farewell sent");
            }
            return;
        }
        let asides = &mut member.asides;
        while asides.front().is_some_and(|owed| owed.may_be_missing && *owed.bytes != *bytes) {
            asides.pop_front();
        }
        let said = asides.pop_front().expect("an aside that answers nothing");
        assert_eq!(&*said.bytes, bytes, "{:?}", self.members[index].id);
        self.tally.note("aside sent");
    }

    fn check_entries(
        &mut self,
        index: usize,
        datagram: &[u8],
        is_repair: bool,
        (is_reached, arrives): (bool, bool),
        now: Instant,
    ) {
        let (header, mut entries) = parse(datagram).expect("a header");
        let member = &mut self.members[index];
        let room = &mut self.rooms[member.room];
        let is_sent = is_reached || is_repair || member.is_cut;
        assert!(is_sent, "sent before its port was proved, and so lost");
        assert!(header.sequence >= member.first, "of a past that it may not see");
        room.check_boundary(member.first);
        let (mut number, mut oldest) = (header.sequence, None);
        while let Some((bytes, entry)) = entries.next_with_bytes() {
            match entry {
                Entry::Message { .. } | Entry::Part { .. } | Entry::Notice { .. } => {
                    room.see(number, bytes);
                    oldest = oldest.or(Some(number));
                }
                Entry::Gone { count } => {
                    room.check_boundary(number + u64::from(count));
                    self.tally.note("gone sent");
                }
                Entry::Aside { .. } | Entry::Unknown => panic!("{entry:?} among others"),
            }
            number += entry.numbers();
        }
        assert!(number <= member.until, "entries from after its end");
        if is_repair {
            self.note_repair(index, datagram.len() as u64, now);
        } else {
            self.note_history(index, header.sequence, datagram.len() as u64, now);
            self.note_train(index, (header.sequence, number), oldest);
        }
        if arrives {
            self.members[index].arrive(header.sequence, number);
        }
    }

    fn note_repair(&mut self, index: usize, size: u64, now: Instant) {
        let member = &mut self.members[index];
        member.refill_repair_budget(0, now);
        assert!(member.repair_budget >= size, "more repairs than its ration");
        member.repair_budget -= size;
        self.tally.note("repair sent");
        if member.repair_budget < REPAIR_BUDGET / 8 {
            self.tally.note("ration used up");
        }
    }

    /// Notes entries that come unasked: history uses credit, and its reader pays for it.
    fn note_history(&mut self, index: usize, from: u64, size: u64, now: Instant) {
        let member = &mut self.members[index];
        if from >= member.history_until {
            return;
        }
        if !member.is_carried() {
            member.unconfirmed += size;
            let credit = if member.has_confirmed { CREDIT } else { FIRST_CREDIT };
            assert!(member.unconfirmed <= credit, "{} bytes unconfirmed", member.unconfirmed);
        }
        if let Some(rate) = self.config.fanout_limit {
            member.fanout_at_most.has(Duration::ZERO, now);
            let cost = Duration::from_nanos(size * 1_000_000_000 / u64::from(rate));
            member.fanout_at_most.take(cost);
        }
    }

    /// Checks entries that come unasked. `oldest` is the first of them that is not gone.
    fn note_train(&mut self, index: usize, (from, until): (u64, u64), oldest: Option<u64>) {
        let member = &mut self.members[index];
        assert!(!member.is_unresponsive, "entries for one that misses its `have`s");
        let is_next = from == member.cursor;
        let is_confirmed = from > member.cursor && from <= member.have;
        let is_behind_gap = from > member.cursor && member.may_skip;
        let is_again = member.may_rewind && (member.surely_has..=member.cursor).contains(&from);
        if is_again && from < member.cursor {
            self.tally.note("sent again on a connection");
        }
        let is_right = is_next || is_confirmed || is_behind_gap || is_again;
        assert!(is_right, "exactly once and in order");
        (member.cursor, member.may_rewind) = (until, false);
        let held = self.config.room_history.max(RING);
        if let Some(oldest) = oldest.filter(|_| held < 1 << 20) {
            let seen = self.rooms[member.room].seen_since(oldest);
            assert!(seen <= held, "more than a room keeps");
        }
        self.tally.note("train sent");
        if from == member.first && until - from > 1 {
            self.tally.note("history sent");
        }
    }
}

impl Member {
    /// Notes that its program has received some entries.
    fn arrive(&mut self, from: u64, until: u64) {
        if until <= self.got {
            return;
        }
        self.ahead.extend(from.max(self.got)..until);
        while self.ahead.remove(&self.got) {
            self.got += 1;
        }
    }
}
