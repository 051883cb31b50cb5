//! A service manager that keeps sockets, and passes them to each server that it starts.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};

use super::{DEADLINE, STATE_DIRECTORY, Server, lines_of};

/// Number of the first passed socket (sd_listen_fds(3)).
const FIRST: i32 = 3;

/// Sockets, in the order in which they are passed.
#[derive(Default)]
pub struct Supervisor {
    pub sockets: Vec<OwnedFd>,
}

impl Supervisor {
    /// Opens the sockets of one IP, on free ports.
    pub fn at(ip: impl Into<IpAddr>) -> Self {
        let ip = ip.into();
        let tcp = TcpListener::bind((ip, 0)).expect("a free port");
        Self::default().with(tcp).with(UdpSocket::bind((ip, 0)).expect("a free port"))
    }

    pub fn with(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.sockets.push(socket.into());
        self
    }

    /// Returns a command that starts a server with these sockets. A shell tells it its own process id.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]);
        command.arg(env!("CARGO_BIN_EXE_reactor-chat")).args(options);
        command.env("LISTEN_FDS", self.sockets.len().to_string());
        command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
        let mapping = |(socket, child_fd): (&OwnedFd, i32)| FdMapping {
            parent_fd: socket.as_fd().try_clone_to_owned().expect("a descriptor"),
            child_fd,
        };
        let mappings = self.sockets.iter().zip(FIRST..).map(mapping).collect();
        command.fd_mappings(mappings).expect("different numbers");
        command
    }

    /// Starts a server, and waits until it listens on this number of IPs.
    pub fn start(&self, options: &[&str], ips: usize) -> Server {
        Server::spawn(self.command(options), ips)
    }

    /// Runs a server that refuses these sockets, and returns its exit status and its last line.
    pub fn refusal(&self, options: &[&str]) -> (Option<i32>, String) {
        refusal(self.command(options))
    }
}

/// Runs a command that is expected to fail. Returns its exit status and its complaint.
pub fn refusal(mut command: Command) -> (Option<i32>, String) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a shell");
    let lines = lines_of(child.stderr.take().expect("piped"));
    let end = Instant::now() + DEADLINE;
    while child.try_wait().expect("a child").is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    // A server that takes the sockets does not end by itself.
    let _ = child.kill();
    let status = child.wait().expect("a child");
    let complaints =
        lines.iter().filter_map(|line| Some(line.strip_prefix("reactor-chat: ")?.into()));
    (status.code(), complaints.collect::<Vec<String>>().join("\n"))
}
