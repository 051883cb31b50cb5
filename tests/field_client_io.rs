//! Faults of the client's input and output that real use found.

mod support;

use support::program::*;
use support::*;

fn host(server: &Server) -> Member {
    Member::create(server, "r1", &text("ann"))
}

const DELIVERIES: [&str; 3] = ["stream", "named", "text"];

#[test]
fn field_d_piped_lines_are_text_byte_for_byte() {
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
fn field_d_blanks_before_exit_do_not_leave() {
    for delivery in DELIVERIES {
        let server = Server::start(&[]);
        let ann = host(&server);
        let args = ["--delivery", delivery, "join", "r1", "bob"];
        let output =
            run_with_input(&server, &args, " /exit\n\u{3000}/Exit \nstill here\n".as_bytes());
        let refusal = "reactor-chat-client: line not sent: the server would obey it\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), refusal.repeat(2));
        for line in ["bob joined", "bob: still here", "bob left"] {
            ann.expect(line);
        }
    }
}

#[test]
fn field_d_commands_option_obeys_piped_lines() {
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
fn field_d_another_server_gets_lines_as_they_are() {
    let stranger = Stranger::start();
    let mut bob = stranger.command(&["join", "r1", "bob"]);
    let mut bob = bob.stdin(std::process::Stdio::piped()).spawn().expect("the built client");
    stranger.admit();
    let input = bob.stdin.as_mut().expect("piped");
    std::io::Write::write_all(input, b"/a\n").expect("written");
    while stranger.hear().0 != "/a" {}
    bob.kill().and_then(|()| bob.wait()).expect("a child");
}
