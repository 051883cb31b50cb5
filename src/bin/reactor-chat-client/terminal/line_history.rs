//! The history of typed lines, for the arrow keys and the search. It lives as long as the program.

use std::collections::VecDeque;

/// The most lines in the history.
const MOST: usize = 500;
/// The most bytes in the history.
const MOST_BYTES: usize = 1024 * 1024;

/// The lines, and the position in them.
#[derive(Default)]
pub(super) struct LineHistory {
    lines: VecDeque<String>,
    bytes: usize,
    /// The line that is shown, counted from the newest, which is 1. 0 is the draft.
    back: usize,
    /// The draft while an older line is shown.
    draft: String,
}

impl LineHistory {
    /// Adds a line unless it repeats the last one, and returns to the draft.
    pub(super) fn add(&mut self, line: &str) {
        (self.back, self.draft) = (0, String::new());
        if line.is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.into());
        while self.lines.len() > MOST || (self.bytes > MOST_BYTES && self.lines.len() > 1) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    /// Returns the next older line, if there is one.
    pub(super) fn older(&mut self, shown: &str) -> Option<String> {
        let at = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.draft = shown.into();
        }
        self.back += 1;
        self.lines.get(at).cloned()
    }

    /// Returns the next newer line. The draft follows the newest line.
    pub(super) fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len() - back).cloned(),
        }
    }

    /// Returns the newest line behind `place` that contains `part`, and its place. Places count
    /// from the newest line, which is 1.
    pub(super) fn find(&self, part: &str, place: usize) -> Option<(usize, &str)> {
        let part = part.to_lowercase();
        let lines = self.lines.iter().rev().enumerate().skip(place);
        lines
            .map(|(at, line)| (at + 1, line.as_str()))
            .find(|(_, line)| line.to_lowercase().contains(&part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_walk_through_history() {
        let mut past = LineHistory::default();
        assert_eq!(past.older("x"), None);
        for line in ["one", "two", "two", ""] {
            past.add(line);
        }
        assert_eq!(past.older("draft").as_deref(), Some("two"));
        assert_eq!(past.older("two").as_deref(), Some("one"));
        assert_eq!(past.older("one"), None);
        assert_eq!(past.newer().as_deref(), Some("two"));
        assert_eq!(past.newer().as_deref(), Some("draft"));
        assert_eq!(past.newer(), None);
    }

    #[test]
    fn history_is_bounded() {
        let mut past = LineHistory::default();
        (0..=MOST).for_each(|line| past.add(&line.to_string()));
        let oldest = std::iter::from_fn(|| past.older("")).last();
        assert_eq!(oldest.as_deref(), Some("1"));
        past.add(&"x".repeat(MOST_BYTES));
        past.add("y");
        assert_eq!((past.lines.len(), past.bytes), (1, 1));
    }

    #[test]
    fn field_m_search_finds_newest_first() {
        let mut past = LineHistory::default();
        ["one apple", "two", "One pear"].into_iter().for_each(|line| past.add(line));
        assert_eq!(past.find("ONE", 0), Some((1, "One pear")));
        assert_eq!(past.find("one", 1), Some((3, "one apple")));
        assert_eq!(past.find("one", 3), None);
    }
}
