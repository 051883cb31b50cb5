//! The keys that are ours: those that end a line, leave, complete, and go through the past.
//!
//! rustyline's call for a line never returns while the conversation goes on: a line that is ended
//! is taken out of the editor here, and the editor goes on with an empty one. So what is typed is
//! gone from the screen at once, whatever rows it took, and no message finds the terminal between
//! two modes.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;
use rustyline::completion::Completer;
use rustyline::line_buffer::LineBuffer;
use rustyline::{
    Changeset, Cmd, ConditionalEventHandler, Context, Event, EventContext, EventHandler, KeyCode,
    KeyEvent, Modifiers, Movement, RepeatCount,
};

use super::borrowed::Borrowed;
use super::completing::Completing;
use super::past::Past;
use crate::client::EXIT;

/// What a key does.
#[derive(Clone, Copy)]
enum Deed {
    Say,
    Leave,
    LeaveIfEmpty,
    Stop,
    Older,
    Newer,
    Complete { is_forward: bool },
}

/// What all keys share.
pub(super) struct Keyboard {
    lines: Sender<io::Result<Vec<u8>>>,
    waker: Arc<Waker>,
    names: Arc<Mutex<BTreeSet<String>>>,
    borrowed: Arc<Borrowed>,
    past: Mutex<Past>,
    completing: Mutex<Completing>,
    /// What the line becomes, on the way from a key to rustyline.
    replacement: Mutex<Option<Replacement>>,
}

/// What a part of the line, or all of it, becomes.
struct Replacement {
    text: String,
    what: Part,
}

#[derive(Clone, Copy)]
enum Part {
    /// From this byte up to the cursor.
    From(usize),
    Whole,
}

impl Keyboard {
    /// What is typed goes to `lines`; `names` may be completed.
    pub(super) fn new(
        lines: Sender<io::Result<Vec<u8>>>,
        waker: Arc<Waker>,
        names: Arc<Mutex<BTreeSet<String>>>,
        borrowed: Arc<Borrowed>,
    ) -> Self {
        Self {
            lines,
            waker,
            names,
            borrowed,
            past: Mutex::default(),
            completing: Mutex::default(),
            replacement: Mutex::default(),
        }
    }

    /// Every key that has a deed; those that delete more than rustyline has them do, which stays in
    /// one of several pasted lines; and those that would wait for a second key: up to that one it
    /// shows no messages.
    pub(super) fn bindings(self: &Arc<Self>) -> Vec<(KeyEvent, EventHandler)> {
        let key = |code| KeyEvent(code, Modifiers::NONE);
        let deeds = [
            (key(KeyCode::Enter), Deed::Say),
            (KeyEvent::ctrl('J'), Deed::Say),
            (KeyEvent::ctrl('C'), Deed::Leave),
            (KeyEvent::ctrl('\\'), Deed::Leave),
            (KeyEvent::ctrl('D'), Deed::LeaveIfEmpty),
            (KeyEvent::ctrl('Z'), Deed::Stop),
            (key(KeyCode::Up), Deed::Older),
            (KeyEvent::ctrl('P'), Deed::Older),
            (key(KeyCode::Down), Deed::Newer),
            (KeyEvent::ctrl('N'), Deed::Newer),
            (key(KeyCode::Tab), Deed::Complete { is_forward: true }),
            (key(KeyCode::BackTab), Deed::Complete { is_forward: false }),
        ];
        let bind = |(key, deed)| {
            let key_with_deed = Key { deed, keyboard: Arc::clone(self) };
            (key, EventHandler::Conditional(Box::new(key_with_deed)))
        };
        let silent = ['R', 'S', 'Q', 'V', 'X', ']'].map(KeyEvent::ctrl).into_iter();
        let silent = silent.chain([KeyEvent(KeyCode::Char(']'), Modifiers::CTRL_ALT)]);
        let silent = silent.map(|key| (key, EventHandler::Simple(Cmd::Noop)));
        let kills = [('U', Movement::BeginningOfBuffer), ('K', Movement::EndOfBuffer)];
        let kills = kills
            .into_iter()
            .map(|(key, what)| (KeyEvent::ctrl(key), EventHandler::Simple(Cmd::Kill(what))));
        deeds.into_iter().map(bind).chain(kills).chain(silent).collect()
    }

    /// Sends what was typed, or pasted: each line of it is one.
    fn say(&self, text: &str) -> Cmd {
        locked(&self.past).add(text);
        text.split('\n').for_each(|line| self.send(line));
        Cmd::Kill(Movement::WholeBuffer)
    }

    fn send(&self, line: &str) {
        // Without a receiver, or a poll to wake, the loop has ended.
        let _ = self.lines.send(Ok(line.into()));
        let _ = self.waker.wake();
    }

    fn complete_word(&self, line: &str, pos: usize, is_forward: bool) -> Cmd {
        let start = line[..pos].rfind('\n').map_or(0, |at| at + 1);
        let completed =
            locked(&self.completing).next(&line[start..pos], &locked(&self.names), is_forward);
        self.replace(Part::From(start), completed)
    }

    /// rustyline's own command for this leaves the cursor before the text. Completing puts it behind,
    /// so that is how any text comes into the line.
    fn replace(&self, what: Part, text: Option<String>) -> Cmd {
        let replacement = text.map(|text| Replacement { text, what });
        let cmd = if replacement.is_some() { Cmd::Complete } else { Cmd::Noop };
        *locked(&self.replacement) = replacement;
        cmd
    }
}

impl Completer for Keyboard {
    type Candidate = String;

    fn complete(
        &self,
        _: &str,
        _: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let replacement = locked(&self.replacement);
        let from = match replacement.as_ref().map(|replacement| replacement.what) {
            Some(Part::From(at)) => at,
            Some(Part::Whole) | None => 0,
        };
        Ok((from, replacement.iter().map(|replacement| replacement.text.clone()).collect()))
    }

    fn update(&self, line: &mut LineBuffer, from: usize, text: &str, changes: &mut Changeset) {
        let replacement = locked(&self.replacement).take();
        let is_whole =
            replacement.is_some_and(|replacement| matches!(replacement.what, Part::Whole));
        let to = if is_whole { line.len() } else { line.pos() };
        line.replace(from..to, text, changes);
    }
}

/// One key.
struct Key {
    deed: Deed,
    keyboard: Arc<Keyboard>,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, typed: &EventContext<'_>) -> Option<Cmd> {
        let keyboard = &self.keyboard;
        let show = |line| keyboard.replace(Part::Whole, line);
        Some(match self.deed {
            Deed::Say => keyboard.say(typed.line()),
            Deed::Leave => {
                keyboard.send(EXIT);
                Cmd::Noop
            }
            Deed::LeaveIfEmpty if typed.line().is_empty() => {
                keyboard.send(EXIT);
                Cmd::Noop
            }
            Deed::LeaveIfEmpty => return None,
            Deed::Stop => {
                // A terminal that is gone is noticed by the next one who reads from it.
                let _ = keyboard.borrowed.stop();
                Cmd::Repaint
            }
            Deed::Older => show(locked(&keyboard.past).older(typed.line())),
            Deed::Newer => show(locked(&keyboard.past).newer()),
            Deed::Complete { is_forward } => {
                keyboard.complete_word(typed.line(), typed.pos(), is_forward)
            }
        })
    }
}

/// The threads share plain values: they are whole whoever has panicked.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
