//! The client's command line.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;

use getopts::{Matches, Options};

pub use super::address::ServerAddress;
use crate::sanitize::plain;
use crate::trust::Trust;
use crate::username;
use reactor_chat::protocol::name::MAX_NAME;
use reactor_chat::protocol::request::{MAX_PASSWORD, without_line_end};
use reactor_chat::protocol::stream::MAX_HISTORY;
use reactor_chat::protocol::{Delivery, Form, Operation};

/// The action that the command line requests.
#[derive(Debug)]
pub enum Invocation {
    /// Enter a room and chat.
    Chat(ChatOptions),
    /// List the rooms.
    List(ListOptions),
    /// Print this text.
    Print(String),
}

/// The options of a list.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// The server that has the rooms.
    pub server: ServerAddress,
    /// True for JSON, as the server sent it.
    pub is_json: bool,
}

/// The options of a chat.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// The server that has the room.
    pub server: ServerAddress,
    /// Create or join.
    pub operation: Operation,
    /// The room name, of at most 255 bytes.
    pub room: String,
    /// The user name, of at most 255 bytes.
    pub name: String,
    /// True if the user gave the name. Otherwise it is the login name.
    pub is_named: bool,
    /// The room's password.
    pub password: Option<String>,
    /// Create: the most members that the room may have.
    pub capacity: Option<NonZeroU32>,
    /// Create: true if lists leave the room out.
    pub is_hidden: bool,
    /// Create: true if only members on encrypted paths may enter.
    pub is_sealed_only: bool,
    /// The requested delivery.
    pub delivery: Delivery,
    /// True if messages travel on the connection of the request.
    pub carries: bool,
    /// Join: the number of earlier entries to show. Create: the number that newcomers may see.
    pub history: u32,
    /// True to stay in the room after the end of the input.
    pub listens: bool,
    /// True if lines from a pipe or a file that begin with `/` are commands.
    pub takes_commands: bool,
    /// True if a terminal may get colours.
    pub wants_color: bool,
    /// True if a mention rings the terminal's bell.
    pub wants_bell: bool,
    /// The log file.
    pub log: Option<String>,
}

impl ChatOptions {
    /// Returns true if there is a password. An empty one counts as none.
    pub(crate) fn has_password(&self) -> bool {
        self.password.as_ref().is_some_and(|password| !password.is_empty())
    }
}

/// An invalid command line, explained in one line.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The number of earlier entries without `--history`: about one screen.
const HISTORY: u32 = 20;

/// The environment variable for a password that should not show up in the list of processes.
pub(crate) const PASSWORD_VARIABLE: &str = "REACTOR_CHAT_PASSWORD";

const HELP: &str = "\
Usage: reactor-chat-client [OPTIONS] create ROOM [NAME]
       reactor-chat-client [OPTIONS] join ROOM [NAME]
       reactor-chat-client [OPTIONS] list

Creates or joins a chat room: sends lines from stdin to the room, and prints
its messages and notices on stdout, one a line. Or lists the rooms.

Server and name:
  --host HOST[:PORT]   the server's name or address, IPv6 with a port as
                       [ADDR]:PORT; UDP uses the next port  [127.0.0.1]
  --tcp-port PORT      the server's TCP port, for requests  [9001]
  --udp-port PORT      the server's UDP port, for messages  [9002]
  --name NAME          your name in the room                [the login name]
  --password PW        the room's password; other users of this machine may
                       see it in the list of processes. The environment
                       variable REACTOR_CHAT_PASSWORD is safer; on a terminal
                       the client asks if the room needs a password

Encryption:
  --fingerprint FP     accept this key of the server alone, by the fingerprint
                       that the server prints when it starts; the environment
                       variable REACTOR_CHAT_FINGERPRINT does the same
  --insecure           accept any key, so that an attacker may read along
  --plain              no encryption, for servers that have none

Chatting:
  --capacity N         create: the most members that the room may have
  --hidden             create: lists leave the room out, and without its
                       password it seems not to exist
  --sealed-only        create: only members whose traffic is encrypted enter
  --history N          join: show this many earlier entries; create: let
                       newcomers see this many; 0 to 1024     [20]
  --delivery text|named|stream
                       stream: the same order for all, and lost entries are
                       sent again; named, text: at most once  [stream]
  --carry              messages travel over TCP, for networks that block UDP;
                       with stream delivery the client notices that itself
  --commands           lines from a pipe or a file that begin with / are
                       commands; without it they are messages
  --listen             stay after the end of the input, until a signal; on a
                       terminal read nothing
  --log FILE           append the conversation to FILE, with date and time
  --no-color           no colours; so does NO_COLOR in the environment
  --no-bell            a mention of your name rings no bell

