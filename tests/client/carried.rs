//! The client on networks that block UDP: its messages travel on the connection of its request.

use std::io::pipe;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::namespace::in_user_namespace;
use crate::support::program::*;
use crate::support::proxy::Proxy;
use crate::support::talkers::*;
use crate::support::tcp_proxy::TcpProxy;
use crate::support::*;

/// Drops the datagrams of clients, and counts them.
const BLOCKED: &str = "ip link set lo up && nft 'add table inet t; \
    add chain inet t i { type filter hook input priority 0; }; \
    add rule inet t i udp dport 9002 counter drop'";

/// A client that reaches the server over this relay only.
fn carried(proxy: &TcpProxy, args: &[&str]) -> Talker {
    Talker::spawn(client(proxy.address, nowhere(), &[&["--carry"], args].concat()))
}

/// Returns an address at which nothing ever listens: port 9 discards (RFC 863).
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[test]
fn c5_blocked_udp_is_noticed_within_3_s() {
    let test = "c5_blocked_udp_is_noticed_within_3_s";
    in_user_namespace(test, "a network that blocks UDP", BLOCKED, || {
        let server = Server::start_at("9001", "9002", &[]);
        let start = Instant::now();
        let mut ann = Talker::start(&server, &["create", "r1", "ann"]);
        ann.expect_complaint(&carried_now(server.udp));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        ann.expect("* ann joined");
        let mut bob = Talker::start(&server, &["--carry", "join", "r1", "bob"]);
        bob.lines_up_to("* bob joined");
        ann.expect("* bob joined");
        ann.say("hi\n");
        bob.expect("ann: hi");
        ann.expect("ann: hi");
        bob.say("hello\n/who\n");
        ann.expect("bob: hello");
        bob.expect("bob: hello");
        bob.expect("* ann (host), bob");
        ann.end_input();
        ann.expect("* the room was closed");
        ann.expect_end(0);
        bob.expect(CLOSED);
        bob.expect_end(0);
    });
}

#[test]
fn c1_every_delivery_is_carried() {
    let server = Server::start(&[]);
    let proxy = TcpProxy::start(server.tcp);
    for security in [&[][..], &["--plain"]] {
        let with = |delivery, words: &[&str]| {
            carried(&proxy, &[security, &["--delivery", delivery], words].concat())
        };
        let mut ann = with("stream", &["create", "r1", "ann"]);
        ann.expect("* ann joined");
        let mut bob = with("text", &["join", "r1", "bob"]);
        ann.expect("* bob joined");
        let mut cat = with("named", &["join", "r1", "cat"]);
        ann.expect("* cat joined");
        bob.expect("cat joined");
        ann.say("from ann\n");
        bob.expect("ann: from ann");
        cat.expect("ann: from ann");
        bob.say("from bob\n");
        cat.expect("bob: from bob");
        cat.say("from cat\n/who\n");
        bob.expect("cat: from cat");
        cat.expect("* ann (host), bob, cat");
        for line in ["ann: from ann", "bob: from bob", "cat: from cat"] {
            ann.expect(line);
        }
        cat.end_input();
        bob.expect("cat left");
        cat.expect_end(0);
        ann.end_input();
        bob.expect("the room was closed");
        bob.expect_end(0);
        ann.lines_up_to(CLOSED);
        ann.expect_end(0);
    }
}

#[test]
fn c2_cut_connections_lose_nothing() {
    let server = Server::start(&["--rate-limit", "0"]);
    let proxy = TcpProxy::start(server.tcp);
    let mut ann = carried(&proxy, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = carried(&proxy, &["join", "r1", "bob"]);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    exchange_with_cuts(&mut ann, &mut bob, || proxy.cut());
    // The last cut may come behind the last line.
    ann.say("done\n");
    ann.expect("ann: done");
    bob.expect("ann: done");
    ann.end_input();
    for talker in [&mut ann, &mut bob] {
        talker.expect(CLOSED);
        assert_eq!(talker.wait().code(), Some(0));
    }
}

#[test]
fn c5_two_lost_datagrams_are_no_block() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_without_answer(&stranger, 300);
    let start = Instant::now();
    // The first one is lost, and so is the second.
    (0..2).for_each(|_| drop(stranger.hear_bytes()));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    stranger.udp.send_to(&stream(1, &[aside(5, 1, 0, "the room was closed")]), at).expect("sent");
    bob.expect(CLOSED);
    bob.expect_end(0);
}

