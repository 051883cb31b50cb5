//! The check before a start (U7): it finds what a start would find, and leaves nothing behind.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::*;
use crate::support::unix::{Directory, UnixServer, user};
use crate::support::*;

/// Runs a check with a state directory, and returns its status and its output.
fn check(state: &Path, options: &[&str]) -> (Option<i32>, String) {
    run_with(Command::new(env!("CARGO_BIN_EXE_reactor-chat")).args(options), state)
}

/// Adds `--check` to a command. The output must fit a terminal, and nothing may be on stderr.
fn run_with(command: &mut Command, state: &Path) -> (Option<i32>, String) {
    command.arg("--check").env(STATE_DIRECTORY, state).env_remove("RUST_LOG");
    let output = command.stdin(Stdio::null()).output().expect("the built server");
    let report = utf8(&output.stdout);
    assert_eq!(utf8(&output.stderr), "", "{report}");
    let is_path = |line: &str| line.trim_start().starts_with('/');
    assert!(report.lines().all(|line| line.len() < 80 || is_path(line)), "{report}");
    (output.status.code(), report.into())
}

/// Joins broken lines of a report.
fn unbroken(report: &str) -> String {
    report.replace("\n    ", " ")
}

const FREE: [&str; 4] = ["--tcp-port", "0", "--udp-port", "0"];

#[test]
fn u7_report_names_what_holds() {
    let directory = Directory::new();
    let path = format!("unix:{}", directory.file("chat").display());
    let options = ["--bind", "127.0.0.1", "--bind", &path, "--max-rooms", "7"];
    let (status, report) = check(directory.path(), &[&FREE[..], &options].concat());
    assert_eq!(status, Some(0), "{report}");
    let report = unbroken(&report);
    for line in [
        "Addresses:\n  tcp 127.0.0.1:0: any free port\n  udp 127.0.0.1:0: any free port\n",
        &format!("\n  unix {}: free, mode 0660\n", directory.file("chat").display()),
        "\nLimits:\n  open files: at most ",
        "\n  rooms 7, per IP 500\n",
        "\n  per member 20 messages and 16777216 relayed bytes a second, wrong passwords ",
        " MiB, without the kernel's buffers\nNo mistake was found.\n",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

#[test]
fn u7_nothing_is_left() {
    let directory = Directory::new();
    let stale = directory.file("stale");
    drop(UnixListener::bind(&stale).expect("a free path"));
    let inode = |path| fs::symlink_metadata(path).expect("the file").ino();
    let before = inode(&stale);
    let binds = [&stale, &directory.file("new")].map(|path| format!("unix:{}", path.display()));
    let options = ["--bind", &binds[0], "--bind", &binds[1], "--bind", "127.0.0.1"];
    let state = directory.file("state/deep");
    let (status, report) = check(&state, &[&FREE[..], &options].concat());
    assert_eq!((status, directory.count(), inode(&stale)), (Some(0), 1, before), "{report}");
    let report = unbroken(&report);
    assert!(report.contains("the file of a server that has ended will be replaced"), "{report}");
    if cfg!(feature = "tls") {
        let line = format!("the start makes a key and stores it in {}/key.pem", state.display());
        assert!(report.contains(&line), "{report}");
    }
}

#[test]
fn u7_running_server_is_no_mistake() {
    let mut unix = UnixServer::start(&[]);
    let [tcp, udp] = [unix.server.tcp, unix.server.udp].map(|at| at.port().to_string());
    let path = format!("unix:{}", unix.path.display());
    let options = ["--tcp-port", &tcp, "--udp-port", &udp, "--bind", "127.0.0.1", "--bind", &path];
    let (status, report) = check(unix.directory.path(), &options);
    assert_eq!(status, Some(0), "{report}");
    let in_use = "in use, perhaps by the server that is running";
    assert_eq!(unbroken(&report).matches(in_use).count(), 3, "{report}");
    assert!(unix.path.exists() && unix.server.is_running());
    let mut control = unix.connect();
    assert_eq!(control.status_of(LIST, "", b""), 0);
}

/// A check finds each mistake that ends a start with status 2, in the words of the start.
#[test]
fn u7_mistakes_end_with_2() {
    let directory = Directory::new();
    let file = |name: &str| directory.file(name).display().to_string();
    fs::write(file("file"), "text").expect("a file");
    for options in [
        ["--bind", "192.0.2.1"],
        ["--bind", &format!("unix:{}", file("file"))],
        ["--bind", &format!("unix:{}", file("none/chat"))],
    ] {
        let options = [&FREE[..], &options].concat();
        let mut start = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        start.args(["-q"]).args(&options).env(STATE_DIRECTORY, directory.path());
        let start = start.output().expect("the built server");
        assert_eq!(start.status.code(), Some(2), "{start:?}");
        let why = utf8(&start.stderr).trim_end().trim_start_matches("reactor-chat: ");
        let (status, report) = check(directory.path(), &options);
        assert_eq!(status, Some(2), "{report}");
        assert!(unbroken(&report).contains(&format!("  MISTAKE: {why}\n")), "{why}: {report}");
        assert!(report.ends_with("\n1 mistake was found.\n"), "{report}");
    }
}

#[test]
fn u7_wrong_option_is_told_as_ever() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    let output = command.args(["--check", "--lang", "fr"]).output().expect("the built server");
    assert_eq!((output.status.code(), utf8(&output.stdout)), (Some(2), ""));
    assert_eq!(utf8(&output.stderr), "reactor-chat: --lang must be en or ja, not 'fr'\n");
}

#[test]
fn u7_closed_directory_is_a_mistake() {
    let directory = Directory::new();
    let closed = directory.file("closed");
    fs::create_dir(&closed).expect("a directory");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).expect("a mode");
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    if user() == 0 {
        // Without capabilities (setpriv(1)) even root must obey the permissions.
        command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
        command.arg(env!("CARGO_BIN_EXE_reactor-chat"));
    }
    command
        .arg(format!("--bind=unix:{}/chat", closed.display()))
        .arg("--bind=127.0.0.1")
        .args(FREE);
    let (status, report) = run_with(&mut command, &closed.join("state"));
    assert_eq!(status, Some(2), "{report}");
    let report = unbroken(&report);
    let cannot_listen =
        format!("cannot listen on unix {}/chat: permission denied", closed.display());
    assert!(report.contains(&cannot_listen), "{report}");
    // A start without a stored key only warns.
    let cannot_store = "  warning: a new key at every start: cannot store it in ";
    assert_eq!(report.contains(cannot_store), cfg!(feature = "tls"), "{report}");
}

