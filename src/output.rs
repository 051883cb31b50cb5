//! Lines to stdout and stderr, whose other ends belong to other processes: a reader may be slow,
//! stopped (Ctrl-S) or gone, a disk may be full. The loop never waits for them.
//!
//! `O_NONBLOCK` is a property of the open file description, and an inherited one is shared with the
//! shell, the parent and whoever else writes there (fcntl(2)): set for good, it makes *their*
//! writes fail. So each kind of descriptor is written to in its own way:
//!
//! | descriptor | way |
//! | --- | --- |
//! | pipe, terminal | opened again through `/proc/self/fd` (proc(5)), which makes a description of our own, with `O_NONBLOCK`. libuv opens terminals again for the same reason |
//! | pipe or terminal of another user, which we may not open | `O_NONBLOCK` is set for the length of one write(2), which then returns at once |
//! | socket, as under systemd | send(2) with `MSG_DONTWAIT` |
//! | file, `/dev/null` | write(2): these take everything, or fail at once |
//!
//! Lines that are not taken wait in a queue and leave when the descriptor becomes writable. Beyond
//! `QUEUE` bytes new lines are dropped and counted; the count is logged when lines pass again.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::SockRef;

use crate::sys;

/// Bytes that wait at most: as many as a pipe holds by default (pipe(7)), some 600 lines.
const QUEUE: usize = 64 * 1024;

/// Ignores the signals with which a write(2) would end or stop the process: SIGXFSZ, where a file
/// has reached its limit (setrlimit(2)), and SIGTTOU, where a terminal stops background jobs that
/// write to it (`stty tostop`, termios(3)). std ignores SIGPIPE already.
///
/// # Errors
/// If sigaction(2) fails.
pub fn ignore_signals_of_writes() -> io::Result<()> {
    sys::ignore_signal(libc::SIGXFSZ)?;
    sys::ignore_signal(libc::SIGTTOU)
}

/// Stdout or stderr. Clones share the queue.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Lines>>);

/// The present state of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The last write succeeded, or there was none.
    Open,
    /// The descriptor takes nothing for now: an event will tell.
    Blocked,
    /// The last write failed. No event tells when that ends, so the next line tries again.
    Failing,
}

/// The result of one write.
enum WriteOutcome {
    /// Number of bytes that were taken.
    Written(usize),
    /// The descriptor takes nothing for now.
    Blocked,
    /// The reader is gone, the disk full, or the like.
    Failed(io::Error),
}

struct Lines {
    /// A word for its lines.
    what: &'static str,
    way: Way,
    state: State,
    queue: Vec<u8>,
    dropped: u64,
    failure: Option<io::Error>,
}

impl Output {
    /// Opens stdout.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn stdout() -> io::Result<Self> {
        Self::open("lines of stdout", io::stdout().as_fd())
    }

    /// Opens stderr.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn stderr() -> io::Result<Self> {
        Self::open("log lines", io::stderr().as_fd())
    }

    fn open(what: &'static str, fd: BorrowedFd<'_>) -> io::Result<Self> {
        let (way, queue) = (Way::to(fd)?, Vec::new());
        let lines = Lines { what, way, state: State::Open, queue, dropped: 0, failure: None };
        Ok(Self(Arc::new(Mutex::new(lines))))
    }

    /// Prints whole lines, now or when the descriptor takes them.
    pub fn print(&self, lines: &str) {
        self.lines().push(lines.as_bytes());
    }

    /// Registers the descriptor, so that its events tell when to [`flush`](Self::flush).
    ///
    /// # Errors
    /// If epoll_ctl(2) fails, except on files: those never block, and epoll refuses them (EPERM).
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let fd = self.lines().way.file().as_raw_fd();
        match registry.register(&mut SourceFd(&fd), token, Interest::WRITABLE) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            outcome => outcome,
        }
    }

    /// Writes what waits, as far as the descriptor takes it.
    pub fn flush(&self) {
        self.lines().flush();
    }

    /// Writes what waits, and waits for the descriptor until `limit` has passed.
    pub fn finish(&self, limit: Option<Duration>) {
        let until = limit.map(|limit| Instant::now() + limit);
        // Lines that can't be written now are lost: nothing is left to log it to.
        let _ = self.drain(until);
        self.tell_dropped();
        let _ = self.drain(until);
    }

    fn drain(&self, until: Option<Instant>) -> io::Result<()> {
        self.flush();
        if self.lines().queue.is_empty() {
            return Ok(());
        }
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
        self.register(poll.registry(), Token(0))?;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.flush();
            if self.lines().queue.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            match poll.poll(&mut events, left) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Logs how many lines were dropped, once lines pass again.
    pub fn tell_dropped(&self) {
        // The log may end in this very output: it is not locked while something is logged.
        let (what, dropped) = {
            let lines = self.lines();
            (lines.what, if lines.passes() { lines.dropped } else { 0 })
        };
        if dropped > 0 {
            log::warn!("{dropped} {what} were dropped, because nobody took them");
            self.lines().forget_dropped(dropped);
        }
    }

    /// Returns the error of the last write, once.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lines().failure.take()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing panics while it is held; if something did, lines could be missing at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a logger, which writes a whole line at a time.
impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines().push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.lines().what).finish()
    }
}

