//! The address of the server, of a network or of a Unix socket: parses `--host` and the port options,
//! and writes them back as options.

use std::fmt::Write as _;
use std::num::NonZeroU16;

use crate::quoting::quoted;
use crate::trust::Trust;
use reactor_chat::protocol::{DEFAULT_TCP_PORT, DEFAULT_UDP_PORT};
use reactor_chat::unix_addr::{PREFIX, UnixAddr};

/// The host if `--host` is absent.
const HOST: &str = "127.0.0.1";

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A server with requests over TCP, and messages over UDP.
    Network(ServerAddress),
    /// A server at a Unix socket, which carries the messages too. There are no keys: the kernel alone
    /// passes the bytes on.
    Unix(UnixAddr),
}

impl Server {
    /// Returns the same server. One of a network has another trust.
    pub(crate) fn trusting(&self, trust: Trust) -> Self {
        match self {
            Self::Network(address) => Self::Network(address.trusting(trust)),
            Self::Unix(addr) => Self::Unix(addr.clone()),
        }
    }

    /// Returns the options that lead to this server, each with a leading blank.
    pub(crate) fn options(&self) -> String {
        match self {
            Self::Network(address) => address.options(),
            Self::Unix(addr) => format!(" --host {}", quoted(&format!("{PREFIX}{addr}"))),
        }
    }

    /// Returns the words for the place of the server.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Network(address) => address.place(),
            Self::Unix(addr) => format!("{PREFIX}{addr}"),
        }
    }
}

impl From<&ServerAddress> for Server {
    fn from(address: &ServerAddress) -> Self {
        Self::Network(address.clone())
    }
}

/// The address of a server of a network, and the trust in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// A host name or an IP address.
    pub host: String,
    /// The port for requests.
    pub tcp_port: u16,
    /// The port for datagrams.
    pub udp_port: u16,
    /// The keys that are accepted from it.
    pub trust: Trust,
}

impl ServerAddress {
    /// Parses the options. A port behind the host is the TCP port, and the next port is the UDP
    /// port, unless an option of its own sets either.
    ///
    /// # Errors
    /// A sentence that says which option is wrong.
    pub(crate) fn of_options(
        host: Option<&str>,
        tcp_port: Option<&str>,
        udp_port: Option<&str>,
    ) -> Result<Self, String> {
        let text = host.unwrap_or(HOST);
        let (host, behind) = split(text).filter(|(host, _)| !host.is_empty()).ok_or_else(|| {
            format!("--host takes HOST, HOST:PORT, IPV6 or [IPV6]:PORT, not '{text}'")
        })?;
        let behind = behind.map(|behind| port("host", behind)).transpose()?;
        let tcp_port = tcp_port.map(|text| port("tcp-port", text)).transpose()?;
        let udp_port = udp_port.map(|text| port("udp-port", text)).transpose()?;
        Ok(Self {
            host: host.into(),
            tcp_port: tcp_port.or(behind).unwrap_or(DEFAULT_TCP_PORT),
            udp_port: match (udp_port, behind) {
                (Some(port), _) => port,
                (None, None) => DEFAULT_UDP_PORT,
                (None, Some(port)) => port.checked_add(1).ok_or_else(|| {
                    format!("--host with port {port} leaves no port for messages, add --udp-port")
                })?,
            },
            trust: Trust::Usual,
        })
    }

    /// Returns the same address with another trust.
    pub(crate) fn trusting(&self, trust: Trust) -> Self {
        Self { trust, ..self.clone() }
    }

    /// Returns the words for the place of the server.
    pub(crate) fn place(&self) -> String {
        format!("{} port {}", self.host, self.tcp_port)
    }

    /// Returns the options that lead to this server, each with a leading blank. Returns an empty
    /// text for the default address with the usual trust.
    pub(crate) fn options(&self) -> String {
        self.place_options() + &self.trust.options()
    }

