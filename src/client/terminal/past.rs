//! The lines that were typed before, for the arrow keys. They live as long as the program.

use std::collections::VecDeque;

/// So many lines are remembered.
const MOST: usize = 500;

/// The lines, and the one among them that is shown.
#[derive(Default)]
pub(super) struct Past {
    lines: VecDeque<String>,
    /// The line that is shown, counted back from the newest, which is 1; 0 is the draft.
    back: usize,
    /// What was being typed when the past was entered.
    draft: String,
}

impl Past {
    /// Remembers a line, once if it is said again, and goes back to the present.
    pub(super) fn add(&mut self, line: &str) {
        (self.back, self.draft) = (0, String::new());
        if line.is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    /// The line before the one that is shown, if there is any.
    pub(super) fn older(&mut self, shown: &str) -> Option<String> {
        let at = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.draft = shown.into();
        }
        self.back += 1;
        self.lines.get(at).cloned()
    }

    /// The line behind it, and behind the newest the draft.
    pub(super) fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len() - back).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_back_to_the_oldest_and_forward_to_the_draft() {
        let mut past = Past::default();
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
    fn what_is_old_is_forgotten() {
        let mut past = Past::default();
        (0..=MOST).for_each(|line| past.add(&line.to_string()));
        let oldest = std::iter::from_fn(|| past.older("")).last();
        assert_eq!(oldest.as_deref(), Some("1"));
    }
}
