//! The fate of each line: the server relays it, answers it, or refuses it. The datagram that says
//! so may be lost, or come after the end of the membership.

use std::collections::VecDeque;

use crate::output::Output;
use reactor_chat::protocol::stream::Code;
use reactor_chat::stream::Event;

/// Lines that the server has not accepted.
#[derive(Clone, Copy)]
pub(crate) struct UnacceptedLines {
    /// Lines without an answer, and unsent lines.
    pub(crate) open: usize,
    /// Lines that the server has refused.
    pub(crate) refused: usize,
}

/// The most lines whose fate may be unknown at the same time.
const MOST: usize = 256;
/// Bytes of a line that identify it for the user.
const BEGINNING: usize = 256;

/// A line that was sent.
struct SentLine {
    id: u32,
    beginning: Box<[u8]>,
}

impl SentLine {
    /// A command is answered, and not relayed.
    fn is_message(&self) -> bool {
        !self.beginning.starts_with(b"/") || self.beginning.starts_with(b"//")
    }
}

/// The lines of one membership.
pub(crate) struct SentLines {
    member: u32,
    unknown: VecDeque<SentLine>,
    refused: usize,
    /// True if entries are missing, of which some may be ours.
    is_skipping: bool,
}

impl SentLines {
    pub(crate) fn new(member: u32) -> Self {
        Self { member, unknown: VecDeque::new(), refused: 0, is_skipping: false }
    }

    /// Notes the id of the line.
    pub(crate) fn note_push(&mut self, id: u32, line: &[u8]) {
        let beginning = line[..line.len().min(BEGINNING)].into();
        self.unknown.push_back(SentLine { id, beginning });
        if self.unknown.len() > MOST {
            self.unknown.pop_front();
        }
    }

    /// Stops drawing conclusions from missing entries, because the receiver skips some.
    pub(crate) fn note_skipping(&mut self) {
        self.is_skipping = true;
    }

    /// Handles an event. If it refuses a line, tells the user and returns true.
    pub(crate) fn take(&mut self, event: &Event<'_>, output: &mut Output) -> bool {
        match *event {
            Event::Message { member, id, .. } if member == self.member => drop(self.settle(id)),
            Event::Aside { code, id, text, .. } if code == Code::Refused as u8 => {
                self.refuse(id, text, output);
                return true;
            }
            Event::Aside { code, id, .. } if code != Code::RateLimited as u8 => {
                self.settle_command(id);
            }
            Event::Gone { .. } => self.is_skipping = true,
            Event::Message { .. } | Event::Notice { .. } | Event::Aside { .. } => {}
        }
        false
    }

    /// Settles a command. Any answer to a command is final, while a message is also relayed.
    fn settle_command(&mut self, id: u32) {
        self.unknown.retain(|line| line.is_message() || line.id != id);
    }

    fn settle(&mut self, id: u32) -> Option<SentLine> {
        let place = self.unknown.iter().position(|line| line.id == id)?;
        self.unknown.remove(place)
    }

    fn refuse(&mut self, id: u32, why: &[u8], output: &mut Output) {
        let line = self.settle(id);
        self.refused += usize::from(line.is_some());
        output.add_refusal(line.as_ref().map(|line| &*line.beginning), why);
    }

    /// Returns true if the server is done with all lines below `done`, but the fate of one is
    /// unknown.
    pub(crate) fn is_waiting(&self, done: u32) -> bool {
        !self.is_skipping && self.unknown.iter().any(|line| line.id < done)
    }

    fn lost(&self, done: u32) -> impl Iterator<Item = &SentLine> {
        let lines = self.unknown.iter().filter(|_| !self.is_skipping);
        lines.filter(move |line| line.is_message() && line.id < done)
    }

    /// Reports the messages below `done` that were not relayed: the server must have refused them.
    pub(crate) fn finish(&mut self, done: u32, output: &mut Output) {
        let why = b"the server has not relayed it";
        for line in self.lost(done) {
            output.add_refusal(Some(&line.beginning), why);
        }
        self.refused += self.lost(done).count();
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdout::PlainLines;

    fn aside(code: Code, id: u32) -> Event<'static> {
        Event::Aside { code: code as u8, expected: 9, id, text: b"why" }
    }

    fn own(id: u32) -> Event<'static> {
        Event::Message { number: 1, member: 3, id, name: b"bob", text: b"x", is_late: false }
    }

    #[test]
    fn field_b_line_is_refused_once() {
        let mut output = Output::plain(PlainLines::new(), None);
        let mut sent_lines = SentLines::new(3);
        for (id, line) in [(1, "said"), (2, "bad"), (3, "/who"), (4, "//lost"), (5, "open")] {
            sent_lines.note_push(id, line.as_bytes());
        }
        assert!(sent_lines.is_waiting(5));
        assert!(!sent_lines.take(&own(1), &mut output));
        assert!(sent_lines.take(&aside(Code::Refused, 2), &mut output));
        assert!(sent_lines.take(&aside(Code::Refused, 2), &mut output));
        assert_eq!(
            (sent_lines.refused(), sent_lines.is_waiting(3), sent_lines.is_waiting(4)),
            (1, false, true)
        );
        assert!(!sent_lines.take(&aside(Code::State, 3), &mut output));
        assert!(!sent_lines.is_waiting(4) && sent_lines.is_waiting(5));
        sent_lines.finish(5, &mut output);
        assert_eq!(sent_lines.refused(), 2);
    }

    #[test]
    fn field_b_gone_entries_may_be_ours() {
        let mut output = Output::plain(PlainLines::new(), None);
        let mut sent_lines = SentLines::new(3);
        sent_lines.note_push(1, b"said");
        sent_lines.take(&Event::Gone { first: 1, count: 1 }, &mut output);
        assert!(!sent_lines.is_waiting(9));
    }
}
