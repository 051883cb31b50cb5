//! Opening the sockets at the start: here, and only here, an error ends the server.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use log::Level;
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll};

use super::acceptor::Acceptor;
use super::alert_log::AlertLog;
use super::bind_error::BindError;
use super::connections::Connections;
use super::figures::Figures;
use super::outputs::Outputs;
use super::quic_sessions::QuicSessions;
use super::service::Service;
use super::signals::{self, Signals};
use super::sockets::{Sockets, listen};
use super::source::Source;
use super::unix_socket::UnixSocket;
use super::web::Web;
use super::{Context, EVENTS, Reactor, memory_estimate, passed};
use crate::chat::Chat;
use crate::config::{Bind, Config, METRICS_INTERVAL, RESERVED_DESCRIPTORS};
use crate::datagram::{self, Datagrams};
use crate::metrics::Metrics;
use crate::protocol::datagram::sender_key;
use crate::service::ServiceManager;
use crate::sys;
use crate::tls::Tls;

pub(super) fn bind(mut config: Config, manager: ServiceManager) -> Result<Reactor, BindError> {
    signals::shield().map_err(BindError::new("cannot ignore a signal"))?;
    let ServiceManager { sockets, notifier, watchdog } = manager;
    let passed = match sockets.is_empty() {
        true => None,
        false => Some(passed::take(&mut config, sockets)?),
    };
    config.drop_unused_tls();
    limits(&mut config).into_iter().for_each(log_line);
    let names = names(&config.bind);
    let tls = Tls::open(&config.tls, names.clone(), Instant::now()).map_err(BindError::of_files)?;
    let web = Web::new(&config.web, names).map_err(BindError::new("cannot make the pages"))?;
    let poll = Poll::new().map_err(BindError::new("cannot make a poll"))?;
    let sockets = passed.map_or_else(|| open_sockets(&config), Ok)?;
    let service = Service::new(notifier, watchdog, Instant::now());
    let mut reactor = assemble(poll, config, sockets, (tls, web), service)
        .map_err(BindError::new("cannot set up the loop"))?;
    reactor.register_sockets().map_err(BindError::new("cannot register the sockets"))?;
    Ok(reactor)
}

/// A line for the log, with its level.
pub(super) type Line = (Level, String);

fn log_line((level, line): Line) {
    log::log!(level, "{line}");
}

/// Returns the limits in force, and the warnings about them. Changes those that the system lowers.
pub(super) fn limits(config: &mut Config) -> Vec<Line> {
    let mut lines = fit_descriptor_limit(config);
    lines.extend(config.limits().map(|line| (Level::Info, format!("limits: {line}"))));
    lines.push((Level::Info, format!("limits: {}", memory_estimate::describe(config))));
    lines.extend(config.warnings().into_iter().map(|line| (Level::Warn, line)));
    lines
}

/// Limits the connections to the number of descriptors that the system grants.
fn fit_descriptor_limit(config: &mut Config) -> Vec<Line> {
    let limit = match sys::raise_descriptor_limit() {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(error) => {
            return vec![(Level::Warn, format!("cannot raise the limit of open files: {error}"))];
        }
    };
    let mut lines = vec![(Level::Info, format!("open files: at most {limit}"))];
    // A listener and a UDP socket for each address, and a listener for each Unix socket.
    let addresses: usize = config.bind.iter().map(|bind| bind.addresses.len()).sum();
    let sockets = 2 * addresses + config.unix.len();
    let reserved = RESERVED_DESCRIPTORS + sockets;
    let possible = limit.saturating_sub(reserved).max(1);
    if config.connections.max_connections.is_none_or(|wanted| wanted > possible) {
        limit_connections(config, possible);
        let line = format!("connections are limited to {possible}, by the limit of open files");
        lines.push((Level::Warn, line));
    }
    lines
}

fn limit_connections(config: &mut Config, possible: usize) {
    config.connections.max_connections = Some(possible);
    // One peer must not be able to hold all of them.
    let of_one = config.connections.max_connections_ip.map(|wanted| wanted.min(possible / 2));
    config.connections.max_connections_ip = of_one.map(|limit| limit.max(1));
    let carried = config.chat.max_carried.map_or(possible / 2, |wanted| wanted.min(possible / 2));
    config.chat.max_carried = Some(carried.max(1));
    let of_one = config.connections.max_connections_ip;
    config.chat.max_carried_ip = of_one.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
}

