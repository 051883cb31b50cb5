//! The server's command line: words to a [`Config`].

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use getopts::{Matches, Options};
use log::LevelFilter;

use crate::config::{
    Bind, Budgets, ChatConfig, Config, ConnectionConfig, DatagramPath, HostLeaves,
};
use crate::protocol::frame::PROTOCOL_MAX_PAYLOAD;
use crate::protocol::{DEFAULT_TCP_PORT, DEFAULT_UDP_PORT, Language};

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Run the server.
    Serve {
        /// With this.
        config: Box<Config>,
        /// And this much in the log, unless `RUST_LOG` says otherwise.
        log_level: LevelFilter,
    },
    /// Print this and leave.
    Print(String),
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

/// The longest time that an option takes, in seconds: a year. Beyond it only mistakes lie, and sums
/// with a clock stay far from overflowing.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

const HELP: &str = "\
Usage: reactor-chat [OPTIONS]

A chat room relay: rooms are made and joined over TCP, messages fly over UDP.
Started without options it serves this machine only; for others start it with
  reactor-chat --bind 0.0.0.0

Where:
  --bind ADDR             an IPv4 or IPv6 address or a host name to listen on;
                          may be given several times        [127.0.0.1]
  --tcp-port PORT         rooms; 0 takes a free port        [9001]
  --udp-port PORT         messages; 0 takes a free port     [9002]

The chat:
  --lang en|ja            language of the notices           [en]
  --host-leaves close|pass
                          when a room's host goes, close the room or make its
                          longest member the host           [close]
  --idle-timeout SECONDS  remove a member that sends nothing for so long;
                          our client sends every 20 s; 0 is never  [300]
  --replace-silent SECONDS
                          a join with the same name and IP replaces a member
                          that was silent for so long; 0 is never  [30]

What members with stream delivery may ask for again:
  --room-history BYTES    kept for each room, 4096 to 1073741824  [1048576]
  --history-memory BYTES  kept for all rooms, the largest shrinks first; 0 is
                          no limit                          [67108864]

Limits, 0 is none; of IPv6 a /64 counts as one IP:
  --max-rooms N           rooms in all                      [10000]
  --max-rooms-ip N        rooms that one IP has made        [500]
  --max-members N         members in all                    [100000]
  --max-members-ip N      members of one IP                 [10000]
  --max-room-members N    members of one room, whatever capacity its creator
                          wants                             [10000]
  --max-unproved N        members of one IP that have not shown a UDP port
                          yet and have no TCP connection, and those that
                          only announced one; the oldest gives way  [32]
  --wrong-passwords N     wrong passwords of one IP a minute  [20]
  --rate-limit MSGS       messages and commands a second and member; five
                          seconds' worth may come at once   [20]
  --fanout-limit BYTES    a second and member: the bytes of its messages, times
                          the members of the room; likewise [16777216]
  --max-connections N     TCP connections at a time; the one silent longest
                          gives way                         [10000]
  --max-connections-ip N  the same of one IP                [1000]
  --max-payload BYTES     payload of a request, and size of the room list;
                          0 is the protocol's 536870912     [65536]
  --backlog-memory BYTES  what waits to be sent in all rooms; beyond it each
                          may have 8 KiB                    [67108864]
  --buffer-memory BYTES   requests and replies under way of all connections;
                          beyond it each may have 4 KiB     [67108864]
  --connect-timeout SECONDS
                          for the first byte of a request   [120]
  --handshake-timeout SECONDS
                          for a whole request from its first byte, and for
                          the peer to read its reply        [10]

The log goes to stderr (RUST_LOG=debug and the like override these):
  -q, --quiet             warnings and errors only
  -v, --verbose           every request too

  -h, --help              print this
  -V, --version           print the version

It ends on SIGINT, SIGTERM or SIGHUP, after telling every room; on a second
SIGINT or SIGTERM at once. A signal that is ignored at the start stays ignored.
Exit status: 0 after one signal, 128 and its number after a second, 1 when it
cannot listen, 2 when an option or an address is wrong.
";

/// Understands the command line, without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let matches = options()
        .parse(args)
        .map_err(|error| UsageError(format!("{error} (--help lists the options)")))?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(HELP.into()));
    }
    if matches.opt_present("version") {
        return Ok(Invocation::Print(format!("reactor-chat {}\n", env!("CARGO_PKG_VERSION"))));
    }
    if let Some(stray) = matches.free.first() {
        let why = format!("unexpected argument '{stray}' (--help lists the options)");
        return Err(UsageError(why));
    }
    let config = Box::new(config(&matches)?);
    Ok(Invocation::Serve { config, log_level: log_level(&matches)? })
}

