//! Rooms and members: commands, notices, every way to leave and to return (PROTOCOL.md, W27 to
//! W38).

mod support;

use std::time::{Duration, Instant};

use support::*;

const ROOM_NOT_FOUND: u8 = 2;
const WRONG_PASSWORD: u8 = 3;
const NAME_TAKEN: u8 = 6;
const KICKED: u8 = 11;

const CLOSED: &str = "the room was closed";
const CLOSED_JA: &str = "チャットルームが閉じられました";
const REMOVED_FOR_SILENCE: &str =
    "you were removed from the room, nothing was heard from you for a while";
const REMOVED_FOR_SILENCE_JA: &str = "しばらく発言しなかったので、チャットルームから退出させました";
const REMOVED_BY_HOST: &str = "you were removed from the room by its host";

#[test]
fn w27_exit_in_all_spellings() {
    for line in ["/exit", " /EXIT ", "/Exit\n", "\t/eXiT", "\u{3000}/exit", "/exit\r\n"] {
        let server = Server::start(&[]);
        let (alice, bob) = alice_and_bob(&server);
        bob.say(line);
        alice.expect("bob left");
        alice.say("is he gone?");
        alice.settle();
        bob.expect_empty_socket();
    }
}

#[test]
fn w27_similar_words_do_not_leave() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    for line in ["exit", "/exit now", "//exit", "/exi", "/exit/", "/ exit"] {
        bob.say(line);
    }
    bob.say("still here");
    alice.expect_sometime("bob: still here");
}

#[test]
fn w27_exit_is_never_limited() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    (0..20).for_each(|_| bob.say("hi"));
    bob.say("/exit");
    alice.expect_sometime("bob left");
}

#[test]
fn w28_who_lists_members_in_order() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", "carol");
    let dave = Member::join(&server, "room", &text("dave"));
    dave.say("/who");
    dave.expect("alice (host), bob, carol, dave");
    carol.settle();
    carol.say("/WHO\n");
    carol.expect("\0alice (host), bob, carol, dave");
    bob.say("/exit");
    alice.say("/host dave");
    dave.expect_sometime("dave is the host now");
    dave.say("/who");
    dave.expect("alice, carol, dave (host)");
    alice.settle();
    alice.expect_silence();
}

#[test]
fn w28_long_list_counts_the_rest() {
    const GUESTS: usize = 40;
    let server = Server::start(&["--max-unproved", "0"]);
    let mut control = Control::connect(&server);
    let long = |number: usize| format!("{number:02}{}", "x".repeat(58));
    control.enter(CREATE, "room", long(0).as_bytes());
    for guest in 1..=GUESTS {
        control.enter(JOIN, "room", long(guest).as_bytes());
    }
    for payload in [text("alice"), "bob".into()] {
        let member = Member::join(&server, "room", &payload);
        member.say("/who");
        let heard = member.hear();
        assert!(heard.len() <= 1200, "{} bytes", heard.len());
        let heard = String::from_utf8(heard).expect("UTF-8");
        let (names, more) = heard.trim_start_matches('\0').rsplit_once(" and ").expect("an end");
        let names: Vec<&str> = names.split(", ").collect();
        assert_eq!(more, format!("{} more", GUESTS + 2 - names.len()));
        assert_eq!(names[0], long(0) + " (host)");
        assert!(names.iter().skip(1).enumerate().all(|(at, name)| *name == long(at + 1)));
        assert!(heard.len() + long(0).len() + ", ".len() > 1200, "as many as fit");
        member.say("/exit");
    }
}

