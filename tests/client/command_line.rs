//! The client's command line, as a person or a script meets it: who one is, where the server is,
//! what a new room is like, the list of rooms.

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Output};

use crate::support::program::*;
use crate::support::*;
use socket2::{Domain, Socket, Type};

/// A client that ends by itself, with these variables.
fn run_with(server: &Server, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = client(server.tcp, server.udp, args);
    for name in ["LOGNAME", "USER", "REACTOR_CHAT_PASSWORD"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().expect("the built client")
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("UTF-8")
}

fn login_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id(1)");
    stdout(&output).trim_end().into()
}

#[test]
fn default_name_is_login_name() {
    for (variables, args, name) in [
        (&[("LOGNAME", "kim"), ("USER", "x")][..], &["join", "r1"][..], "kim"),
        (&[("USER", "lee")], &["join", "r1"], "lee"),
        (&[], &["join", "r1"], &login_name()),
        (&[("LOGNAME", "kim")], &["join", "r1", "--name", "bob"], "bob"),
        (&[("LOGNAME", "kim")], &["join", "r1", "cy", "--name=cy"], "cy"),
    ] {
        let server = Server::start(&[]);
        let ann = Member::create(&server, "r1", &text("ann"));
        let output = run_with(&server, variables, args);
        assert!(output.status.success(), "{output:?}");
        ann.expect(&format!("{name} joined"));
        ann.expect(&format!("{name} left"));
    }
}

#[test]
fn two_different_names_are_an_error() {
    let server = Server::start(&[]);
    let output = run(&server, &["join", "r1", "bob", "--name", "cy"]);
    let why = "NAME is given twice, as 'bob' and as 'cy' (--help tells more)";
    expect_output(&output, 2, "", &format!("reactor-chat-client: {why}\n"));
}

#[test]
fn capacity_option_limits_room() {
    let server = Server::start(&[]);
    let ann = Talker::start(&server, &["create", "r1", "ann", "--capacity", "2"]);
    ann.expect("* ann joined");
    let _bob = Member::join(&server, "r1", &text("bob"));
    assert_eq!(Control::connect(&server).status_of(JOIN, "r1", b"cy"), 7);
}

#[test]
fn password_finds_hidden_room() {
    let server = Server::start(&[]);
    let args = ["create", "r1", "ann", "--hidden", "--password", "secret"];
    let ann = Talker::start(&server, &args);
    ann.expect("* ann joined");
    expect_no_rooms(&server);
    assert_eq!(run_with(&server, &[], &["join", "r1", "bob"]).status.code(), Some(1));
    let secret = [("REACTOR_CHAT_PASSWORD", "secret")];
    assert!(run_with(&server, &secret, &["join", "r1", "bob"]).status.success());
    ann.expect("* bob joined");
}

