//! Faults of the client's input and output that real use found.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::ioctl_fionbio;

use crate::support::program::*;
use crate::support::talkers::*;
use crate::support::*;

/// Bob, whose streams the test holds; killed when he goes out of scope.
struct Bob(Child);

impl Bob {
    fn join(server: &Server, args: &[&str], set: impl FnOnce(&mut Command)) -> Self {
        let mut command = client(server.tcp, server.udp, &[args, &["join", "r1", "bob"]].concat());
        command.stdin(Stdio::piped());
        set(&mut command);
        Self(command.spawn().expect("the built client"))
    }

    fn say(&mut self, lines: &str) {
        self.0.stdin.as_mut().expect("open").write_all(lines.as_bytes()).expect("written");
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    fn status(&mut self) -> Option<i32> {
        wait_for("the client to end", || self.0.try_wait().expect("a child")).code()
    }

    /// Waits for the end and returns the status and what stderr has.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = self.status();
        let mut told = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
        (status, told)
    }
}

impl Drop for Bob {
    fn drop(&mut self) {
        // He may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe in which there is no room for a byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    ioctl_fionbio(&writer, true).expect("an option");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    ioctl_fionbio(&writer, false).expect("an option");
    (reader, writer)
}

/// Lines of some 3,000 bytes.
fn long_lines(count: usize) -> String {
    (0..count).map(|line| format!("{line} {}\n", "x".repeat(3000))).collect()
}

fn host(server: &Server) -> Member {
    Member::create(server, "r1", &text("ann"))
}

const DELIVERIES: [&str; 3] = ["stream", "named", "text"];

#[test]
fn field_d_piped_lines_are_data() {
    let lines =
        ["start", "/usr/src/x.c:12: error", "//host/share", "/exit", "/EXIT ", "\ta  b ", "/who"];
    for delivery in DELIVERIES {
        let server = Server::start(&["--rate-limit", "0"]);
        let ann = host(&server);
        let args = ["--delivery", delivery, "--history", "0", "join", "r1", "bob"];
        let output = run_with_input(&server, &args, (lines.join("\n") + "\r\n/").as_bytes());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        ann.expect("bob joined");
        lines.iter().chain(&["/"]).for_each(|line| ann.expect(&format!("bob: {line}")));
        ann.expect("bob left");
    }
}

#[test]
fn field_d_blank_exit_does_not_leave() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let args = ["--delivery", delivery, "join", "r1", "bob"];
        let input = " /exit\n\u{3000}/Exit \nstill here\n";
        let output = run_with_input(&server, &args, input.as_bytes());
        let refusal = "reactor-chat-client: line not sent: the server would obey it\n";
        let count = "reactor-chat-client: lines not accepted: 2\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), refusal.repeat(2) + count);
        assert_eq!(output.status.code(), Some(1));
        for line in ["bob joined", "bob: still here", "bob left"] {
            ann.expect(line);
        }
    }
}

#[test]
fn field_d_commands_option_obeys_lines() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let args = ["--commands", "--delivery", delivery, "join", "r1", "bob"];
        let output = run_with_input(&server, &args, b"//x\n/help\n/exit\n");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        for line in ["bob joined", "bob: /x", "bob left"] {
            ann.expect(line);
        }
    }
}

#[test]
fn field_d_other_server_gets_raw_lines() {
    let stranger = Stranger::start();
    let mut bob = stranger.command(&["join", "r1", "bob"]);
    let mut bob = bob.stdin(Stdio::piped()).spawn().expect("the built client");
    stranger.admit();
    let input = bob.stdin.as_mut().expect("piped");
    input.write_all(b"/a\n").expect("written");
    while stranger.hear().0 != "/a" {}
    bob.kill().and_then(|()| bob.wait()).expect("a child");
}

const FREE: [&str; 4] = ["--rate-limit", "0", "--fanout-limit", "0"];

