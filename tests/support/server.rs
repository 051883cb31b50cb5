//! A running server, and statistics of its process.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{DEADLINE, lines_of, wait_for};

/// The variable that names the directory of the server's key.
pub const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The begin of a line about a Unix socket.
const UNIX_LINE: &str = "listening on unix ";

/// A running server, which is killed when it is dropped.
pub struct Server {
    child: Child,
    /// Addresses of the first `--bind`, with their real ports. Of a server with Unix sockets alone, they
    /// lead nowhere.
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    /// Addresses of every `--bind` that is no Unix socket.
    pub addresses: Vec<(SocketAddr, SocketAddr)>,
    /// Paths and names of its Unix sockets, as far as their lines were waited for.
    pub unix: Vec<String>,
    /// The fingerprint of its key, unless TLS is off.
    pub fingerprint: Option<String>,
    log: Receiver<String>,
}

impl Server {
    /// Starts a server on free ports and waits until it listens.
    pub fn start(options: &[&str]) -> Self {
        Self::start_at("0", "0", options)
    }

    /// Starts a server on these ports and waits until it listens.
    pub fn start_at(tcp_port: &str, udp_port: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", tcp_port, "--udp-port", udp_port]).args(options);
        Self::spawn(command, options.iter().filter(|option| **option == "--bind").count().max(1))
    }

    /// Starts a command that runs a server, and waits for this number of addresses. Those of Unix sockets
    /// come last.
    pub fn spawn(mut command: Command, addresses: usize) -> Self {
        command.env_remove("RUST_LOG");
        Self::spawn_with_environment(command, addresses)
    }

    /// Starts a command with the `RUST_LOG` of the environment.
    pub fn spawn_with_environment(command: Command, addresses: usize) -> Self {
        Self::spawn_logging_to(Stdio::piped(), command, addresses)
    }

    /// Starts a command that runs a server with its log on `stderr`. A piped log is read.
    pub fn spawn_logging_to(stderr: Stdio, mut command: Command, addresses: usize) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        // Tests leave no key in the home directory.
        if !command.get_envs().any(|(name, _)| name == STATE_DIRECTORY) {
            command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
        }
        let mut child = command.spawn().expect("the built server");
        let log = child.stderr.take().map_or_else(|| lines_of(io::empty()), lines_of);
        let out = lines_of(child.stdout.take().expect("piped"));
        let lines = (0..addresses).map(|_| {
            out.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                panic!("the server does not listen: {:?}", log.try_iter().collect::<Vec<_>>())
            })
        });
        let (unix, lines): (Vec<String>, Vec<String>) =
            lines.partition(|line| line.starts_with(UNIX_LINE));
        let unix = unix.iter().map(|line| line[UNIX_LINE.len()..].into()).collect();
        let lines: Vec<_> = lines.iter().map(|line| parse_listening(line)).collect();
        let fingerprint = lines.first().and_then(|line| line.2.clone());
        let addresses: Vec<_> = lines.into_iter().map(|(tcp, udp, _)| (tcp, udp)).collect();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let (tcp, udp) = addresses.first().copied().unwrap_or((nowhere, nowhere));
        Self { child, tcp, udp, addresses, unix, fingerprint, log }
    }

    /// Returns the fingerprint of a server with TLS.
    pub fn key(&self) -> &str {
        self.fingerprint.as_deref().expect("a server with TLS")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, as kill(1) knows it.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill(1)");
        assert!(sent.success());
    }

    /// Stops the process, so that it finds everything that is sent meanwhile at once.
    pub fn freeze(&self) {
        self.signal("STOP");
        wait_for("the server to stop", || (self.state() == "T").then_some(()));
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts to send these signals in turn, `rounds` times, as fast as a shell can.
    pub fn storm(&self, signals: &[&str], rounds: usize) -> Child {
        let kills: String = signals.iter().map(|name| format!("kill -s {name} $0; ")).collect();
        let script = format!("i=0; while [ $i -lt {rounds} ]; do {kills} i=$((i+1)); done");
        let pid = self.pid().to_string();
        Command::new("sh").args(["-c", &script, &pid]).spawn().expect("a shell")
    }

    /// Limits the number of files that the server can still open. Fails on machines without
    /// prlimit(1).
    pub fn leave_descriptors(&self, count: usize) -> io::Result<()> {
        let open = self.open_descriptors();
        // The limit counts descriptor numbers, and the lowest free one is taken. Open ones may be
        // above.
        let mut free = (0..).filter(|number| !open.contains(number));
        let beyond = free.nth(count).expect("a number");
        // The hard limit stays, so that this can be undone.
        let (pid, soft) = (self.pid().to_string(), format!("--nofile={beyond}:"));
        let output = Command::new("prlimit").args(["--pid", &pid, &soft]).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.child.try_wait().expect("a child"))
    }

    /// Ends the server and returns its log line with all counters.
    pub fn final_counts(&self) -> String {
        self.signal("TERM");
        self.expect_log("connections accepted")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for a log line that contains `part`, and returns it.
    pub fn expect_log(&self, part: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(_) => panic!("no {part:?} in the log"),
            }
        }
    }

    /// Returns the log lines up to now that were not read yet.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Returns the log lines until the server's end that were not read yet.
    pub fn log_to_the_end(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("the server does not end"),
            }
        }
    }

    /// Returns the CPU time used up to now, user and system, from /proc/PID/stat (proc(5), fields 14
    /// and 15).
    pub fn cpu_time(&self) -> Duration {
        let ticks: u64 =
            self.stat()[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
        // USER_HZ is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    /// Expects that the loop sleeps: it uses little CPU time in the next 300 ms.
    pub fn expect_rest(&self) {
        let before = self.cpu_time();
        thread::sleep(Duration::from_millis(300));
        assert!(self.cpu_time() - before < Duration::from_millis(100), "it spins");
    }

    /// Returns the state of the process, a letter.
    fn state(&self) -> String {
        self.stat().swap_remove(0)
    }

    /// Returns /proc/PID/stat from its third field on.
    fn stat(&self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("proc(5)");
        let after_name = stat.rsplit(')').next().expect("a name in parentheses");
        after_name.split_whitespace().map(String::from).collect()
    }

    /// Returns the memory in use, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    /// Returns the memory allocated from the system, in bytes, whether or not it was touched.
    pub fn reserved_memory(&self) -> u64 {
        self.memory_of("VmData:")
    }

    /// Returns a line of /proc/PID/status.
    fn memory_of(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("proc(5)");
        let line = status.lines().find(|line| line.starts_with(what)).expect("a known line");
        let kilobytes: u64 =
            line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kilobytes * 1024
    }

    /// Returns the number of open descriptors.
    pub fn descriptors(&self) -> usize {
        self.open_descriptors().len()
    }

    fn open_descriptors(&self) -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("proc(5)");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().parse().expect("a number")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse_listening(line: &str) -> (SocketAddr, SocketAddr, Option<String>) {
    let words: Vec<&str> = line.split(' ').collect();
    let (["listening", "on", "tcp", tcp, "udp", udp], rest) = words.split_at(words.len().min(6))
    else {
        panic!("not the line that scripts wait for: {line:?}")
    };
    let fingerprint = match rest {
        [] => None,
        ["tls", fingerprint] => Some((*fingerprint).into()),
        _ => panic!("more than the key on {line:?}"),
    };
    (tcp.parse().expect("an address"), udp.parse().expect("an address"), fingerprint)
}