#[test]
fn w28_list_fits_1200_bytes() {
    // Together "alice (host)", four names of 255 bytes and the last one, with separators between.
    let room_for_last = 1199 - "alice (host)".len() - 4 * (2 + 255) - 2;
    for (last_size, latecomers, end) in [
        (room_for_last, 0, "xxx"),
        (room_for_last + 1, 0, " and 1 more"),
        (room_for_last, 1, " and 2 more"), // The ending needs space too.
    ] {
        let server = Server::start(&[]);
        Control::connect(&server).enter(CREATE, "room", b"alice");
        for guest in 0..4 {
            Control::connect(&server).enter(JOIN, "room", format!("{guest:x<255}").as_bytes());
        }
        let last = Member::join(&server, "room", &"x".repeat(last_size));
        for _ in 0..latecomers {
            Control::connect(&server).enter(JOIN, "room", b"z");
        }
        last.say("/who");
        let is_list = |heard: &String| heard.starts_with("\0alice (host)");
        let list = std::iter::repeat_with(|| last.hear_text()).find(is_list).expect("endless");
        assert!(list.len() <= 1200 && list.ends_with(end), "{} bytes: {list}", list.len());
    }
}

#[test]
fn w29_kicked_name_is_banned() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", &text("carol"));
    alice.say("/kick BOB");
    bob.expect("carol joined");
    bob.expect(REMOVED_BY_HOST);
    carol.expect("bob was removed by the host");
    bob.say("I am still here");
    bob.say("/exit");
    carol.expect_silence();
    bob.expect_empty_socket();
    let mut control = Control::connect(&server);
    for name in ["bob", "Bob", "BOB"] {
        assert_eq!(control.status_of(JOIN, "room", name.as_bytes()), KICKED);
    }
    assert_eq!(control.status_of(JOIN, "room", b"bobby"), 0);
    assert_eq!(
        alice.heard_up_to_now(),
        ["carol joined", "bob was removed by the host", "bobby joined"]
    );
}

#[test]
fn w29_ban_outlasts_its_host() {
    let server = Server::start(&["--host-leaves", "pass"]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", &text("carol"));
    alice.say("/kick bob");
    bob.expect_sometime(REMOVED_BY_HOST);
    alice.say("/exit");
    carol.expect_sometime("carol is the host now");
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", b"bob"), KICKED);
    carol.say("/exit");
    carol.expect(CLOSED);
    assert_eq!(control.status_of(CREATE, "room", b"alice"), 0);
    assert_eq!(control.status_of(JOIN, "room", b"bob"), 0, "another life of the room");
}

#[test]
fn w29_w30_only_for_the_host() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    bob.say("/kick alice");
    bob.expect("only the host may do that");
    bob.say("/host bob");
    bob.expect("only the host may do that");
    for (line, told) in [
        ("/kick", "a name is needed, as in /kick NAME or /host NAME"),
        ("/host ", "a name is needed, as in /kick NAME or /host NAME"),
        ("/kick nobody", "nobody here has that name, /who lists the names"),
        ("/host nobody", "nobody here has that name, /who lists the names"),
        ("/kick Alice", "you cannot remove yourself, /exit leaves and closes the room"),
        ("/host alice", "you are the host already"),
    ] {
        alice.say(line);
        alice.expect(told);
    }
    bob.expect_silence();
}

#[test]
fn w30_host_is_handed_over() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    alice.say("/host Bob");
    alice.expect("bob is the host now");
    bob.expect("bob is the host now");
    alice.say("/kick bob");
    alice.expect("only the host may do that");
    alice.say("/exit");
    bob.expect("alice left");
    bob.say("/who");
    bob.expect("bob (host)");
}

#[test]
fn w31_help_lists_every_command() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    alice.say("/help");
    let help = alice.hear_text();
    let all =
        ["/exit", "/who", "/kick NAME", "/ban NAME", "/unban NAME", "/bans", "/host NAME", "/help"];
    for command in all {
        assert!(help.contains(command), "{help}");
    }
    bob.expect_silence();
}

#[test]
fn w32_name_follows_one_space() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    let ada = Member::join(&server, "room", &text("Ada von Ångström"));
    alice.expect("Ada von Ångström joined");
    alice.say("/kick ada von");
    alice.expect("nobody here has that name, /who lists the names");
    alice.say("/kick ADA VON ÅNGSTRÖM\n");
    ada.expect(REMOVED_BY_HOST);
}

