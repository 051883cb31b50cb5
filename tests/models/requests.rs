//! Requests: valid ones are parsed whatever is left out, and invalid ones get their status.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use reactor_chat::protocol::name::{RoomName, fold};
use reactor_chat::protocol::request::{self, PathWishes};
use reactor_chat::protocol::{Delivery, Entrant, Form, Frame, Request, Status};

use super::inputs;

/// Names, their normal form if rooms may have them, and true if users may too.
const NAMES: [(&str, Option<&str>, bool); 12] = [
    ("a", Some("a"), true),
    ("b c", Some("b c"), true),
    ("部屋", Some("部屋"), true),
    ("\u{3000}a ", Some("a"), true),
    ("e\u{301}", Some("é"), true),
    ("a\u{3000}b", Some("a b"), true),
    ("a: b", Some("a: b"), false),
    ("a:", Some("a:"), false),
    ("", None, false),
    ("a\u{200b}", None, false),
    ("a\n", None, false),
    ("\u{301}", None, false),
];

/// Values of a key and their meaning, which is none for values of a wrong type.
type Meant<T> = (Value, Option<T>);

fn passwords() -> [Meant<Option<&'static str>>; 5] {
    [
        (json!(null), Some(None)),
        (json!(""), Some(None)),
        (json!("p"), Some(Some("p"))),
        (json!("パスワード"), Some(Some("パスワード"))),
        (json!(1), None),
    ]
}

fn capacities() -> [Meant<Option<u32>>; 6] {
    [
        (json!(null), Some(None)),
        (json!(1), Some(Some(1))),
        (json!(u64::MAX), Some(Some(u32::MAX))),
        (json!(0), None),
        (json!(-1), None),
        (json!("1"), None),
    ]
}

fn deliveries() -> [Meant<Delivery>; 6] {
    [
        (json!(null), Some(Delivery::Plain(Form::Text))),
        (json!("text"), Some(Delivery::Plain(Form::Text))),
        (json!("named"), Some(Delivery::Plain(Form::Named))),
        (json!("stream"), Some(Delivery::Stream)),
        (json!("Text"), None),
        (json!(true), None),
    ]
}

fn histories() -> [Meant<u32>; 4] {
    [(json!(null), Some(0)), (json!(7), Some(7)), (json!(1_025), Some(1_024)), (json!([]), None)]
}

fn hiddens() -> [Meant<bool>; 4] {
    [
        (json!(null), Some(false)),
        (json!(false), Some(false)),
        (json!(true), Some(true)),
        (json!(1), None),
    ]
}

/// A key that may be absent. That means the same as null, which is the first value.
fn key<T: Clone + std::fmt::Debug + 'static>(
    values: impl Into<Vec<Meant<T>>>,
) -> impl Strategy<Value = (Option<Value>, Option<T>)> {
    let values = values.into();
    let absent = values[0].1.clone();
    option::of(select(values)).prop_map(move |value| match value {
        Some((value, meaning)) => (Some(value), meaning),
        None => (None, absent.clone()),
    })
}

proptest! {
    #![proptest_config(inputs(10_000))]

    #[test]
    fn w5_w6_w12_keys_and_first_reason(
        is_create in any::<bool>(),
        (room, kept_room, _) in select(&NAMES[..]),
        names in prop::array::uniform2(option::of(option::of(select(&NAMES[..])))),
        (password, word) in key(passwords()),
        (delivery, form) in key(deliveries()),
        (history, past) in key(histories()),
        (capacity, most) in key(capacities()),
        (hidden, is_hidden) in key(hiddens()),
    ) {
        let mut object = Map::new();
        for (key, name) in ["username", "user_name"].into_iter().zip(names) {
            object.extend(name.map(|name| (key.into(), json!(name.map(|name| name.0)))));
        }
        let values = [
            ("password", password), ("delivery", delivery), ("history", history),
            ("capacity", capacity), ("hidden", hidden), ("more", Some(json!({"x": [1]}))),
        ];
        for (key, value) in values {
            object.extend(value.map(|value| (key.into(), value)));
        }
        let payload = Value::Object(object).to_string();
        let operation = if is_create { 1 } else { 2 };
        let frame =
            Frame { operation, state: 1, room: room.as_bytes(), payload: payload.as_bytes() };
        let user = names[0].flatten().or(names[1].flatten()).filter(|name| name.2);
        let expected = match (word, form, past) {
            (Some(word), Some(delivery), Some(history)) => {
                let wishes = if is_create { most.zip(is_hidden) } else { Some((None, false)) };
                match (wishes, kept_room, user) {
                    (None, ..) => Err(Status::Malformed),
                    (_, None, _) => Err(Status::InvalidRoomName),
                    (_, _, None) => Err(Status::InvalidUserName),
                    (Some((capacity, hidden)), Some(kept), Some((_, name, _))) => {
                        let password = word.map(String::from);
                        let room = RoomName { name: kept.into(), as_sent: room };
                        let name = name.expect("what a user may have, a room may").into();
                        let one = Entrant { room, name, password, delivery, history, path: PathWishes::default() };
                        Ok(match is_create {
                            true => Request::Create { host: one, capacity, hidden, sealed_only: false },
                            false => Request::Join(one),
                        })
                    }
                }
            }
            _ => Err(Status::Malformed),
        };
        prop_assert_eq!(request::parse(&frame), expected, "{}", payload);
        prop_assert_eq!(request::echoed_room(&frame), room.as_bytes());
    }

    #[test]
    fn w5_w7_any_payload_is_decided(
        operation in 0..6u8,
        room in vec(any::<u8>(), 0..9),
        payload in prop_oneof![
            vec(any::<u8>(), 0..60),
            vec(select(&b"{}[]\":,\\ue1 \n"[..]), 0..60),
            r#" ?\{"(username|password|capacity)":("[a :]{0,4}"|-?[0-9.e]{1,5}|true|null|\[)\}?"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let frame = Frame { operation, state: 0, room: &room, payload: &payload };
        let read = request::parse(&frame);
        let is_json = payload.trim_ascii_start().first() == Some(&b'{');
        match read {
            Ok(
                Request::Create { host: Entrant { name, .. }, .. }
                | Request::Join(Entrant { name, .. })
            ) if !is_json => {
                let sent = str::from_utf8(&payload).expect("UTF-8").trim_matches([' ', '\u{3000}']);
                prop_assert_eq!(fold(&name), fold(sent));
            }
            Ok(_) => {}
            Err(Status::InvalidRoomName | Status::InvalidUserName | Status::Malformed) => {}
            Err(other) => prop_assert!(false, "{:?} before anybody has looked", other),
        }
    }
}
