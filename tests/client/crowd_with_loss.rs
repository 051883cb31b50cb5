//! Twenty clients over networks that lose datagrams either way: everyone reads the same, and nothing
//! is missing.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::support::namespace::{MACHINES, Machine, in_namespace, in_user_namespace, run};
use crate::support::program::*;
use crate::support::proxy::Proxy;
use crate::support::*;

const CLIENTS: usize = 20;
const MESSAGES: usize = 200;
const PERCENT: u64 = 10;
const SEED: u64 = 20_261_122;

/// One datagram in ten: netem, and where the kernel has none a rule of its packet filter.
const LOSSY: &str = "ip link set lo up && { tc qdisc add dev lo root netem loss 10% || \
    nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }; \
    add rule inet t i meta l4proto udp numgen random mod 10 == 0 drop'; }";

/// The messages of a client's output, without notices, up to this number of them.
fn messages(talker: &Talker) -> Vec<String> {
    let lines = std::iter::from_fn(|| talker.out.recv_timeout(DEADLINE).ok());
    lines.filter(|line| !line.starts_with("* ")).take(CLIENTS * MESSAGES).collect()
}

#[test]
fn s10_records_are_equal_and_whole() {
    let server = start();
    let proxy = Proxy::start(server.udp, PERCENT, SEED);
    records_are_the_same_and_whole(&server, proxy.address);
}

/// Loses datagrams in the kernel: it drops a coalesced batch (`UDP_SEGMENT`) as a whole.
#[test]
fn s10_records_survive_kernel_loss() {
    in_namespace("s10_records_survive_kernel_loss", "s10 over a kernel that loses", LOSSY, || {
        let server = start();
        records_are_the_same_and_whole(&server, server.udp);
    });
}

/// Loses five of a hundred datagrams in each direction between two machines.
#[test]
fn s10_records_survive_path_loss() {
    in_user_namespace(
        "s10_records_survive_path_loss",
        "s10 over a way that loses",
        &format!("{MACHINES} && nft '{}'", lossy_end("lo")),
        || {
            let far = Machine::start();
            run(&format!("ip link add near type veth peer name far netns {}", far.pid()));
            run("ip link set near up && ip address add 10.1.0.2/24 dev near");
            far.run("ip link set far up && ip address add 10.1.0.1/24 dev far");
            run(&format!("nft '{}'", lossy_end("near")));
            far.run(&format!("nft '{}'", lossy_end("far")));
            let server = far.serve("0.0.0.0", "10.1.0.1");
            records_are_the_same_and_whole(&server, server.udp);
        },
    );
}

/// The rule of an interface that loses what comes to it.
fn lossy_end(interface: &str) -> String {
    format!(
        "add table inet loss; add chain inet loss in {{ type filter hook input priority 0; }}; \
         add rule inet loss in iifname {interface} meta l4proto udp numgen random mod 100 < 5 drop"
    )
}

fn start() -> Server {
    Server::start(&["--rate-limit", "0", "--max-unproved", "0"])
}

fn records_are_the_same_and_whole(server: &Server, udp: SocketAddr) {
    let enter = |deed: &str, index: usize| {
        let name = format!("m{index}");
        let args = ["--fingerprint", server.key(), "--history", "1024", deed, "r1", &name];
        Talker::spawn(client(server.tcp, udp, &args))
    };
    let mut talkers = vec![enter("create", 0)];
    talkers[0].expect("* m0 joined");
    // All clients join before anyone speaks, because history does not hold so many messages. Each has the
    // machine for itself meanwhile: dozens of programs that start at once take longer than a deadline.
    for index in 1..CLIENTS {
        let talker = enter("join", index);
        talker.out.recv_timeout(DEADLINE).expect("what was before it, or its own joining");
        talkers.push(talker);
    }
    for talker in &mut talkers {
        talker.say(&(0..MESSAGES).map(|line| format!("line {line}\n")).collect::<String>());
    }
    let records: Vec<Vec<String>> = talkers.iter().map(messages).collect();
    let different: HashSet<&String> = records[0].iter().collect();
    assert_eq!((records[0].len(), different.len()), (CLIENTS * MESSAGES, CLIENTS * MESSAGES));
    for (index, record) in records.iter().enumerate() {
        let other = record.iter().zip(&records[0]).position(|(line, other)| line != other);
        assert_eq!(other, None, "where the record of m{index} is another than that of m0");
    }
    for index in 0..CLIENTS {
        let said = records[0].iter().filter_map(|line| line.strip_prefix(&format!("m{index}: ")));
        assert!(said.eq((0..MESSAGES).map(|line| format!("line {line}"))), "the order of m{index}");
    }
    let counts = server.final_counts();
    assert!(counts.contains("repair requests") && counts.contains("repairs "), "{counts}");
}
