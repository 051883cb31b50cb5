//! The paths, and what is served there (H2).

use std::io::Read;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;

use crate::support::http::*;
use crate::support::*;

const PAGES: [&str; 2] = ["/", "/loop"];

#[test]
fn h2_paths_have_their_types() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/?x=1", "text/html; charset=utf-8"),
        ("/loop", "text/html; charset=utf-8"),
        ("/loop.json", "application/json"),
        ("/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/webtransport.json", "application/json"),
    ] {
        connection.send(&get(path, ""));
        let response = Response::read(&mut connection.stream());
        assert_eq!((response.status, response.field("content-type")), (200, Some(content_type)));
        assert!(!response.content.is_empty(), "{path}");
    }
    for path in ["/index.html", "//", "/LOOP", "/loop/", "/../etc/passwd", "/favicon.ico"] {
        connection.send(&get(path, ""));
        assert_eq!(Response::read(&mut connection.stream()).status, 404, "{path}");
    }
}

#[test]
fn h2_head_has_no_content() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    for path in ["/", "/loop", "/healthz", "/metrics", "/nothing"] {
        connection.send(&get(path, ""));
        let whole = Response::read(&mut connection.stream());
        connection.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let head = Response::read_head(&mut connection.stream());
        assert_eq!((head.status, head.field("etag")), (whole.status, whole.field("etag")));
        if path != "/metrics" {
            assert_eq!(head.fields, whole.fields, "{path}");
        }
    }
}

#[test]
fn h2_page_is_sent_once() {
    let server = Server::start(&[]);
    for path in PAGES {
        let page = response_to(&server, &get(path, ""));
        let etag = page.field("etag").expect("a tag");
        assert_eq!(page.field("cache-control"), Some("no-cache"));
        let strong = etag.trim_start_matches("W/");
        for tags in [etag.into(), strong.into(), "*".into(), format!("\"other\", {etag}")] {
            let again = response_to(&server, &get(path, &format!("If-None-Match: {tags}\r\n")));
            assert_eq!((again.status, again.field("etag")), (304, Some(etag)), "{tags}");
            assert_eq!((again.field("content-length"), again.content.len()), (None, 0));
        }
        let changed = response_to(&server, &get(path, "If-None-Match: \"other\"\r\n"));
        assert_eq!((changed.status, changed.content), (200, page.content));
    }
}

#[test]
fn h2_gzip_where_accepted() {
    let server = Server::start(&[]);
    let page = response_to(&server, &get("/", ""));
    for (accepted, is_gzip) in [
        ("gzip", true),
        ("br, GZIP;q=0.5", true),
        ("*", true),
        ("deflate, br", false),
        ("gzip;q=0", false),
        ("gzip;q=0.000, *", false),
        ("*;q=0", false),
        ("identity", false),
    ] {
        let request = get("/", &format!("Accept-Encoding: {accepted}\r\n"));
        let response = response_to(&server, &request);
        let encoding = response.field("content-encoding");
        assert_eq!(encoding, is_gzip.then_some("gzip"), "{accepted}");
        assert_eq!(response.field("vary"), Some("Accept-Encoding"));
        let mut content = Vec::new();
        match is_gzip {
            true => GzDecoder::new(&*response.content).read_to_end(&mut content).expect("gzip"),
            false => (&*response.content).read_to_end(&mut content).expect("bytes"),
        };
        assert!(content == page.content, "{accepted}");
    }
}

#[test]
fn h2_policy_is_strict() {
    let server = Server::start(&[]);
    for path in PAGES {
        let page = response_to(&server, &get(path, ""));
        let policy = page.field("content-security-policy").expect("a policy");
        let parts: Vec<&str> = policy.split("; ").collect();
        let hash = |begin: &str, end: &str| {
            let text = page.text().split_once(begin).expect("a begin").1;
            let text = text.split_once(end).expect("an end").0;
            format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
        };
        let script = hash("<script type=\"module\">", "</script>");
        let udp = server.udp.port();
        for part in [
            "default-src 'none'",
            &format!("script-src {script}"),
            &format!("style-src {}", hash("<style>", "</style>")),
            &format!("connect-src 'self' ws://localhost wss://localhost https://localhost:{udp}"),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(parts.contains(&part), "{part} in {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    }
}

#[test]
fn h2_every_response_is_guarded() {
    let server = Server::start(&[]);
    for (path, status) in [("/", 200), ("/healthz", 200), ("/nothing", 404), ("/chat", 426)] {
        let response = response_to(&server, &get(path, ""));
        assert_eq!(response.status, status, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.field(name), Some(value), "{path}");
        }
        let policy = response.field("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    }
}

#[test]
fn h2_webtransport_is_found() {
    let server = Server::start(&[]);
    let found = response_to(&server, &get("/webtransport.json", ""));
    let found: serde_json::Value = serde_json::from_slice(&found.content).expect("JSON");
    assert_eq!(found["port"], server.udp.port());
    let hash = found["hashes"][0].as_str().expect("a hash");
    assert_eq!(BASE64_STANDARD.decode(hash).expect("base64").len(), 32);
    let server = Server::start(&["--webtransport", "off"]);
    assert_eq!(status_of(&server, &get("/webtransport.json", "")), 404);
    let page = response_to(&server, &get("/", ""));
    assert!(!page.field("content-security-policy").expect("a policy").contains("https:"));
}

#[test]
fn h2_content_is_never_a_request() {
    let server = Server::start(&[]);
    let hidden = String::from_utf8(get("/metrics", "")).expect("ASCII");
    let size = hidden.len();
    for (head, status) in [
        (format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"), 405),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 405),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 405),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"), 413),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".into(), 413),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 413),
    ] {
        let mut connection = Control::connect(&server);
        connection.send(format!("{head}{hidden}").as_bytes());
        let response = Response::read(&mut connection.stream());
        assert_eq!((response.status, response.field("connection")), (status, Some("close")));
        assert_eq!(response.field("allow"), (status == 405).then_some("GET, HEAD"));
        assert_eq!(rest(&connection), b"", "{head}");
    }
}

#[test]
fn h2_protocol_is_decided_once() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    connection.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut connection.stream()).status, 200);
    connection.request(LIST, "", b"");
    assert_eq!(Response::read(&mut connection.stream()).status, 400);
    assert_eq!(rest(&connection), b"");
    let mut connection = Control::connect(&server);
    assert_eq!(connection.status_of(LIST, "", b""), 0);
    connection.send(&get("/healthz", ""));
    assert_eq!(connection.expect_status(), 9, "malformed");
}
