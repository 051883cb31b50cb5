//! A conversation on a terminal: what is said, line by line, above the line that is being typed.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `editor.rs` | the line that is being typed, and printing above it |
//! | `keys.rs` | the keys that are ours |
//! | `past.rs` | the lines that were typed before |
//! | `completing.rs` | the tab key |
//! | `people.rs` | who is in the room |
//! | `styling.rs` | colours |
//! | `wrapping.rs` | where a text is cut into lines |
//! | `borrowed.rs` | what the terminal gets back |

mod borrowed;
mod completing;
mod editor;
mod keys;
mod past;
mod people;
mod styling;
mod wrapping;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Instant;

use jiff::Zoned;
use mio::Waker;

use super::options::Entry;
use super::plain::visible;
use super::screen::{self, columns};
use super::stdin::Stdin;
use crate::protocol::Operation;
use crate::protocol::name::is_user_name;
use borrowed::Borrowed;
use editor::Editor;
use people::People;
use styling::Styling;
use wrapping::wrap;

/// The keys that one can't guess; the README tells the rest.
pub(super) const KEYS: &str = "Tab completes commands and names, Up brings back what was typed, \
                               Ctrl-L clears the screen, Ctrl-Z stops, Ctrl-C leaves, as /quit and \
                               /leave do";

/// Where names stand in a column of their own: on terminals that are so wide.
const WIDE: usize = 60;
/// That column.
const NAME_COLUMNS: usize = 10;
/// Text is not squeezed into fewer columns than these.
const LEAST_TEXT: usize = 16;

/// Whether there is a terminal for a conversation: one to type and one to read, that obeys.
pub(super) fn is_there() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    // Those that rustyline does not draw on.
    let is_able = !["", "dumb", "cons25", "emacs"].contains(&&*term);
    is_able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The conversation.
pub(super) struct Conversation {
    /// What was added and is not shown.
    lines: String,
    /// What is added is of now, and gets the time.
    is_now: bool,
    me: String,
    styling: Styling,
    people: People,
    editor: Editor,
    borrowed: Arc<Borrowed>,
    is_closed: bool,
}

impl Conversation {
    /// Takes the terminal. What is typed comes out of the second value.
    ///
    /// # Errors
    /// The terminal does not allow it.
    pub(super) fn start(
        entry: &Entry,
        has_color: bool,
        waker: Arc<Waker>,
    ) -> io::Result<(Self, Stdin)> {
        let people = People::new(&entry.name, entry.operation == Operation::Create);
        let title = format!("{} - reactor-chat", visible(&entry.room));
        let borrowed = Arc::new(Borrowed::new(title)?);
        let (editor, typed) = Editor::start(waker, people.names(), Arc::clone(&borrowed))?;
        let conversation = Self {
            lines: String::new(),
            is_now: true,
            me: entry.name.clone(),
            styling: Styling::new(has_color, &entry.name),
            people,
            editor,
            borrowed,
            is_closed: false,
        };
        Ok((conversation, typed))
    }

    pub(super) fn show_time(&mut self, is_now: bool) {
        self.is_now = is_now;
    }

    pub(super) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        let (name, message) = (shown(name), shown(message));
        self.people.note_speaker(&name);
        let styling = &self.styling;
        let dressed = match styling.is_me(&name) {
            true => |_: &Styling, text: &str| text.to_owned(),
            false => |styling: &Styling, text: &str| styling.mentions(text),
        };
        let label = (columns(&name) + 1, styling.name(&name) + ":");
        let dressed = |text: &str| dressed(styling, text);
        let time = time(self.is_now);
        add(&mut self.lines, styling, &time, label, &message, dressed);
    }

    pub(super) fn add_own(&mut self, message: &str) {
        let name = self.me.clone();
        self.add_message(name.as_bytes(), message.as_bytes());
    }

    /// A message or a notice: no notice holds what stands behind a name in a message. Names hold
    /// none either, so the first one ends the name.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        match text.split_once(": ") {
            Some((name, message)) if is_user_name(name) => {
                self.add_message(name.as_bytes(), message.as_bytes());
            }
            // Not of this protocol.
            Some(_) => self.add_bare(&visible(&text)),
            None => self.add_answer(line),
        }
    }

    fn add_bare(&mut self, text: &str) {
        let (time, label) = (time(self.is_now), (0, String::new()));
        add(&mut self.lines, &self.styling, &time, label, text, str::to_owned);
    }

    pub(super) fn add_notice(&mut self, text: &[u8]) {
        self.add_dimmed("*", &shown(text));
    }

    /// About the client itself.
    pub(super) fn tell(&mut self, text: &str) {
        self.add_dimmed("--", &visible(text));
    }

    fn add_dimmed(&mut self, mark: &str, text: &str) {
        let styling = &self.styling;
        let (time, label) = (time(self.is_now), (columns(mark), styling.dim(mark)));
        add(&mut self.lines, styling, &time, label, text, |text| styling.dim(text));
    }

    pub(super) fn note_event(&mut self, code: u8, name: &[u8]) {
        self.people.note(code, &shown(name));
    }

    pub(super) fn add_answer(&mut self, text: &[u8]) {
        if !self.people.take_answer(&shown(text), Instant::now()) {
            self.add_notice(text);
        }
    }

    pub(super) fn takes_question(&mut self, now: Instant) -> bool {
        self.people.take_question(now)
    }

    pub(super) fn begin_again(&mut self, is_host: bool) {
        self.people.forget(is_host);
    }

    pub(super) fn are_others_our_guests(&self) -> bool {
        self.people.are_hosted_by_us()
    }

    pub(super) fn flush(&mut self) {
        if !self.lines.is_empty() {
            self.editor.print(&std::mem::take(&mut self.lines));
        }
    }

    /// Shows what is left and gives back the terminal.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.flush();
        if !self.editor.close() {
            self.borrowed.put_back_mode();
        }
        self.borrowed.put_back();
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.close();
    }
}

/// The time of now, or a blank that is as wide.
fn time(is_now: bool) -> String {
    match is_now {
        true => Zoned::now().strftime("%H:%M").to_string(),
        false => " ".repeat("HH:MM".len()),
    }
}

/// Adds a line with the time and a label, the text in lines of its own column. The label comes with
/// its width.
fn add(
    lines: &mut String,
    styling: &Styling,
    time: &str,
    (label_columns, label): (usize, String),
    text: &str,
    dressed: impl Fn(&str) -> String,
) {
    let width = screen::width();
    let column = if width >= WIDE { NAME_COLUMNS.max(label_columns) } else { label_columns };
    let before = columns(time) + 1 + column + usize::from(column > 0);
    // One column stays free: terminals differ in what they do after the last one.
    let left = width.saturating_sub(before + 1);
    let (indent, left, is_apart) = match left < LEAST_TEXT {
        true => (2, width.saturating_sub(3).max(1), true),
        false => (before, left, false),
    };
    lines.push_str(&styling.dim(time));
    lines.push_str(&" ".repeat(1 + column - label_columns));
    lines.push_str(&label);
    let mut between = match is_apart {
        true => format!("\n{:indent$}", ""),
        false => " ".repeat(usize::from(column > 0)),
    };
    for line in wrap(text, left) {
        lines.push_str(&between);
        lines.push_str(&dressed(line));
        between = format!("\n{:indent$}", "");
    }
    lines.push('\n');
}

fn shown(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes))
}
