//! The plain terminal client: lines from stdin to a room, a room's messages to stdout.
//!
//! It is a small event loop of its own and shares nothing with the server but
//! [`protocol`](crate::protocol). Start at `Client::turn`. The files:
//!
//! | file | what it owns |
//! | --- | --- |
//! | `options.rs` | the command line |
//! | `entering.rs` | requests over TCP, before the loop turns |
//! | `link.rs` | the UDP socket: datagrams to and from the server |
//! | `stdin.rs` | the thread that reads lines |
//! | `printing.rs` | stdout and stderr |
//! | `plain.rs` | what may be shown there |
//! | `signals.rs` | SIGINT and SIGTERM |

mod entering;
mod link;
pub mod options;
mod plain;
mod printing;
mod signals;
mod stdin;

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::protocol::datagram::{MAX_DOWNSTREAM, Named, parse_named};
use crate::protocol::notice::ends_membership;

use link::{FlushOutcome, Link, ReceiveOutcome};
use options::{Entry, Server};
use plain::plain;
use printing::{Page, tell};
use signals::Signals;
use stdin::{Stdin, TakeOutcome};

/// The token of the datagrams.
const LINK: Token = Token(0);
/// Of the thread that reads stdin.
const STDIN: Token = Token(1);
/// Of the signals.
const SIGNALS: Token = Token(2);

/// Every source fits in one wait.
const EVENTS: usize = 3;

/// The most datagrams that are heard, and the most lines that are taken, in one turn: neither keeps
/// the other or a signal waiting, and a batch is printed before it grows old.
const BUDGET: usize = 64;

/// From one proof of our address to the next, at the beginning: the first datagram may be lost, and
/// until one arrives nobody can talk to us. They are sent at 0, 0.25 and 1 s.
const EARLY_KEEP_ALIVES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

/// And from then on. The server forgets who is silent, and so do the routers between: many after
/// 30 s, although RFC 4787 (REQ-5) asks them for two minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long the last messages are waited for after `/exit`. To a host the server confirms it by
/// closing the room, to a guest with nothing.
const LINGER: Duration = Duration::from_millis(300);

/// The line that leaves a room.
const EXIT: &str = "/exit";

/// Why the client did not do what it was asked to: one sentence.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    fn new(deed: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("cannot {deed}: {why}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Prints the rooms that the server lists.
///
/// # Errors
/// The server can't be reached or does not answer well, or stdout takes nothing.
pub fn list(server: &Server) -> Result<(), Failure> {
    let rooms = entering::list(server)?;
    if rooms.is_empty() {
        tell("no rooms");
        return Ok(());
    }
    let mut page = Page::new();
    page.add_rooms(&rooms);
    page.flush().or_else(unless_unread)
}

/// Enters a room and stays until stdin, a signal or the server ends it.
///
/// # Errors
/// It can't enter, the server is gone, or stdout takes nothing.
pub fn chat(entry: &Entry) -> Result<(), Failure> {
    let connection = entering::connect(&entry.server)?;
    let mut client = Client::enter(entry, connection)?;
    if io::stdin().is_terminal() {
        tell(&format!("in {} as {}; {EXIT} leaves", plain(&entry.room), plain(&entry.name)));
    }
    client.run().map_err(|error| Failure::new("wait for events", error))?;
    client.outcome
}

/// A reader that wants no more is no failure: `head` is one.
fn unless_unread(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::new("print", error)),
    }
}

/// A member of a room, and the terminal that it talks to.
struct Client {
    poll: Poll,
    events: Events,
    signals: Signals,
    link: Link,
    stdin: Stdin,
    page: Page,
    /// The one clock reading of the turn.
    now: Instant,
    keep_alive_at: Instant,
    early_keep_alives: std::array::IntoIter<Duration, 2>,
    /// Set when the room is being left: when to end at the latest.
    leave_by: Option<Instant>,
    /// The server has said that we are no member any more.
    is_removed: bool,
    /// Nothing listens at the server's address any more.
    is_gone: bool,
    /// What to say of it all in the end.
    outcome: Result<(), Failure>,
}

impl Client {
    /// Becomes a member. Signals are caught before that, so that none comes between the token and
    /// the `/exit` that has to follow it, and not before the connection, where one may just end us.
    fn enter(entry: &Entry, connection: entering::Connection) -> Result<Self, Failure> {
        let start = |error| Failure::new("start", error);
        let poll = Poll::new().map_err(start)?;
        let signals = Signals::register(poll.registry(), SIGNALS).map_err(start)?;
        let seat = entering::enter(connection, entry)?;
        let link = Link::open(poll.registry(), LINK, entry, &seat).map_err(start)?;
        let stdin = Stdin::read(poll.registry(), STDIN).map_err(start)?;
        let now = Instant::now();
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            link,
            stdin,
            page: Page::new(),
            now,
            keep_alive_at: now,
            early_keep_alives: EARLY_KEEP_ALIVES.into_iter(),
            leave_by: None,
            is_removed: false,
            is_gone: false,
            outcome: Ok(()),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        while !self.has_ended() {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn. What the server said is looked at before what stdin says, so that a closed room
    /// gets no more lines; lines come before deadlines, because any datagram proves our address; and
    /// output comes after everything that makes it.
    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.note_readiness();
        self.heed_signals();
        self.hear();
        self.take_lines();
        self.keep_alive();
        self.flush();
        self.print();
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.has_work() {
            true => Duration::ZERO,
            false => self.next_deadline().saturating_duration_since(Instant::now()),
        };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            // A signal handler ran (signal(7)); its pipe will tell in the next wait.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            outcome => outcome?,
        }
        self.now = Instant::now();
        Ok(())
    }

