//! Members that may be gone: they are sent less until they are heard.
//!
//! The kernel keeps datagrams to a host that answers no ARP, for seconds, and counts them against the
//! send buffer that all members share. A member's own alarm checks that it answers. A carried member
//! is never limited: its connection takes nothing for as long as it does not read. A detached one gets
//! nothing at all.

use std::time::{Duration, Instant};

use super::{Alarm, Chat};
use crate::ids::MemberId;
use crate::protocol::Delivery;
use crate::protocol::stream::completion::keep_alive;

/// Silence after which a member in text or named delivery is sent less.
const SILENT_AFTER: Duration = Duration::from_secs(60);

impl Chat {
    /// Returns the time from a member's token to its first check for answers.
    pub(super) fn first_check_of_answers(&self, delivery: Delivery) -> Duration {
        match delivery {
            Delivery::Plain(_) => SILENT_AFTER,
            Delivery::Stream => self.have_interval(),
        }
    }

    /// Returns the time in which a stream member sends a `have`.
    fn have_interval(&self) -> Duration {
        let idle_timeout = self.config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
        Duration::from_secs(keep_alive(idle_timeout))
    }

    /// Limits a member that does not answer. Returns when to check again; a member in text or named
    /// delivery that is limited is not checked until it is heard.
    pub(super) fn check_answers(&mut self, id: MemberId, now: Instant) -> Option<Instant> {
        let member = self.directory.members.get(id)?;
        let (to, delivery) = (member.recipient(id), member.delivery);
        if to.is_carried || member.detached_at.is_some() {
            return None;
        }
        let due = match delivery {
            Delivery::Plain(_) => member.heard_at + SILENT_AFTER,
            Delivery::Stream => member.check_at?,
        };
        let mut check_at = member.check_at.and_then(|_| self.read_clock.check_again(due, now));
        if check_at.is_none() {
            self.feeds.note_silent(&to, now);
            check_at = (delivery == Delivery::Stream).then(|| now + self.have_interval());
        }
        self.directory.members.get_mut(id)?.check_at = check_at;
        check_at
    }

    /// Ends the limit of a member in text or named delivery that was heard again.
    pub(super) fn end_limit(&mut self, id: MemberId, now: Instant) {
        self.start_checks(id, now);
        if let Some(to) = self.recipient(id) {
            self.feeds.end_limit(&to);
        }
    }

    /// Sets the next check for answers of a member that had none.
    pub(super) fn start_checks(&mut self, id: MemberId, now: Instant) {
        let Some(delivery) = self.recipient(id).map(|to| to.delivery) else { return };
        let check_at = now + self.first_check_of_answers(delivery);
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let next = member.deadline.at().map_or(check_at, |at| at.min(check_at));
        self.timers.set(Alarm::Idle(id), &mut member.deadline, Some(next));
        member.check_at = Some(check_at);
    }
}
