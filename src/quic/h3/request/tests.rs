//! Tests of the rules for requests.

use super::*;

fn decode(fields: &[(&str, &str)]) -> Result<Request, Fault> {
    let mut section = Vec::new();
    qpack::put_section(&mut section, fields);
    Request::decode(&section)
}

const CONNECT: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":protocol", "webtransport"),
    (":scheme", "https"),
    (":authority", "chat.example:9002"),
    (":path", "/chat"),
];

/// Returns the CONNECT with one field replaced, or added.
fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut fields = CONNECT.to_vec();
    match fields.iter_mut().find(|field| field.0 == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    fields
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    CONNECT.into_iter().filter(|field| field.0 != name).collect()
}

#[test]
fn h8_connect_of_all_drafts() {
    for protocol in PROTOCOLS {
        let request = decode(&with(":protocol", protocol)).unwrap();
        let expected = SessionRequest {
            authority: "chat.example:9002".into(),
            path: "/chat".into(),
            origin: None,
        };
        assert_eq!(request, Request::Session { request: expected, is_draft_02: false });
    }
}

#[test]
fn h8_other_requests() {
    assert_eq!(decode(&with(":protocol", "connect-udp")), Ok(Request::Other(501)));
    assert_eq!(decode(&with(":scheme", "http")), Ok(Request::Other(501)));
    let get = [(":method", "GET"), (":scheme", "https"), (":path", "/")];
    assert_eq!(decode(&get), Ok(Request::Other(404)));
    let tunnel = [(":method", "CONNECT"), (":authority", "a:1")];
    assert_eq!(decode(&tunnel), Ok(Request::Other(404)));
}

#[test]
fn h8_malformed_requests() {
    let twice = [&CONNECT[..], &[(":path", "/")]].concat();
    let late = [&[("origin", "http://a")], &CONNECT[..]].concat();
    let cases = [
        without(":method"),
        without(":scheme"),
        without(":authority"),
        without(":path"),
        without(":protocol"),
        with(":method", "GET"),
        with(":authority", ""),
        with(":path", "/ch\u{e9}"),
        with(":status", "200"),
        with("origin", "http://a b"),
        with("Upper", "case"),
        with("", "no name"),
        with("upgrade", "websocket"),
        with("text", "line\r\nbreak"),
        twice,
        late,
        vec![],
    ];
    for fields in cases {
        assert_eq!(decode(&fields), Err(MALFORMED), "{fields:?}");
    }
}
