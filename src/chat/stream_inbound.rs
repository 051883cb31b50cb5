//! Datagrams of stream members: messages in order, confirmations, repair requests.
//!
//! Only the message with the expected id is taken, so one that is repeated, or that overtakes
//! another, never reaches the room twice or out of order. Whatever is not relayed is answered, as
//! long as there is not more of it than a client that waits for answers would send.

use std::time::Instant;

use super::Chat;
use super::inbound::{AppendError, MessageOutcome, understand};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::command::{self, Input};
use crate::protocol::stream::Code;
use crate::protocol::stream::upstream::{self, Ranges, Upstream};
use crate::protocol::{Delivery, Notice};

impl Chat {
    /// Takes what an identified stream member sent.
    pub(super) fn handle_stream_message(
        &mut self,
        id: MemberId,
        message: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        match upstream::parse(message) {
            None => MessageOutcome::Senseless,
            Some(Upstream::KeepAlive) => MessageOutcome::KeptAlive,
            Some(Upstream::Message { id: message, .. } | Upstream::Part { id: message, .. })
                if self.expected(id) != Some(message) =>
            {
                self.answer_unexpected(id, message, now)
            }
            Some(Upstream::Message { id: message, text }) => self.take(id, message, text, now),
            Some(Upstream::Part { id: message, text }) => self.keep_part(id, message, text, now),
            Some(Upstream::Have { next }) => {
                self.confirm(id, next, now);
                if !self.takes_reply(id, now) {
                    return MessageOutcome::Unanswered;
                }
                self.reply_state(id, 0);
                MessageOutcome::Confirmed
            }
            Some(Upstream::Repair(ranges)) => {
                if !self.takes_reply(id, now) {
                    return MessageOutcome::Unanswered;
                }
                self.repair(id, ranges, now);
                MessageOutcome::Repaired
            }
        }
    }

    /// Notes that a member has everything below `next`.
    pub(super) fn confirm(&mut self, id: MemberId, next: u64, now: Instant) {
        let Some(to) = self.recipient(id) else { return };
        let (feeds, mut limits) = self.feeds_with_limits(now);
        feeds.confirm(&to, next, now, |member, bytes| limits.pay(member, bytes));
    }

    /// Prepares the answer to a member's repair request.
    pub(super) fn repair(&mut self, id: MemberId, ranges: Ranges<'_>, now: Instant) {
        if let Some(to) = self.recipient(id) {
            self.feeds.repair(&to, ranges.iter(), now);
        }
    }

    fn answer_unexpected(&mut self, id: MemberId, message: u32, now: Instant) -> MessageOutcome {
        if !self.takes_reply(id, now) {
            return MessageOutcome::Unanswered;
        }
        self.reply_state(id, message);
        MessageOutcome::OutOfOrder
    }

    /// Takes the expected message, or the last part of it.
    fn take(&mut self, id: MemberId, message: u32, text: &[u8], now: Instant) -> MessageOutcome {
        match self.join_parts(id, text, now) {
            Ok(None) => self.take_whole(id, message, text, now),
            Ok(Some(whole)) => self.take_whole(id, message, &whole, now),
            Err(_) if !self.is_allowed(id, text.len(), now) => {
                self.put_off(id, message, Notice::TooFast, MessageOutcome::RateLimited, now)
            }
            Err(why) => {
                self.note_taken(id);
                self.refuse(id, why)
            }
        }
    }

    fn take_whole(
        &mut self,
        id: MemberId,
        message: u32,
        text: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        if str::from_utf8(text).is_ok_and(command::is_exit) {
            // Never rationed: who wants to go goes.
            self.note_taken(id);
            self.leave(id, message, now);
            return MessageOutcome::Command;
        }
        if !self.is_allowed(id, text.len(), now) {
            return self.put_off(id, message, Notice::TooFast, MessageOutcome::RateLimited, now);
        }
        match understand(text) {
            Err(why) => {
                self.note_taken(id);
                self.refuse(id, why)
            }
            Ok(Input::Command(command)) => {
                self.note_taken(id);
                self.execute(id, command, now);
                MessageOutcome::Command
            }
            Ok(Input::Message(text)) => self.relay_in_stream(id, message, text, now),
        }
    }

    fn relay_in_stream(
        &mut self,
        id: MemberId,
        message: u32,
        text: &str,
        now: Instant,
    ) -> MessageOutcome {
        if text.is_empty() {
            self.note_taken(id);
            self.confirm_taken(id);
            return MessageOutcome::KeptAlive;
        }
        match self.append_message(id, message, text) {
            Ok(()) => {
                self.note_taken(id);
                MessageOutcome::Relayed
            }
            Err(AppendError::TooLong(why)) => {
                self.note_taken(id);
                self.refuse(id, why)
            }
            Err(AppendError::RoomBusy) => {
                self.put_off(id, message, Notice::NotYet, MessageOutcome::RoomBusy, now)
            }
        }
    }

    /// Tells a member that its message was not taken and may come again. A person is told now and
    /// then only: nothing is lost.
    pub(super) fn put_off(
        &mut self,
        id: MemberId,
        message: u32,
        notice: Notice<'_>,
        fate: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        if !self.takes_reply(id, now) {
            return MessageOutcome::Unanswered;
        }
        self.notice.clear();
        if self.members.get_mut(id).is_some_and(|member| member.take_warning(now)) {
            notice.write(self.config.language, &mut self.notice);
        }
        self.answer_stream(id, notice.code(), message);
        fate
    }

    /// Tells a stream member that its last message was taken, where nothing else does. Others see
    /// what became of it.
    pub(super) fn confirm_taken(&mut self, id: MemberId) {
        if self.members.get(id).is_none_or(|member| member.delivery != Delivery::Stream) {
            return;
        }
        let taken = self.expected(id).map_or(0, |expected| expected.saturating_sub(1));
        self.reply_state(id, taken);
    }

    /// Whether a member is answered what it may send without end.
    pub(super) fn takes_reply(&mut self, id: MemberId, now: Instant) -> bool {
        let member = self.members.get_mut(id);
        let is_taken = member.is_some_and(|member| member.replies.take(now));
        if !is_taken {
            self.note_alert_of(id, Alert::Answers);
        }
        is_taken
    }

    /// Tells a stream member how things stand; `message` is what that answers, 0 for none.
    pub(super) fn reply_state(&mut self, id: MemberId, message: u32) {
        self.notice.clear();
        self.answer_stream(id, Code::State, message);
    }

    /// Appends the text that was written to `self.notice` as the answer to a message.
    fn answer_stream(&mut self, id: MemberId, code: Code, message: u32) {
        if self.has_space_to_answer(id) {
            self.append_aside(id, code, message);
        }
    }

    /// The id that a member's next message must have. None has the last of all: ids end there.
    fn expected(&self, id: MemberId) -> Option<u32> {
        let expected = self.members.get(id)?.expected;
        (expected < u32::MAX).then_some(expected)
    }

    /// Notes that a message was taken, with all of its parts.
    fn note_taken(&mut self, id: MemberId) {
        self.forget_parts(id);
        self.count_taken(id);
    }

    /// Notes that the id of a message or a part is used up.
    pub(super) fn count_taken(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(id) {
            // Below the last of all: see `expected`.
            member.expected += 1;
        }
    }
}
