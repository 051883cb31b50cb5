//! Messages: datagrams of members, and deliveries to the others (PROTOCOL.md, W17 to W26).

mod support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use support::*;

/// The longest datagram that the server takes.
const MAX_UPSTREAM: usize = 4096;

/// Bytes of a datagram before the message, in a room whose name has one byte.
const OVERHEAD: usize = 2 + 1 + 32;

#[test]
fn w17_datagram_layout() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let bytes = [b"\x04\x20room", &alice.token[..], b"hi"].concat();
    alice.send_datagram(&bytes);
    bob.expect("alice: hi");
}

#[test]
fn w17_malformed_datagram_is_dropped() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let good = datagram("room", &alice.token, b"hi");
    let keep_alive_size = good.len() - "hi".len();
    let mut bad: Vec<Vec<u8>> = (0..keep_alive_size).map(|size| good[..size].to_vec()).collect();
    for (at, sizes) in [(0, [0, 3, 5, 255]), (1, [0, 31, 33, 255])] {
        bad.extend(sizes.map(|size| with_byte(&good, at, size)));
    }
    bad.push(datagram("room", &alice.token.map(|digit| digit.to_ascii_uppercase()), b"hi"));
    let stranger = alice.elsewhere();
    for bytes in &bad {
        stranger.send_datagram(bytes);
    }
    bob.expect_silence();
    stranger.expect_empty_socket();
    alice.expect_silence();
}

#[test]
fn w17_empty_room_name_is_reserved() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    alice.send_datagram(&datagram("", &alice.token, b"hi"));
    bob.expect_silence();
    alice.expect_silence();
    let counts = server.final_counts();
    assert!(counts.contains("seals of unknown members 1,"), "for sealed datagrams: {counts}");
}

#[test]
fn w17_4096_bytes_are_the_limit() {
    let server = Server::start(&[]);
    let a = Member::create(&server, "r", &text("a"));
    let b = Member::join(&server, "r", &text("b"));
    a.expect("b joined");
    let longest = "x".repeat(MAX_UPSTREAM - OVERHEAD);
    a.say(&format!("{longest}y"));
    a.say(&longest);
    b.expect(&format!("a: {longest}"));
    a.expect_silence();
    let counts = server.final_counts();
    assert!(counts.contains("too long 1,"), "{counts}");
}

#[test]
fn w18_token_works_in_its_room_only() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::create(&server, "other", &text("carol"));
    let stranger = alice.elsewhere();
    let flipped = if alice.token[31] == b'0' { b'1' } else { b'0' };
    for wrong in [
        datagram("room", &with_last(alice.token, flipped), b"wrong token"),
        datagram("room", &[b'0'; 32], b"no token"),
        datagram("room", &carol.token, b"token of another room"),
        datagram("other", &alice.token, b"room of another token"),
        datagram("Room", &alice.token, b"room in another case"),
        datagram("nowhere", &alice.token, b"room that is not there"),
    ] {
        stranger.send_datagram(&wrong);
    }
    for member in [&bob, &carol, &alice] {
        member.expect_silence();
    }
    stranger.expect_empty_socket();
}

#[test]
fn w18_token_works_from_its_ip_only() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let thief = alice.at(loopback(2));
    thief.say("I am alice");
    thief.say("");
    thief.say("/exit");
    bob.expect_silence();
    bob.say("for alice");
    alice.expect("bob: for alice");
    thief.expect_empty_socket();

    let mut control = Control::connect_from(&server, loopback(2));
    let carol = Member::enter_over(&mut control, &server, JOIN, "room", &text("carol"));
    bob.expect("carol joined");
    carol.at(loopback(1)).say("I am carol");
    carol.say("it is me");
    bob.expect("carol: it is me");
}

#[test]
fn w19_datagram_moves_delivery_port() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (mut alice, bob) = alice_and_bob(&server);
    let told: [&[u8]; 8] =
        [b"", b"hi", b"/who", b"/nonsense", b"\x1b", b"\xff", &[b'x'; 4050], b"/kick bill"];
    for said in told {
        let moved = alice.elsewhere();
        moved.say_bytes(said);
        bob.settle();
        bob.say("where are you?");
        moved.expect_sometime("bob: where are you?");
        alice.expect_empty_socket();
        alice = moved;
    }
}

