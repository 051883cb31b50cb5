//! The sockets that the service manager has opened (sd_listen_fds(3)), and which of them the server can
//! use. Each TCP listener needs a UDP socket of its IP.

use std::env;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process;

use socket2::{Domain, Protocol, Socket, Type};

use super::descriptors;

/// Number of the first descriptor (`SD_LISTEN_FDS_START`).
const FIRST: usize = 3;

/// Limit for the number of sockets: far more than a machine has addresses.
const MAX_SOCKETS: usize = 64;

/// The sockets that were passed, checked and in pairs. They have no options of ours.
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// TCP listeners, each with the UDP socket of the same IP.
    pub pairs: Vec<(TcpListener, UdpSocket)>,
    /// Listeners on Unix sockets.
    pub unix: Vec<UnixListener>,
}

/// The reason why the passed sockets cannot be used: one line that names the socket.
#[derive(Debug, PartialEq, Eq)]
pub struct PassedError(String);

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PassedError {}

/// A socket with the address that it is bound to.
struct Bound<S> {
    socket: S,
    address: SocketAddr,
}

/// A socket of a kind that the server uses.
enum Usable {
    Tcp(Bound<TcpListener>),
    Udp(Bound<UdpSocket>),
    Unix(UnixListener),
}

impl PassedSockets {
    /// Takes the sockets that were passed to this process. Must be called once, before any thread starts.
    ///
    /// # Errors
    /// If the server cannot use one of them.
    pub(super) fn take() -> Result<Self, PassedError> {
        let Some(text) = env::var_os("LISTEN_FDS").filter(|_| is_for_us()) else {
            return Ok(Self::default());
        };
        let count = text.to_str().and_then(parse_count).ok_or_else(|| {
            let text = text.display();
            PassedError(format!("LISTEN_FDS must be from 1 to {MAX_SOCKETS}, not '{text}'"))
        })?;
        let sockets = descriptors::take(count).map_err(|why| PassedError(why.into()))?;
        Self::of(sockets)
    }

    fn of(sockets: Vec<Option<Socket>>) -> Result<Self, PassedError> {
        let (mut tcp, mut udp, mut unix) = (Vec::new(), Vec::new(), Vec::new());
        for (index, socket) in sockets.into_iter().enumerate() {
            let number = FIRST + index;
            let flaw = |why| PassedError(format!("socket {number} of LISTEN_FDS {why}"));
            let unusable = || flaw("is no TCP, UDP or Unix stream socket".into());
            match Usable::of(socket.ok_or_else(unusable)?).map_err(flaw)? {
                Usable::Tcp(listener) => tcp.push(listener),
                Usable::Udp(socket) => udp.push(socket),
                Usable::Unix(listener) => unix.push(listener),
            }
        }
        Ok(Self { pairs: pair(tcp, udp)?, unix })
    }

    /// Returns true if no socket was passed.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.unix.is_empty()
    }
}

/// Returns true if the sockets are for this process. Another one may have inherited the variables, and a
/// shell between the manager and the server has taken them.
fn is_for_us() -> bool {
    let pid = env::var("LISTEN_PID").unwrap_or_default();
    let is_for_us = pid == process::id().to_string();
    if !is_for_us {
        log::warn!("no sockets are passed: LISTEN_FDS is for the process LISTEN_PID='{pid}'");
    }
    is_for_us
}

fn parse_count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| (1..=MAX_SOCKETS).contains(count))
}

impl Usable {
    /// Checks a socket. The error is the rest of a sentence about it.
    fn of(socket: Socket) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot be used: {error}");
        let kind = socket.r#type().map_err(failed)?;
        if kind == Type::STREAM && !socket.is_listener().map_err(failed)? {
            return Err("does not listen (a socket unit needs Accept=no)".into());
        }
        if socket.domain().map_err(failed)? == Domain::UNIX {
            return Ok(Self::Unix(OwnedFd::from(socket).into()));
        }
        let address = socket.local_addr().map_err(failed)?;
        let address = address.as_socket().ok_or("has no IP address")?;
        if address.port() == 0 {
            return Err("has no port".into());
        }
        if kind == Type::DGRAM && socket.peer_addr().is_ok() {
            return Err("is connected, so it receives from one peer only".into());
        }
        if address.is_ipv6() && serves_ipv4(&socket, address).map_err(failed)? {
            return Err("serves IPv4 and IPv6 (BindIPv6Only=ipv6-only separates them)".into());
        }
        match socket.protocol().map_err(failed)? {
            Some(Protocol::TCP) => Ok(Self::Tcp(Bound { socket: socket.into(), address })),
            Some(Protocol::UDP) => Ok(Self::Udp(Bound { socket: socket.into(), address })),
            _ => Err("is neither TCP nor UDP".into()),
        }
    }
}

