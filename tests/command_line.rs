//! The server's command line, for people and scripts.

mod support;

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};

use support::*;

/// Runs the server with options with which it exits at once.
fn run(options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    command.args(options).env_remove("RUST_LOG").stdin(Stdio::null());
    command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
    command.output().expect("the built server")
}

/// Returns the error message: the only line on stderr that does not belong to the log.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('[')).collect();
    assert_eq!(lines.len(), 1, "one clear line: {text}");
    lines[0].into()
}

#[test]
fn listening_line_names_real_ports() {
    let server = Server::start(&["--bind", "127.0.0.1", "--bind", "127.0.0.2"]);
    assert_eq!(server.addresses.len(), 2);
    for (index, (tcp, udp)) in server.addresses.iter().enumerate() {
        assert_eq!(tcp.ip(), loopback(index as u8 + 1));
        assert_eq!(udp.ip(), tcp.ip());
        assert!(tcp.port() != 0 && udp.port() != 0);
        let mut control = Control::connect_to(*tcp);
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
}

#[test]
fn help_and_version_fit_a_terminal() {
    for option in ["--help", "-h"] {
        let output = run(&[option]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(text.starts_with("Usage: reactor-chat"), "{text}");
        assert!(text.lines().all(|line| line.len() < 80), "80 columns");
    }
    let output = run(&["--version"]);
    let version = format!("reactor-chat {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), version);
}

#[test]
fn bad_option_exits_with_2() {
    for (options, part) in [
        (&["--nonsense"][..], "nonsense"),
        (&["--tcp-port", "x"], "--tcp-port"),
        (&["--bind", "no address"], "no address"),
        (&["--bind", "192.0.2.1", "--tcp-port", "0"], "192.0.2.1"),
        (&["--host-leaves", "stay"], "close or pass"),
        (&["lobby"], "lobby"),
    ] {
        let output = run(options);
        let line = complaint(&output);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.starts_with("reactor-chat: ") && line.contains(part), "{line}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn port_in_use_exits_with_1() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let [tcp, udp] = [tcp.local_addr(), udp.local_addr()].map(|at| at.expect("an address").port());
    let [tcp_port, udp_port] = [tcp, udp].map(|port| port.to_string());
    for (options, name) in [
        (["--tcp-port", &tcp_port, "--udp-port", "0"], format!("tcp 127.0.0.1:{tcp}")),
        (["--tcp-port", "0", "--udp-port", &udp_port], format!("udp 127.0.0.1:{udp}")),
    ] {
        let output = run(&options);
        let line = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains(&name) && line.contains("in use"), "{line}");
        assert!(output.stdout.is_empty(), "nothing that a script could wait for");
    }
}

#[test]
fn field_j_conflicting_binds_are_named() {
    let output = run(&["--bind", "0.0.0.0", "--bind", "127.0.0.1"]);
    let line = complaint(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    for part in ["--bind 0.0.0.0 ", "--bind 127.0.0.1 ", "exclude each other"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn field_j_unserved_family_is_logged() {
    let server = Server::start(&["--bind", "::"]);
    server.expect_log("WARN ] IPv4 is not served");
    let server = Server::start(&["--bind", "0.0.0.0"]);
    server.expect_log("INFO ] IPv6 is not served");
    for options in [&["--bind", "0.0.0.0", "--bind", "::"][..], &["--bind", "127.0.0.1"]] {
        let mut server = Server::start(options);
        server.signal("TERM");
        server.wait();
        let log = server.log_to_the_end();
        assert!(!log.iter().any(|line| line.contains("not served")), "{log:?}");
    }
}

#[test]
fn limits_are_logged_once() {
    let server = Server::start(&["--max-rooms", "7", "--idle-timeout", "0"]);
    for limit in ["limits: rooms 7, per IP 500", "limits: idle members off,"] {
        server.expect_log(limit);
    }
    server.expect_log("receive buffer");
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(LIST, "", b""), 0);
    assert!(!server.log().iter().any(|line| line.contains("limits: ")));
}

#[test]
fn field_l_short_timeout_is_a_warning() {
    let server = Server::start(&["--idle-timeout", "15"]);
    server.expect_log("WARN ] --idle-timeout 15 is below 60");
}

#[test]
fn log_says_how_to_connect() {
    for (options, host) in [(&[][..], ""), (&["--bind", "127.0.0.2"], " --host 127.0.0.2")] {
        let server = Server::start(options);
        let ports = format!("--tcp-port {} --udp-port {}", server.tcp.port(), server.udp.port());
        server.expect_log(&format!("to chat: reactor-chat-client{host} {ports} create ROOM NAME"));
    }
}

#[test]
fn options_and_rust_log_set_verbosity() {
    let logged = |options: &[&str], rust_log: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", "0", "--udp-port", "0"]).args(options);
        let mut server = match rust_log {
            None => Server::start(options),
            Some(level) => {
                command.env("RUST_LOG", level);
                Server::spawn_with_environment(command, 1)
            }
        };
        let mut control = Control::connect(&server);
        assert_eq!(control.status_of(LIST, "", b""), 0);
        server.signal("TERM");
        server.wait();
        server.log_to_the_end()
    };
    let holds = |lines: &[String], level: &str| lines.iter().any(|line| line.contains(level));
    assert!(logged(&["-q"], None).is_empty());
    let normal = logged(&[], None);
    assert!(holds(&normal, "INFO") && !holds(&normal, "DEBUG"));
    assert!(holds(&logged(&["-v"], None), "DEBUG"));
    assert!(logged(&["-v"], Some("off")).is_empty(), "RUST_LOG has the last word");
}

#[test]
fn restart_reuses_ports_at_once() {
    let mut first = Server::start(&[]);
    let mut control = Control::connect(&first);
    assert_eq!(control.status_of(LIST, "", b""), 0);
    first.signal("TERM");
    control.expect_end();
    assert!(first.wait().success());
    let [tcp, udp] = [first.tcp.port(), first.udp.port()].map(|port| port.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    command.args(["--tcp-port", &tcp, "--udp-port", &udp]);
    let second = Server::spawn(command, 1);
    assert_eq!(second.tcp, first.tcp);
}

#[test]
fn descriptor_limit_is_raised() {
    let mut command = Command::new("sh");
    let script = "ulimit -Sn 32; exec \"$0\" --tcp-port 0 --udp-port 0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_reactor-chat")]);
    let server = Server::spawn(command, 1);
    let many: Vec<Control> = (0..64).map(|_| Control::connect(&server)).collect();
    for mut control in many {
        assert_eq!(control.status_of(LIST, "", b""), 0);
    }
}