#[test]
fn w19_limited_message_moves_port() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    for _ in 0..10 {
        alice.say("too fast");
    }
    alice.expect("you are sending too fast, what came last was not sent on");
    let moved = alice.elsewhere();
    moved.say("too fast again");
    bob.settle();
    bob.say("where are you?");
    moved.expect("bob: where are you?");
    alice.expect_empty_socket();
}

#[test]
fn w20_empty_message_is_not_relayed() {
    let server = Server::start(&["--rate-limit", "1"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::enter_unproved(&server, JOIN, "room", &text("bob"));
    alice.expect("bob joined");
    for _ in 0..50 {
        bob.say("");
    }
    bob.say("awake");
    alice.expect("bob: awake");
}

#[test]
fn w21_control_characters_are_refused() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let control = "message refused, it holds control characters";
    let bidi = "message refused, it holds characters that reverse the text";
    let not_utf8 = "message refused, it is not UTF-8";
    let cases: [(&[u8], &str); 14] = [
        (b"\0", control),
        (b"a\x1b[2Jb", control),
        (b"line\r\n", control),
        (b"\x7f", control),
        ("\u{80}".as_bytes(), control),
        ("\u{85}".as_bytes(), control),
        ("\u{9f}".as_bytes(), control),
        ("\u{202d}abc".as_bytes(), bidi),
        ("abc\u{202e}".as_bytes(), bidi),
        (b"\xff", not_utf8),
        (b"cut off \xe3\x81", not_utf8),
        (b"overlong \xc0\xaf", not_utf8),
        (b"surrogate \xed\xa0\x80", not_utf8),
        (b"/who\0", control),
    ];
    for (message, why) in cases {
        alice.say_bytes(message);
        assert_eq!(alice.heard_up_to_now(), [why], "{message:?}");
    }
    bob.expect_silence();
}

#[test]
fn w21_other_text_is_relayed_as_is() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::join(&server, "room", "bob");
    for message in [
        "tab\tand\nnewline",
        "exit",
        "__REGISTER__",
        "exit\n",
        " ",
        "\n",
        "日本語 👋🏽 e\u{301}",
        "\u{200d}\u{feff}\u{2066}",
        "alice: I am bob",
    ] {
        alice.say(message);
        assert_eq!(bob.hear(), [b"\x05alice", message.as_bytes()].concat());
    }
    alice.expect_sometime("bob joined");
    alice.expect_silence();
}

#[test]
fn w22_two_slashes_send_one() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    for (said, heard) in [
        ("//exit", "alice: /exit"),
        ("//kick bob", "alice: /kick bob"),
        ("//", "alice: /"),
        ("///", "alice: //"),
        (" /who", "alice:  /who"),
        ("and/or", "alice: and/or"),
    ] {
        alice.say(said);
        bob.expect(heard);
    }
    alice.expect_silence();
}

#[test]
fn w22_w32_commands_are_not_relayed() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    for line in ["/who", "/nonsense", "/", "/ hi"] {
        alice.say(line);
        alice.hear();
    }
    bob.expect_silence();
}

#[test]
fn w23_text_delivery_layout() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", "carol");
    bob.expect("carol joined");
    carol.say("hi");
    assert_eq!(bob.hear(), b"carol: hi");
    assert_eq!(alice.heard_up_to_now(), ["carol joined", "carol: hi"]);
}

#[test]
fn w23_named_delivery_layout() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", "alice");
    let bob = Member::join(&server, "room", r#"{"username":"bob","delivery":"named"}"#);
    assert_eq!(alice.hear(), b"\0bob joined");
    alice.say("hi");
    assert_eq!(bob.hear(), b"\x05alicehi");
    bob.say("hi");
    assert_eq!(alice.hear(), b"\x03bobhi");
    bob.say("/who");
    assert_eq!(bob.hear(), b"\0alice (host), bob");
}

#[test]
fn w23_name_is_the_tokens() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", "alice");
    let long = format!("É日:{}", "x".repeat(255 - 6));
    let bob = Member::join(&server, "room", &long);
    bob.say("hi");
    alice.expect_sometime(&format!("\0{long} joined"));
    assert_eq!(alice.hear(), [b"\xff", long.as_bytes(), b"hi"].concat());
}

#[test]
fn w23_text_lines_cannot_be_forged() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", "carol");
    bob.expect("carol joined");
    let message = "1\n2\u{2028}3\u{2029}4\n\n5\n";
    alice.say(message);
    bob.expect("alice: 1 2 3 4  5 ");
    assert_eq!(carol.hear(), [b"\x05alice", message.as_bytes()].concat(), "untouched");
}

