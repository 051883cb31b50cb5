//! Opening the sockets at the start: here, and only here, an error ends the server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll};
use socket2::{Domain, Protocol, Type};

use super::acceptor::Acceptor;
use super::alert_log::AlertLog;
use super::connections::Connections;
use super::outputs::Outputs;
use super::signals::Signals;
use super::source::Source;
use super::{EVENTS, Reactor, Services};
use crate::chat::Chat;
use crate::config::{Config, METRICS_INTERVAL, RESERVED_DESCRIPTORS};
use crate::datagram::{self, Datagrams};
use crate::metrics::Metrics;
use crate::sys;

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn` (listen(2)).
const BACKLOG: i32 = 4096;

/// Why the server could not start.
#[derive(Debug)]
pub struct BindError {
    what: String,
    error: io::Error,
}

impl BindError {
    /// Whether the address that was asked for is not one of this machine.
    pub fn is_foreign_address(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrNotAvailable
    }

    fn new(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self { what, error }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".into(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address".into(),
            io::ErrorKind::PermissionDenied => {
                "permission denied (ports below 1024 need a privilege)".into()
            }
            _ => self.error.to_string(),
        };
        write!(f, "{}: {why}", self.what)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

pub(super) fn bind(mut config: Config) -> Result<Reactor, BindError> {
    fit_descriptor_limit(&mut config);
    for line in config.limits() {
        log::info!("limits: {line}");
    }
    for line in config.warnings() {
        log::warn!("{line}");
    }
    let poll = Poll::new().map_err(BindError::new("cannot make a poll"))?;
    let (listeners, datagrams) = open_sockets(&config)?;
    let mut reactor = assemble(poll, config, listeners, datagrams)
        .map_err(BindError::new("cannot set up the loop"))?;
    reactor.register_sockets().map_err(BindError::new("cannot register the sockets"))?;
    Ok(reactor)
}

/// A connection needs a descriptor: what the system does not give can't be promised.
fn fit_descriptor_limit(config: &mut Config) {
    let limit = match sys::raise_descriptor_limit() {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(error) => return log::warn!("the limit of open files is as it was: {error}"),
    };
    log::info!("open files: at most {limit}");
    // A listener and a UDP socket for each address.
    let reserved = RESERVED_DESCRIPTORS + 2 * config.bind.len();
    let possible = limit.saturating_sub(reserved).max(1);
    if config.connections.max_connections.is_none_or(|wanted| wanted > possible) {
        log::warn!("connections are limited to {possible}, by the limit of open files");
        config.connections.max_connections = Some(possible);
        // Nobody may hold all of what there is.
        let of_one = config.connections.max_connections_ip.map(|wanted| wanted.min(possible / 2));
        config.connections.max_connections_ip = of_one.map(|limit| limit.max(1));
    }
}

fn open_sockets(config: &Config) -> Result<(Vec<TcpListener>, Datagrams), BindError> {
    let mut listeners = Vec::new();
    let mut datagrams = Datagrams::new(config.datagram_path);
    for &address in &config.bind {
        let with_port = |port| {
            let mut address = address;
            address.set_port(port);
            address
        };
        let (tcp, udp) = (with_port(config.tcp_port), with_port(config.udp_port));
        let what = format!("cannot listen on tcp {tcp}");
        listeners.push(listen(tcp).map_err(BindError::new(what))?);
        let what = format!("cannot listen on udp {udp}");
        let socket = datagram::bind(udp).and_then(|socket| datagrams.add(socket));
        socket.map_err(BindError::new(what))?;
    }
    Ok((listeners, datagrams))
}

/// A listener that can be bound again right after an end, while connections of the last one are
/// still in TIME_WAIT (socket(7), SO_REUSEADDR), and that leaves IPv4 to another.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn assemble(
    poll: Poll,
    config: Config,
    mut listeners: Vec<TcpListener>,
    datagrams: Datagrams,
) -> io::Result<Reactor> {
    for (index, listener) in listeners.iter_mut().enumerate() {
        let token = Source::Listener(index).into();
        poll.registry().register(listener, token, Interest::READABLE)?;
    }
    let now = Instant::now();
    Ok(Reactor {
        signals: Signals::register(poll.registry())?,
        poll,
        events: Events::with_capacity(EVENTS),
        acceptor: Acceptor::new(listeners)?,
        connections: Connections::new(config.connections.clone(), config.budgets.clone()),
        outputs: Outputs::default(),
        services: Services {
            chat: Chat::new(config.chat.clone()),
            datagrams,
            metrics: Metrics::default(),
            alerts: AlertLog::new(),
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
        for (index, socket) in self.services.datagrams.sockets_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(socket, Source::Datagrams(index).into(), interest)?;
        }
        Ok(())
    }
}