    fn place_options(&self) -> String {
        let Self { host, tcp_port, udp_port, .. } = self;
        let mut options = String::new();
        let has_usual_ports = (*tcp_port, *udp_port) == (DEFAULT_TCP_PORT, DEFAULT_UDP_PORT);
        if !has_usual_ports && tcp_port.checked_add(1) == Some(*udp_port) {
            let place = match host.contains(':') {
                true => format!("[{host}]:{tcp_port}"),
                false => format!("{host}:{tcp_port}"),
            };
            return format!(" --host {}", quoted(&place));
        }
        if host != HOST {
            let _ = write!(options, " --host {}", quoted(host));
        }
        if !has_usual_ports {
            let _ = write!(options, " --tcp-port {tcp_port} --udp-port {udp_port}");
        }
        options
    }
}

/// Splits `HOST`, `HOST:PORT`, `IPV6`, `[IPV6]` or `[IPV6]:PORT` into host and port. Text with more
/// than one colon and no brackets is an IPv6 address.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        return match bracketed.split_once(']')? {
            (host, "") => Some((host, None)),
            (host, behind) => Some((host, Some(behind.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

fn port(option: &str, text: &str) -> Result<u16, String> {
    match text.parse::<NonZeroU16>() {
        Ok(port) => Ok(port.get()),
        Err(_) => Err(format!("--{option} takes a port from 1 to 65535, not '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, tcp_port: u16, udp_port: u16) -> ServerAddress {
        ServerAddress { host: host.into(), tcp_port, udp_port, trust: Trust::Usual }
    }

    fn at(host: &str) -> ServerAddress {
        ServerAddress::of_options(Some(host), None, None).expect(host)
    }

    #[test]
    fn host_takes_port_in_common_forms() {
        for (text, expected) in [
            ("a.example", server("a.example", 9001, 9002)),
            ("a.example:80", server("a.example", 80, 81)),
            ("10.0.0.1:65534", server("10.0.0.1", 65534, 65535)),
            ("::1", server("::1", 9001, 9002)),
            ("fe80::1%eth0", server("fe80::1%eth0", 9001, 9002)),
            ("[::1]", server("::1", 9001, 9002)),
            ("[::1]:7", server("::1", 7, 8)),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn port_option_overrides_host_port() {
        let both =
            |tcp, udp| ServerAddress::of_options(Some("a:7000"), tcp, udp).expect("a server");
        assert_eq!(both(Some("1"), None), server("a", 1, 7001));
        assert_eq!(both(None, Some("2")), server("a", 7000, 2));
        assert_eq!(both(Some("1"), Some("2")), server("a", 1, 2));
        let last = ServerAddress::of_options(Some("a:65535"), None, Some("2")).expect("a server");
        assert_eq!(last, server("a", 65535, 2));
        let alone = ServerAddress::of_options(None, Some("1"), None).expect("a server");
        assert_eq!(alone, server("127.0.0.1", 1, 9002));
    }

    #[test]
    fn bad_host_is_named() {
        for (host, part) in [
            ("", "not ''"),
            (":9001", "not ':9001'"),
            ("[]:9001", "not '[]:9001'"),
            ("[::1", "not '[::1'"),
            ("[::1]9001", "not '[::1]9001'"),
            ("a:", "--host takes a port from 1 to 65535, not ''"),
            ("a:x", "--host takes a port from 1 to 65535, not 'x'"),
            ("a:0", "not '0'"),
            ("a:65536", "not '65536'"),
            ("a:65535", "add --udp-port"),
        ] {
            let mistake = ServerAddress::of_options(Some(host), None, None).expect_err(host);
            assert!(mistake.contains(part), "{host}: {mistake}");
        }
    }

    #[test]
    fn options_are_as_short_as_possible() {
        assert_eq!(at("127.0.0.1").options(), "");
        assert_eq!(at("a.example:9001").options(), " --host a.example");
        assert_eq!(at("[::1]").options(), " --host ::1");
        assert_eq!(at("127.0.0.1:7").options(), " --host 127.0.0.1:7");
        assert_eq!(at("[::1]:7").options(), " --host '[::1]:7'");
        assert_eq!(at("a b:7").options(), " --host 'a b:7'");
        assert_eq!(at("a:7").trusting(Trust::Plain).options(), " --host a:7 --plain");
        assert_eq!(at("127.0.0.1").trusting(Trust::Anything).options(), " --insecure");
        assert_eq!(server(HOST, 7, 9).options(), " --tcp-port 7 --udp-port 9");
        assert_eq!(server("a", 7, 7).options(), " --host a --tcp-port 7 --udp-port 7");
    }
}