#[test]
fn field_c_slow_reader_loses_nothing() {
    let server = Server::start(&[&FREE[..], &["--idle-timeout", "3"]].concat());
    let mut ann = ann_creates(&server, &[]);
    let (reader, writer) = pipe().expect("a pipe");
    let mut bob = Bob::join(&server, &[], |command| {
        command.stdout(writer);
    });
    ann.expect("* bob joined");
    // More than the pipe and the client's queue hold.
    let lines = 450;
    ann.say(&long_lines(lines));
    ann.lines_up_to(&format!("ann: {} {}", lines - 1, "x".repeat(3000)));
    let quiet = ann.out.recv_timeout(Duration::from_secs(5));
    assert!(quiet.is_err(), "{quiet:?}");
    // His own lines are taken meanwhile.
    bob.say("I am here\n");
    ann.expect("bob: I am here");
    let record = lines_of(reader);
    // His own words come behind all of hers. A member that leaves is not sent the rest.
    let is_last = |line: &String| line == "bob: I am here";
    let mut said = Vec::new();
    while !said.last().is_some_and(is_last) {
        said.push(record.recv_timeout(DEADLINE).expect("a line of the record"));
    }
    bob.0.stdin = None;
    ann.expect("* bob left");
    assert_eq!(bob.end(), (Some(0), String::new()));
    said.extend(record);
    let number = |line: &String| line.strip_prefix("ann: ")?.split(' ').next()?.parse().ok();
    let numbers: Vec<usize> = said.iter().filter_map(number).collect();
    assert_eq!(numbers, (0..lines).collect::<Vec<_>>());
}

#[test]
fn field_c_signal_ends_unread_client() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let (_reader, writer) = full_pipe();
        let args = ["--commands", "--delivery", delivery];
        let mut bob = Bob::join(&server, &args, |command| {
            command.stdout(writer);
        });
        ann.expect("bob joined");
        bob.say("/help\nhere\n");
        ann.expect("bob: here");
        bob.signal("TERM");
        ann.expect("bob left");
        let (status, told) = bob.end();
        assert!(told.contains("lines that nobody has read: "), "{told}");
        assert_eq!(status, Some(1));
    }
}

#[test]
fn field_c_unread_stderr_blocks_nothing() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let (_reader, writer) = full_pipe();
    let mut bob = Bob::join(&server, &[], |command| {
        command.stderr(writer);
    });
    ann.expect("bob joined");
    bob.say(&format!("{}\nok\n", "x".repeat(5000)));
    ann.expect("bob: ok");
    bob.0.stdin = None;
    ann.expect("bob left");
    assert_eq!(bob.status(), Some(1));
}

#[test]
fn field_c_gone_reader_is_noticed() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut bob = Bob::join(&server, &[], |_| ());
    ann.expect("bob joined");
    drop(bob.0.stdout.take());
    ann.expect("bob left");
    assert_eq!(bob.end(), (Some(0), String::new()));
}

#[test]
fn field_c_nonblocking_pipes_work() {
    let server = Server::start(&FREE);
    let mut ann = ann_creates(&server, &[]);
    let (input, mut typed) = pipe().expect("a pipe");
    let (mut record, output) = pipe().expect("a pipe");
    ioctl_fionbio(&input, true).expect("an option");
    ioctl_fionbio(&output, true).expect("an option");
    let mut bob = Bob::join(&server, &["--history", "0"], |command| {
        command.stdin(input).stdout(output);
    });
    ann.expect("* bob joined");
    ann.say(&long_lines(60));
    ann.lines_up_to(&format!("ann: 59 {}", "x".repeat(3000)));
    typed.write_all(b"here\n").expect("written");
    ann.expect("bob: here");
    drop(typed);
    ann.expect("* bob left");
    let mut text = String::new();
    record.read_to_string(&mut text).expect("text");
    assert_eq!(text.lines().filter(|line| line.starts_with("ann: ")).count(), 60);
    assert_eq!(bob.end(), (Some(0), String::new()));
}

#[test]
fn field_c_list_waits_for_stdout() {
    let server = Server::start(&[]);
    let _ann = host(&server);
    let (mut list, output) = full_pipe();
    ioctl_fionbio(&output, true).expect("an option");
    let mut command = client(server.tcp, server.udp, &["list"]);
    let mut lister = command.stdout(output).spawn().expect("the built client");
    drop(command);
    let mut text = String::new();
    list.read_to_string(&mut text).expect("text");
    assert!(text.contains("r1 "), "{text}");
    assert!(lister.wait().expect("a child").success());
}

/// Returns the number of lines that a client says were not taken.
fn untaken(told: &str) -> usize {
    let count = told.lines().find_map(|line| line.split("lines not accepted: ").nth(1));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {told:?}"))
}

