//! The line that is being typed: its text, the cursor, deleted text, and undo.

use std::collections::VecDeque;
use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

/// The most bytes of earlier states that undo keeps.
const MOST_UNDO: usize = 4 * 1024 * 1024;

/// A text with a cursor, which stands between two grapheme clusters.
#[derive(Default)]
pub(super) struct Draft {
    text: String,
    cursor: usize,
    killed: String,
    /// Earlier states for undo, the newest last.
    earlier: VecDeque<(String, usize)>,
    earlier_bytes: usize,
    /// True if the last edit was a typed character. Undo reverts it together with the next one.
    is_typing: bool,
}

impl Draft {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns the text and clears the draft.
    pub(super) fn take(&mut self) -> String {
        (self.cursor, self.is_typing) = (0, false);
        self.earlier.clear();
        self.earlier_bytes = 0;
        std::mem::take(&mut self.text)
    }

    pub(super) fn type_char(&mut self, c: char) {
        let was_typing = self.is_typing;
        self.insert_with(c.encode_utf8(&mut [0; 4]), !was_typing || c == ' ');
        self.is_typing = true;
    }

    pub(super) fn insert(&mut self, text: &str) {
        self.insert_with(text, true);
    }

    fn insert_with(&mut self, text: &str, can_be_undone: bool) {
        if can_be_undone {
            self.save();
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Replaces a part of the text and puts the cursor behind it.
    pub(super) fn replace(&mut self, range: Range<usize>, text: &str) {
        self.save();
        self.cursor = range.start + text.len();
        self.text.replace_range(range, text);
    }

    pub(super) fn replace_all(&mut self, text: &str) {
        self.replace(0..self.text.len(), text);
    }

    fn save(&mut self) {
        self.is_typing = false;
        self.earlier_bytes += self.text.len();
        self.earlier.push_back((self.text.clone(), self.cursor));
        while self.earlier_bytes > MOST_UNDO {
            let oldest = self.earlier.pop_front();
            self.earlier_bytes -= oldest.map_or(self.earlier_bytes, |(text, _)| text.len());
        }
    }

    pub(super) fn undo(&mut self) {
        if let Some((text, cursor)) = self.earlier.pop_back() {
            self.earlier_bytes -= text.len();
            (self.text, self.cursor, self.is_typing) = (text, cursor, false);
        }
    }

    fn delete(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.replace(range, "");
        }
    }

    fn kill(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.killed = self.text[range.clone()].into();
            self.delete(range);
        }
    }

    pub(super) fn delete_left(&mut self) {
        self.delete(self.left_of_cursor()..self.cursor);
    }

    pub(super) fn delete_right(&mut self) {
        self.delete(self.cursor..self.right_of_cursor());
    }

