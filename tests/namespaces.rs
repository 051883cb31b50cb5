//! Networks other than loopback: a machine with two interfaces, a NAT, a path of 1,280 bytes.

mod support;

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use support::namespace::{MACHINES, Machine, in_user_namespace, run};
use support::streams::*;
use support::*;

/// Clients, a router and a server. The clients are this test, at 10.1.0.2 and fd01::2. The server is
/// at 10.2.0.2 and fd02::2.
struct Path {
    router: Machine,
    far: Machine,
}

impl Path {
    fn new() -> Self {
        let (router, far) = (Machine::start(), Machine::start());
        run(&format!("ip link add near type veth peer name lan netns {}", router.pid()));
        router.run(&format!("ip link add wan type veth peer name far netns {}", far.pid()));
        router.run(&format!(
            "{} && {} && echo 1 | tee /proc/sys/net/ipv4/ip_forward \
             /proc/sys/net/ipv6/conf/all/forwarding",
            addresses("lan", &["10.1.0.1/24", "fd01::1/64"]),
            addresses("wan", &["10.2.0.1/24", "fd02::1/64"]),
        ));
        run(&addresses("near", &["10.1.0.2/24", "fd01::2/64"]));
        run("ip route add default via 10.1.0.1 && ip -6 route add default via fd01::1");
        far.run(&addresses("far", &["10.2.0.2/24", "fd02::2/64"]));
        far.run("ip route add default via 10.2.0.1 && ip -6 route add default via fd02::1");
        Self { router, far }
    }

    /// Returns the number of datagrams that the server's kernel and the router have fragmented.
    fn fragmented(&self) -> u64 {
        [&self.router, &self.far].map(fragmented).iter().sum()
    }
}

