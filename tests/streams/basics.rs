//! Stream delivery on the real binary: completion, sequence, ids, repair, history (PROTOCOL.md, S1
//! to S17). Ends of streams are in ends.rs.

use std::time::{Duration, Instant};

use crate::support::streams::*;
use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

/// Sends this many lines with ids from `first` on. Each is received before the next is sent.
fn chatter(speaker: &Listener, first: u32, count: u32, size: usize) {
    for id in first..first + count {
        speaker.say(id, &format!("{id:0size$}"));
        while !speaker
            .hear()
            .items
            .iter()
            .any(|item| matches!(item, Item::Message { id: its, .. } if *its == id))
        {}
    }
}

/// Returns the numbers in packets, in the order of arrival.
fn numbers(packets: &[Packet]) -> Vec<u64> {
    packets.iter().flat_map(|packet| packet.sequence..packet.sequence + packet.numbers()).collect()
}

#[test]
fn s1_completions() {
    let server = Server::start(&[]);
    let alice = Listener::create(&server, "alice");
    let bob = Listener::join(&server, "bob");
    let Ticket { member, life, next, expected, keep_alive, idle_timeout, .. } = alice.ticket;
    assert_eq!((member, next, expected, keep_alive, idle_timeout), (1, 1, 1, 20, 300));
    let ticket = &bob.ticket;
    assert_eq!((ticket.member, ticket.life, ticket.next, ticket.expected), (2, life, 2, 1));
    assert_ne!(ticket.token, alice.ticket.token);
}

#[test]
fn s1_keep_alive_from_idle_timeout() {
    for (timeout, keep_alive) in [("0", 20), ("1", 1), ("7", 2), ("60", 20), ("300", 20)] {
        let server = Server::start(&["--idle-timeout", timeout]);
        let alice = Listener::create(&server, "alice");
        assert_eq!(alice.ticket.keep_alive, keep_alive, "{timeout}");
        assert_eq!(alice.ticket.idle_timeout.to_string(), timeout);
    }
}

#[test]
fn s1_s4_first_entry_is_own_join() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    alice.expect_nothing();
    bob.expect_nothing();
    assert_eq!((alice.end(), bob.end()), (3, 3));
}

#[test]
fn s1_a9_tags_differ_in_a_room() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    assert_ne!(alice.ticket.tag, bob.ticket.tag);
    // Listeners check the tag of each packet: of entries, of an answer, of a repair, and of an end.
    alice.say(1, "hi");
    bob.say(1, "/who");
    bob.expect(3, &[Item::message(1, 1, "alice", "hi")]);
    bob.expect_aside(ANSWER);
    bob.repair(&[(3, 1)]);
    bob.expect(3, &[Item::message(1, 1, "alice", "hi")]);
    bob.say(2, "/exit");
    bob.expect_aside(LEFT);
}

#[test]
fn s1_reopened_room_has_new_id() {
    let server = Server::start(&[]);
    let alice = Listener::create(&server, "alice");
    alice.say(1, "/exit");
    alice.expect_aside(LEFT);
    let again = Listener::create(&server, "alice");
    assert_ne!(again.ticket.life, alice.ticket.life);
    assert_eq!((again.ticket.member, again.ticket.next), (1, 1));
}

#[test]
fn s2_single_message_leaves_at_once() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    for id in 1..=5 {
        let since = Instant::now();
        alice.say(id, "hi");
        let packet = loop {
            let packet = bob.hear();
            if !packet.items.is_empty() {
                break packet;
            }
        };
        assert_eq!(packet.items, [Item::message(1, id, "alice", "hi")]);
        assert_eq!(
            (packet.sequence, packet.padding, packet.size),
            (2 + u64::from(id), 0, 12 + 3 + 9 + 7)
        );
        assert!(since.elapsed() < SECOND);
    }
}

#[test]
fn s2_entries_are_packed_to_1150() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    server.freeze();
    for id in 1..=120 {
        alice.say(id, &"x".repeat(id as usize * 37 % 290));
    }
    // An empty message is not relayed.
    server.thaw();
    for listener in [&bob, &alice] {
        let packets = listener.heard_up_to_now();
        let packets: Vec<_> = packets.iter().filter(|packet| packet.numbers() > 0).collect();
        let entries: u64 = packets.iter().map(|packet| packet.numbers()).sum();
        assert_eq!(entries, 120);
        assert!(packets.len() < 60, "{} datagrams", packets.len());
        assert_eq!(packets.last().map(|packet| packet.padding), Some(0));
        let mut next = 3;
        for packet in packets {
            assert_eq!(packet.sequence, next);
            next += packet.numbers();
        }
    }
}

