//! Applies keys to the draft: editing, completion, the line history, and search in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::completion::TabCompletion;
use super::draft::Draft;
use super::input::KeyPress;
use super::line_history::LineHistory;
use super::pasted_slashes::PastedSlashes;
use crate::sanitize::visible;
use crate::stdin::InputLine;

const PROMPT: &str = "> ";

/// The action that a key requests from the editor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    /// Only draw.
    Draw,
    /// Send these lines.
    Send(Vec<InputLine>),
    /// Leave the room.
    Leave,
    /// Stop the program (Ctrl-Z).
    Stop,
    ClearScreen,
}

/// The draft, and the state of completion, history and search.
pub(super) struct Keyboard {
    names: Arc<Mutex<BTreeSet<String>>>,
    draft: Draft,
    past: LineHistory,
    pasted: PastedSlashes,
    completing: TabCompletion,
    search: Option<Search>,
}

/// A search in the line history.
#[derive(Default)]
struct Search {
    part: String,
    /// The found line and its index.
    found: Option<(usize, String)>,
    has_failed: bool,
}

impl Keyboard {
    /// Starts with an empty draft. `names` are candidates for completion.
    pub(super) fn new(names: Arc<Mutex<BTreeSet<String>>>) -> Self {
        Self {
            names,
            draft: Draft::default(),
            past: LineHistory::default(),
            pasted: PastedSlashes::default(),
            completing: TabCompletion::default(),
            search: None,
        }
    }

    pub(super) fn prompt(&self) -> String {
        match &self.search {
            None => PROMPT.into(),
            Some(search) => {
                let outcome = if search.has_failed { "nothing older has" } else { "search" };
                format!("({outcome} '{}') ", visible(&search.part))
            }
        }
    }

