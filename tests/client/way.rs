//! The client's way to a server and back: names, addresses, ports that do not answer, servers that
//! restart, hidden rooms.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::family::Family;
use crate::support::namespace::*;
use crate::support::program::*;
use crate::support::proxy::Proxy;
use crate::support::pty::*;
use crate::support::talkers::*;
use crate::support::*;

/// Ann's room, which lists leave out.
fn hidden_room(server: &Server) -> Member {
    let ann = r#"{"username":"ann","password":"secret","hidden":true}"#;
    Member::create(server, "r1", ann)
}

const HIDDEN: &str =
    "Room 'r1' does not exist, or is hidden and needs a password. Password, if any:";

#[test]
fn field_client_hidden_room_asks_password() {
    let server = Server::start(&[]);
    let ann = hidden_room(&server);
    let mut bob = Terminal::start(&server, WIDE, &["join", "r1", "bob"]);
    bob.expect(&[HIDDEN]);
    bob.keys("secret\r");
    ann.expect("bob joined");
    bob.expect_row("HH:MM         -- in r1 as bob, encrypted; /exit leaves");
}

#[test]
fn field_client_enter_ends_the_question() {
    let server = Server::start(&[]);
    let mut bob = Terminal::start(&server, WIDE, &["join", "r1", "bob"]);
    bob.expect(&[HIDDEN]);
    bob.keys("\r");
    bob.expect_end(1);
    bob.expect_where("advice", |rows| {
        rows[1].contains("does not exist, or is hidden and needs a password; create it with:")
    });
}

/// A client with these arguments at a server of the family.
fn at_family(family: &Family, args: &[&str]) -> Talker {
    Talker::spawn(client(family.tcp, family.udp, &[&["--plain"], args].concat()))
}

/// Makes tokens like `str(uuid4())`.
fn dashed(count: u8) -> Vec<u8> {
    format!("0b29dcc8-3f65-4f2c-9b1f-6ab1a4e13a{count:02x}").into()
}

/// The longest, of bytes that are no text.
fn binary(count: u8) -> Vec<u8> {
    [&[0xff; 254][..], &[count]].concat()
}

#[test]
fn field_n_client_chats_on_other_server() {
    for token in [dashed, binary] {
        for delivery in [&["--delivery", "text"][..], &[]] {
            let family = Family::start(token);
            let args = |words| [delivery, words].concat();
            let mut ann = at_family(&family, &args(&["create", "r1", "ann"]));
            family.wait_for_member("ann");
            let mut bob = at_family(&family, &args(&["join", "r1", "bob"]));
            bob.say("hi ann\n");
            ann.expect("bob がチャットルームに参加しました");
            // No message before this one: keep-alives are none.
            ann.expect("bob: hi ann");
            // A second slash would be seen there.
            ann.say("/etc/hosts\n");
            bob.expect("ann: /etc/hosts");
            ann.end_input();
            bob.expect("ann: /exit");
            bob.expect("チャットルームが閉じられました");
            ann.expect("チャットルームが閉じられました");
            bob.expect_end(0);
            ann.expect_end(0);
        }
    }
}

/// A cable with nobody at its other end, where fd99::2 swallows what is sent; and the right to put
/// other files in the place of those in /etc.
const DEAD_END: &str = "ip link set lo up && ip link add d0 type veth peer name d1 && \
    ip link set d0 up && ip link set d1 up && ip addr add 10.9.0.1/24 dev d0 && \
    ip -6 addr add fd99::1/64 dev d0 nodad && \
    ip -6 neigh add fd99::2 lladdr 02:00:00:00:00:01 dev d0 && \
    unshare -m mount --bind /etc/hostname /etc/hosts";

/// The files that a client finds in /etc in place of the system's.
struct Etc {
    hosts: PathBuf,
    resolv: PathBuf,
}

impl Etc {
    /// Makes a resolver without any name server, so that only names in the file exist.
    fn new(test: &str, hosts: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        fs::create_dir_all(&folder).expect("a folder");
        let etc = Self { hosts: folder.join("hosts"), resolv: folder.join("resolv.conf") };
        etc.write_hosts(hosts);
        fs::write(&etc.resolv, "nameserver 127.0.0.1\n").expect("written");
        etc
    }

