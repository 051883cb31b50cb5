//! Requests on a WebSocket (H6): the handshake, and what comes before a member.

use std::io::Write;
use std::net::TcpStream;

use crate::support::encrypted::Encrypted;
use crate::support::websocket::*;
use crate::support::*;

/// Sends the head of a request, and returns the head of the response.
fn head_for(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.tcp).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    read_head(&mut stream)
}

#[test]
fn h7_handshake_follows_the_rfc() {
    let server = Server::start(&[]);
    let valid = String::from_utf8(handshake(&server.tcp.to_string())).expect("ASCII");
    assert!(head_for(&server, &valid).starts_with("HTTP/1.1 101 "));
    let lower = valid.replace("Connection: Upgrade", "connection: keep-alive, upgrade");
    assert!(head_for(&server, &lower).starts_with("HTTP/1.1 101 "));
    let offer =
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: a, b\r\n\r\n";
    let offered = head_for(&server, &valid.replace("\r\n\r\n", &format!("\r\n{offer}")));
    assert!(offered.starts_with("HTTP/1.1 101 "));
    assert!(!offered.contains("Extensions") && !offered.contains("Protocol:"), "{offered}");
    for (from, to, status) in [
        ("Version: 13", "Version: 8", "426"),
        ("Version: 13", "Version: 14", "426"),
        ("Upgrade: websocket", "Upgrade: h2c", "426"),
        ("Connection: Upgrade", "Connection: close", "426"),
        (KEY, "c2hvcnQ=", "400"),
        (KEY, "no base64 at all!!!!!!==", "400"),
    ] {
        let head = head_for(&server, &valid.replace(from, to));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{to}: {head}");
        assert_eq!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"), status == "426");
    }
}

#[test]
fn h6_request_then_binary_messages() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    assert_eq!(alice.reply.len(), r#"{"status":0,"token":""}"#.len() + 32);
    let mut bob = WebMember::join(&server, "bob");
    let carol = Member::join(&server, "room", &text("carol"));
    alice.expect("bob joined");
    for member in [&mut alice, &mut bob] {
        member.expect("carol joined");
    }
    alice.say("one");
    bob.expect("alice: one");
    carol.expect("alice: one");
    carol.say("two");
    alice.expect("carol: two");
    bob.expect("carol: two");
    bob.say("");
    bob.say(&"x".repeat(4000));
    alice.expect(&format!("bob: {}", "x".repeat(4000)));
}