#[test]
fn option_overrides_variable() {
    let server = Server::start(&[]);
    let ann = Member::create(&server, "r1", r#"{"username":"ann","password":"secret"}"#);
    let wrong = [("REACTOR_CHAT_PASSWORD", "wrong")];
    let output = run_with(&server, &wrong, &["--password", "secret", "join", "r1", "bob"]);
    assert!(output.status.success(), "{output:?}");
    ann.expect("bob joined");
    let output = run_with(&server, &wrong, &["join", "r1", "cy"]);
    let why = "that is not the password of room 'r1'; ask its host for it";
    expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
    // It is no option of a list, but may stand in the environment of one.
    assert!(run_with(&server, &wrong, &["list"]).status.success());
}

#[test]
fn no_terminal_means_no_question() {
    let server = Server::start(&[]);
    let _ann = Member::create(&server, "r1", r#"{"username":"ann","password":"secret"}"#);
    let output = run_with_input(&server, &["join", "r1", "bob"], b"secret\n");
    let why = "room 'r1' needs a password; give it with --password or in REACTOR_CHAT_PASSWORD";
    expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
}

#[test]
fn json_list_is_the_servers_own() {
    let server = Server::start(&["--max-room-members", "0", "--max-members", "0"]);
    expect_output(&run(&server, &["list", "--json"]), 0, "[]\n", "");
    let _a = Member::create(&server, "lobby", r#"{"username":"a","capacity":5,"password":"x"}"#);
    let _b = Member::create(&server, "部屋 \"1\"", &text("b"));
    let output = run(&server, &["--json", "list"]);
    let expected = concat!(
        r#"[{"room":"lobby","members":1,"capacity":5,"password":true},"#,
        r#"{"room":"部屋 \"1\"","members":1,"capacity":0,"password":false}]"#,
        "\n"
    );
    expect_output(&output, 0, expected, "");
}

#[test]
fn t6_hostile_list_is_sanitized() {
    let rest = r#","members":1,"capacity":0,"password":false,"new":[]}]"#;
    let list = format!("[\n{{\"room\":\"\u{9b}2J\u{7f}\\u001b[m\"{rest}");
    let escaped = format!(r#"[ {{"room":"\u009b2J\u007f\u001b[m"{rest}"#);
    for (args, expected) in [
        (&["list", "--json"][..], &*escaped),
        (&["list"], r"\u{9b}2J\u{7f}\u{1b}[m        1         -  no"),
    ] {
        let stranger = Stranger::start();
        let mut client = stranger.client(args);
        let mut frames = [frame(LIST, "", &[0]), frame(LIST, "", list.as_bytes())];
        (frames[0][2], frames[1][2]) = (1, 2);
        stranger.answer(&frames.concat());
        assert_eq!(client.lines_up_to(expected).len(), if args.len() == 2 { 1 } else { 2 });
        client.expect_end(0);
    }
}

/// The server may need a connection's place for another one at any time.
#[test]
fn early_refusal_is_explained() {
    let mut gives_way = frame(0, "", &[10]);
    gives_way[2] = 1;
    let mut accepted = frame(JOIN, "", &[0]);
    accepted[2] = 1;
    let why = "room 'r1' accepts nobody from this address for now, because of too many wrong \
               passwords or too many members from it; try again in a minute";
    let complaint = format!("reactor-chat-client: {why}");
    for after in [&[][..], &accepted] {
        let stranger = Stranger::start();
        let mut bob = stranger.client(&["join", "r1", "bob"]);
        stranger.answer(&[after, &gives_way].concat());
        bob.expect_complaint(&complaint);
        bob.expect_end(1);
    }
    // Said and closed before the request is there, or on its way: which one, chance decides.
    let stranger = Stranger::start();
    let mut bob = stranger.client(&["join", "r1", "bob"]);
    let (mut stream, _) = stranger.tcp.accept().expect("a client");
    stream.write_all(&gives_way).expect("sent");
    stream.shutdown(Shutdown::Write).expect("a connection");
    bob.expect_complaint(&complaint);
    bob.expect_end(1);
}

#[test]
fn wrong_password_limit_is_explained() {
    let server = Server::start(&["--wrong-passwords", "1"]);
    let _ann = Member::create(&server, "r1", r#"{"username":"ann","password":"secret"}"#);
    let wrong = run(&server, &["--password", "x", "join", "r1", "bob"]);
    let why = "that is not the password of room 'r1'; ask its host for it";
    expect_output(&wrong, 1, "", &format!("reactor-chat-client: {why}\n"));
    let right = run(&server, &["--password", "secret", "join", "r1", "bob"]);
    let why = "room 'r1' accepts nobody from this address for now, because of too many wrong \
               passwords or too many members from it; try again in a minute";
    expect_output(&right, 1, "", &format!("reactor-chat-client: {why}\n"));
}

/// A TCP port that listens, and the next one for UDP.
fn neighbours(ip: &str) -> Stranger {
    wait_for("two ports side by side", || {
        let tcp = TcpListener::bind((ip, 0)).expect("a free port");
        let next = tcp.local_addr().expect("an address").port().checked_add(1)?;
        let udp = UdpSocket::bind((ip, next)).ok()?;
        udp.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Some(Stranger { tcp, udp })
    })
}

#[test]
fn host_port_sets_both_ports() {
    for (ip, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        if TcpListener::bind((ip, 0)).is_err() {
            eprintln!("skipped for {ip}: this machine has no such address");
            continue;
        }
        let stranger = neighbours(ip);
        let port = stranger.tcp.local_addr().expect("an address").port();
        let host = format!("{host}:{port}");
        let _bob = Talker::spawn(bare_client(&["--plain", "--host", &host, "join", "r1", "bob"]));
        stranger.admit();
        assert_eq!(stranger.hear().0, "");
    }
}

/// `localhost` has an address of each family on most machines; one of them is dead each time.
#[test]
fn listening_address_is_found() {
    let output = Command::new("getent").args(["ahosts", "localhost"]).output();
    let known = output.map(|output| stdout(&output).to_owned()).unwrap_or_default();
    for ip in ["127.0.0.1", "::1"] {
        if !known.lines().any(|line| line.starts_with(&format!("{ip} "))) {
            eprintln!("skipped for {ip}: it is no address of localhost on this machine");
            continue;
        }
        let server = Server::start(&["--bind", ip]);
        let (tcp, udp) = (server.tcp.port().to_string(), server.udp.port().to_string());
        let ports = ["--host", "localhost", "--tcp-port", &tcp, "--udp-port", &udp];
        let ann = Talker::spawn(bare_client(&[&ports[..], &["create", "r1", "ann"]].concat()));
        ann.expect("* ann joined");
    }
}

#[test]
fn unknown_host_is_named() {
    let output = bare_client(&["--host", "no-such-host.invalid", "list"]).output();
    let output = output.expect("the built client");
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{line}");
    let beginning = "reactor-chat-client: the host 'no-such-host.invalid' ";
    assert!(line.lines().all(|line| line.starts_with(beginning)), "{line}");
    // Without a network nobody knows that there is no such name.
    let is_known = line.contains(" is not found: ") && line.ends_with("; check its spelling\n");
    let is_offline = line.ends_with("; check the network, and try again\n");
    assert!(is_known || is_offline, "{line}");
}

#[test]
fn suggested_commands_work() {
    let server = Server::start(&[]);
    let output = run(&server, &["join", "a b", "it's"]);
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    let (_, advised) = line.split_once("create it with: reactor-chat-client ").expect("advice");
    let program = env!("CARGO_BIN_EXE_reactor-chat-client");
    let output = Command::new("sh").args(["-c", &format!("{program} {advised}")]).output();
    expect_output(&output.expect("sh(1)"), 0, "* it's joined\n* the room was closed\n", "");
}

#[test]
fn refusal_prints_reason() {
    let server = Server::start(&[]);
    let _ann = Member::create(&server, "r1", r#"{"username":"ann","password":"secret"}"#);
    let full = r#"{"username":"ann","capacity":1}"#;
    let _full = Member::create(&server, "full", full);
    let options = options_to(server.tcp, server.udp);
    let create_r2 = format!("reactor-chat-client {options} --name bob create r2");
    let join_r1 = format!("reactor-chat-client {options} --name bob join r1");
    for (args, why) in [
        (
            &["join", "r2", "bob"][..],
            &*format!(
                "room 'r2' does not exist, or is hidden and needs a password; create it with: \
                 {create_r2}"
            ),
        ),
        (
            &["join", "r1", "bob"],
            "room 'r1' needs a password; give it with --password or in REACTOR_CHAT_PASSWORD",
        ),
        (
            &["--password", "x", "join", "r1", "bob"],
            "that is not the password of room 'r1'; ask its host for it",
        ),
        (
            &["--password", "secret", "join", "r1", "Ann"],
            "somebody in room 'r1' is called 'Ann'; choose another name with --name, or try again \
             in half a minute if that was you, from this address",
        ),
        (
            &["create", "r1", "bob"],
            &format!(
                "room 'r1' exists already; join it (a host that crashed is its host again, half a \
                 minute later) with: {join_r1}"
            ),
        ),
        (&["join", "full", "bob"], "room 'full' is full; try again when somebody has left"),
    ] {
        let output = run(&server, args);
        expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
    }
}

#[test]
fn refused_names_are_explained() {
    let server = Server::start(&[]);
    for (args, why) in [
        (
            &["create", "a\x1bb", "bob"][..],
            "'a\\u{1b}b' cannot be the name of a room; choose 1 to 255 bytes of visible \
             characters, with single spaces between them",
        ),
        (
            &["create", "", "bob"],
            "'' cannot be the name of a room; choose 1 to 255 bytes of visible characters, with \
             single spaces between them",
        ),
        (
            &["create", "r3", "bob:"],
            "'bob:' cannot be your name; choose another with --name, of visible characters with \
             single spaces between them, without ': ' in it or ':' at its end",
        ),
    ] {
        let output = run(&server, args);
        expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
    }
}

#[test]
fn bad_usage_is_one_line() {
    let server = Server::start(&[]);
    let long = "x".repeat(256);
    for args in [
        &[][..],
        &["join"],
        &["dance", "r1", "bob"],
        &["list", "r1"],
        &["--frob", "list"],
        &["join", &long, "bob"],
    ] {
        let output = run(&server, args);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.starts_with("reactor-chat-client: ") && stderr.lines().count() == 1);
        assert!(output.stdout.is_empty());
    }
    let help = run(&server, &["--help"]);
    assert!(help.status.success() && help.stdout.starts_with(b"Usage: reactor-chat-client"));
    let version = format!("reactor-chat-client {}\n", env!("CARGO_PKG_VERSION"));
    expect_output(&run(&server, &["-V"]), 0, &version, "");
}

fn expect_no_rooms(server: &Server) {
    let create = format!("reactor-chat-client {} create ROOM", options_to(server.tcp, server.udp));
    let line = format!("reactor-chat-client: no rooms; create one with: {create}\n");
    expect_output(&run(server, &["list"]), 0, "", &line);
}

#[test]
fn list_prints_rooms() {
    let server = Server::start(&["--max-members", "0", "--max-room-members", "0"]);
    expect_no_rooms(&server);
    let _a = Member::create(&server, "lobby", r#"{"username":"a","capacity":5,"password":"x"}"#);
    let _b = Member::create(&server, "部屋", r#"{"username":"b"}"#);
    let _c = Member::join(&server, "部屋", "c");
    let expected = "\
ROOM   MEMBERS  CAPACITY  PASSWORD
lobby        1         5  yes
部屋           2         -  no
";
    expect_output(&run(&server, &["list"]), 0, expected, "");
}

#[test]
fn unreachable_server_is_named() {
    // Bound, so that nobody else can have the port, but not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let tcp = socket.local_addr().expect("an address").as_socket().expect("an IP address");
    let udp = tcp;
    for args in [&["list"][..], &["join", "r1", "bob"]] {
        let output = client(tcp, udp, args).output().expect("the built client");
        let place = format!("127.0.0.1 port {}", tcp.port());
        let next = "check host and port, or ask its operator";
        let line = format!("no server listens at {place}; {next}");
        expect_output(&output, 1, "", &format!("reactor-chat-client: {line}\n"));
    }
}
