//! A room: who is in it, who may come in, and what waits to be sent.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use subtle::ConstantTimeEq;

use super::bans::Bans;
use super::closing::Closure;
use super::presence::Presence;
use super::visitors::Visitors;
use crate::delivery::entry_log::Pool;
use crate::delivery::ordered::OrderedStream;
use crate::delivery::plain::{Cut, Plain};
use crate::delivery::schedule::LineId;
use crate::delivery::shrink::shrink_map;
use crate::delivery::unicast::UnicastQueue;
use crate::fanout::Audience;
use crate::ids::MemberId;
use crate::protocol::stream::{Code, Entry};
use crate::protocol::{Delivery, Form, Notice, datagram};
use crate::subnet::Subnet;
use crate::timers::Timers;

/// The most bytes of messages that wait in a room. A message that finds it full is not taken: a
/// room that is written to faster than it can be sent loses messages, not the server's memory.
const MAX_WAITING: usize = 256 * 1024;
/// What notices may use beyond that, so that a sender can be told that the room is full.
const NOTICE_RESERVE: usize = 64 * 1024;
/// How many deliveries the asides of a room wait for its backlog: some ten milliseconds of them.
const MAX_ASIDES_HELD: u32 = 16;
/// Names that it keeps space for.
const FEW: usize = 8;

/// The parts of a room's members, each with output of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Those who get a datagram for each entry, in this form.
    Each(Form),
    /// Those who take the stream.
    Stream,
}

const PARTS: [Part; 3] = [Part::Each(Form::Text), Part::Each(Form::Named), Part::Stream];

/// What its creator wants of a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    pub(super) password: Option<&'a str>,
    pub(super) capacity: Option<u32>,
    pub(super) hidden: bool,
    /// How many earlier entries a newcomer may see.
    pub(super) history: u32,
}

/// A room, from its creation to the last good-bye.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Rc<str>,
    pub(super) hidden: bool,
    pub(super) host: MemberId,
    /// Who has made it: it counts as that peer's to its end, whoever the host is.
    pub(super) creator: Subnet,
    /// Line in which it waits for its turn.
    pub(super) line: LineId,
    pub(super) presence: Presence,
    /// It is in the queue of rooms to deliver.
    pub(super) is_ready: bool,
    /// It is in the list of rooms that wait for a socket.
    pub(super) is_stalled: bool,
    /// Set when the room is closed: nobody is a member any more, and farewells are being sent.
    pub(super) closure: Option<Closure>,
    password: Option<Box<str>>,
    capacity: Option<u32>,
    history: u32,
    pub(super) visitors: Visitors,
    /// Live members by name, as names are compared.
    names: HashMap<Box<str>, MemberId>,
    pub(super) bans: Bans,
    /// The number of the last member: none is used twice.
    last_number: u32,
    pub(super) each: Plain,
    /// From the first member that takes it to the room's end.
    pub(super) stream: Option<Box<OrderedStream>>,
    /// What one member alone is told: answers, refusals, good-byes.
    pub(super) asides: UnicastQueue,
    /// Deliveries in which the asides were held back.
    asides_held: u32,
    /// Members with a message of which parts have come, and when each may give way to another.
    pub(super) parts: Timers<MemberId>,
    /// The room's share in the bytes that are counted for all rooms.
    pub(super) counted_bytes: usize,
    /// The parts in the order of the next delivery.
    order: [Part; PARTS.len()],
}

impl Room {
    pub(super) fn new(
        name: Rc<str>,
        host: MemberId,
        (creator, line): (Subnet, LineId),
        wishes: Wishes<'_>,
    ) -> Self {
        Self {
            name,
            hidden: wishes.hidden,
            host,
            creator,
            line,
            presence: Presence::default(),
            is_ready: false,
            is_stalled: false,
            closure: None,
            password: wishes.password.map(Box::from),
            capacity: wishes.capacity,
            history: wishes.history,
            visitors: Visitors::default(),
            names: HashMap::new(),
            bans: Bans::default(),
            last_number: 0,
            each: Plain::default(),
            stream: None,
            asides: UnicastQueue::default(),
            asides_held: 0,
            parts: Timers::new(),
            counted_bytes: 0,
            order: PARTS,
        }
    }

    // Who may come in.

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether this is the password; a room without one is open to any. The time it takes does not
    /// tell how much of it was right.
    pub(super) fn opens_with(&self, password: Option<&str>) -> bool {
        match &self.password {
            None => true,
            Some(own) => own.as_bytes().ct_eq(password.unwrap_or_default().as_bytes()).into(),
        }
    }

