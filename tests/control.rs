//! Rooms over TCP, in raw bytes: statements W1 to W16 of the protocol.

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

const OK: u8 = 0;
const ROOM_EXISTS: u8 = 1;
const ROOM_NOT_FOUND: u8 = 2;
const WRONG_PASSWORD: u8 = 3;
const INVALID_ROOM_NAME: u8 = 4;
const INVALID_USER_NAME: u8 = 5;
const NAME_TAKEN: u8 = 6;
const ROOM_FULL: u8 = 7;
const SERVER_FULL: u8 = 8;
const MALFORMED: u8 = 9;
const RATE_LIMITED: u8 = 10;
const KICKED: u8 = 11;

/// The limit of a payload unless `--max-payload` says otherwise.
const MAX_PAYLOAD: usize = 65_536;

/// Deadlines that a test can wait for.
const IMPATIENT: [&str; 4] = ["--connect-timeout", "1", "--handshake-timeout", "1"];

fn acknowledgement(operation: u8, room: &str, status: u8) -> Reply {
    Reply { operation, state: 1, room: room.into(), payload: vec![status] }
}

/// A JSON request of `name`.
fn json(name: &str) -> String {
    format!(r#"{{"username":"{name}"}}"#)
}

/// A JSON request of `name` with a password.
fn json_with(name: &str, password: &str) -> String {
    format!(r#"{{"username":"{name}","password":"{password}"}}"#)
}

/// The server has read all that was sent before: it answers another connection.
fn settle(witness: &mut Control) {
    assert_eq!(witness.status_of(LIST, "", b""), OK);
}

/// The server refuses what it was sent as no frame at all, and ends the connection.
#[track_caller]
fn expect_refusal(control: &mut Control, operation: u8) {
    assert_eq!(control.expect_reply(), acknowledgement(operation, "", MALFORMED));
    control.expect_end();
}

/// Who joined last, as the server tells `member`.
fn newest_member(member: &Member) -> String {
    member.settle();
    member.say("/who");
    let members = member.hear_text();
    members.rsplit(", ").next().expect("a name").into()
}

/// The list of the rooms whose names begin with `prefix`.
fn list(server: &Server, prefix: &str) -> Value {
    let mut control = Control::connect(server);
    control.request(LIST, prefix, b"");
    serde_json::from_slice(&control.expect_success()).expect("JSON")
}

fn room_names(list: &Value) -> Vec<&str> {
    let rooms = list.as_array().expect("an array");
    rooms.iter().map(|room| room["room"].as_str().expect("a string")).collect()
}

#[test]
fn w1_w10_w11_request_and_replies() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.send(b"\x05\x01\x00");
    control.send(&[0; 28]);
    control.send(b"\x14lobby{\"username\":\"alice\"}");
    assert_eq!(control.expect_reply(), acknowledgement(CREATE, "lobby", OK));
    let completion = control.expect_reply();
    assert_eq!((completion.operation, completion.state), (CREATE, 2));
    assert_eq!((&completion.room[..], completion.payload.len()), (&b"lobby"[..], 32));
}

#[test]
fn w1_size_is_big_endian() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    let mut request = frame(CREATE, "r", format!("{:<259}", json("alice")).as_bytes());
    assert_eq!(request[30..32], [1, 3]);
    request.extend(frame(LIST, "", b""));
    control.send(&request);
    control.expect_success();
    assert_eq!(control.expect_reply().operation, LIST, "the next frame begins where it should");
}

#[test]
fn w2_frame_may_be_cut_anywhere() {
    let server = Server::start(&["--max-unproved", "0"]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let size = frame(CREATE, "r00", b"alice").len();
    for cut in 1..size {
        let request = frame(CREATE, &format!("r{cut:02}"), b"alice");
        control.send(&request[..cut]);
        settle(&mut witness);
        control.send(&request[cut..]);
        control.expect_success();
    }
    assert_eq!(list(&server, "r").as_array().map(Vec::len), Some(size - 1));
}

#[test]
fn w2_frame_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    for byte in frame(CREATE, "lobby", json("alice").as_bytes()) {
        control.send(&[byte]);
        settle(&mut witness);
    }
    control.expect_success();
}

