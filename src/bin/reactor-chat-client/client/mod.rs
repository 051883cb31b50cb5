//! The event loop of one chat. Start at `Client::turn`.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `setup.rs` | joining the room, and opening input and output |
//! | `lines.rs` | the user's lines: messages and commands |
//! | `recovery.rs` | a server that is silent, and a new membership |
//! | `ending.rs` | the end of a chat: last lines, exit status |

mod ending;
mod lines;
mod recovery;
mod setup;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::explain;
use crate::failure::{Failure, unless_closed_pipe};
use crate::joined_room::JoinedRoom;
use crate::link::{Link, ReceiveOutcome};
use crate::options::ChatOptions;
use crate::output::Output;
use crate::path_check::PathCheck;
use crate::reconnect::Reconnect;
use crate::server_connection::connect;
use crate::signals::Signals;
use crate::stdin::Stdin;
use crate::suspension::SuspensionClock;

/// Event token of the UDP socket.
const LINK: Token = Token(0);
/// Event token of the waker that the threads share.
const THREADS: Token = Token(1);
/// Event token of the signals.
const SIGNALS: Token = Token(2);
/// Event token for the end of stdout's reader.
const READER: Token = Token(3);

/// Every source fits in one wait.
const EVENTS: usize = 4;

/// The most datagrams and the most lines that one turn handles. Neither delays the other or a
/// signal, and a batch is printed before it is old.
const BUDGET: usize = 64;

/// The end of a chat that did not fail.
#[derive(Debug)]
pub(crate) enum ChatEnd {
    /// The room was left or is closed, and the server accepted every line.
    Left,
    /// The chat is over, but the server did not accept all lines. The user knows.
    Incomplete,
    /// The second signal, of this number, ended the chat.
    Signalled(i32),
}

/// Enters a room, and chats until stdin, a signal or the server ends it.
pub(crate) fn chat(options: &ChatOptions) -> Result<ChatEnd, Failure> {
    let connection = connect(&options.server)?;
    let server = options.server.trusting(connection.trust);
    let mut client = Client::enter(&ChatOptions { server, ..options.clone() }, connection)?;
    client.run().map_err(|error| Failure::new("wait for events", error))?;
    client.outcome
}

/// A member of a room, and the user's input and output.
struct Client {
    options: Arc<ChatOptions>,
    poll: Poll,
    events: Events,
    signals: Signals,
    link: Link,
    stdin: Stdin,
    output: Output,
    room: JoinedRoom,
    path: PathCheck,
    suspension: SuspensionClock,
    reconnect: Reconnect,
    /// The body of the next datagram. The buffer is reused.
    body: Vec<u8>,
    /// The one clock reading of the turn.
    now: Instant,
    /// True if the host has read what its leaving does to the room.
    is_warned: bool,
    is_signalled: bool,
    /// True once nobody reads stdout any more.
    is_reader_gone: bool,
    /// True if the chat ends at once, whatever the room says.
    is_lost: bool,
    /// Number of lines that were not even sent.
    unsent: usize,
    /// Number of datagrams that did not open.
    unopened: u64,
    outcome: Result<ChatEnd, Failure>,
}

impl Client {
    fn run(&mut self) -> io::Result<()> {
        self.greet_without_answer();
        while !self.has_ended() {
            self.turn()?;
        }
        self.finish();
        Ok(())
    }

