//! Datagrams: who speaks, and what becomes of what was said.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::Chat;
use super::room::Room;
use crate::alert::Alert;
use crate::delivery::{Full, Kind};
use crate::fanout::Audience;
use crate::ids::MemberId;
use crate::protocol::command::{self, Input};
use crate::protocol::datagram::{self, MAX_NAME_AND_MESSAGE, MAX_UPSTREAM};
use crate::protocol::stream::parts;
use crate::protocol::{Delivery, Notice};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramOutcome {
    /// It is nobody's: it changed nothing and is never answered.
    Dropped(DropReason),
    /// It is this member's, whose delivery port is now the one that it came from.
    Accepted(MemberId, MessageOutcome),
}

impl DatagramOutcome {
    /// Whose datagram it was, if it was somebody's.
    pub fn member(self) -> Option<MemberId> {
        match self {
            Self::Dropped(_) => None,
            Self::Accepted(member, _) => Some(member),
        }
    }

    /// Whether it came to nothing, and more of the kind at the same time will.
    pub fn is_in_vain(self) -> bool {
        matches!(
            self,
            Self::Dropped(_)
                | Self::Accepted(_, MessageOutcome::RateLimited | MessageOutcome::Unanswered)
        )
    }
}

/// Why a datagram is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// More than [`MAX_UPSTREAM`] bytes.
    TooLong,
    /// Not the layout of a client's datagram.
    Malformed,
    /// No live member has this token.
    UnknownToken,
    /// The token is one of another room.
    WrongRoom,
    /// The token was given to another IP.
    WrongAddress,
}

/// What became of a member's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// There was none.
    KeptAlive,
    /// It is on its way to the others.
    Relayed,
    /// It is a part of a message, kept until the last one has come.
    Kept,
    /// It was a command.
    Command,
    /// It was not fit to be relayed; its sender is told.
    Refused,
    /// It came too fast.
    RateLimited,
    /// The room holds as much as it may.
    RoomBusy,
    /// A stream member said how far it is.
    Confirmed,
    /// A stream member asked for entries again.
    Repaired,
    /// A stream member's message did not have the id that its next one must have.
    OutOfOrder,
    /// It came on top of more than a member is answered. What it confirms counts; nothing else of it.
    Unanswered,
    /// It has no sense as what a stream member sends.
    Senseless,
    /// Its member has ended, and is told so.
    Ended,
}