#[test]
fn w24_all_but_the_sender_get_it() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let guests = ["bob", "carol", "dave"].map(|name| Member::join(&server, "room", &text(name)));
    let elsewhere = Member::create(&server, "other", &text("eve"));
    guests[0].settle();
    guests[1].settle();
    guests[0].say("hi");
    alice.expect_sometime("bob: hi");
    guests[1].expect("bob: hi");
    guests[2].expect("bob: hi");
    guests[0].expect_silence();
    elsewhere.expect_silence();
}

#[test]
fn w24_large_room_gets_everything_once() {
    // More than one room is served at once, and fewer descriptors than the usual limit.
    const GUESTS: usize = 700;
    const MESSAGES: usize = 3;
    let server = Server::start(&["--max-unproved", "0", "--rate-limit", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut control = Control::connect(&server);
    let payload = |guest: usize| match guest % 2 {
        0 => text(&guest.to_string()),
        _ => guest.to_string(),
    };
    let ip = control.local_ip();
    let guests: Vec<Member> = (0..GUESTS)
        .map(|guest| control.enter(JOIN, "room", payload(guest).as_bytes()))
        .map(|token| Member::with_token(server.udp, ip, "room", token))
        .collect();
    guests.iter().for_each(Member::settle);
    (0..MESSAGES).for_each(|number| alice.say(&format!("message {number}")));
    for (number, guest) in guests.iter().enumerate() {
        let form = if number % 2 == 0 { "alice: " } else { "\x05alice" };
        let said: Vec<_> = (0..MESSAGES).map(|at| format!("{form}message {at}")).collect();
        guest.expect_sometime(&said[0]);
        let mut rest = guest.heard_up_to_now();
        rest.retain(|heard| !heard.ends_with("joined"));
        assert_eq!(rest, said[1..]);
    }
}

#[test]
fn w24_no_address_no_messages() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::enter_unproved(&server, JOIN, "room", &text("bob"));
    alice.say("early");
    alice.settle();
    bob.say("");
    bob.expect_silence();
    alice.say("late");
    bob.expect("alice: late");
}

#[test]
fn w24_w13_announced_port_is_address() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut control = Control::connect(&server);
    let token = control.enter(JOIN, "room", text("bob").as_bytes());
    let bob = Member::with_token(server.udp, control.local_ip(), "room", token);
    announce(&mut control, bob.port());
    alice.say("hi");
    bob.expect("alice: hi");
}

#[test]
fn w19_w13_learned_port_is_kept() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut control = Control::connect(&server);
    let bob = Member::enter_over(&mut control, &server, JOIN, "room", &text("bob"));
    let announced = bob.elsewhere();
    announce(&mut control, announced.port());
    alice.say("hi");
    bob.expect("alice: hi");
    announced.expect_empty_socket();
}

#[test]
fn w24_name_and_text_limit_is_4070() {
    let name = "n".repeat(200);
    let longest = "x".repeat(4070 - 200);
    let text_form = format!("{name}: {longest}").into_bytes();
    let named_form = [b"\xc8", name.as_bytes(), longest.as_bytes()].concat();
    for (payload, form) in [(text("b").as_str(), text_form), ("b", named_form)] {
        let server = Server::start(&[]);
        let speaker = Member::create(&server, "r", &text(&name));
        let hearer = Member::join(&server, "r", payload);
        speaker.expect("b joined");
        speaker.say(&format!("{longest}x"));
        speaker.expect("message refused, it is too long, 3870 bytes fit");
        speaker.say(&longest);
        assert!(hearer.hear() == form, "{payload}");
        hearer.expect_silence();
    }
}

#[test]
fn w24_escaping_slash_does_not_count() {
    let server = Server::start(&[]);
    let speaker = Member::create(&server, "r", &text(&"n".repeat(200)));
    speaker.say(&format!("//{}", "x".repeat(3869)));
    speaker.expect_silence();
    speaker.say(&format!("//{}", "x".repeat(3870)));
    speaker.expect("message refused, it is too long, 3870 bytes fit");
}

#[test]
fn w24_messages_keep_their_order() {
    const BURSTS: usize = 20;
    const BURST: usize = 20; // Fits the smallest socket buffers, so that nothing is lost.
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", "carol");
    bob.expect("carol joined");
    for burst in 0..BURSTS {
        let messages = || (burst * BURST..(burst + 1) * BURST).map(|number| number.to_string());
        messages().for_each(|message| alice.say(&message));
        for message in messages() {
            bob.expect(&format!("alice: {message}"));
            carol.expect(&format!("\x05alice{message}"));
        }
    }
}

