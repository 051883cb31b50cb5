//! The members of a room who get a datagram for each entry, in text or named delivery.
//!
//! What is to be sent lies in a log for each form, encoded once, and is forgotten as soon as everyone
//! has it; a member is a cursor into the log of its form.

use std::time::{Duration, Instant};

use super::entry_log::{EntryLog, Pool};
use super::shrink::shrink_list;
use crate::fanout::HEADERS;
use crate::fanout::{Audience, NO_TAG, Share};
use crate::ids::MemberId;
use crate::protocol::Form;
use crate::token_bucket::{TokenBucket, time_for};

/// How many forms there are.
const FORMS: usize = Form::ALL.len();

/// Cursors that a room keeps space for.
const FEW: usize = 8;

/// The cursors at which a delivery was cut, by form.
pub(crate) type Cut = [Option<usize>; FORMS];

/// A place in a room: a cursor into the log of one form.
#[derive(Debug)]
struct Cursor {
    member: MemberId,
    /// The member's number in the room; cursors stand in the order of these.
    number: u32,
    form: Form,
    /// The number of the next entry to send.
    next: u64,
    /// The number after the last entry to send, once the member has ended.
    until: Option<u64>,
    /// Its limit, while it is silent.
    limit: Option<Box<Limit>>,
}

/// Limit for a silent member, in bytes a second, IP and UDP headers included.
const SILENT_RATE: u64 = 16 * 1024;

/// It gets at once what grows in this time.
const SILENT_DEPTH: Duration = Duration::from_secs(1);

/// The limit of a silent member.
#[derive(Debug, Default)]
struct Limit {
    bucket: TokenBucket,
    /// Entries below are paid for, or were dropped.
    paid: u64,
}

impl Limit {
    /// Pays for an entry of so many bytes, if the limit has as many.
    fn pay(&mut self, size: usize, now: Instant) -> bool {
        let cost = time_for((size + HEADERS) as u64, SILENT_RATE);
        let is_paid = self.bucket.has(cost, SILENT_DEPTH, now);
        if is_paid {
            self.bucket.take(cost, now);
        }
        is_paid
    }
}

impl Cursor {
    fn is_live(&self) -> bool {
        self.until.is_none()
    }

    /// The entries to send, if any.
    fn waiting(&self, log: &EntryLog) -> Option<(u64, u64)> {
        let until = self.until.unwrap_or(log.end());
        (self.next < until).then_some((self.next, until))
    }

    /// Returns the number up to which a limit lets it be sent.
    fn payable(&self, until: u64) -> u64 {
        self.limit.as_ref().map_or(until, |limit| limit.paid.min(until))
    }

    /// Pays for what waits as far as its limit goes, and drops entries in front that are over it.
    /// Returns how many.
    fn drop_excess(&mut self, log: &EntryLog, now: Instant) -> usize {
        let Some((first, until)) = self.waiting(log) else { return 0 };
        let Some(limit) = &mut self.limit else { return 0 };
        limit.paid = limit.paid.max(first);
        while limit.paid < until {
            if limit.pay(log.size(limit.paid), now) {
                limit.paid += 1;
            } else if limit.paid == self.next {
                limit.paid += 1;
                self.next += 1;
            } else {
                break;
            }
        }
        (self.next - first) as usize
    }

    fn is_finished(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }
}

/// The members, and what waits to be sent to them.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// In the order of joining; those that ended stay until they got what they should.
    cursors: Vec<Cursor>,
    /// Number of cursors that are limited.
    limited: usize,
    /// How many cursors have ended.
    leaving: usize,
    /// Number of ended cursors before the first live one.
    leaving_in_front: usize,
    /// Live members of each form.
    takers: [usize; FORMS],
    logs: [EntryLog; FORMS],
    /// The cursor at which the next delivery of each form begins: where the last one was cut, so that
    /// the back rows get their turn.
    first_cursors: [usize; FORMS],
}

