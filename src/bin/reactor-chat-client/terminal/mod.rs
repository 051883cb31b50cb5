//! A conversation on a terminal: messages and notices above the line that is being typed.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `editor.rs` | the thread that has the terminal |
//! | `input.rs` | its bytes: keys, pasted text, the focus |
//! | `keys.rs` | what keys do |
//! | `draft.rs` | the line that is being typed |
//! | `line_history.rs` | the lines that were typed before |
//! | `pasted_slashes.rs` | which slashes were pasted |
//! | `completion.rs` | the tab key |
//! | `prompt.rs` | the prompt on the screen |
//! | `lines.rs` | the room's lines above it |
//! | `wrap.rs` | where a text is cut into lines |
//! | `style.rs` | colours |
//! | `roster.rs` | who is in the room |
//! | `guard.rs` | the state of the terminal, restored at the end |

mod completion;
mod draft;
mod editor;
mod guard;
mod input;
mod keys;
mod line_history;
mod lines;
mod pasted_slashes;
mod prompt;
mod roster;
mod style;
mod wrap;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Instant;

use jiff::Zoned;
use mio::Waker;

use crate::options::ChatOptions;
use crate::panic;
use crate::sanitize::visible;
use crate::stdin::Stdin;
use editor::{Editor, Update};
use guard::TerminalGuard;
use lines::{Days, Label, RoomLine};
use reactor_chat::protocol::Operation;
use reactor_chat::protocol::members::parse_members;
use reactor_chat::protocol::name::is_user_name;
use roster::Roster;
use style::Style;

/// The keys that are hard to guess. MANUAL.md has the rest.
pub(super) const KEYS: &str = "Tab completes commands and names, Up brings back what was typed, \
                               Ctrl-R searches it, Ctrl-L clears the screen, Ctrl-Z stops, Ctrl-C leaves, as /quit and \
                               /leave do";

/// Marks the first message that came while the window had no focus.
const NEW: &str = "new --";

/// Returns true if stdin and stdout are a terminal with escape sequences.
pub(super) fn is_there() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    // Terminals without escape sequences.
    let is_able = !["", "dumb", "cons25", "emacs"].contains(&&*term);
    is_able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The conversation.
pub(super) struct Conversation {
    /// Lines that are not shown yet.
    lines: Vec<RoomLine>,
    /// True if the lines that follow are current, and so have a time.
    is_now: bool,
    days: Days,
    /// Our own lines that the server has not accepted yet.
    waiting: Vec<String>,
    /// Number of typed lines that were read since the last flush.
    taken: usize,
    me: String,
    style: Arc<Style>,
    wants_bell: bool,
    is_mentioned: bool,
    roster: Roster,
    editor: Editor,
    guard: Arc<TerminalGuard>,
    is_closed: bool,
}

impl Conversation {
    /// Takes over the terminal. The second value returns the typed lines.
    ///
    /// # Errors
    /// The terminal can't be switched to raw mode, or a thread can't be started.
    pub(super) fn start(
        options: &ChatOptions,
        has_color: bool,
        waker: Arc<Waker>,
    ) -> io::Result<(Self, Stdin)> {
        let roster = Roster::new(&options.name, options.operation == Operation::Create);
        let title = format!("{} - reactor-chat", visible(&options.room));
        let guard = Arc::new(TerminalGuard::new(title)?);
        let of_crash = Arc::clone(&guard);
        panic::first_on_panic(move || of_crash.put_back());
        let style = Arc::new(Style::new(has_color, &options.name));
        let (editor, typed) =
            Editor::start(waker, roster.names(), Arc::clone(&guard), Arc::clone(&style))?;
        let conversation = Self {
            lines: Vec::new(),
            is_now: true,
            days: Days::default(),
            waiting: Vec::new(),
            taken: 0,
            me: options.name.clone(),
            style,
            wants_bell: options.wants_bell,
            is_mentioned: false,
            roster,
            editor,
            guard,
            is_closed: false,
        };
        Ok((conversation, typed))
    }

    pub(super) fn show_time(&mut self, is_now: bool) {
        self.is_now = is_now;
    }

    pub(super) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        let (name, message) = (shown(name), shown(message));
        self.roster.note_speaker(&name);
        if self.is_now && !self.style.is_me(&name) {
            self.is_mentioned |= self.style.is_mentioned(&message);
            if self.editor.takes_mark() {
                self.add(Label::Mark("--"), NEW.into());
            }
        }
        self.add(Label::Name(name), message);
    }

    pub(super) fn add_own(&mut self, message: &str) {
        let name = self.me.clone();
        self.add_message(name.as_bytes(), message.as_bytes());
    }

    /// Adds a message or a notice. Notices never contain the `: ` that follows a name in a message.
    /// Names do not either, so the first one ends the name.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        match text.split_once(": ") {
            Some((name, message)) if is_user_name(name) => {
                self.add_message(name.as_bytes(), message.as_bytes());
            }
            // Not a line of this protocol.
            Some(_) => self.add(Label::Nothing, visible(&text)),
            None => self.add_notice(line),
        }
    }

    pub(super) fn add_notice(&mut self, text: &[u8]) {
        self.add(Label::Mark("*"), shown(text));
    }

    /// Adds a line about the client itself.
    pub(super) fn notify(&mut self, text: &str) {
        self.add(Label::Mark("--"), visible(text));
    }

    fn add(&mut self, label: Label, text: String) {
        let mut time = String::new();
        if self.is_now {
            let now = Zoned::now();
            time = now.strftime("%H:%M").to_string();
            self.lines.extend(self.days.note(&now));
        }
        self.lines.push(RoomLine { time, label, text });
    }

    /// Notes that a typed line was read.
    pub(super) fn note_taken(&mut self) {
        self.taken += 1;
    }

    /// Shows these lines below the others until the server accepts them.
    pub(super) fn show_waiting(&mut self, lines: impl Iterator<Item = String>) {
        self.waiting = lines.map(|line| visible(&line)).collect();
    }

    pub(super) fn note_event(&mut self, code: u8, name: &[u8]) {
        self.roster.note(code, &shown(name));
    }

    pub(super) fn note_members(&mut self, text: &[u8]) {
        if let Some(list) = str::from_utf8(text).ok().and_then(parse_members) {
            self.roster.learn(&list);
        }
    }

    pub(super) fn wants_members(&mut self, now: Instant) -> bool {
        self.roster.take_question(now)
    }

    pub(super) fn begin_again(&mut self, is_host: bool) {
        self.roster.forget(is_host);
    }

    pub(super) fn may_have_guests(&self, knows_others: bool) -> bool {
        self.roster.may_be_hosted_by_us(knows_others)
    }

    /// Passes all changes to the editor at once, so that an accepted line never shows twice.
    pub(super) fn flush(&mut self) {
        let update = Update {
            lines: std::mem::take(&mut self.lines),
            waiting: self.waiting.clone(),
            taken: std::mem::take(&mut self.taken),
            rings: std::mem::take(&mut self.is_mentioned) && self.wants_bell,
        };
        self.editor.update(update);
    }

    /// Shows the last lines and restores the terminal.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.flush();
        self.editor.close();
        self.guard.put_back();
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.close();
    }
}

fn shown(bytes: &[u8]) -> String {
    visible(&String::from_utf8_lossy(bytes))
}
