//! The client's command line. The table of the options is in `options/table.rs`.

mod table;
#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;

use getopts::Matches;

pub use super::address::{Server, ServerAddress};
use crate::sanitize::plain;
use crate::trust::Trust;
use crate::username;
use reactor_chat::protocol::name::MAX_NAME;
use reactor_chat::protocol::request::{MAX_PASSWORD, without_line_end};
use reactor_chat::protocol::stream::MAX_HISTORY;
use reactor_chat::protocol::{Delivery, Form, Operation};
use reactor_chat::unix_addr::{UnixAddr, UnixAddrError};
use table::CLIENT;

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
    pub server: Server,
    /// True for JSON, as the server sent it.
    pub is_json: bool,
}

/// The options of a chat.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// The server that has the room.
    pub server: Server,
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
    let matches = CLIENT.parser().parse(args).map_err(|error| usage(&error.to_string()))?;
    if let Some(text) = CLIENT.text(&matches).map_err(|why| usage(&why))? {
        return Ok(Invocation::Print(text));
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

/// Options of one action only.
const ENTRYS: [&str; 9] =
    ["name", "password", "delivery", "carry", "history", "commands", "listen", "log", "no-bell"];
const CREATES: [&str; 3] = ["capacity", "hidden", "sealed-only"];
const LISTS: [&str; 1] = ["json"];

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
) -> Result<Server, UsageError> {
    let unix = matches.opt_str("host").and_then(|host| UnixAddr::parse(&host));
    if let Some(addr) = unix {
        return unix_server(matches, addr);
    }
    let [host, tcp_port, udp_port, fingerprint] =
        ["host", "tcp-port", "udp-port", "fingerprint"].map(|name| matches.opt_str(name));
    let flags = (matches.opt_present("plain"), matches.opt_present("insecure"));
    let trust = Trust::of_options(flags, fingerprint.as_deref(), variable);
    let trust = trust.map_err(|why| usage(&why))?;
    ServerAddress::of_options(host.as_deref(), tcp_port.as_deref(), udp_port.as_deref())
        .map(|address| Server::Network(address.trusting(trust)))
        .map_err(|why| usage(&why))
}

/// Options about ports and keys.
const NETWORKS: [&str; 5] = ["tcp-port", "udp-port", "fingerprint", "insecure", "plain"];

/// Returns the server at a Unix socket. Refuses options that would have no effect: who gives a
/// fingerprint would believe that it is checked.
fn unix_server(
    matches: &Matches,
    addr: Result<UnixAddr, UnixAddrError>,
) -> Result<Server, UsageError> {
    let addr = addr.map_err(|why| usage(&format!("--host names no Unix socket: {why}")))?;
    match NETWORKS.into_iter().find(|name| matches.opt_present(name)) {
        Some(name) => Err(usage(&format!(
            "--host unix:{addr} takes no --{name}: a Unix socket has no ports and no keys"
        ))),
        None => Ok(Server::Unix(addr)),
    }
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