    /// Kills the word left of the cursor up to white space, as shells do.
    pub(super) fn kill_blank_word_left(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + width_at(before, at));
        self.kill(start..self.cursor);
    }

    pub(super) fn kill_word_left(&mut self) {
        self.kill(self.word_left()..self.cursor);
    }

    pub(super) fn kill_word_right(&mut self) {
        self.kill(self.cursor..self.word_right());
    }

    pub(super) fn kill_left(&mut self) {
        self.kill(0..self.cursor);
    }

    pub(super) fn kill_right(&mut self) {
        self.kill(self.cursor..self.text.len());
    }

    pub(super) fn yank(&mut self) {
        if !self.killed.is_empty() {
            let killed = self.killed.clone();
            self.insert(&killed);
        }
    }

    /// Swaps the clusters before and behind the cursor.
    pub(super) fn transpose(&mut self) {
        let middle = match self.right_of_cursor() {
            right if right == self.cursor => self.left_of_cursor(),
            _ => self.cursor,
        };
        let (left, right) = (self.boundary_left(middle), self.boundary_right(middle));
        if left < middle && middle < right {
            let text = [&self.text[middle..right], &self.text[left..middle]].concat();
            self.replace(left..right, &text);
        }
    }

    pub(super) fn go_left(&mut self) {
        self.go(self.left_of_cursor());
    }

    pub(super) fn go_right(&mut self) {
        self.go(self.right_of_cursor());
    }

    pub(super) fn go_word_left(&mut self) {
        self.go(self.word_left());
    }

    pub(super) fn go_word_right(&mut self) {
        self.go(self.word_right());
    }

    /// Moves to the beginning of the line, which may be one of several pasted lines.
    pub(super) fn go_home(&mut self) {
        self.go(self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1));
    }

    pub(super) fn go_end(&mut self) {
        let end =
            self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at);
        self.go(end);
    }

    fn go(&mut self, to: usize) {
        (self.cursor, self.is_typing) = (to, false);
    }

    fn left_of_cursor(&self) -> usize {
        self.boundary_left(self.cursor)
    }

    fn right_of_cursor(&self) -> usize {
        self.boundary_right(self.cursor)
    }

    fn boundary_left(&self, from: usize) -> usize {
        let mut cursor = GraphemeCursor::new(from, self.text.len(), true);
        // This fails only for a text in several pieces.
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn boundary_right(&self, from: usize) -> usize {
        let mut cursor = GraphemeCursor::new(from, self.text.len(), true);
        // As above.
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn word_left(&self) -> usize {
        let words = self.text[..self.cursor].unicode_word_indices();
        words.map(|(at, _)| at).next_back().unwrap_or(0)
    }

    fn word_right(&self) -> usize {
        let mut words = self.text[self.cursor..].unicode_word_indices();
        words.next().map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }
}

fn width_at(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        let mut draft = Draft::default();
        draft.insert(text);
        draft
    }

    #[test]
    fn clusters_are_edited_whole() {
        let mut draft = draft("ae\u{301}👩\u{200d}💻");
        draft.go_left();
        draft.delete_left();
        assert_eq!((draft.text(), draft.cursor()), ("a👩\u{200d}💻", 1));
        draft.delete_right();
        assert_eq!(draft.text(), "a");
        draft.go_right();
        draft.delete_right();
        draft.go_left();
        draft.delete_left();
        assert_eq!((draft.text(), draft.cursor()), ("a", 0));
    }

    #[test]
    fn yank_restores_killed_text() {
        let mut draft = draft("one two\nthree");
        draft.kill_blank_word_left();
        assert_eq!(draft.text(), "one two\n");
        draft.kill_left();
        assert_eq!(draft.text(), "");
        draft.yank();
        assert_eq!(draft.text(), "one two\n");
        draft.go_home();
        draft.go_left();
        draft.go_home();
        assert_eq!(draft.cursor(), 0);
        draft.go_word_right();
        draft.kill_right();
        assert_eq!(draft.text(), "one");
        draft.kill_word_left();
        assert_eq!(draft.text(), "");
    }

    #[test]
    fn undo_reverts_one_edit() {
        let mut draft = Draft::default();
        "hello you".chars().for_each(|c| draft.type_char(c));
        draft.kill_blank_word_left();
        let mut states = Vec::new();
        for _ in 0..4 {
            draft.undo();
            states.push(draft.text().to_owned());
        }
        assert_eq!(states, ["hello you", "hello", "", ""]);
    }

    #[test]
    fn field_f_undo_memory_is_bounded() {
        let mut draft = draft(&"x".repeat(MOST_UNDO / 2));
        (0..10).for_each(|_| draft.delete_left());
        assert!(draft.earlier_bytes <= MOST_UNDO && draft.earlier.len() < 4);
        (0..10).for_each(|_| draft.undo());
        draft.insert(&"y".repeat(MOST_UNDO * 2));
        draft.kill_left();
        draft.undo();
        let bytes: usize = draft.earlier.iter().map(|(text, _)| text.len()).sum();
        assert_eq!(draft.earlier_bytes, bytes);
    }

    #[test]
    fn transpose_swaps_neighbours() {
        let mut draft = draft("ab");
        draft.transpose();
        assert_eq!(draft.text(), "ba");
        draft.go_home();
        draft.transpose();
        assert_eq!(draft.text(), "ba");
    }
}
