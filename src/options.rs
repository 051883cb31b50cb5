//! The server's command line, parsed into a [`Config`].

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::{Matches, Options};
use log::LevelFilter;

use crate::config::{
    Bind, Budgets, ChatConfig, Config, ConnectionConfig, DatagramPath, HostLeaves, KeyFiles,
    TlsConfig, TlsMode, UNIX_MODE,
};
use crate::protocol::frame::PROTOCOL_MAX_PAYLOAD;
use crate::protocol::{DEFAULT_TCP_PORT, DEFAULT_UDP_PORT, Language};
use crate::unix_addr::UnixAddr;

/// A valid command line.
#[derive(Debug)]
pub enum Invocation {
    /// Run the server.
    Serve {
        /// The settings.
        config: Box<Config>,
        /// Level of the log, unless `RUST_LOG` sets another.
        log_level: LevelFilter,
    },
    /// Print this text and exit.
    Print(String),
}

/// An invalid command line: one line that says why.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The longest time that an option accepts, in seconds: a year. A longer one is a mistake, and sums with a
/// clock never overflow.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

const HELP: &str = "\
Usage: reactor-chat [OPTIONS]

A chat room relay: rooms are created and joined over TCP, messages travel over
UDP. Without options it serves this machine only. To serve others:
  reactor-chat --bind 0.0.0.0

Addresses:
  --bind ADDR             IPv4 or IPv6 address or host name to listen on, or a
                          Unix socket: unix:PATH, or unix:@NAME for an abstract
                          name; may be given several times  [127.0.0.1]
  --unix-mode MODE        permissions of the files of Unix sockets, in octal
                                                            [660]
  --tcp-port PORT         port for rooms; 0 picks a free one  [9001]
  --udp-port PORT         port for messages; 0 picks a free one  [9002]

Encryption of the connections:
  --tls on|off|required   accept TLS 1.3 on the TCP port, beside cleartext; off
                          accepts none; required refuses cleartext  [on]
  --cert FILE             certificate in PEM; without it the server makes its
                          own, from a key in its state directory
  --key FILE              private key of the certificate, in PEM

Chat:
  --lang en|ja            language of the notices           [en]
  --host-leaves close|pass
                          when a room's host leaves, close the room, or make
                          the member that joined first the host  [close]
  --idle-timeout SECONDS  remove a member that sends nothing for this long;
                          our client sends every 20 s; 0 disables  [300]
  --replace-silent SECONDS
                          a join with the same name and IP replaces a member
                          silent for this long; a carried member whose
                          connection ends may return within it; 0 disables
                                                            [30]

History for members with stream delivery:
  --room-history BYTES    per room, 4096 to 1073741824      [1048576]
  --history-memory BYTES  for all rooms together; the largest shrink first;
                          0 disables the limit              [67108864]

Limits (0 disables a limit; an IPv6 /64 counts as one IP):
  --max-rooms N           rooms in total                    [10000]
  --max-rooms-ip N        rooms created per IP              [500]
  --max-members N         members in total                  [100000]
  --max-members-ip N      members per IP                    [10000]
  --max-room-members N    members per room, whatever capacity its creator
                          requests                          [10000]
  --max-unproved N        members per IP that have sent no datagram yet and
                          have no TCP connection, or have only announced a
                          UDP port; the oldest is removed   [32]
  --wrong-passwords N     wrong passwords per IP and minute [20]
  --rate-limit MSGS       messages and commands per member and second; a burst
                          may use five seconds' worth       [20]
  --fanout-limit BYTES    per member and second, the bytes of its messages
                          times the members of the room; bursts likewise
                                                            [16777216]
  --max-connections N     TCP connections; at the limit, a new one replaces the
                          one that has been idle longest    [10000]
  --max-connections-ip N  TCP connections per IP            [1000]
  --max-carried N         members in total whose messages travel on their TCP
                          connections  [half of --max-connections]
  --max-payload BYTES     payload of a request, and size of the room list;
                          0 selects the protocol's 536870912  [65536]
  --backlog-memory BYTES  unsent output of all rooms together; above it each
                          room may hold 8 KiB               [67108864]
  --buffer-memory BYTES   buffers of all connections together; above it each
                          connection may hold 4 KiB         [67108864]
  --connect-timeout SECONDS
                          for the first byte of a request   [120]
  --handshake-timeout SECONDS
                          for a whole request from its first byte, and for
                          the peer to read its reply        [10]

Log, to stderr (RUST_LOG, such as RUST_LOG=debug, overrides these):
  -q, --quiet             warnings and errors only
  -v, --verbose           also every request

  -h, --help              print this help
  -V, --version           print the version

SIGINT or SIGTERM ends the server after it has told every room; a second one
ends it at once. Either stays ignored if it is ignored at the start. SIGHUP
makes it read its certificate and key again, and SIGUSR1 logs the counters.
Exit status: 0 after one signal, 128 plus its number after a second, 1 if it
cannot listen, 2 if an option, an address or a certificate is wrong.
";

