//! Wrong HTTP/3: each fault costs its sender's connection or stream, and nobody else's.

use quinn_proto::Dir;

use crate::support::quic::{Browser, QuicMember};
use crate::support::streams::is_in;
use crate::support::webtransport::WebTransport;
use crate::support::*;

/// Opens a stream with these bytes.
fn put(link: &mut WebTransport, dir: Dir, bytes: &[u8]) -> u64 {
    let stream = link.open(dir).expect("a stream");
    link.write(stream, bytes);
    stream
}

/// Wrong input of a client.
enum Input {
    /// A stream with these bytes.
    Open(Dir, &'static [u8]),
    /// A stream with these bytes, and no more.
    Whole(&'static [u8]),
    /// Bytes on the control stream.
    Control(&'static [u8]),
    EndOfControl,
    /// A datagram.
    Datagram(&'static [u8]),
}

impl Input {
    fn send(&self, link: &mut WebTransport) {
        match *self {
            Self::Open(dir, bytes) => {
                put(link, dir, bytes);
            }
            Self::Whole(bytes) => {
                let stream = put(link, Dir::Bi, bytes);
                link.finish(stream);
            }
            Self::Control(bytes) => link.write(CONTROL, bytes),
            Self::EndOfControl => link.finish(CONTROL),
            Self::Datagram(bytes) => {
                let datagram = bytes::Bytes::from_static(bytes);
                link.connection.datagrams().send(datagram, false).expect("sent");
            }
        }
    }
}

/// The first unidirectional stream of a client.
const CONTROL: u64 = 2;

/// An unknown frame of 32 KiB, of which so much comes that the budget is used up.
static SKIPPED: [u8; 0x5000] = {
    let mut bytes = [0; 0x5000];
    (bytes[0], bytes[1], bytes[3]) = (0x21, 0x80, 0x80);
    bytes
};

static INPUTS: [(Input, u64); 13] = [
    // A second control stream, a push stream.
    (Input::Open(Dir::Uni, &[0]), 0x103),
    (Input::Open(Dir::Uni, &[1]), 0x103),
    // Instructions for a dynamic table, and a reference to it.
    (Input::Open(Dir::Uni, &[2, 0x3f, 0xe1, 0x1f]), 0x201),
    (Input::Open(Dir::Uni, &[3, 0x80]), 0x202),
    (Input::Open(Dir::Bi, &[1, 3, 0, 0, 0x80]), 0x200),
    // DATA before HEADERS, SETTINGS on a wrong stream and twice.
    (Input::Open(Dir::Bi, &[0, 1, b'x']), 0x105),
    (Input::Open(Dir::Bi, &[4, 0]), 0x105),
    (Input::Control(&[4, 0]), 0x105),
    // A session's id that cannot be one.
    (Input::Open(Dir::Bi, &[0x40, 0x41, 3]), 0x108),
    (Input::Whole(&[1, 50, 0]), 0x106),
    (Input::EndOfControl, 0x104),
    (Input::Control(&SKIPPED), 0x107),
    (Input::Datagram(&[]), 0x33),
];

#[test]
fn h8_fault_costs_its_connection() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    for (number, (input, code)) in INPUTS.iter().enumerate() {
        let mut browser = Browser::connect(server.udp);
        input.send(&mut browser.link);
        assert_eq!(browser.expect_lost(), *code, "input {number}");
        let mut member = QuicMember::join(&server, &format!("bad {number}"));
        input.send(&mut member.browser.link);
        assert_eq!(member.browser.expect_lost(), *code, "input {number} of a member");
        let text = format!("after {number}");
        QuicMember::join(&server, &format!("good {number}")).say(1, &text);
        host.hear_until(|items| is_in(items, &text));
    }
}

#[test]
fn h8_settings_must_come_first() {
    let server = Server::start(&[]);
    let mut browser = Browser::begin(server.udp);
    browser.wait("a handshake", |link| link.is_connected.then_some(()));
    put(&mut browser.link, Dir::Uni, &[0, 7, 1, 0]);
    assert_eq!(browser.expect_lost(), 0x10a);
}

#[test]
fn h8_fault_costs_its_stream() {
    let server = Server::start(&[]);
    let mut guest = QuicMember::create(&server, "ann");
    let browser = &mut guest.browser;
    let malformed = browser.link.request(&[(":method", "GET"), ("Upper", "case")]);
    assert_eq!(browser.expect_reset(malformed), 0x10e);
    let long = put(&mut browser.link, Dir::Bi, &[1, 0x50, 0]);
    assert_eq!(browser.expect_reset(long), 0x107);
    let foreign = put(&mut browser.link, Dir::Bi, &[0x40, 0x41, 0x40, 0x50]);
    assert_eq!(browser.expect_reset(foreign), 0x3994_bd84);
    let unknown = put(&mut browser.link, Dir::Uni, &[0x21, 1, 2, 3]);
    browser.wait("a stop", |link| link.inputs.get(&unknown)?.stopped.map(drop));
    let mut other = QuicMember::join(&server, "bob");
    other.say(1, "still here");
    guest.hear_until(|items| is_in(items, "still here"));
}

#[test]
fn h8_get_is_not_found() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    for path in ["/", "/chat", "/metrics"] {
        let fields =
            [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", path)];
        let stream = browser.link.request(&fields);
        assert_eq!(browser.wait("an answer", |link| link.take_status(stream)), "404");
    }
}

#[test]
fn h8_long_unit_ends_the_session() {
    let server = Server::start(&[]);
    for is_member in [false, true] {
        let mut browser = Browser::open(server.udp);
        let stream = if is_member {
            let member = QuicMember::enter(browser, "create", "ann", "");
            browser = member.browser;
            member.stream
        } else {
            browser.open_stream()
        };
        browser.link.write_unit(stream, &[b'x'; 20_000]);
        assert_eq!(browser.expect_lost(), 0x10e);
    }
}

#[test]
fn h8_bad_requests_end_their_streams() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    for request in ["", "{", "[]", r#"{"operation":"fly"}"#, r#"{"operation":"join","room":7}"#] {
        let (stream, reply) = browser.request(request);
        assert_ne!(reply["status"], 0, "{request}");
        browser.wait("its end", |link| link.inputs[&stream].has_ended.then_some(()));
    }
    QuicMember::enter(browser, "create", "ann", "");
}
