//! Messages that come in parts (S16): what has come of each, until its last part is here.
//!
//! A member has at most one such message, in a buffer of fixed size, and a room only a number of
//! them. A member that has begun one may always go on with it, so that no two wait for one another.

use std::time::{Duration, Instant};

use super::hearing::Fate;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::Notice;
use crate::protocol::datagram::MAX_NAME_AND_MESSAGE;
use crate::protocol::stream::MAX_TEXT;

/// Lifetime of parts after the last time that the next one came. A client sends a part again within
/// 2 s if it was not taken.
const KEPT: Duration = Duration::from_secs(10);

/// Members of a room that may be within a message: 256 KiB in all.
const MAX_BUFFERS: usize = 64;

/// Members that may be within a message while memory is scarce.
const FEW_BUFFERS: usize = 1;

/// The received parts of a message.
#[derive(Debug)]
pub(super) enum Parts {
    /// Its text up to now. At `due` it is given up.
    Kept { text: Vec<u8>, due: Instant },
    /// It is not relayed, even if its other parts come.
    Lost(Why),
}

/// A reason not to relay a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    TooLong,
    TooLate,
}

impl Parts {
    fn new(now: Instant) -> Self {
        Self::Kept { text: Vec::with_capacity(MAX_TEXT), due: now + KEPT }
    }

    /// Appends a part. Of a message that gets too long nothing is kept.
    fn append(&mut self, part: &[u8], now: Instant) {
        let Self::Kept { text, due } = self else { return };
        if text.len() + part.len() > MAX_TEXT {
            *self = Self::Lost(Why::TooLong);
        } else if !part.is_empty() {
            // Parts without text may come for ever, and do not count.
            text.extend_from_slice(part);
            *due = now + KEPT;
        }
    }

    /// The next part has come, and can't be taken for now.
    fn renew(&mut self, now: Instant) {
        if let Self::Kept { due, .. } = self {
            *due = now + KEPT;
        }
    }

    /// Returns the bytes of memory that it takes, and when it is given up.
    fn cost(&self) -> (usize, Option<Instant>) {
        match self {
            Self::Kept { due, .. } => (MAX_TEXT, Some(*due)),
            Self::Lost(_) => (0, None),
        }
    }
}

impl Chat {
    /// Takes the expected part of a member's message, if there is space for it.
    pub(super) fn keep_part(
        &mut self,
        id: MemberId,
        message: u32,
        part: &[u8],
        now: Instant,
    ) -> Fate {
        if !self.has_begun(id) && !self.has_buffer_for(id) {
            let limit =
                if self.is_memory_scarce() { Alert::BacklogMemory } else { Alert::RoomBacklog };
            self.note_alert_of(id, limit);
            return self.put_off(id, message, Notice::NotYet, Fate::RoomBusy, now);
        }
        if !self.takes_answer(id, now) {
            return Fate::Unanswered;
        }
        self.change_parts(id, |parts| {
            parts.get_or_insert_with(|| Box::new(Parts::new(now))).append(part, now);
        });
        self.count_taken(id);
        self.tell_state(id, message);
        Fate::Kept
    }

    /// Returns the whole message, of which this is the last part, if others have come before it.
    ///
    /// # Errors
    /// The reason not to relay it.
    pub(super) fn join_parts(
        &mut self,
        id: MemberId,
        last: &[u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Notice<'static>> {
        if self.has_begun(id) {
            self.change_parts(id, |parts| parts.iter_mut().for_each(|parts| parts.renew(now)));
        }
        let Some(member) = self.members.get(id) else { return Ok(None) };
        match member.parts.as_deref() {
            None => Ok(None),
            Some(Parts::Kept { text, .. }) => Ok(Some([text, last].concat())),
            Some(Parts::Lost(Why::TooLate)) => Err(Notice::PartsTooLate),
            Some(Parts::Lost(Why::TooLong)) => {
                Err(Notice::TooLong { fits: MAX_NAME_AND_MESSAGE - member.name.len() })
            }
        }
    }

    /// The next part of a message did not come in time.
    pub(super) fn expire_parts(&mut self, id: MemberId) {
        self.change_parts(id, |parts| {
            parts.iter_mut().for_each(|parts| **parts = Parts::Lost(Why::TooLate));
        });
    }

    /// The message is complete, or its member has ended.
    pub(super) fn forget_parts(&mut self, id: MemberId) {
        if self.has_begun(id) {
            self.change_parts(id, |parts| *parts = None);
        }
    }

    fn has_begun(&self, id: MemberId) -> bool {
        self.members.get(id).is_some_and(|member| member.parts.is_some())
    }

    fn has_buffer_for(&self, id: MemberId) -> bool {
        let room = self.members.get(id).and_then(|member| self.rooms.get(member.room));
        let most = if self.is_memory_scarce() { FEW_BUFFERS } else { MAX_BUFFERS };
        room.is_some_and(|room| room.parts_bytes < most * MAX_TEXT)
    }

    /// Changes what has come of a member's message. The deadline, and the memory that is counted in
    /// the room, follow.
    fn change_parts(&mut self, id: MemberId, change: impl FnOnce(&mut Option<Box<Parts>>)) {
        let Some(member) = self.members.get_mut(id) else { return };
        let cost = |parts: &Option<Box<Parts>>| parts.as_deref().map_or((0, None), Parts::cost);
        let (bytes, due) = cost(&member.parts);
        change(&mut member.parts);
        let (new_bytes, new_due) = cost(&member.parts);
        self.timers.change(Alarm::Parts(id), due, new_due);
        if let Some(room) = self.rooms.get_mut(member.room) {
            room.parts_bytes = room.parts_bytes - bytes + new_bytes;
        }
        let room = member.room;
        self.recount_backlog(room);
    }
}
