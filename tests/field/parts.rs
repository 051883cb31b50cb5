//! Long messages in parts (S16): real servers and sockets, bytes written and read by hand.

use std::time::Duration;

use crate::support::streams::*;
use crate::support::*;

/// Sends a text in parts of these sizes and the rest, with ids from `id` on. Returns the next id.
fn say_in_parts(listener: &Listener, mut id: u32, text: &[u8], sizes: &[usize]) -> u32 {
    let mut rest = text;
    for size in sizes {
        let (part, more) = rest.split_at(*size);
        listener.say_part(id, part);
        (rest, id) = (more, id + 1);
    }
    listener.say_bytes(id, rest);
    id + 1
}

#[test]
fn s16_field_a_long_message_in_parts() {
    let server = Server::start(&["--rate-limit", "0"]);
    for size in [1, 60, 255] {
        let name = "n".repeat(size);
        let host = Listener::enter_unproved(&server, CREATE, &name, &streamed(&name, ""));
        host.wire.say("");
        let bob = Listener::enter_unproved(&server, JOIN, &name, &streamed("bob", ""));
        bob.wire.say("");
        let text = Member::join(&server, &name, &text("text"));
        host.heard_up_to_now();
        bob.heard_up_to_now();
        // Characters of three bytes: the cuts are at their beginnings.
        let longest = "部".repeat((4070 - size) / 3);
        say_in_parts(&host, 1, longest.as_bytes(), &[800, 800, 800, 800]);
        text.expect(&format!("{name}: {longest}"));
        for listener in [&host, &bob] {
            let packets = listener.heard_up_to_now();
            assert_eq!(joined(&packets), [&*longest]);
            let items: Vec<_> = packets.iter().flat_map(|packet| &packet.items).collect();
            let of_host = |item: &&&Item| match item {
                Item::Part { member, id, name: its, .. }
                | Item::Message { member, id, name: its, .. } => {
                    (*member, *id, its) == (1, 5, &name)
                }
                _ => false,
            };
            assert!((4..=5).contains(&items.iter().filter(of_host).count()), "{items:?}");
        }
    }
}

#[test]
fn s16_field_a_datagrams_fit_1150_bytes() {
    let server = Server::start(&["--rate-limit", "0", "--lang", "ja"]);
    let names: Vec<String> = (0..9).map(|n| format!("{n}{}", "n".repeat(254))).collect();
    let host = Listener::create(&server, &names[0]);
    // `Packet::read` checks the size of each datagram: notices with the name twice, lists, answers.
    let guests: Vec<_> = names[1..].iter().map(|name| Listener::join(&server, name)).collect();
    host.say(1, "/who");
    host.say(2, &format!("/{}", "w".repeat(3000)));
    host.say(3, &format!("/kick {}", "k".repeat(3000)));
    host.say(4, &format!("/kick {}", names[1]));
    host.say(5, &format!("/host {}", names[2]));
    host.say(6, &"x".repeat(3800));
    guests[1].say(1, "/help");
    guests[2].say(1, "/exit");
    for listener in [&host, &guests[1], &guests[3]] {
        assert_eq!(joined(&listener.heard_up_to_now()).len(), 1);
    }
    guests[1].say(2, "/exit");
    guests[3].expect_aside(ROOM_CLOSED);
}

#[test]
fn s16_each_part_is_confirmed() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    alice.say_part(1, b"one ");
    alice.expect(3, &[Item::state(2, 1)]);
    alice.say_part(1, b"one ");
    alice.expect(3, &[Item::state(2, 1)]);
    alice.say(3, "overtakes");
    alice.expect(3, &[Item::state(2, 3)]);
    // A cut may be inside a character.
    alice.say_part(2, &"部".as_bytes()[..1]);
    alice.expect(3, &[Item::state(3, 2)]);
    alice.say_bytes(3, &"部".as_bytes()[1..]);
    let said = [Item::message(1, 3, "alice", "one 部")];
    alice.expect(3, &said);
    bob.expect(3, &said);
    alice.say_bytes(3, b"again");
    alice.expect(4, &[Item::state(4, 3)]);
    bob.expect_nothing();
}

