//! Asks for the room's password if it may need one and there is a terminal.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex};

use crate::explain;
use crate::failure::Failure;
use crate::options::ChatOptions;
use crate::requests::{self, Membership, RequestFailure};
use crate::sanitize::plain;
use crate::server_connection::{ServerConnection, connect};
use crate::tty::TerminalMode;
use reactor_chat::protocol::request::{MAX_PASSWORD, without_line_end};
use reactor_chat::protocol::{Operation, Status};

/// The most attempts to type it.
const TRIES: u32 = 3;

/// Ctrl-C, as a terminal sends it.
const INTERRUPT: u8 = 3;

/// Enters the room, and asks for the password while nothing else is wrong. Returns the membership,
/// and the options with the password that worked.
pub(crate) fn enter(
    connection: ServerConnection,
    options: &ChatOptions,
) -> Result<(Membership, ChatOptions), Failure> {
    let first = requests::enter(connection, options);
    if !io::stdin().is_terminal() {
        return first
            .map(|membership| (membership, options.clone()))
            .map_err(|failure| failure.failure);
    }
    // The server may have closed a connection that was idle while the user typed.
    let again = |options: &ChatOptions| requests::enter(connect(&options.server)?, options);
    enter_with(first, options.clone(), again, ask)
}

fn enter_with<T>(
    first: Result<T, RequestFailure>,
    mut options: ChatOptions,
    again: impl Fn(&ChatOptions) -> Result<T, RequestFailure>,
    mut ask: impl FnMut(&str) -> io::Result<Option<String>>,
) -> Result<(T, ChatOptions), Failure> {
    let mut outcome = first;
    for _ in 0..TRIES {
        if !may_need_password(&outcome, options.operation) {
            break;
        }
        let is_known = status_of(&outcome) == Some(Status::WrongPassword);
        match ask(&question(&options, is_known)) {
            // Most rooms that do not exist are misspelt, not hidden.
            Ok(answer) if !is_known && answer.as_ref().is_none_or(String::is_empty) => break,
            Ok(Some(password)) => options.password = Some(password),
            Ok(None) => return Err(Failure::sentence("no password was given")),
            // Without a terminal to ask at, the server's refusal is the answer.
            Err(_) => break,
        }
        outcome = again(&options);
    }
    match outcome {
        Ok(membership) => Ok((membership, options)),
        Err(failure) => Err(failure.failure),
    }
}

fn status_of<T>(outcome: &Result<T, RequestFailure>) -> Option<Status> {
    outcome.as_ref().err().and_then(|failure| failure.status)
}

/// Returns true if a password may be all that is missing. To clients without its password, a hidden
/// room does not exist.
fn may_need_password<T>(outcome: &Result<T, RequestFailure>, operation: Operation) -> bool {
    match status_of(outcome) {
        Some(Status::WrongPassword) => true,
        Some(Status::RoomNotFound) => operation == Operation::Join,
        _ => false,
    }
}

fn question(options: &ChatOptions, is_known: bool) -> String {
    let room = plain(&options.room);
    let hidden = explain::hidden(options.has_password());
    match (is_known, options.has_password()) {
        (false, _) => format!("Room '{room}' does not exist, or {hidden}. Password, if any: "),
        (true, true) => format!("That is not the password of room '{room}'. Password: "),
        (true, false) => format!("Room '{room}' needs a password. Password: "),
    }
}

/// Asks at the terminal without echo. Returns `None` on Ctrl-C, Ctrl-D, a signal, or if the
/// terminal is closed.
fn ask(question: &str) -> io::Result<Option<String>> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let silence = EchoOff::begin(&terminal)?;
    terminal.write_all(question.as_bytes())?;
    let line = read_line(&mut terminal);
    // The cursor still stands behind the question, because the line end was not echoed either.
    terminal.write_all(b"\n")?;
    drop(silence);
    Ok(line?.and_then(|line| String::from_utf8(line).ok()).map(without_line_end))
}

/// Reads a line without its end. It waits in poll(2), because the kernel may restart read(2) after
/// a signal handler but never poll(2) (signal(7)).
fn read_line(terminal: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], None) {
            Err(Errno::INTR) => return Ok(None),
            outcome => outcome?,
        };
        let mut chunk = [0; MAX_PASSWORD + 1];
        match terminal.read(&mut chunk)? {
            0 => return Ok(None),
            size => line.extend_from_slice(&chunk[..size]),
        }
        match line.pop() {
            Some(b'\n') if line.len() <= MAX_PASSWORD => return Ok(Some(line)),
            Some(b'\n' | INTERRUPT) => return Ok(None),
            last => line.extend(last),
        }
        // More than a password is useless, and only read up to its end.
        line.truncate(MAX_PASSWORD + 1);
    }
}