Listing:
  --json               print the list as JSON on one line, for programs

  -h, --help           print this help
  -V, --version        print the version

The client leaves the room when you type /exit, /quit or /leave, at the end of
its input, on SIGINT, SIGTERM or SIGHUP, and when the reader of its output
ends. It ends when the room is closed.
All traffic is encrypted. The client accepts a server if the system trusts its
certificate, if it is at a loopback address, or if you accepted its key before;
otherwise it asks on a terminal, and refuses in a pipe.
/help asks the server for its commands, and lists the keys on a terminal. With
stream delivery the client goes on after a network failure and joins again
after a restart of the server, and a pipe or a file gets the whole record of
the room, including its own messages.

Exit status: 0 after leaving or when the room is closed, if the server
accepted every line; 1 if it did not (stderr has the number of such lines), if
the server refuses the request, or if it is unreachable or gone; 2 if the
command line is wrong; 101 after a fault of the program; 128 plus the number
of a second signal.
";

/// Parses the command line without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    parse_with(args, &|name| env::var_os(name))
}

/// Parses the command line with this environment.
fn parse_with(
    args: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, UsageError> {
    let matches = options().parse(args).map_err(|error| usage(&error.to_string()))?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(HELP.into()));
    }
    if matches.opt_present("version") {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Invocation::Print(format!("reactor-chat-client {version}\n")));
    }
    let words: Vec<&str> = matches.free.iter().map(String::as_str).collect();
    let enter = |operation, room, name| entry(&matches, operation, (room, name), variable);
    match words[..] {
        ["create", room] => enter(Operation::Create, room, None),
        ["create", room, name] => enter(Operation::Create, room, Some(name)),
        ["join", room] => enter(Operation::Join, room, None),
        ["join", room, name] => enter(Operation::Join, room, Some(name)),
        ["list"] => list(&matches, variable),
        [] => Err(usage("use create ROOM, join ROOM or list")),
        _ => {
            let words = words.join(" ");
            Err(usage(&format!("unknown command '{words}'; use create ROOM, join ROOM or list")))
        }
    }
}

