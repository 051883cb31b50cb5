//! Setting up a chat: joins the room, and opens input and output.

use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Waker};

use reactor_chat::fingerprint::Fingerprint;
use reactor_chat::protocol::command::EXIT;

use super::{ChatEnd, Client, EVENTS, LINK, READER, SIGNALS, THREADS};
use crate::explain;
use crate::failure::Failure;
use crate::joined_room::JoinedRoom;
use crate::link::Link;
use crate::log_file::LogFile;
use crate::options::{ChatOptions, Server};
use crate::output::Output;
use crate::panic;
use crate::password;
use crate::path_check::PathCheck;
use crate::reconnect::Reconnect;
use crate::sanitize::plain;
use crate::server_connection::ServerConnection;
use crate::signals::Signals;
use crate::stdin::Stdin;
use crate::stdout::PlainLines;
use crate::suspension::SuspensionClock;
use crate::terminal::{self, Conversation};
use crate::trust::Trust;

impl Client {
    /// Joins the room. Signals are caught before the token arrives, because an `/exit` has to follow
    /// it. They are not caught before the connection: until then a signal may simply end the client.
    pub(super) fn enter(
        options: &ChatOptions,
        connection: ServerConnection,
    ) -> Result<Self, Failure> {
        let start = |error| Failure::new("start", error);
        let poll = Poll::new().map_err(start)?;
        let mut signals = Signals::register(poll.registry(), SIGNALS).map_err(start)?;
        let log = open_log(options)?;
        let new_key = connection.new_key;
        let (membership, options) = password::enter(connection, options)?;
        let (link, terms) = Link::open(poll.registry(), LINK, &options, membership, Instant::now())
            .map_err(start)?;
        let waker = Arc::new(Waker::new(poll.registry(), THREADS).map_err(start)?);
        panic::end_on_panic(explain::command_to_return(&options));
        let (output, stdin) = open_output(&options, log, &waker).map_err(start)?;
        if !output.is_terminal() {
            watch_reader(poll.registry());
        }
        signals.leave_all_to_the_loop();
        let (now, options) = (Instant::now(), Arc::new(options));
        let greeting = io::stdin().is_terminal().then(|| greeting(&options, new_key));
        let room = JoinedRoom::new(&terms, &options, output.shows_own(), now);
        Ok(Self {
            path: PathCheck::of(&link, greeting, now),
            suspension: SuspensionClock::new(),
            room: room.on_path(link.is_carried()),
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
            unopened: 0,
            outcome: Ok(ChatEnd::Left),
        })
    }
}

/// Returns the line that says that the user is in the room. It has the server's key if that is new.
fn greeting(options: &ChatOptions, new_key: Option<Fingerprint>) -> String {
    let (room, name) = (plain(&options.room), plain(&options.name));
    let way_out = if options.listens { "Ctrl-C" } else { EXIT };
    let security = match (&options.server, new_key) {
        (Server::Unix(_), _) => "over a Unix socket".into(),
        (Server::Network(server), _) if server.trust == Trust::Plain => "not encrypted".into(),
        (_, None) => "encrypted".into(),
        (_, Some(key)) => format!("encrypted, with the server's key {key}"),
    };
    format!("in {room} as {name}, {security}; {way_out} leaves")
}

/// Registers for the end of stdout's reader, as tail(1) does: a room may be quiet for long, and
/// without this only a write would show it. Errors and the end are reported in any case
/// (`epoll_ctl(2)`, EPOLLERR and EPOLLHUP).
fn watch_reader(registry: &Registry) {
    let stdout = io::stdout().as_raw_fd();
    // epoll refuses a regular file, which has no reader anyway.
    let _ = registry.register(&mut SourceFd(&stdout), READER, Interest::READABLE);
}

fn open_log(options: &ChatOptions) -> Result<Option<LogFile>, Failure> {
    let Some(path) = &options.log else { return Ok(None) };
    let failure = |error| Failure::new(format_args!("open the log {path}"), error);
    LogFile::open(path).map(Some).map_err(failure)
}

/// Chooses between a conversation on a terminal and plain lines, and opens the input that goes with
/// it.
fn open_output(
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
