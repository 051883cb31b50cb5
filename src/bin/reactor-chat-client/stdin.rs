//! The thread that reads lines from stdin.
//!
//! stdin can't be in the poll: epoll refuses regular files (epoll_ctl(2), EPERM), and a
//! non-blocking terminal would be non-blocking for every program that shares it. So a thread blocks
//! in read(2), and passes its lines through a channel and a [`Waker`]. The end of the program does
//! not wait for it, because it may be blocked for ever.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;

use crate::blocking::BlockingReader;
use reactor_chat::protocol::command::is_exit;
use reactor_chat::protocol::datagram::MAX_UPSTREAM;

/// Other chat programs have these words for `/exit`. Servers do not know them, so we send `/exit`.
const OTHER_EXITS: [&str; 2] = ["/quit", "/leave"];

/// The most lines that wait for the loop. Then the thread blocks, and in turn the writer of the
/// pipe. So endless input uses no more memory than this.
const WAITING_LINES: usize = 64;

/// The most bytes of a line that are kept. A longer line can't be sent, and what is left of it here
/// is still too long.
const LONGEST_LINE: usize = MAX_UPSTREAM + "\r\n".len();

/// After a pause of this length in the input, counting stops.
const QUIET: Duration = Duration::from_millis(50);
/// The longest time for counting, because input may be endless.
const COUNTING: Duration = Duration::from_millis(500);

/// A line of the input, without its line end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputLine {
    pub(crate) bytes: Vec<u8>,
    /// True if a line that begins with `/` is a command. Otherwise the line is data and is sent
    /// byte for byte: a pipe or a paste may hold text that strangers wrote.
    pub(crate) may_command: bool,
}

/// The outcome of [`Stdin::take`].
pub(crate) enum TakeOutcome {
    /// A line.
    Taken(InputLine),
    /// There is no line yet.
    Drained,
    /// The end of the input.
    Ended,
    /// The input failed.
    Failed(io::Error),
}

/// The event loop's end of the channel.
pub(crate) struct Stdin {
    lines: Receiver<io::Result<InputLine>>,
    is_ready: bool,
}

impl From<Receiver<io::Result<InputLine>>> for Stdin {
    /// Wraps the lines of the line editor's thread.
    fn from(lines: Receiver<io::Result<InputLine>>) -> Self {
        Self { lines, is_ready: false }
    }
}

impl Stdin {
    /// Starts the thread. Its lines are commands only if `may_command`. The thread wakes the poll
    /// at the end of the input and then ends. The poll must hold the waker too, because epoll drops
    /// the event of a closed descriptor (epoll(7)).
    pub(crate) fn read(may_command: bool, waker: Arc<Waker>) -> io::Result<Self> {
        let (sender, lines) = sync_channel(WAITING_LINES);
        let send = move || send_lines(may_command, sender, &waker);
        thread::Builder::new().name("stdin".into()).spawn(send)?;
        Ok(Self::from(lines))
    }

    /// Returns an input that has ended already.
    pub(crate) fn none() -> Self {
        let (_, lines) = sync_channel(0);
        Self { lines, is_ready: false }
    }

    pub(crate) fn note_ready(&mut self) {
        self.is_ready = true;
    }

    pub(crate) fn has_input(&self) -> bool {
        self.is_ready
    }

    /// Takes the next line.
    pub(crate) fn take(&mut self) -> TakeOutcome {
        if !self.is_ready {
            return TakeOutcome::Drained;
        }
        match self.lines.try_recv() {
            Ok(Ok(line)) => TakeOutcome::Taken(line),
            Ok(Err(error)) => TakeOutcome::Failed(error),
            Err(TryRecvError::Disconnected) => {
                self.is_ready = false;
                TakeOutcome::Ended
            }
            Err(TryRecvError::Empty) => {
                self.is_ready = false;
                TakeOutcome::Drained
            }
        }
    }
}

/// The lines left in the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) lines: usize,
    /// True if there may be more.
    pub(crate) is_cut: bool,
}

impl Stdin {
    /// Counts the remaining lines that are already written.
    pub(crate) fn count_rest(&mut self) -> Rest {
        let end = Instant::now() + COUNTING;
        let mut rest = Rest { lines: 0, is_cut: false };
        while !rest.is_cut {
            match self.lines.recv_timeout(QUIET) {
                Ok(Ok(line)) => rest.lines += usize::from(line.is_something_to_say()),
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                    break;
                }
            }
            rest.is_cut = Instant::now() >= end;
        }
        rest
    }
}

impl InputLine {
    /// Returns false for an empty line and for one that leaves the room.
    fn is_something_to_say(&self) -> bool {
        let leaves = || self.may_command && str::from_utf8(&self.bytes).is_ok_and(is_leave_command);
        !self.bytes.is_empty() && !leaves()
    }
}

/// Returns true if a typed line leaves the room.
pub(crate) fn is_leave_command(line: &str) -> bool {
    let word = line.trim();
    is_exit(line) || OTHER_EXITS.iter().any(|exit| word.eq_ignore_ascii_case(exit))
}

/// Sends all lines to the loop, and wakes it after each one and at the end. The end of the input
/// closes the channel.
fn send_lines(may_command: bool, sender: SyncSender<io::Result<InputLine>>, waker: &Waker) {
    let mut stdin = BufReader::new(BlockingReader(io::stdin().lock()));
    while let Some(line) = read_line(&mut stdin).transpose() {
        let is_last = line.is_err();
        let line = line.map(|bytes| InputLine { bytes, may_command });
        // If the receiver or the poll is gone, the loop has ended.
        if sender.send(line).is_err() || waker.wake().is_err() || is_last {
            break;
        }
    }
    drop(sender);
    // If the poll is gone, the loop has ended.
    let _ = waker.wake();
}

/// Reads one line, and keeps its first [`LONGEST_LINE`] bytes. Returns `None` at the end of the
/// input. The last line needs no line end.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let size = input.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else if size == LONGEST_LINE {
        input.skip_until(b'\n')?;
    }
    Ok((size > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| read_line(&mut input).expect("memory does not fail")).collect()
    }

    #[test]
    fn any_line_end_is_accepted() {
        assert_eq!(lines(b"a\n\r\nb\r\nc\rd"), [&b"a"[..], b"", b"b", b"c\rd"]);
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"\n"), [b""]);
    }

    #[test]
    fn field_b_remaining_lines_are_counted() {
        let (sender, lines) = sync_channel(WAITING_LINES);
        let mut stdin = Stdin::from(lines);
        for (text, may_command) in [("a", false), ("", false), ("/exit", true), ("/exit", false)] {
            sender.send(Ok(InputLine { bytes: text.into(), may_command })).expect("a receiver");
        }
        assert_eq!(stdin.count_rest(), Rest { lines: 2, is_cut: false });
        let endless = move || {
            while sender.send(Ok(InputLine { bytes: vec![b'y'], may_command: false })).is_ok() {}
        };
        let endless = thread::spawn(endless);
        assert!(stdin.count_rest().is_cut);
        drop(stdin);
        endless.join().expect("a thread");
    }

    #[test]
    fn endless_line_stays_too_long() {
        for size in [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE] {
            let input = [&vec![b'x'; size][..], b"\nnext\n"].concat();
            let lines = lines(&input);
            assert_eq!(lines.len(), 2, "{size}");
            assert_eq!((lines[0].len(), &lines[1][..]), (size.min(LONGEST_LINE), &b"next"[..]));
            assert!(lines[0].len() > MAX_UPSTREAM);
        }
    }
}