fn entry(
    matches: &Matches,
    operation: Operation,
    (room, name): (&str, Option<&str>),
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, UsageError> {
    let given = name_of(matches, name)?;
    let is_named = given.is_some();
    let who = "your login name is not known, say who you are with --name NAME";
    let name = given.or_else(|| username::name(variable)).ok_or_else(|| usage(who))?;
    refuse_foreign(matches, operation)?;
    Ok(Invocation::Chat(ChatOptions {
        server: server(matches, variable)?,
        operation,
        room: short_enough("ROOM", room)?,
        name: short_enough("NAME", &name)?,
        is_named,
        password: password(matches, variable)?,
        capacity: capacity(matches)?,
        is_hidden: matches.opt_present("hidden"),
        is_sealed_only: matches.opt_present("sealed-only"),
        delivery: delivery(matches)?,
        carries: matches.opt_present("carry"),
        history: history(matches)?,
        listens: matches.opt_present("listen"),
        takes_commands: matches.opt_present("commands"),
        wants_color: !matches.opt_present("no-color"),
        wants_bell: !matches.opt_present("no-bell"),
        log: matches.opt_str("log"),
    }))
}

fn list(
    matches: &Matches,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, UsageError> {
    refuse_foreign(matches, Operation::List)?;
    let is_json = matches.opt_present("json");
    Ok(Invocation::List(ListOptions { server: server(matches, variable)?, is_json }))
}

fn usage(why: &str) -> UsageError {
    // getopts repeats its input, which may hold control characters.
    UsageError(format!("{} (--help tells more)", plain(why)))
}

/// Options that have a value.
const VALUES: [&str; 10] = [
    "host",
    "tcp-port",
    "udp-port",
    "fingerprint",
    "name",
    "password",
    "capacity",
    "history",
    "delivery",
    "log",
];

/// Options without a value.
const FLAGS: [&str; 10] = [
    "carry",
    "commands",
    "listen",
    "hidden",
    "no-color",
    "no-bell",
    "json",
    "plain",
    "insecure",
    "sealed-only",
];

/// Options of one action only.
const ENTRYS: [&str; 9] =
    ["name", "password", "delivery", "carry", "history", "commands", "listen", "log", "no-bell"];
const CREATES: [&str; 3] = ["capacity", "hidden", "sealed-only"];
const LISTS: [&str; 1] = ["json"];

fn options() -> Options {
    let mut options = Options::new();
    for name in VALUES {
        options.optopt("", name, "", "");
    }
    for name in FLAGS {
        options.optflag("", name, "");
    }
    options.optflag("h", "help", "");
    options.optflag("V", "version", "");
    options
}

/// Refuses an option that would have no effect.
fn refuse_foreign(matches: &Matches, operation: Operation) -> Result<(), UsageError> {
    let (command, foreign) = match operation {
        Operation::Create => ("create", LISTS.to_vec()),
        Operation::List => ("list", [&ENTRYS[..], &CREATES].concat()),
        Operation::Join | Operation::Resume => ("join", [&CREATES[..], &LISTS].concat()),
    };
    match foreign.into_iter().find(|name| matches.opt_present(name)) {
        Some(name) => Err(usage(&format!("{command} takes no --{name}"))),
        None => Ok(()),
    }
}

fn server(
    matches: &Matches,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<ServerAddress, UsageError> {
    let [host, tcp_port, udp_port, fingerprint] =
        ["host", "tcp-port", "udp-port", "fingerprint"].map(|name| matches.opt_str(name));
    let flags = (matches.opt_present("plain"), matches.opt_present("insecure"));
    let trust = Trust::of_options(flags, fingerprint.as_deref(), variable);
    let trust = trust.map_err(|why| usage(&why))?;
    ServerAddress::of_options(host.as_deref(), tcp_port.as_deref(), udp_port.as_deref())
        .map(|address| address.trusting(trust))
        .map_err(|why| usage(&why))
}

/// Returns the name from the command line: the word behind the room, or `--name`.
fn name_of(matches: &Matches, word: Option<&str>) -> Result<Option<String>, UsageError> {
    match (word, matches.opt_str("name")) {
        (Some(word), Some(option)) if word != option => {
            Err(usage(&format!("NAME is given twice, as '{word}' and as '{option}'")))
        }
        (word, option) => Ok(option.or(word.map(Into::into))),
    }
}

fn password(
    matches: &Matches,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, UsageError> {
    let in_environment = || {
        let value = variable(PASSWORD_VARIABLE).filter(|value| !value.is_empty());
        let text = value.map(OsString::into_string).transpose();
        text.map_err(|_| usage(&format!("{PASSWORD_VARIABLE} is not UTF-8")))
    };
    let password = match matches.opt_str("password") {
        Some(password) => Some(password),
        None => in_environment()?,
    };
    let password = password.map(without_line_end);
    match password.as_ref().map_or(0, String::len) {
        0..=MAX_PASSWORD => Ok(password),
        size => Err(usage(&format!("the password has {size} bytes, it may have {MAX_PASSWORD}"))),
    }
}

fn capacity(matches: &Matches) -> Result<Option<NonZeroU32>, UsageError> {
    let Some(text) = matches.opt_str("capacity") else { return Ok(None) };
    match text.parse() {
        Ok(capacity) => Ok(Some(capacity)),
        Err(_) => Err(usage(&format!("--capacity takes 1 to {}, not '{text}'", u32::MAX))),
    }
}

fn delivery(matches: &Matches) -> Result<Delivery, UsageError> {
    match matches.opt_str("delivery").as_deref() {
        None | Some("stream") => Ok(Delivery::Stream),
        Some("named") => Ok(Delivery::Plain(Form::Named)),
        Some("text") => Ok(Delivery::Plain(Form::Text)),
        Some(text) => Err(usage(&format!("--delivery takes text, named or stream, not '{text}'"))),
    }
}

fn history(matches: &Matches) -> Result<u32, UsageError> {
    let Some(text) = matches.opt_str("history") else { return Ok(HISTORY) };
    match text.parse() {
        Ok(entries @ 0..=MAX_HISTORY) => Ok(entries),
        _ => Err(usage(&format!("--history takes 0 to {MAX_HISTORY}, not '{text}'"))),
    }
}

/// Checks the length, which travels in one byte. The server checks everything else.
fn short_enough(what: &str, name: &str) -> Result<String, UsageError> {
    match name.len() {
        0..=MAX_NAME => Ok(name.into()),
        size => Err(usage(&format!("{what} has {size} bytes, it may have {MAX_NAME}"))),
    }
}

#[cfg(test)]
mod tests;