    fn write_hosts(&self, hosts: &str) {
        fs::write(&self.hosts, hosts).expect("written");
    }

    fn client(&self, server: &Server, args: &[&str]) -> Talker {
        let mount = "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/resolv.conf";
        let script = format!("{mount} && shift && exec \"$@\"");
        let [tcp, udp] = [server.tcp, server.udp].map(|at| at.port().to_string());
        let options = ["--host", "chat.test", "--tcp-port", &tcp, "--udp-port", &udp];
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).args([&self.hosts, &self.resolv]);
        command.arg(env!("CARGO_BIN_EXE_reactor-chat-client")).args(options).args(args);
        command.env("REACTOR_CHAT_FINGERPRINT", server.key());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Talker::spawn(command)
    }
}

#[test]
fn field_e_dead_first_address_delays_nothing() {
    let test = "field_e_dead_first_address_delays_nothing";
    in_user_namespace(test, "a host with a dead address", DEAD_END, || {
        let server = Server::start(&["--bind", "10.9.0.1"]);
        let etc = Etc::new(test, "fd99::2 chat.test\n10.9.0.1 chat.test\n");
        let start = Instant::now();
        let ann = etc.client(&server, &["create", "r1", "ann"]);
        ann.expect("* ann joined");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    });
}

#[test]
fn field_client_lookup_is_repeated() {
    let test = "field_client_lookup_is_repeated";
    in_user_namespace(test, "a resolver that does not answer", DEAD_END, || {
        let server = Server::start(&["--bind", "10.9.0.1"]);
        let etc = Etc::new(test, "10.9.0.1 other.test\n");
        let ann = etc.client(&server, &["create", "r1", "ann"]);
        let complaint = ann.err.recv_timeout(DEADLINE).expect("a complaint");
        let expected = "reactor-chat-client: the host 'chat.test' cannot be looked up for now: ";
        assert!(complaint.starts_with(expected), "{complaint}");
        assert!(complaint.ends_with("; still trying"), "{complaint}");
        etc.write_hosts("10.9.0.1 chat.test\n");
        ann.expect("* ann joined");
    });
}

#[test]
fn field_b_planned_restart_rejoins_all() {
    let address = address_of_its_own();
    let options = ["--bind", &address];
    let mut server = Server::start(&options);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = bob_joins(&server);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    let (tcp, udp) = (server.tcp.port().to_string(), server.udp.port().to_string());
    server.signal("TERM");
    assert!(server.wait().success());
    for talker in [&ann, &bob] {
        talker.expect("* the server is shutting down or restarting");
        talker.expect_complaint("reactor-chat-client: trying to get back into r1");
    }
    bob.say("typed meanwhile\n");
    let _server = Server::start_at(&tcp, &udp, &options);
    for talker in [&ann, &bob] {
        talker.expect_complaint("reactor-chat-client: in r1 again");
        talker.lines_up_to("bob: typed meanwhile");
    }
    // She is the host again.
    ann.say("welcome back\n");
    bob.expect("ann: welcome back");
    ann.end_input();
    bob.expect("* the room was closed");
    bob.expect_end(0);
}

#[test]
fn field_b_piped_line_survives_restart() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 300);
    bob.say("typed\n");
    while stranger.hear_bytes().0 != b"\0\0\0\0\x01typed" {}
    bob.end_input();
    let end = stream(1, &[aside(13, 1, 0, "the server is shutting down or restarting")]);
    stranger.udp.send_to(&end, at).expect("sent");
    bob.expect("* the server is shutting down or restarting");
    stranger.admit_to_stream(1, 300);
    let new = loop {
        let (bytes, from) = stranger.hear_bytes();
        if from != at && bytes == b"\0\0\0\0\x01typed" {
            break from;
        }
    };
    stranger.udp.send_to(&stream(1, &[message(3, 1, "bob", "typed")]), new).expect("sent");
    bob.expect("bob: typed");
    while stranger.hear_bytes().0 != b"\0\0\0\0\x02/exit" {}
    stranger.udp.send_to(&stream(2, &[aside(2, 3, 2, "")]), new).expect("sent");
    assert_eq!(bob.wait().code(), Some(0));
}