#[test]
fn field_b_unaccepted_lines_are_counted() {
    type Deed = fn(&Member, &Bob);
    let ends: [(&str, Deed); 3] = [
        ("kicked", |ann, _| ann.say("/kick bob")),
        ("closed", |ann, _| ann.say("/exit")),
        ("signalled", |_, bob| bob.signal("TERM")),
    ];
    for (what, end) in ends {
        let server = Server::start(&[]);
        let ann = host(&server);
        let mut bob = Bob::join(&server, &[], |_| ());
        ann.expect("bob joined");
        bob.say(&numbered(0..400));
        // A hundred lines come at once, the others slowly.
        (0..110).for_each(|line| ann.expect(&format!("bob: line {line}")));
        end(&ann, &bob);
        let (status, told) = bob.end();
        assert_eq!(status, Some(1), "{what}: {told}");
        let mut record = String::new();
        bob.0.stdout.take().expect("piped").read_to_string(&mut record).expect("text");
        let taken = record.lines().filter(|line| line.starts_with("bob: line")).count();
        assert!((110..200).contains(&taken), "{what}: {taken}");
        assert_eq!(taken + untaken(&told), 400, "{what}");
    }
}

#[test]
fn field_h_refused_lines_are_reported() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let args = ["--delivery", delivery, "--commands", "join", "r1", "bob"];
        let input = b"\x1b[31mred\x1b[0m\n10%\r20%\n/nonsense\nplain\n";
        let output = run_with_input(&server, &args, input);
        let [out, told] = [output.stdout, output.stderr].map(String::from_utf8);
        let (out, told) = (out.expect("text"), told.expect("text"));
        assert!(!out.contains("refused") && !out.contains("such command"), "{out}");
        assert_eq!(told.matches("message refused, it holds control characters").count(), 2);
        assert_eq!(told.matches("no such command").count(), 1, "{told}");
        assert_eq!(untaken(&told), 3);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(told.contains("'10%\\u{d}20%'"), delivery == "stream", "{told}");
        for line in ["bob joined", "bob: plain", "bob left"] {
            ann.expect(line);
        }
    }
}

#[test]
fn field_l_listen_stays_until_signal() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut bob = Bob::join(&server, &["--listen"], |command| {
        command.stdin(Stdio::null());
    });
    ann.expect("bob joined");
    let left = bob.0.stdout.take().map(lines_of).expect("piped");
    // Long enough for the client to leave at the end of its input, which takes a round trip.
    for line in 0..50 {
        ann.say(&line.to_string());
        let heard =
            wait_for("the line", || left.recv().ok().filter(|said| said.starts_with("ann: ")));
        assert_eq!(heard, format!("ann: {line}"));
    }
    bob.signal("TERM");
    ann.expect("bob left");
    assert_eq!(bob.end(), (Some(0), String::new()));
}

#[test]
fn field_l_listen_still_sends_lines() {
    let server = Server::start(&[]);
    let ann = host(&server);
    let mut bob = Bob::join(&server, &["--listen"], |_| ());
    ann.expect("bob joined");
    bob.say("hello\n");
    bob.0.stdin = None;
    ann.expect("bob: hello");
    bob.signal("INT");
    ann.expect("bob left");
    assert_eq!(bob.end(), (Some(0), String::new()));
}

#[test]
fn field_g_ignored_signals_stay_ignored() {
    for (ignored, ending) in [("INT", "TERM"), ("TERM", "HUP"), ("HUP", "INT")] {
        let server = Server::start(&[]);
        let ann = host(&server);
        let client = client(server.tcp, server.udp, &["join", "r1", "bob"]);
        let script = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(client.get_program()).args(client.get_args());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut bob = Bob(command.spawn().expect("sh(1)"));
        ann.expect("bob joined");
        bob.signal(ignored);
        // A caught signal is handled before the next line.
        bob.say("still here\n");
        ann.expect("bob: still here");
        bob.signal(ending);
        ann.expect("bob left");
        assert_eq!(bob.end(), (Some(0), String::new()));
    }
}

#[test]
fn field_h_pipe_gets_typed_lines() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let (mut keys, pts) = pty_process::blocking::open().expect("a pseudo-terminal");
        let args = ["--delivery", delivery, "--history", "0", "join", "r1", "bob"];
        let bob = client(server.tcp, server.udp, &args);
        let command = pty_process::blocking::Command::new(bob.get_program()).args(bob.get_args());
        let mut command = command.env("TERM", "xterm-256color").stdout(Stdio::piped());
        let mut bob = Bob(command.spawn_borrowed(&pts).expect("the built client"));
        let record = lines_of(bob.0.stdout.take().expect("piped"));
        ann.expect("bob joined");
        keys.write_all(b"my own words\n/exit\n").expect("written");
        ann.expect("bob: my own words");
        wait_for("his own words", || record.recv().ok().filter(|line| line == "bob: my own words"));
        assert_eq!(bob.status(), Some(0));
    }
}
