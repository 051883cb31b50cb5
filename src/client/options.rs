//! The client's command line: words to an [`Invocation`].

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU16;

use getopts::{Matches, Options};

use super::plain::plain;
use crate::protocol::name::MAX_NAME;
use crate::protocol::stream::MAX_HISTORY;
use crate::protocol::{Delivery, Form, Operation};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Enter a room and chat.
    Chat(Entry),
    /// List the rooms.
    List(Server),
    /// Print this and leave.
    Print(String),
}

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Server {
    /// A host name or an IP address.
    pub host: String,
    /// The port for requests.
    pub tcp_port: u16,
    /// The port for messages.
    pub udp_port: u16,
}

/// Who wants to enter which room.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The server that has the room.
    pub server: Server,
    /// Whether to make the room or to join it.
    pub operation: Operation,
    /// The room, of at most 255 bytes.
    pub room: String,
    /// The user, of at most 255 bytes.
    pub name: String,
    /// The room's password.
    pub password: Option<String>,
    /// How what is said is to come.
    pub delivery: Delivery,
    /// How many earlier entries to see on joining; on making a room, how many newcomers may see.
    pub history: u32,
}

/// A command line that makes no sense: one line that says why.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Earlier entries without `--history`: about a screen.
const HISTORY: u32 = 20;

const HELP: &str = "\
Usage: reactor-chat-client [OPTIONS] create ROOM NAME
       reactor-chat-client [OPTIONS] join ROOM NAME
       reactor-chat-client [OPTIONS] list

Makes or joins a chat room as NAME: lines from stdin go to the room, messages
and notices come out on stdout, one a line. Or lists the rooms.

  --host HOST          the server                           [127.0.0.1]
  --tcp-port PORT      where it takes requests              [9001]
  --udp-port PORT      where it takes messages              [9002]
  --password PW        the room's; other users of this machine may see it in
                       the list of processes
  --delivery text|named|stream
                       stream: in one order for all, and what was lost comes
                       again; named, text: at most once       [stream]
  --history N          join: show so many of the entries before; create: let
                       newcomers see so many; 0 to 1024       [20]

  -h, --help           print this
  -V, --version        print the version

It leaves the room on /exit, at the end of its input, on SIGINT or SIGTERM, and
when nobody reads its output; it ends when the room is closed. /help asks the
server for its commands. With stream delivery it goes on after a cut, joins
again after a restart of the server, and shows its own messages where its input
is no terminal: its output is the room's record.

Exit status: 0 after leaving and when the room is closed; 1 when the request is
refused, the server can't be reached or is gone, or messages were not taken in
the end; 2 when the command line is wrong.
";

/// Understands the command line, without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let matches = options().parse(args).map_err(|error| usage(&error.to_string()))?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(HELP.into()));
    }
    if matches.opt_present("version") {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Invocation::Print(format!("reactor-chat-client {version}\n")));
    }
    let words: Vec<&str> = matches.free.iter().map(String::as_str).collect();
    match words[..] {
        ["create", room, name] => entry(&matches, Operation::Create, room, name),
        ["join", room, name] => entry(&matches, Operation::Join, room, name),
        ["list"] => list(&matches),
        _ => Err(usage("it takes create ROOM NAME, or join ROOM NAME, or list")),
    }
}

fn list(matches: &Matches) -> Result<Invocation, UsageError> {
    match CHATS_OPTIONS.into_iter().find(|name| matches.opt_present(name)) {
        Some(name) => Err(usage(&format!("list takes no --{name}"))),
        None => Ok(Invocation::List(server(matches)?)),
    }
}

fn usage(why: &str) -> UsageError {
    // getopts repeats what it does not understand, whatever is in it.
    UsageError(format!("{} (--help tells more)", plain(why)))
}

/// Options that only say how to enter a room.
const CHATS_OPTIONS: [&str; 3] = ["password", "delivery", "history"];

fn options() -> Options {
    let mut options = Options::new();
    for name in ["host", "tcp-port", "udp-port"].into_iter().chain(CHATS_OPTIONS) {
        options.optopt("", name, "", "");
    }
    options.optflag("h", "help", "");
    options.optflag("V", "version", "");
    options
}

fn server(matches: &Matches) -> Result<Server, UsageError> {
    let host = matches.opt_str("host").unwrap_or("127.0.0.1".into());
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Ok(Server {
        host: bare.map_or_else(|| host.clone(), str::to_owned),
        tcp_port: port(matches, "tcp-port", 9001)?,
        udp_port: port(matches, "udp-port", 9002)?,
    })
}

