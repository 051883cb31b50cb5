//! Requests with any payload, and the replies of the chat.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use reactor_chat::chat::{Chat, Reply};
use reactor_chat::config::ChatConfig;
use reactor_chat::protocol::name::{fold, room_name};
use reactor_chat::protocol::stream::MAX_HISTORY;
use reactor_chat::protocol::{
    Decoded, Delivery, Entrant, Form, Frame, Request, Status, decode, request,
};

use super::input::Input;

/// The most bytes of a list: few, so that it is often cut.
const MAX_LIST: usize = 300;

/// Sends requests, each of which is an operation, a room name and a payload.
pub fn request(data: &[u8]) {
    let mut input = Input(data);
    let (mut chat, now) = (Chat::new(ChatConfig::default()), Instant::now());
    let mut entered = 0;
    while !input.is_empty() {
        let (operation, room, payload) = (input.byte() % 6, input.bytes(), input.bytes());
        let room = &room[..room.len().min(255)];
        let frame = Frame { operation, state: input.byte(), room, payload: &payload };
        let parsed = request::parse(&frame);
        check_echo(&frame);
        match &parsed {
            Ok(Request::Create { host, capacity, .. }) => {
                assert_eq!(operation, 1);
                assert_ne!(*capacity, Some(0));
                check_entrant(host, &frame);
            }
            Ok(Request::Join(guest)) => {
                assert_eq!(operation, 2);
                check_entrant(guest, &frame);
            }
            Ok(Request::List { prefix, after }) => {
                assert_eq!((operation, prefix.is_some()), (3, str::from_utf8(room).is_ok()));
                assert!(after.as_ref().is_none_or(|after| after.len() <= 255));
            }
            Ok(Request::Resume { token, .. }) => assert_eq!(token.to_wire()[..], payload),
            Err(status) => assert!(matches!(
                status,
                Status::Malformed | Status::InvalidRoomName | Status::InvalidUserName
            )),
        }
        let Ok(request) = parsed else { continue };
        check_encoding(&request);
        let draw = || Some([entered as u8; 16]);
        let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, entered as u8));
        match chat.handle_request(ip.into(), &request, draw, MAX_LIST, now) {
            Ok(Reply::Entered { stream, .. }) => {
                entered += 1;
                check_completion(&request, stream.is_some());
            }
            Ok(Reply::Rooms(list)) => check_list(&list),
            Ok(Reply::Resumed { .. } | Reply::Later { .. }) | Err(_) => {}
        }
        assert_eq!(chat.census().tokens, entered);
        if entered == 250 {
            return;
        }
    }
}

/// Asserts that only JSON requests to create or join get their room name back.
fn check_echo(frame: &Frame<'_>) {
    let is_json = frame.payload.trim_ascii_start().starts_with(b"{");
    let is_echoed = is_json && matches!(frame.operation, 1 | 2);
    assert_eq!(request::echoed_room(frame), if is_echoed { frame.room } else { b"" });
}

fn check_entrant(entrant: &Entrant<'_>, frame: &Frame<'_>) {
    assert_eq!(entrant.room.as_sent.as_bytes(), frame.room);
    for name in [&entrant.room.name, &entrant.name] {
        assert!((1..=255).contains(&name.len()) && *name == name.trim() && !name.contains("  "));
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(!fold(name).is_empty(), "{name:?}");
        let again = room_name(name.as_bytes()).expect("a kept name is valid");
        assert_eq!((again.name, again.as_sent), (name.clone(), &**name));
    }
    assert!(!entrant.name.contains(": ") && !entrant.name.ends_with(':'));
    assert!(entrant.history <= MAX_HISTORY);
    assert!(entrant.password.as_ref().is_none_or(|word| (1..=1024).contains(&word.len())));
    if entrant.delivery == Delivery::Plain(Form::Named) && entrant.password.is_none() {
        return;
    }
    assert!(frame.payload.trim_ascii_start().starts_with(b"{"), "a bare name has no other keys");
}

/// Asserts that an encoded request is parsed as the same one. A normalized prefix may be too long for
/// a frame.
fn check_encoding(request: &Request<'_>) {
    if matches!(request, Request::List { prefix: Some(prefix), .. } if prefix.len() > 255) {
        return;
    }
    let bytes = request::encode(request);
    let Decoded::Whole(frame) = decode(&bytes, bytes.len()) else { panic!("a partial frame") };
    assert_eq!(request::parse(&frame).as_ref(), Ok(request));
}

fn check_completion(request: &Request<'_>, has_stream: bool) {
    let (Request::Create { host: entrant, .. } | Request::Join(entrant)) = request else {
        panic!("entered with {request:?}")
    };
    assert_eq!(has_stream, entrant.delivery == Delivery::Stream);
}

fn check_list(list: &[u8]) {
    assert!(list.len() <= MAX_LIST, "{} bytes", list.len());
    let list = str::from_utf8(list).expect("UTF-8");
    assert!(list.starts_with('[') && list.ends_with(']'));
    assert!(
        list == "[]" || list.starts_with("[{") && list.ends_with("}]"),
        "cut within a room: {list}"
    );
}
