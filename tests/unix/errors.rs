//! Addresses where the server cannot listen: one line that names the address and the cause (U1). The status is
//! 2 for a path that can never work, and 1 for the rest.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::peers::expect_answer;
use crate::support::unix::*;
use crate::support::*;
use socket2::{Domain, SockAddr, Socket, Type};

/// The cause in the line of an address in use.
const IN_USE: &str = "the address is in use by another program";

/// Returns the status of a server on this path, and the cause in its last line.
#[track_caller]
fn refusal(path: &Path) -> (Option<i32>, String) {
    cause_of(server_at(path), path)
}

#[track_caller]
fn cause_of(command: Command, path: &Path) -> (Option<i32>, String) {
    let (status, line) = refused(command);
    let start = format!("reactor-chat: cannot listen on unix {}: ", path.display());
    (status, line.strip_prefix(&start).expect("the path").into())
}

#[test]
fn u1_wrong_path_is_a_mistake() {
    let directory = Directory::new();
    let file = directory.file("file");
    fs::write(&file, "text").expect("written");
    let link = directory.file("link");
    symlink(directory.file("chat"), &link).expect("a link");
    for (path, cause) in [
        (directory.path(), "it is a directory"),
        (&directory.file("chat/"), "it is the path of a directory"),
        (&file, "it is a file, and no socket"),
        (&file.join("chat"), "a part of its path is no directory"),
        (&link, "it is a symbolic link, which bind(2) does not follow"),
        (&directory.file("none/chat"), "its directory does not exist"),
    ] {
        assert_eq!(refusal(path), (Some(2), cause.into()));
    }
    assert_eq!(directory.count(), 2);
    assert_eq!(fs::read(&file).expect("still there"), b"text");
}

#[test]
fn u1_wrong_name_is_a_mistake() {
    let long = format!("unix:/{}", "x".repeat(107));
    for (name, cause) in [
        ("unix:", "a path or a name must follow 'unix:'"),
        ("unix:@", "a path or a name must follow 'unix:'"),
        (&long, "it has 108 bytes, and a Unix socket's address has at most 107"),
    ] {
        let mut command = bare_server();
        command.args(["--bind", name]);
        let line = format!("reactor-chat: --bind '{name}': {cause}");
        assert_eq!(refused(command), (Some(2), line));
    }
}

#[test]
fn u1_live_socket_is_in_use() {
    let unix = UnixServer::start(&[]);
    assert_eq!(refusal(&unix.path), (Some(1), IN_USE.into()));
    expect_answer(&mut unix.connect());
    assert_eq!(unix.directory.count(), 1);
}

#[test]
fn u1_u7_search_takes_no_place() {
    let unix = UnixServer::start(&["--max-connections", "1"]);
    let mut idle = unix.connect();
    expect_answer(&mut idle);
    assert_eq!(refusal(&unix.path), (Some(1), IN_USE.into()));
    let mut check = server_at(&unix.path);
    assert!(check.arg("--check").output().expect("a report").status.success());
    // A connection beside this one would have ended it.
    expect_answer(&mut idle);
}

#[test]
fn u1_u7_sticky_directory_keeps_files() {
    if !can_be_others("files of others in a directory with the sticky bit") {
        return;
    }
    let directory = Directory::new();
    let path = directory.file("chat");
    drop(UnixListener::bind(&path).expect("a free path"));
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("our file");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).expect("our directory");
    // The other user may not reach the directory of the build.
    let program = directory.file("server");
    // cp(1) writes it: a writable descriptor here could pass to another test's child, and then it is busy.
    let server = server_at(&path);
    let copied = Command::new("cp").arg(server.get_program()).arg(&program).status();
    assert!(copied.expect("cp(1)").success());
    let as_other = || {
        let mut command = Command::new(&program);
        command.args(server.get_args()).args(["--tls", "off"]).uid(NOBODY).gid(NOBODY);
        command
    };
    let cause = "another user has left a socket file there, which only its owner may remove";
    assert_eq!(cause_of(as_other(), &path), (Some(1), cause.into()));
    let check = as_other().arg("--check").output().expect("a report");
    assert_eq!(check.status.code(), Some(2), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn u1_full_backlog_is_in_use() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(&path).expect("an address");
    let listener = socket();
    listener.bind(&address).expect("a free path");
    listener.listen(0).expect("a listener");
    let waiting = socket();
    waiting.connect(&address).expect("the only place");
    assert_eq!(refusal(&path), (Some(1), IN_USE.into()));
}

#[test]
fn u1_datagram_socket_is_in_use() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let _socket = UnixDatagram::bind(&path).expect("a free path");
    assert_eq!(refusal(&path), (Some(1), IN_USE.into()));
}

#[test]
fn u1_denied_path_may_work_later() {
    let directory = Directory::new();
    let closed = directory.file("closed");
    fs::create_dir(&closed).expect("a directory");
    let path = closed.join("chat");
    // Without capabilities (setpriv(1)) even root must obey the permissions.
    let without_capabilities = |command: Command| {
        let mut outer = Command::new("setpriv");
        outer.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(command.get_program());
        outer.args(command.get_args());
        if user() == 0 { outer } else { command }
    };
    make_read_only(&closed);
    let told = cause_of(without_capabilities(server_at(&path)), &path);
    let cause =
        "permission denied (the directory must be writable, and so must a socket in its place)";
    assert_eq!(told, (Some(1), cause.into()));
}

fn make_read_only(directory: &Path) {
    let mut permissions = fs::metadata(directory).expect("a directory").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(directory, permissions).expect("permissions");
}

#[test]
fn u1_locked_directory_may_work_later() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let lock = File::open(directory.path()).expect("a directory");
    lock.lock().expect("a lock");
    let cause = "another program holds a lock on its directory";
    assert_eq!(refusal(&path), (Some(1), cause.into()));
    lock.unlock().expect("the end of the lock");
    let _server = Server::spawn(server_at(&path), 1);
}

#[test]
fn u1_used_name_is_in_use() {
    let name = format!("rc-used-{}", std::process::id());
    let mut command = bare_server();
    command.args(["--bind", &format!("unix:@{name}")]);
    let server = Server::spawn(command, 1);
    assert_eq!(server.unix, [format!("@{name}")]);
    let line = format!("unix @{name} has no permissions: all users of this machine can connect");
    server.expect_log(&line);
    expect_answer(&mut connect_to_name(&name));
    let mut second = bare_server();
    second.args(["--bind", &format!("unix:@{name}")]);
    let line = format!("reactor-chat: cannot listen on unix @{name}: {IN_USE}");
    assert_eq!(refused(second), (Some(1), line));
}

#[test]
fn u1_failed_start_leaves_no_file() {
    let directory = Directory::new();
    let missing = directory.file("none/chat");
    let mut command = server_at(&directory.file("chat"));
    command.arg("--bind").arg(format!("unix:{}", missing.display()));
    let cause = "its directory does not exist";
    assert_eq!(cause_of(command, &missing), (Some(2), cause.into()));
    assert_eq!(directory.count(), 0);
    // The path is free.
    drop(UnixListener::bind(directory.file("chat")).expect("a free path"));
}
