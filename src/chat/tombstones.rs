//! Tombstones: state kept for 60 s after a stream member has ended, so that late datagrams with its
//! token get a reply. A replaced member has one in each delivery, until its farewell can be sent.
//!
//! A farewell may be lost, so it is repeated: a few times unasked if the member did not ask for its
//! end, and for a minute in reply to its datagrams. Its token reaches no room any more. Members of a
//! closed room may still request repairs.
//!
//! Sealed members have tombstones too. Their replies may have three times the bytes of a request (E8),
//! but need no limit of their own: a reply is shorter than the shortest request in the clear, and
//! a seal adds as many bytes to both. Carried members have none: see `carried.rs`.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::outcome::MessageOutcome;
use super::reply_budget::ReplyBudget;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::ids::MemberId;
use crate::protocol::stream::upstream::{self, Upstream};
use crate::protocol::stream::{Code, Entry, Header};
use crate::protocol::{Delivery, Form, Notice, Token, datagram};

/// Lifetime of a tombstone: three keep-alive intervals.
const KEPT: Duration = Duration::from_secs(60);

/// Times of repeated farewells to a member that did not ask for its end, counted from the end.
const REPEATS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// Times of repeated farewells at the end of the server, which answers no requests later.
const LAST_REPEATS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// Limit for the bytes of farewells that wait. A client whose request is dropped asks again.
const MAX_WAITING: usize = 64 * 1024;

/// The reason for a member's end, which decides on its farewells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The member asked for it, with the message of this id.
    Asked(u32),
    /// The server ended it.
    Told(Code),
    /// The server ended it, and stops.
    ToldLast(Code),
    /// A new member has replaced it, perhaps at the same address. The farewell waits until that
    /// address is known.
    Replaced,
}

impl EndReason {
    fn code(self) -> Code {
        match self {
            Self::Asked(_) => Code::Left,
            Self::Told(code) | Self::ToldLast(code) => code,
            Self::Replaced => Code::Removed,
        }
    }

    /// Returns the notice for people, unless they asked for the end.
    fn notice(self) -> Option<Notice<'static>> {
        match self {
            Self::Asked(_) => None,
            Self::Told(code) | Self::ToldLast(code) => last_notice(code),
            Self::Replaced => Some(Notice::RemovedForSilence),
        }
    }

    fn repeats(self) -> &'static [Duration] {
        match self {
            Self::Asked(_) | Self::Replaced => &[],
            Self::Told(_) => &REPEATS,
            Self::ToldLast(_) => &LAST_REPEATS,
        }
    }
}

/// The state that is kept of an ended member.
#[derive(Debug)]
pub(super) struct Tombstone {
    farewell: Farewell,
    notice: Option<Notice<'static>>,
    at: Instant,
    /// True while the address of the member that has replaced it is unknown.
    is_awaiting: bool,
    /// Times of the repeats that are left, counted from the end.
    repeats: &'static [Duration],
    /// Limits the replies to its datagrams.
    replies: ReplyBudget,
}

/// The farewell in the member's delivery.
#[derive(Clone, Copy, Debug)]
enum Farewell {
    Plain(Form),
    Stream {
        header: Header,
        code: Code,
        expected: u32,
        /// The message that it answers, 0 for none.
        id: u32,
    },
}

/// All tombstones.
#[derive(Default)]
pub(super) struct Tombstones {
    /// Tokens of ended stream members.
    tokens: HashMap<Token, MemberId>,
    count: usize,
    /// Members with a tombstone, oldest first. Some may be gone.
    order: VecDeque<MemberId>,
    /// Number of members with repeats left.
    untold: usize,
}

impl Tombstones {
    /// Returns the ended member that had this token.
    pub(super) fn find(&self, token: Token) -> Option<MemberId> {
        self.tokens.get(&token).copied()
    }

    /// Returns the number of tombstones.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns true if a repeat is still to be sent.
    pub(super) fn has_untold(&self) -> bool {
        self.untold > 0
    }
}

impl Chat {
    /// Keeps a tombstone of a member that has lost its room and its token, if it is a stream member
    /// or was replaced. Other members are gone when they have been delivered to. A carried member is
    /// told once instead.
    pub(super) fn keep_tombstone(&mut self, id: MemberId, reason: EndReason, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        member.ended_by = Some(reason.code());
        let Some(farewell) = self.farewell_for(id, reason) else { return };
        let Some(member) = self.directory.members.get_mut(id) else { return };
        if member.path.is_carried() {
            let mut aside = Vec::new();
            self.write_last_notice(reason.notice());
            farewell.encode(&self.notice, &mut aside);
            return self.keep_last_aside(id, aside.into(), now);
        }
        // A member whose address was never known can't get a farewell.
        let is_known = member.port.number().is_some();
        let repeats = if is_known { reason.repeats() } else { &[] };
        let is_awaiting = is_known && reason == EndReason::Replaced;
        let (notice, replies) = (reason.notice(), ReplyBudget::default());
        let end = Tombstone { farewell, notice, at: now, is_awaiting, repeats, replies };
        member.end = Some(Box::new(end));
        if member.delivery == Delivery::Stream {
            self.tombstones.tokens.insert(member.token, id);
        }
        self.tombstones.count += 1;
        self.tombstones.order.push_back(id);
        self.tombstones.untold += usize::from(!repeats.is_empty());
        if reason != EndReason::Replaced {
            self.say_farewell(id, true);
        }
        self.set_tombstone_alarm(id);
    }

