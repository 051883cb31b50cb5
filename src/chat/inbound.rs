//! Datagrams from members: finds the sender, and handles the message.
//!
//! A message passes the same checks in each delivery, in this order: exit, budget, parse, relay.
//! In stream delivery, a message must also have the expected id, so one that is repeated or that
//! overtakes another never reaches the room twice or out of order. Everything else of a stream
//! member is answered within its reply budget, which a client that waits for replies never uses up.
//!
//! A message comes on the path of its member only: a datagram in the clear with the token of a sealed
//! or carried member is dropped (E9).

use std::rc::Rc;
use std::time::Instant;

use super::outcome::{AppendError, DatagramOutcome, DropReason, MessageOutcome};
use super::room::Room;
use super::{Chat, Path};
use crate::address::{Endpoint, PeerAddr};
use crate::alert::Alert;
use crate::delivery::{Full, Kind};
use crate::fanout::Audience;
use crate::ids::MemberId;
use crate::protocol::command::{self, Input};
use crate::protocol::datagram::{self, MAX_NAME_AND_MESSAGE, MAX_UPSTREAM};
use crate::protocol::stream::downstream::MESSAGE_OVERHEAD;
use crate::protocol::stream::parts;
use crate::protocol::stream::upstream::{self, Ranges, Upstream};
use crate::protocol::{Delivery, Notice};

/// The id of every message in plain delivery. Ids in stream delivery begin at 1.
pub(super) const PLAIN: u32 = 0;

/// The sender of a datagram, and its message.
struct Sender<'a> {
    member: MemberId,
    message: &'a [u8],
    /// False if only its tombstone is left.
    is_live: bool,
}

impl Chat {
    /// Handles a datagram that came from an endpoint.
    pub fn handle_datagram(
        &mut self,
        from: Endpoint,
        bytes: &[u8],
        now: Instant,
    ) -> DatagramOutcome {
        let Sender { member, message, is_live } = match self.identify(from, bytes) {
            Ok(sender) => sender,
            Err(reason) => return DatagramOutcome::Dropped(reason),
        };
        let outcome = if is_live {
            self.learn_address(member, from, now);
            self.handle_message(member, message, now)
        } else {
            self.end_if_closing(member);
            self.learn_address_of_ended(member, from, now);
            self.handle_late_message(member, message, now)
        };
        DatagramOutcome::Accepted(member, outcome)
    }

    /// Handles the content of a datagram that a sealed member has sealed, which another layer has
    /// verified. `at` is the address that it came from, if the member's datagrams go there from now
    /// on. It may be at any IP (E11).
    pub fn handle_sealed(
        &mut self,
        member: MemberId,
        at: Option<Endpoint>,
        bytes: &[u8],
        now: Instant,
    ) -> DatagramOutcome {
        let Some((path, is_live)) = self.find_verified(member) else {
            return DatagramOutcome::Dropped(DropReason::UnknownToken);
        };
        if path != Path::Sealed {
            return DatagramOutcome::Dropped(DropReason::OtherPath);
        }
        let outcome = if is_live {
            self.note_heard(member, at, now);
            self.handle_message(member, bytes, now)
        } else {
            self.end_if_closing(member);
            if let Some(at) = at {
                self.learn_address_of_ended(member, at, now);
            }
            self.handle_late_message(member, bytes, now)
        };
        DatagramOutcome::Accepted(member, outcome)
    }

    /// Handles a unit that came on the connection of a carried member. After the end of the member it
    /// has no effect: the connection ends once everything for the member was handed over.
    pub fn handle_carried(
        &mut self,
        member: MemberId,
        bytes: &[u8],
        now: Instant,
    ) -> DatagramOutcome {
        let outcome = match self.directory.live(member) {
            None => MessageOutcome::Ended,
            Some(known) if known.is_attached() => self.handle_message(member, bytes, now),
            Some(_) => return DatagramOutcome::Dropped(DropReason::OtherPath),
        };
        DatagramOutcome::Accepted(member, outcome)
    }

