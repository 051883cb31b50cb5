//! The client and a server that does not answer: that it says so, and how it comes back.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::program::*;
use crate::support::proxy::Proxy;
use crate::support::talkers::*;
use crate::support::*;

#[test]
fn cut_loses_no_message() {
    let server = Server::start(&["--rate-limit", "0"]);
    let proxy = Proxy::start(server.udp, 0, 1);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = over(&proxy, &server, &["join", "r1", "bob"]);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    proxy.cut();
    ann.say(&numbered(0..200));
    bob.say(&numbered(200..400));
    ann.lines_up_to("ann: line 199");
    // This is the length of the cut, not a wait for something.
    thread::sleep(Duration::from_millis(1500));
    assert!(ann.out.try_recv().is_err() && bob.out.try_recv().is_err(), "it is a cut");
    proxy.heal();
    let heard = ann.lines_up_to("bob: line 399");
    assert_eq!(heard, (200..400).map(|line| format!("bob: line {line}")).collect::<Vec<_>>());
    let record = bob.lines_up_to("bob: line 399");
    let from_ann = (0..200).map(|line| format!("ann: line {line}"));
    assert_eq!(record, from_ann.chain(heard).collect::<Vec<_>>());
    bob.end_input();
    bob.expect_end(0);
}

#[test]
fn s8_silence_and_its_end_are_reported() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 3);
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    let state = stream(1, &[aside(12, 1, 0, "")]);
    stranger.udp.send_to(&state, at).expect("sent");
    bob.expect_complaint("reactor-chat-client: the server answers again");
    stranger.udp.send_to(&stream(1, &[message(1, 1, "ann", "hi")]), at).expect("sent");
    bob.expect("ann: hi");
    stranger.udp.send_to(&stream(2, &[aside(5, 1, 0, "the room was closed")]), at).expect("sent");
    bob.expect(CLOSED);
    bob.expect_end(0);
}

/// A server may announce an idle timeout that no clock can represent.
#[test]
fn s8_huge_idle_timeout_is_accepted() {
    let stranger = Stranger::start();
    let (mut bob, _) = bob_in_stream(&stranger, u64::MAX);
    bob.say("typed\n");
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    bob.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
}

#[test]
fn s14_live_token_is_resumed() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 6);
    bob.say("typed\n");
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    bob.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
    // The request to go on; it is answered as the one to join was.
    stranger.admit_to_stream(1, 6);
    let admitted = Instant::now();
    let have = b"\x01\0\0\0\0\0\0\0\x01";
    let new = loop {
        let (bytes, from) = stranger.hear_bytes();
        if from != at && bytes == have {
            break from;
        }
    };
    // Until it is there nobody can talk to us, so it does not wait for its turn.
    assert!(admitted.elapsed() < Duration::from_secs(1), "{:?}", admitted.elapsed());
    // The message that is open is sent from there too, with the same id.
    while stranger.hear_bytes() != (b"\0\0\0\0\x01typed".to_vec(), new) {}
    stranger.udp.send_to(&stream(1, &[message(3, 1, "bob", "typed")]), new).expect("sent");
    bob.expect_complaint("reactor-chat-client: the server answers again");
    bob.expect("bob: typed");
}

#[test]
fn s15_restart_loses_no_typed_line() {
    let address = address_of_its_own();
    // Long enough for a guest that is faster than its host to try again.
    let options = ["--idle-timeout", "6", "--bind", &address];
    let server = Server::start(&options);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = bob_joins(&server);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    let (tcp, udp) = (server.tcp.port().to_string(), server.udp.port().to_string());
    drop(server);
    bob.say("one\ntwo\n");
    for talker in [&ann, &bob] {
        talker.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    }
    let _server = Server::start_at(&tcp, &udp, &options);
    for talker in [&ann, &bob] {
        talker.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
        talker.expect_complaint("reactor-chat-client: in r1 again");
        talker.lines_up_to("bob: one");
        talker.expect("bob: two");
    }
    ann.say("welcome back\n");
    bob.expect("ann: welcome back");
    ann.end_input();
    bob.expect(CLOSED);
    bob.expect_end(0);
}

/// Bob has entries 1 and 2 of the room and a line that is open when he becomes a new member, who may
/// see what is from `next` on.
fn come_back_to_the_same_life(next: u64, missing: Option<&str>) {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 6);
    let two = [message(1, 1, "ann", "one"), message(1, 2, "ann", "two")];
    stranger.udp.send_to(&stream(1, &two), at).expect("sent");
    bob.lines_up_to("ann: two");
    bob.say("typed\n");
    // The token is dead, and nobody has made the room again: later.
    stranger.refuse(2);
    stranger.refuse(2);
    stranger.refuse(2);
    stranger.admit_to_stream(next, 6);
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    bob.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
    let new = loop {
        let (bytes, from) = stranger.hear_bytes();
        if from != at && bytes == b"\0\0\0\0\x01typed" {
            break from;
        }
    };
    let more: Vec<_> = (next..8).map(|id| message(1, id as u32, "ann", &id.to_string())).collect();
    stranger.udp.send_to(&stream(next, &more), new).expect("sent");
    bob.expect_complaint("reactor-chat-client: in r1 again");
    missing.into_iter().for_each(|line| bob.expect(line));
    (next.max(3)..8).for_each(|id| bob.expect(&format!("ann: {id}")));
}

#[test]
fn s15_same_room_continues_record() {
    come_back_to_the_same_life(2, None);
}

#[test]
fn s15_hidden_history_is_counted() {
    come_back_to_the_same_life(5, Some("* 2 messages could not be recovered"));
}

#[test]
fn s15_lost_server_ends_client() {
    let server = Server::start(&["--idle-timeout", "3"]);
    let mut ann = ann_creates(&server, &[]);
    let (tcp, udp) = (server.tcp, server.udp);
    drop(server);
    ann.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    ann.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
    let place = format!("127.0.0.1 port {}", tcp.port());
    let next = "check host and port, or ask its operator";
    let back = format!("{} --name ann create r1", options_to(tcp, udp));
    ann.expect_complaint(&format!(
        "reactor-chat-client: the server is gone: no server listens at {place}; {next}; when it is \
         back, go on with: reactor-chat-client {back}"
    ));
    ann.expect_end(1);
}

#[test]
fn s15_banned_client_ends() {
    let stranger = Stranger::start();
    let (mut bob, _) = bob_in_stream(&stranger, 3);
    for status in [2, 11] {
        stranger.refuse(status);
    }
    bob.expect_complaint("reactor-chat-client: no answer from the server, still trying");
    bob.expect_complaint("reactor-chat-client: still no answer, trying to get back into r1");
    let complaint = bob.err.recv_timeout(DEADLINE).expect("a complaint");
    let why = "the host has banned 'bob' or this address from room 'r1'; ask the host";
    assert!(complaint.starts_with(&format!("reactor-chat-client: {why}")), "{complaint}");
    bob.expect_end(1);
}
