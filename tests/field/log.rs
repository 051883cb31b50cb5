//! Log and stdout that others control: a reader that does not read, a full disk or a closed pipe
//! does not stop the server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use pty_process::blocking::{Command as PtyCommand, open};
use socket2::SockRef;

use crate::support::*;

const SERVER: &str = env!("CARGO_BIN_EXE_reactor-chat");

/// Starts a server that logs every request to `stderr`.
fn verbose_server(stderr: impl Into<Stdio>) -> Server {
    let mut command = Command::new(SERVER);
    command.args(["-v", "--tcp-port", "0", "--udp-port", "0"]).env_remove("RUST_LOG");
    Server::spawn_logging_to(stderr.into(), command, 1)
}

/// More log lines than a pipe and the server's queue hold together.
const MANY: usize = 4000;

fn request_often(server: &Server) {
    let mut control = Control::connect(server);
    for _ in 0..MANY {
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
}

fn fill(mut pipe: &PipeWriter) {
    let shared = SockRef::from(pipe);
    shared.set_nonblocking(true).expect("an option");
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    shared.set_nonblocking(false).expect("an option");
}

#[test]
fn u6_field_c_full_pipe_is_harmless() {
    let (_reader, writer) = io::pipe().expect("a pipe");
    let mut server = verbose_server(writer);
    let (alice, bob) = alice_and_bob(&server);
    request_often(&server);
    alice.say("hi");
    bob.expect("alice: hi");
    server.expect_rest();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn u6_field_c_lost_lines_are_counted() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let server = verbose_server(writer);
    request_often(&server);
    let lines = lines_of(reader);
    let (taken, dropped) = until_dropped(&lines);
    assert_eq!(taken + dropped, MANY);
    assert!(dropped > 0);
    // Now log lines pass as before.
    assert_eq!(Control::connect(&server).status_of(CREATE, "room", b"alice"), 0);
    while !lines.recv_timeout(DEADLINE).expect("a line").contains("operation 1,") {}
}

/// Returns the number of requests in the log before the line with the count, and that count.
fn until_dropped(lines: &Receiver<String>) -> (usize, usize) {
    let mut taken = 0;
    loop {
        let line = lines.recv_timeout(DEADLINE).expect("the count");
        taken += usize::from(line.contains("operation 3,"));
        if let Some((before, _)) = line.split_once(" log lines were dropped") {
            let count = before.rsplit(' ').next().expect("a word");
            return (taken, count.parse().expect("a number"));
        }
    }
}

/// `O_NONBLOCK` would also apply to the shell and to other writers of the pipe.
#[test]
fn field_c_shared_pipe_is_unchanged() {
    let (_reader, writer) = io::pipe().expect("a pipe");
    let ours = writer.try_clone().expect("a descriptor");
    let server = verbose_server(writer);
    request_often(&server);
    assert!(!SockRef::from(&ours).nonblocking().expect("an option"));
}

/// A pipe of another user can't be opened again.
#[test]
fn field_c_foreign_pipe_is_harmless() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let ours = writer.try_clone().expect("a descriptor");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", SERVER, "--help"]);
    let allowed = command.output().is_ok_and(|output| output.status.success());
    if !allowed {
        return namespace::skip("the log of another user", "setpriv(1) may not do that");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", SERVER]);
    command.args(["-v", "--tcp-port", "0", "--udp-port", "0"]).env_remove("RUST_LOG");
    // The key of the other servers is not for this user.
    command.env(STATE_DIRECTORY, "/proc/nowhere");
    let server = Server::spawn_logging_to(writer.into(), command, 1);
    request_often(&server);
    assert!(!SockRef::from(&ours).nonblocking().expect("an option"));
    drop(ours);
    let (taken, dropped) = until_dropped(&lines_of(reader));
    assert_eq!(taken + dropped, MANY);
}

/// systemd gives services a socket, and its journal may stand still.
#[test]
fn field_c_full_log_socket_is_harmless() {
    let (reader, writer) = UnixStream::pair().expect("a socket pair");
    let server = verbose_server(OwnedFd::from(writer));
    request_often(&server);
    let (taken, dropped) = until_dropped(&lines_of(reader));
    assert_eq!(taken + dropped, MANY);
}

#[test]
fn field_c_closed_log_is_harmless() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let (reader, socket) = UnixStream::pair().expect("a socket pair");
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    for stderr in [Stdio::from(writer), Stdio::from(OwnedFd::from(socket)), full.into()] {
        let mut server = verbose_server(stderr);
        let (alice, bob) = alice_and_bob(&server);
        alice.say("hi");
        bob.expect("alice: hi");
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// write(2) beyond the limit raises SIGXFSZ.
#[test]
fn field_c_log_at_file_limit_is_harmless() {
    let path = std::env::temp_dir().join(format!("reactor-chat-{}.log", std::process::id()));
    let mut command = Command::new("sh");
    let script = "ulimit -f 8; exec \"$0\" -v --tcp-port 0 --udp-port 0";
    command.args(["-c", script, SERVER]).env_remove("RUST_LOG");
    let file = File::create(&path).expect("a file");
    let server = Server::spawn_logging_to(file.into(), command, 1);
    request_often(&server);
    let size = fs::metadata(&path).expect("a file").len();
    fs::remove_file(&path).expect("removed");
    assert!((1..=8 * 1024).contains(&size), "{size} bytes");
}

/// Runs a server that exits by itself with this stdout and this stderr.
fn run(options: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Child {
    let mut command = Command::new(SERVER);
    command.args(options).stdin(Stdio::null()).stdout(stdout.into()).stderr(stderr.into());
    command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
    command.spawn().expect("the built server")
}

fn status_of(mut child: Child) -> Option<i32> {
    wait_for("the end", || child.try_wait().expect("a child")).code()
}

#[test]
fn field_c_error_exit_does_not_block() {
    let (_reader, writer) = io::pipe().expect("a pipe");
    fill(&writer);
    assert_eq!(status_of(run(&["--nonsense"], Stdio::null(), writer)), Some(2));
}

#[test]
fn field_c_start_ignores_stdout() {
    let (reader, gone) = io::pipe().expect("a pipe");
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    for stdout in [Stdio::from(gone), full.into()] {
        let mut child = run(&["--tcp-port", "0", "--udp-port", "0"], stdout, Stdio::piped());
        let log = lines_of(child.stderr.take().expect("piped"));
        let line = wait_for("the addresses in the log", || {
            log.try_iter().find(|line| line.contains("WARN ] listening on tcp "))
        });
        let tcp = line.split_once("tcp ").and_then(|(_, rest)| rest.split(' ').next());
        let mut control = Control::connect_to(tcp.expect("a word").parse().expect("an address"));
        assert_eq!(control.status_of(LIST, "", b""), 0);
        end(child);
    }
}

fn end(mut child: Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().expect("kill(1)").success());
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn field_c_stdout_gets_addresses_later() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    fill(&writer);
    let child = run(&["-q", "--tcp-port", "0", "--udp-port", "0"], writer, Stdio::null());
    let mut line = String::new();
    skip_filling(&mut reader);
    BufReader::new(reader).read_line(&mut line).expect("a line");
    assert!(line.starts_with("istening on tcp 127.0.0.1:"), "{line}");
    end(child);
}

/// Reads the padding and the byte behind it.
fn skip_filling(reader: &mut PipeReader) {
    let mut byte = *b"x";
    while byte == *b"x" {
        reader.read_exact(&mut byte).expect("a byte");
    }
}

#[test]
fn field_c_help_waits_for_its_reader() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    fill(&writer);
    SockRef::from(&writer).set_nonblocking(true).expect("an option");
    let child = run(&["--help"], writer, Stdio::null());
    skip_filling(&mut reader);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    assert!(text.starts_with("sage: ") && text.ends_with("signal.\n"), "{text}");
    assert_eq!(status_of(child), Some(0));

    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut child = run(&["--help"], writer, Stdio::piped());
    let mut complaint = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut complaint).expect("UTF-8");
    assert_eq!((status_of(child), complaint.as_str()), (Some(0), ""));

    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let mut child = run(&["--version"], full, Stdio::piped());
    child.stderr.take().expect("piped").read_to_string(&mut complaint).expect("UTF-8");
    assert!(complaint.starts_with("reactor-chat: stdout: "), "{complaint}");
    assert_eq!(status_of(child), Some(1));
}