#[test]
fn s16_commands_come_in_parts() {
    let server = Server::start(&["--rate-limit", "0"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let answer = |listener: &Listener| listener.heard_up_to_now().pop().expect("an answer").items;
    say_in_parts(&alice, 1, b"/who", &[1, 2]);
    assert_eq!(answer(&alice), [Item::aside(ANSWER, 4, 3, "alice (host), bob")]);
    say_in_parts(&alice, 4, b"good\xff", &[4]);
    let not_utf8 = "message refused, it is not UTF-8";
    assert_eq!(answer(&alice), [Item::aside(REFUSED, 6, 5, not_utf8)]);
    say_in_parts(&alice, 6, &[b'x'; 4096], &[1100, 1100, 1100]);
    let too_long = "message refused, it is too long, 4065 bytes fit";
    assert_eq!(answer(&alice), [Item::aside(REFUSED, 10, 9, too_long)]);
    say_in_parts(&alice, 10, &[b'x'; 9000], &[1100; 8]);
    assert_eq!(answer(&alice), [Item::aside(REFUSED, 19, 18, too_long)]);
    bob.expect_nothing();
    say_in_parts(&bob, 1, b" /EXIT\n", &[1, 1, 1]);
    let (left, _) = bob.expect_aside(LEFT);
    assert_eq!(left, Item::aside(LEFT, 5, 4, ""));
}

#[test]
fn s16_message_in_parts_counts_once() {
    let server = Server::start(&["--rate-limit", "1"]);
    let (alice, bob) = listening_alice_and_bob(&server);
    let mut id = 1;
    // A burst of five messages, whatever their parts.
    for _ in 0..5 {
        id = say_in_parts(&alice, id, b"abcde", &[1, 1, 1, 1]);
    }
    assert_eq!(joined(&bob.heard_up_to_now()), ["abcde"; 5]);
    alice.heard_up_to_now();
    say_in_parts(&alice, id, b"xyz", &[1, 1]);
    let (too_fast, _) = alice.expect_aside(RATE_LIMITED);
    let told = "you are sending too fast, the rest has to wait";
    assert_eq!(too_fast, Item::aside(RATE_LIMITED, id + 2, id + 2, told), "only the last part");
    // The parts are kept during this time.
    wait_for("the message to be taken", || {
        alice.say_bytes(id + 2, b"z");
        let heard = joined(&bob.heard_up_to_now());
        (!heard.is_empty()).then(|| assert_eq!(heard, ["xyz"]))
    });
}

#[test]
fn s16_parts_expire_after_10_seconds() {
    let server = Server::start(&[]);
    let (alice, bob) = listening_alice_and_bob(&server);
    alice.say_part(1, b"begun");
    bob.say_part(1, b"kept ");
    for id in 2..5 {
        std::thread::sleep(Duration::from_millis(3600));
        bob.say_part(id, b"on ");
    }
    bob.say(5, "and on");
    assert_eq!(joined(&alice.heard_up_to_now()), ["kept on on on and on"]);
    bob.heard_up_to_now();
    alice.say_part(2, b"more");
    alice.say(3, "tail");
    let (refused, _) = alice.expect_aside(REFUSED);
    let told = "message refused, a part of it came too late, send it again";
    assert_eq!(refused, Item::aside(REFUSED, 4, 3, told));
    alice.say(4, "anew");
    assert_eq!(joined(&bob.heard_up_to_now()), ["anew"]);
}

#[test]
fn s12_s16_history_starts_whole() {
    let server = Server::start(&["--rate-limit", "0"]);
    let alice = Listener::enter(&server, CREATE, &streamed("alice", r#","history":9"#));
    let long = "x".repeat(4000);
    alice.say(1, &long);
    alice.say(2, "short");
    alice.heard_up_to_now();
    // The join of Alice, four parts, the short message, and the joins of both guests.
    let numbers = [(1, 6, vec!["short"]), (4, 6, vec!["short"]), (9, 1, vec![&*long, "short"])];
    for (history, next, texts) in numbers {
        let wish = streamed(&format!("g{history}"), &format!(r#","history":{history}"#));
        let guest = Listener::enter(&server, JOIN, &wish);
        assert!(joined(&guest.heard_up_to_now()) == texts, "{history} entries");
        assert_eq!(guest.ticket.next, next, "{history} entries");
    }
}
