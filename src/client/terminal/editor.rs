//! The line that is being typed: rustyline in a thread of its own, and what is printed above it.
//!
//! Two threads, because rustyline blocks twice. One is in its call for a line from the beginning to
//! the end (see `keys.rs`). The other hands over what is to be printed, which waits until the first
//! has time for it: the loop never waits for a terminal, and writes a thousand lines as one.
//!
//! The call for a line can't be called off, and the terminal must not be left to a thread that is
//! blocked in it. So it ends itself: in the end it is handed the last text, then the order to stop,
//! which it meets when it draws the prompt again, and unwinds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use mio::Waker;
use rustyline::completion::Completer;
use rustyline::config::BellStyle;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::Validator;
use rustyline::{Changeset, ColorMode, CompletionType, Config, Context, ExternalPrinter, Helper};

use super::borrowed::Borrowed;
use super::keys::{Keyboard, locked};
use crate::client::stdin::Stdin;

type Lines = Sender<io::Result<Vec<u8>>>;
type LineEditor = rustyline::Editor<Front, DefaultHistory>;

const PROMPT: &str = "> ";

/// Bytes that may wait to be printed. A terminal that is stopped for long misses the rest.
const MOST_WAITING: usize = 1024 * 1024;

/// How long the end may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// From one byte of a key's sequence to the next, in milliseconds: without that the escape key
/// alone would wait for another one, and messages with it.
const KEY_PATIENCE: u16 = 50;

/// Changes nothing, and makes the editor draw its prompt again: one line up, and down again.
const NUDGE: &str = "\x1b[A\n";

/// The loop's side of the two threads.
pub(super) struct Editor {
    desk: Arc<Desk>,
}

/// What the threads share.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is to be printed next.
    text: String,
    /// Lines that there was no space for.
    lost: usize,
    /// The prompt stands: from now on one can print above it.
    is_up: bool,
    /// Nothing more comes to be printed.
    is_closing: bool,
    /// Everything is printed; the prompt is not to be drawn again.
    is_last: bool,
    /// The thread with the terminal has given it back.
    is_over: bool,
}

impl Editor {
    /// Takes the terminal. What is typed comes out of the second value.
    ///
    /// # Errors
    /// There is no such terminal, or no thread.
    pub(super) fn start(
        waker: Arc<Waker>,
        names: Arc<Mutex<BTreeSet<String>>>,
        borrowed: Arc<Borrowed>,
    ) -> io::Result<(Self, Stdin)> {
        let (lines, receiver) = channel();
        let desk = Arc::new(Desk::default());
        let config = Config::builder()
            .auto_add_history(false)
            .bell_style(BellStyle::None)
            // The other type waits for the next key, and shows no messages up to it.
            .completion_type(CompletionType::List)
            .color_mode(ColorMode::Forced)
            .keyseq_timeout(Some(KEY_PATIENCE))
            .build();
        let mut editor = LineEditor::with_config(config).map_err(as_io)?;
        let keyboard = Arc::new(Keyboard::new(lines.clone(), Arc::clone(&waker), names, borrowed));
        for (key, handler) in keyboard.bindings() {
            editor.bind_sequence(key, handler);
        }
        editor.set_helper(Some(Front { desk: Arc::clone(&desk), keyboard }));
        let printer = editor.create_external_printer().map_err(as_io)?;
        let [editors, printers] = [Arc::clone(&desk), Arc::clone(&desk)];
        let edit = move || edit(editor, lines, &waker, &editors);
        thread::Builder::new().name("editor".into()).spawn(edit)?;
        let print = move || hand_over(printer, &printers);
        thread::Builder::new().name("printer".into()).spawn(print)?;
        Ok((Self { desk }, Stdin::from(receiver)))
    }

    /// Prints lines above the one that is being typed.
    pub(super) fn print(&self, lines: &str) {
        let mut state = locked(&self.desk.state);
        match state.text.len() + lines.len() {
            0..=MOST_WAITING => state.text.push_str(lines),
            _ => state.lost += lines.matches('\n').count(),
        }
        self.desk.changed.notify_all();
    }

    /// Prints what is left, and takes away the prompt. `false`: it does not come to an end.
    pub(super) fn close(&self) -> bool {
        let mut state = locked(&self.desk.state);
        state.is_closing = true;
        self.desk.changed.notify_all();
        let waited = self.desk.changed.wait_timeout_while(state, PATIENCE, |state| !state.is_over);
        waited.is_ok_and(|(state, _)| state.is_over)
    }
}

