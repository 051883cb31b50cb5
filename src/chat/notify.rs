//! Lines from the server: notices to a room, and replies to one member.
//!
//! A notice or a reply is dropped if it finds its memory full. The few that must not be dropped are
//! at most one for each member or room, so memory stays bounded.

use std::time::Instant;

use super::Chat;
use super::inbound::PLAIN;
use super::outcome::MessageOutcome;
use crate::alert::Alert;
use crate::delivery::{Kind, Recipient};
use crate::fanout::Audience;
use crate::ids::{MemberId, RoomId};
use crate::protocol::stream::{Code, Entry};
use crate::protocol::{Delivery, Notice, datagram};

impl Chat {
    /// Appends a notice for `audience`. It is about the member with the number `about`; 0 stands for
    /// several members.
    pub(super) fn append_notice(
        &mut self,
        room: RoomId,
        notice: Notice<'_>,
        about: u32,
        audience: Audience,
    ) {
        self.write_notice(notice);
        let text = &self.notice;
        // A notice that finds the memory full is dropped.
        let _ = self.feeds.append(room, Kind::Notice, audience, |delivery, out| match delivery {
            Delivery::Plain(form) => datagram::encode_notice(form, text, out),
            Delivery::Stream => encode_stream_notice(notice, about, text, out),
        });
    }

    /// Appends the last notice of a room. It is never dropped.
    pub(super) fn append_last_notice(&mut self, room: RoomId, notice: Notice<'_>) {
        let language = self.config.language;
        self.write_notice(notice);
        let (in_stream, mut plain) = (&self.notice, String::new());
        notice.without_stream(language).write(language, &mut plain);
        let (kind, audience) = (Kind::LastNotice, Audience::All);
        // Only a room without a feed refuses it.
        let _ = self.feeds.append(room, kind, audience, |delivery, out| match delivery {
            Delivery::Plain(form) => datagram::encode_notice(form, &plain, out),
            Delivery::Stream => encode_stream_notice(notice, 0, in_stream, out),
        });
    }

    /// Writes the text of a notice to `self.notice`.
    fn write_notice(&mut self, notice: Notice<'_>) {
        self.notice.clear();
        notice.write(self.config.language, &mut self.notice);
    }

    /// Sends a reply to one member.
    pub(super) fn answer(&mut self, id: MemberId, notice: Notice<'_>) {
        if self.has_space_to_answer(id) {
            self.notify_always(id, notice);
        }
    }

    /// Answers a command with the text in `self.notice`.
    pub(super) fn answer_written(&mut self, id: MemberId) {
        self.reply(id, Code::Answer, self.last_taken(id));
    }

    /// Sends one member a notice that must not be dropped.
    pub(super) fn notify_always(&mut self, id: MemberId, notice: Notice<'_>) {
        self.write_notice(notice);
        self.append_aside(id, notice.code(), self.last_taken(id));
    }

    /// Returns true if a reply to the member has space.
    pub(super) fn has_space_to_answer(&self, id: MemberId) -> bool {
        self.directory
            .members
            .get(id)
            .is_some_and(|member| self.feeds.has_space_for_unicast(member.room))
    }

    /// Appends the text in `self.notice` for one member. In stream delivery it is an aside that
    /// answers the message with the id `answered`, 0 for none.
    fn append_aside(&mut self, id: MemberId, code: Code, answered: u32) {
        let Some(member) = self.directory.members.get(id) else { return };
        let (expected, text) = (member.expected, &self.notice);
        self.feeds.unicast(&member.recipient(id), |out| match member.delivery {
            Delivery::Plain(form) => datagram::encode_notice(form, text, out),
            Delivery::Stream => {
                let (code, text) = (code as u8, text.as_bytes());
                Entry::Aside { code, expected, id: answered, text }.encode(out);
            }
        });
    }

    /// Tells a member that its message was not taken for now. A stream member gets that for each
    /// message, with words for people only now and then, because its program sends the message
    /// again. Others get the words now and then.
    pub(super) fn put_off(
        &mut self,
        id: MemberId,
        message: u32,
        outcome: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        let is_busy = outcome == MessageOutcome::RoomBusy;
        if message == PLAIN {
            self.warn(id, if is_busy { Notice::RoomBusy } else { Notice::RateLimited }, now);
            return outcome;
        }
        if !self.take_reply(id, now) {
            return MessageOutcome::Unanswered;
        }
        let notice = if is_busy { Notice::NotYet } else { Notice::TooFast };
        self.notice.clear();
        if self.take_warning(id, now) {
            notice.write(self.config.language, &mut self.notice);
        }
        self.reply(id, notice.code(), message);
        outcome
    }

    /// Tells a member that it sends too much, but not for every message.
    fn warn(&mut self, id: MemberId, notice: Notice<'_>, now: Instant) {
        if self.take_warning(id, now) {
            self.answer(id, notice);
        }
    }

    fn take_warning(&mut self, id: MemberId, now: Instant) -> bool {
        self.directory.members.get_mut(id).is_some_and(|member| member.take_warning(now))
    }

    /// Confirms a stream member's last message, where nothing else confirms it. In other deliveries
    /// the effect of a command is seen.
    pub(super) fn confirm_taken(&mut self, id: MemberId) {
        if self.directory.members.get(id).is_some_and(|member| member.delivery == Delivery::Stream)
        {
            let taken = self.expected(id).map_or(0, |expected| expected.saturating_sub(1));
            self.reply_state(id, taken);
        }
    }

    /// Takes a reply from the member's budget, for a request that nothing else limits. Returns false
    /// if none is left.
    pub(super) fn take_reply(&mut self, id: MemberId, now: Instant) -> bool {
        let member = self.directory.members.get_mut(id);
        let is_taken = member.is_some_and(|member| member.replies.take(now));
        if !is_taken {
            self.note_alert_of(id, Alert::Answers);
        }
        is_taken
    }

    /// Tells a stream member its state, as an answer to the message with the id `message`, 0 for
    /// none.
    pub(super) fn reply_state(&mut self, id: MemberId, message: u32) {
        self.notice.clear();
        self.reply(id, Code::State, message);
    }

    /// Answers a message with the text in `self.notice`.
    fn reply(&mut self, id: MemberId, code: Code, message: u32) {
        if self.has_space_to_answer(id) {
            self.append_aside(id, code, message);
        }
    }

    /// Returns the id of the message of a stream member that was accepted last.
    fn last_taken(&self, id: MemberId) -> u32 {
        self.directory.members.get(id).map_or(0, |member| member.expected.saturating_sub(1))
    }

    /// Returns the member as an addressee of its room's feed.
    pub(super) fn recipient(&self, id: MemberId) -> Option<Recipient> {
        self.directory.members.get(id).map(|member| member.recipient(id))
    }
}

/// Writes a notice with this text as an entry of a stream.
fn encode_stream_notice(notice: Notice<'_>, member: u32, text: &str, out: &mut Vec<u8>) {
    let (code, name) = (notice.code() as u8, notice.subject().as_bytes());
    Entry::Notice { code, member, name, text: text.as_bytes() }.encode(out);
}