    fn note_readiness(&mut self) {
        for event in &self.events {
            match event.token() {
                LINK => self.link.note_event(event),
                STDIN => self.stdin.note_ready(),
                _ => self.signals.note_readable(),
            }
        }
    }

    fn heed_signals(&mut self) {
        if self.signals.take() {
            self.leave(EXIT);
        }
    }

    fn hear(&mut self) {
        let mut buffer = [0; MAX_DOWNSTREAM];
        for _ in 0..BUDGET {
            match self.link.receive(&mut buffer) {
                ReceiveOutcome::Received(size) => self.show(&buffer[..size]),
                ReceiveOutcome::Drained => break,
                // The kernel tells an error before what lies in the socket already, and that may
                // be the notice which explains it: read on.
                ReceiveOutcome::Refused => self.is_gone = true,
                ReceiveOutcome::Failed(error) => {
                    self.outcome = Err(Failure::new("receive", error));
                    self.leave(EXIT);
                    break;
                }
            }
        }
    }

    fn show(&mut self, datagram: &[u8]) {
        match parse_named(datagram) {
            Some(Named::Message { name, message }) => self.page.add_message(name, message),
            Some(Named::Notice(text)) => {
                self.page.add_notice(text);
                self.is_removed |= str::from_utf8(text).is_ok_and(ends_membership);
            }
            // Not of this protocol.
            None => {}
        }
    }

    /// Takes lines only when those before are sent: what can't be sent yet then waits in the
    /// channel, and behind it in the pipe, but not in our memory.
    fn take_lines(&mut self) {
        if !self.link.is_idle() {
            return;
        }
        for _ in 0..BUDGET {
            if self.leave_by.is_some() {
                return;
            }
            match self.stdin.take() {
                TakeOutcome::Taken(line) => self.say(&line),
                TakeOutcome::Drained => return,
                TakeOutcome::Ended => self.leave(EXIT),
                TakeOutcome::Failed(error) => {
                    self.outcome = Err(Failure::new("read from stdin", error));
                    self.leave(EXIT);
                }
            }
        }
    }

    fn say(&mut self, line: &[u8]) {
        let fits = self.link.fits();
        match str::from_utf8(line) {
            // The server would take it for a keep-alive.
            Ok("") => {}
            // Before the next arm: a line that was cut may have been cut inside of a character.
            _ if line.len() > fits => {
                tell(&format!("line not sent: it is too long, {fits} bytes fit"));
            }
            Err(_) => tell("line not sent: it is not UTF-8"),
            Ok(text) if text.trim().eq_ignore_ascii_case(EXIT) => self.leave(text),
            Ok(text) => self.link.queue(text),
        }
    }

    fn leave(&mut self, how: &str) {
        if self.leave_by.is_none() {
            self.link.queue(how);
            self.leave_by = Some(self.now + LINGER);
        }
    }

    fn keep_alive(&mut self) {
        if self.now >= self.keep_alive_at {
            self.keep_alive_at = self.now + self.early_keep_alives.next().unwrap_or(KEEP_ALIVE);
            if self.leave_by.is_none() && self.link.is_idle() {
                self.link.queue("");
            }
        }
    }

    fn flush(&mut self) {
        match self.link.flush() {
            FlushOutcome::Done => {}
            FlushOutcome::Refused => self.is_gone = true,
            FlushOutcome::Failed(error) => tell(&format!("line not sent: {error}")),
        }
    }

    fn print(&mut self) {
        if let Err(error) = self.page.flush() {
            self.outcome = unless_unread(error);
            self.leave(EXIT);
        }
    }

    /// Whether something can be done without an event.
    fn has_work(&self) -> bool {
        let takes_lines = self.leave_by.is_none() && self.link.is_idle();
        self.link.has_work() || (takes_lines && self.stdin.has_input())
    }

    fn next_deadline(&self) -> Instant {
        self.leave_by.unwrap_or(self.keep_alive_at)
    }

    fn has_ended(&mut self) -> bool {
        if self.is_gone && !self.is_removed && !self.link.has_input() {
            let why = format!("nothing listens at UDP {}", self.link.server());
            self.outcome = Err(Failure(format!("the server is gone: {why}")));
            return true;
        }
        self.is_removed || self.leave_by.is_some_and(|deadline| self.now >= deadline)
    }
}
