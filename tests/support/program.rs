//! The client as a program, for the tests that talk to it: its arguments, its pipes, its end; and a
//! server that says what a test wants.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::*;

/// The client, pointed at a server.
pub fn client(tcp: SocketAddr, udp: SocketAddr, args: &[&str]) -> Command {
    let mut command = bare_client(&["--host", &tcp.ip().to_string()]);
    command.args(["--tcp-port", &tcp.port().to_string(), "--udp-port", &udp.port().to_string()]);
    command.args(args);
    command
}

/// The client with these arguments and nothing else.
pub fn bare_client(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat-client"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The options that lead to the server, as the client itself writes them.
pub fn options_to(tcp: SocketAddr, udp: SocketAddr) -> String {
    match udp.port() - 1 == tcp.port() {
        true => format!("--host {tcp}"),
        false => format!("--tcp-port {} --udp-port {}", tcp.port(), udp.port()),
    }
}

/// A client that runs to its end by itself.
pub fn run(server: &Server, args: &[&str]) -> Output {
    client(server.tcp, server.udp, args).output().expect("the built client")
}

/// A client that runs to its end with this in a pipe as its input.
pub fn run_with_input(server: &Server, args: &[&str], input: &[u8]) -> Output {
    let mut command = client(server.tcp, server.udp, args);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the built client");
    // Dropping it is the end of the input.
    match child.stdin.take().expect("piped").write_all(input) {
        // It has ended without reading.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.expect("written"),
    }
    child.wait_with_output().expect("a child")
}

/// A client that is talked to, in messages and commands; killed when it goes out of scope.
pub struct Talker {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
}

impl Talker {
    /// Starts a client that knows the server's key. On another machine it could not ask for it.
    pub fn start(server: &Server, args: &[&str]) -> Self {
        let mut command = client(server.tcp, server.udp, args);
        if let Some(fingerprint) = &server.fingerprint
            && !server.tcp.ip().is_loopback()
        {
            command.env("REACTOR_CHAT_FINGERPRINT", fingerprint);
        }
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        if !command.get_args().any(|word| word == "list") {
            command.arg("--commands");
        }
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the built client");
        let out = lines_of(child.stdout.take().expect("piped"));
        let err = lines_of(child.stderr.take().expect("piped"));
        Self { stdin: child.stdin.take(), child, out, err }
    }

    pub fn say(&mut self, line: &str) {
        self.stdin.as_mut().expect("open").write_all(line.as_bytes()).expect("written");
    }

    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    #[track_caller]
    pub fn expect(&self, line: &str) {
        assert_eq!(self.out.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }

    #[track_caller]
    pub fn expect_complaint(&self, line: &str) {
        assert_eq!(self.err.recv_timeout(DEADLINE).as_deref(), Ok(line));
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    /// Waits for the end, with no more output up to it.
    #[track_caller]
    pub fn expect_end(&mut self, status: i32) {
        assert_eq!(self.wait().code(), Some(status));
        for output in [&self.out, &self.err] {
            assert_eq!(output.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
        }
    }

    /// Everything on stdout from here on, up to this line.
    #[track_caller]
    pub fn lines_up_to(&self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            match self.out.recv_timeout(DEADLINE) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("no {last:?} in {lines:?}"),
            }
        }
        lines
    }

    /// Returns true if this line comes before `patience` is over.
    pub fn gets(&self, line: &str, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let next = || self.out.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).any(|next| next == line)
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the client to end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub fn expect_output(output: &Output, status: i32, stdout: &str, stderr: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(output.status.code(), Some(status));
}

/// A server of another kind: it lets one client in, and says what the test wants.
pub struct Stranger {
    pub tcp: TcpListener,
    pub udp: UdpSocket,
}

impl Stranger {
    pub fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        udp.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { tcp, udp }
    }

    pub fn client(&self, args: &[&str]) -> Talker {
        Talker::spawn(self.command(args))
    }

    /// Returns the command that starts a client of this server, which has no TLS.
    pub fn command(&self, args: &[&str]) -> Command {
        let [tcp, udp] = [self.tcp.local_addr(), self.udp.local_addr()];
        let [tcp, udp] = [tcp, udp].map(|address| address.expect("an address"));
        client(tcp, udp, &[&["--plain"], args].concat())
    }

    /// Answers a request, whatever it is, with these bytes.
    pub fn answer(&self, bytes: &[u8]) {
        let (mut stream, _) = self.tcp.accept().expect("a client");
        // A connection that is closed with unread input is reset, and its output lost.
        assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
        stream.write_all(bytes).expect("sent");
    }

    pub fn refuse(&self, status: u8) {
        let mut refusal = frame(JOIN, "", &[status]);
        refusal[2] = 1;
        self.answer(&refusal);
    }

    pub fn admit(&self) {
        let [mut accepted, mut completion] = [frame(JOIN, "", &[0]), frame(JOIN, "", &[b'7'; 32])];
        (accepted[2], completion[2]) = (1, 2);
        self.answer(&[accepted, completion].concat());
    }

    /// Lets the client into a stream: it is member 3 with the tag 7 and gets the entries from
    /// `next` on.
    pub fn admit_to_stream(&self, next: u64, idle_timeout: u64) {
        let (token, keep_alive) = ("7".repeat(32), idle_timeout / 3);
        let payload = format!(
            r#"{{"token":"{token}","member":3,"tag":7,"next":{next},"expected":1,"keep_alive":{keep_alive},"idle_timeout":{idle_timeout}}}"#
        );
        let mut accepted = frame(JOIN, "", &[0]);
        let mut completion = frame(JOIN, "", payload.as_bytes());
        (accepted[2], completion[2]) = (1, 2);
        self.answer(&[accepted, completion].concat());
    }

    /// Receives the next datagram. Returns its body behind the token, and the client's address.
    pub fn hear(&self) -> (String, SocketAddr) {
        let (message, from) = self.hear_bytes();
        (String::from_utf8(message).expect("UTF-8"), from)
    }

    /// Like [`Self::hear`], for a body that need not be text.
    pub fn hear_bytes(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 5000];
        let (size, from) = receive(&self.udp, &mut buffer);
        (buffer[2 + usize::from(buffer[0]) + 32..size].to_vec(), from)
    }
}
