//! One chat: the loop, and what it does with lines and datagrams.

mod ending;

use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use reactor_chat::protocol::{Delivery, Operation};

use crate::connect::{self, ServerConnection};
use crate::explain;
use crate::failure::{Failure, unless_unread};
use crate::joined_room::JoinedRoom;
use crate::link::{Link, ReceiveOutcome};
use crate::log_file::LogFile;
use crate::options::ChatOptions;
use crate::output::Output;
use crate::panic;
use crate::password;
use crate::path_check::PathCheck;
use crate::reconnect::{self, Reconnect};
use crate::requests::{Membership, Terms};
use crate::sanitize::plain;
use crate::signals::Signals;
use crate::stdin::{self, InputLine, Stdin};
use crate::stdout::PlainLines;
use crate::suspension::SuspensionClock;
use crate::terminal::{self, Conversation};

/// The token of the datagrams.
const LINK: Token = Token(0);
/// Of the threads.
const THREADS: Token = Token(1);
/// Of the signals.
const SIGNALS: Token = Token(2);
/// Event token for the end of stdout's reader.
const READER: Token = Token(3);

/// Every source fits in one wait.
const EVENTS: usize = 4;

/// The most datagrams that are heard, and the most lines that are taken, in one turn: neither keeps
/// the other or a signal waiting, and a batch is printed before it grows old.
const BUDGET: usize = 64;

/// A turn that is late by less may be the fault of a busy machine.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The line that leaves a room.
pub(crate) const EXIT: &str = "/exit";
/// Words that other chat programs have for it. Servers do not know them, so `/exit` is sent
/// instead.
const OTHER_EXITS: [&str; 2] = ["/quit", "/leave"];
/// The line that asks for the commands, which are the server's.
const HELP: &str = "/help";

/// What a host is told who wants to leave.
const WARNING: &str = "you are the host, so the room may close for everybody; the same again leaves, \
                       /host NAME makes another one the host first";

/// How a chat ended that did not fail.
#[derive(Debug)]
pub(crate) enum ChatEnd {
    /// The room was left, or is closed, and every line was taken.
    Left,
    /// The chat is over, but lines were not taken. The user has been told.
    UnacceptedLines,
    /// By the second signal, of this number.
    Signalled(i32),
}

/// Enters a room and stays until stdin, a signal or the server ends it.
///
/// # Errors
/// It can't enter, the server is gone, or stdout takes nothing.
pub(crate) fn chat(options: &ChatOptions) -> Result<ChatEnd, Failure> {
    let connection = connect::connect(&options.server)?;
    let mut client = Client::enter(options, connection)?;
    client.run().map_err(|error| Failure::new("wait for events", error))?;
    client.outcome
}

fn greeting(options: &ChatOptions) -> String {
    let way_out = if options.listens { "Ctrl-C" } else { EXIT };
    format!("in {} as {}; {way_out} leaves", plain(&options.room), plain(&options.name))
}

/// Returns true for a line that leaves the room, however it is written.
pub(crate) fn is_exit(line: &str) -> bool {
    let word = line.trim();
    [EXIT].iter().chain(&OTHER_EXITS).any(|exit| word.eq_ignore_ascii_case(exit))
}

/// Takes a datagram of the server. A path works when one has come back on it.
fn take_datagram(
    datagram: &[u8],
    room: &mut JoinedRoom,
    path: &mut PathCheck,
    output: &mut Output,
    now: Instant,
) {
    if room.knows(datagram)
        && let Some(greeting) = path.prove()
    {
        output.tell(&greeting);
    }
    room.hear(datagram, now, output);
}

/// A member of a room, and the terminal that it talks to.
pub(crate) struct Client {
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
    /// What is sent next, kept for its memory.
    body: Vec<u8>,
    /// The one clock reading of the turn.
    now: Instant,
    /// A host that wants to leave was told what that does.
    is_warned: bool,
    /// A signal has come.
    is_signalled: bool,
    /// True once nobody reads stdout any more.
    is_reader_gone: bool,
    /// There is nothing to stay for, whatever the room says.
    is_lost: bool,
    /// Lines that were not even sent.
    unsent: usize,
    /// What to say of it all in the end.
    outcome: Result<ChatEnd, Failure>,
}

