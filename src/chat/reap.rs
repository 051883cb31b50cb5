//! Frees members and rooms that are delivered to the end.

use super::Chat;
use crate::delivery::Ended;
use crate::ids::MemberId;

/// Limit for the members and rooms that one call frees: about half a millisecond of work.
const MAX_FREED: usize = 1024;

impl Chat {
    /// Returns true if [`Chat::reap`] would find something to do.
    pub fn has_garbage(&self) -> bool {
        self.feeds.has_ended() || self.partings.has_told()
    }

    /// Frees a portion of the members and rooms that have no output left, and calls `freed` with
    /// each member. Ids become invalid only here.
    pub fn reap(&mut self, mut freed: impl FnMut(MemberId)) {
        for _ in 0..MAX_FREED {
            match self.feeds.poll_ended() {
                Some(Ended::Member(member)) => self.reap_member(member, &mut freed),
                Some(Ended::Room(room)) => drop(self.directory.rooms.remove(room)),
                None => break,
            }
        }
        while let Some(member) = self.partings.pop_told() {
            self.free_member(member, &mut freed);
        }
    }

    fn reap_member(&mut self, id: MemberId, freed: &mut impl FnMut(MemberId)) {
        self.end_if_closing(id);
        if self.directory.members.get(id).is_some_and(|member| member.end.is_some()) {
            // It has all entries of its room, but not yet the notice of its end.
            return;
        }
        if !self.say_last_aside(id) {
            self.free_member(id, freed);
        }
    }

    fn free_member(&mut self, id: MemberId, freed: &mut impl FnMut(MemberId)) {
        if let Some(gone) = self.directory.members.remove(id) {
            self.peers.quotas.forget_ended(id, &gone);
            if gone.is_attached() {
                self.partings.note_path_end(id, gone.ended_by);
            }
            freed(id);
        }
    }
}
