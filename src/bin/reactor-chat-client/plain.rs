//! A membership with text or named delivery: one datagram for each entry, at most once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::member_queries::{Asker, WHO, is_question};
use crate::output::Output;
use crate::sent_lines::UnacceptedLines;
use reactor_chat::protocol::Form;
use reactor_chat::protocol::command::EXIT;
use reactor_chat::protocol::datagram::{Named, parse_named};
use reactor_chat::protocol::members::parse_members;
use reactor_chat::protocol::name::fold;
use reactor_chat::protocol::notice::{ends_membership, refuses_message};
use reactor_chat::protocol::stream::completion::MAX_KEEP_ALIVE;

/// The most lines that wait to be sent.
const MAX_WAITING: usize = 64;

/// Pauses between the first keep-alives, which come at 0, 0.25 and 1 s. The first datagram may be
/// lost, and the server sends us nothing until one has arrived.
const EARLY_KEEP_ALIVES: &[Duration] = &[Duration::from_millis(250), Duration::from_millis(750)];

/// Pauses between the keep-alives from a new address, which come at 0, 0.25, 1, 2 and 3 s. The server
/// sends one challenge a second at most, and no more bytes than it got. A challenge has more bytes
/// than one keep-alive (E10).
const PROOFS: &[Duration] = &[
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_secs(1),
    Duration::from_secs(1),
];

/// The pause between later keep-alives. The server removes silent members, and routers forget them:
/// many after 30 s, although RFC 4787 (REQ-5) asks for two minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(MAX_KEEP_ALIVE);

/// Time after which an answer counts as lost.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Time for the last messages after `/exit`. The server confirms a host's `/exit` by closing the
/// room, and a guest's not at all.
const LINGER: Duration = Duration::from_millis(300);

/// The state of the membership.
pub(crate) struct PlainRoom {
    form: Form,
    is_of_this_project: bool,
    /// Our folded name.
    me: Box<str>,
    waiting: VecDeque<Box<[u8]>>,
    /// Time of the next keep-alive. Other servers would relay it as an empty message, so they get
    /// none. They have our port from the TCP connection.
    keep_alive_at: Option<Instant>,
    early_keep_alives: std::slice::Iter<'static, Duration>,
    /// Set once we leave: the time at which we end at the latest.
    leave_by: Option<Instant>,
    /// Deadline for the answer to the last `/who`, and its asker.
    question: Option<(Instant, Asker)>,
    /// True once the server has said that it removed us.
    is_removed: bool,
    /// Number of lines that the server has refused.
    refused: usize,
}

fn is_refusal(notice: &[u8]) -> bool {
    str::from_utf8(notice).is_ok_and(refuses_message)
}

impl PlainRoom {
    pub(crate) fn new(form: Form, is_of_this_project: bool, name: &str, now: Instant) -> Self {
        Self {
            form,
            is_of_this_project,
            me: fold(name),
            waiting: VecDeque::new(),
            keep_alive_at: is_of_this_project.then_some(now),
            early_keep_alives: EARLY_KEEP_ALIVES.iter(),
            leave_by: None,
            question: None,
            is_removed: false,
            refused: 0,
        }
    }