fn options() -> Options {
    let mut options = Options::new();
    options.optmulti("", "bind", "", "ADDR");
    for name in [
        "tcp-port",
        "udp-port",
        "lang",
        "host-leaves",
        "idle-timeout",
        "replace-silent",
        "connect-timeout",
        "handshake-timeout",
        "max-rooms",
        "max-rooms-ip",
        "max-members",
        "max-members-ip",
        "max-room-members",
        "max-unproved",
        "wrong-passwords",
        "max-connections",
        "max-connections-ip",
        "max-payload",
        "rate-limit",
        "fanout-limit",
        "room-history",
        "history-memory",
        "backlog-memory",
        "buffer-memory",
        HIDDEN,
    ] {
        options.optopt("", name, "", "");
    }
    options.optflag("q", "quiet", "");
    options.optflag("v", "verbose", "");
    options.optflag("h", "help", "");
    options.optflag("V", "version", "");
    options
}

fn config(matches: &Matches) -> Result<Config, UsageError> {
    let chat = ChatConfig::default();
    let connections = ConnectionConfig::default();
    let seconds = |name, default| seconds(matches, name, default);
    let count = |name, default| limit(matches, name, default);
    let tcp_port = number(matches, "tcp-port")?.unwrap_or(DEFAULT_TCP_PORT);
    let udp_port = number(matches, "udp-port")?.unwrap_or(DEFAULT_UDP_PORT);
    let bind = binds(matches)?;
    // With free ports each address gets its own.
    if (tcp_port, udp_port) != (0, 0) {
        refuse_covered(&bind)?;
    }
    Ok(Config {
        bind,
        tcp_port,
        udp_port,
        chat: ChatConfig {
            language: choice(matches, "lang", LANGUAGES)?.unwrap_or(chat.language),
            host_leaves: choice(matches, "host-leaves", LEAVES)?.unwrap_or(chat.host_leaves),
            idle_timeout: seconds("idle-timeout", chat.idle_timeout)?,
            replace_silent: seconds("replace-silent", chat.replace_silent)?,
            max_unproved: limit(matches, "max-unproved", chat.max_unproved)?,
            max_rooms: count("max-rooms", chat.max_rooms)?,
            max_rooms_ip: limit(matches, "max-rooms-ip", chat.max_rooms_ip)?,
            max_members: count("max-members", chat.max_members)?,
            max_members_ip: limit(matches, "max-members-ip", chat.max_members_ip)?,
            max_room_members: count("max-room-members", chat.max_room_members)?,
            wrong_passwords: limit(matches, "wrong-passwords", chat.wrong_passwords)?,
            debtors: chat.debtors,
            rate_limit: limit(matches, "rate-limit", chat.rate_limit)?,
            fanout_limit: limit(matches, "fanout-limit", chat.fanout_limit)?,
            room_history: room_history(matches)?.unwrap_or(chat.room_history),
            history_memory: count("history-memory", chat.history_memory)?,
            backlog_memory: count("backlog-memory", chat.backlog_memory)?,
        },
        connections: ConnectionConfig {
            connect_timeout: seconds("connect-timeout", connections.connect_timeout)?,
            handshake_timeout: seconds("handshake-timeout", connections.handshake_timeout)?,
            max_connections: count("max-connections", connections.max_connections)?,
            max_connections_ip: count("max-connections-ip", connections.max_connections_ip)?,
            max_payload: max_payload(matches, connections.max_payload)?,
            buffer_memory: count("buffer-memory", connections.buffer_memory)?,
        },
        budgets: Budgets::default(),
        datagram_path: choice(matches, HIDDEN, PATHS)?.unwrap_or_default(),
    })
}

/// Not in the help: it is for tests and measurements.
const HIDDEN: &str = "datagram-path";
const PATHS: [(&str, DatagramPath); 2] =
    [("mmsg", DatagramPath::Mmsg), ("portable", DatagramPath::Portable)];
const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("ja", Language::Japanese)];
const LEAVES: [(&str, HostLeaves); 2] = [("close", HostLeaves::Close), ("pass", HostLeaves::Pass)];

fn log_level(matches: &Matches) -> Result<LevelFilter, UsageError> {
    match (matches.opt_present("quiet"), matches.opt_present("verbose")) {
        (true, true) => Err(UsageError("--quiet and --verbose exclude each other".into())),
        (true, false) => Ok(LevelFilter::Warn),
        (false, true) => Ok(LevelFilter::Debug),
        (false, false) => Ok(LevelFilter::Info),
    }
}