#[test]
fn field_b_kicked_members_stay_out() {
    for (code, text) in [(5, "the room was closed"), (7, "you were removed")] {
        let stranger = Stranger::start();
        let (mut bob, at) = bob_in_stream(&stranger, 300);
        stranger.udp.send_to(&stream(1, &[aside(code, 1, 0, text)]), at).expect("sent");
        bob.expect(&format!("* {text}"));
        bob.expect_end(0);
    }
}

#[test]
fn field_b_sleeper_rejoins_on_waking() {
    let server = Server::start(&["--idle-timeout", "3", "--rate-limit", "0"]);
    let ann = Member::create(&server, "r1", &text("ann"));
    let bob = bob_joins(&server);
    ann.expect("bob joined");
    bob.expect("* bob joined");
    bob.signal("STOP");
    let wait_for_notice = |notice: &str| {
        wait_for(notice, || {
            ann.heard_up_to_now().iter().any(|heard| heard == notice).then_some(())
        });
    };
    wait_for_notice("bob timed out");
    bob.signal("CONT");
    wait_for_notice("bob joined");
    let again = "reactor-chat-client: in r1 again";
    wait_for("the word", || bob.err.recv_timeout(DEADLINE).ok().filter(|line| line == again));
}

#[test]
fn c5_field_e_blocked_port_is_named() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.udp, 0, 1);
    proxy.cut();
    let start = Instant::now();
    let ann = over(&proxy, &server, &["create", "r1", "ann"]);
    ann.expect_complaint(&carried_now(proxy.address));
    ann.expect("* ann joined");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn c5_field_e_pipe_over_blocked_port() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.udp, 0, 1);
    proxy.cut();
    let mut ann = over(&proxy, &server, &["create", "r1", "ann"]);
    ann.say("hi\n");
    ann.end_input();
    ann.expect_complaint(&carried_now(proxy.address));
    ann.lines_up_to("ann: hi");
    assert_eq!(ann.wait().code(), Some(0));
}

/// A server from before carried members takes a bare token only.
#[test]
fn field_e_old_server_carries_nothing() {
    let stranger = Stranger::start();
    let bob = stranger.client(&["join", "r1", "bob"]);
    stranger.admit_to_stream(1, 300);
    let (_, at) = stranger.hear_bytes();
    stranger.refuse(9);
    let udp = stranger.udp.local_addr().expect("an address");
    let expected = format!("reactor-chat-client: UDP port {} of 127.0.0.1 does not", udp.port());
    let complaint = bob.err.recv_timeout(DEADLINE).expect("a complaint");
    assert!(complaint.starts_with(&expected), "{complaint}");
    stranger.udp.send_to(&stream(1, &[aside(12, 1, 0, "")]), at).expect("sent");
    bob.expect_complaint("reactor-chat-client: the server answers again");
}

#[test]
fn c5_deaf_address_is_carried() {
    let test = "c5_deaf_address_is_carried";
    let deaf = "nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }; \
                add rule inet t i ip6 daddr fd99::1 udp dport 9002 drop'";
    let setup = format!("{DEAD_END} && {deaf}");
    in_user_namespace(test, "a host with a deaf address", &setup, || {
        let options = ["--bind", "10.9.0.1", "--bind", "fd99::1"];
        let server = Server::start_at("9001", "9002", &options);
        let etc = Etc::new(test, "fd99::1 chat.test\n10.9.0.1 chat.test\n");
        let mut ann = etc.client(&server, &["create", "r1", "ann"]);
        ann.say("hi\n");
        ann.expect_complaint(&carried_now("[fd99::1]:9002".parse().expect("an address")));
        ann.expect("* ann joined");
        ann.expect("ann: hi");
    });
}
