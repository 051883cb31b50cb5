//! W9 to W12: replies, lists and the order of reasons.

use serde_json::json;

use crate::support::{CREATE, Control, JOIN, LIST, Member, Reply, Server, Token, loopback};
use crate::{
    INVALID_ROOM_NAME, INVALID_USER_NAME, KICKED, MALFORMED, NAME_TAKEN, OK, RATE_LIMITED,
    ROOM_EXISTS, ROOM_FULL, ROOM_NOT_FOUND, SERVER_FULL, WRONG_PASSWORD, acknowledgement, json,
    json_with, list, room_names,
};

#[test]
fn w9_w10_success_is_two_frames() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    // A second frame after a failure would look like the reply to the next request.
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

    // From here on room and server are full, and this IP has reached no limit.
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

    // The IP has reached its limit of members: the status is 10 for any room.
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
