//! The README and its companions say what happens.

mod support;

use std::collections::HashMap;
use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::namespace::{in_user_namespace, run, skip};
use support::sources::sources;
use support::*;

/// The README and its companions, which stand beside the code that they describe.
const PAGES: &[&str] = &[
    "README.md",
    "src/bin/reactor-chat-client/MANUAL.md",
    "src/config/OPERATING.md",
    "src/protocol/PROTOCOL.md",
    "benches/README.md",
    "tests/README.md",
];

/// Returns the text of all pages.
fn pages() -> String {
    PAGES.iter().map(|path| page(path)).collect()
}

fn page(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(top.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Bytes of a datagram of a stream before its entries.
const STREAM_HEADER: usize = 12;

/// Returns the fenced block that begins with these words on the fence or in its first line.
fn block(beginning: &str) -> String {
    let text = pages();
    let found = text.split("```").skip(1).step_by(2).find(|block| {
        block.starts_with(beginning)
            || block.split_once('\n').is_some_and(|(_, body)| body.starts_with(beginning))
    });
    let block = found.unwrap_or_else(|| panic!("no block {beginning:?} in any page"));
    block.split_once('\n').expect("a body").1.into()
}

#[test]
fn the_options_are_those_of_the_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_reactor-chat")).arg("--help").output();
    let help = String::from_utf8(output.expect("the built server").stdout).expect("UTF-8");
    assert_eq!(block("Usage: reactor-chat ["), help);
}

#[cfg(feature = "client")]
#[test]
fn the_clients_options_are_those_of_the_program() {
    let output = support::program::bare_client(&["--help"]).output().expect("the built client");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(block("Usage: reactor-chat-client ["), help);
}

#[test]
fn field_j_the_unit_survives_a_boot_without_network() {
    let unit = block("[Unit]");
    let keys = ["Wants=network-online.target", "After=network-online.target"];
    let tries = ["StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=2"];
    for key in keys.iter().chain(&tries) {
        assert!(unit.lines().any(|line| line == *key), "{key}");
    }
}

#[test]
fn field_h_the_firewall_rules_open_the_ports() {
    let closed = "nft 'add table inet filter; \
        add chain inet filter input { type filter hook input priority filter; policy drop; }; \
        add rule inet filter input ct state established accept; add rule inet filter input reject'";
    in_user_namespace(
        "field_h_the_firewall_rules_open_the_ports",
        "the README's firewall rules",
        &format!("ip link set lo up && {closed} && nft flush ruleset"),
        || {
            let server = Server::start_at("9001", "9002", &[]);
            let rules = block("nft add table");
            // Where nobody has made the table.
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
fn field_h_the_unit_is_one_for_systemd() {
    let unit =
        block("[Unit]").replace("/usr/local/bin/reactor-chat", env!("CARGO_BIN_EXE_reactor-chat"));
    let path = std::env::temp_dir().join(format!("reactor-chat-{}.service", std::process::id()));
    fs::write(&path, unit).expect("a file");
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output();
    fs::remove_file(&path).expect("removed");
    let Ok(output) = output else {
        return skip("the README's unit", "no systemd-analyze(1)");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // Other units of this machine may have faults of their own.
    let name = path.file_name().expect("a name").to_string_lossy();
    let faults: Vec<&str> = said.lines().filter(|line| line.contains(&*name)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn the_set_up_is_two_commands() {
    let commands: Vec<String> = page("README.md")
        .split("```sh\n")
        .skip(1)
        .take(2)
        .map(|rest| first_line(rest).into())
        .collect();
    assert_eq!(commands, ["cargo run --release", "cargo test"]);
}

#[test]
fn the_last_words_are_those_that_end_a_membership() {
    let text = pages();
    let table = text.split_once("| | `--lang en` | `--lang ja` |").expect("the table").1;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let words = rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2));
    assert_eq!(words.clone().count(), 8);
    for words in words {
        assert!(reactor_chat::protocol::notice::ends_membership(words), "{words}");
    }
}

#[test]
fn the_tests_that_hold_the_promises_are_there() {
    let text = pages();
    let table = text.split_once("| promise | a test that holds it |").expect("the table").1;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10);
    let code: String =
        sources("src").into_iter().chain(sources("tests")).map(|source| source.text).collect();
    for row in rows {
        let name = row.rsplit('`').nth(1).expect("a name");
        assert!(code.contains(&format!("fn {name}()")), "no test {name}");
    }
}

/// Plays the exchange of the README against a real server, byte by byte.
#[test]
fn the_exchange_happens_as_it_is_written() {
    play(&block("exchange"));
}

/// The same for the one with stream delivery.
#[test]
fn the_exchange_with_stream_delivery_happens_as_it_is_written() {
    play(&block("stream"));
}

fn play(script: &str) {
    let server = Server::start(&[]);
    let mut people: HashMap<String, Person> = HashMap::new();
    assert!(script.lines().count() > 10);
    for line in script.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, transport, direction, ..] = words[..] else { panic!("{line}") };
        let bytes = line.split_once(direction).expect("what follows").1;
        let person = people.entry(name.into()).or_insert_with(|| Person::new(&server));
        person.step(transport, direction, bytes, &server, line);
    }
}

/// One side of the exchange, with what it has of the token by now.
struct Person {
    control: Control,
    socket: UdpSocket,
    token: Option<Vec<u8>>,
    tag: Option<[u8; 4]>,
}

impl Person {
    fn new(server: &Server) -> Self {
        let control = Control::connect(server);
        let socket = UdpSocket::bind((control.local_ip(), 0)).expect("a free port");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { control, socket, token: None, tag: None }
    }

    fn step(&mut self, transport: &str, way: &str, text: &str, server: &Server, line: &str) {
        match (transport, way) {
            ("tcp", ">") => self.control.send(&self.bytes_of(text)),
            ("udp", ">") => {
                let sent = self.socket.send_to(&self.bytes_of(text), server.udp);
                sent.expect("sent");
            }
            ("tcp", "<") if text.trim() == "COMPLETION" => self.expect_completion(),
            ("tcp", "<") => self.expect_frame(text, line),
            ("udp", "<") => {
                let bytes = self.hear(line);
                assert_eq!(bytes, self.bytes_of(text), "{line}");
            }
            _ => panic!("{line}"),
        }
    }

    /// The next datagram; those that only say which number comes next depend on the time.
    fn hear(&self, line: &str) -> Vec<u8> {
        let mut buffer = [0; 5000];
        loop {
            let size = self.socket.recv(&mut buffer).expect(line);
            if self.tag.is_none() || size > STREAM_HEADER {
                return buffer[..size].into();
            }
        }
    }

    /// The completion of a stream: every key that the README names, and no other.
    fn expect_completion(&mut self) {
        let completion: serde_json::Value =
            serde_json::from_slice(&self.control.expect_reply().payload).expect("JSON");
        let keys: Vec<&String> = completion.as_object().expect("an object").keys().collect();
        let text = pages();
        let table = text.split_once("The completion's payload").expect("the table").1;
        let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
        let mut named: Vec<&str> = rows
            .take_while(|line| line.starts_with('|'))
            .filter_map(|row| row.split('`').nth(1))
            .collect();
        named.sort_unstable();
        assert_eq!(keys, named);
        self.token = completion["token"].as_str().map(|token| token.as_bytes().into());
        let tag = completion["tag"].as_u64().and_then(|tag| u32::try_from(tag).ok());
        self.tag = tag.map(u32::to_be_bytes);
    }

    fn expect_frame(&mut self, text: &str, line: &str) {
        let reply = self.control.expect_reply();
        if reply.state == 2 {
            self.token = Some(reply.payload.clone());
        }
        let room = str::from_utf8(&reply.room).expect("UTF-8");
        let mut bytes = frame(reply.operation, room, &reply.payload);
        bytes[2] = reply.state;
        assert_eq!(bytes, self.bytes_of(text), "{line}");
    }

    /// Hex bytes, quoted text, `0*N` for N zero bytes, and a name in capitals for its token,
    /// TAG for the tag.
    fn bytes_of(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (word, after) = match rest.strip_prefix('"') {
                // A quoted text ends at a quote with a blank or nothing behind it.
                Some(quoted) => {
                    quoted.split_once("\" ").unwrap_or((quoted.trim_end_matches('"'), ""))
                }
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            match word.split_once('*') {
                _ if rest.starts_with('"') => bytes.extend_from_slice(word.as_bytes()),
                _ if word == "TAG" => bytes.extend(self.tag.expect("a tag by now")),
                Some(("0", count)) => bytes.resize(bytes.len() + number(count), 0),
                _ if word.chars().all(|c| c.is_ascii_uppercase()) && word.len() > 2 => {
                    bytes.extend_from_slice(self.token.as_ref().expect("a token by now"));
                }
                _ => bytes.push(u8::from_str_radix(word, 16).expect("a hex byte")),
            }
            rest = after.trim_start();
        }
        bytes
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