#[test]
fn w2_frame_parts_may_come_separately() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let request = frame(CREATE, "lobby", b"alice");
    for part in [&request[..32], &request[32..37], &request[37..]] {
        control.send(part);
        settle(&mut witness);
    }
    control.expect_success();
}

#[test]
fn w2_surplus_belongs_to_next_frame() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let requests = ["a", "b", "c"].map(|room| frame(CREATE, room, json("alice").as_bytes()));
    let all = requests.concat();
    let middle_of_third = all.len() - 20;
    control.send(&all[..middle_of_third]);
    for room in [b"a", b"b"] {
        assert_eq!(control.expect_reply().room, room);
        assert_eq!(control.expect_reply().room, room);
    }
    settle(&mut witness);
    control.send(&all[middle_of_third..]);
    assert_eq!(control.expect_reply().room, b"c");
}

#[test]
fn w3_excessive_size_is_refused_early() {
    let server = Server::start(&[]);
    for position in 3..=28 {
        let mut control = Control::connect(&server);
        let mut header = frame(JOIN, "", b"");
        header[position] = 1;
        control.send(&header);
        expect_refusal(&mut control, JOIN);
    }
}

#[test]
fn w3_size_at_the_limit_is_taken() {
    let server = Server::start(&[]);
    let mut payload = json("alice").into_bytes();
    payload.resize(MAX_PAYLOAD, b' ');
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(CREATE, "r", &payload), OK);
    payload.push(b' ');
    control.send(&frame(CREATE, "s", &payload)[..32]);
    expect_refusal(&mut control, CREATE);
}

#[test]
fn w4_request_state_is_ignored() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for state in [0, 1, 2, 255] {
        let mut request = frame(CREATE, &format!("r{state}"), b"alice");
        request[2] = state;
        control.send(&request);
        control.expect_success();
    }
}

#[test]
fn w4_w11_unknown_operation_is_malformed() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for operation in [0, 5, 255] {
        control.request(operation, "r", b"alice");
        assert_eq!(control.expect_reply(), acknowledgement(operation, "", MALFORMED));
    }
    assert_eq!(control.status_of(CREATE, "r", b"alice"), OK);
}

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
    // Another IP: its own may create the room of a host that was never heard once more (W38).
    let mut other = Control::connect_from(&server, "127.0.0.2".parse().expect("an address"));
    for room in ["Room", "room", "\u{c9}", "Ｒoom"] {
        assert_eq!(control.status_of(CREATE, room, b"alice"), OK, "{room}");
        assert_eq!(other.status_of(CREATE, room, b"alice"), ROOM_EXISTS, "{room}");
    }
    assert_eq!(other.status_of(CREATE, "E\u{301}", b"alice"), ROOM_EXISTS);
    assert_eq!(control.status_of(JOIN, "ROOM", b"bob"), ROOM_NOT_FOUND);
}

#[test]
fn w9_w10_success_is_two_frames() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    // A second frame after a failure would be taken for the answer to the next request.
    for _ in 0..3 {
        control.request(JOIN, "r", json("bob").as_bytes());
        assert_eq!(control.expect_reply(), acknowledgement(JOIN, "r", ROOM_NOT_FOUND));
    }
    control.request(CREATE, "r", json("alice").as_bytes());
    assert_eq!(control.expect_reply(), acknowledgement(CREATE, "r", OK));
    assert_eq!(control.expect_reply().state, 2);
    control.end();
    control.expect_end();
}

