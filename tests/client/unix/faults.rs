//! Sockets that cannot be connected to, and programs that are no server of ours.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;

use socket2::{Domain, SockAddr, Socket, Type};

use super::{at, host};
use crate::support::program::*;
use crate::support::unix::*;
use crate::support::*;

/// A server at a Unix socket that a test plays.
pub struct Stranger(UnixListener);

impl Stranger {
    pub fn start(path: &Path) -> Self {
        Self(UnixListener::bind(path).expect("a free path"))
    }

    /// Reads a request, and sends this.
    fn answer(&self, bytes: &[u8]) -> UnixStream {
        let (mut stream, _) = self.0.accept().expect("a client");
        assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
        stream.write_all(bytes).expect("sent");
        stream
    }

    /// Lets a member with text delivery in.
    pub fn admit(&self) -> UnixStream {
        let [mut accepted, mut completion] = [frame(JOIN, "", &[0]), frame(JOIN, "", &[b'7'; 32])];
        (accepted[2], completion[2]) = (1, 2);
        self.answer(&[accepted, completion].concat())
    }
}

/// Waits until the peer of this stream cannot write: a Unix socket takes half as many bytes as its
/// buffer has, because the kernel counts its own structures too.
pub fn wait_until_full(stream: &UnixStream) {
    let waiting = || rustix::io::ioctl_fionread(stream).expect("a number");
    let mut last = 0;
    wait_for("a full socket", || {
        let before = std::mem::replace(&mut last, waiting());
        (last > 100_000 && last == before).then_some(())
    });
}

/// Expects that a list at this host fails with this line.
#[track_caller]
fn expect_failure(path: &Path, why: &str) {
    expect_line(&at(path, &["list"]).output().expect("the built client"), 1, why);
}

#[track_caller]
fn expect_line(output: &Output, status: i32, line: &str) {
    expect_output(output, status, "", &format!("reactor-chat-client: {line}\n"));
}

#[test]
fn u4_failed_connection_says_why() {
    let directory = Directory::new();
    let files = ["none", "file", "folder", "stale", "datagrams"].map(|name| directory.file(name));
    let [none, file, folder, stale, datagrams] = files.each_ref().map(PathBuf::as_path);
    File::create(file).expect("a file");
    fs::create_dir(folder).expect("a directory");
    drop(Stranger::start(stale));
    let _socket = UnixDatagram::bind(datagrams).expect("a free path");
    let start = |path| format!("reactor-chat --bind {}", host(path));
    let missing = "check the path, or start a server there with";
    let why = format!("there is no socket {}; {missing}: {}", host(none), start(none));
    expect_failure(none, &why);
    expect_failure(file, &format!("{} is no socket; check --host", file.display()));
    expect_failure(folder, &format!("{} is no socket; check --host", folder.display()));
    let gone = format!("no server listens at {}; start one with: {}", host(stale), start(stale));
    expect_failure(stale, &gone);
    let kind = "Protocol wrong type for socket (os error 91); check --host";
    expect_failure(datagrams, &format!("there is no way to {}: {kind}", host(datagrams)));
    let nobody = bare_client(&["--host", "unix:@rc-nobody", "list"]).output();
    let why = "no server listens at unix:@rc-nobody; start one with: reactor-chat --bind \
               unix:@rc-nobody";
    expect_line(&nobody.expect("the built client"), 1, why);
}

#[test]
fn u4_wrong_command_line_is_status_2() {
    let long = format!("unix:/{}", "x".repeat(107));
    for args in [&["--host", &long, "list"][..], &["--host", "unix:/c", "--plain", "list"]] {
        let output = bare_client(args).output().expect("the built client");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn u4_forbidden_socket_is_named() {
    if !can_be_others("u4_forbidden_socket_is_named") {
        return;
    }
    let server = UnixServer::start_alone(&[]);
    // The directory of the built program may be private.
    let program = server.directory.file("client");
    fs::copy(env!("CARGO_BIN_EXE_reactor-chat-client"), &program).expect("a copy");
    fs::set_permissions(server.directory.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    let mut client = std::process::Command::new(program);
    client.uid(NOBODY).gid(NOBODY).args(["--host", &host(&server.path), "list"]);
    let why = format!(
        "you have no permission to connect to {}; ask its operator, who can add you to the group of \
         the socket",
        host(&server.path)
    );
    expect_line(&client.output().expect("a copy of the client"), 1, &why);
}

#[test]
fn u4_full_queue_is_waited_for() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    socket.bind(&SockAddr::unix(&path).expect("a path")).expect("bound");
    socket.listen(0).expect("a listener");
    let _first = UnixStream::connect(&path).expect("a place");
    let why = format!(
        "the server at {} has accepted no connection for 10 s; try again, or ask its operator",
        host(&path)
    );
    expect_failure(&path, &why);
}

#[test]
fn u4_foreign_programs_are_named() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let stranger = Stranger::start(&path);
    let told = [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], "the program at"),
        (b"", "the server at"),
    ];
    let thread = thread::spawn(move || {
        told.iter().for_each(|(answer, _)| drop(stranger.answer(answer)));
    });
    let host = host(&path);
    let foreign = format!("the program at {host} is no server of this protocol; check --host");
    expect_failure(&path, &foreign);
    let ended = "ended the connection without a reply; try again, and check --host";
    expect_failure(&path, &format!("the server at {host} {ended}"));
    thread.join().expect("a stranger");
}
