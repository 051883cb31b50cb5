//! Limits and deadlines of connections with HTTP, and viewers (H4, H2).

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::carried::Carried;
use crate::support::http::*;
use crate::support::*;

#[test]
fn h4_deciding_bytes_give_no_time() {
    let server = Server::start(&["--handshake-timeout", "3"]);
    let start = Instant::now();
    let mut connection = Control::connect(&server);
    connection.send(b"G");
    connection.stream().set_read_timeout(Some(Duration::from_millis(2_500))).expect("an option");
    assert!(connection.stream().read(&mut [0]).is_err(), "no answer yet");
    connection.stream().set_read_timeout(Some(DEADLINE)).expect("an option");
    connection.send(b"ET /");
    assert_eq!(Response::read(&mut connection.stream()).status, 408);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(4_500), "{took:?}");
}

#[test]
fn h4_late_heads_end() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let mut connection = Control::connect(&server);
    connection.send(b"GET / HTTP/1.1\r\nHost: local");
    let response = Response::read(&mut connection.stream());
    assert_eq!((response.status, response.field("connection")), (408, Some("close")));
    assert_eq!(rest(&connection), b"");
}

#[test]
fn h4_idle_connections_end() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let mut connection = Control::connect(&server);
    connection.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut connection.stream()).status, 200);
    assert_eq!(rest(&connection), b"");
}

#[test]
fn h4_connections_share_the_limit() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut first = Control::connect(&server);
    first.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut first.stream()).status, 200);
    let mut second = Control::connect(&server);
    assert_eq!(second.status_of(LIST, "", b""), 0);
    let mut third = Control::connect(&server);
    third.send(&get("/healthz", ""));
    assert_eq!(Response::read(&mut third.stream()).status, 200);
    let evicted = Response::read(&mut first.stream());
    assert_eq!((evicted.status, evicted.field("connection")), (503, Some("close")));
    assert_eq!(rest(&first), b"");
    assert_eq!(second.status_of(LIST, "", b""), 0);
}

#[test]
fn h4_full_server_refuses_in_http() {
    let server = Server::start(&["--max-connections", "1", "--max-carried", "0"]);
    let _member = Carried::create(&server, "ann");
    server.freeze();
    let mut browser = Control::connect(&server);
    browser.send(&get("/", ""));
    server.thaw();
    let refused = Response::read(&mut browser.stream());
    assert_eq!((refused.status, refused.field("connection")), (503, Some("close")));
    assert_eq!(rest(&browser), b"");
    let mut other = Control::connect(&server);
    assert_eq!(other.expect_status(), 8, "a peer that has said nothing");
}

#[test]
fn h4_scarce_memory_is_503() {
    let server = Server::start(&["--buffer-memory", "1"]);
    // The start of a frame, which waits for its end.
    let mut waiting = Control::connect(&server);
    waiting.send(&frame(CREATE, "lobby", &[b' '; 2000])[..1000]);
    let page = wait_for("the limit", || {
        let response = response_to(&server, &get("/", ""));
        (response.status != 200).then_some(response)
    });
    assert_eq!((page.status, page.field("connection")), (503, Some("close")));
    assert_eq!(status_of(&server, &get("/healthz", "")), 200, "a small one fits");
    let long = get("/healthz", &format!("X: {}\r\n", "y".repeat(5000)));
    assert_eq!(status_of(&server, &long), 503);
}

#[test]
fn h4_lost_connection_counts_once() {
    let server = Server::start(&["--tls", "off"]);
    let before = server.descriptors();
    for _ in 0..5 {
        let mut stream = peers::connect_with_a_small_window(&server);
        stream.write_all(&get("/", "Connection: close\r\n")).expect("sent");
        stream.read_exact(&mut [0]).expect("the begin of a page that does not fit");
        Control::over(stream).reset();
    }
    wait_for("the losses", || (server.descriptors() <= before).then_some(()));
    let counts = server.final_counts();
    assert!(counts.contains("connection errors 5,"), "{counts}");
}

/// Begins to watch, and returns the connection behind the head.
fn watch(server: &Server) -> (Control, u16) {
    let mut connection = Control::connect(server);
    connection.send(&get("/events", ""));
    let head = Response::read_head(&mut connection.stream());
    if head.status == 200 {
        assert_eq!(head.field("content-type"), Some("text/event-stream"));
        assert_eq!((head.field("content-length"), head.field("connection")), (None, Some("close")));
    }
    (connection, head.status)
}

#[test]
fn h4_head_of_events_may_end() {
    let server = Server::start(&[]);
    for (version, field) in [("1.1", "Connection: close\r\n"), ("1.0", "")] {
        let mut connection = Control::connect(&server);
        let request = format!("HEAD /events HTTP/{version}\r\nHost: localhost\r\n{field}\r\n");
        connection.send(request.as_bytes());
        let head = Response::read_head(&mut connection.stream());
        assert_eq!((head.status, head.field("connection")), (200, Some("close")));
        assert_eq!(rest(&connection), b"");
    }
}

#[test]
fn h2_events_come_without_requests() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let (connection, status) = watch(&server);
    assert_eq!(status, 200);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(connection.stream()));
    // They go on beyond the deadline of a request.
    for _ in 0..4 {
        let line = lines.next().expect("a line").expect("an event");
        let figures = line.strip_prefix("data: ").expect("an event");
        assert!(serde_json::from_str::<serde_json::Value>(figures).is_ok(), "{figures}");
        assert_eq!(lines.next().expect("a line").expect("the end of an event"), "");
    }
}

#[test]
fn h2_viewers_are_limited() {
    let server = Server::start(&[]);
    let mut viewers: Vec<Control> = (0..32)
        .map(|_| {
            let (viewer, status) = watch(&server);
            assert_eq!(status, 200);
            viewer
        })
        .collect();
    assert_eq!(watch(&server).1, 503);
    assert_eq!(status_of(&server, &get("/loop.json", "")), 200);
    viewers.pop();
    wait_for("a free place", || (watch(&server).1 == 200).then_some(()));
}