impl Plain {
    /// Cursors a member, whose number is above all before: it gets what is appended from now on.
    pub(crate) fn seat(&mut self, member: MemberId, number: u32, form: Form) {
        let next = self.logs[form as usize].end();
        self.cursors.push(Cursor { member, number, form, next, until: None, limit: None });
        self.takers[form as usize] += 1;
    }

    /// Ends a member: it gets what was appended up to now.
    pub(crate) fn end(&mut self, number: u32) {
        if let Ok(index) = self.cursors.binary_search_by_key(&number, |cursor| cursor.number) {
            self.end_at(index);
        }
    }

    /// Limits a member that is silent: it is sent a few bytes a second, and the rest is dropped.
    pub(crate) fn limit(&mut self, number: u32) {
        if let Ok(index) = self.cursors.binary_search_by_key(&number, |cursor| cursor.number)
            && self.cursors[index].is_live()
        {
            self.limited += usize::from(self.cursors[index].limit.is_none());
            self.cursors[index].limit.get_or_insert_default();
        }
    }

    /// Ends the limit of a member that was heard.
    pub(crate) fn end_limit(&mut self, number: u32) {
        if let Ok(index) = self.cursors.binary_search_by_key(&number, |cursor| cursor.number) {
            self.end_limit_at(index);
        }
    }

    fn end_limit_at(&mut self, index: usize) {
        if self.cursors[index].limit.take().is_some() {
            self.limited -= 1;
        }
    }

    /// Returns true if a member still has its cursor, live or not.
    pub(crate) fn has_cursor(&self, number: u32) -> bool {
        self.cursors.binary_search_by_key(&number, |cursor| cursor.number).is_ok()
    }

    pub(crate) fn end_all(&mut self) {
        (0..self.cursors.len()).for_each(|index| self.end_at(index));
    }

    fn end_at(&mut self, index: usize) {
        let cursor = &mut self.cursors[index];
        if cursor.is_live() {
            cursor.until = Some(self.logs[cursor.form as usize].end());
            self.takers[cursor.form as usize] -= 1;
            self.leaving += 1;
            self.end_limit_at(index);
        }
        self.count_front();
    }

    /// Extends the count of ended cursors at the front. Plain cursor is counted once, so that a room
    /// whose hosts leave one after the other does not scan all ended cursors for the next host.
    fn count_front(&mut self) {
        let in_front = &self.cursors[self.leaving_in_front..];
        self.leaving_in_front += in_front.iter().take_while(|cursor| !cursor.is_live()).count();
    }

    /// Live members with their numbers, in the order of joining.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, MemberId)> {
        let cursors =
            self.cursors[self.leaving_in_front..].iter().filter(|cursor| cursor.is_live());
        cursors.map(|cursor| (cursor.number, cursor.member))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    /// How many cursors it has memory for.
    #[cfg(test)]
    pub(crate) fn cursor_capacity(&self) -> usize {
        self.cursors.capacity()
    }

