//! Deadlines of streams: tail probes, and members that catch up.

use std::time::Instant;

use super::{Feeds, Recipient};
use crate::ids::{MemberId, RoomId};

/// Purpose of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A stream may have been quiet for long enough to be probed.
    Tail(RoomId),
    /// The pause of members that catch up is over.
    Rest(RoomId),
}

impl Feeds {
    /// Returns the time when [`Feeds::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Acts on one deadline that is not after `now`. Returns false if there is none. See
    /// [`Feeds::prove`] for `pay`.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        pay: impl FnMut(MemberId, usize) -> bool,
    ) -> bool {
        match self.timers.pop_due(now) {
            Some((_, Alarm::Tail(room))) => self.step_tail(room, now),
            Some((_, Alarm::Rest(room))) => self.wake_all(room, now, pay),
            None => return false,
        }
        true
    }

    fn step_tail(&mut self, room: RoomId, now: Instant) {
        let Some(feed) = self.feeds.get_mut(room) else { return };
        let is_closed = feed.is_closed;
        let Some(ordered) = &mut feed.ordered else { return };
        let is_probe_due = ordered.tail.step(now);
        let next = ordered.tail.due().filter(|_| !is_closed);
        self.timers.set(Alarm::Tail(room), &mut ordered.tail.deadline, next);
        if is_probe_due {
            self.queue(room);
        }
    }

    /// Sets the deadline of a room's next tail probe, unless there is one. If that is too early,
    /// because the room has spoken since, it is set again when it is due.
    pub(super) fn set_tail_alarm(&mut self, room: RoomId) {
        let feed = self.feeds.get_mut(room).filter(|feed| !feed.is_closed);
        let Some(ordered) = feed.and_then(|feed| feed.ordered.as_mut()) else { return };
        if ordered.tail.deadline.at().is_none() {
            let due = ordered.tail.due();
            self.timers.set(Alarm::Tail(room), &mut ordered.tail.deadline, due);
        }
    }

    /// Wakes a member that has proved its address or confirmed something.
    pub(super) fn wake(
        &mut self,
        to: &Recipient,
        now: Instant,
        pay: impl FnMut(MemberId, usize) -> bool,
    ) {
        let Some(ordered) = self.ordered_mut(to.room) else { return };
        ordered.wake(to.number, now, pay);
        self.set_rest_alarm(to.room);
        self.queue(to.room);
    }

    /// Wakes the members of a room whose pause is over, and asks those without credit for a
    /// confirmation.
    fn wake_all(&mut self, room: RoomId, now: Instant, pay: impl FnMut(MemberId, usize) -> bool) {
        let Some(feed) = self.feeds.get_mut(room) else { return };
        let may_ask = feed.has_space_for_unicast();
        let Some(ordered) = &mut feed.ordered else { return };
        self.timers.set(Alarm::Rest(room), &mut ordered.rest, None);
        let (unicast, pool) = (&mut feed.unicast, &mut self.work.pool);
        ordered.wake_all(now, pay, |member, header| {
            if may_ask {
                unicast.push(member, pool, |out| header.encode(out));
            }
        });
        self.set_rest_alarm(room);
        self.queue(room);
    }

    pub(super) fn set_rest_alarm(&mut self, room: RoomId) {
        let feed = self.feeds.get_mut(room);
        let Some(ordered) = feed.and_then(|feed| feed.ordered.as_mut()) else { return };
        if let Some(due) = ordered.rest_due() {
            self.timers.set(Alarm::Rest(room), &mut ordered.rest, Some(due));
        }
    }
}
