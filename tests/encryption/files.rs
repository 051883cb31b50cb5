//! The server's certificate and key: its own, those of the operator, and their renewal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::encrypted::*;
use crate::support::namespace::skip;
use crate::support::*;

#[test]
fn e3_fingerprint_is_what_openssl_says() {
    let folder = Folder::new("e3_fingerprint");
    folder.write_certificate();
    let files = [folder.path("cert.pem"), folder.path("key.pem")];
    let server = Server::start(&["--cert", &files[0], "--key", &files[1]]);
    let Some(key) = openssl(&["pkey", "-in", &files[1], "-pubout", "-outform", "der"], b"") else {
        return skip("the fingerprint by another program", "no openssl(1)");
    };
    let digest = openssl(&["dgst", "-sha256", "-binary"], &key.stdout).expect("openssl");
    let base64 = openssl(&["base64"], &digest.stdout).expect("openssl");
    let expected = String::from_utf8(base64.stdout).expect("ASCII");
    assert_eq!(server.fingerprint.as_deref(), Some(expected.trim_end()));
}

#[test]
fn e3_own_key_stays_and_is_private() {
    let folder = Folder::new("e3_own_key");
    let start = |directory: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", "0", "--udp-port", "0"]).env(STATE_DIRECTORY, directory);
        let server = Server::spawn(command, 1);
        let key = server.fingerprint.clone().expect("a key");
        (server, key)
    };
    let state = folder.path("state");
    let (_, first) = start(&state);
    let mode = |path: &str| fs::metadata(path).expect("an inode").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&format!("{state}/key.pem"))), (0o700, 0o600));
    assert_eq!(start(&state).1, first);

    let (mut server, key) = start("/proc/nowhere");
    let warning =
        server.expect_log("WARN ] the server's key cannot be stored in /proc/nowhere/key.pem (");
    assert!(warning.contains("another fingerprint after a restart"), "{warning}");
    assert_ne!(key, first);
    assert_eq!(Encrypted::connect(&server).status_of(LIST, "", b""), 0);
    // A hangup tries to store it again, and changes nothing.
    server.signal("HUP");
    server.expect_log(&format!(
        "INFO ] SIGHUP: certificate and key are read, key {}",
        server.fingerprint.clone().expect("it")
    ));
    assert!(server.is_running());
}

#[test]
fn e3_bad_files_end_the_start() {
    let folder = Folder::new("e3_bad_files");
    folder.write_certificate();
    fs::write(folder.path("junk.pem"), "junk").expect("a file");
    fs::write(folder.path("other.pem"), certificate().1.serialize_pem()).expect("a file");
    let file = |name| folder.path(name);
    let run = |options: &[&str], state: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["-q", "--tcp-port", "0", "--udp-port", "0"]).args(options);
        let output = command.env(STATE_DIRECTORY, state).output().expect("the built server");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    };
    for (certificate, key, bad, why) in [
        ("none.pem", "key.pem", "none.pem", "No such file"),
        ("cert.pem", "none.pem", "none.pem", "No such file"),
        ("junk.pem", "key.pem", "junk.pem", "no certificate in PEM form"),
        ("cert.pem", "junk.pem", "junk.pem", "no private key in PEM form"),
        ("cert.pem", "other.pem", "other.pem", "not the key of"),
        (".", "key.pem", ".", "directory"),
    ] {
        let said = run(&["--cert", &file(certificate), "--key", &file(key)], "/proc/nowhere");
        assert!(said.contains(&file(bad)) && said.contains(why), "{said}");
    }
    for (state, content, mode, why) in [
        ("damaged", "junk", 0o600, "is damaged"),
        ("open", "junk", 0o640, "others may use the server's key (mode 0640)"),
    ] {
        fs::create_dir(file(state)).expect("a directory");
        let path = format!("{}/key.pem", file(state));
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let said = run(&[], &file(state));
        assert!(said.contains(&path) && said.contains(why), "{said}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), content, "it is not replaced");
    }
    fs::create_dir_all(format!("{}/key.pem", file("folder"))).expect("a directory");
    assert!(run(&[], &file("folder")).contains("not a regular file"));
}

#[test]
fn e3_hangup_renews_under_load() {
    let folder = Folder::new("e3_hangup");
    let first = folder.write_certificate();
    let files = [folder.path("cert.pem"), folder.path("key.pem")];
    let server = Server::start(&["--cert", &files[0], "--key", &files[1]]);
    let mut long_lived = Encrypted::connect(&server);
    assert_eq!(long_lived.certificate(), first);
    let address = server.tcp;
    let (is_over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut encrypted = Encrypted::connect_to(address);
                    assert_eq!(encrypted.status_of(LIST, "", b""), 0);
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let some_more = || {
            let before = made.load(Ordering::Relaxed);
            wait_for("connections", || (made.load(Ordering::Relaxed) > before + 5).then_some(()));
        };
        for _ in 0..5 {
            some_more();
            let renewed = folder.write_certificate();
            server.signal("HUP");
            server.expect_log("INFO ] SIGHUP: certificate and key are read, key ");
            assert_eq!(Encrypted::connect(&server).certificate(), renewed);
            fs::write(&files[1], "junk").expect("a file");
            server.signal("HUP");
            let error = server.expect_log("ERROR] SIGHUP: ");
            assert!(error.contains(&files[1]) && error.contains("stays"), "{error}");
            assert_eq!(Encrypted::connect(&server).certificate(), renewed, "the old one stays");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(long_lived.status_of(LIST, "", b""), 0, "running sessions live on");
    let counts = server.final_counts();
    assert!(!counts.contains("handshakes failed"), "{counts}");
}

/// A shell passes a secret as a pipe: `--key <(pass show key)`.
#[test]
fn e3_pipe_is_not_read_again() {
    let folder = Folder::new("e3_pipe");
    folder.write_certificate();
    let [certificate, key, pipe] = ["cert.pem", "key.pem", "pipe"].map(|name| folder.path(name));
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo(1)");
    assert!(made.success());
    let writer = thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, fs::read(key).expect("a key")).expect("a reader")
    });
    let server = Server::start(&["--cert", &certificate, "--key", &pipe]);
    writer.join().expect("no panic");
    server.signal("HUP");
    let error = server.expect_log("ERROR] SIGHUP: ");
    assert!(
        error.contains("no regular file, so it is read at the start only; the certificate in use"),
        "{error}"
    );
    assert_eq!(Encrypted::connect(&server).status_of(LIST, "", b""), 0);
}
