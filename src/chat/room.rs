//! A room: who is in it, who may come in, and what waits to be sent.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use subtle::ConstantTimeEq;

use super::arrivals::Arrivals;
use super::log::{Log, Pool};
use crate::fanout::{Audience, Share};
use crate::ids::MemberId;
use crate::protocol::{Form, datagram};

/// The most bytes of messages that wait in a room. A message that finds it full is not taken: a
/// room that is written to faster than it can be sent loses messages, not the server's memory.
const MAX_WAITING: usize = 256 * 1024;
/// What notices may use beyond that, so that a sender can be told that the room is full.
const NOTICE_RESERVE: usize = 64 * 1024;
/// How many deliveries the asides of a room wait for its backlog: some ten milliseconds of them.
const MAX_ASIDES_HELD: u32 = 16;
/// The seats at which a delivery was cut, by form.
pub(super) type Cut = [Option<usize>; Form::ALL.len()];
/// The most names that a room remembers as removed.
const MAX_KICKED: usize = 1024;

/// A place in a room: a cursor into the log of one form.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) member: MemberId,
    form: Form,
    /// The number of the next entry to send.
    next: u64,
    /// The number after the last entry to send, once the member has ended.
    until: Option<u64>,
}

impl Seat {
    pub(super) fn is_live(&self) -> bool {
        self.until.is_none()
    }

    /// The entries to send, if any.
    fn waiting(&self, log: &Log) -> Option<(u64, u64)> {
        let until = self.until.unwrap_or(log.end());
        (self.next < until).then_some((self.next, until))
    }

    fn is_finished(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }
}

/// A room, from its creation to the last good-bye.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Rc<str>,
    pub(super) hidden: bool,
    pub(super) host: MemberId,
    pub(super) arrivals: Arrivals,
    /// It is in the queue of rooms to deliver.
    pub(super) is_ready: bool,
    /// It is in the list of rooms that wait for a socket.
    pub(super) is_stalled: bool,
    /// Nobody is a member any more; the good-byes are on their way.
    pub(super) is_closing: bool,
    password: Option<Box<str>>,
    capacity: Option<u32>,
    /// Live members by name, as names are compared.
    names: HashMap<Box<str>, MemberId>,
    kicked: HashSet<Box<str>>,
    /// In the order of joining; those that ended stay until they got what they should.
    seats: Vec<Seat>,
    /// How many seats have ended.
    leaving: usize,
    /// Live members of each form.
    takers: [usize; Form::ALL.len()],
    logs: [Log; Form::ALL.len()],
    /// What one member alone is told: answers, refusals, good-byes. Apart from the logs, so that an
    /// answer in a large room costs no look at all of its members.
    asides: Log,
    /// Deliveries in which the asides were held back.
    asides_held: u32,
    /// The seat at which the next delivery of each form begins: where the last one was cut, so that
    /// the back rows get their turn.
    first_seats: [usize; Form::ALL.len()],
    /// The forms in the order of the next delivery.
    order: [Form; Form::ALL.len()],
}

