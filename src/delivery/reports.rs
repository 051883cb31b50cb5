//! Reports of members: addresses that are proved or lost, entries that have arrived or are missing, and
//! silence.

use std::time::Instant;

use super::lane::Workspace;
use super::{Feeds, Recipient};
use crate::ids::MemberId;
use crate::protocol::Delivery;
use crate::protocol::stream::upstream::Range;

impl Feeds {
    /// Notes that a member's address is proved: it can be sent to. A carried member's is from its
    /// seat, and whenever it moves to a connection; what it has not confirmed is sent again then.
    /// `pay` charges bytes of history that it is to be sent, and returns false if a limit is reached.
    pub fn prove(
        &mut self,
        to: &Recipient,
        now: Instant,
        pay: impl FnMut(MemberId, usize) -> bool,
    ) {
        if let Some(ordered) = self.ordered_mut(to.room) {
            ordered.prove(to.number, to.is_carried, now);
            self.wake(to, now, pay);
        }
    }

    /// Notes that a member's address is lost, or that a carried member is detached. Its stream waits
    /// until [`Feeds::prove`]. In plain delivery, entries for a member without an address are dropped
    /// in the next turn.
    pub fn disprove(&mut self, to: &Recipient) {
        let Some(feed) = self.feeds.get_mut(to.room) else { return };
        match (to.delivery, &mut feed.ordered) {
            (Delivery::Plain(form), _) => feed.plain[form as usize].disprove(to.number),
            (Delivery::Stream, Some(ordered)) => ordered.disprove(to.number, to.is_carried),
            (Delivery::Stream, None) => {}
        }
        if to.is_carried {
            // If it has ended, it cannot be delivered to any more.
            self.queue(to.room);
        }
    }

    /// Notes that a member has everything below the entry `next`. See [`Feeds::prove`] for `pay`.
    pub fn confirm(
        &mut self,
        to: &Recipient,
        next: u64,
        now: Instant,
        pay: impl FnMut(MemberId, usize) -> bool,
    ) {
        if let Some(ordered) = self.ordered_mut(to.room)
            && ordered.confirm(to.number, next, now)
        {
            self.wake(to, now, pay);
        }
    }

    /// Prepares the repair of entries that a member has missed. A carried member misses none.
    pub fn repair(&mut self, to: &Recipient, ranges: impl Iterator<Item = Range>, now: Instant) {
        let Some(feed) = self.feeds.get_mut(to.room) else { return };
        if !to.is_carried
            && self.memory.has_space_for(feed)
            && let Some(ordered) = &mut feed.ordered
        {
            let Workspace { train, pool, .. } = &mut self.work;
            ordered.repair(to.number, ranges, train, pool, now);
            self.queue(to.room);
        }
    }

    /// Notes that nothing was heard of a member when something had to be. In plain delivery it is
    /// limited until [`Feeds::end_limit`]. In stream delivery it gets only questions once that
    /// has happened several times.
    pub fn note_silent(&mut self, to: &Recipient, now: Instant) {
        let Some(feed) = self.feeds.get_mut(to.room) else { return };
        match (to.delivery, &mut feed.ordered) {
            // TCP limits what it is sent.
            _ if to.is_carried => {}
            (Delivery::Plain(form), _) => feed.plain[form as usize].limit(to.number),
            (Delivery::Stream, Some(ordered)) => ordered.check_confirmation(to.number, now),
            (Delivery::Stream, None) => {}
        }
        self.set_rest_alarm(to.room);
    }

    /// Ends the limit of a member in plain delivery.
    pub fn end_limit(&mut self, to: &Recipient) {
        if let Delivery::Plain(form) = to.delivery
            && let Some(feed) = self.feeds.get_mut(to.room)
        {
            feed.plain[form as usize].end_limit(to.number);
        }
    }
}