fn open_sockets(config: &Config) -> Result<Sockets, BindError> {
    let mut tcp = Vec::new();
    let mut datagrams = Datagrams::new(config.datagram_path, sender_key);
    let (opened, left_out) = open_usable(&config.bind, |address| open(config, address))?;
    for (listener, socket) in opened {
        tcp.push(listener);
        datagrams.add(socket).map_err(BindError::new("cannot set up a udp socket"))?;
    }
    left_out.into_iter().chain(unserved(&config.bind)).for_each(log_line);
    let unix = config.unix.iter().map(|addr| UnixSocket::open(addr, config.unix_mode));
    Ok(Sockets { tcp, datagrams, unix: unix.collect::<Result<_, _>>()? })
}

fn open(config: &Config, address: SocketAddr) -> Result<(TcpListener, UdpSocket), BindError> {
    let (tcp, udp) = with_ports(config, address);
    let listener = listen(tcp).map_err(BindError::listening("tcp", tcp))?;
    let socket = datagram::bind(udp).map_err(BindError::listening("udp", udp))?;
    Ok((listener, socket))
}

/// Returns an address with the port of TCP and with that of UDP.
pub(super) fn with_ports(config: &Config, address: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (mut tcp, mut udp) = (address, address);
    tcp.set_port(config.tcp_port);
    udp.set_port(config.udp_port);
    (tcp, udp)
}

/// Opens every address, and returns a warning for each one that is left out. An address that this machine
/// does not have is left out if its name has another one, such as `localhost` without IPv6. A wildcard of a
/// missing family is left out if any other address can be opened, such as `::` beside `0.0.0.0` on a kernel
/// without IPv6.
pub(super) fn open_usable<T>(
    binds: &[Bind],
    mut open: impl FnMut(SocketAddr) -> Result<T, BindError>,
) -> Result<(Vec<T>, Vec<Line>), BindError> {
    let (mut opened, mut left_out) = (Vec::new(), Vec::new());
    for bind in binds {
        let (before, mut missing) = (opened.len(), Vec::new());
        for &address in &bind.addresses {
            match open(address) {
                Ok(sockets) => opened.push(sockets),
                Err(error) if error.is_foreign_address() => missing.push((address, error)),
                Err(error) => return Err(error),
            }
        }
        let has_some = opened.len() > before;
        for (address, error) in missing {
            let is_optional = error.is_missing_family() && address.ip().is_unspecified();
            match has_some || is_optional {
                true => left_out.push((&bind.name, error)),
                false => return Err(error),
            }
        }
    }
    if opened.is_empty() && !left_out.is_empty() {
        return Err(left_out.swap_remove(0).1);
    }
    let warning = |(name, error)| (Level::Warn, format!("not served, of --bind {name}: {error}"));
    Ok((opened, left_out.into_iter().map(warning).collect()))
}

/// Returns a line for a family that a wildcard leaves out, because on many systems `::` serves both.
pub(super) fn unserved(binds: &[Bind]) -> Option<Line> {
    let ips = || binds.iter().flat_map(|bind| &bind.addresses).map(SocketAddr::ip);
    let has_wildcard = |is_v6: bool| ips().any(|ip| ip.is_unspecified() && ip.is_ipv6() == is_v6);
    if has_wildcard(true) && !ips().any(|ip| ip.is_ipv4()) {
        let line = "IPv4 is not served: --bind :: is IPv6 only, add --bind 0.0.0.0";
        Some((Level::Warn, line.into()))
    } else if has_wildcard(false) && !ips().any(|ip| ip.is_ipv6()) {
        Some((Level::Info, "IPv6 is not served: add --bind :: for it".into()))
    } else {
        None
    }
}

/// Returns the names and addresses under which clients may know the server, each once.
fn names(binds: &[Bind]) -> Vec<String> {
    let ips = binds.iter().flat_map(|bind| &bind.addresses).map(SocketAddr::ip);
    let ips = ips.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    let given = binds.iter().map(|bind| bind.name.clone());
    // hostname(7)
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let fixed = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut names: Vec<String> = fixed.into_iter().chain(ips).chain(given).collect();
    names.push(own.trim().into());
    let is_name = |name: &String| {
        let is_ip = name.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified());
        let is_host =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        is_ip || (is_host && name.bytes().any(|byte| byte.is_ascii_alphabetic()))
    };
    names.retain(is_name);
    names.sort_unstable();
    names.dedup();
    names
}

