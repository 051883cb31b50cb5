//! Writes stdout or stderr in a thread of its own.
//!
//! A write may block for as long as the reader likes: a pipe may be full, a terminal stopped with
//! Ctrl-S. The event loop must go on meanwhile, or the server would remove us for silence and
//! signals would be ignored. So the loop only adds to a bounded queue.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mio::Waker;

use crate::blocking::write_some;

/// The queue counts as full from this number of bytes on. Callers that can wait do so then.
const FULL: usize = 1 << 20;
/// The most bytes in the queue. Further lines are dropped and counted.
const MOST: usize = 4 << 20;
/// Bytes of one write. A pipe takes this many in one piece (pipe(7), PIPE_BUF), so that lines are
/// not torn if stdout and stderr are the same pipe.
const CHUNK: usize = 4096;

/// A descriptor that the client writes to.
#[derive(Clone, Copy)]
pub(crate) enum WriterTarget {
    Stdout,
    Stderr,
}

/// The event loop's side.
#[derive(Default)]
pub(crate) struct Writer {
    desk: Arc<WriterQueue>,
}

/// State shared by the threads.
#[derive(Default)]
struct WriterQueue {
    state: Mutex<WriterState>,
    changed: Condvar,
}

#[derive(Default)]
struct WriterState {
    waiting: Vec<u8>,
    /// Number of lines dropped since the last one that was queued.
    lost: usize,
    failure: Option<io::Error>,
    has_failed: bool,
}

impl Writer {
    /// Starts the thread. It wakes the loop when the queue is no longer full, and when writing
    /// fails.
    ///
    /// # Errors
    /// The thread can't be started.
    pub(crate) fn start(&self, target: WriterTarget, waker: Arc<Waker>) -> io::Result<()> {
        let desk = Arc::clone(&self.desk);
        let name = match target {
            WriterTarget::Stdout => "stdout",
            WriterTarget::Stderr => "stderr",
        };
        let write = move || desk.write_out(target, &waker);
        thread::Builder::new().name(name.into()).spawn(write).map(drop)
    }

    /// Queues whole lines.
    pub(crate) fn push(&self, lines: &str) {
        let mut state = self.desk.lock();
        if state.has_failed {
            return;
        }
        match state.waiting.len() + lines.len() {
            0..=MOST => {
                state.note_lost();
                state.waiting.extend_from_slice(lines.as_bytes());
            }
            _ => state.lost += lines.matches('\n').count(),
        }
        self.desk.changed.notify_all();
    }

    /// Returns true while no more lines should be queued.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.desk.lock();
        state.waiting.len() >= FULL && !state.has_failed
    }

    /// Returns the error that ended the writing, once.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.desk.lock().failure.take()
    }

    /// Waits until everything is written, for at most `patience` if that is set. Returns the number
    /// of lines left, or 0 if writing has failed.
    pub(crate) fn drain(&self, patience: Option<Duration>) -> usize {
        let is_busy = |state: &mut WriterState| !state.has_failed && !state.waiting.is_empty();
        let mut state = self.desk.lock();
        state.note_lost();
        self.desk.changed.notify_all();
        let state = match patience {
            None => self.desk.changed.wait_while(state, is_busy).ok(),
            Some(patience) => {
                let waited = self.desk.changed.wait_timeout_while(state, patience, is_busy);
                waited.ok().map(|(state, _)| state)
            }
        };
        let left = state.filter(|state| !state.has_failed);
        left.map_or(0, |state| state.waiting.iter().filter(|byte| **byte == b'\n').count())
    }
}

impl WriterState {
    /// Adds a line with the number of dropped lines in their place.
    fn note_lost(&mut self) {
        match std::mem::take(&mut self.lost) {
            0 => {}
            lost => {
                let note = format!("* {lost} lines were not shown, nobody read them\n");
                self.waiting.extend_from_slice(note.as_bytes());
            }
        }
    }
}

impl WriterQueue {
    fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the queue until a write fails.
    fn write_out(&self, target: WriterTarget, waker: &Waker) {
        loop {
            let chunk = self.next_chunk();
            let written = match target {
                WriterTarget::Stdout => write_some(io::stdout(), &chunk),
                WriterTarget::Stderr => write_some(io::stderr(), &chunk),
            };
            let is_over = written.is_err();
            if self.note_written(written) {
                // If the poll is gone, the loop has ended.
                let _ = waker.wake();
            }
            if is_over {
                return;
            }
        }
    }

    /// Waits for bytes and returns a copy. Unwritten bytes stay in the queue, so that they count.
    fn next_chunk(&self) -> Vec<u8> {
        let state = self.changed.wait_while(self.lock(), |state| state.waiting.is_empty());
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let chunk = &state.waiting[..state.waiting.len().min(CHUNK)];
        let end = chunk.iter().rposition(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1);
        chunk[..end].into()
    }

    /// Removes written bytes from the queue. Returns true if the loop should wake.
    fn note_written(&self, written: io::Result<usize>) -> bool {
        let mut state = self.lock();
        let was_full = state.waiting.len() >= FULL;
        match written {
            Ok(size) => drop(state.waiting.drain(..size)),
            Err(error) => (state.failure, state.has_failed) = (Some(error), true),
        }
        self.changed.notify_all();
        state.has_failed || (was_full && state.waiting.len() < FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_c_full_queue_counts_lost_lines() {
        let output = Writer::default();
        let half = "a\n".repeat(MOST / 4);
        output.push(&half);
        assert!(output.is_full());
        output.push(&half);
        output.push("b\nc\n");
        assert_eq!(output.desk.lock().waiting.len(), MOST);
        assert!(!output.desk.note_written(Ok(2)), "it is full still");
        output.desk.lock().waiting.clear();
        output.push("d\n");
        let shown = String::from_utf8(output.desk.next_chunk()).expect("text");
        assert_eq!(shown, "* 2 lines were not shown, nobody read them\nd\n");
        assert_eq!(output.drain(Some(Duration::ZERO)), 2);
    }

    #[test]
    fn field_c_lines_are_written_whole() {
        let output = Writer::default();
        let line = "x".repeat(3000) + "\n";
        output.push(&line.repeat(2));
        assert_eq!(output.desk.next_chunk(), line.as_bytes());
    }

    #[test]
    fn field_c_gone_reader_is_reported_once() {
        let output = Writer::default();
        output.push("a\n");
        assert!(output.desk.note_written(Err(io::ErrorKind::BrokenPipe.into())));
        assert!(output.take_failure().is_some() && output.take_failure().is_none());
        output.push("b\n");
        assert_eq!(output.drain(None), 0, "nothing is waited for");
    }
}
