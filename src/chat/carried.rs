//! Carried members: their messages travel on the connection of their last request (C1 to C3).

use std::time::Instant;

use super::Chat;
use crate::ids::MemberId;

impl Chat {
    /// Notes that the path of a carried member has space again.
    pub fn resume_member(&mut self, member: MemberId, now: Instant) {
        let Some(to) = self.recipient(member) else { return };
        self.feeds.resume_member(&to, now);
    }

    /// Notes that the connection of a carried member has ended.
    pub fn handle_path_end(&mut self, member: MemberId, now: Instant) {
        self.handle_disconnect(member, now);
    }

    /// Removes and returns a carried member that needs its connection no more, because it has ended
    /// or has another path. Everything for it was handed over.
    pub fn poll_path_end(&mut self) -> Option<MemberId> {
        self.path_ends.pop()
    }
}