impl Chat {
    /// Takes a datagram that came from `peer`.
    pub fn handle_datagram(
        &mut self,
        peer: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> DatagramOutcome {
        match self.identify(peer, bytes) {
            Err(why) => DatagramOutcome::Dropped(why),
            Ok(Speaker { member, message, is_live: false }) => {
                self.end_if_closing(member);
                self.learn_port_of_ended(member, peer.port(), now);
                DatagramOutcome::Accepted(member, self.handle_late_datagram(member, message, now))
            }
            Ok(Speaker { member, message, is_live: true }) => {
                self.learn_port(member, peer.port(), now);
                DatagramOutcome::Accepted(member, self.handle_message(member, message, now))
            }
        }
    }

    /// Whose datagram this is and what it says. A wrong token costs two look-ups, among the living and
    /// among those that have ended.
    fn identify<'a>(&self, peer: SocketAddr, bytes: &'a [u8]) -> Result<Speaker<'a>, DropReason> {
        if bytes.len() > MAX_UPSTREAM {
            return Err(DropReason::TooLong);
        }
        let upstream = datagram::parse(bytes).ok_or(DropReason::Malformed)?;
        let (id, is_live) = self.find_speaker(upstream.token).ok_or(DropReason::UnknownToken)?;
        let member = self.members.get(id).ok_or(DropReason::UnknownToken)?;
        let is_here = self.rooms.get(member.room).is_none_or(|room| {
            room.name.as_bytes() == upstream.room || member.spells_room(upstream.room)
        });
        if !is_here {
            return Err(DropReason::WrongRoom);
        }
        if member.ip != peer.ip().to_canonical() {
            return Err(DropReason::WrongAddress);
        }
        Ok(Speaker { member: id, message: upstream.message, is_live })
    }

    /// Takes what an identified member said.
    fn handle_message(&mut self, id: MemberId, message: &[u8], now: Instant) -> MessageOutcome {
        let Some(member) = self.members.get_mut(id) else { return MessageOutcome::KeptAlive };
        member.heard_at = now;
        if member.delivery == Delivery::Stream {
            return self.handle_stream_message(id, message, now);
        }
        if member.check_at.is_none() {
            self.end_limit(id, now);
        }
        if message.is_empty() {
            return MessageOutcome::KeptAlive;
        }
        if str::from_utf8(message).is_ok_and(command::is_exit) {
            // Never rationed, and not refused for a line end with a carriage return: who wants to go
            // goes.
            self.leave(id, 0, now);
            return MessageOutcome::Command;
        }
        if !self.is_allowed(id, message.len(), now) {
            self.warn(id, Notice::RateLimited, now);
            return MessageOutcome::RateLimited;
        }
        match understand(message) {
            Err(why) => self.refuse(id, why),
            Ok(Input::Message(text)) => self.relay(id, text, now),
            Ok(Input::Command(command)) => {
                self.execute(id, command, now);
                MessageOutcome::Command
            }
        }
    }

    /// Whether a member may send so many bytes now. A command counts as if all got it: some do tell
    /// all, and who floods with the others is stopped as soon.
    pub(super) fn is_allowed(&mut self, id: MemberId, size: usize, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        let audience = self.rooms.get(member.room).map_or(0, Room::population);
        // Each part repeats the name.
        let parts = parts::count(member.name.len(), size);
        let cost = (size + parts * member.name.len(), parts, audience);
        let taken = member.message_budget.take(cost, &self.config, now);
        if let Err(limit) = taken {
            self.note_alert_of(id, limit);
        }
        taken.is_ok()
    }

    fn relay(&mut self, id: MemberId, text: &str, now: Instant) -> MessageOutcome {
        match self.append_message(id, 0, text) {
            Ok(()) => MessageOutcome::Relayed,
            Err(AppendError::TooLong(why)) => self.refuse(id, why),
            Err(AppendError::RoomBusy) => {
                self.warn(id, Notice::RoomBusy, now);
                MessageOutcome::RoomBusy
            }
        }
    }

    /// Appends a member's message to its room; `message` is the id that a stream member gave it.
    pub(super) fn append_message(
        &mut self,
        id: MemberId,
        message: u32,
        text: &str,
    ) -> Result<(), AppendError> {
        let Some(member) = self.members.get(id) else { return Err(AppendError::RoomBusy) };
        let (room_id, number, name) = (member.room, member.number, Rc::clone(&member.name));
        let fits = MAX_NAME_AND_MESSAGE - name.len();
        if text.len() > fits {
            return Err(AppendError::TooLong(Notice::TooLong { fits }));
        }
        let encode = |delivery: Delivery, out: &mut Vec<u8>| match delivery {
            Delivery::Plain(form) => datagram::encode_message(form, &name, text, out),
            Delivery::Stream => parts::encode_message((number, message), &name, text, out),
        };
        let appended = self.feeds.append(room_id, Kind::Message, Audience::AllBut(id), encode);
        appended.map_err(|limit| {
            self.note_alert_of(id, alert_of(limit));
            AppendError::RoomBusy
        })
    }

    pub(super) fn refuse(&mut self, id: MemberId, why: Notice<'_>) -> MessageOutcome {
        self.answer(id, why);
        MessageOutcome::Refused
    }

    /// Tells a member that it sends too much, but not for every message.
    pub(super) fn warn(&mut self, id: MemberId, notice: Notice<'_>, now: Instant) {
        if self.members.get_mut(id).is_some_and(|member| member.take_warning(now)) {
            self.answer(id, notice);
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

/// Whose a datagram is and what it says.
struct Speaker<'a> {
    member: MemberId,
    message: &'a [u8],
    /// A member still.
    is_live: bool,
}

/// Why a message can't be appended.
pub(super) enum AppendError {
    /// It never can.
    TooLong(Notice<'static>),
    /// Not now.
    RoomBusy,
}

/// Tells messages from commands, and refuses anything else. A line end behind a command does not
/// count, and clients send some with a carriage return, which no message may hold.
pub(super) fn understand(message: &[u8]) -> Result<Input<'_>, Notice<'_>> {
    let is_command = message.starts_with(b"/") && !message.starts_with(b"//");
    let message = if is_command { message.trim_ascii_end() } else { message };
    command::parse(datagram::message_text(message).map_err(Notice::Unfit)?)
}