#[test]
fn w32_field_k_blanks_are_ignored() {
    let server = Server::start(&[]);
    let alice = Member::create(&server, "room", &text("alice"));
    for line in ["/kick  bob", "/kick bob ", "/kick\tbob\r\n", "/kick\u{3000}bob\u{3000}"] {
        let room = format!("room of {}", line.escape_unicode());
        let host = Member::create(&server, &room, &text("alice"));
        let bob = Member::join(&server, &room, &text("bob"));
        host.expect("bob joined");
        host.say(line);
        bob.expect(REMOVED_BY_HOST);
    }
    alice.say("/host \t alice");
    alice.expect("you are the host already");
}

#[test]
fn w32_unknown_word_is_escaped() {
    let server = Server::start(&["--lang", "ja"]);
    let alice = Member::create(&server, "room", &text("alice"));
    alice.say(&format!("/{}\u{200b}", "x".repeat(30)));
    let told = alice.hear_text();
    let escaped = format!(r"「/{}\u{{200b}}」というコマンドは", "x".repeat(30));
    assert!(told.starts_with(&escaped), "{told}");
    alice.say(&format!("/{}", "x".repeat(2000)));
    let told = alice.hear_text();
    assert!(told.starts_with(&format!("「/{}…」というコマンドは", "x".repeat(32))), "{told}");
}

#[test]
fn w32_notice_explains_double_slash() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    for line in ["/nonsense", "/", "/ who", "/whoami", "/kickbob", "/exit now"] {
        bob.say(line);
        let word = line.split(' ').next().expect("a word");
        let rest = "/help lists them, // sends a message that begins with /";
        bob.expect(&format!("no such command '{word}', {rest}"));
    }
    alice.expect_silence();
}

/// The notices of a room in one language.
struct Phrases {
    lang: &'static str,
    joined: &'static str,
    new_host: &'static str,
    kicked: &'static str,
    removed: &'static str,
    left: &'static str,
    refused: &'static str,
    rate_limited: &'static str,
    closed: &'static str,
}

#[test]
fn w33_w34_notice_language() {
    let english = Phrases {
        lang: "en",
        joined: "bob joined",
        new_host: "bob is the host now",
        kicked: "carol was removed by the host",
        removed: REMOVED_BY_HOST,
        left: "alice left",
        refused: "message refused, it holds control characters",
        rate_limited: "you are sending too fast, what came last was not sent on",
        closed: CLOSED,
    };
    let japanese = Phrases {
        lang: "ja",
        joined: "bobさんが入室しました",
        new_host: "bobさんがホストになりました",
        kicked: "carolさんはホストによって退室させられました",
        removed: "ホストによってチャットルームから退出させられました",
        left: "aliceさんが退室しました",
        refused: "制御文字を含むため、発言は送られませんでした",
        rate_limited: "送信が速すぎるため、最後の発言は送られませんでした",
        closed: CLOSED_JA,
    };
    for phrases in [english, japanese] {
        check_phrases(&phrases);
    }
}

