//! A feed: everything that one room still has to send.

use std::time::Instant;

use super::entry_log::Pool;
use super::ordered::{OrderedStream, StreamOptions};
use super::plain::Plain;
use super::schedule::LineId;
use super::unicast::UnicastQueue;
use super::{Kind, Recipient};
use crate::fanout::Audience;
use crate::ids::MemberId;
use crate::protocol::{Delivery, Form};

/// Limit for the bytes of messages that wait in a room. A message that finds it reached is refused:
/// a room that is written to faster than it can be sent loses messages, not the server's memory.
const MAX_WAITING: usize = 256 * 1024;

/// Bytes beyond that limit for notices and unicasts, so that a sender can be told that the room is
/// full.
const NOTICE_RESERVE: usize = 64 * 1024;

/// Limit for the turns in which unicasts wait for the backlog: some ten milliseconds.
const MAX_UNICAST_HELD: u32 = 16;

/// The parts of a room's members, each with output of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Plain(Form),
    Ordered,
}

const PARTS: [Part; 3] = [Part::Plain(Form::Text), Part::Plain(Form::Named), Part::Ordered];

/// The output of one room.
#[derive(Debug)]
pub(super) struct Feed {
    /// Line of the schedule in which it waits for its turn.
    pub(super) line: LineId,
    /// True while it is in the schedule.
    pub(super) is_ready: bool,
    /// True while it is in the list of feeds that wait for a socket.
    pub(super) is_stalled: bool,
    /// True once the room is closed: what is left is delivered, and nobody joins any more.
    pub(super) is_closed: bool,
    /// Members in plain delivery, by form.
    pub(super) plain: [Plain; Form::ALL.len()],
    /// Exists from the first member with stream delivery to the end of the room.
    pub(super) ordered: Option<Box<OrderedStream>>,
    pub(super) unicast: UnicastQueue,
    /// Turns in which the unicasts were held back.
    unicast_held: u32,
    /// Bytes that the owner keeps for this room: they count as backlog.
    pub(super) reserved_bytes: usize,
    /// The feed's part of the bytes that are counted for all feeds.
    pub(super) counted_bytes: usize,
    /// The parts in the order of the next turn.
    order: [Part; PARTS.len()],
}

impl Feed {
    pub(super) fn new(line: LineId) -> Self {
        Self {
            line,
            is_ready: false,
            is_stalled: false,
            is_closed: false,
            plain: Default::default(),
            ordered: None,
            unicast: UnicastQueue::default(),
            unicast_held: 0,
            reserved_bytes: 0,
            counted_bytes: 0,
            order: PARTS,
        }
    }

    // Members.

    /// Adds a cursor for a member. It gets what is appended from now on, and the earlier entries
    /// that `options` grant. A stream exists before anybody takes it.
    pub(super) fn seat(&mut self, to: &Recipient, options: &StreamOptions) {
        match (to.delivery, &mut self.ordered) {
            (Delivery::Plain(form), _) => self.plain[form as usize].seat(to.member, to.number),
            (Delivery::Stream, Some(ordered)) => ordered.seat((to.member, to.number), options),
            (Delivery::Stream, None) => {}
        }
    }

    /// Ends a member: it gets what was appended up to now.
    pub(super) fn unseat(&mut self, to: &Recipient) {
        match (to.delivery, &mut self.ordered) {
            (Delivery::Plain(form), _) => self.plain[form as usize].end(to.number),
            (Delivery::Stream, Some(ordered)) => ordered.end(to.number),
            (Delivery::Stream, None) => {}
        }
    }

    /// Returns true if a member in plain delivery still has a cursor, live or not.
    pub(super) fn has_plain_cursor(&self, to: &Recipient) -> bool {
        matches!(to.delivery, Delivery::Plain(form) if self.plain[form as usize].has_cursor(to.number))
    }

