//! The log in the journal: a stream socket on stderr that `JOURNAL_STREAM` names.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::support::*;

const SERVER: &str = env!("CARGO_BIN_EXE_reactor-chat");

/// The variable with the device and the inode of the journal's socket (systemd.exec(5)).
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// More log lines than the socket and the server's queue hold together.
const MANY: usize = 4000;

/// A journal, and the server's end of its socket.
struct Journal {
    reader: UnixStream,
    writer: OwnedFd,
}

impl Journal {
    fn new() -> Self {
        let (reader, writer) = UnixStream::pair().expect("a socket pair");
        Self { reader, writer: writer.into() }
    }

    /// Returns the value of the variable for this journal.
    fn name(&self) -> String {
        let copy = self.writer.as_fd().try_clone_to_owned().expect("a descriptor");
        let metadata = File::from(copy).metadata().expect("fstat(2)");
        format!("{}:{}", metadata.dev(), metadata.ino())
    }

    /// Starts a server that logs every request here.
    fn serve(self, name: &str) -> (Server, UnixStream) {
        let mut command = Command::new(SERVER);
        command.args(["-v", "--tcp-port", "0", "--udp-port", "0", "--idle-timeout", "30"]);
        command.env_remove("RUST_LOG").env(JOURNAL_STREAM, name);
        (Server::spawn_logging_to(self.writer.into(), command, 1), self.reader)
    }
}

/// Returns the time stamp that a line begins with, if it has one, as in `[2025-01-01T00:00:00Z `.
fn time_stamp(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once("Z ").map(|(stamp, _)| stamp)
}

#[test]
fn u6_journal_lines_have_priorities() {
    let journal = Journal::new();
    let name = journal.name();
    let (mut server, reader) = journal.serve(&name);
    let lines = lines_of(reader);
    assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let lines: Vec<String> = lines.iter().collect();
    for begin in ["<4>--idle-timeout 30 is below ", "<6>limits: ", "<7>", "<6>signal 15: "] {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {lines:#?}");
    }
    let has_priority = |line: &String| ["<4>", "<6>", "<7>"].contains(&&line[..3]);
    assert!(lines.iter().all(has_priority), "{lines:#?}");
    assert!(!lines.iter().any(|line| time_stamp(&line[3..]).is_some()), "{lines:#?}");
}

#[test]
fn u6_journal_has_errors() {
    let journal = Journal::new();
    let mut command = Command::new(SERVER);
    command.arg("--nonsense").env(JOURNAL_STREAM, journal.name()).stderr(journal.writer);
    let status = command.stdout(Stdio::null()).status().expect("the built server");
    drop(command);
    let lines: Vec<String> = lines_of(journal.reader).iter().collect();
    assert_eq!(status.code(), Some(2));
    assert!(lines.len() == 1 && lines[0].starts_with("<3>reactor-chat: "), "{lines:?}");
}

/// `reactor-chat 2> FILE` in a unit inherits the variable.
#[test]
fn u6_other_journal_changes_nothing() {
    let other = Journal::new();
    for name in [other.name(), String::new(), "1".into(), format!("{} ", other.name())] {
        let (server, reader) = Journal::new().serve(&name);
        let line = lines_of(reader).recv_timeout(DEADLINE).expect("a line");
        assert!(time_stamp(&line).is_some(), "{line}");
        drop(server);
    }
}

#[test]
fn u6_full_journal_is_harmless() {
    let journal = Journal::new();
    let name = journal.name();
    let (server, reader) = journal.serve(&name);
    let (alice, bob) = alice_and_bob(&server);
    let mut control = Control::connect(&server);
    for _ in 0..MANY {
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
    alice.say("hi");
    bob.expect("alice: hi");
    let lines = lines_of(reader);
    let mut taken = 0;
    let dropped: usize = loop {
        let line = lines.recv_timeout(DEADLINE).expect("the count");
        taken += usize::from(line.contains("operation 3,"));
        if let Some((count, _)) = line.split_once(" log lines were dropped") {
            break count.strip_prefix("<4>").expect("a warning").parse().expect("a number");
        }
    };
    assert_eq!(taken + dropped, MANY);
    assert!(dropped > 0);
}
