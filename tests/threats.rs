//! Attacks and accidents on the real binary. The ids of the tests are in tests/README.md.

mod support;

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::thread;
use std::time::Duration;

use support::random::Random;
use support::*;

/// Datagrams sent before a member checks that the server has read them. They fit the smallest socket
/// buffer, so that none is lost and each must be counted.
const BURST: usize = 64;

#[test]
fn d1_empty_datagram_is_harmless() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let stranger = alice.elsewhere();
    for _ in 0..3 {
        stranger.send_datagram(b"");
        bob.say("");
        alice.say("behind it");
        bob.expect("alice: behind it");
    }
    stranger.expect_empty_socket();
}

#[test]
fn d2_long_datagram_is_not_cut() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    for size in [4097, 4098, 9000, 65_507] {
        let mut bytes = datagram("room", &alice.token, b"");
        bytes.resize(size, b'x');
        alice.send_datagram(&bytes);
    }
    bob.expect_silence();
    alice.expect_silence();
    let counts = server.final_counts();
    assert!(counts.contains("too long 4,"), "{counts}");
}

#[test]
fn d3_closed_sockets_are_harmless() {
    const MEMBERS: usize = 30;
    let server = Server::start(&["--rate-limit", "0", "--max-unproved", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let join = |index: usize| Some(Member::join(&server, "room", &text(&format!("m{index}"))));
    let mut members: Vec<Option<Member>> = (0..MEMBERS).map(join).collect();
    alice.hear_of_joins(MEMBERS);
    members.iter().flatten().for_each(Member::settle);
    let carol = Member::create(&server, "other", &text("carol"));
    let dave = Member::join(&server, "other", &text("dave"));
    carol.expect("dave joined");
    // The first, the last, one in the middle and its neighbour, and then every other.
    let gone = [0, MEMBERS - 1, 14, 15].into_iter().chain((1..MEMBERS).step_by(2));
    let mut number = 0;
    for gone in gone {
        // The port is closed, and the kernel reports that to every sender.
        members[gone] = None;
        for _ in 0..10 {
            number += 1;
            // In one turn, so that the kernel's report about one room could hit the other.
            server.freeze();
            alice.say(&number.to_string());
            carol.say(&number.to_string());
            server.thaw();
            for member in members.iter().flatten() {
                member.expect(&format!("alice: {number}"));
            }
            dave.expect(&format!("carol: {number}"));
        }
        alice.expect_silence();
    }
    let counts = server.final_counts();
    assert!(!counts.contains("send errors"), "an echo costs no datagram: {counts}");
}

#[test]
fn d8_wildcards_share_ports() {
    // Below the ephemeral ports (ip_local_port_range), so that no other test gets it.
    let port = (10_000 + std::process::id() % 20_000).to_string();
    for [first, second] in [["0.0.0.0", "::"], ["::", "0.0.0.0"]] {
        let server = Server::start_at(&port, &port, &["--bind", first, "--bind", second]);
        let alice = speak_to(&server, loopback(1), CREATE, "alice");
        let bob = speak_to(&server, Ipv6Addr::LOCALHOST.into(), JOIN, "bob");
        alice.expect("bob joined");
        alice.say("hi");
        bob.expect("alice: hi");
        bob.say("hi");
        alice.expect("bob: hi");
    }
}

/// Spoofed datagrams of each of ten kinds: 102,400 in all.
const SPOOFED: usize = 160 * BURST;

#[test]
fn t1_spoofed_datagrams_get_no_answer() {
    /// Notices of joins and departures: 4 to alice, 3 to bob.
    const SENT_BEFORE: usize = 9;
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let dead = Member::join(&server, "room", &text("dead"));
    alice.expect("dead joined");
    dead.say("/exit");
    alice.expect("dead left");
    let mut control = Control::connect_from(&server, loopback(5));
    let mallory = Member::enter_over(&mut control, &server, CREATE, "other", &text("mallory"));
    bob.settle();

    let here = bob.elsewhere();
    let [one, two, three] = [2, 3, 254].map(|last| bob.at(loopback(last)));
    let mut random = Random(0x5EED);
    let stolen = |message: &[u8]| datagram("room", &alice.token, message);
    let mut questions = 1;
    let mut send = |stranger: &Member, next: &mut dyn FnMut() -> Vec<u8>| {
        questions += flood(stranger, SPOOFED, &bob, next);
    };
    // The right token of a member, with anything, from another address.
    send(&one, &mut || stolen(b"/who"));
    send(&two, &mut || stolen(b"a message"));
    send(&three, &mut || stolen(b""));
    send(&mallory, &mut || stolen(b"/exit"));
    // The right token in another room, from its own address.
    send(&alice, &mut || datagram("other", &alice.token, b"/who"));
    // Unknown and dead tokens.
    send(&here, &mut || datagram("room", &random.token(), b"/who"));
    send(&dead, &mut || datagram("room", &dead.token, b"/who"));
    // Malformed datagrams.
    // A first byte of 0 would make them sealed ones.
    send(&here, &mut || [&[1], &*random.bytes()].concat());
    send(&here, &mut || cut(stolen(b""), random.size_below(38)));
    send(&one, &mut || cut(stolen(b""), random.size_below(38)));

    for stranger in [&here, &one, &two, &three, &dead] {
        stranger.expect_empty_socket();
    }
    for member in [&alice, &mallory] {
        member.expect_empty_socket();
    }
    // The end goes to the three remaining members.
    expect_drops(&server.final_counts(), SENT_BEFORE + questions + 3);
}

/// Checks that the server has dropped every spoofed datagram, and has sent this number.
fn expect_drops(counts: &str, sent: usize) {
    let (malformed, unknown, misplaced) = (3 * SPOOFED, 2 * SPOOFED, 5 * SPOOFED);
    let drops = format!(
        "malformed {malformed}, unknown token {unknown}, token of another room or address {misplaced},"
    );
    assert!(counts.contains(&drops), "every one: {counts}");
    assert!(counts.contains(&format!(", sent {sent}, ")), "{sent} were due: {counts}");
}

#[test]
fn t1_announced_port_stays_at_its_ip() {
    let server = Server::start(&[]);
    let victim = Member::create(&server, "other", &text("victim")).at(loopback(1));
    let mut control = Control::connect_from(&server, loopback(2));
    let mallory = Member::enter_over(&mut control, &server, CREATE, "room", &text("mallory"));
    let mut control = Control::connect_from(&server, loopback(2));
    control.enter(JOIN, "room", text("bomb").as_bytes());
    control.send(&victim.port().to_be_bytes());
    control.end();
    control.expect_end();
    (0..20).for_each(|_| mallory.say("boom"));
    mallory.settle();
    victim.expect_empty_socket();
}

#[test]
fn a2_t1_proved_port_gets_own_room() {
    let server = Server::start(&[]);
    let mallory = Member::create(&server, "trap", &text("mallory"));
    let victim = Member::enter_unproved(&server, CREATE, "room", &text("victim"));
    let mut control = Control::connect(&server);
    control.enter(JOIN, "trap", text("bait").as_bytes());
    control.send(&victim.port().to_be_bytes());
    control.end();
    control.expect_end();
    mallory.expect("bait joined");
    mallory.say("nobody has proved the port");
    victim.expect("mallory: nobody has proved the port");
    victim.say("");
    mallory.say("it is proved");
    mallory.say("/exit");
    victim.expect_silence();
}

#[test]
fn t2_tokens_die_and_never_repeat() {
    let server = Server::start(&["--max-unproved", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut tokens = HashSet::from([alice.token]);
    let mut control = Control::connect(&server);
    for guest in 0..500 {
        let token = control.enter(JOIN, "room", format!("guest {guest}").as_bytes());
        assert!(token.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        assert!(tokens.insert(token), "drawn twice");
    }
    alice.say("/exit");
    alice.expect_sometime("the room was closed");
    let heir = Member::create(&server, "room", &text("heir"));
    for burst in tokens.iter().collect::<Vec<_>>().chunks(BURST) {
        burst.iter().for_each(|token| {
            alice.send_datagram(&datagram("room", token, b"from the dead"));
        });
        heir.expect_silence();
    }
    alice.expect_empty_socket();
}

#[test]
fn t6_escapes_never_reach_the_log() {
    const INVALID_ROOM_NAME: u8 = 4;
    const INVALID_USER_NAME: u8 = 5;
    let server = Server::start(&["-v"]);
    let mut control = Control::connect(&server);
    for bad in ["\x1b[2J", "a\nb", "\r", "\u{7f}", "\u{9b}31m", "\u{202e}abc", "\u{2028}"] {
        assert_eq!(control.status_of(CREATE, bad, b"alice"), INVALID_ROOM_NAME, "{bad:?}");
        assert_eq!(control.status_of(CREATE, "room", bad.as_bytes()), INVALID_USER_NAME);
        control.request(77, bad, b"");
        control.expect_status();
    }
    control.request(CREATE, &"\x1b".repeat(255), b"alice");
    control.expect_status();
    server.signal("TERM");
    let lines = server.log_to_the_end();
    assert!(lines.iter().any(|line| line.contains(r"\u{1b}[2J")), "escaped: {lines:?}");
    for line in &lines {
        let obeyed = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
        assert!(!line.contains(obeyed), "{line:?}");
        assert!(line.len() < 1000, "{line:?}");
    }
}

#[test]
fn t6_log_has_no_secrets() {
    let server = Server::start(&["-v"]);
    let alice = Member::create(&server, "room", r#"{"username":"alice","password":"open sesame"}"#);
    let mut control = Control::connect(&server);
    control.status_of(JOIN, "room", br#"{"username":"bob","password":"open barley"}"#);
    alice.say("what I said");
    alice.say("\x1bwhat was refused");
    alice.at(loopback(2)).say("what was stolen");
    alice.send_datagram(&[b'w'; 5000]);
    alice.settle();
    server.signal("TERM");
    let log = server.log_to_the_end().join("\n");
    let token = String::from_utf8(alice.token.to_vec()).expect("hex");
    assert!(log.contains("operation 1, room \"room\""), "it does log: {log}");
    for secret in [&token, &token[..8], "sesame", "barley", "what ", "www"] {
        assert!(!log.contains(secret), "{secret:?} in {log}");
    }
}

#[test]
fn t7_invalid_utf8_is_not_relayed() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let mut random = Random(7);
    for _ in 0..1000 {
        let mut bytes = random.bytes();
        bytes.push(0xff);
        alice.say_bytes(&bytes);
        alice.expect("message refused, it is not UTF-8");
    }
    bob.expect_silence();
}

#[test]
fn t8_nobody_speaks_as_another() {
    const INVALID_USER_NAME: u8 = 5;
    const NAME_TAKEN: u8 = 6;
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::join(&server, "room", "bob");
    let mut control = Control::connect(&server);
    for look_alike in ["ALICE", "Alice", "alice ", "ａｌｉｃｅ", "alice\u{3000}"] {
        assert_eq!(control.status_of(JOIN, "room", look_alike.as_bytes()), NAME_TAKEN);
    }
    for invisible in ["alice\u{200b}", "al\u{34f}ice", "al\u{ad}ice", "alice: hi", "alice:"] {
        assert_eq!(control.status_of(JOIN, "room", invisible.as_bytes()), INVALID_USER_NAME);
    }
    bob.say("x\nalice: I am alice");
    alice.expect_sometime("bob: x alice: I am alice");
    alice.say("the room was closed");
    assert_eq!(bob.hear(), b"\x05alicethe room was closed", "a notice begins with 0");
}

#[test]
fn l8_address_ignores_reused_slot() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    bob.say("/exit");
    alice.expect("bob left");
    // The first free slot is Bob's.
    let carol = Member::enter_unproved(&server, JOIN, "room", &text("carol"));
    alice.expect("carol joined");
    alice.say("for carol");
    bob.say("for carol, from her slot");
    alice.expect_silence();
    bob.expect_empty_socket();
    carol.prove();
    alice.say("for carol");
    carol.expect("alice: for carol");
}

#[test]
fn l16_idle_connections_cost_no_cpu() {
    let server = Server::start(&[]);
    let mut silent = Control::connect(&server);
    silent.enter(CREATE, "room", b"alice");
    let mut halfway = Control::connect(&server);
    halfway.send(&frame(JOIN, "room", b"bob")[..20]);
    let before = server.cpu_time();
    // Nothing must happen, so the test waits for a while.
    thread::sleep(Duration::from_millis(500));
    let spent = server.cpu_time() - before;
    assert!(spent.as_millis() <= 50, "{spent:?} in half a second");
}

#[test]
fn l9_leaving_costs_others_nothing() {
    const ROUNDS: usize = 50;
    let server = Server::start(&["--rate-limit", "0", "--max-unproved", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    for round in 0..ROUNDS {
        let name = format!("guest {round}");
        let leaver = Member::join(&server, "room", &text(&format!("leaver {round}")));
        let kicked = Member::join(&server, "room", &text(&name));
        let bob = Member::join(&server, "room", &text("bob"));
        // In one go, so that the server reads all of it in one turn.
        alice.say("before");
        alice.say(&format!("/kick {name}"));
        kicked.say("from the dead");
        leaver.say("/exit");
        leaver.say("from the dead");
        alice.say("after");
        bob.say("/exit");
        bob.say("from the dead");
        kicked.expect_sometime("alice: before");
        kicked.expect("you were removed from the room by its host");
        leaver.expect_sometime("alice: before");
        let heard: Vec<String> = std::iter::repeat_with(|| bob.hear_text())
            .take_while(|heard| heard != "alice: after")
            .collect();
        assert!(heard.contains(&"alice: before".to_string()), "{heard:?}");
        assert!(!heard.iter().any(|heard| heard.ends_with("from the dead")), "{heard:?}");
        kicked.expect_empty_socket();
        alice.settle();
    }
}

#[test]
fn l9_closing_room_delivers_the_rest() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let guests: Vec<Member> =
        (0..20).map(|guest| Member::join(&server, "room", &guest.to_string())).collect();
    guests.iter().for_each(Member::settle);
    (0..10).for_each(|number| alice.say(&number.to_string()));
    alice.say("/exit");
    for guest in &guests {
        let words: Vec<String> = (0..10).map(|_| guest.hear_text()).collect();
        let said: Vec<String> = (0..10).map(|number| format!("\x05alice{number}")).collect();
        assert_eq!(words, said);
        guest.expect("\0the room was closed");
    }
}

/// Sends `count` datagrams from `stranger`. Meanwhile `witness`, a member, checks that the server
/// answers and relays nothing. Returns the number of answers.
fn flood(
    stranger: &Member,
    count: usize,
    witness: &Member,
    next: &mut dyn FnMut() -> Vec<u8>,
) -> usize {
    for _ in 0..count.div_ceil(BURST) {
        (0..BURST).for_each(|_| stranger.send_datagram(&next()));
        witness.expect_silence();
    }
    count.div_ceil(BURST)
}

fn cut(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    bytes.truncate(size);
    bytes
}
