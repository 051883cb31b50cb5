//! The files and commands of VPS.md, in the programs that read them: systemd, nft(8), sh(1) and Python
//! for the filter of fail2ban.

mod support;

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
#[cfg(feature = "tls")]
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use support::namespace::{in_user_namespace, run, skip_outside_ci};
use support::pages::{block, page};
use support::*;

use reactor_chat::address::PeerAddr;
use reactor_chat::alert::Alert;

/// Names of the units, as the pages have them.
const UNIT: &str = "reactor-chat.service";
const SOCKETS: &str = "reactor-chat.socket";

/// The exposure of the unit's file that systemd-analyze(1) may find at most, in tenths. VPS.md has the
/// figure of systemd 252, which is 1.4. Newer versions rate more settings.
const MAX_EXPOSURE: u32 = 16;

/// A directory of this test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("reactor-chat-{test}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes the unit of VPS.md with the program and the options of this build.
    fn write_unit(&self) -> PathBuf {
        let options = self.0.join("options");
        fs::write(&options, block("options")).expect("a file");
        let unit = block("[Unit]")
            .replace("/usr/local/bin/reactor-chat", env!("CARGO_BIN_EXE_reactor-chat"))
            .replace("/etc/default/reactor-chat", &options.display().to_string());
        let path = self.0.join(UNIT);
        fs::write(&path, unit).expect("a file");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A failed test has its own message.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command. Returns `None` and says so if the machine does not have it. The machines of CI have
/// all of them.
fn run_tool(command: &mut Command, what: &str) -> Option<Output> {
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let tool = command.get_program().to_string_lossy();
            skip_outside_ci(what, &format!("no {tool}"));
            None
        }
        output => Some(output.expect("a tool")),
    }
}

/// Returns the options of the machine with 1 GiB.
fn small_options() -> Vec<String> {
    let assignment = block("options").replace("\\\n", " ");
    let options = assignment.trim().strip_prefix("OPTIONS=\"").expect("the variable");
    let options = options.strip_suffix('"').expect("the end of the options");
    options.split_whitespace().map(String::from).collect()
}

#[test]
fn u5_small_machine_fits() {
    let options = small_options();
    // Other tests use the ports of wildcards.
    let limits: Vec<&str> = options.iter().map(String::as_str).skip(4).collect();
    assert!(limits[0].starts_with("--max-"), "{options:?}");
    let line = Server::start(&limits).expect_log("limits: memory ");
    // Without QUIC, connections need less memory.
    if !cfg!(feature = "webtransport") {
        return;
    }
    let (_, memory) = line.split_once("memory ").expect("the memory");
    let (memory, _) = memory.split_once(',').expect("its end");
    let vps = page("src/config/VPS.md").prose();
    assert!(vps.contains(&format!("takes {memory} at most")), "{memory}");
    assert!(page("src/config/OPERATING.md").prose().contains(memory), "{memory}");

    let bound: u64 = memory.trim_end_matches(" MiB").parse().expect("a number");
    let unit = block("[Unit]");
    let (_, max) = unit.split_once("MemoryMax=").expect("the limit of the unit");
    let max: u64 = max.split('M').next().expect("MiB").parse().expect("a number");
    // 800 connections have 64 KiB of kernel buffers each.
    assert!(bound + 50 <= max && max <= 640, "{bound} {max}");
}

#[test]
fn field_j_unit_survives_a_boot_without_network() {
    let unit = block("[Unit]");
    let keys = ["Wants=network-online.target", "After=network-online.target"];
    let tries = ["StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=2"];
    for key in keys.iter().chain(&tries) {
        assert!(unit.lines().any(|line| line == *key), "{key}");
    }
}

#[test]
fn field_h_firewall_rules_open_the_ports() {
    let closed = "nft 'add table inet filter; \
        add chain inet filter input { type filter hook input priority filter; policy drop; }; \
        add rule inet filter input ct state established accept; add rule inet filter input reject'";
    in_user_namespace(
        "field_h_firewall_rules_open_the_ports",
        "the firewall rules of VPS.md",
        &format!("ip link set lo up && {closed} && nft flush ruleset"),
        || {
            let server = Server::start_at("9001", "9002", &[]);
            let rules = block("nft add table");
            // The rules also work where the table does not exist yet.
            run(&rules);
            run("nft flush ruleset");
            run(closed);
            // The answer of `reject` is rejected too: nothing comes back.
            let short = Duration::from_millis(300);
            TcpStream::connect_timeout(&server.tcp, short).expect_err("closed");
            run(&rules);
            let (alice, bob) = alice_and_bob(&server);
            alice.say("hi");
            bob.expect("alice: hi");
        },
    );
}