    /// Notes a subnet from which somebody has entered. Only a room with a password needs this.
    pub(super) fn note_visitor(&mut self, subnet: Subnet) {
        if self.has_password() {
            self.visitors.note(subnet);
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity.map(|capacity| capacity as usize)
    }

    // Who is in it.

    /// Live members.
    pub(super) fn population(&self) -> usize {
        self.names.len()
    }

    /// The live member of this name, as names are compared.
    pub(super) fn find(&self, folded: &str) -> Option<MemberId> {
        self.names.get(folded).copied()
    }

    /// Live members in the order of joining.
    pub(super) fn live_members(&self) -> impl Iterator<Item = MemberId> {
        let mut each = self.each.live().peekable();
        let mut stream = self.stream.iter().flat_map(|stream| stream.live()).peekable();
        std::iter::from_fn(move || {
            let is_each_next = match (each.peek(), stream.peek()) {
                (Some((one, _)), Some((other, _))) => one < other,
                (one, _) => one.is_some(),
            };
            let next = if is_each_next { each.next() } else { stream.next() };
            next.map(|(_, member)| member)
        })
    }

    /// Returns the number of the next member, or `None` when all were used: a number is never
    /// reused.
    pub(super) fn next_number(&self) -> Option<u32> {
        self.last_number.checked_add(1)
    }

    #[cfg(test)]
    pub(super) fn skip_numbers(&mut self, last: u32) {
        self.last_number = last;
    }

    /// Seats a member under [`Room::next_number`]: it gets what is appended from now on, and of a
    /// stream as many earlier entries as it wants and may see. A room has a stream before it seats
    /// somebody in it.
    pub(super) fn seat(
        &mut self,
        (member, number): (MemberId, u32),
        folded: Box<str>,
        delivery: Delivery,
        (tag, history): (u32, u32),
        now: Instant,
    ) {
        self.last_number = number;
        self.names.insert(folded, member);
        match (delivery, &mut self.stream) {
            (Delivery::Plain(form), _) => self.each.seat(member, number, form),
            (Delivery::Stream, Some(stream)) => {
                let history = history.min(self.history);
                stream.seat((member, number), tag, history, now);
            }
            (Delivery::Stream, None) => {}
        }
    }

    /// Ends a member: it gets what was appended up to now, and its name is free.
    pub(super) fn unseat(&mut self, number: u32, folded: &str) {
        self.names.remove(folded);
        shrink_map(&mut self.names, FEW);
        self.each.end(number);
        if let Some(stream) = &mut self.stream {
            stream.end(number);
        }
    }

    /// How many members it has memory for, in names and in seats.
    #[cfg(test)]
    pub(super) fn cursor_capacity(&self) -> usize {
        let stream = self.stream.as_ref().map_or(0, |stream| stream.cursor_capacity());
        self.names.capacity() + self.each.cursor_capacity() + stream
    }

    /// Ends all members. Returns their names, because freeing them takes time.
    pub(super) fn close(&mut self, closure: Closure) -> HashMap<Box<str>, MemberId> {
        self.closure = Some(closure);
        // It may be kept for a while, for those who ask what they missed; nobody comes in any more.
        self.bans = Bans::default();
        self.visitors = Visitors::default();
        self.each.end_all();
        if let Some(stream) = &mut self.stream {
            stream.end_all();
        }
        std::mem::take(&mut self.names)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closure.is_some()
    }

    // What waits to be sent.

    /// Returns true if the ring has space for a message that takes `entry` bytes in it.
    pub(super) fn has_space_for(&self, entry: usize) -> bool {
        self.logged_bytes() + entry <= MAX_WAITING
            && self.stream.as_ref().is_none_or(|stream| stream.has_space_for(entry))
    }

    /// The same for a notice.
    pub(super) fn has_space_for_notice(&self, entry: usize) -> bool {
        self.has_space_for_aside()
            && self.stream.as_ref().is_none_or(|stream| stream.has_space_for_notice(entry))
    }

    /// Whether one member can be told something.
    pub(super) fn has_space_for_aside(&self) -> bool {
        self.logged_bytes() <= MAX_WAITING + NOTICE_RESERVE
    }

    /// Bytes that wait, beside those of the ring and of repairs.
    fn logged_bytes(&self) -> usize {
        self.each.waiting_bytes() + self.asides.waiting_bytes()
    }

    /// Bytes of memory in use for what waits to be sent, beside the ring.
    pub(super) fn held_bytes(&self) -> usize {
        let repairs = self.stream.as_ref().map_or(0, |stream| stream.repairs().held_bytes());
        self.each.held_bytes() + self.asides.held_bytes() + repairs
    }

    /// Appends a message: to the stream for everyone, its author included, whom it tells that the
    /// message was taken; else for everyone but the author.
    pub(super) fn append_message(
        &mut self,
        author: MemberId,
        (name, text): (&str, &str),
        entries: &[u8],
        pool: &mut Pool,
    ) {
        self.each.append_message(author, name, text, pool);
        if let Some(stream) = &mut self.stream {
            stream.tail.note_message();
            stream.ring.push_message(entries);
        }
    }

    /// Appends a notice to everyone; but for the stream, whose order is one for all, perhaps only to
    /// everyone but one.
    pub(super) fn append_notice(
        &mut self,
        text: &str,
        audience: Audience,
        entry: &[u8],
        pool: &mut Pool,
    ) {
        self.each.append_notice(text, audience, pool);
        if let Some(stream) = &mut self.stream {
            stream.ring.push(entry);
        }
    }

    /// Appends a notice to one member, in the form that it takes.
    pub(super) fn append_aside(
        &mut self,
        member: MemberId,
        form: Form,
        text: &str,
        pool: &mut Pool,
    ) {
        self.asides.push(member, pool, |out| datagram::encode_notice(form, text, out));
    }

    /// Appends an aside to one member of the stream. `id` is the message that it answers, 0 for none.
    pub(super) fn append_stream_aside(
        &mut self,
        (member, number): (MemberId, u32),
        (code, id): (Code, u32),
        text: &str,
        pool: &mut Pool,
    ) {
        if let Some(stream) = &self.stream {
            self.asides.push(member, pool, |out| stream.encode_aside(number, code, id, text, out));
        }
    }

    /// The id of the message that was taken last of a stream member.
    pub(super) fn last_taken(&self, number: u32) -> u32 {
        let seat = self.stream.as_ref().and_then(|stream| stream.find(number));
        seat.map_or(0, |seat| seat.expected.saturating_sub(1))
    }

    /// The order of the parts in this delivery. Plain comes first in turn, so that those who take one
    /// do not use up the budget of those who take another.
    pub(super) fn next_order(&mut self) -> [Part; PARTS.len()] {
        self.order.rotate_left(1);
        if self.order[0] == Part::Stream && self.stream.is_none() {
            self.order.rotate_left(1);
        }
        self.order
    }

    /// Passes over everything that waits; gives how many deliveries that were at most.
    pub(super) fn abandon_backlog(&mut self) -> usize {
        let of_stream = self.stream.as_mut().map_or(0, |stream| stream.abandon_backlog());
        self.each.abandon_backlog() + of_stream
    }

    /// The asides wait for the backlog in front of them once more.
    pub(super) fn hold_asides(&mut self) {
        self.asides_held += u32::from(!self.asides.is_empty());
    }

    /// The asides are sent now.
    pub(super) fn release_asides(&mut self) {
        self.asides_held = 0;
    }

    /// Returns true if asides wait for the backlog and not for a socket.
    pub(super) fn holds_asides(&self) -> bool {
        self.asides_held > 0 && !self.asides.is_empty()
    }

    /// Whether they have waited as long as they should.
    pub(super) fn has_held_asides_enough(&self) -> bool {
        self.asides_held >= MAX_ASIDES_HELD
    }

    /// Ends a delivery: begins the next one of each form at `cut`, drops entries that everyone has,
    /// and collects the ended members that have everything.
    pub(super) fn settle(
        &mut self,
        cut: Cut,
        pool: &mut Pool,
        ended: &mut Vec<MemberId>,
        now: Instant,
    ) {
        self.each.begin_at(cut);
        // The last thing that a member is told may be an aside.
        if self.asides.is_empty() {
            self.each.collect_finished(ended);
        }
        self.each.settle(pool);
        if let Some(stream) = &mut self.stream {
            stream.settle(self.closure.is_some(), now);
        }
    }

    /// Whether all output is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.asides.is_empty()
            && self.each.is_delivered()
            && self.stream.as_ref().is_none_or(|stream| stream.is_delivered())
    }

    /// Whether nothing waits but repairs.
    pub(super) fn has_only_repairs(&self) -> bool {
        let has_repairs = self.stream.as_ref().is_some_and(|stream| !stream.repairs().is_empty());
        has_repairs && self.asides.is_empty() && self.each.is_delivered()
    }

    /// Whether there is nobody left to deliver to.
    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty() && self.stream.as_ref().is_none_or(|stream| stream.is_empty())
    }
}

/// Writes a notice, whose text is `text`, as an entry of a stream.
pub(super) fn encode_notice(notice: Notice<'_>, member: u32, text: &str, out: &mut Vec<u8>) {
    out.clear();
    let (code, name) = (notice.code() as u8, notice.subject().as_bytes());
    Entry::Notice { code, member, name, text: text.as_bytes() }.encode(out);
}
