//! The client at a Unix socket: commands, members, cut connections, and servers that restart.

mod faults;
mod proxy;

use std::path::Path;
use std::process::Command;

use crate::support::program::*;
use crate::support::pty::*;
use crate::support::talkers::*;
use crate::support::unix::*;
use crate::support::*;
use proxy::UnixProxy;

/// The client at the socket with this path.
fn at(path: &Path, args: &[&str]) -> Command {
    bare_client(&[&["--host", &host(path)], args].concat())
}

fn host(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn talker(path: &Path, args: &[&str]) -> Talker {
    Talker::spawn(at(path, args))
}

/// Starts Ann and Bob in a room with stream delivery.
fn ann_and_bob(path: &Path) -> [Talker; 2] {
    let ann = talker(path, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let bob = talker(path, &["join", "r1", "bob"]);
    ann.expect("* bob joined");
    bob.lines_up_to("* bob joined");
    [ann, bob]
}

#[test]
fn u4_every_command_and_delivery() {
    let server = UnixServer::start_alone(&[]);
    let mut ann = talker(&server.path, &["--sealed-only", "create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = talker(&server.path, &["--delivery", "text", "join", "r1", "bob"]);
    ann.expect("* bob joined");
    let mut cat = talker(&server.path, &["--delivery", "named", "join", "r1", "cat"]);
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

#[test]
fn u4_abstract_name() {
    let name = format!("rc-client-{}", std::process::id());
    let mut command = bare_server();
    command.args(["--bind", &format!("unix:@{name}")]);
    let _server = Server::spawn(command, 1);
    let start = |args: &[&str]| {
        Talker::spawn(bare_client(&[&["--host", &format!("unix:@{name}")], args].concat()))
    };
    let mut ann = start(&["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let bob = start(&["join", "r1", "bob"]);
    bob.lines_up_to("* bob joined");
    ann.say("hi\n");
    bob.expect("ann: hi");
}

/// A member over TCP hears one at the Unix socket, and `/who` marks neither.
#[test]
fn u4_both_ways_lead_into_a_room() {
    let server = UnixServer::start(&["--tls", "required"]);
    let ann = talker(&server.path, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = Talker::start(&server.server, &["join", "r1", "bob"]);
    ann.expect("* bob joined");
    bob.lines_up_to("* bob joined");
    bob.say("hi\n/who\n");
    bob.expect("bob: hi");
    bob.expect("* ann (host), bob");
    ann.expect("bob: hi");
}

#[test]
fn u4_nothing_is_asked_or_kept() {
    let server = UnixServer::start_alone(&[]);
    let state = Directory::new();
    let [_ann, _] = ann_and_bob(&server.path);
    let home = state.path().display().to_string();
    let command = at(&server.path, &["join", "r1", "cat"]);
    let environment = [("XDG_STATE_HOME", &*home), ("HOME", &*home)];
    let mut cat = Terminal::spawn(&command, USUAL, &environment);
    cat.expect_row("HH:MM         -- in r1 as cat, over a Unix socket; /exit leaves");
    cat.keys(CTRL_C);
    cat.expect_end(0);
    assert_eq!(state.count(), 0);
}

/// The line that the server prints is a command that a shell takes.
#[test]
fn u4_hint_of_server_works() {
    let server = UnixServer::start_alone(&[]);
    let hint = server.server.expect_log("to chat: ");
    let (create, _) = hint.split_once("; others: ").expect("two commands");
    let (_, create) = create.split_once("to chat: reactor-chat-client").expect("our client");
    let script = format!("exec \"$0\"{}", create.replace("ROOM NAME", "r1 ann"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_reactor-chat-client")]);
    let output = shell.stdin(std::process::Stdio::null()).output().expect("a shell");
    let expected = format!("* ann joined\n{CLOSED}\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    let both = UnixServer::start(&[]);
    assert!(!both.server.expect_log("to chat: ").contains("unix:"));
}

#[test]
fn u4_local_server_has_no_advice() {
    let advice = "start with --bind 0.0.0.0 for others";
    UnixServer::start(&[]).server.expect_log(advice);
    let alone = UnixServer::start_alone(&[]);
    alone.server.signal("TERM");
    assert!(!alone.server.log_to_the_end().iter().any(|line| line.contains(advice)));
}

#[test]
fn u4_restarted_server_has_the_room_again() {
    let mut server = UnixServer::start_alone(&[]);
    let mut talkers = ann_and_bob(&server.path);
    for (signal, notice) in [
        ("TERM", "reactor-chat-client: trying to get back into r1"),
        ("KILL", "reactor-chat-client: the connection has ended, trying to get back into r1"),
    ] {
        server.server.signal(signal);
        server.server.wait();
        talkers.iter().for_each(|talker| talker.expect_complaint(notice));
        server.server = Server::spawn(server_at(&server.path), 1);
        for talker in &talkers {
            talker.expect_complaint("reactor-chat-client: in r1 again");
        }
        let [ann, bob] = &mut talkers;
        ann.lines_up_to("* bob joined");
        bob.lines_up_to("* bob joined");
        ann.say("hi\n");
        bob.expect("ann: hi");
        ann.expect("ann: hi");
    }
}

#[test]
fn u4_cuts_lose_and_repeat_nothing() {
    let server = UnixServer::start_alone(&["--rate-limit", "0"]);
    let proxy = UnixProxy::start(&server.path, &server.directory.file("proxy"));
    let [mut ann, mut bob] = ann_and_bob(&proxy.path);
    exchange_with_cuts(&mut ann, &mut bob, || proxy.cut());
    ann.end_input();
    for talker in [&mut ann, &mut bob] {
        talker.expect(CLOSED);
        assert_eq!(talker.wait().code(), Some(0));
    }
}

/// The socket is full, and the terminal still takes keys. The first Ctrl-C leaves behind the pasted lines.
#[test]
fn u4_full_socket_leaves_terminal_alone() {
    let directory = Directory::new();
    let path = directory.file("chat");
    let stranger = faults::Stranger::start(&path);
    let command = at(&path, &["--delivery", "text", "join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[]);
    let stream = stranger.admit();
    bob.expect_where("a prompt", |rows| rows.iter().any(|row| row == ">"));
    let lines = vec!["x".repeat(3000); 200].join("\n");
    bob.paste(&lines);
    bob.keys("\r");
    faults::wait_until_full(&stream);
    bob.keys("still here");
    bob.expect_where("the keys", |rows| rows.iter().any(|row| row.contains("still here")));
    bob.keys(CTRL_C);
    bob.keys(CTRL_C);
    bob.expect_end(1);
    let rows = bob.rows();
    assert!(rows[rows.len() - 1].contains("lines not accepted: "), "{rows:#?}");
}