#[test]
fn s4_notices_have_code_and_member() {
    let server = Server::start(&["--host-leaves", "pass"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let carol = Listener::join(&server, "carol");
    let dave = Listener::join(&server, "dave");
    bob.expect(3, &[Item::joined(3, "carol")]);
    bob.expect(4, &[Item::joined(4, "dave")]);
    alice.say(1, "/kick Carol");
    bob.expect(5, &[Item::notice(KICKED, 3, "carol", "carol was removed by the host")]);
    let (end, _) = carol.expect_aside(REMOVED);
    assert_eq!(end, Item::aside(REMOVED, 1, 0, "you were removed from the room by its host"));
    alice.say(2, "/host bob");
    bob.expect(6, &[Item::notice(NEW_HOST, 2, "bob", "bob is the host now")]);
    dave.say(1, "/exit");
    bob.expect(7, &[Item::notice(LEFT, 4, "dave", "dave left")]);
    bob.say(1, "/exit");
    alice.items_up_to_now();
    // The sixth change of presence within a second is in the summary.
    dave.expect_aside(LEFT);
    alice.expect(9, &[Item::notice(LEFT, 0, "", "1 left")]);
}

#[test]
fn s4_s5_answers_to_commands() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let help = "/exit leaves, /who lists the members, /kick NAME removes one (host), \
                /ban NAME keeps its address out too (host), \
                /unban NAME lets both in again (host), /bans lists who is kept out (host), \
                /host NAME makes another the host (host), /help shows this, \
                // sends a message that begins with /";
    let cases: [(&[u8], u8, &str); 10] = [
        (b"/who", ANSWER, "alice (host), bob"),
        (b"/help", ANSWER, help),
        (b"/kick", ANSWER, "a name is needed, as in /kick NAME or /host NAME"),
        (b"/kick alice", ANSWER, "only the host may do that"),
        (b"/host alice", ANSWER, "only the host may do that"),
        (
            b"/nonsense",
            REFUSED,
            "no such command '/nonsense', /help lists them, // sends a message that begins with /",
        ),
        (b"\xff", REFUSED, "message refused, it is not UTF-8"),
        (b"\x07", REFUSED, "message refused, it holds control characters"),
        (
            "\u{202e}".as_bytes(),
            REFUSED,
            "message refused, it holds characters that reverse the text",
        ),
        (b"", STATE, ""),
    ];
    for (id, (line, code, text)) in (1..).zip(cases) {
        bob.say_bytes(id, line);
        assert_eq!(bob.expect_aside(code).0, Item::aside(code, id + 1, id, text));
    }
    alice.expect_nothing();
    for (id, line, text) in [
        (1, "/kick alice", "you cannot remove yourself, /exit leaves and closes the room"),
        (2, "/host alice", "you are the host already"),
        (3, "/kick nobody", "nobody here has that name, /who lists the names"),
    ] {
        alice.say(id, line);
        assert_eq!(alice.expect_aside(ANSWER).0, Item::aside(ANSWER, id + 1, id, text));
    }
    alice.say(4, "/host bob");
    assert_eq!(alice.expect_aside(STATE).0, Item::state(5, 4));
    bob.say(11, "/kick alice");
    assert_eq!(bob.expect_aside(STATE).0, Item::state(12, 11));
}

#[test]
fn s5_only_the_expected_id_is_taken() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    for id in [0, 2, 3, u32::MAX] {
        bob.say(id, "too early");
        assert_eq!(bob.expect_aside(STATE).0, Item::state(1, id));
    }
    bob.say(1, "one");
    bob.expect(3, &[Item::message(2, 1, "bob", "one")]);
    for _ in 0..3 {
        bob.say(1, "one");
        assert_eq!(bob.expect_aside(STATE).0, Item::state(2, 1));
    }
    bob.say(2, "//who");
    bob.expect(4, &[Item::message(2, 2, "bob", "/who")]);
    alice.expect(3, &[Item::message(2, 1, "bob", "one")]);
    alice.expect(4, &[Item::message(2, 2, "bob", "/who")]);
    alice.expect_nothing();
}

