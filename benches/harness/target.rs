//! The process that is measured: the server or a relay, its addresses, its CPU time, its memory.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use reactor_chat::unix_addr::{PREFIX, UnixAddr};

use super::control::Control;
use super::relay;
use super::scenario::Service;

/// The server's options: every limit that would stand in the way of a load is off.
pub const SERVER_OPTIONS: &str = "--tcp-port 0 --udp-port 0 --max-unproved 0 --rate-limit 0 \
     --fanout-limit 0 --max-members 0 --max-members-ip 0 --max-room-members 0 --max-rooms 0 \
     --max-rooms-ip 0 --max-connections-ip 0 --backlog-memory 0 --idle-timeout 0 -q";

/// More of them for idle members that keep connections. As many fit into usual limits of open files.
pub const MANY_CONNECTIONS: &str = "--max-connections 15000 --max-carried 15000";

/// The server's options in scenarios that measure its limits.
pub const DEFAULT_LIMITS: &str = "--tcp-port 0 --udp-port 0 -q";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server(Service),
    Relay(relay::Kind),
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Relay(kind) => kind.name(),
        }
    }
}

/// A running server or relay. A child ends with it.
pub struct Target {
    pub kind: Kind,
    /// Unspecified, like `udp`, if it listens on a Unix socket.
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    pub unix: Option<UnixAddr>,
    child: Option<Child>,
}

impl Target {
    /// Starts the server that was built with this bench.
    ///
    /// # Errors
    /// If it does not start and say where it listens.
    pub fn start_server(options: &str, path: Option<&str>, service: Service) -> io::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(options.split_whitespace()).env_remove("RUST_LOG");
        command.env("STATE_DIRECTORY", env!("CARGO_TARGET_TMPDIR"));
        if let Some(path) = path {
            command.args(["--datagram-path", path]);
        }
        if service.is_on_unix() {
            command.args(["--bind", &format!("{PREFIX}{}", new_name())]);
        }
        Self::start(Kind::Server(service), &mut command)
    }

    /// Starts this very program as a relay.
    ///
    /// # Errors
    /// If it does not start and say where it listens.
    pub fn start_relay(kind: relay::Kind) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--relay", kind.word()]);
        if kind.is_on_unix() {
            command.args(["--name", &format!("{PREFIX}{}", new_name())]);
        }
        Self::start(Kind::Relay(kind), &mut command)
    }

    /// Returns a server that runs already. Its CPU time and memory are out of reach.
    pub fn connect((tcp, udp): (SocketAddr, SocketAddr), service: Service) -> Self {
        Self { kind: Kind::Server(service), tcp, udp, unix: None, child: None }
    }

    fn start(kind: Kind, command: &mut Command) -> io::Result<Self> {
        // A relay ends when its stdin does.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        // It stays open: a server has more lines.
        if let Some(out) = &mut child.stdout {
            BufReader::new(out).read_line(&mut line)?;
        }
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        let (tcp, udp, unix) = (unspecified, unspecified, None);
        let mut target = Self { kind, tcp, udp, unix, child: Some(child) };
        target.learn_addresses(&line).ok_or_else(|| {
            io::Error::other(format!("{} did not start: it said {line:?}", kind.name()))
        })?;
        Ok(target)
    }

    /// Reads `listening on tcp ADDRESS udp ADDRESS` with perhaps a fingerprint, or `listening on unix
    /// NAME`.
    fn learn_addresses(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["listening", "on", "tcp", tcp, "udp", udp, ..] => {
                (self.tcp, self.udp) = (tcp.parse().ok()?, udp.parse().ok()?);
            }
            ["listening", "on", "unix", name] => {
                self.unix = Some(UnixAddr::parse(&format!("{PREFIX}{name}"))?.ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    /// Opens a connection for requests, over TCP from `source` if that is given.
    ///
    /// # Errors
    /// One that names the server.
    pub fn open_control(&self, source: Option<IpAddr>, service: Service) -> io::Result<Control> {
        match &self.unix {
            Some(name) => Control::connect_unix(name),
            None => Control::connect(self.tcp, source, service.needs_tls()),
        }
    }

    /// Returns our address on the way to it.
    ///
    /// # Errors
    /// If there is no route to it.
    pub fn local_ip(&self) -> io::Result<IpAddr> {
        if self.unix.is_some() {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        let any: IpAddr = match self.udp.is_ipv4() {
            true => Ipv4Addr::UNSPECIFIED.into(),
            false => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(self.udp)?;
        Ok(socket.local_addr()?.ip())
    }

    /// Returns the CPU time used up to now, user and system, to the nanosecond while the process sleeps.
    /// Every target has one thread that works.
    pub fn cpu_time(&self) -> Option<Duration> {
        cpu_time(&format!("/proc/{}/schedstat", self.child.as_ref()?.id()))
    }

    /// Returns the memory in use, in bytes.
    pub fn memory(&self) -> Option<u64> {
        let pid = self.child.as_ref()?.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the CPU time of the calling thread.
pub fn own_cpu_time() -> Duration {
    cpu_time("/proc/thread-self/schedstat").unwrap_or_default()
}

/// Returns the first number of a schedstat file: nanoseconds on a CPU
/// (Documentation/scheduler/sched-stats).
fn cpu_time(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Returns a name in the abstract namespace that nobody else has. It leaves no file.
fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("@reactor-chat-bench-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed))
}
