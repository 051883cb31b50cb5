//! Sockets that a service manager passes to the server.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use socket2::{Domain, SockRef, Socket, Type};

use crate::directory::Directory;
use crate::support::supervisor::{Supervisor, refusal};
use crate::support::*;

const SERVER: &str = env!("CARGO_BIN_EXE_reactor-chat");
const ACTIVATE: &str = "systemd-socket-activate";

/// Requests the list of rooms over any stream, and checks that there is one.
fn expect_list(stream: &mut (impl Read + Write)) {
    stream.write_all(&frame(LIST, "", b"")).expect("sent");
    assert_eq!(Reply::read(stream).payload, [0]);
}

#[test]
fn u5_socket_activate_starts_the_server() {
    if let Err(error) = Command::new(ACTIVATE).arg("--version").output() {
        let why = format!("{ACTIVATE}: {error}");
        return namespace::skip_outside_ci("activation by systemd", &why);
    }
    let directory = Directory::new("activate");
    let path = directory.file();
    let free = |_| TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let [tcp, udp] = [0, 1].map(|port| free(port).expect("a free port"));
    // It passes stream sockets or datagram sockets, and those that itself has got.
    let mut command = Command::new(ACTIVATE);
    command.args(["-l", &tcp.to_string(), "-l"]).arg(&path);
    command.args([ACTIVATE, "-d", "-l", &udp.to_string(), SERVER, "--bind", "127.0.0.9"]);
    command.stderr(Stdio::null());
    // It listens before it starts the server, which the first connection does.
    let connect = move || {
        let stream = wait_for("the listener", || TcpStream::connect(tcp).ok());
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        expect_list(&mut &stream);
    };
    let first = std::thread::spawn(connect);
    let server = Server::spawn(command, 1);
    first.join().expect("an answer");
    assert_eq!((server.tcp, server.udp), (tcp, udp));
    let (alice, bob) = alice_and_bob(&server);
    alice.say("hi");
    bob.expect("alice: hi");
    expect_list(&mut directory.connect());
    server.expect_log("WARN ] --bind has no effect");
}

