//! Limits: connections, streams, silence, bytes that nobody reads.

use std::time::{Duration, Instant};

use quinn_proto::{ConnectionError, Dir};

use crate::support::quic::{Browser, QuicMember};
use crate::support::*;

/// Code of CONNECTION_REFUSED (RFC 9000, section 20.1).
const REFUSED: u64 = 0x02;

/// Waits for the end of a handshake that the server refuses.
#[track_caller]
fn expect_refused(mut browser: Browser) {
    let lost = browser.wait("a refusal", |link| link.lost.clone());
    let ConnectionError::ConnectionClosed(close) = lost else { panic!("{lost}") };
    assert_eq!(u64::from(close.error_code), REFUSED);
}

#[test]
fn h8_connections_of_one_ip_are_limited() {
    let server = Server::start(&["--max-connections-ip", "20"]);
    let mut browsers: Vec<_> = (0..20).map(|_| Browser::open(server.udp)).collect();
    expect_refused(Browser::begin(server.udp));
    Browser::open_from(loopback(2), server.udp);
    let mut first = browsers.remove(0);
    first.close();
    wait_for("its place", || {
        let mut next = Browser::begin(server.udp);
        next.wait("an outcome", |link| {
            let outcome = link.is_connected || link.lost.is_some();
            outcome.then_some(link.is_connected)
        })
        .then_some(())
    });
    for browser in &mut browsers {
        assert_eq!(browser.request(r#"{"operation":"list"}"#).1["status"], 0);
    }
}

#[test]
fn h8_all_connections_are_limited() {
    let server = Server::start(&["--max-connections", "2"]);
    let _control = Control::connect(&server);
    let _browser = Browser::open(server.udp);
    wait_for("the first connection", || (server.descriptors() > 0).then_some(()));
    expect_refused(Browser::begin_from(loopback(2), server.udp));
}

#[test]
fn h8_streams_are_limited() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    let count = std::iter::from_fn(|| browser.link.open(Dir::Bi)).count();
    assert_eq!(count, 3, "four with the session's");
    let count = std::iter::from_fn(|| browser.link.open(Dir::Uni)).count();
    assert_eq!(count, 7, "eight with the control stream");
}

#[test]
fn h8_streams_come_free_again() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    for _ in 0..50 {
        let (stream, reply) = browser.request(r#"{"operation":"list"}"#);
        assert_eq!(reply["status"], 0);
        browser.link.finish(stream);
        browser.wait("its end", |link| link.inputs[&stream].has_ended.then_some(()));
    }
}

#[test]
fn h8_connection_without_member_ends() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let mut member = QuicMember::create(&server, "ann");
    let mut idle = Browser::open(server.udp);
    let mut mute = Browser::connect(server.udp);
    assert_eq!(idle.expect_lost(), 0x100);
    assert_eq!(mute.expect_lost(), 0x100);
    assert_eq!(member.browser.request(r#"{"operation":"list"}"#).1["status"], 0);
}

#[test]
fn h7_acknowledged_ping_keeps_a_member() {
    let server = Server::start(&["--idle-timeout", "2"]);
    let mut host = QuicMember::create(&server, "ann");
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        host.browser.link.connection.ping();
        host.browser.step(Duration::from_millis(50));
    }
    assert_eq!(host.browser.request(r#"{"operation":"list"}"#).1["status"], 0);
    assert_eq!(host.browser.link.closed, None);
}

#[test]
fn h8_partial_units_cost_little() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    let before = server.reserved_memory();
    for _ in 0..3 {
        let stream = browser.open_stream();
        browser.link.write(stream, &[0, 100]);
        browser.link.write(stream, &[b'x'; 99]);
    }
    browser.flush();
    for _ in 0..100 {
        browser.step(Duration::from_millis(1));
    }
    assert!(server.reserved_memory() - before < 1024 * 1024);
    assert_eq!(browser.link.lost, None);
}
