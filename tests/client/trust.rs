//! The trust of the client in a server: keys that it knows, asks for or refuses (E12). Most of it
//! happens on addresses that are not loopback, in a namespace.

mod without_tls;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};

use crate::support::namespace::in_user_namespace;
use crate::support::program::*;
use crate::support::pty::*;
use crate::support::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The address of the servers, which is not loopback.
const IP: &str = "10.9.0.1";

const ADDRESSES: &str = "ip link set lo up && ip address add 10.9.0.1/32 dev lo";

const STATE_HOME: &str = "XDG_STATE_HOME";
/// The fingerprint of no server.
const OTHER: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

const JOIN_R1: [&str; 3] = ["join", "r1", "bob"];

fn elsewhere(test: &str, body: impl FnOnce(&Home)) {
    in_user_namespace(test, "the trust in a server elsewhere", ADDRESSES, || {
        body(&Home::new(test));
    });
}

/// The directory of one test, which has the user's known_hosts.
struct Home(PathBuf);

impl Home {
    fn new(test: &str) -> Self {
        let name = format!("reactor-chat-{test}-{}", process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn known_hosts(&self) -> PathBuf {
        self.0.join("reactor-chat/known_hosts")
    }

    /// Returns the hosts and the keys of known_hosts.
    fn pins(&self) -> Vec<String> {
        let text = fs::read_to_string(self.known_hosts()).unwrap_or_default();
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let pins = lines.filter(|words| words.len() == 3);
        pins.map(|words| format!("{} {}", words[0], words[2])).collect()
    }

    /// Writes a comment and the key of a server into known_hosts.
    fn keep(&self, tcp: SocketAddr, key: &str) {
        let path = self.known_hosts();
        fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        fs::write(path, format!("# mine\n{} {} {key}\n", tcp.ip(), tcp.port())).expect("written");
    }

    /// A client of this user.
    fn client(&self, server: &Server, args: &[&str]) -> Command {
        let mut command = client(server.tcp, server.udp, args);
        command.env(STATE_HOME, &self.0).env_remove("REACTOR_CHAT_FINGERPRINT");
        command
    }

    fn run(&self, server: &Server, args: &[&str]) -> Output {
        self.client(server, args).output().expect("the built client")
    }

    /// Bob at a terminal.
    fn bob(&self, server: &Server) -> Terminal {
        self.terminal(server, &JOIN_R1)
    }

    fn terminal(&self, server: &Server, args: &[&str]) -> Terminal {
        let home = self.0.to_str().expect("UTF-8");
        Terminal::spawn(&self.client(server, args), USUAL, &[(STATE_HOME, home)])
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // It may not exist.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(options: &[&str]) -> Server {
    Server::start(&[&["--bind", IP], options].concat())
}

/// A server at these ports with a key of its own, which it stores in this directory.
fn server_with_key(ports: (u16, u16), directory: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
    let (tcp, udp) = (ports.0.to_string(), ports.1.to_string());
    command.args(["--bind", IP, "--tcp-port", &tcp, "--udp-port", &udp]);
    fs::create_dir_all(directory).expect("a directory");
    command.env(STATE_DIRECTORY, directory);
    Server::spawn(command, 1)
}

fn place(server: &Server) -> String {
    format!("{} port {}", server.tcp.ip(), server.tcp.port())
}

/// Expects a refusal that has these words, without a word to the server.
#[track_caller]
fn expect_refusal(output: &Output, parts: &[&str]) {
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(parts.iter().all(|part| why.contains(part)), "{why}");
    assert_eq!((output.status.code(), why.lines().count()), (Some(1), 1), "{why}");
    assert!(output.stdout.is_empty());
}

#[test]
fn e12_pipe_needs_a_fingerprint() {
    elsewhere("e12_pipe_needs_a_fingerprint", |home| {
        let server = start(&[]);
        let (key, place) = (server.key(), place(&server));
        for args in [&["list"][..], &JOIN_R1] {
            let unknown = home.run(&server, args);
            let parts =
                [&*place, "is new here", key, "--fingerprint or in REACTOR_CHAT_FINGERPRINT"];
            expect_refusal(&unknown, &parts);
        }
        let with = |key| home.run(&server, &["--fingerprint", key, "create", "r1", "ann"]);
        let named = with(key);
        assert!(named.status.success(), "{named:?}");
        let wrong = with(OTHER);
        expect_refusal(&wrong, &[&place, key, "not the given one", "check --fingerprint"]);
        let mut in_environment = home.client(&server, &["list"]);
        in_environment.env("REACTOR_CHAT_FINGERPRINT", key);
        assert!(in_environment.status().expect("the built client").success());
        in_environment.env("REACTOR_CHAT_FINGERPRINT", OTHER);
        assert_eq!(in_environment.status().expect("the built client").code(), Some(1));
        assert_eq!(home.pins(), Vec::<String>::new());
    });
}

#[test]
fn e12_terminal_asks_once() {
    elsewhere("e12_terminal_asks_once", |home| {
        let server = start(&[]);
        let ann = ann(&server);
        let (key, place) = (server.key(), place(&server));
        let question = [
            format!("The server at {place} is new here. Its fingerprint:"),
            format!("  {key}"),
            "The server prints it when it starts. Trust this key from now on? [y/N]".into(),
        ];
        let question = question.each_ref().map(String::as_str);
        for no in ["\r", "n\r", "maybe\r", CTRL_D] {
            let mut bob = home.bob(&server);
            bob.expect(&question);
            bob.keys(no);
            bob.expect_end(1);
            bob.expect_row(&format!(
                "reactor-chat-client: the key of the server at {place} is not"
            ));
        }
        assert_eq!(home.pins(), Vec::<String>::new());
        let mut bob = home.bob(&server);
        bob.expect(&question);
        bob.keys("y\r");
        ann.expect("bob joined");
        let greeting = [
            "HH:MM         -- in r1 as bob, encrypted, with the server's key".into(),
            format!("                 {key}; /exit leaves"),
        ];
        let entered = ["HH:MM          * bob joined", ">"];
        let answered = format!("{} y", question[2]);
        let greeting = greeting.each_ref().map(String::as_str);
        bob.expect(&[&question[..2], &[&*answered, TODAY], &greeting, &entered].concat());
        assert_eq!(home.pins(), [format!("{IP} {key}")]);
        let mode = fs::metadata(home.known_hosts()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Known, and so in a pipe too.
        let list = home.run(&server, &["list"]);
        assert_eq!((list.status.code(), list.stderr.as_slice()), (Some(0), &b""[..]));
        let mut carol = home.terminal(&server, &["join", "r1", "carol"]);
        carol.expect_row("HH:MM         -- in r1 as carol, encrypted; /exit leaves");
    });
}

#[test]
fn e12_changed_key_is_an_error() {
    elsewhere("e12_changed_key_is_an_error", |home| {
        let server = start(&[]);
        home.keep(server.tcp, server.key());
        let (ports, old) = ((server.tcp.port(), server.udp.port()), server.key().to_owned());
        drop(server);
        let server = server_with_key(ports, &home.0.join("other"));
        let (place, file) = (place(&server), home.known_hosts().display().to_string());
        let remedy = format!("sed -i 2d {file}");
        let changed = home.run(&server, &["list"]);
        let parts = [&*place, "has another key than before: somebody may be reading along"];
        let how = [server.key(), &*format!("remove line 2 of {file} with: {remedy}")];
        expect_refusal(&changed, &[parts, how].concat());
        let mut bob = home.bob(&server);
        bob.expect_end(1);
        bob.expect_row(&format!("reactor-chat-client: the server at {place} has another key"));
        assert_eq!(home.pins(), [format!("{IP} {old}")]);
        assert!(Command::new("sh").args(["-c", &remedy]).status().expect("a shell").success());
        expect_refusal(&home.run(&server, &["list"]), &["is new here"]);
    });
}

/// Writes a certificate of an authority for this address into the directory. Returns the options of
/// the server.
fn certified(ip: &str, directory: &Path) -> [String; 4] {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new([]).expect("no name");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([ip.into()]).expect("an address");
    let issuer = Issuer::new(authority, authority_key);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    fs::create_dir_all(directory).expect("a directory");
    let write = |name: &str, pem: String| {
        let path = directory.join(name);
        fs::write(&path, pem).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    write("root.pem", root.pem());
    let [certificate, key] =
        [write("certificate.pem", certificate.pem()), write("key.pem", key.serialize_pem())];
    ["--cert".into(), certificate, "--key".into(), key]
}

#[test]
fn e12_vouched_certificate() {
    elsewhere("e12_vouched_certificate", |home| {
        let directory = home.0.join("certificate");
        let files = certified(IP, &directory);
        let server = start(&files.each_ref().map(String::as_str));
        expect_refusal(&home.run(&server, &["list"]), &["is new here"]);
        let list = || {
            let mut list = home.client(&server, &["list", "--json"]);
            let output = list.env("SSL_CERT_FILE", directory.join("root.pem")).output();
            output.expect("the built client")
        };
        expect_output(&list(), 0, "[]\n", "");
        assert_eq!(home.pins(), Vec::<String>::new());
        // The pin of another key is replaced, once.
        home.keep(server.tcp, OTHER);
        let why = "has a new key, and a certificate that the system trusts";
        let line = format!("reactor-chat-client: the server at {} {why}\n", place(&server));
        expect_output(&list(), 0, "[]\n", &line);
        assert_eq!(home.pins(), [format!("{IP} {}", server.key())]);
        expect_output(&list(), 0, "[]\n", "");
    });
}

/// A certificate for another name vouches for nothing.
#[test]
fn e12_vouched_for_another_name() {
    elsewhere("e12_vouched_for_another_name", |home| {
        let directory = home.0.join("certificate");
        let files = certified("10.9.0.2", &directory);
        let server = start(&files.each_ref().map(String::as_str));
        let mut list = home.client(&server, &["list"]);
        list.env("SSL_CERT_FILE", directory.join("root.pem"));
        expect_refusal(&list.output().expect("the built client"), &["is new here"]);
    });
}

#[test]
fn e12_insecure_says_so() {
    elsewhere("e12_insecure_says_so", |home| {
        let server = start(&[]);
        home.keep(server.tcp, OTHER);
        let list = home.run(&server, &["--insecure", "list", "--json"]);
        let (place, key) = (place(&server), server.key());
        let why = format!("nothing checks the key of {place} because of --insecure: {key}");
        expect_output(&list, 0, "[]\n", &format!("reactor-chat-client: {why}\n"));
        assert_eq!(home.pins(), [format!("{IP} {OTHER}")]);
    });
}

#[test]
fn e12_damaged_line_is_reported() {
    elsewhere("e12_damaged_line_is_reported", |home| {
        let server = start(&[]);
        home.keep(server.tcp, &format!("x\n{IP} {} {}", server.tcp.port(), server.key()));
        let file = home.known_hosts().display().to_string();
        let line = format!("reactor-chat-client: line 2 of {file} is damaged and skipped\n");
        expect_output(&home.run(&server, &["list", "--json"]), 0, "[]\n", &line);
    });
}

#[test]
fn e12_loopback_is_not_asked_for() {
    let (server, home) = (Server::start(&[]), Home::new("loopback"));
    expect_output(&home.run(&server, &["list", "--json"]), 0, "[]\n", "");
    assert_eq!(home.pins(), Vec::<String>::new());
    // A tunnel to a server that is known.
    home.keep(server.tcp, OTHER);
    expect_refusal(&home.run(&server, &["list"]), &["has another key than before"]);
}

#[test]
fn e9_client_restricts_its_room() {
    let server = Server::start(&[]);
    let ann = Talker::start(&server, &["--sealed-only", "create", "r1", "ann"]);
    ann.expect("* ann joined");
    let refused = run(&server, &["--plain", "join", "r1", "bob"]);
    expect_refusal(&refused, &["encrypted", "leave out --plain"]);
    assert!(run(&server, &JOIN_R1).status.success());
    ann.expect("* bob joined");
}

/// Marks stand in the answer for everyone as long as somebody is encrypted.
#[test]
fn e12_who_marks_cleartext() {
    let server = Server::start(&[]);
    let mut ann = Talker::start(&server, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let mut bob = Talker::start(&server, &["--plain", "join", "r1", "bob"]);
    ann.expect("* bob joined");
    for talker in [&mut ann, &mut bob] {
        talker.say("/who\n");
        talker.lines_up_to("* ann (host), bob (unencrypted)");
    }
}

#[test]
fn e3_required_refuses_cleartext() {
    let server = Server::start(&["--tls", "required"]);
    let output = run(&server, &["--plain", "create", "r1", "ann"]);
    expect_refusal(&output, &["encrypted", "leave out --plain"]);
    assert!(run(&server, &["create", "r1", "ann"]).status.success());
}