#[test]
fn w10_tokens_are_unique_hex() {
    let server = Server::start(&["--max-unproved", "0"]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", b"host");
    let tokens: Vec<Token> = (0..100)
        .map(|number| control.enter(JOIN, "r", format!("guest {number}").as_bytes()))
        .collect();
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(tokens.iter().flatten().all(is_hex));
    let distinct: std::collections::HashSet<&Token> = tokens.iter().collect();
    assert_eq!(distinct.len(), tokens.len());
    for place in 0..32 {
        let first = tokens[0][place];
        assert!(tokens.iter().any(|token| token[place] != first), "character {place} varies");
    }
}

#[test]
fn w10_room_list() {
    let server = Server::start(&["--max-members", "9"]);
    let mut control = Control::connect(&server);
    assert_eq!(list(&server, ""), json!([]));
    control.enter(CREATE, "lobby 2", br#"{"username":"a","capacity":3}"#);
    control.enter(CREATE, "Zoo", br#"{"username":"a","password":"x"}"#);
    control.enter(CREATE, "lobby", br#"{"username":"a","capacity":4000000000}"#);
    control.enter(CREATE, "lobby 1 \"quoted\"", br#"{"username":"a","hidden":false}"#);
    control.enter(CREATE, "lobby of nobody", br#"{"username":"a","hidden":true}"#);
    control.enter(JOIN, "lobby", b"bob");
    let row = |room: &str, members: u32, capacity: u32, password: bool| json!({"room": room, "members": members, "capacity": capacity, "password": password});
    let zoo = row("Zoo", 1, 9, true);
    let lobbies = [
        row("lobby", 2, 9, false),
        row("lobby 1 \"quoted\"", 1, 9, false),
        row("lobby 2", 1, 3, false),
    ];
    assert_eq!(list(&server, ""), json!([zoo, lobbies[0], lobbies[1], lobbies[2]]));
    assert_eq!(list(&server, "lobby"), json!(lobbies));
    assert_eq!(list(&server, "lobby 2"), json!([lobbies[2]]));
    assert_eq!(list(&server, "LOBBY"), json!([]));
    assert_eq!(list(&server, "lobby 2 and more"), json!([]));
}

#[test]
fn w10_long_room_list_is_cut() {
    let unlimited = Server::start(&["--max-payload", "0"]);
    let rooms = ["a", "b", "c", "d"];
    let list_of = |server: &Server, count: usize| {
        let mut control = Control::connect(server);
        for room in &rooms[..count] {
            control.enter(CREATE, room, b"alice");
        }
        control.request(LIST, "", b"");
        control.expect_success()
    };
    let size_of_two = list_of(&unlimited, 2).len();
    for (limit, shown) in [(size_of_two, 2), (size_of_two - 1, 1), (size_of_two + 1, 2)] {
        let server = Server::start(&["--max-payload", &limit.to_string()]);
        let bytes = list_of(&server, 4);
        assert!(bytes.len() <= limit);
        let list = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(room_names(&list), rooms[..shown]);
    }
}

#[test]
fn w11_json_replies_echo_the_room() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for (operation, name, status) in
        [(CREATE, "alice", OK), (JOIN, "bob", OK), (JOIN, "BOB", NAME_TAKEN), (JOIN, " ", 5)]
    {
        for (payload, room, echo) in [(json(name), "json", "json"), (name.into(), "bare", "")] {
            control.request(operation, room, payload.as_bytes());
            assert_eq!(control.expect_reply(), acknowledgement(operation, echo, status));
            if status == OK {
                let completion = control.expect_reply();
                assert_eq!((completion.operation, completion.state), (operation, 2));
                assert_eq!(completion.room, echo.as_bytes());
            }
        }
    }
}

#[test]
fn w11_list_replies_have_no_room() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.request(LIST, "prefix", json("alice").as_bytes());
    assert_eq!(control.expect_reply(), acknowledgement(LIST, "", OK));
    let completion = Reply { operation: LIST, state: 2, room: vec![], payload: b"[]".into() };
    assert_eq!(control.expect_reply(), completion);
}

#[test]
fn w12_payload_errors_come_first() {
    let server = Server::start(&["--max-members-ip", "1"]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", b"alice");
    let all_wrong = br#"{"username":" ","delivery":3}"#;
    for operation in [CREATE, JOIN] {
        assert_eq!(control.status_of(operation, " ", all_wrong), MALFORMED);
        assert_eq!(control.status_of(operation, " ", json(" ").as_bytes()), INVALID_ROOM_NAME);
        assert_eq!(control.status_of(operation, " ", b" "), INVALID_ROOM_NAME);
        assert_eq!(control.status_of(operation, "r", b" "), INVALID_USER_NAME);
        assert_eq!(control.status_of(operation, "r", b"alice"), RATE_LIMITED);
        assert_eq!(control.status_of(operation, "s", b"alice"), RATE_LIMITED);
    }
    assert_eq!(control.status_of(JOIN, "r", json_with("bob", "x").as_bytes()), RATE_LIMITED);
}

#[test]
fn w12_first_reason_is_answered() {
    let options = ["--max-members-ip", "2", "--max-rooms", "1", "--max-members", "2"];
    let server = Server::start(&options);
    let room = r#"{"username":"host","password":"x","capacity":2}"#;
    let host = Member::create(&server, "r", room);
    let _kicked = Member::join(&server, "r", &json_with("kicked", "x"));
    host.say("/kick kicked");
    host.settle();

    let mut control = Control::connect(&server);
    control.enter(JOIN, "r", json_with("guest", "x").as_bytes());
    assert_eq!(control.status_of(CREATE, "r", b"alice"), RATE_LIMITED);
    assert_eq!(control.status_of(JOIN, "other", b"alice"), RATE_LIMITED);
    assert_eq!(control.status_of(JOIN, "r", json_with("kicked", "y").as_bytes()), RATE_LIMITED);

    // From here on the room is full, the server is full, and the IP has reached no limit.
    let mut control = Control::connect_from(&server, loopback(2));
    assert_eq!(control.status_of(CREATE, "r", b"alice"), ROOM_EXISTS);
    assert_eq!(control.status_of(CREATE, "other", b"alice"), SERVER_FULL);
    assert_eq!(control.status_of(JOIN, "other", b"alice"), ROOM_NOT_FOUND);
    let mut join =
        |name, password| control.status_of(JOIN, "r", json_with(name, password).as_bytes());
    assert_eq!(join("kicked", "y"), WRONG_PASSWORD);
    assert_eq!(join("guest", ""), WRONG_PASSWORD);
    assert_eq!(join("KICKED", "x"), KICKED);
    assert_eq!(join("guest", "x"), NAME_TAKEN);
    assert_eq!(join("alice", "x"), ROOM_FULL);
}

#[test]
fn w12_full_server_refuses() {
    let server = Server::start(&["--max-members", "2"]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", b"alice");
    control.enter(JOIN, "r", b"bob");
    assert_eq!(control.status_of(JOIN, "r", b"carol"), SERVER_FULL);
    assert_eq!(control.status_of(CREATE, "s", b"carol"), SERVER_FULL);

    let server = Server::start(&["--max-rooms", "1"]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", b"alice");
    assert_eq!(control.status_of(CREATE, "s", b"alice"), SERVER_FULL);
    assert_eq!(control.status_of(JOIN, "r", b"bob"), OK, "a room more, not a member");
}

#[test]
fn w12_a12_hidden_room_looks_absent() {
    let server = Server::start(&["--max-members-ip", "2"]);
    let room = r#"{"username":"host","password":"x","hidden":true,"capacity":2}"#;
    let host = Member::create(&server, "hidden", room);
    let kicked = Member::join(&server, "hidden", &json_with("kicked", "x"));
    host.say("/kick kicked");
    kicked.expect_sometime("you were removed from the room by its host");

    let mut control = Control::connect(&server);
    let mut join =
        |name, password| control.status_of(JOIN, "hidden", json_with(name, password).as_bytes());
    for name in ["alice", "host", "kicked"] {
        assert_eq!(join(name, ""), ROOM_NOT_FOUND);
        assert_eq!(join(name, "y"), ROOM_NOT_FOUND);
    }
    assert_eq!(join("host", "x"), NAME_TAKEN);
    assert_eq!(join("kicked", "x"), KICKED);
    control.enter(JOIN, "hidden", json_with("guest", "x").as_bytes());

    // The IP has reached its limit of members: the answer is 10 whatever the room.
    let wrong = json_with("alice", "y");
    for room in ["absent", "hidden"] {
        assert_eq!(control.status_of(JOIN, room, wrong.as_bytes()), RATE_LIMITED);
    }
    let mut control = Control::connect_from(&server, loopback(2));
    assert_eq!(control.status_of(JOIN, "hidden", wrong.as_bytes()), ROOM_NOT_FOUND);
    let right = json_with("alice", "x");
    assert_eq!(control.status_of(JOIN, "hidden", right.as_bytes()), ROOM_FULL);
    assert_eq!(control.status_of(CREATE, "hidden", b"alice"), ROOM_EXISTS);
    assert_eq!(list(&server, "hidden"), json!([]));
}

#[test]
fn w12_needless_password_is_ignored() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "r", b"alice");
    assert_eq!(control.status_of(JOIN, "r", json_with("bob", "x").as_bytes()), OK);
}

/// A member that has nothing but a token and a TCP connection, and a socket that may be its.
struct Newcomer {
    control: Control,
    member: Member,
}

impl Newcomer {
    fn join(server: &Server, name: &str) -> Self {
        let mut control = Control::connect(server);
        let token = control.enter(JOIN, "r", json(name).as_bytes());
        let member = Member::with_token(server.udp, control.local_ip(), "r", token);
        Self { control, member }
    }

    fn announce(&mut self, port: u16) {
        self.control.send(&port.to_be_bytes());
    }

    /// Ends the connection and waits until the server has seen it.
    fn leave_tcp(mut self) -> Member {
        self.control.end();
        self.control.expect_end();
        self.member
    }
}

/// Ends the server and returns true if it has counted an announced port as taken.
fn has_taken_a_port(server: &Server) -> bool {
    server.final_counts().contains("ports announced")
}

#[test]
fn w13_port_then_end_of_stream() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(guest.member.port());
    host.say("not before the end");
    host.settle();
    let guest = guest.leave_tcp();
    host.say("hi");
    guest.expect("host: hi");
}

#[test]
fn w13_port_then_deadline() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(guest.member.port());
    let mut later = Control::connect(&server);
    later.send(b"x");
    host.say("too early");
    // The deadline of the one that began later is over: so is the first.
    expect_refusal(&mut later, 0);
    host.say("hi");
    guest.member.expect("host: hi");
    let still_open = guest.control.status_of(JOIN, "absent", b"x");
    assert_eq!(still_open, ROOM_NOT_FOUND);
}

#[test]
fn w13_longer_input_is_a_frame() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    let request = frame(JOIN, "r", json("second").as_bytes());
    guest.control.send(&request[..2]);
    settle(&mut Control::connect(&server));
    guest.control.send(&request[2..]);
    guest.control.expect_success();
    guest.announce(guest.member.port());
    guest.control.send(b"x");
    guest.control.end();
    expect_refusal(&mut guest.control, (guest.member.port() & 0xff) as u8);
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_is_for_the_last_success() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let Newcomer { mut control, member: first } = Newcomer::join(&server, "first");
    let token = control.enter(JOIN, "r", json("second").as_bytes());
    assert_eq!(control.status_of(JOIN, "r", json("second").as_bytes()), NAME_TAKEN);
    let second = Member::with_token(server.udp, control.local_ip(), "r", token);
    let mut second = Newcomer { control, member: second };
    second.announce(second.member.port());
    let second = second.leave_tcp();
    host.say("/kick second");
    second.expect("you were removed from the room by its host");
    first.expect_silence();
}

#[test]
fn w13_port_needs_a_success() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "absent", b"bob"), ROOM_NOT_FOUND);
    control.send(b"\x10\x02");
    control.end();
    expect_refusal(&mut control, 2);
}

