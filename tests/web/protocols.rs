//! HTTP beside TCRP on one port, in cleartext, inside TLS and on Unix sockets (H1).

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::encrypted::Encrypted;
use crate::support::http::*;
use crate::support::unix::UnixServer;
use crate::support::*;

/// The status of TCRP for bytes that are no frame.
const MALFORMED: u8 = 9;

#[test]
fn h1_port_speaks_both() {
    let server = Server::start(&[]);
    let mut tcrp = Control::connect(&server);
    tcrp.enter(CREATE, "lobby", br#"{"username":"ann","password":""}"#);
    assert_eq!(status_of(&server, &get("/", "")), 200);
    assert_eq!(tcrp.status_of(LIST, "", b""), 0);
}

#[test]
fn h1_tls_carries_http() {
    let server = Server::start(&[]);
    let mut encrypted = Encrypted::connect(&server);
    encrypted.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut encrypted).text(), "ok\n");
    encrypted.send(&get("/", "Connection: close\r\n"));
    assert_eq!(Response::read(&mut encrypted).status, 200);
    assert_eq!(encrypted.read(&mut [0; 64]).expect("an end mark"), 0);
}

#[test]
fn h1_unix_socket_has_the_page() {
    let server = UnixServer::start(&[]);
    let mut connection = server.connect();
    connection.send(&get("/", ""));
    let page = Response::read(&mut connection.stream());
    assert_eq!(page.status, 200);
    connection.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut connection.stream()).status, 200, "a user of this machine");
    connection.send(&get("/webtransport.json", ""));
    assert_eq!(Response::read(&mut connection.stream()).status, 404, "no UDP");
}

#[test]
fn h1_first_bytes_one_by_one() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    for byte in get("/healthz", "") {
        connection.send(&[byte]);
    }
    assert_eq!(Response::read(&mut connection.stream()).status, 200);
}

#[test]
fn h1_web_off_is_tcrp_alone() {
    let server = Server::start(&["--web", "off"]);
    let mut connection = Control::connect(&server);
    connection.send(&get("/", ""));
    assert_eq!(connection.expect_status(), MALFORMED);
}

#[test]
fn h1_required_tls_redirects() {
    let server = Server::start(&["--tls", "required"]);
    let response = response_to(&server, &get("/loop?x", ""));
    assert_eq!(
        (response.status, response.field("location")),
        (307, Some("https://localhost/loop?x"))
    );
    let mut encrypted = Encrypted::connect(&server);
    encrypted.send(&get("/", ""));
    assert_eq!(Response::read(&mut encrypted).status, 200);
}

#[test]
fn h1_start_prints_the_page() {
    for (options, scheme) in [
        (&["--bind", "0.0.0.0"][..], Some("http://127.0.0.1:")),
        (&["--bind", "::1"], Some("http://[::1]:")),
        (&["--tls", "required"], Some("https://127.0.0.1:")),
        (&["--web", "off"], None),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", "0", "--udp-port", "0"]).args(options);
        command.env(STATE_DIRECTORY, env!("CARGO_TARGET_TMPDIR"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the built server");
        let lines = lines_of(child.stdout.take().expect("piped"));
        let first = lines.recv_timeout(DEADLINE).expect("an address");
        assert!(first.starts_with("listening on tcp "), "{first}");
        let second = scheme.map(|_| lines.recv_timeout(DEADLINE).expect("a page"));
        child.kill().expect("a child");
        child.wait().expect("its end");
        let port = first.split(' ').nth(3).and_then(|address| address.rsplit(':').next());
        let page = scheme.zip(port).map(|(scheme, port)| format!("web page {scheme}{port}/"));
        assert_eq!((second, lines.recv().ok()), (page, None));
    }
}