#[test]
fn c5_next_join_tries_udp_again() {
    let address = address_of_its_own();
    let options = ["--bind", &address];
    let mut server = Server::start(&options);
    let (tcp, udp) = (TcpProxy::start(server.tcp), Proxy::start(server.udp, 0, 1));
    udp.cut();
    let mut ann = Talker::spawn(client(tcp.address, udp.address, &["create", "r1", "ann"]));
    ann.expect_complaint(&carried_now(udp.address));
    ann.expect("* ann joined");
    udp.heal();
    server.signal("TERM");
    assert!(server.wait().success());
    ann.expect("* the server is shutting down or restarting");
    ann.expect_complaint("reactor-chat-client: trying to get back into r1");
    let passed = udp.record().len();
    let ports = [server.tcp, server.udp].map(|at| at.port().to_string());
    let _server = Server::start_at(&ports[0], &ports[1], &options);
    ann.expect_complaint("reactor-chat-client: in r1 again");
    ann.expect("* ann joined");
    assert!(udp.record().len() > passed);
    ann.say("hi\n");
    ann.expect("ann: hi");
}

/// Entries that UDP has lost come over TCP: the server goes on behind the last confirmed entry.
#[test]
fn c5_block_in_mid_chat_loses_nothing() {
    let server = Server::start(&["--rate-limit", "0"]);
    let proxy = Proxy::start(server.udp, 0, 1);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = over(&proxy, &server, &["join", "r1", "bob"]);
    ann.expect("* bob joined");
    bob.lines_up_to("* bob joined");
    proxy.cut();
    ann.say(&numbered(0..100));
    bob.say(&numbered(100..200));
    for line in [
        "reactor-chat-client: no answer from the server, still trying",
        "reactor-chat-client: still no answer, trying to get back into r1",
        &carried_now(proxy.address),
        "reactor-chat-client: the server answers again",
    ] {
        bob.expect_complaint(line);
    }
    let (record, same) = [&ann, &bob].map(|talker| talker.lines_up_to("bob: line 199")).into();
    assert_eq!(record, same);
    let lines: Vec<_> = (0..100).map(|line| format!("ann: line {line}")).collect();
    assert_eq!(record[..100], lines);
    assert_eq!(record.len(), 200);
}

#[test]
fn c3_slow_reader_loses_nothing() {
    let server = Server::start(&["--rate-limit", "0"]);
    let mut ann = ann_creates(&server, &[]);
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = client(server.tcp, server.udp, &["--carry", "join", "r1", "bob"]);
    let mut bob = command.stdin(Stdio::piped()).stdout(writer).spawn().expect("the built client");
    drop(command);
    ann.expect("* bob joined");
    // More than the client's queue holds, and less than that and the server's ring.
    let lines: Vec<String> = (0..600).map(|line| format!("{line} {}", "x".repeat(3000))).collect();
    ann.say(&(lines.join("\n") + "\n"));
    ann.lines_up_to(&format!("ann: {}", lines[599]));
    let record = lines_of(reader);
    let heard = record.iter().filter_map(|line| line.strip_prefix("ann: ").map(str::to_owned));
    assert_eq!(heard.take(600).collect::<Vec<_>>(), lines);
    drop(bob.stdin.take());
    ann.expect("* bob left");
    assert_eq!(bob.wait().expect("a child").code(), Some(0));
}

#[test]
fn c2_plain_member_ends_with_connection() {
    let server = Server::start(&[]);
    let ann = Member::create(&server, "r1", &text("ann"));
    let proxy = TcpProxy::start(server.tcp);
    let mut bob = carried(&proxy, &["--delivery", "text", "join", "r1", "bob"]);
    ann.expect("bob joined");
    ann.say("hi");
    bob.expect("ann: hi");
    proxy.cut();
    ann.expect("bob left");
    let complaint = bob.err.recv_timeout(DEADLINE).expect("a complaint");
    let expected = "reactor-chat-client: the server is gone: the connection has ended; ";
    assert!(complaint.starts_with(expected), "{complaint}");
    bob.expect_end(1);
}