#[test]
fn w13_learned_port_outranks_announced() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.member.prove();
    let elsewhere = Member::with_token(server.udp, loopback(1), "r", guest.member.token);
    guest.announce(elsewhere.port());
    let guest = guest.leave_tcp();
    host.say("hi");
    guest.expect("host: hi");
    elsewhere.expect_empty_socket();
}

#[test]
fn w13_datagram_replaces_announced_port() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    let elsewhere = Member::with_token(server.udp, loopback(1), "r", guest.member.token);
    guest.announce(elsewhere.port());
    let guest = guest.leave_tcp();
    guest.prove();
    host.say("hi");
    guest.expect("host: hi");
    elsewhere.expect_empty_socket();
}

#[test]
fn w13_port_0_is_ignored() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "r", &json("host"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(0);
    guest.leave_tcp();
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_of_live_member_is_ignored() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let victim = Member::join(&server, "r", &json("victim"));
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(victim.port());
    guest.leave_tcp();
    victim.settle();
    host.say("hi");
    assert_eq!(victim.heard_up_to_now(), ["host: hi"], "once");
    assert!(!has_taken_a_port(&server));
}

#[test]
fn w13_port_of_departed_member_is_free() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", &json("host"));
    let gone = Member::join(&server, "r", &json("gone"));
    gone.say("/exit");
    host.expect_sometime("gone left");
    let mut guest = Newcomer::join(&server, "guest");
    guest.announce(gone.port());
    guest.leave_tcp();
    host.say("hi");
    gone.expect("host: hi");
}