impl Room {
    pub(super) fn new(
        name: Rc<str>,
        host: MemberId,
        password: Option<&str>,
        capacity: Option<u32>,
        hidden: bool,
    ) -> Self {
        Self {
            name,
            hidden,
            host,
            arrivals: Arrivals::default(),
            is_ready: false,
            is_stalled: false,
            is_closing: false,
            password: password.map(Box::from),
            capacity,
            names: HashMap::new(),
            kicked: HashSet::new(),
            seats: Vec::new(),
            leaving: 0,
            takers: [0; Form::ALL.len()],
            logs: Default::default(),
            asides: Log::default(),
            asides_held: 0,
            first_seats: [0; Form::ALL.len()],
            order: Form::ALL,
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

    pub(super) fn capacity(&self) -> Option<usize> {
        self.capacity.map(|capacity| capacity as usize)
    }

    pub(super) fn has_kicked(&self, folded: &str) -> bool {
        self.kicked.contains(folded)
    }

    pub(super) fn can_kick(&self) -> bool {
        self.kicked.len() < MAX_KICKED
    }

    pub(super) fn note_kicked(&mut self, folded: Box<str>) {
        self.kicked.insert(folded);
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
        self.seats.iter().filter(|seat| seat.is_live()).map(|seat| seat.member)
    }

    /// Seats a member: it gets what is appended from now on.
    pub(super) fn seat(&mut self, member: MemberId, folded: Box<str>, form: Form) {
        let next = self.logs[form as usize].end();
        self.seats.push(Seat { member, form, next, until: None });
        self.takers[form as usize] += 1;
        self.names.insert(folded, member);
    }

    /// Ends a member: it gets what was appended up to now, and its name is free.
    pub(super) fn unseat(&mut self, member: MemberId, folded: &str) {
        self.names.remove(folded);
        if let Some(index) = self.seats.iter().position(|seat| seat.member == member) {
            self.end_seat(index);
        }
    }

    /// Ends everyone.
    pub(super) fn unseat_all(&mut self) {
        self.names.clear();
        for index in 0..self.seats.len() {
            self.end_seat(index);
        }
    }

    fn end_seat(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        if seat.is_live() {
            seat.until = Some(self.logs[seat.form as usize].end());
            self.takers[seat.form as usize] -= 1;
            self.leaving += 1;
        }
    }

    // What waits to be sent.

    /// Whether a message of so many bytes can be taken.
    pub(super) fn has_space_for(&self, message: usize) -> bool {
        self.waiting_bytes() + message <= MAX_WAITING
    }

    pub(super) fn has_space_for_notice(&self) -> bool {
        self.waiting_bytes() <= MAX_WAITING + NOTICE_RESERVE
    }

    fn waiting_bytes(&self) -> usize {
        self.logs.iter().chain([&self.asides]).map(Log::waiting_bytes).sum()
    }

    /// Appends a message to everyone but its author, encoded once for each form that somebody takes.
    pub(super) fn append_message(
        &mut self,
        author: MemberId,
        name: &str,
        text: &str,
        pool: &mut Pool,
    ) {
        self.append(Audience::AllBut(author), pool, |form, out| {
            datagram::encode_message(form, name, text, out);
        });
    }

    /// Appends a notice to one member, in the form that it takes.
    pub(super) fn append_aside(
        &mut self,
        member: MemberId,
        form: Form,
        text: &str,
        pool: &mut Pool,
    ) {
        self.asides.push(Audience::Only(member), pool, |out| {
            datagram::encode_notice(form, text, out);
        });
    }

    /// Appends a notice to everyone, or everyone but one.
    pub(super) fn append_notice(&mut self, text: &str, audience: Audience, pool: &mut Pool) {
        self.append(audience, pool, |form, out| {
            datagram::encode_notice(form, text, out);
        });
    }

    fn append(&mut self, audience: Audience, pool: &mut Pool, encode: impl Fn(Form, &mut Vec<u8>)) {
        for form in Form::ALL {
            if self.takers[form as usize] > 0 {
                let log = &mut self.logs[form as usize];
                log.push(audience, pool, |out| encode(form, out));
            }
        }
    }

    /// The order of the forms in this delivery. Each comes first in turn, so that those who take one
    /// do not use up the budget of those who take another.
    pub(super) fn next_order(&mut self) -> [Form; Form::ALL.len()] {
        self.order.rotate_left(1);
        self.order
    }

    /// The log of one form.
    pub(super) fn log(&self, form: Form) -> &Log {
        &self.logs[form as usize]
    }

    /// Collects who is to get which entries of one form, beginning where the last delivery was cut.
    pub(super) fn share_out(&self, form: Form, shares: &mut Vec<Share>) {
        shares.clear();
        let log = self.log(form);
        if log.is_empty() {
            return;
        }
        let (later, sooner) = self.seats.split_at(self.first_seat(form));
        for seat in sooner.iter().chain(later).filter(|seat| seat.form == form) {
            if let Some((next, until)) = seat.waiting(log) {
                let [next, until] = [next, until].map(|number| log.index(number));
                shares.push(Share { member: seat.member, next, until });
            }
        }
    }

    /// Takes back what [`Room::share_out`] gave, moved on as far as it was sent. Gives the seat at
    /// which the delivery was cut.
    pub(super) fn take_back(&mut self, form: Form, shares: &[Share]) -> Option<usize> {
        let log = &self.logs[form as usize];
        let start = self.first_seat(form);
        let mut shares = shares.iter().peekable();
        let mut cut = None;
        for index in (start..self.seats.len()).chain(0..start) {
            let seat = &mut self.seats[index];
            let Some(share) = shares.next_if(|share| share.member == seat.member) else {
                continue;
            };
            seat.next = log.number(share.next);
            if share.next < share.until && cut.is_none() {
                cut = Some(index);
            }
        }
        cut
    }

    /// Passes over everything that waits in the logs; gives how many deliveries that were at most.
    pub(super) fn abandon_backlog(&mut self) -> usize {
        let mut abandoned = 0;
        for seat in &mut self.seats {
            if let Some((next, until)) = seat.waiting(&self.logs[seat.form as usize]) {
                abandoned += (until - next) as usize;
                seat.next = until;
            }
        }
        abandoned
    }

    /// The asides wait for the backlog in front of them once more.
    pub(super) fn hold_asides(&mut self) {
        self.asides_held += u32::from(!self.asides.is_empty());
    }

    /// Whether they have waited as long as they should.
    pub(super) fn has_held_asides_enough(&self) -> bool {
        self.asides_held >= MAX_ASIDES_HELD
    }

    fn first_seat(&self, form: Form) -> usize {
        self.first_seats[form as usize].min(self.seats.len())
    }

    /// What is said to single members.
    pub(super) fn asides(&self) -> &Log {
        &self.asides
    }

    /// Collects the asides, each for its one reader.
    pub(super) fn share_out_asides(&self, shares: &mut Vec<Share>) {
        shares.clear();
        for (next, entry) in (0..).zip(self.asides.entries()) {
            if let Audience::Only(member) = entry.audience {
                shares.push(Share { member, next, until: next + 1 });
            }
        }
    }

    /// Forgets the asides that were sent.
    pub(super) fn take_back_asides(&mut self, shares: &[Share], pool: &mut Pool) {
        self.asides_held = 0;
        let waiting = shares.iter().filter(|share| share.next < share.until);
        self.asides.retain(waiting.map(|share| share.next), pool);
    }

    /// After a delivery: begins the next one at `cut`, forgets what everyone has, and hands out the
    /// members that are delivered to the end.
    pub(super) fn settle(&mut self, cut: Cut, pool: &mut Pool, ended: &mut Vec<MemberId>) {
        self.first_seats = cut.map(Option::unwrap_or_default);
        // The last thing that a member is told may be an aside.
        if self.leaving > 0 && self.asides.is_empty() {
            self.collect_finished(ended);
        }
        for form in Form::ALL {
            let log = &mut self.logs[form as usize];
            if log.is_empty() {
                continue;
            }
            let lowest =
                self.seats.iter().filter(|seat| seat.form == form).map(|seat| seat.next).min();
            if let Some(buffers) = log.forget_before(lowest.unwrap_or(log.end())) {
                pool.give_back(buffers);
            }
        }
    }

    fn collect_finished(&mut self, ended: &mut Vec<MemberId>) {
        let before = ended.len();
        let first_seats = self.first_seats;
        let (mut index, mut moved_up) = (0, [0; Form::ALL.len()]);
        self.seats.retain(|seat| {
            let finished = seat.is_finished();
            if finished {
                ended.push(seat.member);
                for (moved_up, first) in moved_up.iter_mut().zip(first_seats) {
                    *moved_up += usize::from(index < first);
                }
            }
            index += 1;
            !finished
        });
        self.leaving -= ended.len() - before;
        for (first, moved_up) in self.first_seats.iter_mut().zip(moved_up) {
            *first -= moved_up;
        }
    }

    /// Whether all output is delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.leaving == 0 && self.logs.iter().chain([&self.asides]).all(Log::is_empty)
    }

    /// Whether there is nobody left to deliver to.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }
}
