//! Members that may be gone: they are sent less until they are heard.
//!
//! The kernel keeps datagrams to a host that answers no ARP, for seconds, and counts them against the
//! send buffer that all members share. Whether a member answers is checked by its own alarm.

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
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let check_at = now + SILENT_AFTER;
        let next = member.deadline.at().map_or(check_at, |at| at.min(check_at));
        self.timers.set(Alarm::Idle(id), &mut member.deadline, Some(next));
        member.check_at = Some(check_at);
        self.feeds.end_limit(&member.recipient(id));
    }
}
