//! Tests of the codec of requests.

use super::*;
use crate::protocol::Ciphers;
use crate::protocol::frame::{Decoded, HEADER_SIZE, decode};
use proptest::prelude::*;

fn frame<'a>(operation: u8, room: &'a str, payload: &'a [u8]) -> Frame<'a> {
    Frame { operation, state: 0, room: room.as_bytes(), payload }
}

fn join(payload: &str) -> Result<Entrant<'_>, Status> {
    match parse(&frame(2, "r", payload.as_bytes()))? {
        Request::Join(entrant) => Ok(entrant),
        other => panic!("not a join: {other:?}"),
    }
}

#[test]
fn w4_request_state_is_ignored() {
    let mut request = frame(2, "r", b"bob");
    request.state = 1;
    assert!(parse(&request).is_ok());
}

#[test]
fn w4_unknown_operation_is_malformed() {
    for operation in [0, 5, 6, 255] {
        assert_eq!(parse(&frame(operation, "r", b"bob")), Err(Status::Malformed));
    }
}

#[test]
fn w5_brace_makes_payload_json() {
    let bare = join("bob").unwrap();
    assert_eq!((&*bare.name, bare.delivery), ("bob", Delivery::Plain(Form::Named)));
    assert_eq!(join("[bob]").unwrap().name, "[bob]");
    assert_eq!(join("\"bob\"").unwrap().name, "\"bob\"");
    let json = join(" \r\n\t{\"username\":\"bob\"} ").unwrap();
    assert_eq!((&*json.name, json.delivery), ("bob", Delivery::Plain(Form::Text)));
    assert_eq!(join(" bob").unwrap().name, "bob");
    assert_eq!(join(""), Err(Status::InvalidUserName));
}