impl Desk {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut locked(&self.state));
        self.changed.notify_all();
    }

    /// Waits for something to print; `None` at the end.
    fn next_text(&self) -> Option<String> {
        let has_nothing = |state: &mut State| {
            !state.is_up || (state.text.is_empty() && state.lost == 0 && !state.is_closing)
        };
        let mut state = self.changed.wait_while(locked(&self.state), has_nothing).ok()?;
        let mut text = std::mem::take(&mut state.text);
        match std::mem::take(&mut state.lost) {
            0 => {}
            lost => text.push_str(&format!("* {lost} lines were not shown: the terminal stood\n")),
        }
        (!text.is_empty()).then_some(text)
    }

    fn is_over(&self) -> bool {
        locked(&self.state).is_over
    }
}

/// Hands over what is to be printed. The printer holds one text that the editor has not taken yet:
/// when it takes a second one, the first is on its way to the screen.
fn hand_over(mut printer: impl ExternalPrinter, desk: &Desk) {
    while let Some(text) = desk.next_text() {
        if printer.print(text).is_err() {
            return;
        }
    }
    // An editor that has ended takes none, and needs none.
    let mut nudge = || !desk.is_over() && printer.print(NUDGE.into()).is_ok();
    if nudge() {
        desk.set(|state| state.is_last = true);
        nudge();
    }
}

/// Lets the user type until the end, and gives back the terminal.
fn edit(mut editor: LineEditor, lines: Lines, waker: &Waker, desk: &Desk) {
    let mut read = || editor.readline(PROMPT).map_err(as_io);
    loop {
        match panic::catch_unwind(AssertUnwindSafe(&mut read)) {
            // A byte that is no UTF-8, from a terminal with other settings, costs the line only.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {}
            Ok(Err(error)) if !is_end(&error) => {
                // Without a receiver the loop has ended.
                let _ = lines.send(Err(error));
                break;
            }
            _ => break,
        }
    }
    // The keys have senders too. Without any the input is at its end.
    drop((editor, lines));
    desk.set(|state| (state.is_up, state.is_over) = (true, true));
    // As above.
    let _ = waker.wake();
}

/// An ordinary end: the terminal is gone.
fn is_end(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO) || error.kind() == io::ErrorKind::UnexpectedEof
}

fn as_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        ReadlineError::Errno(error) => error.into(),
        ReadlineError::Eof | ReadlineError::Interrupted => io::ErrorKind::UnexpectedEof.into(),
        error => io::Error::other(error),
    }
}

/// What rustyline calls: for how the line looks, for what it becomes; and where its thread hears
/// that it has ended.
struct Front {
    desk: Arc<Desk>,
    keyboard: Arc<Keyboard>,
}

impl Highlighter for Front {
    /// Pasted text may hold anything. What is left out has no width for rustyline either.
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
        match line.contains(is_harmful) {
            true => line.replace(is_harmful, "").into(),
            false => line.into(),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        let is_last = {
            let mut state = locked(&self.desk.state);
            state.is_up = true;
            state.is_last
        };
        self.desk.changed.notify_all();
        // Where panics abort there is no such way: the terminal is taken from a thread that goes on.
        if is_last && cfg!(panic = "unwind") {
            // Not a panic, so nothing is told about it: rustyline cleans up on the way.
            panic::resume_unwind(Box::new("the end"));
        }
        prompt.into()
    }
}

impl Completer for Front {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        self.keyboard.complete(line, pos, context)
    }

    fn update(&self, line: &mut LineBuffer, from: usize, text: &str, changes: &mut Changeset) {
        self.keyboard.update(line, from, text, changes);
    }
}

impl Helper for Front {}
impl Hinter for Front {
    type Hint = String;
}
impl Validator for Front {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_stands_misses_what_is_too_much_and_is_told_how_much() {
        let editor = Editor { desk: Arc::default() };
        let half = "a\n".repeat(MOST_WAITING / 4);
        (0..3).for_each(|_| editor.print(&half));
        editor.print("b\n");
        editor.desk.set(|state| state.is_up = true);
        let text = editor.desk.next_text().expect("something to print");
        let lost = format!("* {} lines were not shown: the terminal stood\n", MOST_WAITING / 4 + 1);
        assert_eq!(text.strip_prefix(&half.repeat(2)), Some(&*lost));
        editor.print("c\n");
        assert_eq!(editor.desk.next_text().as_deref(), Some("c\n"));
    }
}
