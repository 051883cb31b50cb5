//! W5 to W8: payloads and names.

use crate::support::{CREATE, Control, JOIN, Member, Server};
use crate::{
    INVALID_ROOM_NAME, INVALID_USER_NAME, MALFORMED, NAME_TAKEN, OK, ROOM_EXISTS, ROOM_NOT_FOUND,
    json, newest_member,
};

#[test]
fn w5_a_brace_marks_json() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let requests = [
        (" \t\r\n{\"username\":\"a\"}\n", "a"),
        ("[bob]", "[bob]"),
        ("\"carol\"", "\"carol\""),
        ("dave {x}", "dave {x}"),
        (" bob ", "bob"),
    ];
    for (payload, name) in requests {
        Control::connect(&server).enter(JOIN, "r", payload.as_bytes());
        assert_eq!(newest_member(&host), name);
    }
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "r", b"bob\n"), INVALID_USER_NAME, "whole");
    assert_eq!(control.status_of(JOIN, "r", b""), INVALID_USER_NAME);
}

#[test]
fn w6_valid_json_payloads() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let requests = [
        (r#"{"user_name":"a"}"#, "a"),
        (r#"{"user_name":"x","username":"b"}"#, "b"),
        (r#"{"username":"c","password":null}"#, "c"),
        (r#"{"username":"d","password":""}"#, "d"),
        (r#"{"username":"e","unknown":{"deep":[1,null]},"ip":"127.0.0.1"}"#, "e"),
        (r#"{"username":"f\u00e9"}"#, "fé"),
    ];
    for (payload, name) in requests {
        Control::connect(&server).enter(JOIN, "r", payload.as_bytes());
        assert_eq!(newest_member(&host), name);
    }
}

#[test]
fn w6_empty_password_is_none() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for (room, password) in [("r", ""), ("s", r#","password":null"#), ("t", r#","password":"""#)] {
        let payload = format!(r#"{{"username":"a"{password}}}"#);
        control.enter(CREATE, room, payload.as_bytes());
        assert_eq!(control.status_of(JOIN, room, b"bare"), OK, "{payload}");
    }
}

#[test]
fn w6_invalid_json_payloads() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    let refused = [
        ("{", MALFORMED),
        (r#"{"username":"a"} x"#, MALFORMED),
        (r#"{"username":["a"]}"#, MALFORMED),
        (r#"{"username":"a","password":5}"#, MALFORMED),
        (r#"{"username":"a","capacity":0}"#, MALFORMED),
        (r#"{"username":"a","capacity":"9"}"#, MALFORMED),
        (r#"{"username":"a","capacity":1.5}"#, MALFORMED),
        (r#"{"username":"a","hidden":"yes"}"#, MALFORMED),
        (r#"{"username":"a","delivery":"TEXT"}"#, MALFORMED),
        (r#"{"username":"a","delivery":7}"#, MALFORMED),
        ("{}", INVALID_USER_NAME),
        (r#"{"username":""}"#, INVALID_USER_NAME),
    ];
    for (payload, status) in refused {
        assert_eq!(control.status_of(CREATE, "r", payload.as_bytes()), status, "{payload}");
    }
    assert_eq!(control.status_of(CREATE, "r", b"{\"username\":\"\xff\"}"), MALFORMED);
    let deep = format!(r#"{{"username":"a","x":{}"#, "[".repeat(60_000));
    assert_eq!(control.status_of(CREATE, "r", deep.as_bytes()), MALFORMED);
    assert_eq!(control.status_of(CREATE, "r", b"alice"), OK, "the connection lives");
}

#[test]
fn w6_delivery_forms() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let member = |payload: &str| Member::join(&server, "r", payload);
    let text = [
        member(&json("default")),
        member(r#"{"username":"text","delivery":"text"}"#),
        member(r#"{"username":"null","delivery":null}"#),
    ];
    let named = [member(r#"{"username":"named","delivery":"named"}"#), member("bare")];
    text.iter().chain(&named).for_each(Member::settle);
    host.say("hi");
    for member in &text {
        member.expect("host: hi");
    }
    for member in &named {
        assert_eq!(member.hear(), b"\x04hosthi");
    }
}

#[test]
fn w7_valid_and_invalid_names() {
    let server = Server::start(&["--max-unproved", "0"]);
    let mut control = Control::connect(&server);
    let longest = "x".repeat(255);
    for name in ["a b", "日本語の部屋", "👋🏽", "a:b", &longest] {
        assert_eq!(control.status_of(CREATE, name, name.as_bytes()), OK, "{name:?}");
    }
    let hidden = "\0 \n \t \u{7f} \u{200b} \u{202e} \u{2028} \u{2029} \u{e000} \u{378} \u{115f} \
        \u{1160} \u{3164} \u{ffa0} \u{a0} \u{3000}\u{3000}";
    let hidden = hidden.split(' ').map(|hidden| format!("a{hidden}b"));
    let misplaced = ["", " ", "\u{301}a", "a  b"].map(String::from);
    for name in hidden.chain(misplaced) {
        assert_eq!(control.status_of(CREATE, &name, b"alice"), INVALID_ROOM_NAME, "{name:?}");
        assert_eq!(control.status_of(CREATE, "r", name.as_bytes()), INVALID_USER_NAME, "{name:?}");
    }
    for name in [&b"caf\xe9"[..], b"bob: hi", b"bob:", &[b'x'; 256]] {
        assert_eq!(control.status_of(CREATE, "r", name), INVALID_USER_NAME, "{name:?}");
    }
    control.send(b"\x01\x01\x00");
    control.send(&[0; 28]);
    control.send(b"\x01\xffx");
    assert_eq!(control.expect_status(), INVALID_ROOM_NAME);
    assert_eq!(control.status_of(CREATE, "a:  b", b"alice"), INVALID_ROOM_NAME);
    assert_eq!(control.status_of(CREATE, "a: b:", b"alice"), OK, "a room may");
}

#[test]
fn w8_user_names_ignore_case() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", "Élan".as_bytes());
    for taken in ["Élan", "élan", "ÉLAN", "E\u{301}lan", "ｅ\u{301}ｌａｎ"] {
        assert_eq!(control.status_of(JOIN, "r", taken.as_bytes()), NAME_TAKEN, "{taken}");
        assert_eq!(control.status_of(JOIN, "r", json(taken).as_bytes()), NAME_TAKEN, "{taken}");
    }
    assert_eq!(control.status_of(CREATE, "s", "élan".as_bytes()), OK, "another room");
}

#[test]
fn w8_room_names_compare_in_nfc() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    // Another IP, because the own one may replace a room whose host never sent a datagram (W38).
    let mut other = Control::connect_from(&server, "127.0.0.2".parse().expect("an address"));
    for room in ["Room", "room", "\u{c9}", "Ｒoom"] {
        assert_eq!(control.status_of(CREATE, room, b"alice"), OK, "{room}");
        assert_eq!(other.status_of(CREATE, room, b"alice"), ROOM_EXISTS, "{room}");
    }
    assert_eq!(other.status_of(CREATE, "E\u{301}", b"alice"), ROOM_EXISTS);
    assert_eq!(control.status_of(JOIN, "ROOM", b"bob"), ROOM_NOT_FOUND);
}