#[test]
fn w25_d7_wildcard_answers_from_target() {
    let server = Server::start(&["--bind", "0.0.0.0"]);
    let spoken_to = Ipv4Addr::new(127, 0, 0, 2).into();
    let alice = speak_to(&server, spoken_to, CREATE, "alice");
    let bob = speak_to(&server, spoken_to, JOIN, "bob");
    alice.expect("bob joined");
    bob.say("hi");
    alice.expect("bob: hi");
    alice.say("hi");
    bob.expect("alice: hi");
}

#[test]
fn w25_d7_ipv6_answers_from_target() {
    let server = Server::start(&["--bind", "::"]);
    let spoken_to = Ipv6Addr::LOCALHOST.into();
    let alice = speak_to(&server, spoken_to, CREATE, "alice");
    let bob = speak_to(&server, spoken_to, JOIN, "bob");
    alice.expect("bob joined");
    alice.say("hi");
    bob.expect("alice: hi");
}

#[test]
fn w25_answers_follow_the_last_target() {
    let server = Server::start(&["--bind", "0.0.0.0"]);
    let first = speak_to(&server, loopback(1), CREATE, "alice");
    let mut alice = first.elsewhere();
    alice.server = SocketAddr::new(loopback(3), server.udp.port());
    alice.socket.connect(alice.server).expect("a route");
    alice.say("");
    alice.say("/who");
    alice.expect("alice (host)");
}

#[test]
fn w25_announced_port_uses_tcp_target() {
    let server = Server::start(&["--bind", "0.0.0.0"]);
    let alice = speak_to(&server, loopback(1), CREATE, "alice");
    let spoken_to = loopback(2);
    let mut control = Control::connect_to(SocketAddr::new(spoken_to, server.tcp.port()));
    let token = control.enter(JOIN, "room", text("bob").as_bytes());
    let udp = SocketAddr::new(spoken_to, server.udp.port());
    let bob = Member::with_token(udp, control.local_ip(), "room", token);
    bob.socket.connect(udp).expect("a route");
    announce(&mut control, bob.port());
    alice.say("hi");
    bob.expect("alice: hi");
}

#[test]
fn w25_d8_binds_share_rooms() {
    let server = Server::start(&["--bind", "127.0.0.1", "--bind", "::1"]);
    let over = |bind: usize, operation, name| {
        let (tcp, udp) = server.addresses[bind];
        let mut control = Control::connect_to(tcp);
        let token = control.enter(operation, "room", text(name).as_bytes());
        let member = Member::with_token(udp, control.local_ip(), "room", token);
        member.socket.connect(udp).expect("a route");
        member.prove();
        member
    };
    let alice = over(0, CREATE, "alice");
    let bob = over(1, JOIN, "bob");
    alice.expect("bob joined");
    bob.say("from IPv6");
    alice.expect("bob: from IPv6");
    alice.say("from IPv4");
    bob.expect("alice: from IPv4");
}

#[test]
fn w26_drops_are_counted() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    let dave = Member::create(&server, "other", &text("dave"));
    let stranger = alice.elsewhere();
    // As the first byte, a letter would make it QUIC (H1).
    stranger.send_datagram(b"\x08nonsense");
    stranger.send_datagram(b"");
    stranger.send_datagram(&[1; MAX_UPSTREAM + 1]);
    stranger.send_datagram(&datagram("room", &[b'0'; 32], b"hi"));
    stranger.send_datagram(&datagram("room", &dave.token, b"hi"));
    alice.at(loopback(2)).say("hi");
    bob.say("\0");
    (0..20).for_each(|_| alice.say("hi"));
    bob.expect_sometime("alice: hi");
    dave.settle();
    let counts = server.final_counts();
    for part in [
        "too long 1,",
        "malformed 2,",
        "unknown token 1,",
        "token of another room or address 2,",
        "refused 1,",
        "rate limited ",
    ] {
        assert!(counts.contains(part), "{part:?} in {counts}");
    }
}

/// Announces a UDP port over TCP, and waits until the server has taken it.
fn announce(control: &mut Control, port: u16) {
    control.send(&port.to_be_bytes());
    control.end();
    control.expect_end();
}

fn with_byte(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

fn with_last(mut token: Token, digit: u8) -> Token {
    token[31] = digit;
    token
}