#[test]
fn s5_command_runs_once_in_order() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    bob.say(2, "/exit");
    assert_eq!(bob.expect_aside(STATE).0, Item::state(1, 2));
    bob.say(1, "before");
    bob.expect(3, &[Item::message(2, 1, "bob", "before")]);
    bob.say(2, "/exit");
    assert_eq!(bob.expect_aside(LEFT).0, Item::aside(LEFT, 3, 2, ""));
    alice.expect(3, &[Item::message(2, 1, "bob", "before")]);
    alice.expect(4, &[Item::notice(LEFT, 2, "bob", "bob left")]);
}

#[test]
fn t10_s5_limited_message_may_return() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    server.freeze();
    (1..=6).for_each(|id| bob.say(id, "quick"));
    bob.say(6, "quick");
    server.thaw();
    let mut asides = bob.items_up_to_now();
    let entries: Vec<Item> = asides.extract_if(.., |item| item.numbers() > 0).collect();
    assert_eq!(entries, [1, 2, 3, 4, 5].map(|id| Item::message(2, id, "bob", "quick")));
    // The text for people comes once.
    let told = "you are sending too fast, the rest has to wait";
    assert_eq!(asides, [told, ""].map(|text| Item::aside(RATE_LIMITED, 6, 6, text)));
    wait_for("the message to be taken", || {
        bob.say(6, "six");
        let items = bob.items_up_to_now();
        items.contains(&Item::message(2, 6, "bob", "six")).then_some(())
    });
    let heard = alice.items_up_to_now();
    assert_eq!(heard.iter().filter(|item| **item == Item::message(2, 6, "bob", "six")).count(), 1);
}

#[test]
fn s5_nonsense_is_ignored() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    for nonsense in [
        &b"\0"[..],
        b"\0\0\0\x01",
        b"\x01",
        b"\x01\0\0\0\0\0\0\0",
        b"\x01\0\0\0\0\0\0\0\x01\0",
        b"\x02",
        b"\x02\0\0\0\0\0\0\0\x01\0",
        b"\x03",
        b"hello",
        b"\xff\0\0\0\x01hi",
    ] {
        bob.wire.say_bytes(nonsense);
    }
    bob.expect_nothing();
    alice.expect_nothing();
    let counts = server.final_counts();
    assert!(counts.contains("invalid stream messages 10"), "{counts}");
}

#[test]
fn s7_t1_unproved_port_gets_nothing() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let mut control = Control::connect(&server);
    control.request(CREATE, "room", streamed("alice", "").as_bytes());
    let ticket = Ticket::read(&control.expect_success());
    let wire = Member::with_token(server.udp, control.local_ip(), "room", ticket.token);
    let alice = Listener { ticket, wire };
    // An announced port counts for text members only.
    control.send(&alice.wire.port().to_be_bytes());
    control.end();
    control.expect_end();
    let bob = Listener::join(&server, "bob");
    bob.say(1, "is anybody there?");
    // The host times out and the room closes: no address was proved, so nobody gets a farewell.
    bob.expect_aside(ROOM_CLOSED);
    bob.expect_aside(ROOM_CLOSED);
    alice.wire.expect_empty_socket();
    let stranger = bob.wire.elsewhere();
    let spoofed = [
        datagram("room", &[b'0'; 32], b""),
        datagram("moor", &bob.ticket.token, b"\x01\0\0\0\0\0\0\0\x01"),
        datagram("room", &bob.ticket.token, b"")[..20].to_vec(),
    ];
    spoofed.iter().for_each(|bytes| stranger.send_datagram(bytes));
    bob.expect_aside(ROOM_CLOSED);
    stranger.expect_empty_socket();
}

#[test]
fn t1_foreign_ip_gets_nothing() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let spoofer = bob.wire.at(loopback(9));
    for body in
        [&b""[..], b"\x01\0\0\0\0\0\0\0\x01", b"\x02\0\0\0\0\0\0\0\x02\0\x09", b"\0\0\0\0\x01hi"]
    {
        spoofer.say_bytes(body);
    }
    alice.expect_nothing();
    bob.expect_nothing();
    spoofer.expect_empty_socket();
}

#[test]
fn s7_backlog_follows_the_proof() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Listener::create(&server, "alice");
    let bob = Listener::enter_unproved(&server, JOIN, "room", &streamed("bob", ""));
    chatter(&alice, 1, 50, 60);
    bob.wire.expect_empty_socket();
    bob.wire.say("");
    let packets = bob.heard_up_to_now();
    assert_eq!(numbers(&packets), (2..53).collect::<Vec<_>>());
    assert!(packets.len() <= 5, "packed");
}

