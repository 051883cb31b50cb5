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
use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, KeyCode, KeyEvent, Modifiers,
    Movement, RepeatCount,
};

use super::completing::Completing;
use super::past::Past;
use crate::client::EXIT;

/// What a key does.
#[derive(Clone, Copy)]
enum Deed {
    Say,
    Leave,
    LeaveIfEmpty,
    Older,
    Newer,
    Complete { is_forward: bool },
}

/// What all keys share.
pub(super) struct Keyboard {
    lines: Sender<io::Result<Vec<u8>>>,
    waker: Arc<Waker>,
    names: Arc<Mutex<BTreeSet<String>>>,
    past: Mutex<Past>,
    completing: Mutex<Completing>,
}

impl Keyboard {
    /// What is typed goes to `lines`; `names` may be completed.
    pub(super) fn new(
        lines: Sender<io::Result<Vec<u8>>>,
        waker: Arc<Waker>,
        names: Arc<Mutex<BTreeSet<String>>>,
    ) -> Self {
        Self { lines, waker, names, past: Mutex::default(), completing: Mutex::default() }
    }

    /// Every key that has a deed, and those that would wait for a second key: up to that one
    /// rustyline shows no messages.
    pub(super) fn bindings(self) -> Vec<(KeyEvent, EventHandler)> {
        let keyboard = Arc::new(self);
        let key = |code| KeyEvent(code, Modifiers::NONE);
        let deeds = [
            (key(KeyCode::Enter), Deed::Say),
            (KeyEvent::ctrl('J'), Deed::Say),
            (KeyEvent::ctrl('C'), Deed::Leave),
            (KeyEvent::ctrl('\\'), Deed::Leave),
            (KeyEvent::ctrl('D'), Deed::LeaveIfEmpty),
            (key(KeyCode::Up), Deed::Older),
            (KeyEvent::ctrl('P'), Deed::Older),
            (key(KeyCode::Down), Deed::Newer),
            (KeyEvent::ctrl('N'), Deed::Newer),
            (key(KeyCode::Tab), Deed::Complete { is_forward: true }),
            (key(KeyCode::BackTab), Deed::Complete { is_forward: false }),
        ];
        let bind = |(key, deed)| {
            let key_with_deed = Key { deed, keyboard: Arc::clone(&keyboard) };
            (key, EventHandler::Conditional(Box::new(key_with_deed)))
        };
        let silent = ['R', 'S', 'Q', 'V', 'X', ']'].map(KeyEvent::ctrl).into_iter();
        let silent = silent.chain([KeyEvent(KeyCode::Char(']'), Modifiers::CTRL_ALT)]);
        let silent = silent.map(|key| (key, EventHandler::Simple(Cmd::Noop)));
        deeds.into_iter().map(bind).chain(silent).collect()
    }

    /// Sends what was typed, or pasted: each line of it is one.
    fn say(&self, text: &str) -> Cmd {
        locked(&self.past).add(text);
        text.split('\n').for_each(|line| self.send(line));
        replace(Movement::WholeBuffer, String::new())
    }

    fn send(&self, line: &str) {
        // Without a receiver, or a poll to wake, the loop has ended.
        let _ = self.lines.send(Ok(line.into()));
        let _ = self.waker.wake();
    }

    fn complete(&self, line: &str, is_forward: bool) -> Cmd {
        let names = locked(&self.names);
        match locked(&self.completing).next(line, &names, is_forward) {
            Some(completed) => replace(Movement::BeginningOfLine, completed),
            None => Cmd::Noop,
        }
    }
}

/// One key.
struct Key {
    deed: Deed,
    keyboard: Arc<Keyboard>,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, typed: &EventContext<'_>) -> Option<Cmd> {
        let show = |line: Option<String>| {
            line.map_or(Cmd::Noop, |line| replace(Movement::WholeBuffer, line))
        };
        Some(match self.deed {
            Deed::Say => self.keyboard.say(typed.line()),
            Deed::Leave => {
                self.keyboard.send(EXIT);
                Cmd::Noop
            }
            Deed::LeaveIfEmpty if typed.line().is_empty() => {
                self.keyboard.send(EXIT);
                Cmd::Noop
            }
            Deed::LeaveIfEmpty => return None,
            Deed::Older => show(locked(&self.keyboard.past).older(typed.line())),
            Deed::Newer => show(locked(&self.keyboard.past).newer()),
            Deed::Complete { is_forward } => {
                let before = &typed.line()[..typed.pos()];
                let line = before.rsplit('\n').next().unwrap_or_default();
                self.keyboard.complete(line, is_forward)
            }
        })
    }
}

fn replace(what: Movement, text: String) -> Cmd {
    Cmd::Replace(what, Some(text))
}

/// The threads share plain values: they are whole whoever has panicked.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