impl Lines {
    fn push(&mut self, lines: &[u8]) {
        if self.queue.len() + lines.len() > QUEUE {
            // Drops the newest lines, so that the reader sees no gap before the count.
            self.dropped += count(lines);
            return;
        }
        self.queue.extend_from_slice(lines);
        if self.state != State::Blocked {
            self.flush();
        }
    }

    fn flush(&mut self) {
        while !self.queue.is_empty() {
            match self.way.write(&self.queue) {
                WriteOutcome::Written(size) => {
                    self.state = State::Open;
                    self.queue.drain(..size);
                }
                WriteOutcome::Blocked => {
                    self.state = State::Blocked;
                    return;
                }
                WriteOutcome::Failed(error) => {
                    self.state = State::Failing;
                    self.failure = Some(error);
                    self.dropped += count(&self.queue);
                    self.queue.clear();
                }
            }
        }
    }

    fn passes(&self) -> bool {
        self.state == State::Open && self.queue.is_empty()
    }

    /// The line with the count may be lost too: then the count stays.
    fn forget_dropped(&mut self, told: u64) {
        if self.state != State::Failing {
            self.dropped -= told;
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The way to write to a descriptor without waiting.
enum Way {
    /// By write(2): a description of our own that does not block, or a file.
    Direct(File),
    /// By write(2), with `O_NONBLOCK` set meanwhile.
    Borrowed(File),
    /// By send(2).
    Socket(File),
}

impl Way {
    fn to(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file = File::from(fd.try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Self::Socket(file));
        }
        if !kind.is_fifo() && !file.is_terminal() {
            return Ok(Self::Direct(file));
        }
        Ok(reopen(fd).map_or_else(|_| Self::Borrowed(file), Self::Direct))
    }

    fn file(&self) -> &File {
        let (Self::Direct(file) | Self::Borrowed(file) | Self::Socket(file)) = self;
        file
    }

    fn write(&self, bytes: &[u8]) -> WriteOutcome {
        loop {
            let written = match self {
                Self::Direct(file) => (&mut &*file).write(bytes),
                Self::Borrowed(file) => write_without_blocking(file, bytes),
                Self::Socket(file) => {
                    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                    SockRef::from(file).send_with_flags(bytes, flags)
                }
            };
            return match written {
                Ok(0) => WriteOutcome::Failed(ErrorKind::WriteZero.into()),
                Ok(size) => WriteOutcome::Written(size),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => WriteOutcome::Blocked,
                Err(error) => WriteOutcome::Failed(error),
            };
        }
    }
}

/// Opens the file of a descriptor once more. A terminal does not become ours to control.
fn reopen(fd: BorrowedFd<'_>) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// socket2's option is the flag of fcntl(2), which any descriptor has.
fn write_without_blocking(file: &File, bytes: &[u8]) -> io::Result<usize> {
    let shared = SockRef::from(file);
    let was_set = shared.nonblocking()?;
    shared.set_nonblocking(true)?;
    let written = (&mut &*file).write(bytes);
    shared.set_nonblocking(was_set)?;
    written
}