fn assemble(
    poll: Poll,
    config: Config,
    Sockets { tcp, mut datagrams, unix }: Sockets,
    (tls, web): (Tls, Web),
    service: Service,
) -> io::Result<Reactor> {
    let now = Instant::now();
    let tcp_ports = tcp.iter().map(|listener| listener.local_addr().map(|tcp| tcp.port()));
    let tcp_ports = tcp_ports.collect::<io::Result<_>>()?;
    let quic = QuicSessions::new(&config, &tls, &mut datagrams, tcp_ports);
    Ok(Reactor {
        signals: Signals::register(poll.registry())?,
        acceptor: Acceptor::new(tcp, unix, poll.registry())?,
        poll,
        events: Events::with_capacity(EVENTS),
        connections: Connections::new(config.connections.clone(), config.budgets.clone()),
        outputs: Outputs::default(),
        service,
        context: Context {
            chat: Chat::new(config.chat.clone()),
            datagrams,
            metrics: Metrics::default(),
            alerts: AlertLog::new(),
            quic,
            tls,
            figures: Figures::new(&config, now),
            web,
            now,
        },
        reported: Metrics::default(),
        report_at: now + METRICS_INTERVAL,
        config,
        leave_by: None,
        forced: None,
    })
}

impl Reactor {
    fn register_sockets(&mut self) -> io::Result<()> {
        for (index, socket) in self.context.datagrams.sockets_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(socket, Source::Datagrams(index).into(), interest)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(name: &str, addresses: &[&str]) -> Bind {
        let parse = |address: &&str| SocketAddr::new(address.parse().expect("an address"), 0);
        Bind { name: name.into(), addresses: addresses.iter().map(parse).collect() }
    }

    /// Returns the IPs that are opened when these addresses meet an error.
    fn opened(binds: &[Bind], failing: &[(&str, i32)]) -> Result<Vec<String>, String> {
        let open = |address: SocketAddr| {
            let ip = address.ip().to_string();
            match failing.iter().find(|(failing, _)| *failing == ip) {
                Some((_, errno)) => {
                    let error = io::Error::from_raw_os_error(*errno);
                    Err(BindError::listening("tcp", address)(error))
                }
                None => Ok(ip),
            }
        };
        open_usable(binds, open).map(|(opened, _)| opened).map_err(|error| error.to_string())
    }

    #[test]
    fn field_j_usable_addresses_are_served() {
        let localhost = [bind("localhost", &["::1", "127.0.0.1"])];
        for missing in [libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT] {
            let usable = opened(&localhost, &[("::1", missing)]);
            assert_eq!(usable, Ok(vec!["127.0.0.1".into()]));
            opened(&localhost, &[("::1", missing), ("127.0.0.1", missing)]).expect_err("none left");
        }
        let taken = opened(&localhost, &[("::1", libc::EADDRINUSE)]).expect_err("a port in use");
        assert!(taken.ends_with("[::1]:0: the port is in use by another program"), "{taken}");
    }

    #[test]
    fn field_j_missing_literal_address_fails() {
        let binds = [bind("127.0.0.1", &["127.0.0.1"]), bind("::1", &["::1"])];
        for (errno, why) in [
            (libc::EADDRNOTAVAIL, "this machine does not have that address"),
            (libc::EAFNOSUPPORT, "this machine has no IPv6"),
        ] {
            let error = opened(&binds, &[("::1", errno)]).expect_err("missing");
            assert!(error.ends_with(why), "{error}");
        }
    }

    #[test]
    fn field_j_wildcard_of_missing_family() {
        let (v4, v6) = (bind("0.0.0.0", &["0.0.0.0"]), bind("::", &["::"]));
        let off = &[("::", libc::EAFNOSUPPORT)][..];
        for binds in [[v4.clone(), v6.clone()], [v6.clone(), v4]] {
            assert_eq!(opened(&binds, off), Ok(vec!["0.0.0.0".into()]));
        }
        opened(&[v6], off).expect_err("nothing is left");
    }
}
