//! The end of a chat: reports the lines that the server did not accept, and waits for the reader of
//! stdout.

use std::time::Duration;

use super::{ChatEnd, Client};
use crate::failure::{Failure, unless_closed_pipe};

/// Longest time that a reader of stdout may delay the end after a signal.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(500);

impl Client {
    /// Restores the terminal, reports how many lines were not accepted, and waits for the reader of
    /// stdout. We have left the room, so nobody waits for us while `less` shows the record.
    pub(super) fn finish(&mut self) {
        self.room.finish(&mut self.output);
        self.flush_output();
        self.output.close();
        self.is_signalled |= self.signals.end_at_the_next();
        self.report_unopened();
        self.report_unaccepted();
        let left = self.output.drain(self.is_signalled.then_some(SIGNAL_PATIENCE));
        let written = match self.output.flush() {
            Err(error) => unless_closed_pipe(error),
            Ok(()) if left > 0 => {
                Err(Failure::sentence(&format!("lines that nobody has read: {left}")))
            }
            Ok(()) => Ok(()),
        };
        if let (Ok(ChatEnd::Left), Err(failure)) = (&self.outcome, written) {
            self.outcome = Err(failure);
        }
    }

    /// Reports datagrams that somebody else sent to our address, from the server's.
    fn report_unopened(&mut self) {
        self.unopened += self.link.take_unopened();
        if self.unopened > 0 {
            let count = self.unopened;
            self.output.notify_last(&format!("datagrams that did not open: {count}"));
        }
    }

    fn report_unaccepted(&mut self) {
        let unaccepted = self.room.unaccepted();
        let rest = self.stdin.count_rest();
        let mut lines = unaccepted.open + rest.lines;
        // A person at a terminal has seen each refusal at once.
        if !self.output.is_terminal() {
            lines += unaccepted.refused + self.unsent;
        }
        if lines == 0 {
            return;
        }
        let at_least = if rest.is_cut { "at least " } else { "" };
        self.output.notify_last(&format!("lines not accepted: {at_least}{lines}"));
        if let Ok(ChatEnd::Left) = self.outcome {
            self.outcome = Ok(ChatEnd::Incomplete);
        }
    }
}