/// A terminal in which a server runs.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<String>,
}

impl Terminal {
    /// Starts a shell script in it, with the server as `$0`.
    fn run(script: &str) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        let command = PtyCommand::new("sh").args(["-c", script, SERVER]).env_remove("RUST_LOG");
        let mut command = command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
        let child = command.spawn_borrowed(&pts).expect("a shell");
        let keyboard = File::from(pty.as_fd().try_clone_to_owned().expect("a descriptor"));
        Self { child, keyboard, screen: lines_of(pty) }
    }

    fn key(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).expect("a terminal takes keys");
    }

    /// Waits for a line that contains `part`. Returns it without the carriage return.
    fn expect(&self, part: &str) -> String {
        loop {
            let line = self.screen.recv_timeout(DEADLINE).expect("a line on the terminal");
            if line.contains(part) {
                return line.trim_end().into();
            }
        }
    }

    /// Connects to the server whose address is on the terminal.
    fn connect(&self) -> Control {
        let line = self.expect("listening on tcp ");
        let tcp = line.split(' ').nth(3).expect("an address");
        Control::connect_to(tcp.parse().expect("an address"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A job of the shell has another process group, but is in its session. All of it may have
        // ended already.
        let _ = Command::new("pkill").args(["-KILL", "-s", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

const CTRL_S: &[u8] = b"\x13";
const CTRL_Q: &[u8] = b"\x11";

#[test]
fn u6_field_c_ctrl_s_is_harmless() {
    let mut terminal = Terminal::run("exec \"$0\" -v --tcp-port 0 --udp-port 0");
    let mut control = terminal.connect();
    terminal.key(CTRL_S);
    for _ in 0..MANY {
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
    terminal.key(CTRL_Q);
    let (taken, dropped) = until_dropped(&terminal.screen);
    assert_eq!(taken + dropped, MANY);
    assert!(dropped > 0);
}

/// `stty tostop` stops background jobs that write to the terminal.
#[test]
fn field_c_tostop_is_harmless() {
    let script = "stty tostop; set -m; \"$0\" -v --tcp-port 0 --udp-port 0 & wait";
    let terminal = Terminal::run(script);
    let mut control = terminal.connect();
    assert_eq!(control.status_of(LIST, "", b""), 0);
    terminal.expect("operation 3,");
}

/// A server outlives its terminal window, with or without nohup(1).
#[test]
fn e3_field_c_closed_terminal_is_harmless() {
    for trap in ["trap '' HUP", "trap - HUP"] {
        let (pty, pts) = open().expect("a pseudo-terminal");
        let script = format!("{trap}; exec \"$0\" -v --tcp-port 0 --udp-port 0");
        let command = PtyCommand::new("sh").args(["-c", &script, SERVER]).env_remove("RUST_LOG");
        let mut command = command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
        let child = command.spawn_borrowed(&pts).expect("a shell");
        drop(pts);
        let mut screen = BufReader::new(&pty).lines().map_while(Result::ok);
        let line = screen.find(|line| line.starts_with("listening")).expect("the address");
        let tcp = line.split(' ').nth(3).expect("an address").parse().expect("an address");
        let mut control = Control::connect_to(tcp);
        drop(screen);
        drop(pty);
        for _ in 0..MANY {
            assert_eq!(control.status_of(LIST, "", b""), 0);
        }
        end(child);
    }
}
