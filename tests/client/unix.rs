//! The client at a Unix socket: commands, members, errors, and servers that restart.

use std::path::Path;
use std::process::Command;

use crate::support::program::*;
use crate::support::talkers::*;
use crate::support::unix::*;

/// The client at the socket with this path.
fn at(path: &Path, args: &[&str]) -> Command {
    bare_client(&[&["--host", &host(path)], args].concat())
}

fn host(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn talker(server: &UnixServer, args: &[&str]) -> Talker {
    Talker::spawn(at(&server.path, args))
}

#[test]
fn u4_every_command_and_delivery() {
    let server = UnixServer::start_alone(&[]);
    let mut ann = talker(&server, &["--sealed-only", "create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = talker(&server, &["--delivery", "text", "join", "r1", "bob"]);
    ann.expect("* bob joined");
    let mut cat = talker(&server, &["--delivery", "named", "join", "r1", "cat"]);
    ann.expect("* cat joined");
    bob.expect("cat joined");
    let list = at(&server.path, &["list", "--json"]).output().expect("the built client");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(list.contains(r#""room":"r1","members":3"#), "{list}");
    ann.say("from ann\n");
    bob.expect("ann: from ann");
    cat.expect("ann: from ann");
    ann.expect("ann: from ann");
    bob.say("from bob\n/who\n");
    cat.expect("bob: from bob");
    ann.expect("bob: from bob");
    bob.expect("ann (host), bob, cat");
    cat.end_input();
    bob.expect("cat left");
    cat.expect_end(0);
    ann.end_input();
    ann.lines_up_to(CLOSED);
    ann.expect_end(0);
    bob.expect("the room was closed");
    bob.expect_end(0);
}