#[test]
fn s7_s12_lost_entries_are_gone() {
    let server = Server::start(&["--rate-limit", "0", "--room-history", "4096"]);
    let alice = Listener::create(&server, "alice");
    let bob = Listener::enter_unproved(&server, JOIN, "room", &streamed("bob", ""));
    chatter(&alice, 1, 200, 60);
    bob.wire.say("");
    let packets = bob.heard_up_to_now();
    let Item::Gone(gone) = packets[0].items[0] else { panic!("{packets:?}") };
    assert_eq!(numbers(&packets), (2..203).collect::<Vec<_>>(), "each number once");
    let held = packets.iter().map(|packet| packet.items.len()).sum::<usize>() - 1;
    assert_eq!(gone as usize + held, 201);
    // A ring has 6 KiB at least: 77 bytes for an entry, 4 for finding it.
    assert_eq!(held, 6144 / (12 + 5 + 60 + 4));
    let last = packets.last().and_then(|packet| packet.items.last());
    assert_eq!(last, Some(&Item::message(1, 200, "alice", &format!("{:060}", 200))));
    let packets = bob.repaired(&[(2, 10)]);
    assert_eq!((packets.len(), packets[0].sequence), (1, 2));
    assert_eq!(packets[0].items, [Item::Gone(gone)], "all that is gone");
}

#[test]
fn s8_have_gets_a_shorter_answer() {
    let server = Server::start(&[]);
    let (_alice, bob) = listening_alice_and_bob(&server);
    for next in [0, 1, 2, 3, 4, 999, u64::MAX] {
        bob.have(next);
        let packet = bob.hear();
        assert_eq!((packet.sequence, &packet.items[..]), (3, &[Item::state(1, 0)][..]));
        assert!(packet.size < datagram("room", &bob.ticket.token, &[0; 9]).len());
    }
}

#[test]
fn s8_keep_alive_is_not_answered() {
    let server = Server::start(&[]);
    let (_alice, bob) = listening_alice_and_bob(&server);
    bob.have(3);
    bob.expect(3, &[Item::state(1, 0)]);
    (0..5).for_each(|_| bob.wire.say(""));
    bob.expect_quiet_for(SECOND / 5);
}

#[test]
fn s9_tail_probe_times() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    for listener in [&alice, &bob] {
        listener.have(3);
        listener.expect_aside(STATE);
    }
    let since = Instant::now();
    alice.say(1, "last");
    bob.expect(3, &[Item::message(1, 1, "alice", "last")]);
    alice.expect(3, &[Item::message(1, 1, "alice", "last")]);
    alice.have(4);
    alice.expect(4, &[Item::state(2, 0)]);
    for due in [50, 250, 1250] {
        let packet = bob.hear();
        let passed = since.elapsed();
        assert_eq!((packet.sequence, packet.items.len(), packet.size), (4, 0, 12));
        assert!(passed >= Duration::from_millis(due - 20), "{passed:?}");
        assert!(passed < Duration::from_millis(due) + SECOND, "{passed:?}");
    }
    bob.expect_quiet_for(SECOND / 5);
    alice.wire.expect_empty_socket();
}

#[test]
fn s11_requested_entries_are_resent() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Listener::create(&server, "alice");
    chatter(&alice, 1, 10, 10);
    let bob = Listener::join(&server, "bob");
    bob.expect(12, &[Item::joined(2, "bob")]);
    chatter(&alice, 11, 5, 10);
    assert_eq!(numbers(&bob.heard_up_to_now()), [13, 14, 15, 16, 17]);
    for (ranges, expected) in [
        (&[(1, 11)][..], &[][..]),
        (&[(1, 12)], &[12]),
        (&[(0, u16::MAX)], &[12, 13, 14, 15, 16, 17]),
        (&[(14, 2), (17, 9)], &[14, 15, 17]),
        (&[(16, 1), (13, 1)], &[16, 13]),
        (&[(18, 5)], &[]),
        (&[(u64::MAX, 5)], &[]),
        (&[(14, 0)], &[]),
    ] {
        let packets = bob.repaired(ranges);
        assert_eq!(numbers(&packets), expected, "{ranges:?}");
    }
}

#[test]
fn s11_repair_has_16_datagrams() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Listener::create(&server, "alice");
    chatter(&alice, 1, 40, 1000);
    let all: Vec<(u64, u16)> = (1..=40).map(|number| (number, 1)).collect();
    for ranges in [&[(1, 41)][..], &all] {
        let packets = alice.repaired(ranges);
        assert_eq!(packets.len(), 16);
    }
}