    /// Ends all members.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.plain.iter_mut().for_each(Plain::end_all);
        if let Some(ordered) = &mut self.ordered {
            ordered.end_all();
        }
    }

    /// Returns the live members in the order of joining.
    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> {
        let [text, named] = &self.plain;
        let ordered = self.ordered.iter().flat_map(|ordered| ordered.live());
        merge(merge(text.live(), named.live()), ordered).map(|(_, member)| member)
    }

    /// Returns true if no member is left to deliver to.
    pub(super) fn is_empty(&self) -> bool {
        self.plain.iter().all(Plain::is_empty)
            && self.ordered.as_ref().is_none_or(|ordered| ordered.is_empty())
    }

    #[cfg(test)]
    pub(super) fn cursor_capacity(&self) -> usize {
        let ordered = self.ordered.as_ref().map_or(0, |ordered| ordered.cursor_capacity());
        self.plain.iter().map(Plain::cursor_capacity).sum::<usize>() + ordered
    }

    // Output.

    /// Returns true if there is space for an entry that takes `size` bytes in the ring.
    pub(super) fn has_space_for(&self, kind: Kind, size: usize) -> bool {
        let ordered = self.ordered.as_ref();
        match kind {
            Kind::Message { .. } => {
                self.waiting_bytes() + size <= MAX_WAITING
                    && ordered.is_none_or(|ordered| ordered.has_space_for(size))
            }
            Kind::Notice => {
                self.has_space_for_unicast()
                    && ordered.is_none_or(|ordered| ordered.has_space_for_notice(size))
            }
            Kind::LastNotice => true,
        }
    }

    pub(super) fn has_space_for_unicast(&self) -> bool {
        self.waiting_bytes() <= MAX_WAITING + NOTICE_RESERVE
    }

    /// Returns the bytes that wait, except those of the ring and of repairs.
    fn waiting_bytes(&self) -> usize {
        self.plain.iter().map(Plain::waiting_bytes).sum::<usize>() + self.unicast.waiting_bytes()
    }

    /// Returns the bytes of memory in use for output, except the ring.
    pub(super) fn held_bytes(&self) -> usize {
        let repairs = self.ordered.as_ref().map_or(0, |ordered| ordered.repairs().held_bytes());
        self.plain.iter().map(Plain::held_bytes).sum::<usize>()
            + self.unicast.held_bytes()
            + repairs
    }

    /// Appends an entry. `entry` is its encoding in the stream, which goes to everybody: the order
    /// of its numbers is the same for all. In plain delivery it goes to `audience` only.
    pub(super) fn append(
        &mut self,
        kind: Kind,
        audience: Audience,
        entry: &[u8],
        pool: &mut Pool,
        encode: impl Fn(Form, &mut Vec<u8>),
    ) {
        for form in Form::ALL {
            self.plain[form as usize].append(audience, pool, |out| encode(form, out));
        }
        if let Some(ordered) = &mut self.ordered {
            ordered.append(matches!(kind, Kind::Message { .. }), entry);
        }
    }

    /// Appends a datagram for one member. In a stream it begins with the header.
    pub(super) fn unicast(
        &mut self,
        to: &Recipient,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        match (to.delivery, &self.ordered) {
            (Delivery::Plain(_), _) => self.unicast.push(to.member, pool, encode),
            (Delivery::Stream, Some(ordered)) => self.unicast.push(to.member, pool, |out| {
                ordered.unicast_header(to.number).encode(out);
                encode(out);
            }),
            (Delivery::Stream, None) => {}
        }
    }

    /// Drops all entries that wait. Returns the number of deliveries that were dropped at most.
    pub(super) fn abandon(&mut self) -> usize {
        let ordered = self.ordered.as_mut().map_or(0, |ordered| ordered.abandon());
        self.plain.iter_mut().map(Plain::abandon).sum::<usize>() + ordered
    }

    // Turns.

    /// Returns the order of the parts in this turn. Each part comes first in turn, so that no part
    /// uses up the budget of the others.
    pub(super) fn next_order(&mut self) -> [Part; PARTS.len()] {
        self.order.rotate_left(1);
        if self.order[0] == Part::Ordered && self.ordered.is_none() {
            self.order.rotate_left(1);
        }
        self.order
    }

    /// Holds the unicasts back for one more turn.
    pub(super) fn hold_unicast(&mut self) {
        self.unicast_held += u32::from(!self.unicast.is_empty());
    }

    /// Ends the wait of the unicasts.
    pub(super) fn release_unicast(&mut self) {
        self.unicast_held = 0;
    }

    /// Returns true if unicasts wait for the backlog and not for a socket.
    pub(super) fn holds_unicast(&self) -> bool {
        self.unicast_held > 0 && !self.unicast.is_empty()
    }

    /// Returns true if the unicasts have waited long enough.
    pub(super) fn has_held_unicast_enough(&self) -> bool {
        self.unicast_held >= MAX_UNICAST_HELD
    }

    /// Ends a turn: drops entries that everybody has, and lists the ended members that have
    /// everything.
    pub(super) fn settle(&mut self, pool: &mut Pool, ended: &mut Vec<MemberId>, now: Instant) {
        // The last datagram to a member may be a unicast.
        let is_over = self.unicast.is_empty();
        for plain in &mut self.plain {
            if is_over {
                plain.collect_finished(ended);
            }
            plain.settle(pool);
        }
        if let Some(ordered) = &mut self.ordered {
            if is_over {
                ordered.collect_finished_carried(ended);
            }
            ordered.settle(self.is_closed, now);
        }
    }

    /// Notes that sockets are writable again.
    pub(super) fn unblock(&mut self, now: Instant) {
        self.plain.iter_mut().for_each(Plain::unblock);
        if let Some(ordered) = &mut self.ordered {
            ordered.unblock(now);
        }
    }

    /// Returns true if a member waits for a full socket.
    pub(super) fn is_blocked(&self) -> bool {
        self.plain.iter().any(Plain::is_blocked)
            || self.ordered.as_ref().is_some_and(|ordered| ordered.is_blocked())
    }

    /// Returns true if the budget has cut the delivery of entries: some could be sent at once.
    pub(super) fn has_entries(&self) -> bool {
        self.plain.iter().any(Plain::is_cut)
            || self.ordered.as_ref().is_some_and(|ordered| ordered.has_output())
    }

    /// Returns true if all output is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.unicast.is_empty()
            && self.plain.iter().all(Plain::is_delivered)
            && self.ordered.as_ref().is_none_or(|ordered| ordered.is_delivered())
    }

    /// Returns true if only repairs wait.
    pub(super) fn has_only_repairs(&self) -> bool {
        let has_repairs =
            self.ordered.as_ref().is_some_and(|ordered| !ordered.repairs().is_empty());
        has_repairs && self.unicast.is_empty() && self.plain.iter().all(Plain::is_delivered)
    }
}

/// Merges two lists of members in the order of their numbers.
fn merge(
    one: impl Iterator<Item = (u32, MemberId)>,
    other: impl Iterator<Item = (u32, MemberId)>,
) -> impl Iterator<Item = (u32, MemberId)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((first, _)), Some((second, _))) if first > second => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}