    /// Bytes that somebody has still to get.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.logs.iter().map(EntryLog::waiting_bytes).sum()
    }

    /// Bytes of memory in use for that.
    pub(crate) fn held_bytes(&self) -> usize {
        self.logs.iter().map(EntryLog::held_bytes).sum()
    }

    /// Appends an entry, encoded once for each form that somebody takes.
    pub(crate) fn append(
        &mut self,
        audience: Audience,
        pool: &mut Pool,
        encode: impl Fn(Form, &mut Vec<u8>),
    ) {
        for form in Form::ALL {
            if self.takers[form as usize] > 0 {
                self.logs[form as usize].push(audience, pool, |out| encode(form, out));
            }
        }
    }

    /// The log of one form.
    pub(crate) fn log(&self, form: Form) -> &EntryLog {
        &self.logs[form as usize]
    }

    /// Drops what is over the limits of silent members in one form. Returns how many deliveries.
    pub(crate) fn drop_excess(&mut self, form: Form, now: Instant) -> usize {
        if self.limited == 0 {
            return 0;
        }
        let log = &self.logs[form as usize];
        let cursors =
            self.cursors.iter_mut().filter(|cursor| cursor.limit.is_some() && cursor.form == form);
        cursors.map(|cursor| cursor.drop_excess(log, now)).sum()
    }

    /// Collects who is to get which entries of one form, beginning where the last delivery was cut.
    pub(crate) fn share_out(&self, form: Form, shares: &mut Vec<Share>) {
        shares.clear();
        let log = self.log(form);
        if log.is_empty() {
            return;
        }
        let (later, sooner) = self.cursors.split_at(self.first_cursor(form));
        for cursor in sooner.iter().chain(later).filter(|cursor| cursor.form == form) {
            if let Some((next, until)) = cursor.waiting(log) {
                let [next, until] = [next, cursor.payable(until)].map(|number| log.index(number));
                shares.push(Share { member: cursor.member, next, until, tag: NO_TAG });
            }
        }
    }

    /// Takes back what [`Plain::share_out`] gave, moved on as far as it was sent. Gives the cursor at
    /// which the delivery was cut.
    pub(crate) fn take_back(&mut self, form: Form, shares: &[Share]) -> Option<usize> {
        if shares.is_empty() {
            return None;
        }
        let log = &self.logs[form as usize];
        let start = self.first_cursor(form);
        let mut shares = shares.iter().peekable();
        let mut cut = None;
        for index in (start..self.cursors.len()).chain(0..start) {
            let cursor = &mut self.cursors[index];
            let Some(share) = shares.next_if(|share| share.member == cursor.member) else {
                continue;
            };
            cursor.next = log.number(share.next);
            if share.next < share.until && cut.is_none() {
                cut = Some(index);
            }
        }
        cut
    }

    /// Passes over everything that waits in the logs; gives how many deliveries that were at most.
    pub(crate) fn abandon_backlog(&mut self) -> usize {
        let mut abandoned = 0;
        for cursor in &mut self.cursors {
            if let Some((next, until)) = cursor.waiting(&self.logs[cursor.form as usize]) {
                abandoned += (until - next) as usize;
                cursor.next = until;
            }
        }
        abandoned
    }

    /// The next delivery of each form begins where this one was cut.
    pub(crate) fn begin_at(&mut self, cut: Cut) {
        self.first_cursors = cut.map(Option::unwrap_or_default);
    }

    /// Forgets what everyone has.
    pub(crate) fn settle(&mut self, pool: &mut Pool) {
        for form in Form::ALL {
            let log = &mut self.logs[form as usize];
            if log.is_empty() {
                continue;
            }
            let takers = self.cursors.iter().filter(|cursor| cursor.form == form);
            let lowest = takers.map(|cursor| cursor.next).min();
            if let Some(buffers) = log.forget_before(lowest.unwrap_or(log.end())) {
                pool.give_back(buffers);
            }
        }
    }

    /// Frees the cursors of the members that are delivered to the end, and hands these out.
    pub(crate) fn collect_finished(&mut self, ended: &mut Vec<MemberId>) {
        if self.leaving == 0 {
            return;
        }
        let before = ended.len();
        let first_cursors = self.first_cursors;
        let (mut index, mut moved_up) = (0, [0; FORMS]);
        self.cursors.retain(|cursor| {
            let finished = cursor.is_finished();
            if finished {
                ended.push(cursor.member);
                for (moved_up, first) in moved_up.iter_mut().zip(first_cursors) {
                    *moved_up += usize::from(index < first);
                }
            }
            index += 1;
            !finished
        });
        shrink_list(&mut self.cursors, FEW);
        self.leaving -= ended.len() - before;
        self.leaving_in_front = 0;
        self.count_front();
        for (first, moved_up) in self.first_cursors.iter_mut().zip(moved_up) {
            *first -= moved_up;
        }
    }

    /// Whether all output is delivered.
    pub(crate) fn is_delivered(&self) -> bool {
        self.leaving == 0 && self.logs.iter().all(EntryLog::is_empty)
    }

    fn first_cursor(&self, form: Form) -> usize {
        self.first_cursors[form as usize].min(self.cursors.len())
    }
}