#[test]
fn h6_refused_request_leaves_it_open() {
    let server = Server::start(&[]);
    let mut socket = Socket::connect(&server);
    for (request, status) in [
        ("no JSON", 9),
        ("[]", 9),
        (r#"{"operation":"talk","room":"room","username":"a"}"#, 9),
        (r#"{"operation":"join","room":"room","room":"room","username":"a"}"#, 9),
        (r#"{"operation":"join","room":"room","username":1}"#, 9),
        (r#"{"operation":"join","username":"a"}"#, 4),
        (r#"{"operation":"join","room":"room"}"#, 5),
        (r#"{"operation":"join","room":"room","username":"a"}"#, 2),
        (r#"{"operation":"resume","room":"room","token":"0"}"#, 9),
    ] {
        assert_eq!(socket.ask(request), format!(r#"{{"status":{status}}}"#), "{request}");
    }
    let nobody = format!(r#"{{"operation":"resume","room":"room","token":"{}"}}"#, "0".repeat(32));
    assert_eq!(socket.ask(&nobody), r#"{"status":2}"#);
    WebMember::enter(socket, &entry("create", "alice", ""));
}

#[test]
fn h6_lists_come_before_a_member() {
    let server = Server::start(&[]);
    let mut socket = Socket::connect(&server);
    let list = r#"{"operation":"list"}"#;
    assert_eq!(socket.ask(list), r#"{"status":0,"rooms":[]}"#);
    let _alice = WebMember::create(&server, "alice");
    let room = r#"{"room":"room","members":1,"capacity":10000,"password":false}"#;
    assert_eq!(socket.ask(list), format!(r#"{{"status":0,"rooms":[{room}]}}"#));
    let later = r#"{"operation":"list","room":"r","after":"room"}"#;
    assert_eq!(socket.ask(later), r#"{"status":0,"rooms":[]}"#);
    let mut bob = WebMember::enter(socket, &entry("join", "bob", ""));
    bob.say("/who");
    bob.expect("alice (host), bob");
}

#[test]
fn h6_everything_may_come_at_once() {
    let server = Server::start(&[]);
    let mut alice = WebMember::create(&server, "alice");
    let mut all = handshake(&server.tcp.to_string());
    all.extend(client_frame(FINAL | TEXT, br#"{"operation":"list","room":"x"}"#));
    all.extend(client_frame(FINAL | TEXT, entry("join", "bob", "").as_bytes()));
    all.extend(client_frame(FINAL | BINARY, b"one"));
    all.extend(client_frame(FINAL | BINARY, b"/exit"));
    for step in [all.len(), 1] {
        let mut stream = TcpStream::connect(server.tcp).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        all.chunks(step).for_each(|piece| stream.write_all(piece).expect("sent"));
        read_head(&mut stream);
        let mut socket = Socket { stream };
        assert_eq!(socket.expect_text(), r#"{"status":0,"rooms":[]}"#);
        assert!(socket.expect_text().starts_with(r#"{"status":0,"token":""#));
        assert!(socket.expect_close_later(4002).is_empty());
        for text in ["bob joined", "bob: one", "bob left"] {
            alice.expect(text);
        }
    }
}

#[test]
fn h6_delayed_password_is_answered() {
    let server = Server::start(&["--wrong-passwords", "6"]);
    let password = r#","password":"right""#;
    let mut alice = WebMember::enter(Socket::connect(&server), &entry("create", "alice", password));
    for ip in 2..8 {
        let mut guesser = Control::connect_from(&server, loopback(ip));
        for _ in 0..6 {
            guesser.status_of(JOIN, "room", br#"{"username":"guesser","password":"wrong"}"#);
        }
    }
    let stream = Control::connect_from(&server, loopback(8)).stream().try_clone().expect("one");
    let mut socket = Socket::over_tcp(stream, &server.tcp.to_string());
    socket.text(&entry("join", "bob", r#","password":"wrong""#));
    socket.text(&entry("join", "bob", password));
    assert_eq!(socket.expect_text(), r#"{"status":3}"#);
    assert!(socket.expect_text().starts_with(r#"{"status":0,"#));
    alice.expect("bob joined");
}

#[test]
fn h6_binary_request_gets_1003() {
    let server = Server::start(&[]);
    let mut socket = Socket::connect(&server);
    socket.binary(entry("create", "alice", "").as_bytes());
    socket.expect_close(1003);
    assert_eq!(Socket::connect(&server).ask(&entry("join", "bob", "")), r#"{"status":2}"#);
}

#[test]
fn h6_websocket_inside_tls() {
    let server = Server::start(&["--tls", "required"]);
    let mut stream = Encrypted::connect(&server);
    stream.send(&handshake(&server.tcp.to_string()));
    read_head(&mut stream);
    stream.send(&client_frame(FINAL | TEXT, entry("create", "alice", "").as_bytes()));
    assert_eq!(ServerFrame::read(&mut stream).expect("a reply").kind, TEXT);
    stream.send(&client_frame(FINAL | BINARY, b"/who"));
    let who = ServerFrame::read(&mut stream).expect("an answer");
    assert_eq!(who.content, b"alice (host)", "it is not marked as unencrypted");
    stream.send(&client_frame(FINAL | BINARY, b"/exit"));
    let closed = ServerFrame::read(&mut stream).expect("a notice");
    assert_eq!(closed.content, b"the room was closed");
    assert_eq!(ServerFrame::read(&mut stream).expect("a close frame").code(), Some(4002));
    assert_eq!(ServerFrame::read(&mut stream), None);
}