/// Returns true if IPv4 peers reach an IPv6 socket, with mapped addresses (ipv6(7)). That cannot be changed
/// once it is bound.
fn serves_ipv4(socket: &Socket, address: SocketAddr) -> io::Result<bool> {
    let ip = address.ip();
    let has_ipv4 = ip.is_unspecified() || ip.to_canonical().is_ipv4();
    Ok(has_ipv4 && !socket.only_v6()?)
}

/// Returns the listeners, each with a UDP socket of its IP, in the order of the listeners.
fn pair(
    tcp: Vec<Bound<TcpListener>>,
    mut udp: Vec<Bound<UdpSocket>>,
) -> Result<Vec<(TcpListener, UdpSocket)>, PassedError> {
    let lacks = |transport, address, other| {
        let why =
            format!("the passed {transport} socket {address} needs a {other} socket of its IP");
        PassedError(why)
    };
    let mut pairs = Vec::with_capacity(tcp.len());
    for Bound { socket, address } in tcp {
        let partner =
            udp.iter().position(|other| without_port(other.address) == without_port(address));
        let partner = partner.ok_or_else(|| lacks("tcp", address, "udp"))?;
        pairs.push((socket, udp.remove(partner).socket));
    }
    match udp.first() {
        Some(unpaired) => Err(lacks("udp", unpaired.address, "tcp")),
        None => Ok(pairs),
    }
}

/// Returns the address without its port. A link-local one has its interface.
fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(ip: &str) -> Option<Socket> {
        Some(TcpListener::bind((ip, 0)).expect("a free port").into())
    }

    fn udp(ip: &str) -> Option<Socket> {
        Some(UdpSocket::bind((ip, 0)).expect("a free port").into())
    }

    fn refused(sockets: Vec<Option<Socket>>) -> String {
        PassedSockets::of(sockets).expect_err("of no use").to_string()
    }

    #[test]
    fn u5_passed_sockets_are_paired_by_ip() {
        let ips = |sockets: PassedSockets| {
            let ip = |(tcp, udp): (TcpListener, UdpSocket)| {
                let (tcp, udp) = (tcp.local_addr().expect("one"), udp.local_addr().expect("one"));
                assert_eq!(tcp.ip(), udp.ip());
                tcp.ip().to_string()
            };
            sockets.pairs.into_iter().map(ip).collect::<Vec<_>>()
        };
        let (a, b) = ("127.0.0.1", "127.0.0.2");
        let sockets = vec![udp(b), tcp(a), tcp(b), udp(a)];
        assert_eq!(ips(PassedSockets::of(sockets).expect("pairs")), [a, b]);
    }

    #[test]
    fn u5_unpaired_sockets_are_refused() {
        let line = refused(vec![tcp("127.0.0.1"), udp("127.0.0.2")]);
        assert!(line.starts_with("the passed tcp socket 127.0.0.1:"), "{line}");
        assert!(line.ends_with(" needs a udp socket of its IP"), "{line}");
        let line = refused(vec![udp("127.0.0.1")]);
        assert!(line.starts_with("the passed udp socket 127.0.0.1:"), "{line}");
    }

    #[test]
    fn u5_wrong_kinds_are_refused_by_number() {
        let line = refused(vec![udp("127.0.0.1"), None]);
        assert_eq!(line, "socket 4 of LISTEN_FDS is no TCP, UDP or Unix stream socket");
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let line = refused(vec![Some(silent)]);
        assert!(line.starts_with("socket 3 of LISTEN_FDS does not listen"), "{line}");
        let unbound = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        assert_eq!(refused(vec![Some(unbound)]), "socket 3 of LISTEN_FDS has no port");
        let connected = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        connected.connect("127.0.0.1:9").expect("a route");
        let line = refused(vec![Some(connected.into())]);
        assert!(line.starts_with("socket 3 of LISTEN_FDS is connected"), "{line}");
        let both = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
        both.set_only_v6(false).expect("an option");
        both.bind(&SocketAddr::from(([0u16; 8], 0)).into()).expect("a port");
        assert!(refused(vec![Some(both)]).contains("BindIPv6Only=ipv6-only"));
    }

    #[test]
    fn u5_count_of_sockets_is_checked() {
        assert_eq!((parse_count("1"), parse_count("64")), (Some(1), Some(64)));
        for garbage in ["", "0", "-1", "65", "two", "1 ", "99999999999999999999"] {
            assert_eq!(parse_count(garbage), None, "{garbage}");
        }
    }
}
