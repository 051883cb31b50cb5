//! Lines to stdout and stderr. Their readers are other processes, which may be slow, stopped (Ctrl-S) or
//! gone, and a disk may be full. The loop never waits for them.
//!
//! `O_NONBLOCK` is a property of the open file description, and an inherited one is shared with the
//! shell, the parent and other writers (fcntl(2)). Set permanently, it would make *their* writes fail.
//! So each kind of descriptor is written to in its own way:
//!
//! | descriptor | way |
//! | --- | --- |
//! | pipe, terminal | opened again through `/proc/self/fd` (proc(5)), which creates our own description, with `O_NONBLOCK`. libuv reopens terminals for the same reason |
//! | pipe or terminal of another user, which we may not open | `O_NONBLOCK` is set for one write(2) at a time, which then returns at once |
//! | socket, as under systemd | send(2) with `MSG_DONTWAIT` |
//! | file, `/dev/null` | write(2): it takes everything or fails at once |
//!
//! The journal's descriptor is a stream socket. Each line to it begins with a priority, such as `<6>`
//! (sd-daemon(3)), and the journal adds the time.
//!
//! Lines that do not fit wait in a queue until the descriptor becomes writable. When the queue has `QUEUE`
//! bytes, new lines are dropped and counted. The count is logged once lines can be written again.

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::SockRef;

use crate::sys;

/// Limit for waiting bytes: the default size of a pipe (pipe(7)), or about 600 lines.
const QUEUE: usize = 64 * 1024;

/// Ignores the signals with which a write(2) would end or stop the process: SIGXFSZ, if a file has
/// reached its limit (setrlimit(2)), and SIGTTOU, if a terminal stops background jobs that write to it
/// (`stty tostop`, termios(3)). std ignores SIGPIPE already.
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

/// State of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The last write succeeded, or there was none.
    Open,
    /// The descriptor takes nothing now: an event will come.
    Blocked,
    /// The last write failed. No event announces the end of that, so the next line tries again.
    Failing,
}

/// The result of one write.
enum WriteOutcome {
    /// This many bytes were written.
    Written(usize),
    /// The descriptor takes nothing now.
    Blocked,
    /// For example, the reader is gone or the disk is full.
    Failed(io::Error),
}

struct Lines {
    /// Name of its lines in log messages.
    what: &'static str,
    way: Way,
    is_journal: bool,
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
        let way = Way::to(fd)?;
        let is_journal = is_journal(way.file())?;
        let (state, queue) = (State::Open, Vec::new());
        let lines = Lines { what, way, is_journal, state, queue, dropped: 0, failure: None };
        Ok(Self(Arc::new(Mutex::new(lines))))
    }

    /// Returns true if the lines go to the journal, so that each begins with [`priority`].
    pub fn is_journal(&self) -> bool {
        self.lines().is_journal
    }

    /// Prints whole lines, now or once the descriptor is writable.
    pub fn print(&self, lines: &str) {
        self.lines().push(lines.as_bytes());
    }

    /// Registers the descriptor. An event means that [`flush`](Self::flush) should be called.
    ///
    /// # Errors
    /// If epoll_ctl(2) fails. Files are not an error: they never block, and epoll refuses them (EPERM).
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let fd = self.lines().way.file().as_raw_fd();
        match registry.register(&mut SourceFd(&fd), token, Interest::WRITABLE) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            outcome => outcome,
        }
    }

    /// Writes waiting lines, as far as the descriptor takes them.
    pub fn flush(&self) {
        self.lines().flush();
    }

    /// Writes waiting lines, and waits for the descriptor for at most `limit`.
    pub fn finish(&self, limit: Option<Duration>) {
        let until = limit.map(|limit| Instant::now() + limit);
        // Lines that cannot be written now are lost, and there is no log to report it to.
        let _ = self.drain(until);
        self.log_dropped();
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

    /// Logs the number of dropped lines, once lines can be written again.
    pub fn log_dropped(&self) {
        // The log may go to this output, so the lock must be released before logging.
        let (what, dropped) = {
            let lines = self.lines();
            (lines.what, if lines.is_clear() { lines.dropped } else { 0 })
        };
        if dropped > 0 {
            log::warn!("{dropped} {what} were dropped, because nobody read them");
            self.lines().forget_dropped(dropped);
        }
    }

    /// Returns the error of the last write, once.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lines().failure.take()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // No code panics while it holds the lock. If it did, only lines could be missing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a logger write, one whole line at a time.
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

    fn is_clear(&self) -> bool {
        self.state == State::Open && self.queue.is_empty()
    }

    /// Subtracts the lines that were reported. If the report itself was lost, they stay counted.
    fn forget_dropped(&mut self, reported: u64) {
        if self.state != State::Failing {
            self.dropped -= reported;
        }
    }
}

/// Returns the begin of a line of this level in the journal: `<`, a number of syslog(3), `>`.
pub fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Returns true if `JOURNAL_STREAM` has the device and the inode of a file. A process whose output leads
/// elsewhere may have inherited the variable (systemd.exec(5)).
fn is_journal(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let name = format!("{}:{}", metadata.dev(), metadata.ino());
    Ok(env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == name))
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A way to write to a descriptor without blocking.
enum Way {
    /// With write(2): our own description, which does not block, or a file.
    Direct(File),
    /// With write(2), while `O_NONBLOCK` is set.
    Borrowed(File),
    /// With send(2).
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

/// Opens the file of a descriptor again. A terminal does not become the controlling terminal.
fn reopen(fd: BorrowedFd<'_>) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Sets `O_NONBLOCK` for one write. socket2's option is the flag of fcntl(2), which every descriptor has.
fn write_without_blocking(file: &File, bytes: &[u8]) -> io::Result<usize> {
    let shared = SockRef::from(file);
    let was_set = shared.nonblocking()?;
    shared.set_nonblocking(true)?;
    let written = (&mut &*file).write(bytes);
    shared.set_nonblocking(was_set)?;
    written
}
