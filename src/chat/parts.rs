//! Reassembly of messages that come in parts (S16).
//!
//! A member has at most one unfinished message, in a buffer of fixed size, and a room has a limited
//! number of them. A member that has begun a message may finish it, so no two members wait for each
//! other. If a room has no free buffer, its oldest message is dropped, but not before it has had
//! time to become complete.

use std::time::{Duration, Instant};

use super::outcome::MessageOutcome;
use super::read_clock::RECONSIDER;
use super::room::Room;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::Notice;
use crate::protocol::datagram::MAX_NAME_AND_MESSAGE;
use crate::protocol::stream::MAX_TEXT;
use crate::timers::Deadline;

/// Lifetime of parts after the last one that came. A client sends a part again within 2 s if it was
/// not taken.
const KEPT: Duration = Duration::from_secs(10);

/// Lifetime of parts after the first one. It is long, because the last part may have to wait for the
/// message budget.
const KEPT_IN_ALL: Duration = Duration::from_secs(60);

/// Time that a message has to become complete before another may take its buffer. A live client needs
/// less, even if it has to send a part again.
const UNDISTURBED: Duration = Duration::from_secs(4);

/// Limit for the unfinished messages of a room: 256 KiB in all.
const MAX_BUFFERS: usize = 64;

/// Limit for the unfinished messages of a room while memory is scarce.
const FEW_BUFFERS: usize = 1;

/// The received parts of a member's message, if there are any.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    parts: Option<Box<Parts>>,
    /// Expiry of the parts.
    expiry: Deadline,
    /// Time from which the message may give way to another of the room.
    yields: Deadline,
}

/// The received parts of a message.
#[derive(Debug)]
enum Parts {
    /// The text so far.
    Kept(Begun),
    /// The message is not relayed, even if its other parts come.
    Lost(Why),
}

/// An incomplete message.
#[derive(Debug)]
struct Begun {
    text: Vec<u8>,
    since: Instant,
    /// Expiry of the message.
    due: Instant,
    /// Time of the next check: later than `due` while a part may still be unread.
    check_at: Instant,
}

/// A reason not to relay a message.
#[derive(Clone, Copy, Debug)]
enum Why {
    TooLong,
    TooLate,
}

impl Begun {
    fn new(now: Instant) -> Self {
        let due = now + KEPT;
        Self { text: Vec::with_capacity(MAX_TEXT), since: now, due, check_at: due }
    }

    /// Notes that the next part has come.
    fn renew(&mut self, now: Instant) {
        self.due = (now + KEPT).min(self.since + KEPT_IN_ALL);
        self.check_at = self.due;
    }
}

impl Parts {
    fn new(now: Instant) -> Self {
        Self::Kept(Begun::new(now))
    }

    /// Appends a part. A message that gets too long is dropped.
    fn append(&mut self, part: &[u8], now: Instant) {
        let Self::Kept(begun) = self else { return };
        if begun.text.len() + part.len() > MAX_TEXT {
            *self = Self::Lost(Why::TooLong);
        } else if !part.is_empty() {
            // Parts without text may come for ever, so they do not extend the lifetime.
            begun.text.extend_from_slice(part);
            begun.renew(now);
        }
    }

    /// Notes that the next part has come, and can't be taken for now.
    fn renew(&mut self, now: Instant) {
        if let Self::Kept(begun) = self {
            begun.renew(now);
        }
    }

    /// Handles a check. Parts that came after `silence` may still be unread.
    fn expire(&mut self, silence: Instant, now: Instant) {
        match self {
            Self::Kept(begun) if begun.due > silence => begun.check_at = now + RECONSIDER,
            _ => *self = Self::Lost(Why::TooLate),
        }
    }

    /// Returns when another message may take its buffer, and the time of its next check, if it has a
    /// buffer.
    fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        match self {
            Self::Kept(begun) => (Some(begun.since + UNDISTURBED), Some(begun.check_at)),
            Self::Lost(_) => (None, None),
        }
    }
}

impl Room {
    /// Returns the bytes of memory of unfinished messages.
    pub(super) fn parts_bytes(&self) -> usize {
        self.parts.len() * MAX_TEXT
    }
}

