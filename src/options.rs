//! The server's command line, parsed into a [`Config`].
//!
//! | file | what it owns |
//! | --- | --- |
//! | `table.rs` | the options, for the parser and for everything that documents them |
//! | `binds.rs` | the addresses of `--bind` |
//! | `web.rs` | the options about browsers |
//! | `values.rs` | numbers, seconds, sizes and words |

mod binds;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod web;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use getopts::Matches;
use log::LevelFilter;

use crate::config::{
    Budgets, ChatConfig, Config, ConnectionConfig, DatagramPath, HostLeaves, KeyFiles, TlsConfig,
    TlsMode, UNIX_MODE,
};
use crate::protocol::{DEFAULT_TCP_PORT, DEFAULT_UDP_PORT, Language};
use binds::{binds, refuse_covered};
use table::{HIDDEN, SERVER};
use values::{choice, limit, max_payload, number, room_history, seconds, unix_mode};
use web::web_config;

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
    /// Check everything that a start needs, print the findings, and exit.
    Check(Box<Config>),
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

/// Parses the command line, without the program's name.
///
/// # Errors
/// If an option or an address is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let matches = SERVER
        .parser()
        .parse(args)
        .map_err(|error| UsageError(format!("{error} (--help lists the options)")))?;
    if let Some(text) = SERVER.text(&matches).map_err(UsageError)? {
        return Ok(Invocation::Print(text));
    }
    if let Some(stray) = matches.free.first() {
        let why = format!("unexpected argument '{stray}' (--help lists the options)");
        return Err(UsageError(why));
    }
    let (config, log_level) = (Box::new(config(&matches)?), log_level(&matches)?);
    Ok(match matches.opt_present("check") {
        true => Invocation::Check(config),
        false => Invocation::Serve { config, log_level },
    })
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
    let tls = tls_config(matches)?;
    Ok(Config {
        bind,
        unix,
        unix_mode: unix_mode(matches)?.unwrap_or(UNIX_MODE),
        tcp_port,
        udp_port,
        chat: chat_config(matches, chat_defaults(&connections))?,
        connections,
        web: web_config(matches, tls.mode)?,
        tls,
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