    /// Returns the text behind the prompt, and the cursor in it.
    pub(super) fn text(&self) -> (&str, usize) {
        match self.search.as_ref().and_then(|search| search.found.as_ref()) {
            Some((_, line)) => (line, line.len()),
            None => (self.draft.text(), self.draft.cursor()),
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.accept_found();
        self.pasted.begin(&self.draft.text()[..self.draft.cursor()]);
        self.draft.insert(text);
        self.pasted.note_line(self.draft.text());
    }

    pub(super) fn press(&mut self, key: KeyPress) -> KeyAction {
        if self.search.is_some() {
            if self.search_on(key) {
                return KeyAction::Draw;
            }
            self.accept_found();
        }
        let deed = self.act(key);
        self.pasted.note_line(self.draft.text());
        deed
    }

    fn act(&mut self, key: KeyPress) -> KeyAction {
        match key {
            KeyPress::Enter => return self.say(),
            KeyPress::Ctrl('C' | '\\') => return KeyAction::Leave,
            KeyPress::Ctrl('D') if self.draft.text().is_empty() => return KeyAction::Leave,
            KeyPress::Ctrl('Z') => return KeyAction::Stop,
            KeyPress::Ctrl('L') => return KeyAction::ClearScreen,
            KeyPress::Ctrl('R') => self.search = Some(Search::default()),
            KeyPress::Up | KeyPress::Ctrl('P') => self.show(|past, shown| past.older(shown)),
            KeyPress::Down | KeyPress::Ctrl('N') => self.show(|past, _| past.newer()),
            KeyPress::Tab => self.complete(true),
            KeyPress::BackTab => self.complete(false),
            key => edit(&mut self.draft, key),
        }
        KeyAction::Draw
    }

    /// Sends the draft, line by line. Only a paste contains line ends, so all text behind the first
    /// one is pasted.
    fn say(&mut self) -> KeyAction {
        let text = self.draft.take();
        let is_typed = !self.pasted.brought_the_slash();
        match is_typed {
            true => self.past.add(&text),
            // A recalled line counts as typed, so a pasted slash is doubled to keep its meaning.
            false => self.past.add(&format!("/{}", text.trim_start())),
        }
        let line = |(place, line): (usize, &str)| InputLine {
            bytes: line.into(),
            may_command: is_typed && place == 0,
        };
        KeyAction::Send(text.split('\n').enumerate().map(line).collect())
    }

    fn show(&mut self, step: impl FnOnce(&mut LineHistory, &str) -> Option<String>) {
        if let Some(line) = step(&mut self.past, self.draft.text()) {
            self.draft.replace_all(&line);
        }
    }

    fn complete(&mut self, is_forward: bool) {
        let cursor = self.draft.cursor();
        let before = &self.draft.text()[..cursor];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let next = self.completing.next(&before[start..], &locked(&self.names), is_forward);
        if let Some(text) = next {
            self.draft.replace(start..cursor, &text);
        }
    }

    /// Returns false if the key ends the search and has its usual effect.
    fn search_on(&mut self, key: KeyPress) -> bool {
        let Some(search) = &mut self.search else { return false };
        match key {
            KeyPress::Char(c) => {
                search.part.push(c);
                search.look(&self.past, 0);
            }
            KeyPress::Backspace => {
                search.part.pop();
                search.look(&self.past, 0);
            }
            KeyPress::Ctrl('R') => {
                let place = search.found.as_ref().map_or(0, |(place, _)| *place);
                search.look(&self.past, place);
            }
            KeyPress::Ctrl('C' | 'G') => self.search = None,
            KeyPress::Escape => self.accept_found(),
            _ => return false,
        }
        true
    }

    fn accept_found(&mut self) {
        if let Some((_, line)) = self.search.take().and_then(|search| search.found) {
            self.draft.replace_all(&line);
        }
    }
}

impl Search {
    fn look(&mut self, past: &LineHistory, place: usize) {
        if self.part.is_empty() {
            (self.found, self.has_failed) = (None, false);
            return;
        }
        match past.find(&self.part, place) {
            Some((place, line)) => {
                (self.found, self.has_failed) = (Some((place, line.into())), false);
            }
            None => self.has_failed = true,
        }
    }
}

fn edit(draft: &mut Draft, key: KeyPress) {
    match key {
        KeyPress::Char(c) => draft.type_char(c),
        KeyPress::Backspace => draft.delete_left(),
        KeyPress::Delete | KeyPress::Ctrl('D') => draft.delete_right(),
        KeyPress::Left | KeyPress::Ctrl('B') => draft.go_left(),
        KeyPress::Right | KeyPress::Ctrl('F') => draft.go_right(),
        KeyPress::WordLeft | KeyPress::Alt('b' | 'B') => draft.go_word_left(),
        KeyPress::WordRight | KeyPress::Alt('f' | 'F') => draft.go_word_right(),
        KeyPress::Home | KeyPress::Ctrl('A') => draft.go_home(),
        KeyPress::End | KeyPress::Ctrl('E') => draft.go_end(),
        KeyPress::Ctrl('W') => draft.kill_blank_word_left(),
        KeyPress::AltBackspace => draft.kill_word_left(),
        KeyPress::Alt('d' | 'D') => draft.kill_word_right(),
        KeyPress::Ctrl('U') => draft.kill_left(),
        KeyPress::Ctrl('K') => draft.kill_right(),
        KeyPress::Ctrl('Y') => draft.yank(),
        KeyPress::Ctrl('T') => draft.transpose(),
        KeyPress::Ctrl('_') => draft.undo(),
        _ => {}
    }
}

/// Locks a mutex. A panic in another thread leaves these plain values valid.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, may_command: bool) -> InputLine {
        InputLine { bytes: text.into(), may_command }
    }

    fn keyboard(said: &[&str]) -> Keyboard {
        let mut keyboard = Keyboard::new(Arc::default());
        for text in said {
            type_text(&mut keyboard, text);
            assert_eq!(keyboard.press(KeyPress::Enter), KeyAction::Send(vec![line(text, true)]));
        }
        keyboard
    }

    fn type_text(keyboard: &mut Keyboard, text: &str) {
        for c in text.chars() {
            assert_eq!(keyboard.press(KeyPress::Char(c)), KeyAction::Draw);
        }
    }

    #[test]
    fn field_m_search_ends_with_line_or_draft() {
        let mut keyboard = keyboard(&["apples", "pears", "apple pie"]);
        type_text(&mut keyboard, "draft");
        keyboard.press(KeyPress::Ctrl('R'));
        type_text(&mut keyboard, "appl");
        assert_eq!((&*keyboard.prompt(), keyboard.text().0), ("(search 'appl') ", "apple pie"));
        keyboard.press(KeyPress::Ctrl('R'));
        assert_eq!(keyboard.text().0, "apples");
        keyboard.press(KeyPress::Ctrl('R'));
        assert_eq!(keyboard.prompt(), "(nothing older has 'appl') ");
        keyboard.press(KeyPress::Ctrl('C'));
        assert_eq!((&*keyboard.prompt(), keyboard.text()), (PROMPT, ("draft", 5)));
        keyboard.press(KeyPress::Ctrl('R'));
        type_text(&mut keyboard, "pear");
        keyboard.press(KeyPress::Backspace);
        keyboard.press(KeyPress::Home);
        assert_eq!(keyboard.text(), ("pears", 0));
        keyboard.press(KeyPress::Ctrl('R'));
        type_text(&mut keyboard, "pie");
        assert_eq!(keyboard.press(KeyPress::Enter), KeyAction::Send(vec![line("apple pie", true)]));
    }

    #[test]
    fn enter_sends_all_pasted_lines() {
        let mut keyboard = keyboard(&[]);
        keyboard.paste("one\ntwo");
        assert_eq!(
            keyboard.press(KeyPress::Enter),
            KeyAction::Send(vec![line("one", true), line("two", false)])
        );
        assert_eq!(keyboard.text(), ("", 0));
        keyboard.press(KeyPress::Up);
        assert_eq!(keyboard.text(), ("one\ntwo", 7));
    }

    #[test]
    fn field_d_pasted_slash_is_data() {
        let mut keyboard = keyboard(&[]);
        keyboard.paste("/exit\n/exit");
        let pasted = KeyAction::Send(vec![line("/exit", false), line("/exit", false)]);
        assert_eq!(keyboard.press(KeyPress::Enter), pasted);
        keyboard.press(KeyPress::Up);
        assert_eq!(keyboard.text().0, "//exit\n/exit");
        keyboard.press(KeyPress::Ctrl('U'));
        type_text(&mut keyboard, "/kick ");
        keyboard.paste("bob");
        assert_eq!(keyboard.press(KeyPress::Enter), KeyAction::Send(vec![line("/kick bob", true)]));
        keyboard.paste(" /exit");
        assert_eq!(keyboard.press(KeyPress::Enter), KeyAction::Send(vec![line(" /exit", false)]));
    }

    #[test]
    fn ctrl_d_leaves_on_empty_line() {
        let mut keyboard = keyboard(&[]);
        type_text(&mut keyboard, "x");
        assert_eq!(keyboard.press(KeyPress::Ctrl('D')), KeyAction::Draw);
        keyboard.press(KeyPress::Home);
        assert_eq!(keyboard.press(KeyPress::Ctrl('D')), KeyAction::Draw);
        assert_eq!(keyboard.press(KeyPress::Ctrl('D')), KeyAction::Leave);
    }
}
