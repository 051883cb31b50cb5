//! Datagrams: who speaks, and what becomes of what was said.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::Chat;
use super::command::{self, Line};
use super::member::Port;
use crate::ids::MemberId;
use crate::protocol::Notice;
use crate::protocol::datagram::{self, MAX_NAME_AND_MESSAGE, MAX_UPSTREAM};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is nobody's: it changed nothing and is never answered.
    Dropped(Dropped),
    /// It is this member's, whose delivery port is now the one that it came from.
    Accepted(MemberId, Fate),
}

impl Heard {
    /// Whose datagram it was, if it was somebody's.
    pub fn member(self) -> Option<MemberId> {
        match self {
            Self::Dropped(_) => None,
            Self::Accepted(member, _) => Some(member),
        }
    }
}

/// Why a datagram is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
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
pub enum Fate {
    /// There was none.
    KeptAlive,
    /// It is on its way to the others.
    Relayed,
    /// It was a command.
    Command,
    /// It was not fit to be relayed; its sender is told.
    Refused,
    /// It came too fast.
    RateLimited,
    /// The room holds as much as it may.
    RoomBusy,
}

impl Chat {
    /// Takes a datagram that came from `peer`.
    pub fn handle_datagram(&mut self, peer: SocketAddr, bytes: &[u8], now: Instant) -> Heard {
        match self.identify(peer, bytes) {
            Err(why) => Heard::Dropped(why),
            Ok((member, message)) => {
                self.learn_port(member, peer.port());
                Heard::Accepted(member, self.hear(member, message, now))
            }
        }
    }

    /// Takes the port that a member announced over TCP. Gives whether it is where its datagrams go
    /// from now on: not if it is 0, or another member of its IP has it, or a datagram has taught the
    /// real one.
    pub fn handle_announcement(&mut self, member: MemberId, port: u16) -> bool {
        let Some(known) = self.live(member) else { return false };
        let learnt = matches!(known.port, Port::Learnt(_));
        let own = known.port == Port::Announced(port);
        if port == 0 || learnt || (!own && self.proofs.is_taken(known.ip, port)) {
            return false;
        }
        self.set_port(member, Port::Announced(port));
        true
    }

    /// Whose datagram this is and what it says. A wrong token costs one look-up.
    fn identify<'a>(
        &self,
        peer: SocketAddr,
        bytes: &'a [u8],
    ) -> Result<(MemberId, &'a [u8]), Dropped> {
        if bytes.len() > MAX_UPSTREAM {
            return Err(Dropped::TooLong);
        }
        let upstream = datagram::parse(bytes).ok_or(Dropped::Malformed)?;
        let id = *self.tokens.get(&upstream.token).ok_or(Dropped::UnknownToken)?;
        let member = self.members.get(id).ok_or(Dropped::UnknownToken)?;
        let room = self.rooms.get(member.room).ok_or(Dropped::UnknownToken)?;
        if room.name.as_bytes() != upstream.room {
            return Err(Dropped::WrongRoom);
        }
        if member.ip != peer.ip().to_canonical() {
            return Err(Dropped::WrongAddress);
        }
        Ok((id, upstream.message))
    }

    fn learn_port(&mut self, member: MemberId, port: u16) {
        if self.members.get(member).is_some_and(|known| known.port != Port::Learnt(port)) {
            self.set_port(member, Port::Learnt(port));
        }
    }

    fn set_port(&mut self, member: MemberId, port: Port) {
        let Some(member) = self.members.get_mut(member) else { return };
        self.proofs.forget(member.ip, member.port);
        self.proofs.note(member.ip, port);
        member.port = port;
    }

    /// Takes what an identified member said.
    fn hear(&mut self, id: MemberId, message: &[u8], now: Instant) -> Fate {
        let Some(member) = self.members.get_mut(id) else { return Fate::KeptAlive };
        member.heard_at = now;
        if message.is_empty() {
            return Fate::KeptAlive;
        }
        if str::from_utf8(message).is_ok_and(command::is_exit) {
            // Never rationed, and not refused for a line end with a carriage return: who wants to go
            // goes.
            self.leave(id, now);
            return Fate::Command;
        }
        if !self.config.rate_limit.is_none_or(|rate| member.allowance.take(rate, now)) {
            self.warn(id, Notice::RateLimited, now);
            return Fate::RateLimited;
        }
        match datagram::message_text(message) {
            Err(why) => self.refuse(id, Notice::Unfit(why)),
            Ok(text) => match command::parse(text) {
                Line::Message(text) => self.relay(id, text, now),
                Line::Command(command) => {
                    self.obey(id, command, now);
                    Fate::Command
                }
                Line::Mistake(why) => self.refuse(id, why),
            },
        }
    }

    fn relay(&mut self, id: MemberId, text: &str, now: Instant) -> Fate {
        let Some(member) = self.members.get(id) else { return Fate::Refused };
        let (room_id, name) = (member.room, Rc::clone(&member.name));
        let fits = MAX_NAME_AND_MESSAGE - name.len();
        if text.len() > fits {
            return self.refuse(id, Notice::TooLong { fits });
        }
        let Some(room) = self.rooms.get_mut(room_id) else { return Fate::Refused };
        if !room.has_space_for(text.len()) {
            self.warn(id, Notice::RoomBusy, now);
            return Fate::RoomBusy;
        }
        room.append_message(id, &name, text, &mut self.pool);
        self.queue(room_id);
        Fate::Relayed
    }

    fn refuse(&mut self, id: MemberId, why: Notice<'_>) -> Fate {
        self.answer(id, why);
        Fate::Refused
    }

    /// Tells a member that it sends too much, but not for every message.
    fn warn(&mut self, id: MemberId, notice: Notice<'_>, now: Instant) {
        if self.members.get_mut(id).is_some_and(|member| member.take_warning(now)) {
            self.answer(id, notice);
        }
    }
}