#[test]
fn u7_few_descriptors_are_told() {
    let mut command = Command::new("sh");
    let server = env!("CARGO_BIN_EXE_reactor-chat");
    command.args(["-c", "ulimit -n 100; exec \"$0\" --tcp-port 0 --udp-port 0 \"$@\"", server]);
    let (status, report) = run_with(&mut command, Path::new("/proc/nowhere"));
    assert_eq!(status, Some(0), "{report}");
    let report = unbroken(&report);
    for line in [
        "  open files: at most 100\n",
        "  warning: connections are limited to 36, by the limit of open files\n",
        "  connections 36, per IP 18, carried members 18, ",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

#[cfg(feature = "systemd")]
#[test]
fn u7_passed_sockets_are_named() {
    use crate::support::supervisor::Supervisor;
    let directory = Directory::new();
    let path = directory.file("chat");
    let listener = UnixListener::bind(&path).expect("a free path");
    let supervisor = Supervisor::at([127, 0, 0, 1]).with(listener);
    let (status, report) = run_with(&mut supervisor.command(&[]), directory.path());
    assert_eq!(status, Some(0), "{report}");
    let report = unbroken(&report);
    assert_eq!(report.matches(": passed by the service manager\n").count(), 3, "{report}");
    assert!(report.contains(&format!("  unix {}: passed", path.display())), "{report}");
    assert!(path.exists() && !report.contains("--bind has no effect"), "{report}");
    let (_, report) = run_with(&mut supervisor.command(&["--bind", "::1"]), directory.path());
    assert!(report.contains("  warning: --bind has no effect"), "{report}");
    let unpaired = Supervisor { sockets: supervisor.sockets.into_iter().take(1).collect() };
    let (status, why) = unpaired.refusal(&["--check"]);
    assert_eq!(status, Some(2), "{why}");
    assert!(why.contains("needs a udp socket"), "{why}");
}

#[cfg(feature = "tls")]
mod certificates {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::support::encrypted::certificate;

    const DAY: u64 = 24 * 60 * 60;

    /// Writes a certificate with these dates, in days from now, and its key.
    fn write(directory: &Directory, begin: i64, end: i64) {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let date =
            |days: i64| epoch + Duration::from_secs(now.saturating_add_signed(days * DAY as i64));
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["localhost".into()]).expect("a name");
        (params.not_before, params.not_after) = (date(begin), date(end));
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(directory.file("cert.pem"), certificate.pem()).expect("a file");
        fs::write(directory.file("key.pem"), key.serialize_pem()).expect("a file");
        set_mode(directory, 0o640);
    }

    fn set_mode(directory: &Directory, mode: u32) {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(directory.file("key.pem"), permissions).expect("a mode");
    }

    fn checked(directory: &Directory) -> (Option<i32>, String) {
        let files = ["cert.pem", "key.pem"].map(|name| directory.file(name).display().to_string());
        let options = ["--cert", &files[0], "--key", &files[1]];
        let (status, report) = check(directory.path(), &[&FREE[..], &options].concat());
        (status, unbroken(&report))
    }

    #[test]
    fn u7_dates_are_checked() {
        let directory = Directory::new();
        for (begin, end, status, says) in [
            (-1, 60, 0, "  certificate "),
            (-1, 60, 0, " is valid until 20"),
            (-1, 5, 0, " only: is it renewed?"),
            (-1, 5, 0, "  warning: certificate "),
            (-9, -1, 2, " has expired on 20"),
            (1, 9, 2, " is not valid before 20"),
            (1, 9, 2, "  MISTAKE: certificate "),
        ] {
            write(&directory, begin, end);
            let (code, report) = checked(&directory);
            assert_eq!(code, Some(status), "{report}");
            assert!(report.contains(says), "{says}: {report}");
        }
        // Dates that are known, in the words of another program.
        let (_, report) = checked(&directory);
        let file = directory.file("cert.pem").display().to_string();
        let args = ["x509", "-in", &file, "-noout", "-startdate", "-dateopt", "iso_8601"];
        let Some(output) = run_tool("openssl", &args, "") else { return };
        let day = utf8(&output.stdout).trim_start_matches("notBefore=").split(' ').next();
        let day = day.expect("a date");
        assert!(report.contains(&format!(" is not valid before {day}\n")), "{day}: {report}");
    }

    #[test]
    fn u7_pipe_is_not_read() {
        let directory = Directory::new();
        write(&directory, -1, 60);
        fs::remove_file(directory.file("key.pem")).expect("removed");
        let made = Command::new("mkfifo").arg(directory.file("key.pem")).status();
        assert!(made.expect("mkfifo(1)").success());
        let (status, report) = checked(&directory);
        assert_eq!(status, Some(0), "{report}");
        let warning = "key.pem: no regular file, so it is read at the start only";
        assert!(report.contains(warning), "{report}");
    }

    #[test]
    fn u7_key_must_fit_and_be_private() {
        let directory = Directory::new();
        write(&directory, -1, 60);
        set_mode(&directory, 0o644);
        let (status, report) = checked(&directory);
        assert_eq!(status, Some(0), "{report}");
        let warning = "all users of this machine may use the key (mode 0644): chmod 640 it";
        assert!(report.contains(warning), "{report}");
        set_mode(&directory, 0o640);
        assert!(!checked(&directory).1.contains("all users"));
        let other = certificate().1.serialize_pem();
        fs::write(directory.file("key.pem"), other).expect("a file");
        let (status, report) = checked(&directory);
        assert_eq!(status, Some(2), "{report}");
        assert!(report.contains("key.pem: not the key of "), "{report}");
    }

    #[test]
    fn u7_fingerprint_is_that_of_the_start() {
        let directory = Directory::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(FREE).env(STATE_DIRECTORY, directory.path());
        let key = Server::spawn(command, 1).key().to_string();
        let (status, report) = check(directory.path(), &FREE);
        assert_eq!(status, Some(0), "{report}");
        let line = format!("  key {key} in {}/key.pem\n", directory.path().display());
        assert!(unbroken(&report).contains(&line), "{report}");
        set_mode(&directory, 0o644);
        let (status, report) = check(directory.path(), &FREE);
        assert_eq!(status, Some(2), "{report}");
        assert!(unbroken(&report).contains("others may use the server's key (mode 0644)"));
        let (status, report) = check(directory.path(), &[&FREE[..], &["--tls", "off"]].concat());
        assert_eq!(status, Some(0), "{report}");
        assert!(
            report.contains("Encryption:\n  off: requests over TCP are in cleartext\n"),
            "{report}"
        );
    }
}
