//! Tests of the codec as a whole: streams in, actions out.

mod malformed;
mod random;

use super::encode::{DATA, HEADERS, SESSION_STREAM, put_close, put_frame, put_section, put_varint};
use super::*;

/// The client's first bidirectional streams, and its control stream.
const CONNECT: u64 = 0;
const SECOND: u64 = 4;
const CONTROL: u64 = 2;

/// The request of a browser.
const FIELDS: [(&str, &str); 7] = [
    (":scheme", "https"),
    (":method", "CONNECT"),
    (":authority", "127.0.0.1:9002"),
    (":path", "/chat"),
    (":protocol", "webtransport"),
    ("sec-webtransport-http3-draft02", "1"),
    ("origin", "http://127.0.0.1:9001"),
];

fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    put_section(&mut section, fields);
    frame(HEADERS, &section)
}

fn frame(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, kind, value);
    bytes
}

fn varints(values: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| put_varint(&mut bytes, *value));
    bytes
}

fn actions(http3: &mut Http3) -> Vec<Action> {
    std::iter::from_fn(|| http3.poll_action()).collect()
}

/// Feeds a stream, and returns the application's bytes.
fn feed<'a>(http3: &mut Http3, stream: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
    http3.handle_bytes(stream, bytes).expect("valid input")
}

/// Returns a connection whose session was asked for.
fn asked() -> Http3 {
    let mut http3 = Http3::new();
    feed(&mut http3, CONTROL, &control_stream());
    feed(&mut http3, CONNECT, &headers(&FIELDS));
    let request = SessionRequest {
        authority: "127.0.0.1:9002".into(),
        path: "/chat".into(),
        origin: Some("http://127.0.0.1:9001".into()),
    };
    assert_eq!(actions(&mut http3), [Action::Request(request)]);
    http3
}

/// Returns a connection with an open session.
fn open() -> Http3 {
    let mut http3 = asked();
    http3.answer(200);
    assert_eq!(actions(&mut http3).len(), 1);
    assert_eq!(http3.session(), Some(CONNECT));
    http3
}

fn answer(status: &str) -> Vec<u8> {
    headers(&[(":status", status)])
}

#[test]
fn h8_settings_of_all_drafts() {
    let stream = control_stream();
    for id in [0x08, 0x33, 0x2b60_3742, 0xc671_706a, 0x14e9_cd29, 0x2c7c_f000] {
        let setting = varints(&[id, 1]);
        assert!(stream.windows(setting.len()).any(|bytes| bytes == setting), "{id:#x}");
    }
}

#[test]
fn h8_session_opens() {
    let mut http3 = asked();
    http3.answer(200);
    let bytes = headers(&[(":status", "200"), ("sec-webtransport-http3-draft", "draft02")]);
    assert_eq!(actions(&mut http3), [Action::Write { stream: CONNECT, bytes, finish: false }]);
}

#[test]
fn h8_refused_session_ends_its_stream() {
    let mut http3 = asked();
    http3.answer(403);
    let refusal = [
        Action::Write { stream: CONNECT, bytes: answer("403"), finish: true },
        Action::Stop { stream: CONNECT, code: code::NO_ERROR },
    ];
    assert_eq!(actions(&mut http3), refusal);
    assert_eq!(http3.session(), None);
    feed(&mut http3, SECOND, &headers(&FIELDS));
    assert!(matches!(actions(&mut http3)[..], [Action::Request(_)]), "another attempt");
}

#[test]
fn h8_request_waits_for_settings() {
    let mut http3 = Http3::new();
    feed(&mut http3, CONNECT, &headers(&FIELDS));
    assert_eq!(actions(&mut http3), []);
    feed(&mut http3, CONTROL, &control_stream());
    assert!(matches!(actions(&mut http3)[..], [Action::Request(_)]));
}

#[test]
fn h8_client_without_datagrams_is_reset() {
    let mut http3 = Http3::new();
    feed(&mut http3, CONNECT, &headers(&FIELDS));
    feed(&mut http3, CONTROL, &[0, 4, 0]);
    let (stream, code) = (CONNECT, code::MESSAGE_ERROR);
    assert_eq!(
        actions(&mut http3),
        [Action::Stop { stream, code }, Action::Reset { stream, code }]
    );
}

#[test]
fn h8_second_session_is_rejected() {
    let mut http3 = open();
    feed(&mut http3, SECOND, &headers(&FIELDS));
    let (stream, code) = (SECOND, code::REQUEST_REJECTED);
    assert_eq!(
        actions(&mut http3),
        [Action::Stop { stream, code }, Action::Reset { stream, code }]
    );
    assert_eq!(http3.session(), Some(CONNECT));
}

#[test]
fn h8_get_is_404() {
    let mut http3 = open();
    let get = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")];
    feed(&mut http3, SECOND, &headers(&get));
    let answer = [
        Action::Write { stream: SECOND, bytes: answer("404"), finish: true },
        Action::Stop { stream: SECOND, code: code::NO_ERROR },
    ];
    assert_eq!(actions(&mut http3), answer);
    assert_eq!(http3.session(), Some(CONNECT));
}