/// Returns every `--bind` in the order given, and every address once.
fn binds(matches: &Matches) -> Result<Vec<Bind>, UsageError> {
    let mut names = matches.opt_strs("bind");
    if names.is_empty() {
        names.push("127.0.0.1".into());
    }
    let mut binds: Vec<Bind> = Vec::new();
    for name in names {
        let mut addresses = Vec::new();
        for address in resolve(&name)?.map(canonical) {
            let earlier = binds.iter().flat_map(|bind| &bind.addresses).chain(&addresses);
            if !earlier.into_iter().any(|known| *known == address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            binds.push(Bind { name, addresses });
        }
    }
    Ok(binds)
}

/// An IPv4 address written as an IPv6 one is that IPv4 address: our IPv6 sockets take IPv6 only.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // The scope of a link-local address stays.
        IpAddr::V6(_) => address,
    }
}

/// Refuses a wildcard beside an address that it covers: the second of the two could only fail, as
/// if another program had the port.
fn refuse_covered(binds: &[Bind]) -> Result<(), UsageError> {
    let all = || binds.iter().flat_map(|bind| bind.addresses.iter().map(move |at| (bind, at.ip())));
    for (wide, wildcard) in all().filter(|(_, ip)| ip.is_unspecified()) {
        let covered = |(narrow, ip): &(&Bind, IpAddr)| {
            *narrow != wide && ip.is_ipv4() == wildcard.is_ipv4() && !ip.is_unspecified()
        };
        if let Some((narrow, ip)) = all().find(covered) {
            return Err(UsageError(format!(
                "--bind {} and --bind {} exclude each other, since {wildcard} covers {ip}: leave one out",
                wide.name, narrow.name
            )));
        }
    }
    Ok(())
}

fn resolve(name: &str) -> Result<impl Iterator<Item = SocketAddr>, UsageError> {
    let refused = |why: String| UsageError(format!("--bind '{name}': {why}"));
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let mut addresses = (bare, 0)
        .to_socket_addrs()
        .map_err(|error| refused(format!("no such address, without a port ({error})")))?
        .peekable();
    match addresses.peek() {
        Some(_) => Ok(addresses),
        None => Err(refused("it has no address".into())),
    }
}

fn number<T: FromStr + Bounded>(matches: &Matches, name: &str) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        UsageError(format!("--{name} takes a whole number from 0 to {}, not '{text}'", T::MAX))
    })
}

/// The types of numeric options, for the message about one that does not fit.
trait Bounded: fmt::Display {
    const MAX: Self;
}

impl Bounded for u16 {
    const MAX: Self = u16::MAX;
}

impl Bounded for u32 {
    const MAX: Self = u32::MAX;
}

/// A ring has 6 KiB at least, so that the longest message fits; the most is far below the 4 GiB at
/// which a ring's offsets would run into each other.
fn room_history(matches: &Matches) -> Result<Option<usize>, UsageError> {
    const LEAST: usize = 4096;
    const MOST: usize = 1 << 30;
    let Some(text) = matches.opt_str("room-history") else { return Ok(None) };
    match text.parse() {
        Ok(bytes) if (LEAST..=MOST).contains(&bytes) => Ok(Some(bytes)),
        _ => Err(UsageError(format!(
            "--room-history takes bytes from {LEAST} to {MOST}, not '{text}'"
        ))),
    }
}

fn seconds(
    matches: &Matches,
    name: &str,
    default: Option<Duration>,
) -> Result<Option<Duration>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(default) };
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(UsageError(format!(
            "--{name} takes whole seconds from 0 (never) to {MAX_SECONDS}, not '{text}'"
        ))),
    }
}

/// A count where 0 means that there is no limit.
fn limit<T>(matches: &Matches, name: &str, default: Option<T>) -> Result<Option<T>, UsageError>
where
    T: TryFrom<u32>,
{
    match number::<u32>(matches, name)? {
        None => Ok(default),
        Some(0) => Ok(None),
        // Every count of ours has at least 32 bits.
        Some(limit) => Ok(T::try_from(limit).ok()),
    }
}

fn max_payload(matches: &Matches, default: usize) -> Result<usize, UsageError> {
    match number::<u32>(matches, "max-payload")?.map(|bytes| bytes as usize) {
        None => Ok(default),
        Some(0) => Ok(PROTOCOL_MAX_PAYLOAD),
        Some(bytes) if bytes <= PROTOCOL_MAX_PAYLOAD => Ok(bytes),
        Some(bytes) => Err(UsageError(format!(
            "--max-payload takes at most the protocol's {PROTOCOL_MAX_PAYLOAD} bytes, not {bytes}"
        ))),
    }
}