    /// Finds the sender of a datagram. A wrong token costs two look-ups: among live members and
    /// among tombstones.
    fn identify<'a>(&self, from: Endpoint, bytes: &'a [u8]) -> Result<Sender<'a>, DropReason> {
        if bytes.len() > MAX_UPSTREAM {
            return Err(DropReason::TooLong);
        }
        let upstream = datagram::parse(bytes).ok_or(DropReason::Malformed)?;
        let (id, is_live) = self.find_speaker(upstream.token).ok_or(DropReason::UnknownToken)?;
        let member = self.directory.members.get(id).ok_or(DropReason::UnknownToken)?;
        if member.path != Path::Clear {
            return Err(DropReason::OtherPath);
        }
        let is_here = self.directory.rooms.get(member.room).is_none_or(|room| {
            room.name.as_bytes() == upstream.room || member.spells_room(upstream.room)
        });
        if !is_here {
            return Err(DropReason::WrongRoom);
        }
        if member.peer != PeerAddr::of(from) {
            return Err(DropReason::WrongAddress);
        }
        Ok(Sender { member: id, message: upstream.message, is_live })
    }

    fn handle_message(&mut self, id: MemberId, bytes: &[u8], now: Instant) -> MessageOutcome {
        let Some(member) = self.directory.members.get_mut(id) else {
            return MessageOutcome::KeptAlive;
        };
        self.peers.quotas.note_input(id, member, now);
        if member.delivery == Delivery::Stream {
            return self.handle_upstream(id, bytes, now);
        }
        if member.check_at.is_none() {
            self.end_limit(id, now);
        }
        if bytes.is_empty() {
            return MessageOutcome::KeptAlive;
        }
        self.handle_line(id, PLAIN, bytes, now)
    }

    /// Handles what a stream member sends: messages, confirmations and repair requests.
    fn handle_upstream(&mut self, id: MemberId, bytes: &[u8], now: Instant) -> MessageOutcome {
        match upstream::parse(bytes) {
            None => MessageOutcome::Invalid,
            Some(Upstream::KeepAlive) => MessageOutcome::KeptAlive,
            Some(Upstream::Message { id: message, .. } | Upstream::Part { id: message, .. })
                if self.expected(id) != Some(message) =>
            {
                if !self.take_reply(id, now) {
                    return MessageOutcome::Unanswered;
                }
                self.reply_state(id, message);
                MessageOutcome::OutOfOrder
            }
            Some(Upstream::Message { id: message, text }) => {
                self.handle_last_part(id, message, text, now)
            }
            Some(Upstream::Part { id: message, text }) => self.keep_part(id, message, text, now),
            Some(Upstream::Have { next }) => {
                self.confirm(id, next, now);
                if !self.take_reply(id, now) {
                    return MessageOutcome::Unanswered;
                }
                self.reply_state(id, 0);
                MessageOutcome::Confirmed
            }
            Some(Upstream::Repair(ranges)) => {
                if !self.take_reply(id, now) {
                    return MessageOutcome::Unanswered;
                }
                self.repair(id, ranges, now);
                MessageOutcome::Repaired
            }
        }
    }

    /// Handles the expected message of a stream member. If parts have come before it, it is the last
    /// part.
    fn handle_last_part(
        &mut self,
        id: MemberId,
        message: u32,
        text: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        match self.join_parts(id, text, now) {
            Ok(None) => self.handle_line(id, message, text, now),
            Ok(Some(whole)) => self.handle_line(id, message, &whole, now),
            Err(_) if !self.is_allowed(id, text.len(), now) => {
                self.put_off(id, message, MessageOutcome::RateLimited, now)
            }
            Err(notice) => self.refuse(id, message, notice),
        }
    }

    /// Handles a whole line, in each delivery. `message` is its id, or [`PLAIN`].
    fn handle_line(
        &mut self,
        id: MemberId,
        message: u32,
        line: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        if str::from_utf8(line).is_ok_and(command::is_exit) {
            // It costs no budget, so that a member can leave at any time. It is checked before the
            // text, because some clients send a carriage return with it.
            self.note_taken(id, message);
            self.leave(id, message, now);
            return MessageOutcome::Command;
        }
        if !self.is_allowed(id, line.len(), now) {
            return self.put_off(id, message, MessageOutcome::RateLimited, now);
        }
        match parse_line(line) {
            Err(notice) => self.refuse(id, message, notice),
            Ok(Input::Command(command)) => {
                self.note_taken(id, message);
                self.execute(id, command, now);
                MessageOutcome::Command
            }
            Ok(Input::Message(text)) => self.relay(id, message, text, now),
        }
    }

    /// Takes the cost of a line from the member's budget. Returns false if there is not enough. A
    /// command costs as much as a message to everyone: some commands notify everyone, and a flood
    /// of the others must stop as early.
    fn is_allowed(&mut self, id: MemberId, size: usize, now: Instant) -> bool {
        let Some(member) = self.directory.members.get_mut(id) else { return false };
        let audience = self.directory.rooms.get(member.room).map_or(0, Room::population);
        // Each part repeats the name.
        let parts = parts::count(member.name.len(), size);
        let cost = (size + parts * member.name.len(), parts, audience);
        let taken = member.message_budget.take(cost, &self.config, now);
        if let Err(limit) = taken {
            self.note_alert_of(id, limit);
        }
        taken.is_ok()
    }

    fn relay(&mut self, id: MemberId, message: u32, text: &str, now: Instant) -> MessageOutcome {
        if text.is_empty() {
            // Only a stream member gets here: its message without text has an id to confirm.
            self.note_taken(id, message);
            self.confirm_taken(id);
            return MessageOutcome::KeptAlive;
        }
        match self.append_message(id, message, text) {
            Ok(()) => {
                self.note_taken(id, message);
                MessageOutcome::Relayed
            }
            Err(AppendError::TooLong(notice)) => self.refuse(id, message, notice),
            Err(AppendError::RoomBusy) => self.put_off(id, message, MessageOutcome::RoomBusy, now),
        }
    }

    fn append_message(
        &mut self,
        id: MemberId,
        message: u32,
        text: &str,
    ) -> Result<(), AppendError> {
        let Some(member) = self.directory.members.get(id) else {
            return Err(AppendError::RoomBusy);
        };
        let (room_id, number, name) = (member.room, member.number, Rc::clone(&member.name));
        let fits = MAX_NAME_AND_MESSAGE - name.len();
        if text.len() > fits {
            return Err(AppendError::TooLong(Notice::TooLong { fits }));
        }
        let encode = |delivery: Delivery, out: &mut Vec<u8>| match delivery {
            Delivery::Plain(form) => datagram::encode_message(form, &name, text, out),
            Delivery::Stream => parts::encode_message((number, message), &name, text, out),
        };
        let kind = Kind::Message { size: MESSAGE_OVERHEAD + name.len() + text.len() };
        let appended = self.feeds.append(room_id, kind, Audience::AllBut(id), encode);
        appended.map_err(|limit| {
            self.note_alert_of(id, alert_of(limit));
            AppendError::RoomBusy
        })
    }

    /// Refuses a message for good.
    fn refuse(&mut self, id: MemberId, message: u32, notice: Notice<'_>) -> MessageOutcome {
        self.note_taken(id, message);
        self.answer(id, notice);
        MessageOutcome::Refused
    }

    /// Notes that a member has everything below `next`.
    pub(super) fn confirm(&mut self, id: MemberId, next: u64, now: Instant) {
        let Some(to) = self.recipient(id) else { return };
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.confirm(&to, next, now, |member, bytes| limits.pay(member, bytes));
    }

    /// Prepares the repair that a member has requested.
    pub(super) fn repair(&mut self, id: MemberId, ranges: Ranges<'_>, now: Instant) {
        if let Some(to) = self.recipient(id) {
            self.feeds.repair(&to, ranges.iter(), now);
        }
    }

    /// Returns the id that a member's next message must have. The last id of all is never used, so
    /// that the next one always exists.
    pub(super) fn expected(&self, id: MemberId) -> Option<u32> {
        let expected = self.directory.members.get(id)?.expected;
        (expected < u32::MAX).then_some(expected)
    }

    /// Notes that a message was taken, with all of its parts.
    fn note_taken(&mut self, id: MemberId, message: u32) {
        if message != PLAIN {
            self.forget_parts(id);
            self.use_up_id(id);
        }
    }

    /// Notes that the id of a message or a part is used up.
    pub(super) fn use_up_id(&mut self, id: MemberId) {
        if let Some(member) = self.directory.members.get_mut(id) {
            // It was below the last of all: see `expected`.
            member.expected += 1;
        }
    }
}

/// Returns the alert for a limit that has kept a message from its room.
fn alert_of(limit: Full) -> Alert {
    match limit {
        Full::Room => Alert::RoomBacklog,
        Full::AllRooms => Alert::BacklogMemory,
    }
}

/// Tells messages from commands, and refuses anything else. The line end behind a command does not
/// count: some clients send one with a carriage return, which no message may contain.
fn parse_line(line: &[u8]) -> Result<Input<'_>, Notice<'_>> {
    let is_command = line.starts_with(b"/") && !line.starts_with(b"//");
    let line = if is_command { line.trim_ascii_end() } else { line };
    command::parse(datagram::message_text(line).map_err(Notice::Unfit)?)
}