#[test]
fn s11_repair_budget_refills() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Listener::create(&server, "alice");
    chatter(&alice, 1, 100, 1000);
    let repaired = || {
        let packets = alice.repaired(&[(2, 100)]);
        packets.iter().map(|packet| packet.size).sum::<usize>()
    };
    let since = Instant::now();
    let mut total = 0;
    for _ in 0..8 {
        total += repaired();
    }
    let of_time = |since: Instant| since.elapsed().as_millis() as usize * 16384 / 1000;
    assert!((63_000..=65_536 + of_time(since)).contains(&total), "{total}");
    assert!(repaired() <= of_time(since) + 1100, "silence");
    let before = Instant::now();
    alice.have(20);
    alice.expect_aside(STATE);
    let confirmed = repaired();
    assert!((16_000..=20_500 + 1100 + of_time(before)).contains(&confirmed), "{confirmed}");
    alice.have(20);
    alice.expect_aside(STATE);
    let before = Instant::now();
    assert!(repaired() <= 2200 + of_time(before), "what was confirmed counts once");
    wait_for("time to refill it", || (repaired() > 0).then_some(()));
}

#[test]
fn s12_host_sets_history_limit() {
    for (allowed, wish, seen) in [
        ("", r#","history":20"#, 0),
        (r#","history":5"#, r#","history":20"#, 5),
        (r#","history":5"#, r#","history":3"#, 3),
        (r#","history":5"#, "", 0),
        (r#","history":1024"#, r#","history":9999"#, 31),
    ] {
        let server = Server::start(&["--rate-limit", "0"]);
        let alice = Listener::enter(&server, CREATE, &streamed("alice", allowed));
        chatter(&alice, 1, 30, 10);
        let bob = Listener::enter(&server, JOIN, &streamed("bob", wish));
        assert_eq!(bob.ticket.next, 32 - seen, "{allowed} {wish}");
        let packets = bob.heard_up_to_now();
        assert_eq!(numbers(&packets), (32 - seen..33).collect::<Vec<_>>());
        let packets = bob.repaired(&[(1, 99)]);
        assert_eq!(numbers(&packets), (32 - seen..33).collect::<Vec<_>>(), "no way round it");
    }
}

#[test]
fn s12_s15_text_host_allows_history() {
    let server = Server::start(&["--rate-limit", "0"]);
    let host = Member::create(&server, "room", r#"{"username":"host","history":2}"#);
    host.say("before the stream");
    host.settle();
    let alice = Listener::join(&server, "alice");
    alice.expect(1, &[Item::joined(2, "alice")]);
    ["one", "two", "three"].iter().for_each(|line| host.say(line));
    host.settle();
    let bob = Listener::enter(&server, JOIN, &streamed("bob", r#","history":9"#));
    assert_eq!(
        bob.items_up_to_now(),
        [
            Item::message(1, 0, "host", "two"),
            Item::message(1, 0, "host", "three"),
            Item::joined(3, "bob"),
        ]
    );
}

#[test]
fn s12_closed_rooms_shrink_first() {
    let server = Server::start(&["--rate-limit", "0", "--history-memory", "40000"]);
    let enter = |room: &str| {
        let host = Listener::enter_unproved(
            &server,
            CREATE,
            room,
            &streamed("host", r#","history":1024"#),
        );
        host.wire.say("");
        host
    };
    let held = |host: &Listener| match host.repaired(&[(1, 1000)])[0].items[0] {
        Item::Gone(gone) => 1001 - u64::from(gone),
        _ => 1001,
    };
    let [big, quiet] = ["big", "quiet"].map(enter);
    chatter(&quiet, 1, 10, 100);
    chatter(&big, 1, 400, 100);
    assert!(held(&big) < 1001);
    assert_eq!(held(&quiet), 1001, "what is busy takes nothing of it");
    // A closed room's ring is the first to go.
    big.say(401, "/exit");
    big.expect_aside(LEFT);
    let other = enter("other");
    chatter(&other, 1, 180, 100);
    assert_eq!(held(&other), 1001, "there is space");
    big.repair(&[(390, 5)]);
    loop {
        let packet = big.hear();
        if packet.sequence == 390 && matches!(packet.items[0], Item::Gone(5..)) {
            break;
        }
    }
}
