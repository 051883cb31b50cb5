//! A membership with text or named delivery: a datagram for each entry, at most once.

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

/// Lines that may wait to be sent.
const MAX_WAITING: usize = 64;

/// From one proof of our address to the next, at the beginning: the first datagram may be lost, and
/// until one arrives nobody can talk to us. They are sent at 0, 0.25 and 1 s.
const EARLY_KEEP_ALIVES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

/// And from then on. The server forgets who is silent, and so do the routers between: many after
/// 30 s, although RFC 4787 (REQ-5) asks them for two minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(MAX_KEEP_ALIVE);

/// Time after which an answer counts as lost.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// How long the last messages are waited for after `/exit`. To a host the server confirms it by
/// closing the room, to a guest with nothing.
const LINGER: Duration = Duration::from_millis(300);

/// What is known of the membership.
pub(crate) struct PlainRoom {
    form: Form,
    is_of_this_project: bool,
    /// Our name, folded.
    me: Box<str>,
    waiting: VecDeque<Box<[u8]>>,
    /// When the next keep-alive is due. Servers other than this project's would relay it as an
    /// empty message, so they get none, and have our port from the TCP connection.
    keep_alive_at: Option<Instant>,
    early_keep_alives: std::array::IntoIter<Duration, 2>,
    /// Set when the room is being left: when to end at the latest.
    leave_by: Option<Instant>,
    /// Deadline for the answer to the last `/who`, and its asker.
    question: Option<(Instant, Asker)>,
    /// The server has said that we are no member any more.
    is_removed: bool,
    /// Lines that the server has refused.
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
            early_keep_alives: EARLY_KEEP_ALIVES.into_iter(),
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
                if self.heed(datagram, now, output) {
                    output.add_line(datagram);
                }
            }
            Form::Named => match parse_named(datagram) {
                Some(Named::Message { name, message }) => output.add_message(name, message),
                Some(Named::Notice(text)) if is_refusal(text) => self.refuse(text, output),
                Some(Named::Notice(text)) => self.hear_notice(text, now, output),
                // Not of this protocol.
                None => {}
            },
        }
    }

    fn hear_notice(&mut self, text: &[u8], now: Instant, output: &mut Output) {
        if self.heed(text, now, output) {
            output.add_notice(text);
        }
    }

    /// Looks at what may be a notice: in text delivery the sender's name stands before a message.
    /// Returns true if it is to be shown.
    fn heed(&mut self, notice: &[u8], now: Instant, output: &mut Output) -> bool {
        let Ok(text) = str::from_utf8(notice) else { return true };
        self.is_removed |= ends_membership(text);
        let Some(asker) = self.take_answered(text, now) else { return true };
        output.note_members(notice);
        asker == Asker::User
    }

    /// Returns the asker if the notice answers the question who is there. Only its text tells that
    /// here, so it must come soon after the question and name us.
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

    /// Lines that are not sent or were refused, beside the one that leaves. Of lines that came too
    /// fast the server tells only some.
    pub(crate) fn unaccepted(&self) -> UnacceptedLines {
        let exit_waits = self.leave_by.is_some() && !self.waiting.is_empty();
        let open = self.waiting.len() - usize::from(exit_waits);
        UnacceptedLines { open, refused: self.refused }
    }

    /// Whether another line may be pushed: what can't be sent yet waits in stdin's pipe, and not in
    /// our memory.
    pub(crate) fn accepts_lines(&self) -> bool {
        self.leave_by.is_none() && self.waiting.len() < MAX_WAITING
    }

    pub(crate) fn push(&mut self, line: &[u8], now: Instant) {
        if is_question(line) {
            self.question = Some((now + ANSWER_PATIENCE, Asker::User));
        }
        self.waiting.push_back(line.into());
    }

    pub(crate) fn ask_who(&mut self, now: Instant) {
        self.waiting.push_back(WHO.as_bytes().into());
        self.question = Some((now + ANSWER_PATIENCE, Asker::Client));
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leave_by.is_none() {
            self.push(EXIT.as_bytes(), now);
            self.leave_by = Some(now + LINGER);
        }
    }

    /// Writes what is to be sent next. Any datagram proves our address, so a keep-alive is only
    /// sent where there is no other.
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
            let pause = self.early_keep_alives.next().unwrap_or(KEEP_ALIVE);
            self.keep_alive_at = Some(now + pause);
        }
        is_due
    }

    /// When the next keep-alive is due; none is while we leave.
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
    fn field_n_other_servers_get_no_keep_alive() {
        let start = Instant::now();
        let mut room = PlainRoom::new(Form::Text, false, "ann", start);
        assert_eq!(room.transmit_at(), None);
        assert!(!room.poll_transmit(start + KEEP_ALIVE, &mut Vec::new()));
    }
}
