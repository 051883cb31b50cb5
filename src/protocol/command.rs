//! Commands: messages that begin with `/` (W22, W27 to W32). Both ends use this module.

use std::fmt;

use super::notice::Notice;

/// The line that leaves the room: see [`is_exit`].
pub const EXIT: &str = "/exit";

/// A line from a member: a message or a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A message to be relayed.
    Message(&'a str),
    /// A command to be executed.
    Command(Command<'a>),
}

/// A command, except `/exit`, for which there is [`is_exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// List the members.
    Who,
    /// Remove this member.
    Kick(&'a str),
    /// Ban this name and its subnet.
    Ban(&'a str),
    /// Lift the ban of this name and its subnet.
    Unban(&'a str),
    /// List the bans.
    Bans,
    /// Make this member the host.
    Host(&'a str),
    /// List the commands.
    Help,
}

/// Returns true if the line is `/exit`. Its case does not matter, nor do blanks and line ends around
/// it, because other clients of this protocol send them.
pub fn is_exit(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case(EXIT)
}

/// Parses a line, which must not be `/exit`.
///
/// Blanks around the name in a command do not matter: no name begins or ends with one, and a
/// Japanese keyboard types U+3000.
///
/// # Errors
/// Returns the notice for the sender if a command is unknown or lacks its name.
pub fn parse(line: &str) -> Result<Input<'_>, Notice<'_>> {
    let Some(rest) = line.strip_prefix('/') else { return Ok(Input::Message(line)) };
    if rest.starts_with('/') {
        return Ok(Input::Message(rest));
    }
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    match word.to_ascii_lowercase().as_str() {
        "who" => Ok(Input::Command(Command::Who)),
        "help" => Ok(Input::Command(Command::Help)),
        "bans" => Ok(Input::Command(Command::Bans)),
        "kick" | "ban" | "unban" | "host" if argument.is_empty() => Err(Notice::NameNeeded),
        "kick" => Ok(Input::Command(Command::Kick(argument))),
        "ban" => Ok(Input::Command(Command::Ban(argument))),
        "unban" => Ok(Input::Command(Command::Unban(argument))),
        "host" => Ok(Input::Command(Command::Host(argument))),
        _ => Err(Notice::UnknownCommand(word)),
    }
}

/// Writes the line that [`parse`] reads as this input.
///
/// ```
/// use reactor_chat::protocol::command::{Command, Input, parse};
///
/// assert_eq!(Input::Command(Command::Kick("bob")).to_string(), "/kick bob");
/// assert_eq!(Input::Message("/tmp is full").to_string(), "//tmp is full");
/// assert_eq!(parse("//tmp is full"), Ok(Input::Message("/tmp is full")));
/// ```
impl fmt::Display for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(text) if text.starts_with('/') => write!(f, "/{text}"),
            Self::Message(text) => f.write_str(text),
            Self::Command(command) => command.fmt(f),
        }
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Who => f.write_str("/who"),
            Self::Kick(name) => write!(f, "/kick {name}"),
            Self::Ban(name) => write!(f, "/ban {name}"),
            Self::Unban(name) => write!(f, "/unban {name}"),
            Self::Bans => f.write_str("/bans"),
            Self::Host(name) => write!(f, "/host {name}"),
            Self::Help => f.write_str("/help"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w27_exit_ignores_case_and_blanks() {
        for line in ["/exit", " /EXIT ", "/Exit\r\n", "\t/exit\n", "/exit\u{3000}"] {
            assert!(is_exit(line), "{line:?}");
        }
        for line in ["exit", "/exit now", "//exit", "/exi", "__REGISTER__"] {
            assert!(!is_exit(line), "{line:?}");
        }
    }

    #[test]
    fn w22_two_slashes_are_a_message() {
        assert_eq!(parse("//exit"), Ok(Input::Message("/exit")));
        assert_eq!(parse("///"), Ok(Input::Message("//")));
        assert_eq!(parse(" /who"), Ok(Input::Message(" /who")));
        assert_eq!(parse("/who"), Ok(Input::Command(Command::Who)));
        assert_eq!(parse("/WHO\n"), Ok(Input::Command(Command::Who)));
        assert_eq!(parse("/help"), Ok(Input::Command(Command::Help)));
    }

    #[test]
    fn w32_field_k_blanks_are_ignored() {
        for line in
            ["/kick A b c", "/kick  A b c", "/kick \tA b c \r\n", "/KICK\u{3000}A b c\u{3000}"]
        {
            assert_eq!(parse(line), Ok(Input::Command(Command::Kick("A b c"))), "{line:?}");
        }
        assert_eq!(parse("/host bob\n"), Ok(Input::Command(Command::Host("bob"))));
        assert_eq!(parse("/Ban A b\n"), Ok(Input::Command(Command::Ban("A b"))));
        assert_eq!(parse("/unban bob"), Ok(Input::Command(Command::Unban("bob"))));
        assert_eq!(parse("/bans"), Ok(Input::Command(Command::Bans)));
        for line in ["/kick", "/kick ", "/host", "/host \u{3000}\t", "/ban", "/unban "] {
            assert_eq!(parse(line), Err(Notice::NameNeeded), "{line:?}");
        }
    }

    #[test]
    fn w32_unknown_word_is_named() {
        for (line, word) in [
            ("/", ""),
            ("/ who", ""),
            ("/whoami", "whoami"),
            ("/exit now", "exit"),
            ("/kickbob", "kickbob"),
            ("/Foo\tbar baz", "Foo"),
        ] {
            assert_eq!(parse(line), Err(Notice::UnknownCommand(word)), "{line:?}");
        }
    }

    #[test]
    fn w22_written_input_is_parsed_again() {
        for command in [
            Command::Who,
            Command::Kick("A b"),
            Command::Ban("A b"),
            Command::Unban("A b"),
            Command::Bans,
            Command::Host("A b"),
            Command::Help,
        ] {
            assert_eq!(parse(&command.to_string()), Ok(Input::Command(command)));
        }
        for text in ["hello", "", " /who", "/", "/who", "//exit"] {
            let message = Input::Message(text);
            assert_eq!(parse(&message.to_string()), Ok(message));
        }
    }
}