impl Client {
    /// Becomes a member. Signals are caught before that, so that none comes between the token and
    /// the `/exit` that has to follow it, and not before the connection, where one may just end us.
    fn enter(options: &ChatOptions, connection: ServerConnection) -> Result<Self, Failure> {
        let start = |error| Failure::new("start", error);
        let poll = Poll::new().map_err(start)?;
        let mut signals = Signals::register(poll.registry(), SIGNALS).map_err(start)?;
        let log = open_log(options)?;
        let (membership, options) = password::enter(connection, options)?;
        let (link, terms) =
            Link::open(poll.registry(), LINK, &options, membership).map_err(start)?;
        let waker = Arc::new(Waker::new(poll.registry(), THREADS).map_err(start)?);
        panic::end_on_panic(explain::way_back(&options));
        let (output, stdin) = open_page(&options, log, &waker).map_err(start)?;
        if !output.is_terminal() {
            watch_reader(poll.registry());
        }
        signals.leave_all_to_the_loop();
        let (now, options) = (Instant::now(), Arc::new(options));
        let greeting = io::stdin().is_terminal().then(|| greeting(&options));
        Ok(Self {
            path: PathCheck::new(link.server(), greeting, now),
            suspension: SuspensionClock::new(),
            room: JoinedRoom::new(&terms, &options, output.shows_own(), now),
            reconnect: Reconnect::new(Arc::clone(&options), waker),
            options,
            poll,
            events: Events::with_capacity(EVENTS),
            signals,
            link,
            stdin,
            output,
            body: Vec::new(),
            now,
            is_warned: false,
            is_signalled: false,
            is_reader_gone: false,
            is_lost: false,
            unsent: 0,
            outcome: Ok(ChatEnd::Left),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        self.greet_if_nobody_answers();
        while !self.has_ended() {
            self.turn()?;
        }
        self.finish();
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
        self.note_pause();
        self.come_back();
        self.take_lines();
        self.ask_around();
        self.room.handle_time(self.now);
        self.transmit();
        self.note_silence();
        self.print();
        Ok(())
    }

    /// Without stream delivery nothing may come for long, so the greeting waits for nothing.
    fn greet_if_nobody_answers(&mut self) {
        if self.room.stream().is_none()
            && let Some(greeting) = self.path.take_greeting()
        {
            self.output.tell(&greeting);
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.has_work() {
            true => Some(Duration::ZERO),
            false => self.next_deadline().map(|at| at.saturating_duration_since(Instant::now())),
        };
        match self.poll.poll(&mut self.events, timeout) {
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
                THREADS => self.stdin.note_ready(),
                READER => self.is_reader_gone |= has_lost_its_reader(event),
                _ => self.signals.note_readable(),
            }
        }
    }

    /// The second one ends us, whatever the server has to say.
    fn heed_signals(&mut self) {
        let Some(signal) = self.signals.take() else { return };
        self.leave(EXIT);
        if std::mem::replace(&mut self.is_signalled, true) {
            self.outcome = Ok(ChatEnd::Signalled(signal));
            self.is_lost = true;
        }
    }

    fn hear(&mut self) {
        self.room.note_page(self.output.is_full(), self.now);
        let mut left = BUDGET;
        while left > 0 {
            let Self { link, room, path, output, now, .. } = self;
            match link.receive(|datagram| take_datagram(datagram, room, path, output, *now)) {
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

    /// Looks at a path without an answer.
    fn doubt_path(&mut self) {
        let Some(address) = self.path.take_doubt(self.now) else { return };
        match self.room.stream() {
            Some(_) => self.reconnect.doubt(address, self.now, &mut self.output),
            None => self.output.tell(&explain::of_quiet_path(address)),
        }
    }

    /// Looks for a time in which nothing ran here, and the server may have removed us.
    fn note_pause(&mut self) {
        let pause = self.suspension.take();
        let Some(stream) = self.room.stream().filter(|stream| stream.is_staying()) else { return };
        let Some(idle_timeout) = stream.idle_timeout() else { return };
        if pause >= idle_timeout + LEAST_PAUSE {
            self.reconnect.note_pause(pause, self.now, &mut self.output);
        } else if pause >= idle_timeout / 2 {
            stream.doubt(self.now);
        }
    }

    /// Handles an unwanted end of the membership, and begins the way back.
    fn follow_end(&mut self) {
        let Some(stream) = self.room.stream() else { return };
        let Some(why) = stream.take_end_to_follow(self.now, &mut self.output) else { return };
        self.path.lose();
        self.reconnect.begin(why, self.now, &mut self.output);
    }

    /// Looks at what has no answer, both when something was heard and when something was asked: the
    /// next turn may be seconds away.
    fn note_silence(&mut self) {
        if let Some(stream) = self.room.stream().filter(|stream| stream.is_staying()) {
            self.reconnect.note(stream.unanswered(), self.now, &mut self.output);
        }
    }

    /// Sees to a server with stream delivery that does not answer.
    fn come_back(&mut self) {
        self.note_silence();
        self.follow_end();
        self.doubt_path();
        let Some(stream) = self.room.stream().filter(|stream| stream.wants_path()) else { return };
        let patience = stream.patience();
        match self.reconnect.take(self.now) {
            reconnect::ReconnectOutcome::Nothing => {}
            reconnect::ReconnectOutcome::Resumed(membership) => self.resume(membership),
            reconnect::ReconnectOutcome::Entered(membership) => self.enter_again(membership),
            reconnect::ReconnectOutcome::Failed(failure) => self.lose(failure),
        }
        if let Some(failure) = self.reconnect.give_up(patience, self.now) {
            self.lose(failure);
        }
        self.reconnect.try_if_due(self.link.token(), self.now);
    }

    /// The same member at another address.
    fn resume(&mut self, membership: Membership) {
        if self.take_seat(membership).is_some()
            && let Some(stream) = self.room.stream()
        {
            stream.prove(self.now);
            let greeting = self.path.take_greeting();
            self.path = PathCheck::new(self.link.server(), greeting, self.now);
        }
    }

    /// A new member, to whom everything is handed down that the old one had still to say.
    fn enter_again(&mut self, membership: Membership) {
        let Some(terms) = self.take_seat(membership) else { return };
        let leaves_by = self.room.stream().and_then(|stream| stream.leaves_by());
        let room = self.successor(&terms);
        let old = std::mem::replace(&mut self.room, room);
        if let JoinedRoom::Streamed(stream) = old {
            stream.into_unsaid().for_each(|line| self.push(&line));
        }
        self.reconnect.forget();
        self.output.begin_again(self.options.operation == Operation::Create);
        let greeting = format!("in {} again", plain(&self.options.room));
        self.path = PathCheck::new(self.link.server(), Some(greeting), self.now);
        if let Some(by) = leaves_by {
            self.leave(EXIT);
            // Without the old deadline, a server could remove and readmit us for ever.
            self.room.stream().into_iter().for_each(|stream| stream.leave_by(by));
        }
    }

    fn successor(&mut self, terms: &Terms) -> JoinedRoom {
        match (terms, self.room.stream()) {
            (Terms::Stream(completion), Some(stream)) => {
                let reborn =
                    stream.reborn(completion, &self.options.room, self.now, &mut self.output);
                JoinedRoom::Streamed(Box::new(reborn))
            }
            _ => JoinedRoom::new(terms, &self.options, self.output.shows_own(), self.now),
        }
    }

    /// Returns the terms of the seat if its socket works. Without it the silence goes on, and so do
    /// we.
    fn take_seat(&mut self, membership: Membership) -> Option<Terms> {
        let (link, terms) =
            Link::open(self.poll.registry(), LINK, &self.options, membership).ok()?;
        self.link = link;
        Some(terms)
    }

    fn take_lines(&mut self) {
        for _ in 0..BUDGET {
            if !self.room.takes_lines() {
                return;
            }
            match self.stdin.take() {
                stdin::TakeOutcome::Taken(line) => {
                    self.output.note_taken();
                    self.say(&line);
                }
                stdin::TakeOutcome::Drained => return,
                stdin::TakeOutcome::Ended if self.options.listens => return,
                stdin::TakeOutcome::Ended => self.leave(EXIT),
                stdin::TakeOutcome::Failed(error) => {
                    self.fail(Failure::new("read from stdin", error));
                }
            }
        }
    }

    fn say(&mut self, line: &InputLine) {
        let fits = self.link.fits();
        match str::from_utf8(&line.bytes) {
            // The server would take it for a keep-alive.
            Ok("") => {}
            // Before the next arm: a line that was cut may have been cut inside of a character.
            _ if line.bytes.len() > fits => {
                self.refuse(&format!("it is too long, {fits} bytes fit"));
            }
            Err(_) => self.refuse("it is not UTF-8"),
            Ok(text) if !line.may_command => self.say_literally(text),
            Ok(text) if is_exit(text) => self.leave_politely(),
            Ok(text) => self.send(text),
        }
    }

    /// Sends data as it is: the server takes the first of two slashes away.
    fn say_literally(&mut self, text: &str) {
        let fits = self.link.fits();
        match text.starts_with('/') && !self.is_foreign() {
            true if text.len() == fits => {
                self.refuse(&format!("it is too long, {} bytes fit", fits - 1));
            }
            true => self.send(&format!("/{text}")),
            // No slash before its blanks would make it a message.
            false if is_exit_behind_blanks(text) => self.refuse("the server would obey it"),
            false => self.send(text),
        }
    }

    /// Tells that a line is not sent.
    fn refuse(&mut self, why: &str) {
        self.unsent += 1;
        self.output.tell(&format!("line not sent: {why}"));
    }

    fn push(&mut self, line: &[u8]) {
        if let Err(why) = self.room.push(line, self.now) {
            self.refuse(&why.to_string());
        }
    }

    /// Returns true if the server is of another kind: its token says so, or ours would have
    /// answered with a stream. Others know no commands, and would show a second slash.
    fn is_foreign(&self) -> bool {
        let is_plain = matches!(self.room, JoinedRoom::Plain(_));
        !self.room.takes_questions() || (is_plain && self.options.delivery == Delivery::Stream)
    }

    fn send(&mut self, text: &str) {
        self.is_warned = false;
        if text.trim().eq_ignore_ascii_case(HELP) {
            self.output.tell_keys();
        }
        self.push(text.as_bytes());
        let name = &self.options.name;
        match text.strip_prefix('/') {
            _ if self.room.echoes() => {}
            None => self.output.add_own(name, text),
            Some(message) if message.starts_with('/') => self.output.add_own(name, message),
            Some(_) => {}
        }
    }

    /// Asks who is there, if the page wants to know.
    fn ask_around(&mut self) {
        let takes_question = self.room.takes_questions() && self.room.takes_lines();
        if takes_question && self.output.takes_question(self.now) {
            self.room.ask_who(self.now);
        }
    }

    /// Leaves; a host is told first what that does to others.
    fn leave_politely(&mut self) {
        if self.output.asks_before_leaving(self.room.names_newcomers()) && !self.is_warned {
            self.is_warned = true;
            self.output.tell(WARNING);
        } else {
            self.leave(EXIT);
        }
    }

    fn leave(&mut self, how: &str) {
        self.room.leave(how, self.now);
        if let Some(stream) = self.room.stream().filter(|_| !self.path.works()) {
            stream.wait_for_path(self.now);
        }
    }

    /// Leaves, because something does not work.
    fn fail(&mut self, failure: Failure) {
        self.outcome = Err(failure);
        self.leave(EXIT);
    }

    /// Ends, because nobody is there to be left.
    fn lose(&mut self, failure: Failure) {
        self.outcome = Err(failure);
        self.is_lost = true;
    }

    /// Sends as much as the socket takes. When it is full nothing more is asked for, so nothing
    /// waits here.
    fn transmit(&mut self) {
        let mut sent = self.link.flush();
        while self.link.is_idle() && self.room.poll_transmit(self.now, &mut self.body) {
            sent = sent.and(self.link.send(&self.body));
        }
        if let Err(error) = sent
            && !self.room.is_patient()
        {
            self.refuse(&error.to_string());
        }
    }

    fn print(&mut self) {
        self.output.show_waiting(self.room.waiting());
        let is_gone = std::mem::take(&mut self.is_reader_gone);
        let gone = if is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) };
        if let Err(error) = self.output.flush().and(gone) {
            self.outcome = unless_unread(error).map(|()| ChatEnd::Left);
            self.leave(EXIT);
            // The turn has sent already, and nothing may come that makes another one.
            self.room.handle_time(self.now);
            self.transmit();
        }
    }

    /// Whether something can be done without an event.
    fn has_work(&self) -> bool {
        self.link.has_work() || (self.room.takes_lines() && self.stdin.has_input())
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let send = self.room.transmit_at().filter(|_| self.link.is_idle());
        let end = self.room.ends_by();
        let doubt = self.path.poll_timeout();
        let stream = self.room.stream().filter(|stream| stream.wants_path());
        let back = stream.and_then(|stream| self.reconnect.poll_timeout(stream.patience()));
        [send, end, doubt, back].into_iter().flatten().min()
    }

    fn has_ended(&mut self) -> bool {
        let has_ended = self.is_lost || self.room.has_ended(self.now);
        if !has_ended && self.link.is_refused() && !self.room.is_patient() {
            let why = format!("nothing listens at UDP {}", self.link.server());
            self.lose(explain::of_loss(&self.options, &why));
        }
        has_ended || self.is_lost
    }
}

/// Returns true if the server executes the line although it does not begin with `/`.
pub(crate) fn is_exit_behind_blanks(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case(EXIT)
}

/// Registers for the end of stdout's reader, as tail(1) does: a room may be quiet for long, and
/// without this only a write would show it. Errors and the end are reported in any case
/// (`epoll_ctl(2)`, EPOLLERR and EPOLLHUP).
fn watch_reader(registry: &Registry) {
    let stdout = io::stdout().as_raw_fd();
    // A regular file is refused: it has no reader.
    let _ = registry.register(&mut SourceFd(&stdout), READER, Interest::READABLE);
}

fn has_lost_its_reader(event: &Event) -> bool {
    event.is_error() || event.is_write_closed()
}

fn open_log(options: &ChatOptions) -> Result<Option<LogFile>, Failure> {
    let Some(path) = &options.log else { return Ok(None) };
    let failure = |error| Failure::new(format_args!("open the log {}", plain(path)), error);
    LogFile::open(path).map(Some).map_err(failure)
}

/// The way in which the user is talked to, and where lines come from.
fn open_page(
    options: &ChatOptions,
    log: Option<LogFile>,
    waker: &Arc<Waker>,
) -> io::Result<(Output, Stdin)> {
    if terminal::is_there() && !options.listens {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_color = options.wants_color && !no_color;
        let (conversation, typed) = Conversation::start(options, has_color, Arc::clone(waker))?;
        return Ok((Output::terminal(conversation, log), typed));
    }
    let lines = PlainLines::new();
    lines.start(waker)?;
    let is_typed = io::stdin().is_terminal();
    let stdin = match options.listens && is_typed {
        // In the background a read would stop us (SIGTTIN).
        true => Stdin::none(),
        false => Stdin::read(options.takes_commands || is_typed, Arc::clone(waker))?,
    };
    Ok((Output::plain(lines, log), stdin))
}
