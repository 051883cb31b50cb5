//! Limits: a peer that reaches one gets an error, others notice nothing, and memory has a ceiling.

#[path = "support/mod.rs"]
mod support;

use std::io::Write;
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{CREATE, Control, JOIN, LIST, Member, Server, loopback, wait_for};

const SUCCESS: u8 = 0;
const NOT_FOUND: u8 = 2;
const WRONG_PASSWORD: u8 = 3;
const INVALID_USER_NAME: u8 = 5;
const ROOM_FULL: u8 = 7;
const SERVER_FULL: u8 = 8;
const MALFORMED: u8 = 9;
const RATE_LIMITED: u8 = 10;

fn create(server: &Server, from: IpAddr, room: &str) -> u8 {
    Control::connect_from(server, from).status_of(CREATE, room, br#"{"username":"host"}"#)
}

fn join(server: &Server, from: IpAddr, room: &str, payload: &str) -> u8 {
    Control::connect_from(server, from).status_of(JOIN, room, payload.as_bytes())
}

#[test]
fn t4_connection_limit_per_ip_evicts() {
    let server = Server::start(&["--max-connections-ip", "2"]);
    let settled = |from| {
        let mut control = Control::connect_from(&server, from);
        assert_eq!(control.status_of(LIST, "", b""), SUCCESS);
        control
    };
    let mut other = settled(loopback(9));
    let mut first = settled(loopback(1));
    let mut second = settled(loopback(1));
    // The first connection is not the one that is idle for longest.
    assert_eq!(first.status_of(LIST, "", b""), SUCCESS);
    let mut third = settled(loopback(1));
    assert_eq!(second.expect_status(), RATE_LIMITED);
    second.expect_end();
    for control in [&mut other, &mut first, &mut third] {
        assert_eq!(control.status_of(LIST, "", b""), SUCCESS);
    }
}

#[test]
fn w13_evicted_connection_keeps_port() {
    let server = Server::start(&["--max-connections-ip", "1"]);
    let host = Member::create(&server, "a", r#"{"username":"host"}"#);
    let mut guest = Control::connect_from(&server, loopback(2));
    let token = guest.enter(JOIN, "a", br#"{"username":"guest"}"#);
    let member = Member::with_token(server.udp, loopback(2), "a", token);
    guest.send(&member.port().to_be_bytes());
    // The port has been read when this is answered.
    assert_eq!(Control::connect_from(&server, loopback(3)).status_of(LIST, "", b""), SUCCESS);
    let mut other = Control::connect_from(&server, loopback(2));
    assert_eq!(guest.expect_status(), RATE_LIMITED);
    assert_eq!(other.status_of(LIST, "", b""), SUCCESS);
    host.say("hi");
    member.expect("host: hi");
}

#[test]
fn t11_room_limit_per_ip() {
    let server = Server::start(&["--max-rooms-ip", "2"]);
    let member = Member::create(&server, "a", r#"{"username":"host"}"#);
    let own = loopback(1);
    assert_eq!(create(&server, own, "b"), SUCCESS);
    assert_eq!(create(&server, own, "c"), RATE_LIMITED);
    assert_eq!(create(&server, loopback(2), "c"), SUCCESS);
    assert_eq!(join(&server, own, "c", "guest"), SUCCESS, "joining is something else");
    member.say("/exit");
    member.expect_sometime("the room was closed");
    assert_eq!(create(&server, own, "a"), SUCCESS);
    assert_eq!(create(&server, own, "d"), RATE_LIMITED);
}

#[test]
fn t4_member_limit_per_ip() {
    let server = Server::start(&["--max-members-ip", "2"]);
    let own = loopback(1);
    assert_eq!(create(&server, own, "a"), SUCCESS);
    let guest = Member::join(&server, "a", r#"{"username":"guest"}"#);
    assert_eq!(join(&server, own, "a", "other"), RATE_LIMITED);
    assert_eq!(create(&server, own, "b"), RATE_LIMITED);
    assert_eq!(join(&server, loopback(2), "a", "other"), SUCCESS);
    guest.say("/exit");
    wait_for("the place", || (join(&server, own, "a", "third") == SUCCESS).then_some(()));
}

#[test]
fn t4_field_n_unproved_members_are_evicted() {
    let server = Server::start(&["--max-unproved", "2"]);
    let host = Member::create(&server, "a", r#"{"username":"host"}"#);
    let members = |room: &str| {
        let mut control = Control::connect(&server);
        control.request(LIST, room, b"");
        let list: Value = serde_json::from_slice(&control.expect_success()).expect("JSON");
        list[0]["members"].as_u64()
    };
    // One open connection and many that have ended lock out nobody else at the IP.
    let mut neighbour = Control::connect(&server);
    for guest in 0..40 {
        let name = format!("n{guest}");
        assert_eq!(neighbour.status_of(JOIN, "a", name.as_bytes()), SUCCESS);
        assert_eq!(join(&server, loopback(1), "a", &format!("m{guest}")), SUCCESS);
    }
    // The host, two without a connection, and the last member of the open connection.
    wait_for("the oldest to give way", || (members("a") == Some(4)).then_some(()));
    assert_eq!(create(&server, loopback(1), "b"), SUCCESS);
    neighbour.end();
    neighbour.expect_end();
    wait_for("the oldest to give way", || (members("a") == Some(2)).then_some(()));
    host.settle();
    let line = server.expect_log("limit --max-unproved reached by 127.0.0.1 (count ");
    assert!(line.contains("WARN"), "{line}");
}

#[test]
fn t4_a2_announced_ports_are_limited() {
    let server = Server::start(&["--max-unproved", "2"]);
    let host = Member::create(&server, "a", r#"{"username":"host"}"#);
    let listeners: Vec<Member> = (0..3)
        .map(|guest| {
            let mut control = Control::connect(&server);
            let payload = format!(r#"{{"username":"guest {guest}"}}"#);
            let token = control.enter(JOIN, "a", payload.as_bytes());
            let member = Member::with_token(server.udp, control.local_ip(), "a", token);
            control.send(&member.port().to_be_bytes());
            control.end();
            control.expect_end();
            member
        })
        .collect();
    host.say("hi");
    listeners[0].expect_sometime("host: hi");
    listeners[1].expect_sometime("host: hi");
    listeners[2].expect_empty_socket();
    listeners[2].prove();
    listeners[2].settle();
    host.say("again");
    listeners[2].expect("host: again");
}

#[test]
fn t4_t11_total_limits() {
    let server = Server::start(&["--max-members", "2"]);
    assert_eq!(create(&server, loopback(1), "a"), SUCCESS);
    assert_eq!(join(&server, loopback(2), "a", "guest"), SUCCESS);
    assert_eq!(join(&server, loopback(3), "a", "other"), SERVER_FULL);
    assert_eq!(create(&server, loopback(4), "b"), SERVER_FULL);
    let server = Server::start(&["--max-rooms", "1"]);
    assert_eq!(create(&server, loopback(1), "a"), SUCCESS);
    assert_eq!(create(&server, loopback(2), "b"), SERVER_FULL);
    assert_eq!(join(&server, loopback(3), "a", "guest"), SUCCESS);
}

#[test]
fn t4_room_size_has_a_maximum() {
    let server = Server::start(&["--max-room-members", "2"]);
    let host = br#"{"username":"host","capacity":5}"#;
    assert_eq!(Control::connect(&server).status_of(CREATE, "a", host), SUCCESS);
    assert_eq!(join(&server, loopback(1), "a", "one"), SUCCESS);
    assert_eq!(join(&server, loopback(1), "a", "two"), ROOM_FULL);
    let mut control = Control::connect(&server);
    control.request(LIST, "", b"");
    let list = String::from_utf8(control.expect_success()).expect("UTF-8");
    assert!(list.contains(r#""capacity":2"#), "{list}");
}

#[test]
fn t9_wrong_passwords_are_limited() {
    let server = Server::start(&["--wrong-passwords", "3"]);
    let host = br#"{"username":"host","password":"right"}"#;
    assert_eq!(Control::connect(&server).status_of(CREATE, "a", host), SUCCESS);
    assert_eq!(create(&server, loopback(1), "open"), SUCCESS);
    let (guesser, guest) = (loopback(2), loopback(3));
    let guess = |from, password: &str| {
        join(&server, from, "a", &format!(r#"{{"username":"g","password":"{password}"}}"#))
    };
    // A forgotten password is not a guess.
    assert_eq!(join(&server, guesser, "a", "g"), WRONG_PASSWORD);
    for password in ["one", "two", "three"] {
        assert_eq!(guess(guesser, password), WRONG_PASSWORD);
    }
    assert_eq!(guess(guesser, "four"), RATE_LIMITED);
    assert_eq!(guess(guesser, "right"), RATE_LIMITED, "it must not show");
    assert_eq!(join(&server, guesser, "open", "g"), SUCCESS);
    assert_eq!(guess(guest, "right"), SUCCESS);
}

/// A limit must not reveal a hidden room.
#[test]
fn t9_w12_guesses_at_absent_rooms_count() {
    for hidden in ["there", "nowhere"] {
        let server = Server::start(&["--wrong-passwords", "2"]);
        for (room, payload) in [
            ("there", r#"{"username":"host","password":"right","hidden":true}"#),
            ("shown", r#"{"username":"host","password":"right"}"#),
        ] {
            let status = Control::connect(&server).status_of(CREATE, room, payload.as_bytes());
            assert_eq!(status, SUCCESS);
        }
        let guess = r#"{"username":"g","password":"wrong"}"#;
        let guesser = loopback(2);
        for status in [NOT_FOUND, NOT_FOUND, RATE_LIMITED] {
            assert_eq!(join(&server, guesser, hidden, guess), status);
        }
        assert_eq!(join(&server, guesser, "shown", guess), RATE_LIMITED, "after {hidden}");
    }
}

/// Six IPs use up a room's wrong passwords. Further passwords are delayed; other requests are not.
#[test]
fn a1_delayed_password_is_answered() {
    let server = Server::start(&["--wrong-passwords", "6"]);
    let host = br#"{"username":"host","password":"right"}"#;
    assert_eq!(Control::connect(&server).status_of(CREATE, "a", host), SUCCESS);
    let begun = Instant::now();
    for ip in 2..8 {
        let mut guesser = Control::connect_from(&server, loopback(ip));
        for number in 0..6 {
            let guess = format!(r#"{{"username":"g","password":"{number}"}}"#);
            assert_eq!(guesser.status_of(JOIN, "a", guess.as_bytes()), WRONG_PASSWORD);
        }
    }
    let mut guest = Control::connect_from(&server, loopback(8));
    guest.request(JOIN, "a", br#"{"username":"guest","password":"right"}"#);
    guest.request(LIST, "", b"");
    // The client ends its half of the connection and still reads.
    guest.stream().shutdown(Shutdown::Write).expect("an open stream");
    let mut failed = Control::connect_from(&server, loopback(9));
    failed.request(JOIN, "a", br#"{"username":"failed","password":"right"}"#);
    assert_eq!(Control::connect(&server).status_of(LIST, "", b""), SUCCESS);
    failed.reset();
    let token = guest.expect_success();
    assert!(begun.elapsed() >= Duration::from_millis(1_600), "{:?}", begun.elapsed());
    assert_eq!(token.len(), 32);
    assert!(guest.expect_success().starts_with(b"["), "later requests are answered too");
    guest.expect_end();
    assert_eq!(
        join(&server, loopback(8), "a", r#"{"username":"two","password":"right"}"#),
        SUCCESS
    );
}

/// Tokens have half of the guesses. So a member whose server has restarted, and its neighbours, can
/// join again with the password. A right token always works.
#[test]
fn t9_s14_wrong_tokens_count() {
    const RESUME: u8 = 4;
    let server = Server::start(&["--wrong-passwords", "4"]);
    let host = br#"{"username":"host","password":"right"}"#;
    let token = Control::connect(&server).enter(CREATE, "a", host);
    let resume =
        |from, token: &[u8]| Control::connect_from(&server, from).status_of(RESUME, "a", token);
    let guesser = loopback(2);
    for _ in 0..10 {
        assert_eq!(resume(guesser, &[b'0'; 32]), NOT_FOUND);
    }
    let guess = |password: &str| {
        join(&server, guesser, "a", &format!(r#"{{"username":"g","password":"{password}"}}"#))
    };
    assert_eq!(guess("one"), WRONG_PASSWORD);
    assert_eq!(guess("two"), WRONG_PASSWORD);
    assert_eq!(guess("right"), RATE_LIMITED);
    assert_eq!(resume(guesser, &token), SUCCESS);
}

/// Resuming at the same address does not add a member.
#[test]
fn s14_resume_works_at_the_ip_limit() {
    const RESUME: u8 = 4;
    let server = Server::start(&["--max-members-ip", "1"]);
    let host = Member::create(&server, "a", r#"{"username":"host"}"#);
    assert_eq!(Control::connect(&server).status_of(RESUME, "a", &host.token), SUCCESS);
    host.prove();
    let status = Control::connect_from(&server, loopback(2)).status_of(RESUME, "a", &host.token);
    assert_eq!(status, SUCCESS);
}

#[test]
fn t10_room_byte_rate_is_limited() {
    // A datagram of 28 + 4 + 968 bytes to two members: ten of them are five seconds' worth.
    let server = Server::start(&["--fanout-limit", "4000", "--rate-limit", "0"]);
    let host = Member::create(&server, "a", r#"{"username":"host"}"#);
    let guest = Member::join(&server, "a", r#"{"username":"abcd"}"#);
    let text = "x".repeat(968);
    for _ in 0..30 {
        guest.say(&text);
    }
    let warning = "you are sending too fast, what came last was not sent on";
    assert_eq!(guest.heard_up_to_now().iter().filter(|line| *line == warning).count(), 1);
    let heard = host.heard_up_to_now();
    let relayed = heard.iter().filter(|line| line.ends_with(&text)).count();
    assert!((9..=12).contains(&relayed), "{relayed} of 30");
}

/// The sum of unfinished requests is bounded, long before each of them reaches its own bound. Small
/// requests go on.
#[test]
fn t3_t4_small_requests_keep_memory() {
    const SUM: u64 = 2 << 20;
    let sum = SUM.to_string();
    let server = Server::start(&["--buffer-memory", &sum, "--handshake-timeout", "3"]);
    assert_eq!(create(&server, loopback(1), "a"), SUCCESS);
    let before = server.memory();
    // 60,000 of 65,000 bytes: an unfinished request.
    let begun = &support::frame(JOIN, "a", &[b' '; 65_000])[..60_000];
    let mut large: Vec<Control> = (0..400).map(|_| Control::connect(&server)).collect();
    for control in &mut large {
        // A refused client may have its input cut off.
        let _ = control.stream().write_all(begun);
    }
    assert_eq!(join(&server, loopback(1), "a", "guest"), SUCCESS);
    let grown = server.memory() - before;
    let refused = large.iter_mut().filter_map(|control| match control.expect_status() {
        SERVER_FULL => Some(()),
        // Their deadline has passed.
        status => (status != MALFORMED).then(|| panic!("status {status}")),
    });
    let refused = refused.count();
    assert!(refused > 300, "{refused} of 400");
    assert!(grown < 2 * SUM + 400 * 18 * 1024, "{grown} bytes, of 24 million sent");
}

/// Large requests free their memory when they are answered, cut off or given up.
#[test]
fn t4_finished_requests_free_memory() {
    // Enough memory for one round of clients, and not for two.
    let server = Server::start(&["--buffer-memory", "3000000", "--max-payload", "65536"]);
    let whole = support::frame(JOIN, "absent", &[b' '; 60_000]);
    let begun = &whole[..50_000];
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(LIST, "", b""), SUCCESS);
    let descriptors = server.descriptors();
    for _ in 0..4 {
        let mut large: Vec<Control> = (0..30).map(|_| Control::connect(&server)).collect();
        large.iter_mut().for_each(|large| large.send(begun));
        // Requests behind them are answered behind them, at most a turn later.
        for _ in 0..2 {
            assert_eq!(control.status_of(LIST, "", b""), SUCCESS);
        }
        for (number, mut large) in large.into_iter().enumerate() {
            if number % 2 == 0 {
                large.reset();
            } else {
                large.end();
                assert_eq!(large.expect_status(), MALFORMED, "cut off, and not refused before");
            }
        }
        wait_for("their end", || (server.descriptors() == descriptors).then_some(()));
        for _ in 0..20 {
            control.send(&whole);
            assert_eq!(control.expect_status(), INVALID_USER_NAME);
        }
    }
}

/// The memory of an answered request counts until it is freed. The first byte of another request
/// keeps it.
#[test]
fn t3_t4_answered_requests_free_memory() {
    const SUM: u64 = 1 << 20;
    let sum = SUM.to_string();
    let server = Server::start(&["--buffer-memory", &sum]);
    let before = server.memory();
    let payload = format!(r#"{{"username":"g"}}{}"#, " ".repeat(65_000));
    let mut begun = support::frame(JOIN, "nowhere", payload.as_bytes());
    begun.push(JOIN);
    let mut large: Vec<Control> = (0..300).map(|_| Control::connect(&server)).collect();
    let mut answered = 0;
    for control in &mut large {
        // A refused client may have its input cut off.
        let _ = control.stream().write_all(&begun);
        answered += usize::from(control.expect_status() == NOT_FOUND);
    }
    assert!(answered >= 8, "{answered} of 300");
    let grown = server.memory() - before;
    assert!(grown < 2 * SUM + 300 * 18 * 1024, "{grown} bytes, of 20 million sent");
}

/// A thousand members and ten messages of a kibibyte a second work with default options.
#[test]
fn defaults_serve_1000_in_one_room() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "hall", r#"{"username":"host"}"#);
    let guests: Vec<Member> = (0..999)
        .map(|n| Member::join(&server, "hall", &format!(r#"{{"username":"guest {n}"}}"#)))
        .collect();
    host.settle();
    let text = "x".repeat(1024);
    let start = Instant::now();
    for (n, guest) in (0..20).zip(&guests) {
        // The clock sets the pace of the room, not the server.
        let due = start + Duration::from_millis(100) * n;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        guest.say(&text);
    }
    let speaker = &guests[0];
    for _ in 0..20 {
        speaker.say(&text);
    }
    let said = format!("guest 0: {text}");
    wait_for("the last of them", || {
        let line = host.hear_text();
        assert!(!line.contains("too fast"));
        (line == said).then_some(())
    });
    let refusals = |member: &Member| {
        member.heard_up_to_now().iter().filter(|line| line.contains("too fast")).count()
    };
    assert_eq!(refusals(speaker), 0);
}