#[test]
fn h8_content_follows_the_header() {
    let mut http3 = open();
    let bytes = [varints(&[SESSION_STREAM, CONNECT]), b"content".to_vec()].concat();
    let mut content: Vec<u8> = Vec::new();
    for byte in bytes.chunks(1) {
        content.extend(feed(&mut http3, SECOND, byte).unwrap_or_default());
    }
    assert_eq!(content, b"content");
    assert_eq!(feed(&mut http3, 8, &bytes), Some(&b"content"[..]));
    http3.handle_finish(SECOND).unwrap();
    http3.handle_reset(8).unwrap();
    assert_eq!(actions(&mut http3), []);
}

#[test]
fn h8_content_needs_its_session() {
    let mut http3 = asked();
    feed(&mut http3, SECOND, &varints(&[SESSION_STREAM, CONNECT]));
    let (stream, code) = (SECOND, code::BUFFERED_STREAM_REJECTED);
    assert_eq!(
        actions(&mut http3),
        [Action::Stop { stream, code }, Action::Reset { stream, code }]
    );
}

#[test]
fn h8_datagrams_carry_the_session() {
    let mut http3 = open();
    let mut datagram = Vec::new();
    http3.put_datagram_header(&mut datagram);
    datagram.extend_from_slice(b"hello");
    assert_eq!(datagram, b"\0hello");
    assert_eq!(http3.handle_datagram(&datagram), Ok(Some(&b"hello"[..])));
    assert_eq!(http3.handle_datagram(b"\x01hello"), Ok(None), "another stream's");
    assert_eq!(http3.handle_datagram(b"").unwrap_err().code, code::DATAGRAM_ERROR);
    assert_eq!(http3.handle_datagram(&[0xff; 8]).unwrap_err().code, code::DATAGRAM_ERROR);
    http3.close(4007, "");
    assert_eq!(http3.handle_datagram(&datagram), Ok(None));
}

#[test]
fn h8_server_ends_with_a_code() {
    let mut http3 = open();
    http3.close(4007, "removed");
    let capsule = [&[0x68, 0x43, 11, 0, 0, 0x0f, 0xa7], &b"removed"[..]].concat();
    let write = Action::Write { stream: CONNECT, bytes: frame(DATA, &capsule), finish: true };
    assert_eq!(actions(&mut http3), [write]);
    http3.handle_finish(CONNECT).unwrap();
    assert_eq!(actions(&mut http3), [Action::Closed { code: 0 }]);
}

#[test]
fn h8_reason_is_cut_at_a_character() {
    let mut bytes = Vec::new();
    put_close(&mut bytes, 1, &"é".repeat(1000));
    let mut http3 = open();
    feed(&mut http3, CONNECT, &bytes);
    assert_eq!(actions(&mut http3)[1], Action::Closed { code: 1 });
}

#[test]
fn h8_client_ends_with_a_code() {
    let mut capsules = vec![varints(&[0x78ae, 0])];
    let mut close = Vec::new();
    put_close(&mut close, 4002, "bye");
    capsules.push(close.split_off(2));
    let bytes: Vec<u8> = capsules.concat().chunks(3).flat_map(|part| frame(DATA, part)).collect();
    let mut http3 = open();
    feed(&mut http3, CONNECT, &bytes);
    let finish = Action::Write { stream: CONNECT, bytes: Vec::new(), finish: true };
    assert_eq!(actions(&mut http3), [finish, Action::Closed { code: 4002 }]);
    http3.handle_finish(CONNECT).unwrap();
    assert_eq!(actions(&mut http3), []);
}

#[test]
fn h8_end_of_stream_ends_the_session() {
    for is_reset in [false, true] {
        let mut http3 = open();
        http3.handle_end(CONNECT, is_reset).unwrap();
        assert_eq!(actions(&mut http3)[1..], [Action::Closed { code: 0 }]);
        assert_eq!(http3.session(), None);
    }
}

#[test]
fn h8_unknown_input_is_skipped() {
    let mut http3 = Http3::new();
    let grease = frame(0x21, b"grease");
    feed(&mut http3, CONTROL, &[control_stream(), grease.clone(), frame(7, &[0])].concat());
    feed(&mut http3, CONNECT, &[grease.clone(), headers(&FIELDS)].concat());
    feed(&mut http3, 6, &[2, 0x20]);
    feed(&mut http3, 10, &[3, 0x7f, 0x80, 0x01, 0x44]);
    feed(&mut http3, 14, &[0x21, 1, 2, 3]);
    let actions = actions(&mut http3);
    assert!(matches!(actions[0], Action::Request(_)));
    assert_eq!(actions[1..], [Action::Stop { stream: 14, code: code::STREAM_CREATION_ERROR }]);
    http3.answer(200);
    feed(&mut http3, CONNECT, &[grease, frame(DATA, &varints(&[0x190b_4d3d, 1, 7]))].concat());
    assert_eq!(http3.session(), Some(CONNECT));
}
