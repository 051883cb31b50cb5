//! Sessions and their members.

use crate::support::carried::Carried;
use crate::support::quic::{Browser, QuicMember};
use crate::support::sealed::Sealed;
use crate::support::streams::{Item, Listener, is_in};
use crate::support::websocket::{BINARY, WebMember};
use crate::support::*;

#[test]
fn h8_members_talk_in_datagrams() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut guest = QuicMember::join(&server, "bob");
    host.say(1, "to bob");
    guest.say(1, "to ann");
    for (member, text) in [(&mut host, "to ann"), (&mut guest, "to bob")] {
        let (is_unit, _) = member.hear_until(|items| is_in(items, text));
        assert!(!is_unit, "it fits a datagram");
    }
}

#[test]
fn h5_session_checks_origin_and_path() {
    let server = Server::start(&["--allow-origin", "https://chat.example"]);
    let page = format!("http://127.0.0.1:{}", server.tcp.port());
    let of_udp_port = format!("http://127.0.0.1:{}", server.udp.port());
    let cases = [
        ("/chat", Some(&*page), "200"),
        ("/chat?room=a", None, "200"),
        ("/chat", Some("https://chat.example"), "200"),
        ("/chat", Some("https://evil.example"), "403"),
        ("/chat", Some(&*of_udp_port), "403"),
        ("/chat", Some("null"), "403"),
        ("/other", None, "404"),
    ];
    for (path, origin, status) in cases {
        assert_eq!(Browser::connect(server.udp).ask(path, origin), status, "{path} {origin:?}");
    }
}

#[test]
fn h5_session_checks_the_host() {
    let server = Server::start(&[]);
    let mut browser = Browser::connect(server.udp);
    browser.link.request_session("rebound.example", "/chat", None);
    let session = browser.link.session;
    assert_eq!(browser.wait("an answer", |link| link.take_status(session)), "421");
}

#[test]
fn h8_session_has_one_member() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let again = r#"{"operation":"join","room":"room","username":"bob"}"#;
    assert_eq!(host.browser.request(again).1["status"], 9);
    let (list, reply) = host.browser.request(r#"{"operation":"list"}"#);
    assert_eq!(reply["rooms"].as_array().expect("rooms").len(), 1);
    host.browser.wait("its end", |link| link.inputs[&list].has_ended.then_some(()));
}