#[test]
fn w14_closing_tcp_is_not_leaving() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let host = Member::create(&server, "r", &json("host"));
    let closed = Newcomer::join(&server, "closed").leave_tcp();
    let reset = Newcomer::join(&server, "reset");
    reset.control.reset();
    let mut kept = Newcomer::join(&server, "kept");
    kept.control.expect_end();
    for member in [&closed, &reset.member, &kept.member] {
        member.prove();
    }
    host.say("/who");
    host.expect_sometime("host (host), closed, reset, kept");
}

#[test]
fn w15_silent_connection_is_closed() {
    let server = Server::start(&IMPATIENT);
    let begun = Instant::now();
    let mut fresh = Control::connect(&server);
    let mut answered = Control::connect(&server);
    settle(&mut answered);
    fresh.expect_end();
    answered.expect_end();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn w11_w15_late_frame_is_malformed() {
    let server = Server::start(&IMPATIENT);
    let begun = Instant::now();
    let request = frame(JOIN, "room", json("alice").as_bytes());
    let mut controls: Vec<(Control, u8)> = [1, 31, 32, request.len() - 1]
        .into_iter()
        .map(|size| {
            let mut control = Control::connect(&server);
            control.send(&request[..size]);
            (control, if size > 1 { JOIN } else { 0 })
        })
        .collect();
    let mut answered = Control::connect(&server);
    settle(&mut answered);
    answered.send(&request[..2]);
    controls.push((answered, JOIN));
    for (control, operation) in &mut controls {
        expect_refusal(control, *operation);
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn w15_truncated_frame_is_malformed() {
    let server = Server::start(&[]);
    for size in [1, 2, 20, 40] {
        let mut control = Control::connect(&server);
        control.send(&frame(JOIN, "room", json("alice").as_bytes())[..size]);
        control.end();
        expect_refusal(&mut control, if size > 1 { JOIN } else { 0 });
    }
}

#[test]
fn w15_frame_deadline_is_absolute() {
    let server = Server::start(&IMPATIENT);
    let mut control = Control::connect(&server);
    control.stream().set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    // Another byte each time that nothing is heard for 100 ms: five seconds of them.
    let trickle = frame(JOIN, "room", &[b' '; 100]);
    let refused = trickle[..50].iter().any(|byte| {
        control.send(&[*byte]);
        control.stream().peek(&mut [0]).is_ok()
    });
    assert!(refused, "the bytes have put the deadline off");
    expect_refusal(&mut control, JOIN);
}

#[test]
fn w15_each_request_has_its_deadline() {
    let server = Server::start(&IMPATIENT);
    let mut control = Control::connect(&server);
    for _ in 0..6 {
        // The pause is what is tested: together they are longer than the deadline.
        std::thread::sleep(Duration::from_millis(300));
        let request = frame(LIST, "", b"");
        control.send(&request[..5]);
        control.send(&request[5..]);
        control.expect_success();
    }
}

#[test]
fn w15_longest_idle_is_evicted() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut silent = Control::connect(&server);
    settle(&mut silent);
    let mut talking = Control::connect(&server);
    settle(&mut talking);
    let mut third = Control::connect(&server);
    assert_eq!(silent.expect_status(), 8);
    silent.expect_end();
    settle(&mut talking);
    settle(&mut third);
    // Now the second has been silent for longer than the third.
    let mut fourth = Control::connect(&server);
    assert_eq!(talking.expect_status(), 8);
    talking.expect_end();
    settle(&mut third);
    settle(&mut fourth);
}

#[test]
fn w16_last_reply_survives_unread_input() {
    let server = Server::start(&[]);
    let mut header = frame(CREATE, "", b"");
    header[3] = 1;
    let garbage = vec![b'x'; 200 * 1024];
    for _ in 0..20 {
        let mut control = Control::connect(&server);
        control.send(&[&header[..], &garbage].concat());
        expect_refusal(&mut control, CREATE);
    }
}

#[test]
fn w16_requests_before_end_are_answered() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.send(&frame(LIST, "", b"").repeat(100));
    control.end();
    for _ in 0..100 {
        assert_eq!(control.expect_success(), b"[]");
    }
    control.expect_end();
}

#[test]
fn w16_linger_lasts_two_seconds() {
    let server = Server::start(&[]);
    let before = server.descriptors();
    let mut control = Control::connect(&server);
    let mut header = frame(CREATE, "", b"");
    header[3] = 1;
    control.send(&header);
    expect_refusal(&mut control, CREATE);
    let begun = Instant::now();
    assert!(server.descriptors() > before, "it is still read on");
    wait_for("the connection to be freed", || (server.descriptors() == before).then_some(()));
    assert!(begun.elapsed() > Duration::from_secs(1));
}

#[test]
fn w13_reset_keeps_announced_port() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "r", &json("alice"));
    let mut control = Control::connect(&server);
    control.request(JOIN, "r", json("bob").as_bytes());
    assert_eq!(control.expect_status(), OK);
    // The completion has come, and lies unread.
    assert_ne!(control.stream().peek(&mut [0; 1]).expect("a byte"), 0);
    let socket = UdpSocket::bind((control.local_ip(), 0)).expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    alice.expect("bob joined");
    control.send(&socket.local_addr().expect("an address").port().to_be_bytes());
    control.reset();
    wait_for("the announcement", || {
        alice.say("are you there");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let mut buffer = [0; 64];
        socket.recv(&mut buffer).ok()
    });
}

#[test]
fn w13_t1_own_port_is_refused() {
    for bind in ["127.0.0.1", "0.0.0.0"] {
        let server = Server::start(&["--bind", bind]);
        let tcp = (Ipv4Addr::LOCALHOST, server.tcp.port()).into();
        let mut control = Control::connect_to(tcp);
        control.enter(CREATE, "r", json("alice").as_bytes());
        control.send(&server.udp.port().to_be_bytes());
        control.end();
        control.expect_end();
        let mut bob = Control::connect_to(tcp);
        bob.enter(JOIN, "r", json("bob").as_bytes());
        let counts = server.final_counts();
        assert!(!counts.contains("ports announced") && !counts.contains("sent"), "{counts}");
    }
}
