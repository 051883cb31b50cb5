//! The user's lines: decides for each whether it is a message, a command, or is not sent.

use reactor_chat::protocol::Delivery;
use reactor_chat::protocol::command;

use super::{BUDGET, Client};
use crate::failure::Failure;
use crate::joined_room::JoinedRoom;
use crate::stdin::{InputLine, TakeOutcome, is_leave_command};

/// The line that asks for the commands. The server answers it.
const HELP: &str = "/help";

/// Notice for a host that wants to leave.
const HOST_WARNING: &str = "you are the host, so the room may close for everybody; the same again leaves, \
                            /host NAME makes another one the host first";

impl Client {
    pub(super) fn read_lines(&mut self) {
        for _ in 0..BUDGET {
            if !self.room.accepts_lines() {
                return;
            }
            match self.stdin.take() {
                TakeOutcome::Taken(line) => {
                    self.output.note_taken();
                    self.handle_line(&line);
                }
                TakeOutcome::Drained => return,
                TakeOutcome::Ended if self.options.listens => return,
                TakeOutcome::Ended => self.leave(),
                TakeOutcome::Failed(error) => self.fail(Failure::new("read from stdin", error)),
            }
        }
    }

    fn handle_line(&mut self, line: &InputLine) {
        let fits = self.link.fits();
        match str::from_utf8(&line.bytes) {
            // The server would take an empty message for a keep-alive.
            Ok("") => {}
            // Before the next arm: a line that was cut may end inside of a character.
            _ if line.bytes.len() > fits => {
                self.refuse(&format!("it is too long, {fits} bytes fit"));
            }
            Err(_) => self.refuse("it is not UTF-8"),
            Ok(text) if !line.may_command => self.send_data(text),
            Ok(text) if is_leave_command(text) => self.leave_after_warning(),
            Ok(text) => self.send(text),
        }
    }

    /// Sends a line of a pipe or a file as a message, whatever is in it. The server removes the first
    /// of two slashes.
    fn send_data(&mut self, text: &str) {
        let fits = self.link.fits();
        match text.starts_with('/') && !self.is_foreign_server() {
            true if text.len() == fits => {
                self.refuse(&format!("it is too long, {} bytes fit", fits - 1));
            }
            true => self.send(&format!("/{text}")),
            // Such a line begins with blanks, before which a slash would make no message.
            false if command::is_exit(text) => self.refuse("the server would obey it"),
            false => self.send(text),
        }
    }

    fn send(&mut self, text: &str) {
        self.is_warned = false;
        if text.trim().eq_ignore_ascii_case(HELP) {
            self.output.show_keys();
        }
        self.push(text.as_bytes());
        if self.room.echoes() {
            return;
        }
        let name = &self.options.name;
        match text.strip_prefix('/') {
            None => self.output.add_own(name, text),
            Some(message) if message.starts_with('/') => self.output.add_own(name, message),
            Some(_) => {}
        }
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        if let Err(why) = self.room.push(line, self.now) {
            self.refuse(&why.to_string());
        }
    }

    /// Reports a line that is not sent.
    pub(super) fn refuse(&mut self, why: &str) {
        self.unsent += 1;
        self.output.notify(&format!("line not sent: {why}"));
    }

    /// Returns true if the server is not of this project: its token says so, or it did not grant the
    /// stream delivery that we requested. Other servers know no commands, and would show a second
    /// slash.
    fn is_foreign_server(&self) -> bool {
        let is_plain = matches!(self.room, JoinedRoom::Plain(_));
        !self.room.answers_commands() || (is_plain && self.options.delivery == Delivery::Stream)
    }

    /// Requests the list of members if the terminal needs it, for completion and for the host's
    /// warning.
    pub(super) fn request_members(&mut self) {
        let can_ask = self.room.answers_commands() && self.room.accepts_lines();
        if can_ask && self.output.wants_members(self.now) {
            self.room.request_members(self.now);
        }
    }

    /// Leaves. A host reads first what its leaving does to others.
    fn leave_after_warning(&mut self) {
        if self.output.warns_before_leaving(self.room.names_newcomers()) && !self.is_warned {
            self.is_warned = true;
            self.output.notify(HOST_WARNING);
        } else {
            self.leave();
        }
    }

    pub(super) fn leave(&mut self) {
        self.room.leave(self.now);
        if let Some(stream) = self.room.stream().filter(|_| !self.path.works()) {
            stream.wait_for_path(self.now);
        }
    }
}