#[test]
fn u5_passed_sockets_replace_binds() {
    let directory = Directory::new("passed");
    let listener = UnixListener::bind(directory.file()).expect("a free path");
    let supervisor = Supervisor::at([127, 0, 0, 1]).with(listener);
    let (second, last) = (Supervisor::at([127, 0, 0, 2]), Supervisor::at(Ipv6Addr::LOCALHOST));
    let sockets = [supervisor.sockets, second.sockets, last.sockets];
    let supervisor = Supervisor { sockets: sockets.into_iter().flatten().collect() };
    let mut server = supervisor.start(&[], 3);
    let ips: Vec<String> = server.addresses.iter().map(|(tcp, _)| tcp.ip().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2", "::1"]);
    let (alice, bob) = alice_and_bob(&server);
    let [(_, udp), (tcp6, udp6)] = [server.addresses[1], server.addresses[2]];
    let mut control = Control::connect_to(tcp6);
    let token = control.enter(JOIN, "room", text("carol").as_bytes());
    let carol = Member::with_token(udp6, control.local_ip(), "room", token);
    carol.prove();
    alice.expect("carol joined");
    bob.expect("carol joined");
    alice.say("hi");
    carol.expect("alice: hi");
    bob.socket.send_to(&datagram("room", &bob.token, b""), udp).expect("sent");
    expect_list(&mut directory.connect());
    server.signal("TERM");
    let log = server.log_to_the_end();
    assert!(!log.iter().any(|line| line.contains("--bind has no effect")), "{log:#?}");
    assert_eq!(server.wait().code(), Some(0));
    assert!(directory.file().exists(), "it belongs to the one that has passed it");
}

#[test]
fn u5_unix_socket_alone_is_enough() {
    let directory = Directory::new("alone");
    let listener = UnixListener::bind(directory.file()).expect("a free path");
    let mut command = Supervisor::default().with(listener).command(&[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell");
    let lines = lines_of(child.stdout.take().expect("piped"));
    let line = lines.recv_timeout(DEADLINE).expect("the address");
    assert_eq!(line, format!("listening on unix {}", directory.file().display()));
    expect_list(&mut directory.connect());
    child.kill().expect("a child");
    child.wait().expect("a child");
}

/// A passed wildcard socket sends from the address that a member has sent to (D7).
#[test]
fn u5_d7_passed_wildcard_answers_rightly() {
    let server = Supervisor::at(Ipv4Addr::UNSPECIFIED).start(&[], 1);
    for (last, operation, name) in [(1, CREATE, "alice"), (2, JOIN, "bob")] {
        speak_to(&server, loopback(last), operation, name);
    }
}

#[test]
fn u5_passed_sockets_get_our_options() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let copies = (tcp.try_clone().expect("one"), udp.try_clone().expect("one"));
    let supervisor = Supervisor::default().with(copies.0).with(copies.1);
    let server = supervisor.start(&[], 1);
    let own = Server::start(&[]);
    let grant = |server: &Server| {
        let line = server.expect_log("the kernel grants ");
        line.split_once("grants ").expect("the sizes").1.to_owned()
    };
    assert_eq!(grant(&server), grant(&own));
    let buffer = 2 * reactor_chat::config::TCP_BUFFER;
    let shared = SockRef::from(&tcp);
    assert_eq!(shared.recv_buffer_size().expect("an option"), buffer);
    assert_eq!(shared.send_buffer_size().expect("an option"), buffer);
    for shared in [shared, SockRef::from(&udp)] {
        assert!(shared.nonblocking().expect("an option"));
    }
}

#[test]
fn u5_useless_sockets_are_refused() {
    let tcp = || Supervisor::at([127, 0, 0, 1]);
    let stream = UnixStream::pair().expect("a pair").0;
    let datagram = UnixDatagram::pair().expect("a pair").0;
    let packets = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
    let file = std::fs::File::open("/dev/null").expect("a file");
    let no_kind = "socket 5 of LISTEN_FDS is no TCP, UDP or Unix stream socket";
    let silent = "socket 5 of LISTEN_FDS does not listen (a socket unit needs Accept=no)";
    for (supervisor, why) in [
        (tcp().with(datagram), no_kind),
        (tcp().with(packets), no_kind),
        (tcp().with(file), no_kind),
        (tcp().with(stream), silent),
    ] {
        assert_eq!(supervisor.refusal(&[]), (Some(2), why.into()));
    }
}

#[test]
fn u5_dual_stack_is_refused() {
    let both = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    both.set_only_v6(false).expect("an option");
    let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    both.bind(&wildcard.into()).expect("a port");
    both.listen(1).expect("a listener");
    let (status, line) = Supervisor::default().with(both).refusal(&[]);
    assert_eq!(status, Some(2));
    let why = "serves IPv4 and IPv6 (BindIPv6Only=ipv6-only separates them)";
    assert_eq!(line, format!("socket 3 of LISTEN_FDS {why}"));
}

#[test]
fn u5_unpaired_socket_stops_the_start() {
    let ip = IpAddr::from([127, 0, 0, 1]);
    let tcp = TcpListener::bind((ip, 0)).expect("a free port");
    let line = format!("the passed tcp socket {} needs a udp", tcp.local_addr().expect("one"));
    let (status, complaint) = Supervisor::default().with(tcp).refusal(&[]);
    assert_eq!(status, Some(2));
    assert!(complaint.starts_with(&line), "{complaint}");
}

#[test]
fn u5_garbage_in_listen_fds() {
    for garbage in ["", "0", "-1", "two", "4294967296", "99999999999999999999"] {
        let mut command = Supervisor::default().command(&[]);
        command.env("LISTEN_FDS", garbage);
        let line = format!("LISTEN_FDS must be from 1 to 64, not '{garbage}'");
        assert_eq!(refusal(command), (Some(2), line));
    }
    let mut command = Supervisor::default().command(&[]);
    command.env("LISTEN_FDS", "1");
    let (status, line) = refusal(command);
    assert_eq!(status, Some(2));
    assert!(line.starts_with("socket 3 of LISTEN_FDS is no "), "{line}");
}

#[test]
fn u5_sockets_of_another_process() {
    for (fds, pid) in [("2", "1"), ("two", "1"), ("2", "")] {
        let mut command = Command::new(SERVER);
        command.args(["--tcp-port", "0", "--udp-port", "0"]);
        command.env("LISTEN_FDS", fds).env("LISTEN_PID", pid);
        let server = Server::spawn(command, 1);
        assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
        server.expect_log(&format!("LISTEN_FDS is for the process LISTEN_PID='{pid}'"));
    }
}