    pub(crate) fn is_of_this_project(&self) -> bool {
        self.is_of_this_project
    }

    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, output: &mut Output) {
        match self.form {
            Form::Text if is_refusal(datagram) => self.refuse(datagram, output),
            Form::Text => {
                if self.note_notice(datagram, now, output) {
                    output.add_line(datagram);
                }
            }
            Form::Named => match parse_named(datagram) {
                Some(Named::Message { name, message }) => output.add_message(name, message),
                Some(Named::Notice(text)) if is_refusal(text) => self.refuse(text, output),
                Some(Named::Notice(text)) => self.handle_notice(text, now, output),
                // Not a datagram of this protocol.
                None => {}
            },
        }
    }

    fn handle_notice(&mut self, text: &[u8], now: Instant, output: &mut Output) {
        if self.note_notice(text, now, output) {
            output.add_notice(text);
        }
    }

    /// Handles what may be a notice: in text delivery a message begins with the sender's name.
    /// Returns true if it should be shown.
    fn note_notice(&mut self, notice: &[u8], now: Instant, output: &mut Output) -> bool {
        let Ok(text) = str::from_utf8(notice) else { return true };
        self.is_removed |= ends_membership(text);
        let Some(asker) = self.take_answered(text, now) else { return true };
        output.note_members(notice);
        asker == Asker::User
    }

    /// Returns the asker if this is the answer to `/who`. Only the text shows that here, so it must
    /// come soon after the command and name us.
    fn take_answered(&mut self, text: &str, now: Instant) -> Option<Asker> {
        let list = self.question.and_then(|_| parse_members(text))?;
        let names_us = list.names.iter().any(|name| fold(name) == self.me);
        let (_, asker) = self.question.take_if(|(by, _)| names_us && now <= *by)?;
        Some(asker)
    }

    fn refuse(&mut self, why: &[u8], output: &mut Output) {
        self.refused += 1;
        output.add_refusal(None, why);
    }

    /// Counts the lines that are unsent or refused, except `/exit`. The server reports only some of
    /// the lines that came too fast.
    pub(crate) fn unaccepted(&self) -> UnacceptedLines {
        let exit_waits = self.leave_by.is_some() && !self.waiting.is_empty();
        let open = self.waiting.len() - usize::from(exit_waits);
        UnacceptedLines { open, refused: self.refused }
    }

    /// Returns true if there is space for another line. Lines that can't be sent yet wait in
    /// stdin's pipe instead of our memory.
    pub(crate) fn accepts_lines(&self) -> bool {
        self.leave_by.is_none() && self.waiting.len() < MAX_WAITING
    }

    pub(crate) fn push(&mut self, line: &[u8], now: Instant) {
        if is_question(line) {
            self.question = Some((now + ANSWER_PATIENCE, Asker::User));
        }
        self.waiting.push_back(line.into());
    }

    pub(crate) fn request_members(&mut self, now: Instant) {
        self.waiting.push_back(WHO.as_bytes().into());
        self.question = Some((now + ANSWER_PATIENCE, Asker::Client));
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leave_by.is_none() {
            self.push(EXIT.as_bytes(), now);
            self.leave_by = Some(now + LINGER);
        }
    }

    /// Starts to prove our new address to the server.
    pub(crate) fn prove(&mut self, now: Instant) {
        if self.is_of_this_project {
            self.keep_alive_at = Some(now);
            self.early_keep_alives = PROOFS.iter();
        }
    }

    /// Writes the body of the next datagram. Any datagram proves our address, so a keep-alive is
    /// only sent if there is no line.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        let is_due = self.is_keep_alive_due(now);
        match self.waiting.pop_front() {
            Some(line) => out.extend_from_slice(&line),
            None if is_due => {}
            None => return false,
        }
        true
    }

    fn is_keep_alive_due(&mut self, now: Instant) -> bool {
        let is_due = self.transmit_at().is_some_and(|at| at <= now);
        if is_due {
            let pause = self.early_keep_alives.next().unwrap_or(&KEEP_ALIVE);
            self.keep_alive_at = Some(now + *pause);
        }
        is_due
    }

    /// Returns the time of the next keep-alive. There is none while we leave.
    pub(crate) fn transmit_at(&self) -> Option<Instant> {
        self.keep_alive_at.filter(|_| self.leave_by.is_none())
    }

    pub(crate) fn ends_by(&self) -> Option<Instant> {
        self.leave_by
    }

    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        self.is_removed || self.leave_by.is_some_and(|deadline| deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_come_every_20_s() {
        let start = Instant::now();
        let mut room = PlainRoom::new(Form::Named, true, "ann", start);
        let mut out = Vec::new();
        let mut times = Vec::new();
        while times.len() < 5 {
            let at = room.transmit_at().expect("a member says something some day");
            assert!(room.poll_transmit(at, &mut out) && out.is_empty());
            assert!(!room.poll_transmit(at, &mut out), "once");
            times.push((at - start).as_millis());
        }
        assert_eq!(times, [0, 250, 1000, 21_000, 41_000]);
    }

    #[test]
    fn e10_new_address_sends_five_datagrams() {
        let start = Instant::now();
        let mut room = PlainRoom::new(Form::Text, true, "ann", start);
        let mut out = Vec::new();
        let late = start + KEEP_ALIVE;
        while room.transmit_at().is_some_and(|at| at <= late) {
            assert!(room.poll_transmit(late, &mut out));
        }
        room.prove(late);
        let mut times = Vec::new();
        while times.len() < 6 {
            let at = room.transmit_at().expect("a keep-alive");
            assert!(room.poll_transmit(at, &mut out));
            times.push((at - late).as_millis());
        }
        assert_eq!(times, [0, 250, 1000, 2000, 3000, 23_000]);
    }

    #[test]
    fn field_n_other_servers_get_no_keep_alive() {
        let start = Instant::now();
        let mut room = PlainRoom::new(Form::Text, false, "ann", start);
        assert_eq!(room.transmit_at(), None);
        assert!(!room.poll_transmit(start + KEEP_ALIVE, &mut Vec::new()));
    }
}