fn choice<T: Copy>(
    matches: &Matches,
    name: &str,
    choices: [(&str, T); 2],
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let [(first, _), (second, _)] = choices;
            Err(UsageError(format!("--{name} takes {first} or {second}, not '{text}'")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Config {
        match parse(args.iter().map(OsString::from)) {
            Ok(Invocation::Serve { config, .. }) => *config,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refused(args: &[&str]) -> String {
        parse(args.iter().map(OsString::from)).expect_err("a mistake").to_string()
    }

    #[test]
    fn without_options_it_serves_this_machine_on_the_familys_ports() {
        let config = serve(&[]);
        assert_eq!(ips(&config), ["127.0.0.1"]);
        assert_eq!((config.tcp_port, config.udp_port), (9001, 9002));
        assert_eq!(config.chat, ChatConfig::default());
        assert_eq!(config.connections, ConnectionConfig::default());
    }

    #[test]
    fn zero_is_no_limit() {
        let config = serve(&["--idle-timeout", "0", "--max-members=0", "--max-payload", "0"]);
        assert_eq!((config.chat.idle_timeout, config.chat.max_members), (None, None));
        assert_eq!(config.connections.max_payload, PROTOCOL_MAX_PAYLOAD);
    }

    #[test]
    fn several_binds_are_kept_in_order_and_each_once() {
        let config = serve(&["--bind", "::1", "--bind", "0.0.0.0", "--bind", "[::1]"]);
        assert_eq!(ips(&config), ["::1", "0.0.0.0"]);
    }

    fn ips(config: &Config) -> Vec<String> {
        let addresses = config.bind.iter().flat_map(|bind| &bind.addresses);
        addresses.map(|address| address.ip().to_string()).collect()
    }

    #[test]
    fn field_j_an_address_that_comes_twice_is_merged() {
        let config = serve(&["--bind", "localhost", "--bind", "127.0.0.1", "--bind", "localhost"]);
        assert_eq!(ips(&config).iter().filter(|ip| *ip == "127.0.0.1").count(), 1);
        let config = serve(&["--bind", "::ffff:127.0.0.1", "--bind", "[::ffff:127.0.0.1]"]);
        assert_eq!(ips(&config), ["127.0.0.1"]);
    }

    #[test]
    fn field_j_a_wildcard_and_what_it_covers_are_named() {
        for (one, other) in [
            ("0.0.0.0", "127.0.0.1"),
            ("127.0.0.1", "0.0.0.0"),
            ("::", "::1"),
            ("0.0.0.0", "localhost"),
            ("::ffff:0.0.0.0", "127.0.0.1"),
            ("0.0.0.0", "::ffff:127.0.0.1"),
        ] {
            let line = refused(&["--bind", one, "--bind", other]);
            assert!(line.contains("exclude each other"), "{line}");
            assert!(line.contains(&format!("--bind {one} ")), "{line}");
            assert!(line.contains(&format!("--bind {other} ")), "{line}");
        }
        for apart in [["0.0.0.0", "::"], ["0.0.0.0", "::1"], ["127.0.0.1", "::"]] {
            serve(&["--bind", apart[0], "--bind", apart[1]]);
        }
        let free = ["--tcp-port", "0", "--udp-port", "0"];
        serve(&[&free[..], &["--bind", "0.0.0.0", "--bind", "127.0.0.1"]].concat());
    }

    #[test]
    fn a_mistake_is_one_line_that_names_it() {
        for (args, part) in [
            (&["--bind", "not an address"][..], "--bind 'not an address'"),
            (&["--tcp-port", "70000"], "--tcp-port"),
            (&["--tcp-port"], "tcp-port"),
            (&["--lang", "fr"], "en or ja, not 'fr'"),
            (&["--idle-timeout", "-1"], "--idle-timeout"),
            (&["--idle-timeout", "99999999999"], "31536000"),
            (&["--max-payload", "536870913"], "536870912"),
            (&["--nonsense"], "nonsense"),
            (&["stray"], "'stray'"),
            (&["-q", "-v"], "exclude"),
            (&["--lang", "en", "--lang", "ja"], "lang"),
        ] {
            let line = refused(args);
            assert!(line.contains(part) && !line.contains('\n'), "{args:?}: {line}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal_and_names_every_option() {
        assert!(HELP.lines().all(|line| line.len() < 80), "80 columns");
        let usage = options().usage("");
        for word in usage.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(HELP.contains(word) || word.contains(HIDDEN), "{word}");
        }
    }
}