fn entry(
    matches: &Matches,
    operation: Operation,
    room: &str,
    name: &str,
) -> Result<Invocation, UsageError> {
    Ok(Invocation::Chat(Entry {
        server: server(matches)?,
        operation,
        room: short_enough("ROOM", room)?,
        name: short_enough("NAME", name)?,
        password: matches.opt_str("password"),
        delivery: delivery(matches)?,
        history: history(matches)?,
    }))
}

fn delivery(matches: &Matches) -> Result<Delivery, UsageError> {
    match matches.opt_str("delivery").as_deref() {
        None | Some("stream") => Ok(Delivery::Stream),
        Some("named") => Ok(Delivery::Each(Form::Named)),
        Some("text") => Ok(Delivery::Each(Form::Text)),
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

fn port(matches: &Matches, name: &str, default: u16) -> Result<u16, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(default) };
    match text.parse::<NonZeroU16>() {
        Ok(port) => Ok(port.get()),
        Err(_) => Err(usage(&format!("--{name} takes a port from 1 to 65535, not '{text}'"))),
    }
}

/// A length travels in one byte. Whatever else a name must not be, the server knows best.
fn short_enough(what: &str, name: &str) -> Result<String, UsageError> {
    match name.len() {
        0..=MAX_NAME => Ok(name.into()),
        size => Err(usage(&format!("{what} has {size} bytes, it may have {MAX_NAME}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of(args: &[&str]) -> Entry {
        match parse(args.iter().map(OsString::from)) {
            Ok(Invocation::Chat(entry)) => entry,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn without_options_it_asks_this_machine_on_the_familys_ports() {
        let entry = entry_of(&["join", "r1", "bob"]);
        assert_eq!((&*entry.room, &*entry.name, entry.password), ("r1", "bob", None));
        assert_eq!(entry.operation, Operation::Join);
        assert_eq!((entry.delivery, entry.history), (Delivery::Stream, 20));
        let server = entry.server;
        assert_eq!((&*server.host, server.tcp_port, server.udp_port), ("127.0.0.1", 9001, 9002));
    }

    #[test]
    fn options_may_stand_anywhere_and_names_behind_two_dashes_may_begin_with_one() {
        let entry = entry_of(&["create", "--host=[::1]", "r 1", "--tcp-port", "1", "--", "-b"]);
        assert_eq!((&*entry.room, &*entry.name), ("r 1", "-b"));
        assert_eq!((entry.operation, &*entry.server.host), (Operation::Create, "::1"));
    }

    #[test]
    fn deliveries_and_histories() {
        for (text, delivery) in [
            ("text", Delivery::Each(Form::Text)),
            ("named", Delivery::Each(Form::Named)),
            ("stream", Delivery::Stream),
        ] {
            assert_eq!(entry_of(&["join", "r", "b", "--delivery", text]).delivery, delivery);
        }
        for history in [0, 1, 1024] {
            let text = history.to_string();
            assert_eq!(entry_of(&["join", "r", "b", "--history", &text]).history, history);
        }
    }

    #[test]
    fn a_mistake_is_one_line_that_names_it() {
        let long = "x".repeat(256);
        for (args, part) in [
            (&[][..], "join ROOM NAME"),
            (&["join", "r1"], "join ROOM NAME"),
            (&["join", "r1", "bob", "x"], "join ROOM NAME"),
            (&["leave", "r1", "bob"], "join ROOM NAME"),
            (&["list", "r1"], "list"),
            (&["list", "--password", "x"], "--password"),
            (&["list", "--delivery", "text"], "--delivery"),
            (&["list", "--history", "1"], "--history"),
            (&["join", "r", "b", "--delivery", "x"], "text, named or stream, not 'x'"),
            (&["join", "r", "b", "--history", "1025"], "0 to 1024, not '1025'"),
            (&["join", "r", "b", "--history", "-1"], "0 to 1024, not '-1'"),
            (&["--tcp-port", "0", "list"], "1 to 65535, not '0'"),
            (&["--udp-port", "70000", "list"], "--udp-port"),
            (&["--non\nsense", "list"], "non sense"),
            (&["join", &long, "bob"], "ROOM has 256 bytes"),
            (&["join", "r1", &long], "NAME has 256 bytes"),
        ] {
            let mistake = parse(args.iter().map(OsString::from)).expect_err("a mistake");
            let line = mistake.to_string();
            assert!(line.contains(part) && !line.contains('\n'), "{args:?}: {line}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal_and_names_every_option() {
        assert!(HELP.lines().all(|line| line.len() < 80), "80 columns");
        let usage = options().usage("");
        for word in usage.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