fn check_phrases(phrases: &Phrases) {
    let server = Server::start(&["--lang", phrases.lang, "--rate-limit", "2"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::join(&server, "room", &text("bob"));
    alice.expect(phrases.joined);
    let carol = Member::join(&server, "room", &text("carol"));
    let dave = Member::join(&server, "room", &text("dave"));
    alice.say("/host bob");
    bob.expect_sometime(phrases.new_host);
    bob.say("/kick carol");
    bob.expect(phrases.kicked);
    carol.expect_sometime(phrases.removed);
    alice.say("/exit");
    bob.expect(phrases.left);
    bob.say("\0");
    bob.expect(phrases.refused);
    (0..20).for_each(|_| dave.say("hi"));
    dave.expect_sometime(phrases.rate_limited);
    bob.say("/exit");
    bob.expect_sometime(phrases.closed);
    dave.expect_sometime(phrases.closed);
}

#[test]
fn w33_fast_sender_is_told_once() {
    let server = Server::start(&["--rate-limit", "2", "--idle-timeout", "0"]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", &text("carol"));
    bob.expect("carol joined");
    (0..30).for_each(|number| bob.say(&number.to_string()));
    bob.expect("you are sending too fast, what came last was not sent on");
    let heard = carol.heard_up_to_now();
    // Bob's join took one; a second of a slow machine gives two more.
    let first: Vec<_> = (0..9).map(|number| format!("bob: {number}")).collect();
    assert_eq!(heard[..9], first);
    assert!(heard.len() < 20, "{heard:?}");
    bob.say("");
    alice.say("bob?");
    bob.expect("alice: bob?");
}

#[test]
fn w33_crowd_is_summarized() {
    let server = Server::start(&["--max-unproved", "0"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut control = Control::connect(&server);
    let names: Vec<String> = (0..9).map(|number| format!("guest {number}")).collect();
    let joins: Vec<u8> =
        names.iter().flat_map(|name| frame(JOIN, "room", name.as_bytes())).collect();
    control.send(&joins);
    names[..5].iter().for_each(|name| alice.expect(&format!("{name} joined")));
    alice.expect("4 joined");
    let ip = control.local_ip();
    let guests: Vec<Member> = names
        .iter()
        .map(|_| control.expect_success().try_into().expect("a token"))
        .map(|token| Member::with_token(server.udp, ip, "room", token))
        .collect();
    guests.iter().for_each(|guest| guest.say("/exit"));
    names[..5].iter().for_each(|name| alice.expect(&format!("{name} left")));
    alice.expect("4 left");
    alice.expect_silence();
}

#[test]
fn w33_w34_japanese_crowd_times_out() {
    let options = ["--lang", "ja", "--idle-timeout", "1", "--max-unproved", "0"];
    let server = Server::start(&options);
    let alice = Member::create(&server, "room", &text("alice"));
    let mut control = Control::connect(&server);
    let joins: Vec<u8> = (0..7).flat_map(|name| frame(JOIN, "room", &[b'a' + name])).collect();
    control.send(&joins);
    hear_while_awake(&alice, "2人が入室");
    hear_while_awake(&alice, "2人が時間切れ");
}

#[test]
fn w35_room_closes_with_its_host() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", "carol");
    bob.expect("carol joined");
    alice.say("/exit");
    alice.expect_sometime(CLOSED);
    bob.expect(CLOSED);
    assert_eq!(carol.hear(), [b"\0", CLOSED.as_bytes()].concat());
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", b"dave"), ROOM_NOT_FOUND);
    let eve = Member::create(&server, "room", &text("eve"));
    for dead in [&alice, &bob, &carol] {
        dead.say("from the dead");
        dead.say("/who");
    }
    eve.expect_silence();
    [&alice, &bob, &carol].iter().for_each(|dead| dead.expect_empty_socket());
}

#[test]
fn w35_name_is_free_at_the_notice() {
    let server = Server::start(&[]);
    for _ in 0..20 {
        let alice = Member::create(&server, "room", &text("alice"));
        alice.say("/exit");
        alice.expect(CLOSED);
    }
}

#[test]
fn w35_longest_member_becomes_host() {
    let server = Server::start(&["--host-leaves", "pass"]);
    let (alice, bob) = alice_and_bob(&server);
    let carol = Member::join(&server, "room", &text("carol"));
    bob.expect("carol joined");
    alice.say("/exit");
    for member in [&bob, &carol] {
        member.expect("alice left");
        member.expect("bob is the host now");
    }
    bob.say("/exit");
    carol.expect("bob left");
    carol.expect("carol is the host now");
    carol.say("/exit");
    carol.expect(CLOSED);
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(JOIN, "room", b"dave"), ROOM_NOT_FOUND);
}

#[test]
fn w35_w36_host_timeout_closes_room() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let (alice, bob) = alice_and_bob(&server);
    hear_while_awake(&bob, CLOSED);
    alice.expect(REMOVED_FOR_SILENCE);
    alice.expect(CLOSED);
}

#[test]
fn w36_keep_alive_prevents_timeout() {
    check_idleness("en", REMOVED_FOR_SILENCE, "bob timed out");
}

#[test]
fn w36_w34_timeout_in_japanese() {
    check_idleness("ja", REMOVED_FOR_SILENCE_JA, "bobさんは発言がないため退室しました");
}

fn check_idleness(lang: &str, removed: &str, timed_out: &str) {
    let server = Server::start(&["--idle-timeout", "2", "--lang", lang]);
    let alice = Member::create(&server, "room", &text("alice"));
    let start = Instant::now();
    let bob = Member::join(&server, "room", &text("bob"));
    hear_while_awake(&alice, timed_out);
    assert!(start.elapsed() >= Duration::from_secs(2), "not before its time");
    bob.expect(removed);
    bob.say("I am back");
    alice.expect_silence();
    bob.expect_empty_socket();
}

#[test]
fn w36_unproved_member_times_out() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let alice = Member::create(&server, "room", &text("alice"));
    let bob = Member::enter_unproved(&server, JOIN, "room", &text("bob"));
    hear_while_awake(&alice, "bob timed out");
    bob.expect_empty_socket();
}

#[test]
fn w37_dead_token_stays_dead() {
    let server = Server::start(&[]);
    let (alice, bob) = alice_and_bob(&server);
    bob.say("/exit");
    alice.expect("bob left");
    let again = Member::join(&server, "room", &text("bob"));
    alice.expect("bob joined");
    bob.say("under my old token");
    bob.say("/exit");
    again.expect_silence();
    again.say("under my new one");
    alice.expect("bob: under my new one");
    bob.expect_empty_socket();
}

#[test]
fn w38_field_b_guest_returns() {
    let server = Server::start(&["--replace-silent", "1"]);
    let host = r#"{"username":"alice","password":"secret"}"#;
    let guest =
        |name: &str, password| format!(r#"{{"username":"{name}","password":"{password}"}}"#);
    let alice = Member::create(&server, "room", host);
    let bob = Member::join(&server, "room", &guest("bob", "secret"));
    let start = Instant::now();
    let carol = Member::join(&server, "room", &guest("carol", "secret"));
    let mut control = Control::connect(&server);
    // Carol was the last to send: when she is replaced, everybody has been silent for long enough.
    let returns = guest("carol", "secret");
    wait_for("Carol's return", || {
        (control.status_of(JOIN, "room", returns.as_bytes()) == 0).then_some(())
    });
    assert!(start.elapsed() >= Duration::from_secs(1), "not before its time");
    let status =
        |control: &mut Control, payload: &str| control.status_of(JOIN, "room", payload.as_bytes());
    assert_eq!(status(&mut control, &guest("bob", "wrong")), WRONG_PASSWORD);
    let mut other_ip = Control::connect_from(&server, loopback(2));
    assert_eq!(status(&mut other_ip, &guest("bob", "secret")), NAME_TAKEN, "from another IP");
    let again = Member::join(&server, "room", &guest("BOB", "secret"));
    bob.expect_sometime(REMOVED_FOR_SILENCE);
    bob.say("under my old token");
    carol.say("under my old token");
    again.say("under my new one");
    alice.expect_sometime("carol joined");
    alice.expect_sometime("carol joined");
    alice.expect("BOB joined");
    alice.expect("BOB: under my new one");
}

#[test]
fn w38_no_early_replacement() {
    for options in [&["--replace-silent", "30"], &["--replace-silent", "0"], &[][..]] {
        let server = Server::start(options);
        let (_alice, bob) = alice_and_bob(&server);
        let mut control = Control::connect(&server);
        assert_eq!(control.status_of(JOIN, "room", b"bob"), NAME_TAKEN, "{options:?}");
        bob.expect_silence();
    }
}