#[test]
fn u5_whole_ruleset_works() {
    in_user_namespace(
        "u5_whole_ruleset_works",
        "the nftables.conf of VPS.md",
        "ip link set lo up && nft add table inet filter && nft flush ruleset",
        || {
            // Loopback is open in it. Here it stands for the network.
            let rules = block("nft").replace("        iif lo accept\n", "");
            let server = Server::start_at("9001", "9002", &[]);
            let load = |rules: &str| run(&format!("nft -f - <<'END'\n{rules}END\n"));
            load(&rules.replace(", 9001", ""));
            let short = Duration::from_millis(300);
            TcpStream::connect_timeout(&server.tcp, short).expect_err("closed");
            load(&rules);
            let (alice, bob) = alice_and_bob(&server);
            alice.say("hi");
            bob.expect("alice: hi");
        },
    );
}

#[test]
fn u5_systemd_accepts_the_units() {
    let directory = Directory::new("verify");
    let path = directory.write_unit();
    fs::write(directory.path(SOCKETS), block("[Unit]\nDescription=Sockets")).expect("a file");
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").arg(&path).arg(directory.path(SOCKETS));
    let Some(output) = run_tool(&mut command, "the units of VPS.md") else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    // systemd-analyze also reports faults of other units of this machine.
    let is_ours = |line: &&str| [UNIT, SOCKETS].iter().any(|unit| line.contains(unit));
    let faults: Vec<&str> = said.lines().filter(is_ours).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn u5_exposure_is_low() {
    let directory = Directory::new("exposure");
    let path = directory.write_unit();
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]);
    let Some(output) = run_tool(command.arg(&path), "the exposure of the unit") else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, figure) = said.split_once("Overall exposure level for ").expect("an exposure");
    let figure = figure.split_whitespace().nth(1).expect("a figure");
    let tenths: u32 = figure.replace('.', "").parse().expect("a number with one digit behind");
    assert!(tenths <= MAX_EXPOSURE, "{said}");
    assert!(tenths > 0, "a unit that may do nothing cannot serve: {said}");
}

/// Makes a certificate as an authority would. Returns false and says so without openssl(1).
#[cfg(feature = "tls")]
fn write_certificate(directory: &str) -> bool {
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "90", "-subj", "/CN=chat.example.org"])
        .arg("-keyout")
        .arg(format!("{directory}/privkey.pem"))
        .arg("-out")
        .arg(format!("{directory}/fullchain.pem"));
    run_tool(&mut command, "the hook of VPS.md").is_some_and(|output| output.status.success())
}

/// Runs the hook of VPS.md in a directory, for the certificate in `lineage`. In place of systemd the
/// shell runs `reload`.
#[cfg(feature = "tls")]
fn run_hook(directory: &Directory, lineage: &str, reload: &str) {
    let hook = block("hook")
        .replace("/etc/letsencrypt/live/chat.example.org", &directory.path("live"))
        .replace("/etc/reactor-chat", &directory.path("copies"))
        .replace(" -o reactor-chat", "")
        .replace("systemctl reload reactor-chat", reload);
    let mut command = Command::new("sh");
    let status = command.args(["-c", &hook]).env("RENEWED_LINEAGE", directory.path(lineage));
    assert!(status.status().expect("sh(1)").success(), "{hook}");
}

#[test]
#[cfg(feature = "tls")]
fn u8_hook_renews_the_certificate() {
    let directory = Directory::new("hook");
    fs::create_dir(directory.path("live")).expect("a directory");
    if !write_certificate(&directory.path("live")) {
        return;
    }
    run_hook(&directory, "live", "true");
    let files = [directory.path("copies/cert.pem"), directory.path("copies/key.pem")];
    let mode = fs::metadata(&files[1]).expect("a copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    let server = Server::start(&["--cert", &files[0], "--key", &files[1]]);
    assert!(write_certificate(&directory.path("live")));
    let hang_up = format!("kill -s HUP {}", server.pid());
    run_hook(&directory, "live", &hang_up);
    let line = server.expect_log("SIGHUP: certificate and key are read, key ");
    assert!(!line.contains(server.key()), "another key: {line}");
    // Hooks run for all certificates of the machine.
    run_hook(&directory, "other", "false");
}

#[test]
fn u5_filter_matches_the_log_only() {
    let filter = block("[Definition]");
    let (_, pattern) = filter.split_once("failregex = ").expect("a pattern");
    let pattern = pattern.lines().next().expect("a line").replace("<ADDR>", r"(\S+)");
    let peer = [192, 0, 2, 7].into();
    let program = "import re, sys; print([bool(re.search(sys.argv[1], x)) for x in sys.argv[2:]])";
    let lines = [
        // As fail2ban reads the journal, and a file.
        format!("vm reactor-chat[9]: {}", Alert::WrongPasswords.line(peer, 6)),
        format!("[2026-11-22T15:07:29Z WARN ] {}", Alert::WrongPasswords.line(peer, 6)),
        Alert::WrongPasswords.line(PeerAddr::of_user(1000), 6),
        Alert::WrongPassword.line(peer, 1),
        Alert::Unheard.line(peer, 1),
    ];
    let mut command = Command::new("python3");
    command.args(["-c", program, &pattern]).args(lines);
    let Some(output) = run_tool(&mut command, "the filter of VPS.md") else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[True, True, False, False, False]");
}