fn fragmented(machine: &Machine) -> u64 {
    let v4 = machine.run("cat /proc/net/snmp");
    let mut lines = v4.lines().filter(|line| line.starts_with("Ip: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut columns = names.split(' ').zip(values.split(' '));
    let (_, v4) = columns.find(|(name, _)| *name == "FragOKs").expect("a known column");
    let v6 = machine.run("cat /proc/net/snmp6");
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Ip6FragOKs")).expect("a known line");
    [v4, v6].map(|count| count.trim().parse::<u64>().expect("a number")).iter().sum()
}

/// Returns the script that sets an interface's addresses and turns it on.
fn addresses(interface: &str, all: &[&str]) -> String {
    // Without this, duplicate address detection takes a second or two.
    let mut script = format!("echo 0 > /proc/sys/net/ipv6/conf/{interface}/accept_dad");
    script += &format!(" && ip link set {interface} up");
    for address in all {
        script += &format!(" && ip address add {address} dev {interface}");
    }
    script
}

#[test]
fn w25_d7_two_interfaces() {
    in_user_namespace("w25_d7_two_interfaces", "w25 and d7 between two machines", MACHINES, || {
        let far = Machine::start();
        for (near_name, far_name) in [("near1", "far1"), ("near2", "far2")] {
            let pid = far.pid();
            run(&format!("ip link add {near_name} type veth peer name {far_name} netns {pid}"));
        }
        far.run(&addresses("far1", &["10.1.0.1/24", "10.1.0.9/24", "fd01::1/64", "fd01::9/64"]));
        far.run(&addresses("far2", &["10.2.0.1/24", "fd02::1/64"]));
        run(&addresses("near1", &["10.1.0.2/24", "fd01::2/64"]));
        run(&addresses("near2", &["10.2.0.2/24", "fd02::2/64"]));
        // This interface also reaches the other one's address. The way back begins at 10.1.0.1, and
        // nobody expects an answer from there.
        run("ip route add 10.2.0.1/32 via 10.1.0.1 src 10.1.0.2");
        run("ip -6 route add fd02::1/128 via fd01::1 src fd01::2");
        answers_from(&far, "0.0.0.0", &["10.1.0.1", "10.1.0.9", "10.2.0.1"]);
        answers_from(&far, "::", &["fd01::1", "fd01::9", "fd02::1"]);
    });
}

/// Members with text and stream delivery at each of these addresses get one another's messages.
/// Their sockets are connected, so they receive from the right address only.
fn answers_from(far: &Machine, any: &str, ips: &[&str]) {
    let mut server = far.serve(any, ips[0]);
    for ip in ips {
        let ip = ip.parse().expect("an address");
        server.tcp.set_ip(ip);
        server.udp.set_ip(ip);
        let alice = speak_to(&server, ip, CREATE, "alice");
        let bob = Listener::enter_unproved(&server, JOIN, "room", &streamed("bob", ""));
        bob.wire.socket.connect(server.udp).expect("a route");
        bob.wire.say("");
        alice.expect("bob joined");
        alice.say("hello");
        while joined(&[bob.hear()]) != ["hello"] {}
        alice.say("/exit");
        alice.expect("the room was closed");
    }
}

#[test]
fn field_j_works_without_ipv6() {
    in_user_namespace(
        "field_j_works_without_ipv6",
        "a start without IPv6",
        "ip link set lo up && echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6 && unshare -m true",
        || {
            let hosts = std::env::temp_dir().join(format!("hosts-{}", std::process::id()));
            std::fs::write(&hosts, "::1 localhost\n127.0.0.1 localhost\n").expect("a file");
            let mut command = Command::new("unshare");
            let script = "mount --bind \"$1\" /etc/hosts && \
                exec \"$0\" --bind localhost --tcp-port 0 --udp-port 0";
            command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_reactor-chat")]);
            command.arg(&hosts);
            let server = Server::spawn(command, 1);
            std::fs::remove_file(&hosts).expect("removed");
            assert_eq!(server.tcp.ip(), loopback(1));
            server
                .expect_log("WARN ] not served, of --bind localhost: cannot listen on tcp [::1]:0");
            assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
        },
    );
}

const NARROW: u32 = 1280;

/// The place of the path with 1,280 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Narrow {
    /// At the server's own interface, so that its kernel knows.
    AtTheServer,
    /// Behind the router: the server learns of it only after it has sent something.
    BehindTheRouter,
}

impl Path {
    fn narrow(at: Narrow) -> Self {
        let path = Self::new();
        match at {
            Narrow::AtTheServer => {
                path.router.run(&format!("ip link set wan mtu {NARROW}"));
                path.far.run(&format!("ip link set far mtu {NARROW}"));
            }
            Narrow::BehindTheRouter => {
                path.router.run(&format!("ip link set lan mtu {NARROW}"));
                run(&format!("ip link set near mtu {NARROW}"));
            }
        }
        // The clients' kernel knows the path: only the server's datagrams are under test.
        for way in ["-4 route change default via 10.1.0.1", "-6 route change default via fd01::1"] {
            run(&format!("ip {way} mtu {NARROW}"));
        }
        path
    }
}

/// Runs a test with both families and both kinds of path.
fn on_narrow_paths(check: impl Fn(&Path, &Server, Narrow)) {
    let mut ending = Vec::new();
    for at in [Narrow::AtTheServer, Narrow::BehindTheRouter] {
        for (any, ip) in [("0.0.0.0", "10.2.0.2"), ("::", "fd02::2")] {
            // Printed only when the test fails.
            eprintln!("to {any}, narrow {at:?}");
            // Each has a path of its own that the kernel knows nothing about.
            let path = Path::narrow(at);
            let server = path.far.serve(any, ip);
            check(&path, &server, at);
            run("ip link delete near");
            // This server waits for members that are out of reach. The other paths are tested
            // meanwhile.
            server.signal("TERM");
            ending.push((path, server));
        }
    }
    for (_, server) in ending {
        let counts = server.expect_log("connections accepted");
        assert!(!counts.contains("errors"), "{counts}");
    }
}

#[test]
fn s2_stream_fits_1280_byte_path() {
    in_user_namespace("s2_stream_fits_1280_byte_path", "s2 on a narrow path", MACHINES, || {
        on_narrow_paths(stream_without_fragments)
    });
}

fn stream_without_fragments(path: &Path, server: &Server, _: Narrow) {
    const LINES: u32 = 200;
    let (alice, bob) = listening_alice_and_bob(server);
    let before = path.fragmented();
    // All at once, so that datagrams are full and several leave in one message.
    server.freeze();
    for id in 1..=LINES {
        alice.say(id, &format!("{id:0100}"));
    }
    server.thaw();
    let (mut next, mut largest) = (3, 0);
    while next < 3 + u64::from(LINES) {
        let packet = bob.hear();
        if packet.numbers() > 0 {
            assert_eq!(packet.sequence, next, "nothing is missing");
        }
        next += packet.numbers();
        largest = largest.max(packet.size);
    }
    assert!((1050..=1150).contains(&largest), "{largest} bytes");
    assert_eq!(path.fragmented(), before);
}

#[test]
fn w24_all_sizes_pass_1280_byte_path() {
    in_user_namespace(
        "w24_all_sizes_pass_1280_byte_path",
        "w24 on a narrow path",
        MACHINES,
        || on_narrow_paths(every_size),
    );
}

const NAME: usize = 40;
/// Returns the longest message with a name of this size.
const LARGEST: usize = 4070 - NAME;

fn every_size(path: &Path, server: &Server, at: Narrow) {
    let name = "a".repeat(NAME);
    let alice = Listener::create(server, &name);
    let bob = Member::join(server, "room", &text("bob"));
    let carol = Listener::join(server, "carol");
    bob.expect("carol joined");
    let before = path.fragmented();
    let sizes = [1100, 1150, 1250, 1300, 1430, 1500, 2600, LARGEST];
    // Sends each size by itself, and then several times, so that the kernel has to split messages
    // that do not fit.
    let singles = sizes.map(|size| format!("{:0size$}", 0));
    let groups = sizes.iter().flat_map(|size| (1..5).map(move |turn| format!("{turn:0size$}")));
    let mut id = 1;
    if server.udp.is_ipv6() && at == Narrow::BehindTheRouter {
        id = until_the_way_is_known(&alice, &bob);
        alice.heard_up_to_now();
        carol.heard_up_to_now();
    }
    for said in [singles.to_vec(), groups.collect()] {
        server.freeze();
        for text in &said {
            alice.say(id, text);
            id += 1;
        }
        server.thaw();
        for text in &said {
            let heard = bob.hear_text();
            assert!(heard == format!("{name}: {text}"), "{} bytes", text.len());
        }
        for listener in [&alice, &carol] {
            let mut packets = Vec::new();
            while joined(&packets).len() < said.len() {
                packets.push(listener.hear());
            }
            assert!(joined(&packets) == said, "each once and in order");
            assert_eq!(packets.iter().map(|packet| packet.size).max(), Some(1150));
        }
    }
    assert!(path.fragmented() > before, "the path was narrow");
}

/// Only the sender may fragment IPv6 datagrams, and it learns by losing some that it has to. Returns
/// the speaker's next id.
fn until_the_way_is_known(alice: &Listener, bob: &Member) -> u32 {
    let mut id = 1;
    wait_for("a datagram that passes", || {
        alice.say(id, &format!("{id:01300}"));
        id += 1;
        (!bob.heard_up_to_now().is_empty()).then_some(id)
    })
}

/// Tests our client behind the NAT: it gets back what it has missed.
#[cfg(feature = "client")]
mod nat {
    use super::support::program::*;
    use super::*;

    /// The machines of a NAT.
    const NAT: &str = "nft 'add table t; \
        add chain t c { type nat hook postrouting priority 100; }; \
        add rule t c udp dport 9 masquerade to :20001-20099 random' && nft delete table t && \
        cat /proc/sys/net/netfilter/nf_conntrack_count";

    /// Returns the rules of a NAT that uses these ports.
    fn nat(ports: &str) -> String {
        format!(
            "nft 'add table nat; add chain nat post {{ type nat hook postrouting priority 100; }}; \
             flush chain nat post; add rule nat post oifname wan meta l4proto tcp masquerade; \
             add rule nat post oifname wan meta l4proto udp masquerade to :{ports} random'"
        )
    }

    #[test]
    fn w19_nat_change_needs_one_datagram() {
        in_user_namespace(
            "nat::w19_nat_change_needs_one_datagram",
            "w19 behind a NAT",
            &format!("{MACHINES} && {NAT}"),
            || {
                let path = Path::new();
                path.router.run(&nat("20001-20099"));
                // There is no route back to clients that are not behind the NAT.
                path.far.run("ip route delete default");
                let server = path.far.serve("0.0.0.0", "10.2.0.2");
                chat_through_a_nat_that_forgets(&server, &path.router);
            },
        );
    }

    fn chat_through_a_nat_that_forgets(server: &Server, router: &Machine) {
        let (alice, bob) = alice_and_bob(server);
        let mut carol = Talker::start(server, &["join", "room", "carol"]);
        carol.expect("* carol joined");
        [&alice, &bob].into_iter().for_each(|member| member.expect("carol joined"));
        alice.say("before");
        bob.expect("alice: before");
        carol.expect("alice: before");

        change_ports(router);
        // This is Alice's next datagram. The others have not sent any, so it does not reach them.
        alice.say("meanwhile");
        alice.settle();
        bob.prove();
        bob.say("back");
        alice.expect("bob: back");
        // Carol's client has a stream. Its message brings back what it has missed.
        carol.say("me too\n");
        for line in ["alice: meanwhile", "bob: back", "carol: me too"] {
            carol.expect(line);
        }
        [&alice, &bob].into_iter().for_each(|member| member.expect("carol: me too"));
        alice.say("after");
        bob.expect("alice: after");
        carol.expect("alice: after");
    }

    /// Restarts the NAT, as after a power cut: it knows no connection, and drops datagrams to the
    /// ports from before.
    fn change_ports(router: &Machine) {
        router.run(&nat("20101-20199"));
        router.run(
            "nft 'add table old; add chain old c { type filter hook prerouting priority -300; }; \
             add rule old c iifname wan udp dport 20001-20099 drop'",
        );
        router.run("ip link set wan down && ip link set wan up");
        wait_for("the NAT to forget", || {
            (router.run("cat /proc/sys/net/netfilter/nf_conntrack_count").trim() == "0")
                .then_some(())
        });
    }
}

/// Paths that drop fragments, as tunnels and cloud firewalls do, and paths that need them.
#[cfg(feature = "client")]
mod fragments {
    use super::support::program::Talker;
    use super::*;

    /// Returns the rules that drop packets.
    const FILTER: &str = "nft 'add table ip t; \
        add chain ip t c { type filter hook prerouting priority -500; }; \
        add rule ip t c ip frag-off & 0x3fff != 0 counter drop' && nft delete table ip t";

    /// Returns rules for a router that drops and counts the fragments that come in at an interface.
    fn drop_fragments(interface: &str) -> String {
        format!(
            "nft 'add table ip t; add chain ip t c {{ type filter hook prerouting priority -500; }}; \
             add rule ip t c iifname {interface} ip frag-off & 0x3fff != 0 counter drop; \
             add table ip6 t; add chain ip6 t c {{ type filter hook prerouting priority -500; }}; \
             add rule ip6 t c iifname {interface} exthdr frag exists counter drop'"
        )
    }

    #[test]
    fn field_a_stream_needs_no_fragments() {
        in_user_namespace(
            "fragments::field_a_stream_needs_no_fragments",
            "long lines on paths that drop fragments",
            &format!("{MACHINES} && {FILTER}"),
            || {
                for (any, ip) in [("0.0.0.0", "10.2.0.2"), ("::", "fd02::2")] {
                    for interface in ["wan", "lan"] {
                        // Printed only when the test fails.
                        eprintln!("to {any}, fragments are dropped that come from {interface}");
                        let path = Path::new();
                        path.router.run(&drop_fragments(interface));
                        chat_in_long_lines(&path.far.serve(any, ip), interface == "wan");
                        let rules = path.router.run("nft list ruleset");
                        let counted = rules.lines().filter(|line| line.contains("counter"));
                        let dropped = counted.filter(|line| !line.contains("packets 0 "));
                        assert_eq!(dropped.count(), 1, "there were fragments: {rules}");
                        run("ip link delete near");
                    }
                }
            },
        );
    }

    fn chat_in_long_lines(server: &Server, are_dropped_on_the_way_down: bool) {
        let mut alice = Talker::start(server, &["create", "room", "alice"]);
        alice.expect("* alice joined");
        let bob = Talker::start(server, &["--history", "0", "join", "room", "bob"]);
        bob.expect("* bob joined");
        let carol = Member::join(server, "room", &text("carol"));
        bob.expect("* carol joined");
        let long = "L".repeat(4000);
        alice.say(&format!("{long}\nafter\n"));
        for talker in [&alice, &bob] {
            talker.lines_up_to(&format!("alice: {long}"));
            talker.expect("alice: after");
        }
        // Text delivery has no parts.
        if !are_dropped_on_the_way_down {
            carol.expect(&format!("alice: {long}"));
        }
        carol.expect("alice: after");
        carol.say(&"C".repeat(3000));
        carol.say("short");
        let heard = bob.lines_up_to("carol: short");
        assert_eq!(heard.len(), 1 + usize::from(are_dropped_on_the_way_down));
    }

    #[test]
    fn field_a_fragments_are_allowed() {
        in_user_namespace(
            "fragments::field_a_fragments_are_allowed",
            "datagrams on a path that is narrower than both interfaces",
            &format!("{MACHINES} && {FILTER}"),
            || {
                let path = Path::new();
                path.router.run(
                    // Not the interfaces: one of a pair receives nothing larger than its own MTU.
                    "ip route change 10.2.0.0/24 dev wan mtu lock 600 && \
                     ip route change 10.1.0.0/24 dev lan mtu lock 600 && nft 'add table ip t; \
                     add chain ip t c { type filter hook output priority 0; }; \
                     add rule ip t c icmp type destination-unreachable drop'",
                );
                let server = path.far.serve("0.0.0.0", "10.2.0.2");
                // TCP segments that are too large die here, too, and TLS begins with one.
                let start = |args: &[&str]| Talker::start(&server, &[&["--plain"], args].concat());
                let mut alice = start(&["create", "room", "alice"]);
                alice.expect("* alice joined");
                let mut bob = start(&["--delivery", "text", "join", "room", "bob"]);
                alice.expect("* bob joined");
                let line = "x".repeat(1400);
                bob.say(&format!("{line}\n"));
                alice.expect(&format!("bob: {line}"));
                alice.say(&format!("{line}\n"));
                bob.expect(&format!("alice: {line}"));
                assert!(fragmented(&path.router) >= 2, "both were cut up");
                run("ip link delete near");
            },
        );
    }
}

/// Lets members enter one room from addresses that will answer no ARP requests.
fn deaf_members(server: &Server, ips: &[IpAddr]) -> Vec<Member> {
    let enter = |(number, ip): (usize, &IpAddr)| {
        let mut control = Control::connect_from(server, *ip);
        let operation = if number == 0 { CREATE } else { JOIN };
        let payload = format!(r#"{{"username":"d{number}"}}"#);
        let token = control.enter(operation, "deaf", payload.as_bytes());
        let member = Member::with_token(server.udp, *ip, "deaf", token);
        member.prove();
        member
    };
    ips.iter().cycle().take(10 * ips.len()).enumerate().map(enter).collect()
}

#[test]
fn a5_silent_neighbours_delay_nobody() {
    in_user_namespace(
        "a5_silent_neighbours_delay_nobody",
        "a5 with neighbours that answer no ARP",
        "nft list ruleset && unshare -n true && ip link set lo up",
        || {
            let far = Machine::start();
            run(&format!("ip link add near type veth peer name far netns {}", far.pid()));
            let deaf = ["10.1.0.3", "10.1.0.4", "10.1.0.5"];
            let own: Vec<String> =
                ["10.1.0.2"].iter().chain(&deaf).map(|ip| format!("{ip}/24")).collect();
            run(&addresses("near", &own.iter().map(String::as_str).collect::<Vec<_>>()));
            // The kernel may queue as much for one neighbour as the largest socket holds.
            far.run(&addresses("far", &["10.1.0.1/24"]));
            far.run("echo 67108864 > /proc/sys/net/ipv4/neigh/far/unres_qlen_bytes");
            let server = far.serve("10.1.0.1", "10.1.0.1");
            let quiet = [CREATE, JOIN].map(|operation| {
                let mut control =
                    Control::connect_from(&server, "10.1.0.2".parse().expect("an IP"));
                let payload = format!(r#"{{"username":"q{operation}"}}"#);
                let token = control.enter(operation, "quiet", payload.as_bytes());
                let member = Member::with_token(server.udp, control.local_ip(), "quiet", token);
                member.prove();
                member
            });
            let deaf_ips = deaf.map(|ip| ip.parse().expect("an IP"));
            let members = deaf_members(&server, &deaf_ips);
            let mac = far.run("ip -o link show far | sed 's/.*ether //; s/ .*//'");
            run(&format!("ip neigh replace 10.1.0.1 lladdr {} dev near nud permanent", mac.trim()));
            run("nft add table arp f && \
                nft add chain arp f i '{ type filter hook input priority 0; }'");
            for ip in deaf {
                run(&format!("nft add rule arp f i arp daddr ip {ip} drop"));
                far.run(&format!("ip neigh del {ip} dev far"));
            }
            let mut times: Vec<Duration> =
                (0..200).map(|round| time_of_a_message(&quiet, &members, round)).collect();
            times.sort();
            assert!(times[197] <= Duration::from_millis(50), "p99 {:?}", times[197]);
        },
    );
}

/// Returns the latency of a message in a quiet room, while the room of unresponsive members is
/// busy.
fn time_of_a_message(quiet: &[Member; 2], deaf: &[Member], round: usize) -> Duration {
    let long = "z".repeat(4_000);
    for talker in 0..2 {
        deaf[(2 * round + talker) % deaf.len()].say(&long);
    }
    let start = Instant::now();
    let text = format!("message {round}");
    quiet[1].say(&text);
    while !quiet[0].hear_text().ends_with(&text) {}
    start.elapsed()
}