#[test]
fn h8_connection_has_one_session() {
    let server = Server::start(&[]);
    let mut browser = Browser::open(server.udp);
    let first = browser.link.session;
    browser.link.request_session("127.0.0.1", "/chat", None);
    let second = std::mem::replace(&mut browser.link.session, first);
    assert_eq!(browser.expect_reset(second), 0x10b, "H3_REQUEST_REJECTED");
    assert_eq!(browser.request(r#"{"operation":"list"}"#).1["status"], 0);
}

#[test]
fn h8_long_message_takes_the_stream() {
    let server = Server::start(&[]);
    let mut host = Carried::create(&server, "ann");
    let guest = Browser::open(server.udp);
    let mut guest = QuicMember::enter_text(guest, "join", "bob");
    let long = "x".repeat(3_000);
    host.say(&long);
    assert_eq!(guest.hear_text(), (true, format!("ann: {long}")));
    host.say("short");
    assert_eq!(guest.hear_text(), (false, "ann: short".into()));
    let content = long.as_bytes();
    assert!(!guest.browser.link.send_datagram(content), "too long for a datagram");
    guest.browser.link.write_unit(guest.stream, content);
    guest.browser.flush();
    host.hear_until(&format!("bob: {long}"));
}

#[test]
fn h8_member_carried_by_its_stream() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let guest = Browser::open(server.udp);
    let mut guest = QuicMember::enter(guest, "join", "bob", r#","carry":true"#);
    host.say(1, "hello");
    let (is_unit, _) = guest.hear_until(|items| is_in(items, "hello"));
    assert!(is_unit && guest.browser.link.datagrams.is_empty());
    guest.say_in_unit(1, "hello too");
    host.hear_until(|items| is_in(items, "hello too"));
}

/// Checks the last aside of a member, the end of its stream, and the code of its session.
#[track_caller]
fn expect_end(member: &mut QuicMember, reason: u8) {
    member.hear_until(|items| matches!(items, [.., Item::Aside { code, .. }] if *code == reason));
    assert_eq!(member.browser.expect_closed(), 4_000 + u32::from(reason));
    assert!(member.browser.link.inputs[&member.stream].has_ended);
    member.browser.close();
}

#[test]
fn h6_end_of_a_member_has_its_code() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut removed = QuicMember::join(&server, "bob");
    host.say(1, "/kick bob");
    expect_end(&mut removed, 7);
    let mut leaving = QuicMember::join(&server, "cat");
    leaving.say(1, "/exit");
    expect_end(&mut leaving, 2);
}

#[test]
fn h6_end_of_the_server_has_its_code() {
    let mut server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut idle = Browser::open(server.udp);
    server.signal("TERM");
    expect_end(&mut host, 13);
    assert_eq!(idle.expect_lost(), 0x100);
    assert!(server.wait().success());
}

#[test]
fn h8_client_closes_its_session() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut guest = QuicMember::join(&server, "bob");
    guest.browser.link.close_session(0);
    let session = guest.browser.link.session;
    guest.browser.wait("the server's half", |link| link.inputs[&session].has_ended.then_some(()));
    host.say(1, "after that");
    let mut again = Browser::open(server.udp);
    let token = guest.reply["token"].as_str().expect("a token");
    let request = format!(r#"{{"operation":"resume","room":"room","token":"{token}"}}"#);
    assert_eq!(again.request(&request).1["status"], 0);
}

#[test]
fn h8_lost_connection_detaches() {
    let server = Server::start(&[]);
    let mut host = QuicMember::create(&server, "ann");
    let mut guest = QuicMember::join(&server, "bob");
    let token = guest.reply["token"].as_str().expect("a token").to_owned();
    guest.browser.close();
    host.say(1, "while bob is away");
    let mut again = Browser::open(server.udp);
    let next = guest.next();
    let request = format!(r#"{{"operation":"resume","room":"room","token":"{token}"}}"#);
    let (stream, reply) = again.request(&request);
    assert_eq!(reply["status"], 0, "{reply}");
    let mut guest = QuicMember { browser: again, stream, reply };
    guest.have(next);
    guest.hear_until(|items| is_in(items, "while bob is away"));
}

#[test]
fn h8_all_paths_meet_in_one_room() {
    let server = Server::start(&[]);
    let clear = Listener::create(&server, "ann");
    let mut quic = QuicMember::join(&server, "bob");
    let mut web = WebMember::join(&server, "cat");
    let sealed = Sealed::join(&server, "dan", "");
    let mut carried = Carried::join(&server, "eve");
    clear.say(1, "from ann");
    quic.say(1, "from bob");
    web.say("from cat");
    sealed.say("from dan");
    carried.say("from eve");
    let names = ["ann", "bob", "cat", "dan", "eve"];
    let mut heard = Vec::new();
    let mut expect_all = |own: &str, next: &mut dyn FnMut() -> Vec<String>| {
        let mut missing: Vec<_> = names.iter().filter(|name| **name != own).collect();
        while !missing.is_empty() {
            let texts = next();
            missing.retain(|name| !texts.iter().any(|text| *text == format!("from {name}")));
        }
        heard.push(own.to_owned());
    };
    let of_line = |bytes: Vec<u8>| {
        let line = String::from_utf8(bytes).expect("UTF-8");
        line.split_once(": ").map(|(_, text)| text.to_owned()).into_iter().collect()
    };
    let of_items = |items: Vec<Item>| -> Vec<String> {
        let texts = items.into_iter().filter_map(|item| match item {
            Item::Message { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    };
    expect_all("ann", &mut || of_items(clear.hear().items));
    expect_all("bob", &mut || of_items(quic.hear().1.items));
    expect_all("cat", &mut || of_line(web.socket.expect_frame(BINARY)));
    expect_all("dan", &mut || of_line(sealed.hear()));
    expect_all("eve", &mut || of_line(carried.hear().expect("a unit")));
    assert_eq!(heard, names);
}
