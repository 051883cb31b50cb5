//! What begins with `/`.

use std::time::Instant;

use super::Chat;
use crate::ids::MemberId;
use crate::protocol::Delivery;
use crate::protocol::name::fold;
use crate::protocol::notice::{Notice, write_members};
use crate::protocol::stream::downstream::{ASIDE_OVERHEAD, HEADER_SIZE};
use crate::protocol::stream::{Code, MAX_PACKED};

/// The longest list of members in bytes: with the length byte of named delivery, or in an aside, it
/// fits 1,200, which passes every link without being cut up (RFC 8200 promises 1,280 with the
/// headers).
const MAX_MEMBER_LIST: usize = MAX_PACKED - 1;
const MAX_MEMBER_LIST_IN_STREAM: usize = MAX_PACKED - HEADER_SIZE - ASIDE_OVERHEAD;

/// What a member's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Something to be relayed.
    Message(&'a str),
    /// Something to be done.
    Command(Command<'a>),
}

/// A command, but for `/exit`: see [`is_exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// List the members.
    Who,
    /// Remove this member.
    Kick(&'a str),
    /// Make this member the host.
    Host(&'a str),
    /// List the commands.
    Help,
}

/// Whether the line says `/exit`, whatever is around it: clients send it with blanks and line ends.
pub(super) fn is_exit(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("/exit")
}

/// Tells commands from messages.
///
/// # Errors
/// What its sender is told, if it is neither.
pub(super) fn parse(line: &str) -> Result<Line<'_>, Notice<'_>> {
    let Some(rest) = line.strip_prefix('/') else { return Ok(Line::Message(line)) };
    if rest.starts_with('/') {
        return Ok(Line::Message(rest));
    }
    // No name ends in white space, and clients send line ends.
    let rest = rest.trim_end();
    let (word, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    match word.to_ascii_lowercase().as_str() {
        "who" => Ok(Line::Command(Command::Who)),
        "help" => Ok(Line::Command(Command::Help)),
        "kick" | "host" if argument.is_empty() => Err(Notice::NameNeeded),
        "kick" => Ok(Line::Command(Command::Kick(argument))),
        "host" => Ok(Line::Command(Command::Host(argument))),
        _ => Err(Notice::UnknownCommand),
    }
}

impl Chat {
    pub(super) fn obey(&mut self, id: MemberId, command: Command<'_>, now: Instant) {
        match command {
            Command::Who => self.list_members(id),
            Command::Help => self.answer(id, Notice::Help),
            Command::Kick(name) => self.as_host(id, name, |chat, target| {
                chat.kick(id, target, now);
            }),
            Command::Host(name) => self.as_host(id, name, |chat, target| {
                chat.pass_host(id, target);
            }),
        }
    }

    fn list_members(&mut self, id: MemberId) {
        if !self.has_space_to_answer(id) {
            return;
        }
        let Some(member) = self.members.get(id) else { return };
        let Some(room) = self.rooms.get(member.room) else { return };
        let max = match member.delivery {
            Delivery::Each(_) => MAX_MEMBER_LIST,
            Delivery::Stream => MAX_MEMBER_LIST_IN_STREAM,
        };
        let names = room.live_members().filter_map(|member| {
            let name: &str = &self.members.get(member)?.name;
            Some((name, member == room.host))
        });
        self.notice.clear();
        let (language, total) = (self.config.language, room.population());
        write_members(names, total, language, max, &mut self.notice);
        self.append_aside(id, Code::Answer);
    }

    /// Does what only the host may do to the member called `name`.
    fn as_host(&mut self, id: MemberId, name: &str, deed: impl FnOnce(&mut Self, MemberId)) {
        let Some(member) = self.members.get(id) else { return };
        let Some(room) = self.rooms.get(member.room) else { return };
        if room.host != id {
            return self.answer(id, Notice::HostOnly);
        }
        match room.find(&fold(name)) {
            None => self.answer(id, Notice::NoSuchMember),
            Some(target) => deed(self, target),
        }
    }

    fn kick(&mut self, host: MemberId, target: MemberId, now: Instant) {
        let Some(room_id) = self.members.get(target).map(|member| member.room) else { return };
        let Some(room) = self.rooms.get(room_id) else { return };
        if target == host {
            return self.answer(host, Notice::NotYourself);
        }
        if !room.can_kick() {
            return self.answer(host, Notice::KickListFull);
        }
        self.remove_kicked(target, now);
        self.confirm_taken(host);
    }

    fn pass_host(&mut self, host: MemberId, target: MemberId) {
        if target == host {
            return self.answer(host, Notice::AlreadyHost);
        }
        let Some(room) = self.members.get(target).map(|member| member.room) else { return };
        self.set_host(room, target);
        self.confirm_taken(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w27_exit_is_the_whole_line_after_trimming_whatever_its_case() {
        for line in ["/exit", " /EXIT ", "/Exit\r\n", "\t/exit\n"] {
            assert!(is_exit(line), "{line:?}");
        }
        for line in ["exit", "/exit now", "//exit", "/exi", "__REGISTER__"] {
            assert!(!is_exit(line), "{line:?}");
        }
    }

    #[test]
    fn w22_a_slash_is_a_command_and_two_are_a_message() {
        assert_eq!(parse("//exit"), Ok(Line::Message("/exit")));
        assert_eq!(parse("///"), Ok(Line::Message("//")));
        assert_eq!(parse(" /who"), Ok(Line::Message(" /who")));
        assert_eq!(parse("/who"), Ok(Line::Command(Command::Who)));
        assert_eq!(parse("/WHO\n"), Ok(Line::Command(Command::Who)));
        assert_eq!(parse("/help"), Ok(Line::Command(Command::Help)));
    }

    #[test]
    fn w32_a_name_is_everything_after_one_space() {
        assert_eq!(parse("/kick A b c"), Ok(Line::Command(Command::Kick("A b c"))));
        assert_eq!(parse("/host bob\n"), Ok(Line::Command(Command::Host("bob"))));
        for line in ["/kick", "/kick ", "/host"] {
            assert_eq!(parse(line), Err(Notice::NameNeeded), "{line:?}");
        }
        for line in ["/", "/ who", "/whoami", "/exit now", "/kickbob"] {
            assert_eq!(parse(line), Err(Notice::UnknownCommand), "{line:?}");
        }
    }
}