/// A terminal without echo and without signals from keys. Dropping it restores the terminal.
struct EchoOff(TerminalMode<File>);

impl EchoOff {
    /// Turns the echo off. The kernel still edits the line. Ctrl-C ends the line like Enter, so
    /// that the echo is restored before anything else happens.
    fn begin(terminal: &File) -> io::Result<Self> {
        let silence = Self(TerminalMode::of(terminal.try_clone()?)?);
        let mut silent = silence.0.before().clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        silent.local_modes.insert(LocalModes::ICANON);
        silent.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        silence.0.set(&silent, OptionalActions::Flush)?;
        Ok(silence)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        self.0.put_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, parse};
    use std::cell::Cell;

    fn options(args: &[&str]) -> ChatOptions {
        match parse(["join", "r1", "bob"].iter().chain(args).map(Into::into)) {
            Ok(Invocation::Chat(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn refused(status: Status) -> Result<&'static str, RequestFailure> {
        Err(RequestFailure {
            failure: Failure::sentence(&format!("{status:?}")),
            status: Some(status),
        })
    }

    /// A room with the password "right". Returns the outcome for these answers, and the number of
    /// questions.
    fn typing(typed: &[&str]) -> (Result<(&'static str, ChatOptions), String>, usize) {
        typing_after(Status::WrongPassword, typed)
    }

    /// Like [`typing`], for a room that refuses a wrong or missing password with this status.
    fn typing_after(
        refusal: Status,
        typed: &[&str],
    ) -> (Result<(&'static str, ChatOptions), String>, usize) {
        let asked = Cell::new(0);
        let outcome = enter_with(
            refused(refusal),
            options(&[]),
            |options| match options.password.as_deref() {
                Some("right") => Ok("in"),
                Some("late") => refused(Status::RoomFull),
                _ => refused(refusal),
            },
            |_| {
                let answer = typed.get(asked.replace(asked.get() + 1));
                Ok(answer.map(|answer| (*answer).into()))
            },
        );
        (outcome.map_err(|failure| failure.to_string()), asked.get())
    }

    #[test]
    fn third_password_may_be_right() {
        for (typed, times) in [(&["right"][..], 1), (&["x", "right"], 2), (&["x", "", "right"], 3)]
        {
            let (outcome, asked) = typing(typed);
            let (membership, options) = outcome.expect("a seat");
            assert_eq!(
                (membership, options.password.as_deref(), asked),
                ("in", Some("right"), times)
            );
        }
        let (outcome, asked) = typing(&["x", "y", "z", "right"]);
        assert_eq!((outcome.err().as_deref(), asked), (Some("WrongPassword"), 3));
    }

    #[test]
    fn other_refusals_ask_nothing() {
        let (outcome, asked) = typing(&["x"]);
        assert_eq!(outcome.err().as_deref(), Some("no password was given"));
        assert_eq!(asked, 2);
        let (outcome, asked) = typing(&["late", "right"]);
        assert_eq!((outcome.err().as_deref(), asked), (Some("RoomFull"), 1));
    }

    #[test]
    fn empty_answer_ends_questions() {
        let hidden = |typed: &[&str]| {
            let (outcome, asked) = typing_after(Status::RoomNotFound, typed);
            (outcome.map(|(_, options)| options.password), asked)
        };
        assert_eq!(hidden(&["right"]), (Ok(Some("right".into())), 1));
        assert_eq!(hidden(&["x", "right"]), (Ok(Some("right".into())), 2));
        // A user who misspelt the room should read the advice, not another question.
        assert_eq!(hidden(&[""]), (Err("RoomNotFound".into()), 1));
        assert_eq!(hidden(&["x"]), (Err("RoomNotFound".into()), 2));
    }

    #[test]
    fn no_question_without_terminal() {
        let never = |_: &str| -> io::Result<Option<String>> { panic!("asked") };
        let outcome = enter_with(Ok("in"), options(&[]), |_| refused(Status::RoomFull), never);
        assert!(outcome.is_ok());
        let nowhere = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
        let first = refused(Status::WrongPassword);
        let outcome = enter_with(first, options(&[]), |_| refused(Status::RoomFull), nowhere);
        assert_eq!(
            outcome.err().map(|failure| failure.to_string()).as_deref(),
            Some("WrongPassword")
        );
    }

    #[test]
    fn question_names_the_room() {
        let mut options = options(&["--password", ""]);
        options.room = "a\x1b".into();
        assert_eq!(question(&options, true), r"Room 'a\u{1b}' needs a password. Password: ");
        options.password = Some("x".into());
        assert!(
            question(&options, true).starts_with(r"That is not the password of room 'a\u{1b}'.")
        );
        let hidden = question(&options, false);
        assert!(
            hidden.contains("does not exist, or is hidden and has another password."),
            "{hidden}"
        );
    }
}