/// Parses the command line, without the program's name.
///
/// # Errors
/// If an option or an address is wrong.
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
        "unix-mode",
        "tls",
        "cert",
        "key",
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
        "max-carried",
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
    let tcp_port = number(matches, "tcp-port")?.unwrap_or(DEFAULT_TCP_PORT);
    let udp_port = number(matches, "udp-port")?.unwrap_or(DEFAULT_UDP_PORT);
    let (bind, unix) = binds(matches)?;
    // With free ports each address gets its own.
    if (tcp_port, udp_port) != (0, 0) {
        refuse_covered(&bind)?;
    }
    let connections = connection_config(matches, ConnectionConfig::default())?;
    Ok(Config {
        bind,
        unix,
        unix_mode: unix_mode(matches)?.unwrap_or(UNIX_MODE),
        tcp_port,
        udp_port,
        chat: chat_config(matches, chat_defaults(&connections))?,
        connections,
        tls: tls_config(matches)?,
        budgets: Budgets::default(),
        datagram_path: choice(matches, HIDDEN, PATHS)?.unwrap_or_default(),
    })
}

/// Returns the defaults of the chat. Half of the connections may carry members, and all of one IP.
fn chat_defaults(connections: &ConnectionConfig) -> ChatConfig {
    let max_carried = connections.max_connections.map(|limit| (limit / 2).max(1));
    // Every limit of the command line has 32 bits.
    let of_one = connections.max_connections_ip;
    let max_carried_ip = of_one.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    ChatConfig { max_carried, max_carried_ip, ..ChatConfig::default() }
}

fn chat_config(matches: &Matches, default: ChatConfig) -> Result<ChatConfig, UsageError> {
    Ok(ChatConfig {
        language: choice(matches, "lang", LANGUAGES)?.unwrap_or(default.language),
        host_leaves: choice(matches, "host-leaves", LEAVES)?.unwrap_or(default.host_leaves),
        idle_timeout: seconds(matches, "idle-timeout", default.idle_timeout)?,
        replace_silent: seconds(matches, "replace-silent", default.replace_silent)?,
        max_unproved: limit(matches, "max-unproved", default.max_unproved)?,
        max_rooms: limit(matches, "max-rooms", default.max_rooms)?,
        max_rooms_ip: limit(matches, "max-rooms-ip", default.max_rooms_ip)?,
        max_members: limit(matches, "max-members", default.max_members)?,
        max_members_ip: limit(matches, "max-members-ip", default.max_members_ip)?,
        max_room_members: limit(matches, "max-room-members", default.max_room_members)?,
        max_carried: limit(matches, "max-carried", default.max_carried)?,
        max_carried_ip: default.max_carried_ip,
        wrong_passwords: limit(matches, "wrong-passwords", default.wrong_passwords)?,
        debtors: default.debtors,
        rate_limit: limit(matches, "rate-limit", default.rate_limit)?,
        fanout_limit: limit(matches, "fanout-limit", default.fanout_limit)?,
        room_history: room_history(matches)?.unwrap_or(default.room_history),
        history_memory: limit(matches, "history-memory", default.history_memory)?,
        backlog_memory: limit(matches, "backlog-memory", default.backlog_memory)?,
    })
}

fn connection_config(
    matches: &Matches,
    default: ConnectionConfig,
) -> Result<ConnectionConfig, UsageError> {
    let max_connections_ip = default.max_connections_ip;
    Ok(ConnectionConfig {
        connect_timeout: seconds(matches, "connect-timeout", default.connect_timeout)?,
        handshake_timeout: seconds(matches, "handshake-timeout", default.handshake_timeout)?,
        max_connections: limit(matches, "max-connections", default.max_connections)?,
        max_connections_ip: limit(matches, "max-connections-ip", max_connections_ip)?,
        max_payload: max_payload(matches, default.max_payload)?,
        buffer_memory: limit(matches, "buffer-memory", default.buffer_memory)?,
    })
}

/// Settings of TLS. A build without it has no other than `off`.
fn tls_config(matches: &Matches) -> Result<TlsConfig, UsageError> {
    let mode = choice(matches, "tls", TLS)?;
    let path = |name| matches.opt_str(name).map(PathBuf::from);
    let (certificate, key) = (path("cert"), path("key"));
    let names_files = certificate.is_some() || key.is_some();
    let needs_tls = names_files || mode.is_some_and(|mode| mode != TlsMode::Off);
    if needs_tls && !cfg!(feature = "tls") {
        return Err(UsageError("this build has no TLS (cargo feature tls)".into()));
    }
    if names_files && mode == Some(TlsMode::Off) {
        return Err(UsageError("--cert and --key have no use with --tls off".into()));
    }
    let files = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(KeyFiles { certificate, key }),
        (None, None) => None,
        _ => return Err(UsageError("--cert and --key need each other".into())),
    };
    Ok(TlsConfig { mode: mode.unwrap_or_default(), files })
}

/// An option for tests and measurements, which the help leaves out.
const HIDDEN: &str = "datagram-path";
const PATHS: [(&str, DatagramPath); 2] =
    [("mmsg", DatagramPath::Mmsg), ("portable", DatagramPath::Portable)];