#[test]
fn w6_username_comes_before_user_name() {
    assert_eq!(join(r#"{"user_name":"b"}"#).unwrap().name, "b");
    assert_eq!(join(r#"{"user_name":"b","username":"a"}"#).unwrap().name, "a");
    assert_eq!(join(r#"{"username":null,"user_name":"b"}"#).unwrap().name, "b");
    assert_eq!(join("{}"), Err(Status::InvalidUserName));
    assert_eq!(join(r#"{"username":""}"#), Err(Status::InvalidUserName));
}

#[test]
fn w6_empty_password_is_none() {
    for password in ["", r#","password":null"#, r#","password":"""#] {
        let payload = format!(r#"{{"username":"b"{password}}}"#);
        assert_eq!(join(&payload).unwrap().password, None);
    }
    let payload = r#"{"username":"b","password":" x ","unknown":[1,{"deep":2}]}"#;
    assert_eq!(join(payload).unwrap().password.as_deref(), Some(" x "));
}

#[test]
fn w6_field_k_password_line_end_is_cut() {
    for (sent, kept) in [
        ("x\\n", Some("x")),
        ("x\\r\\n", Some("x")),
        ("x\\n\\n", Some("x")),
        ("x\\ny ", Some("x\ny ")),
        ("\\n", None),
    ] {
        let payload = format!(r#"{{"username":"b","password":"{sent}"}}"#);
        assert_eq!(join(&payload).unwrap().password.as_deref(), kept, "{sent}");
    }
    let longest = format!(r#"{{"username":"b","password":"{}\n"}}"#, "x".repeat(MAX_PASSWORD));
    assert!(join(&longest).is_ok());
}

#[test]
fn w6_bad_json_is_malformed() {
    let long = format!(r#"{{"username":"b","password":"{}"}}"#, "x".repeat(MAX_PASSWORD + 1));
    let deep = format!(r#"{{"username":"b","x":{}}}"#, "[".repeat(10_000));
    for payload in [
        "{",
        r#"{"username":"b"} x"#,
        r#"{"username":1}"#,
        r#"{"username":"b","password":5}"#,
        r#"{"username":"b","delivery":"TEXT"}"#,
        &long,
        &deep,
    ] {
        let shown = &payload[..payload.len().min(60)];
        assert_eq!(join(payload), Err(Status::Malformed), "{shown}");
    }
    assert_eq!(parse(&frame(2, "r", b"{\"username\":\"\xff\"}")), Err(Status::Malformed));
}

#[test]
fn w6_join_ignores_room_keys() {
    for wish in [
        r#""capacity":0"#,
        r#""capacity":-1"#,
        r#""capacity":1.5"#,
        r#""capacity":"9""#,
        r#""hidden":1"#,
    ] {
        let payload = format!(r#"{{"username":"b",{wish}}}"#);
        let create = parse(&frame(1, "r", payload.as_bytes())).map(drop);
        assert_eq!(create, Err(Status::Malformed), "{wish}");
        assert!(join(&payload).is_ok(), "{wish}");
    }
}

#[test]
fn w6_create_has_room_keys() {
    let payload = br#"{"username":"a","capacity":3,"hidden":true,"delivery":"named"}"#;
    let parsed = parse(&frame(1, "r", payload));
    let Ok(Request::Create { host, capacity, hidden, sealed_only: false }) = parsed else {
        panic!("a create request")
    };
    assert_eq!((capacity, hidden, host.delivery), (Some(3), true, Delivery::Plain(Form::Named)));
}

#[test]
fn s12_history_is_capped() {
    let history = |json: &str| {
        join(&format!(r#"{{"username":"b","delivery":"stream"{json}}}"#))
            .map(|entrant| (entrant.delivery, entrant.history))
    };
    let of = |history| Ok((Delivery::Stream, history));
    assert_eq!(history(""), of(0));
    assert_eq!(history(r#","history":null"#), of(0));
    assert_eq!(history(r#","history":1024"#), of(1024));
    assert_eq!(history(r#","history":18446744073709551615"#), of(1024));
    for wrong in ["-1", "1.5", "\"9\"", "true"] {
        let wish = format!(r#","history":{wrong}"#);
        assert_eq!(history(&wish), Err(Status::Malformed), "{wrong}");
    }
}

#[test]
fn s14_resume_takes_a_token() {
    let token = "0123456789abcdef0123456789abcdef";
    let resume = parse(&frame(4, "r", token.as_bytes()));
    let Ok(Request::Resume { room, token: read, path: None }) = resume else {
        panic!("{resume:?}")
    };
    assert_eq!((&*room.name, &read.to_wire()[..]), ("r", token.as_bytes()));
    assert_eq!(parse(&frame(4, "r", &token.as_bytes()[1..])), Err(Status::Malformed));
    assert_eq!(parse(&frame(4, " ", token.as_bytes())), Err(Status::InvalidRoomName));
}

#[test]
fn w12_order_of_errors() {
    let both = frame(1, " ", br#"{"username":" ","hidden":3}"#);
    assert_eq!(parse(&both), Err(Status::Malformed));
    let names = frame(1, " ", br#"{"username":" "}"#);
    assert_eq!(parse(&names), Err(Status::InvalidRoomName));
    assert_eq!(parse(&frame(1, " ", b"\xff")), Err(Status::InvalidRoomName));
    assert_eq!(parse(&frame(1, "r", b"\xff")), Err(Status::InvalidUserName));
}

#[test]
fn w11_only_json_requests_get_room_echo() {
    assert_eq!(echoed_room(&frame(1, "r", b"{}")), b"r");
    assert_eq!(echoed_room(&frame(2, "r", b" {broken")), b"r");
    assert_eq!(echoed_room(&frame(2, "r", b"bob")), b"");
    assert_eq!(echoed_room(&frame(3, "r", b"{}")), b"");
    assert_eq!(echoed_room(&frame(9, "r", b"{}")), b"");
}

#[test]
fn w10_list_prefix_may_be_any_bytes() {
    let request = |room| Frame { operation: 3, state: 0, room, payload: b"ignored" };
    let list = |prefix| Ok(Request::List { prefix, after: None });
    assert_eq!(parse(&request(b"\xff")), list(None));
    let prefix = Some("\u{e9} ".into());
    assert_eq!(parse(&request("e\u{301} ".as_bytes())), list(prefix));
}

#[test]
fn w10_field_h_list_after_a_name() {
    let list = |payload: &str| match parse(&frame(3, "", payload.as_bytes())) {
        Ok(Request::List { after, .. }) => Ok(after),
        Ok(other) => panic!("{other:?}"),
        Err(status) => Err(status),
    };
    assert_eq!(list(r#"{"after":"a b"}"#), Ok(Some("a b".into())));
    for payload in ["", "after", "{}", r#"{"after":null}"#, r#"{"username":"b"}"#] {
        assert_eq!(list(payload), Ok(None), "{payload}");
    }
    let long = format!(r#"{{"after":"{}"}}"#, "x".repeat(256));
    for payload in [r#"{"after":1}"#, r#"{"after":["a"]}"#, r#"{"after":"a""#, "{", &long] {
        assert_eq!(list(payload), Err(Status::Malformed), "{payload}");
    }
}

#[test]
fn e5_c1_path_keys() {
    let path = |keys: &str| join(&format!(r#"{{"username":"b"{keys}}}"#)).map(|one| one.path);
    assert_eq!(path(""), Ok(PathWishes::default()));
    assert_eq!(path(r#","seal":null,"carry":false"#), Ok(PathWishes::default()));
    let all = PathWishes { seal: true, ciphers: Ciphers::ALL, carry: false };
    assert_eq!(path(r#","seal":true"#), Ok(all), "without a list");
    assert_eq!(path(r#","seal":true,"carry":true"#), Ok(PathWishes { carry: true, ..all }));
    for wrong in [
        r#","seal":1"#,
        r#","carry":"yes""#,
        r#","seal":true,"ciphers":["rot13"]"#,
        r#","seal":true,"ciphers":"aes-128-gcm""#,
    ] {
        assert_eq!(path(wrong), Err(Status::Malformed), "{wrong}");
    }
}

#[test]
fn e5_resume_takes_an_object() {
    let payload = r#"{"token":"0123456789abcdef0123456789abcdef","carry":true}"#;
    let resume = frame(4, "r", payload.as_bytes());
    let Ok(Request::Resume { path: Some(path), .. }) = parse(&resume) else {
        panic!("a resume request")
    };
    assert_eq!(path, PathWishes { carry: true, ..PathWishes::default() });
    assert_eq!(echoed_room(&resume), b"r");
    for wrong in [r#"{"token":"12"}"#, r#"{"carry":true}"#, "{"] {
        assert_eq!(parse(&frame(4, "r", wrong.as_bytes())), Err(Status::Malformed), "{wrong}");
    }
}

fn text(request: &Request<'_>) -> String {
    let bytes = encode(request);
    String::from_utf8(bytes[HEADER_SIZE..].to_vec()).expect("UTF-8")
}

#[test]
fn w6_encoded_payload_has_only_known_keys() {
    let room = RoomName { name: "r".into(), as_sent: "r" };
    let (name, password) = ("b\"".into(), Some("x".into()));
    let path = PathWishes { seal: true, ciphers: Ciphers::ALL, carry: true };
    let host = Entrant { room, name, password, delivery: Delivery::Stream, history: 9, path };
    let create = Request::Create { host, capacity: Some(3), hidden: true, sealed_only: true };
    let all = concat!(
        r#"r{"username":"b\"","password":"x","delivery":"stream","history":9,"capacity":3,"#,
        r#""hidden":true,"sealed_only":true,"seal":true,"#,
        r#""ciphers":["aes-128-gcm","chacha20-poly1305"],"carry":true}"#,
    );
    assert_eq!(text(&create), all);
    assert_eq!(text(&Request::List { prefix: Some("a".into()), after: None }), "a");
    let after = Some("b".into());
    assert_eq!(text(&Request::List { prefix: Some("".into()), after }), r#"{"after":"b"}"#);
}

prop_compose! {
    fn wishes()(seal in any::<bool>(), carry in any::<bool>()) -> PathWishes {
        PathWishes { seal, ciphers: Ciphers::ALL, carry }
    }
}

prop_compose! {
    fn entrants()(
        room in "[a-zé日]{1,20}",
        name in "[a-z日\"\\\\]{1,20}",
        password in proptest::option::of("[ -~é]{1,20}"),
        delivery in prop_oneof![
            Just(Delivery::Plain(Form::Text)),
            Just(Delivery::Plain(Form::Named)),
            Just(Delivery::Stream),
        ],
        history in 0..=MAX_HISTORY,
        path in wishes(),
    ) -> (String, Entrant<'static>) {
        let empty = RoomName { name: "".into(), as_sent: "" };
        (room, Entrant { room: empty, name: name.into(), password, delivery, history, path })
    }
}

proptest! {
    #[test]
    fn w6_encoded_requests_are_parsed_again(
        (room, entrant) in entrants(),
        capacity in proptest::option::of(1..=u32::MAX),
        hidden in any::<bool>(),
        sealed_only in any::<bool>(),
        resumed in proptest::option::of(wishes()),
        bits in any::<[u8; 16]>(),
        prefix in proptest::option::of("[a-zé日]{0,20}"),
        after in proptest::option::of("[ -~é]{0,20}"),
    ) {
        let room = name::room_name(room.as_bytes()).expect("a valid name");
        let entrant = Entrant { room: room.clone(), ..entrant };
        for request in [
            Request::Create { host: entrant.clone(), capacity, hidden, sealed_only },
            Request::Join(entrant),
            Request::Resume { room, token: Token::from_bits(bits), path: resumed },
            Request::List { prefix: prefix.map(Cow::Owned), after },
        ] {
            let bytes = encode(&request);
            let Decoded::Whole(frame) = decode(&bytes, bytes.len()) else { panic!("whole") };
            prop_assert_eq!(frame.size(), bytes.len());
            prop_assert_eq!(parse(&frame), Ok(request));
        }
    }
}
