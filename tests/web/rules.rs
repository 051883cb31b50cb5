//! Peers, hosts and pages that may use the server (H3, H5).

use crate::support::encrypted::{Encrypted, Folder};
use crate::support::http::*;
use crate::support::namespace::in_user_namespace;
use crate::support::*;

const FIGURES: [&str; 5] = ["/loop", "/loop.json", "/metrics", "/healthz", "/events"];

/// Returns a request for this host, which ends the connection.
fn for_host(path: &str, host: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n").into_bytes()
}

/// Sends a request on a connection of its own, and returns the status.
fn head_status(server: &Server, request: &[u8]) -> u16 {
    let mut connection = Control::connect(server);
    connection.send(request);
    Response::read_head(&mut connection.stream()).status
}

#[test]
fn h3_forwarded_peers_are_elsewhere() {
    let server = Server::start(&[]);
    for path in FIGURES {
        assert_eq!(head_status(&server, &get(path, "")), 200, "{path}");
        for field in ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 127.0.0.1", "x-forwarded-for:"]
        {
            let request = get(path, &format!("{field}\r\n"));
            assert_eq!(head_status(&server, &request), 403, "{path} {field}");
        }
    }
    assert_eq!(head_status(&server, &get("/", "X-Forwarded-For: 192.0.2.1\r\n")), 200);
}

#[test]
fn h3_figures_need_a_subnet() {
    let setup = "ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip addr add 2001:db8::1/64 dev lo nodad";
    in_user_namespace("h3_figures_need_a_subnet", "peers of other networks", setup, || {
        let both = ["--bind", "0.0.0.0", "--bind", "::"];
        let closed = Server::start(&both);
        let open =
            [&both[..], &["--status-from", "192.0.2.0/24", "--status-from", "2001:db8::/32"]];
        let open = Server::start(&open.concat());
        for path in FIGURES {
            for ip in ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"] {
                let ip: std::net::IpAddr = ip.parse().expect("an address");
                for (server, status) in
                    [(&closed, if ip.is_loopback() { 200 } else { 403 }), (&open, 200)]
                {
                    let port = server.addresses[usize::from(ip.is_ipv6())].0.port();
                    let mut connection = Control::connect_to((ip, port).into());
                    connection.send(&get(path, ""));
                    let head = Response::read_head(&mut connection.stream());
                    assert_eq!(head.status, status, "{path} from {ip}");
                }
            }
        }
    });
}

#[test]
fn h5_foreign_host_is_421() {
    let server = Server::start(&[]);
    for path in ["/", "/chat", "/webtransport.json", "/metrics", "/nothing"] {
        for host in
            ["evil.example", "evil.example:9001", "localhost.evil.example", "127.0.0.1.nip.io"]
        {
            let response = response_to(&server, &for_host(path, host, ""));
            assert_eq!(response.status, 421, "{path} {host}");
            let name = host.split(':').next().expect("a name");
            assert!(response.text().contains(&format!("--allow-host {name}\n")), "{host}");
        }
    }
}

#[test]
fn h5_own_hosts_are_served() {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("hostname(7)");
    let server = Server::start(&["--allow-host", "chat.example.org"]);
    for host in [
        "localhost",
        "LocalHost:9001",
        "127.0.0.1",
        "192.0.2.1:80",
        "[::1]:9001",
        "[2001:db8::1]",
        "chat.example.org:8443",
        own.trim(),
    ] {
        assert_eq!(status_of(&server, &for_host("/", host, "")), 200, "{host}");
    }
    let whole = b"GET http://chat.example.org/ HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(status_of(&server, whole), 200, "the target comes before Host");
    let whole = b"GET http://evil.example/ HTTP/1.1\r\nHost: chat.example.org\r\n\r\n";
    assert_eq!(status_of(&server, whole), 421);
}

#[test]
fn h5_certified_names_are_served() {
    let folder = Folder::new("h5-names");
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = ["chat.example.org".into(), "*.lan.example".into()];
    let certificate = rcgen::CertificateParams::new(names).expect("names").self_signed(&key);
    std::fs::write(folder.path("cert.pem"), certificate.expect("one").pem()).expect("a file");
    std::fs::write(folder.path("key.pem"), key.serialize_pem()).expect("a file");
    let files = ["--cert", &folder.path("cert.pem"), "--key", &folder.path("key.pem")];
    let server = Server::start(&files);
    for (host, status) in [
        ("chat.example.org", 200),
        ("box.lan.example:9001", 200),
        ("lan.example", 421),
        ("example.org", 421),
    ] {
        let mut encrypted = Encrypted::connect(&server);
        encrypted.send(&for_host("/", host, ""));
        assert_eq!(Response::read(&mut encrypted).status, status, "{host}");
    }
    let found = response_to(&server, &get("/webtransport.json", ""));
    assert!(found.text().ends_with("\"hashes\":[]}"), "{}", found.text());
}

#[test]
fn h5_foreign_origin_is_403() {
    let server = Server::start(&["--allow-origin", "https://chat.example.org"]);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, fields, status) in [("/", "", 200), ("/metrics", "", 200), ("/chat", upgrade, 101)] {
        for (origin, allowed) in [
            ("http://localhost", true),
            ("https://localhost", true),
            ("https://chat.example.org", true),
            ("http://chat.example.org", false),
            ("http://localhost:9001", false),
            ("http://evil.example", false),
            ("null", false),
            ("", false),
            ("\u{e9}", false),
        ] {
            let request = get(path, &format!("{fields}Origin: {origin}\r\n"));
            let expected = if allowed { status } else { 403 };
            assert_eq!(head_status(&server, &request), expected, "{path} {origin:?}");
        }
        assert_eq!(head_status(&server, &get(path, fields)), status, "no browser");
    }
}

#[test]
fn h5_upgrade_is_checked() {
    let server = Server::start(&[]);
    let good = [
        "Connection: keep-alive, Upgrade\r\n",
        "Upgrade: WebSocket\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ];
    let mut connection = Control::connect(&server);
    connection.send(&get("/chat", &good.concat()));
    let accepted = Response::read_head(&mut connection.stream());
    let accept = accepted.field("sec-websocket-accept");
    assert_eq!((accepted.status, accept), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    for (index, bad, status) in [
        (0, "", 426),
        (1, "", 426),
        (2, "Sec-WebSocket-Version: 12\r\n", 426),
        (2, "", 426),
        (3, "", 400),
        (3, "Sec-WebSocket-Key: c2hvcnQ=\r\n", 400),
        (3, "Sec-WebSocket-Key: not base64, at all!!!!!!\r\n", 400),
    ] {
        let mut fields = good;
        fields[index] = bad;
        let response = response_to(&server, &get("/chat", &fields.concat()));
        assert_eq!(response.status, status, "{bad}");
        let version = response.field("sec-websocket-version");
        assert_eq!(version, (status == 426).then_some("13"));
    }
}