    /// One turn. Datagrams come before lines, so that a closed room gets no more lines. Lines come
    /// before deadlines, because any datagram proves our address and replaces a keep-alive. Output
    /// comes after every step that writes some.
    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.note_readiness();
        self.handle_signals();
        self.receive();
        self.note_suspension();
        self.poll_reconnect();
        self.read_lines();
        self.request_members();
        self.room.handle_timeout(self.now);
        self.transmit();
        self.note_silence();
        self.flush_output();
        Ok(())
    }

    /// With plain delivery the first datagram may take long to come, so the greeting does not wait
    /// for it.
    fn greet_without_answer(&mut self) {
        if self.room.stream().is_none()
            && let Some(greeting) = self.path.take_greeting()
        {
            self.output.notify(&greeting);
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.has_work() {
            true => Some(Duration::ZERO),
            false => self.next_deadline().map(|at| at.saturating_duration_since(Instant::now())),
        };
        match self.poll.poll(&mut self.events, timeout) {
            // A signal handler ran (signal(7)). Its pipe is readable in the next wait.
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
                THREADS => self.stdin.note_ready(),
                READER => self.is_reader_gone |= is_reader_gone(event),
                _ => self.signals.note_readable(),
            }
        }
    }

    /// The first signal leaves the room, the second one ends the client at once.
    fn handle_signals(&mut self) {
        let Some(signal) = self.signals.take() else { return };
        self.leave();
        if std::mem::replace(&mut self.is_signalled, true) {
            self.outcome = Ok(ChatEnd::Signalled(signal));
            self.is_lost = true;
        }
    }

    fn receive(&mut self) {
        self.room.note_output(self.output.is_full() && self.is_reading(), self.now);
        if !self.is_reading() {
            return;
        }
        let mut left = BUDGET;
        while left > 0 {
            let Self { link, room, path, output, now, .. } = self;
            let handle = |message: &[u8]| handle_message(message, room, path, output, *now);
            match link.receive(*now, handle) {
                ReceiveOutcome::Received(count) => left = left.saturating_sub(count),
                ReceiveOutcome::Drained => break,
                ReceiveOutcome::Failed(_) if self.room.is_patient() => break,
                ReceiveOutcome::Failed(error) => {
                    self.fail(Failure::new("receive", error));
                    break;
                }
            }
        }
    }

    /// Returns true unless the output is full and the messages come on a connection: what is not
    /// read from it makes the server wait, and nothing is lost. While we leave, the server's last
    /// answers matter more.
    fn is_reading(&self) -> bool {
        !self.link.is_carried() || !self.output.is_full() || self.room.is_leaving()
    }

    /// Sends until the socket is full. A full socket gets no further body, so nothing waits here.
    fn transmit(&mut self) {
        self.link.follow_route(self.now);
        let mut sent = self.link.flush(self.now);
        while self.link.has_space() && self.room.poll_transmit(self.now, &mut self.body) {
            sent = sent.and(self.link.send(&self.body, self.now));
        }
        sent = sent.and(self.link.flush(self.now));
        if self.link.take_moved() {
            self.room.prove(self.now);
        }
        if let Err(error) = sent
            && !self.room.is_patient()
        {
            self.refuse(&error.to_string());
        }
    }

    fn flush_output(&mut self) {
        self.output.show_waiting(self.room.waiting());
        let is_gone = std::mem::take(&mut self.is_reader_gone);
        let gone = if is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) };
        if let Err(error) = self.output.flush().and(gone) {
            self.outcome = unless_closed_pipe(error).map(|()| ChatEnd::Left);
            self.leave();
            // This turn has sent already, and no event may come that makes another one.
            self.room.handle_timeout(self.now);
            self.transmit();
        }
    }

    /// Leaves because of an error.
    fn fail(&mut self, failure: Failure) {
        self.outcome = Err(failure);
        self.leave();
    }

    /// Ends at once: there is no server to leave.
    fn lose(&mut self, failure: Failure) {
        self.outcome = Err(failure);
        self.is_lost = true;
    }

    /// Returns true if there is work that needs no event.
    fn has_work(&self) -> bool {
        self.link.has_work(self.is_reading())
            || (self.room.accepts_lines() && self.stdin.has_input())
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let send = self.room.transmit_at().filter(|_| self.link.has_space());
        let end = self.room.ends_by();
        let path = self.path.poll_timeout();
        let is_cut = self.link.has_ended();
        let stream = self.room.stream().filter(|stream| stream.wants_path(is_cut));
        let back = stream.and_then(|stream| self.reconnect.poll_timeout(stream.patience()));
        [send, end, path, back].into_iter().flatten().min()
    }

    fn has_ended(&mut self) -> bool {
        let has_ended = self.is_lost || self.room.has_ended(self.now);
        if !has_ended
            && let Some(server) = self.link.refused()
            && !self.room.is_patient()
        {
            let why = format!("nothing listens at UDP {server}");
            self.lose(explain::lost_server(&self.options, &why));
        }
        if !has_ended && self.link.has_ended() {
            self.end_with_connection();
        }
        has_ended || self.is_lost
    }

    /// Ends with the connection that carried the messages, unless another one is to follow (C2).
    fn end_with_connection(&mut self) {
        match &self.room {
            JoinedRoom::Streamed(stream) => self.is_lost |= !stream.wants_path(true),
            JoinedRoom::Plain(_) if self.room.is_leaving() => self.is_lost = true,
            JoinedRoom::Plain(_) => {
                self.lose(explain::lost_server(&self.options, "the connection has ended"))
            }
        }
    }
}

/// Handles a message from the server. The path works once one has come back on it.
fn handle_message(
    message: &[u8],
    room: &mut JoinedRoom,
    path: &mut PathCheck,
    output: &mut Output,
    now: Instant,
) {
    if room.knows(message)
        && let Some(greeting) = path.prove()
    {
        output.notify(&greeting);
    }
    room.handle_datagram(message, now, output);
}

fn is_reader_gone(event: &Event) -> bool {
    event.is_error() || event.is_write_closed()
}