const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("ja", Language::Japanese)];
const TLS: [(&str, TlsMode); 3] =
    [("on", TlsMode::On), ("off", TlsMode::Off), ("required", TlsMode::Required)];
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
fn binds(matches: &Matches) -> Result<(Vec<Bind>, Vec<UnixAddr>), UsageError> {
    let mut names = matches.opt_strs("bind");
    if names.is_empty() {
        names.push("127.0.0.1".into());
    }
    let (mut binds, mut unix): (Vec<Bind>, Vec<UnixAddr>) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(parsed) = UnixAddr::parse(&name) {
            let addr = parsed.map_err(|why| UsageError(format!("--bind '{name}': {why}")))?;
            if !unix.contains(&addr) {
                unix.push(addr);
            }
            continue;
        }
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
    Ok((binds, unix))
}

/// Returns the IPv4 address that an IPv6 address maps, because our IPv6 sockets are IPv6 only.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // The scope of a link-local address stays.
        IpAddr::V6(_) => address,
    }
}

/// Refuses a wildcard beside an address that it covers: the second of the two would fail as if another
/// program used the port.
fn refuse_covered(binds: &[Bind]) -> Result<(), UsageError> {
    let all = || binds.iter().flat_map(|bind| bind.addresses.iter().map(move |at| (bind, at.ip())));
    for (wide, wildcard) in all().filter(|(_, ip)| ip.is_unspecified()) {
        let covered = |(narrow, ip): &(&Bind, IpAddr)| {
            *narrow != wide && ip.is_ipv4() == wildcard.is_ipv4() && !ip.is_unspecified()
        };
        if let Some((narrow, ip)) = all().find(covered) {
            return Err(UsageError(format!(
                "--bind {} and --bind {} exclude each other, because {wildcard} covers {ip}",
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
        .map_err(|error| refused(format!("not an address without a port ({error})")))?
        .peekable();
    match addresses.peek() {
        Some(_) => Ok(addresses),
        None => Err(refused("it has no address".into())),
    }
}

/// Parses the permissions of a file, in octal digits as chmod(1) takes them.
fn unix_mode(matches: &Matches) -> Result<Option<u32>, UsageError> {
    let Some(text) = matches.opt_str("unix-mode") else { return Ok(None) };
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => Err(UsageError(format!("--unix-mode must be octal from 0 to 777, not '{text}'"))),
    }
}

fn number<T: FromStr + Bounded>(matches: &Matches, name: &str) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        UsageError(format!("--{name} must be a whole number from 0 to {}, not '{text}'", T::MAX))
    })
}

/// Types of numeric options, with their maximum for the error message.
trait Bounded: fmt::Display {
    const MAX: Self;
}

impl Bounded for u16 {
    const MAX: Self = u16::MAX;
}

impl Bounded for u32 {
    const MAX: Self = u32::MAX;
}

/// Parses the size of a ring. A ring has at least 6 KiB, so that the longest message fits. The limit is far
/// below the 4 GiB at which the offsets in a ring would wrap.
fn room_history(matches: &Matches) -> Result<Option<usize>, UsageError> {
    const MIN: usize = 4096;
    const MAX: usize = 1 << 30;
    let Some(text) = matches.opt_str("room-history") else { return Ok(None) };
    match text.parse() {
        Ok(bytes) if (MIN..=MAX).contains(&bytes) => Ok(Some(bytes)),
        _ => Err(UsageError(format!(
            "--room-history must be from {MIN} to {MAX} bytes, not '{text}'"
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
            "--{name} must be whole seconds from 0 (off) to {MAX_SECONDS}, not '{text}'"
        ))),
    }
}

/// Parses a limit, which 0 disables.
fn limit<T>(matches: &Matches, name: &str, default: Option<T>) -> Result<Option<T>, UsageError>
where
    T: TryFrom<u32>,
{
    match number::<u32>(matches, name)? {
        None => Ok(default),
        Some(0) => Ok(None),
        // Every limit has at least 32 bits, so the conversion succeeds.
        Some(limit) => Ok(T::try_from(limit).ok()),
    }
}

fn max_payload(matches: &Matches, default: usize) -> Result<usize, UsageError> {
    match number::<u32>(matches, "max-payload")?.map(|bytes| bytes as usize) {
        None => Ok(default),
        Some(0) => Ok(PROTOCOL_MAX_PAYLOAD),
        Some(bytes) if bytes <= PROTOCOL_MAX_PAYLOAD => Ok(bytes),
        Some(bytes) => Err(UsageError(format!(
            "--max-payload must be at most the protocol's {PROTOCOL_MAX_PAYLOAD} bytes, not {bytes}"
        ))),
    }
}

fn choice<T: Copy, const N: usize>(
    matches: &Matches,
    name: &str,
    choices: [(&str, T); N],
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let words = choices.map(|(word, _)| word).join(" or ");
            Err(UsageError(format!("--{name} must be {words}, not '{text}'")))
        }
    }
}

#[cfg(test)]
mod tests;
