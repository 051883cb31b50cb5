//! Pending `/who` commands: tells which answer of the server belongs to which query.

use std::collections::VecDeque;

use reactor_chat::protocol::command::{Command, Input, parse};

/// The command that requests the list of members.
pub(crate) const WHO: &str = "/who";

/// The most pending queries. Lost answers must not use memory for ever.
const MOST: usize = 64;

/// Returns true if the server reads the line as `/who`.
pub(crate) fn is_question(line: &[u8]) -> bool {
    let line = str::from_utf8(line).ok().map(parse);
    matches!(line, Some(Ok(Input::Command(Command::Who))))
}

/// The origin of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The user typed the command and wants to see the answer.
    User,
    /// The client needs the list itself.
    Client,
}

/// The pending queries, by message id.
#[derive(Default)]
pub(crate) struct MemberQueries {
    open: VecDeque<(u32, Asker)>,
}

impl MemberQueries {
    pub(crate) fn note(&mut self, id: u32, asker: Asker) {
        if self.open.len() >= MOST {
            self.open.pop_front();
        }
        self.open.push_back((id, asker));
    }

    /// Ends the query with this message id. Returns its asker, or `None` if there is no such query.
    pub(crate) fn take(&mut self, id: u32) -> Option<Asker> {
        let place = self.open.iter().position(|(asked, _)| *asked == id)?;
        self.open.remove(place).map(|(_, asker)| asker)
    }

    /// Returns true if the client itself made the query with this id.
    pub(crate) fn is_of_client(&self, id: u32) -> bool {
        self.open.contains(&(id, Asker::Client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w28_answer_matches_query_by_id() {
        let mut queries = MemberQueries::default();
        queries.note(3, Asker::Client);
        queries.note(5, Asker::User);
        assert_eq!(queries.take(4), None);
        assert_eq!(queries.take(5), Some(Asker::User));
        assert_eq!(queries.take(5), None, "answered once");
        assert!(queries.is_of_client(3));
        assert_eq!(queries.take(3), Some(Asker::Client));
    }

    #[test]
    fn unanswered_queries_are_bounded() {
        let mut queries = MemberQueries::default();
        (1..=1000).for_each(|id| queries.note(id, Asker::User));
        assert_eq!(queries.open.len(), MOST);
        assert_eq!(queries.take(1000), Some(Asker::User));
    }

    #[test]
    fn only_who_commands_are_queries() {
        for line in ["/who", "/WHO\r\n", "/who is there"] {
            assert!(is_question(line.as_bytes()), "{line:?}");
        }
        for line in ["//who", " /who", "/whoever", "/help", "who"] {
            assert!(!is_question(line.as_bytes()), "{line:?}");
        }
        assert!(!is_question(b"/who \xff"));
    }
}
