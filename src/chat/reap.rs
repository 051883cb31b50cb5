//! Delivering, and freeing members and rooms that are delivered to the end.

use std::time::Instant;

use super::Chat;
use crate::delivery::Ended;
use crate::fanout::{Job, Receipt};
use crate::ids::MemberId;

/// Limit for the members and rooms that one call frees: about half a millisecond of work.
const MAX_FREED: usize = 1024;

impl Chat {
    /// Hands waiting output to `send`: see [`Feeds::deliver`](crate::delivery::Feeds::deliver).
    pub fn deliver(
        &mut self,
        budget: usize,
        now: Instant,
        send: impl FnMut(Job<'_>, usize) -> Receipt,
    ) -> Receipt {
        self.end_closing(budget);
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.deliver(budget, now, send, |member, bytes| limits.charge(member, bytes))
    }

    /// Returns true if [`Chat::deliver`] would find something to do.
    pub fn has_output(&self) -> bool {
        self.feeds.has_output() || !self.closing.is_empty()
    }

    /// Returns true if the server has to wait at its end, because somebody is still to be told.
    pub fn has_last_words(&self) -> bool {
        self.has_output() || self.feeds.has_undelivered() || self.tombstones.has_untold()
    }

    /// Delivers again to rooms that waited for a socket: one is writable again.
    pub fn resume_stalled(&mut self, now: Instant) {
        self.feeds.resume_stalled(now);
    }

    /// Returns true if [`Chat::reap`] would find something to do.
    pub fn has_garbage(&self) -> bool {
        self.feeds.has_ended()
    }

    /// Frees a portion of the members and rooms that have no output left, and calls `freed` with
    /// each member. Ids become invalid only here.
    pub fn reap(&mut self, mut freed: impl FnMut(MemberId)) {
        for _ in 0..MAX_FREED {
            match self.feeds.poll_ended() {
                Some(Ended::Member(member)) => self.reap_member(member, &mut freed),
                Some(Ended::Room(room)) => drop(self.directory.rooms.remove(room)),
                None => return,
            }
        }
    }

    fn reap_member(&mut self, id: MemberId, freed: &mut impl FnMut(MemberId)) {
        self.end_if_closing(id);
        if self.directory.members.get(id).is_some_and(|member| member.end.is_some()) {
            // It has all entries of its room, but not yet the notice of its end.
            return;
        }
        if let Some(gone) = self.directory.members.remove(id) {
            self.peers.quotas.forget_ended(id, &gone);
            freed(id);
        }
    }
}
