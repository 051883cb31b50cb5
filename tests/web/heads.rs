//! Heads of requests, good and bad (H4).

use crate::support::http::*;
use crate::support::*;

#[test]
fn h4_head_has_limits() {
    let server = Server::start(&[]);
    let fields = |count: usize| "X: y\r\n".repeat(count);
    assert_eq!(status_of(&server, &get("/", &fields(63))), 200, "64 with Host");
    assert_eq!(status_of(&server, &get("/", &fields(64))), 431);
    let of_size = |size: usize| {
        let without = get("/", "X: \r\n").len();
        get("/", &format!("X: {}\r\n", "y".repeat(size - without)))
    };
    assert_eq!(status_of(&server, &of_size(8192)), 200);
    assert_eq!(status_of(&server, &of_size(8193)), 431);
    assert_eq!(status_of(&server, &[b"GET /", &[b'x'; 9000][..]].concat()), 431);
}

#[test]
fn h4_malformed_heads_end() {
    let server = Server::start(&[]);
    for (bytes, status) in [
        (&b"GET /\x01 HTTP/1.1\r\n\r\n"[..], 400),
        (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX\xff: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nnothing\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
        (b"GET loop HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: a\r\nOrigin: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ] {
        let mut connection = Control::connect(&server);
        connection.send(bytes);
        let response = Response::read(&mut connection.stream());
        let line = String::from_utf8_lossy(bytes);
        assert_eq!(
            (response.status, response.field("connection")),
            (status, Some("close")),
            "{line}"
        );
        assert_eq!(rest(&connection), b"", "{line}");
    }
    assert_eq!(status_of(&server, &get("/", "")), 200, "others are served");
}

#[test]
fn h4_pipelined_answers_keep_order() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    let paths = ["/healthz", "/nothing", "/webtransport.json"];
    // More than a turn's budget of requests, with empty lines between them.
    let requests = (0..60).flat_map(|number| [get(paths[number % 3], ""), b"\r\n".to_vec()]);
    connection.send(&requests.collect::<Vec<_>>().concat());
    for number in 0..60 {
        let response = Response::read(&mut connection.stream());
        let expected = [(200, "ok\n"), (404, "There"), (200, "{")][number % 3];
        assert_eq!(response.status, expected.0, "{number}");
        assert!(response.text().starts_with(expected.1), "{number}");
    }
    connection.expect_nothing();
}

/// Sends requests until the peer reads no more of them.
fn fill(connection: &Control, requests: &[u8]) {
    use std::io::Write;
    let mut unsent = requests;
    wait_for("a full connection", || {
        loop {
            match connection.stream().write(unsent) {
                Ok(size) => unsent = &unsent[size..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Some(()),
                Err(error) => panic!("{error}"),
            }
            if unsent.is_empty() {
                unsent = requests;
            }
        }
    });
}

#[test]
fn h4_unread_answers_stop_the_reading() {
    let server = Server::start(&[]);
    let connection = Control::connect(&server);
    connection.stream().set_nonblocking(true).expect("an option");
    // Pages of many megabytes for few bytes: the peer that does not read has to wait.
    fill(&connection, &get("/", "").repeat(100));
    server.expect_rest();
    assert!(server.memory() < 64 << 20);
}

#[test]
fn h4_unread_heads_hold_no_pages() {
    let server = Server::start(&[]);
    let before = server.memory();
    let requests = get("/", "").repeat(100);
    let requests = String::from_utf8(requests).expect("UTF-8").replace("GET", "HEAD");
    // The kernel's buffers take some thousand responses before the server has to keep any.
    let _connections: Vec<Control> = (0..8)
        .map(|_| {
            let connection = Control::connect(&server);
            connection.stream().set_nonblocking(true).expect("an option");
            fill(&connection, requests.as_bytes());
            connection
        })
        .collect();
    server.expect_rest();
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
}

#[test]
fn h4_connection_is_kept() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    for _ in 0..3 {
        connection.send(&get("/healthz", ""));
        let response = Response::read(&mut connection.stream());
        assert_eq!((response.status, response.field("connection")), (200, None));
    }
    for last in [
        get("/healthz", "Connection: upgrade, CLOSE\r\n"),
        b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n".to_vec(),
        get("/healthz", "Host: evil.example\r\n"),
    ] {
        let mut connection = Control::connect(&server);
        connection.send(&[&last[..], &get("/healthz", "")].concat());
        assert_eq!(Response::read(&mut connection.stream()).field("connection"), Some("close"));
        assert_eq!(rest(&connection), b"");
    }
}

#[test]
fn h4_end_after_a_request() {
    let server = Server::start(&[]);
    let mut connection = Control::connect(&server);
    connection.send(&get("/healthz", "").repeat(20));
    connection.end();
    for _ in 0..20 {
        assert_eq!(Response::read(&mut connection.stream()).status, 200);
    }
    connection.expect_end();
    let mut connection = Control::connect(&server);
    connection.send(b"GET / HT");
    connection.end();
    connection.expect_end();
}
