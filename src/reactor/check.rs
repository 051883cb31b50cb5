//! The check before a start: everything that the start verifies, without leaving anything behind.
//!
//! The sockets of TCP and UDP are bound and closed at once. They never listen, so no client meets them. No
//! file is made, changed or removed. Passed sockets get the options of the start, which are those that a
//! running server has set already.

use std::net::SocketAddr;

use log::Level;

use super::bind::{Line, limits, open_usable, unserved, with_ports};
use super::bind_error::BindError;
use super::passed;
use super::sockets::{Sockets, bind_tcp};
use super::unix_socket::UnixSocket;
use crate::config::Config;
use crate::datagram;
use crate::service::PassedSockets;
use crate::tls::Tls;
use crate::unix_addr::UnixAddr;

/// The findings of a check.
#[derive(Debug)]
pub struct Findings {
    /// Lines under headings. A line about a mistake has the level of an error.
    pub parts: [(&'static str, Vec<(Level, String)>); 3],
}

/// Checks the settings as a start with these passed sockets does. An address in use is no mistake, because a
/// server may be running.
pub fn check(mut config: Config, passed: PassedSockets) -> Findings {
    let addresses = match passed.is_empty() {
        true => addresses(&config),
        false => passed_addresses(&mut config, passed),
    };
    config.drop_unused_tls();
    let encryption = Tls::check(&config.tls);
    // The heading replaces the mark that these lines have in the log.
    let bare = |(level, line): Line| (level, line.trim_start_matches("limits: ").into());
    let limits = limits(&mut config).into_iter().map(bare).collect();
    Findings { parts: [("Addresses", addresses), ("Encryption", encryption), ("Limits", limits)] }
}

impl Findings {
    /// Returns the number of reasons why the server cannot start, or no client would accept it.
    pub fn mistakes(&self) -> usize {
        let lines = self.parts.iter().flat_map(|(_, lines)| lines);
        lines.filter(|(level, _)| *level == Level::Error).count()
    }
}

fn addresses(config: &Config) -> Vec<Line> {
    let mut lines = match open_usable(&config.bind, |address| ports(config, address)) {
        Ok((found, left_out)) => found.into_iter().flatten().chain(left_out).collect(),
        Err(error) => vec![(Level::Error, error.to_string())],
    };
    lines.extend(unserved(&config.bind));
    lines.extend(config.unix.iter().map(|addr| unix(addr, config.unix_mode)));
    lines
}

fn passed_addresses(config: &mut Config, passed: PassedSockets) -> Vec<Line> {
    let warning = passed::ignored_binds(config).map(|line| (Level::Warn, line.into()));
    let found = match passed::take(config, passed) {
        Ok(sockets) => describe(&sockets),
        Err(error) => vec![(Level::Error, error.to_string())],
    };
    warning.into_iter().chain(found).collect()
}

fn describe(sockets: &Sockets) -> Vec<Line> {
    let tcp = sockets.tcp.iter().filter_map(|listener| listener.local_addr().ok());
    let udp = sockets.datagrams.local_addrs().map(|address| format!("udp {address}"));
    let unix = sockets.unix.iter().map(|socket| format!("unix {}", socket.addr()));
    let all = tcp.map(|address| format!("tcp {address}")).chain(udp).chain(unix);
    all.map(|address| (Level::Info, format!("{address}: passed by the service manager"))).collect()
}

/// Returns a line for each of the two ports of an address.
fn ports(config: &Config, address: SocketAddr) -> Result<[Line; 2], BindError> {
    let (tcp, udp) = with_ports(config, address);
    Ok([
        port("tcp", tcp, bind_tcp(tcp).map(drop).map_err(BindError::listening("tcp", tcp)))?,
        port("udp", udp, datagram::bind(udp).map(drop).map_err(BindError::listening("udp", udp)))?,
    ])
}

fn port(
    transport: &str,
    address: SocketAddr,
    bound: Result<(), BindError>,
) -> Result<Line, BindError> {
    let state = match bound {
        Ok(()) if address.port() == 0 => "any free port",
        Ok(()) => "free",
        Err(error) if error.is_in_use() => IN_USE,
        Err(error) => return Err(error),
    };
    Ok((Level::Info, format!("{transport} {address}: {state}")))
}

/// The state of an address whose owner is not known.
const IN_USE: &str = "in use, perhaps by the server that is running";

fn unix(addr: &UnixAddr, mode: u32) -> Line {
    let mode = match addr {
        UnixAddr::Path(_) => format!("mode {mode:04o}"),
        UnixAddr::Abstract(_) => "open to all users of this machine".into(),
    };
    let state = match UnixSocket::check(addr) {
        Ok(false) => "free",
        Ok(true) => "the file of a server that has ended will be replaced",
        Err(error) if error.is_in_use() => IN_USE,
        Err(error) => return (Level::Error, error.to_string()),
    };
    (Level::Info, format!("unix {addr}: {state}, {mode}"))
}