impl Chat {
    /// Handles the expected part of a member's message.
    pub(super) fn keep_part(
        &mut self,
        id: MemberId,
        message: u32,
        part: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        let is_full = !self.has_begun(id) && !self.has_buffer_for(id);
        if is_full && !self.may_drop_oldest(id, now) {
            let limit = if self.feeds.is_memory_scarce() {
                Alert::BacklogMemory
            } else {
                Alert::RoomBacklog
            };
            self.note_alert_of(id, limit);
            return self.put_off(id, message, MessageOutcome::RoomBusy, now);
        }
        if !self.take_reply(id, now) {
            return MessageOutcome::Unanswered;
        }
        if is_full {
            self.drop_oldest(id, now);
        }
        self.change_parts(id, |parts| {
            parts.get_or_insert_with(|| Box::new(Parts::new(now))).append(part, now);
        });
        self.use_up_id(id);
        self.reply_state(id, message);
        MessageOutcome::Kept
    }

    /// Returns the whole message if `last` is its last part of several, and `None` if it is the only
    /// one.
    ///
    /// # Errors
    /// The reason not to relay the message.
    pub(super) fn join_parts(
        &mut self,
        id: MemberId,
        last: &[u8],
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Notice<'static>> {
        if self.has_begun(id) {
            self.change_parts(id, |parts| parts.iter_mut().for_each(|parts| parts.renew(now)));
        }
        let Some(member) = self.directory.members.get(id) else { return Ok(None) };
        match member.unfinished.parts.as_deref() {
            None => Ok(None),
            Some(Parts::Kept(begun)) => Ok(Some([&begun.text, last].concat())),
            Some(Parts::Lost(Why::TooLate)) => Err(Notice::PartsTooLate),
            Some(Parts::Lost(Why::TooLong)) => {
                Err(Notice::TooLong { fits: MAX_NAME_AND_MESSAGE - member.name.len() })
            }
        }
    }

    /// Drops a message whose next part did not come in time, unless that part may be unread.
    pub(super) fn expire_parts(&mut self, id: MemberId, now: Instant) {
        let silence = self.read_clock.silence_at(now);
        self.change_parts(id, |parts| {
            parts.iter_mut().for_each(|parts| parts.expire(silence, now));
        });
    }

    /// Drops the parts of a member: its message is complete, or the member has ended.
    pub(super) fn forget_parts(&mut self, id: MemberId) {
        if self.has_begun(id) {
            self.change_parts(id, |parts| *parts = None);
        }
    }

    fn has_begun(&self, id: MemberId) -> bool {
        self.directory.members.get(id).is_some_and(|member| member.unfinished.parts.is_some())
    }

    fn has_buffer_for(&self, id: MemberId) -> bool {
        let room = self.directory.room_of(id);
        let most = if self.feeds.is_memory_scarce() { FEW_BUFFERS } else { MAX_BUFFERS };
        room.is_some_and(|room| room.parts.len() < most)
    }

    /// Returns true if the oldest message in the room of this member may be dropped.
    fn may_drop_oldest(&self, id: MemberId, now: Instant) -> bool {
        let silence = self.read_clock.silence_at(now);
        let room = self.directory.room_of(id);
        room.and_then(|room| room.parts.next()).is_some_and(|oldest| oldest <= silence)
    }

    /// Drops the oldest message in the room of this member, if it has had its time. Otherwise a few
    /// members could keep all others from long messages.
    fn drop_oldest(&mut self, id: MemberId, now: Instant) {
        let silence = self.read_clock.silence_at(now);
        let room = self.directory.room_of_mut(id);
        if let Some((_, oldest)) = room.and_then(|room| room.parts.pop_due(silence)) {
            self.change_parts(oldest, |parts| *parts = Some(Box::new(Parts::Lost(Why::TooLate))));
        }
    }

    /// Changes the parts of a member, with their deadlines and their share of the room's memory.
    fn change_parts(&mut self, id: MemberId, change: impl FnOnce(&mut Option<Box<Parts>>)) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let Unfinished { parts, expiry, yields } = &mut member.unfinished;
        change(parts);
        let (yields_at, check_at) = parts.as_deref().map_or((None, None), Parts::deadlines);
        self.timers.set(Alarm::Parts(id), expiry, check_at);
        if let Some(room) = self.directory.rooms.get_mut(member.room) {
            room.parts.set(id, yields, yields_at);
            self.feeds.reserve(member.room, room.parts_bytes());
        }
    }
}
