//! The files of Unix sockets: their permissions, their lives, and the files that others have left (U1).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::carried::Carried;
use crate::support::peers::expect_answer;
use crate::support::unix::*;
use crate::support::*;

fn mode_of(path: &Path) -> u32 {
    let file = fs::symlink_metadata(path).expect("a file");
    assert!(file.file_type().is_socket());
    file.mode() & 0o7777
}

/// Leaves a socket file without a listener.
fn leave_stale(path: &Path) {
    drop(UnixListener::bind(path).expect("a free path"));
}

#[test]
fn u1_file_ends_with_its_server() {
    let mut unix = UnixServer::start(&[]);
    assert_eq!(unix.server.unix, [unix.path.display().to_string()]);
    assert_eq!(mode_of(&unix.path), 0o660);
    expect_answer(&mut unix.connect());
    unix.server.signal("TERM");
    assert!(unix.server.wait().success());
    assert_eq!(unix.directory.count(), 0);
}

#[test]
fn u1_second_signal_removes_the_file() {
    let mut unix = UnixServer::start_alone(&[]);
    // Without an end of this connection the drain would take longer.
    let _open = unix.connect();
    unix.server.signal("TERM");
    unix.server.signal("INT");
    unix.server.wait();
    assert_eq!(unix.directory.count(), 0);
}

#[test]
fn u1_mode_holds_whatever_the_umask() {
    for (umask, mode) in [("077", "666"), ("000", "600"), ("777", "660")] {
        let directory = Directory::new();
        let path = directory.file("chat");
        let server = server_at(&path);
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0; exec \"$@\"", umask]).arg(server.get_program());
        // Without TLS there is no key, which other servers could not read.
        command.args(server.get_args()).args(["--unix-mode", mode, "--tls", "off"]);
        let _server = Server::spawn(command, 1);
        assert_eq!(mode_of(&path), u32::from_str_radix(mode, 8).expect("octal"), "umask {umask}");
    }
}

#[test]
fn u1_permissions_admit_other_users() {
    if !can_be_others("permissions of a socket file") {
        return;
    }
    for (mode, admitted) in [("600", false), ("660", false), ("606", true), ("666", true)] {
        let unix = UnixServer::start_alone(&["--unix-mode", mode]);
        match unix.connect_as(NOBODY) {
            Ok(mut control) => {
                assert!(admitted, "mode {mode}");
                expect_answer(&mut control);
            }
            Err(error) => {
                assert!(!admitted, "mode {mode}");
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            }
        }
    }
}

#[test]
fn u1_stale_file_is_replaced() {
    let directory = Directory::new();
    let path = directory.file("chat");
    leave_stale(&path);
    let mut server = Server::spawn(server_at(&path), 1);
    server.expect_log("replacing the file of a server that has ended");
    expect_answer(&mut connect(&path));
    server.signal("KILL");
    server.wait();
    let _successor = Server::spawn(server_at(&path), 1);
    expect_answer(&mut connect(&path));
}

#[test]
fn u1_relative_path_is_served() {
    let directory = Directory::new();
    let mut command = server_at(Path::new("chat"));
    command.current_dir(directory.path());
    let mut server = Server::spawn(command, 1);
    assert_eq!(server.unix, ["chat"]);
    expect_answer(&mut connect(&directory.file("chat")));
    server.signal("TERM");
    server.wait();
    assert_eq!(directory.count(), 0);
}

#[test]
fn u1_one_of_many_servers_starts() {
    for _ in 0..5 {
        let directory = Directory::new();
        let path = directory.file("chat");
        leave_stale(&path);
        let start = |_| {
            let mut command = server_at(&path);
            command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
            command.args(["--tls", "off"]).stdout(Stdio::null()).stderr(Stdio::null());
            Guest(command.spawn().expect("the built server"))
        };
        let mut servers: Vec<Guest> = (0..8).map(start).collect();
        wait_for("all but one to end", || {
            let is_running = |server: &mut Guest| server.0.try_wait().expect("a child").is_none();
            (servers.iter_mut().filter_map(|server| is_running(server).then_some(())).count() == 1)
                .then_some(())
        });
        expect_answer(&mut connect(&path));
    }
}

#[test]
fn u1_file_of_another_is_kept() {
    let mut unix = UnixServer::start(&[]);
    fs::remove_file(&unix.path).expect("removed");
    let other = UnixListener::bind(&unix.path).expect("a free path");
    unix.server.signal("TERM");
    assert!(unix.server.wait().success());
    connect(&unix.path);
    other.accept().expect("the other one is still there");
}

#[test]
fn u1_successor_starts_during_the_drain() {
    let mut unix = UnixServer::start_alone(&[]);
    // The drain waits for the end of this member's connection.
    let member = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    unix.server.signal("TERM");
    wait_for("the end of the file", || (unix.directory.count() == 0).then_some(()));
    let _successor = Server::spawn(server_at(&unix.path), 1);
    assert!(unix.server.is_running());
    drop(member);
    assert!(unix.server.wait().success());
    expect_answer(&mut connect(&unix.path));
}