    fn farewell_for(&self, id: MemberId, reason: EndReason) -> Option<Farewell> {
        let member = self.directory.members.get(id)?;
        match member.delivery {
            Delivery::Plain(form) => {
                let is_known = member.port.number().is_some();
                let is_told_later = reason == EndReason::Replaced && is_known;
                is_told_later.then_some(Farewell::Plain(form))
            }
            Delivery::Stream => {
                let asked = if let EndReason::Asked(asked) = reason { asked } else { 0 };
                let Header { sequence, .. } = self.feeds.header(&member.recipient(id));
                // A carried member of a closed room may have no cursor any more.
                let (header, code) = (Header { tag: member.tag, sequence }, reason.code());
                Some(Farewell::Stream { header, code, expected: member.expected, id: asked })
            }
        }
    }

    /// Notes that the address of the member that has replaced this one is known, or never will be.
    pub(super) fn release_tombstone(&mut self, id: MemberId, is_told: bool, now: Instant) {
        let end = self.directory.members.get_mut(id).and_then(|member| member.end.as_mut());
        let Some(end) = end.filter(|end| end.is_awaiting) else { return };
        (end.is_awaiting, end.at) = (false, now);
        if is_told {
            if matches!(end.farewell, Farewell::Stream { .. }) {
                end.repeats = &REPEATS;
                self.tombstones.untold += 1;
            }
            self.say_farewell(id, true);
        }
        self.set_tombstone_alarm(id);
    }

    /// Handles a datagram of an ended member. It causes at most one reply, which is never longer.
    pub(super) fn handle_late_message(
        &mut self,
        id: MemberId,
        message: &[u8],
        now: Instant,
    ) -> MessageOutcome {
        if self.is_of_closed_room(id) {
            match upstream::parse(message) {
                Some(Upstream::Have { next }) => {
                    self.confirm(id, next, now);
                }
                Some(Upstream::Repair(ranges)) => self.repair(id, ranges, now),
                _ => {}
            }
        }
        let end = self.directory.members.get_mut(id).and_then(|member| member.end.as_mut());
        if end.is_some_and(|end| !end.replies.take(now)) {
            self.note_alert_of(id, Alert::Answers);
            return MessageOutcome::Unanswered;
        }
        if self.feeds.farewell_bytes() < MAX_WAITING {
            self.say_farewell(id, false);
        }
        MessageOutcome::Ended
    }

    fn is_of_closed_room(&self, id: MemberId) -> bool {
        let room = self.directory.room_of(id);
        room.is_some_and(|room| room.is_closed())
    }

    /// Sends the next repeat of a farewell, or drops the tombstone.
    pub(super) fn expire_tombstone(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let Some(end) = &mut member.end else { return };
        match end.repeats.split_first() {
            Some((_, rest)) => {
                end.repeats = rest;
                self.tombstones.untold -= usize::from(rest.is_empty());
                self.say_farewell(id, true);
                self.set_tombstone_alarm(id);
            }
            None if end.at + KEPT <= now => self.drop_tombstone(id),
            None => self.set_tombstone_alarm(id),
        }
    }

    /// Tombstones are members to the limit of members; when it is reached the oldest go.
    pub(super) fn drop_oldest_tombstone(&mut self) {
        while let Some(id) = self.tombstones.order.pop_front() {
            if self.has_tombstone(id) {
                return self.drop_tombstone(id);
            }
        }
    }

    fn drop_tombstone(&mut self, id: MemberId) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let Some(end) = member.end.take() else { return };
        let (to, token) = (member.recipient(id), member.token);
        self.timers.set(Alarm::Tombstone(id), &mut member.deadline, None);
        self.tombstones.untold -= usize::from(!end.repeats.is_empty());
        self.tombstones.tokens.remove(&token);
        self.tombstones.count -= 1;
        while self.tombstones.order.front().is_some_and(|id| !self.has_tombstone(*id)) {
            self.tombstones.order.pop_front();
        }
        self.feeds.forget(&to);
    }

    fn has_tombstone(&self, id: MemberId) -> bool {
        self.directory.members.get(id).is_some_and(|member| member.end.is_some())
    }

    fn set_tombstone_alarm(&mut self, id: MemberId) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let Some(end) = &member.end else { return };
        let due = end.at + end.repeats.first().copied().unwrap_or(KEPT);
        let due = (!end.is_awaiting).then_some(due);
        self.timers.set(Alarm::Tombstone(id), &mut member.deadline, due);
    }

    /// Appends a farewell. With `with_text` it contains a notice for people.
    fn say_farewell(&mut self, id: MemberId, with_text: bool) {
        let Some(end) = self.directory.members.get(id).and_then(|member| member.end.as_ref())
        else {
            return;
        };
        let (farewell, notice) = (end.farewell, end.notice.filter(|_| with_text));
        self.write_last_notice(notice);
        let text = &self.notice;
        self.feeds.farewell(id, |out| farewell.encode(text, out));
    }

    fn write_last_notice(&mut self, notice: Option<Notice<'_>>) {
        self.notice.clear();
        if let Some(notice) = notice {
            notice.write(self.config.language, &mut self.notice);
        }
    }
}

impl Farewell {
    fn encode(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Plain(form) => datagram::encode_notice(form, text, out),
            Self::Stream { header, code, expected, id } => {
                header.encode(out);
                let (code, text) = (code as u8, text.as_bytes());
                Entry::Aside { code, expected, id, text }.encode(out);
            }
        }
    }
}

/// Returns the notice for people about an end that they did not ask for.
fn last_notice(code: Code) -> Option<Notice<'static>> {
    match code {
        Code::RoomClosed => Some(Notice::RoomClosed),
        Code::ServerStopping => Some(Notice::ServerStopping),
        Code::TimedOut => Some(Notice::RemovedForSilence),
        Code::Removed => Some(Notice::RemovedByHost),
        _ => None,
    }
}
