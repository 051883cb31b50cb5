//! The client inside TLS: its datagrams are sealed, whatever the network does.

use std::time::Duration;

use crate::support::namespace::{MACHINES, Machine, in_user_namespace, run};
use crate::support::program::*;
use crate::support::proxy::Proxy;
use crate::support::talkers::*;
use crate::support::tcp_proxy::TcpProxy;
use crate::support::*;

const NAMES: [&str; 2] = ["annabella", "bartholomew"];
const ROOM: &str = "chamber-of-commerce";
const PASSWORD: &str = "correct horse";

/// Plays a chat over relays, and returns everything that they saw.
fn recorded_chat(security: &[&str]) -> Vec<u8> {
    let server = Server::start(&[]);
    let (tcp, udp) = (TcpProxy::start(server.tcp), Proxy::start(server.udp, 0, 1));
    let start = |words: [&str; 3]| {
        let args = [security, &["--password", PASSWORD], &words].concat();
        Talker::spawn(client(tcp.address, udp.address, &args))
    };
    let mut ann = start(["create", ROOM, NAMES[0]]);
    ann.expect("* annabella joined");
    let mut bob = start(["join", ROOM, NAMES[1]]);
    bob.lines_up_to("* bartholomew joined");
    ann.expect("* bartholomew joined");
    ann.say("attack at dawn\n/who\n");
    bob.expect("annabella: attack at dawn");
    ann.expect("annabella: attack at dawn");
    ann.expect("* annabella (host), bartholomew");
    ann.end_input();
    bob.lines_up_to(CLOSED);
    bob.expect_end(0);
    [tcp.record(), udp.record()].concat()
}

fn contains(record: &[u8], text: &str) -> bool {
    record.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Returns true if a token may be in the record: 32 hex digits in a row.
fn has_token(record: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    record.windows(32).any(|window| window.iter().all(is_digit))
}

#[test]
fn e7_eavesdropper_reads_nothing() {
    let secrets = [NAMES[0], NAMES[1], ROOM, PASSWORD, "attack", "joined", "/who", "closed"];
    let clear = recorded_chat(&["--plain"]);
    assert!(has_token(&clear));
    secrets.iter().for_each(|secret| assert!(contains(&clear, secret), "{secret}"));
    let sealed = recorded_chat(&[]);
    assert!(!has_token(&sealed));
    secrets.iter().for_each(|secret| assert!(!contains(&sealed, secret), "{secret}"));
}

#[test]
fn e5_sealed_chat_survives_losses() {
    let server = Server::start(&["--rate-limit", "0"]);
    let proxy = Proxy::start(server.udp, 10, 7);
    let mut ann = over(&proxy, &server, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = over(&proxy, &server, &["join", "r1", "bob"]);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    ann.say(&numbered(0..300));
    bob.say(&numbered(300..600));
    let record_of = |talker: &Talker| -> Vec<String> {
        let lines = std::iter::from_fn(|| talker.out.recv_timeout(DEADLINE).ok());
        lines.take(600).collect()
    };
    let record = record_of(&ann);
    assert_eq!(record, record_of(&bob));
    for (name, lines) in [("ann", 0..300), ("bob", 300..600)] {
        let start = format!("{name}: ");
        let said: Vec<_> = record.iter().filter_map(|line| line.strip_prefix(&start)).collect();
        assert_eq!(said, numbered(lines).lines().collect::<Vec<_>>());
    }
    assert!(!contains(&proxy.record(), "line 1"));
}

#[test]
fn e5_resume_gets_a_new_seal() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.udp, 0, 1);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = over(&proxy, &server, &["join", "r1", "bob"]);
    ann.expect("* bob joined");
    bob.lines_up_to("* bob joined");
    proxy.cut();
    bob.say("from bob\n");
    ann.say("from ann\n");
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    bob.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
    proxy.heal();
    bob.expect_complaint("reactor-chat-client: the server answers again");
    for line in ["ann: from ann", "bob: from bob"] {
        ann.expect(line);
        bob.expect(line);
    }
}

/// The client's machine with two networks, of which it has the first. The server's address is behind
/// both.
fn two_networks(far: &Machine) {
    for (number, name) in [(1, "wifi"), (2, "cable")] {
        let pid = far.pid();
        run(&format!("ip link add {name} type veth peer name {name} netns {pid}"));
        far.run(&format!("ip addr add 10.{number}.0.1/24 dev {name} && ip link set {name} up"));
    }
    far.run("ip addr add 10.9.0.1/32 dev lo");
    run("ip addr add 10.1.0.2/24 dev wifi && ip link set wifi up && \
         ip route add 10.9.0.1 via 10.1.0.1");
}

#[test]
fn e10_client_changes_networks() {
    let test = "e10_client_changes_networks";
    in_user_namespace(test, "a client that changes networks", MACHINES, || {
        let far = Machine::start();
        two_networks(&far);
        let server = far.serve("0.0.0.0", "10.9.0.1");
        let mut ann = Talker::start(&server, &["create", "r1", "ann"]);
        ann.expect("* ann joined");
        let mut bob = Talker::start(&server, &["--delivery", "text", "join", "r1", "bob"]);
        ann.expect("* bob joined");
        bob.say("over wifi\n");
        ann.expect("bob: over wifi");
        run("ip addr flush dev wifi && ip link set wifi down && \
             ip addr add 10.2.0.2/24 dev cable && ip link set cable up && \
             ip route add 10.9.0.1 via 10.2.0.1");
        ann.say("from ann\n");
        ann.expect("ann: from ann");
        bob.say("from bob\n");
        ann.expect("bob: from bob");
        // Until his new address is proved, the answers go to the old one.
        let has_answer = || {
            bob.say("/who\n");
            bob.gets("ann (host), bob", Duration::from_millis(500)).then_some(())
        };
        wait_for("an answer at the new address", has_answer);
        ann.say("again\n");
        bob.lines_up_to("ann: again");
        let counts = server.final_counts();
        assert!(counts.contains("connections accepted 2,"), "{counts}");
    });
}

/// A member in plain delivery has nothing to resume, and nothing to ask whether UDP works.
#[test]
fn e5_plain_deliveries_are_sealed() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.udp, 0, 1);
    let mut ann = ann_creates(&server, &[]);
    for (delivery, text) in [("text", "a text"), ("named", "a name")] {
        let mut bob = over(&proxy, &server, &["--delivery", delivery, "join", "r1", "bob"]);
        ann.expect("* bob joined");
        bob.say(&format!("{text}\n"));
        ann.expect(&format!("bob: {text}"));
        ann.say("an answer\n");
        bob.expect("ann: an answer");
        ann.expect("ann: an answer");
        bob.end_input();
        ann.expect("* bob left");
        bob.expect_end(0);
    }
    let record = proxy.record();
    let secrets = ["bob", "ann", "r1", "a text", "a name", "an answer"];
    secrets.iter().for_each(|secret| assert!(!contains(&record, secret), "{secret}"));
}
