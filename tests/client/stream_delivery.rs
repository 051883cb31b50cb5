//! The client with stream delivery, as a program: nothing is lost, whatever the network and the
//! server do.

use std::fs::File;
use std::net::UdpSocket;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::program::*;
use crate::support::talkers::*;
use crate::support::*;

#[test]
fn piped_lines_come_back_in_order() {
    let server = Server::start(&[]);
    let mut ann = ann_creates(&server, &[]);
    let start = Instant::now();
    let output = run_with_input(&server, &["join", "r1", "bob"], b"hi\n\nlast line without end");
    let stdout = "* ann joined\n* bob joined\nbob: hi\nbob: last line without end\n";
    expect_output(&output, 0, stdout, "");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    for line in ["* bob joined", "bob: hi", "bob: last line without end", "* bob left"] {
        ann.expect(line);
    }
    ann.end_input();
    ann.expect(CLOSED);
    ann.expect_end(0);
}

#[test]
fn s12_history_is_least_of_both() {
    let server = Server::start(&[]);
    for (made, joined, shown) in [
        ("20", "20", &["* ann joined", "ann: 1", "ann: 2"][..]),
        ("20", "1", &["ann: 2"]),
        ("2", "1024", &["ann: 1", "ann: 2"]),
        ("20", "0", &[]),
        ("0", "20", &[]),
    ] {
        let mut ann = ann_creates(&server, &["--history", made]);
        ann.say("1\n2\n");
        ann.lines_up_to("ann: 2");
        let output = run(&server, &["--history", joined, "join", "r1", "bob"]);
        let lines = [shown, &["* bob joined"]].concat().join("\n") + "\n";
        expect_output(&output, 0, &lines, "");
        ann.end_input();
        ann.lines_up_to(CLOSED);
        ann.expect_end(0);
    }
}

#[test]
fn clients_read_the_same() {
    let server = Server::start(&["--rate-limit", "0"]);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = bob_joins(&server);
    ann.lines_up_to("* bob joined");
    bob.lines_up_to("* bob joined");
    let input = numbered(0..300);
    ann.say(&input);
    bob.say(&input);
    // Asides are not part of the record.
    let record_of = |talker: &Talker| -> Vec<String> {
        let lines = std::iter::from_fn(|| talker.out.recv_timeout(DEADLINE).ok());
        lines.filter(|line| !line.starts_with("* ")).take(600).collect()
    };
    let record = record_of(&ann);
    assert_eq!(record, record_of(&bob));
    for name in ["ann", "bob"] {
        let said: Vec<_> =
            record.iter().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect();
        assert_eq!(said, input.lines().collect::<Vec<_>>());
    }
}

#[test]
fn s5_long_input_loses_nothing() {
    let server = Server::start(&["--rate-limit", "200"]);
    let ann = ann_creates(&server, &[]);
    let input = numbered(0..1500);
    let output = run_with_input(&server, &["join", "r1", "bob"], input.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let heard = ann.lines_up_to("* bob left");
    let said: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("bob: ")).collect();
    assert_eq!(said, input.lines().collect::<Vec<_>>());
}

#[test]
fn s13_exit_waits_for_slow_server() {
    // A hundred lines may come at once; the others take three seconds and a half.
    let server = Server::start(&["--rate-limit", "20"]);
    let ann = ann_creates(&server, &[]);
    let input = numbered(0..170);
    let output = run_with_input(&server, &["join", "r1", "bob"], input.as_bytes());
    assert!(output.status.success(), "{output:?}");
    ann.lines_up_to("bob: line 169");
    ann.expect("* bob left");
}

#[test]
fn s1_other_server_has_text_delivery() {
    let stranger = Stranger::start();
    let mut bob = stranger.client(&["join", "r1", "bob"]);
    stranger.admit();
    let (proof, at) = stranger.hear();
    assert_eq!(proof, "");
    stranger.udp.send_to("ann: hi\x1b".as_bytes(), at).expect("sent");
    bob.expect("ann: hi\\u{1b}");
    bob.say("hello\n");
    while stranger.hear().0 != "hello" {}
    stranger.udp.send_to(b"the room was closed", at).expect("sent");
    bob.expect("the room was closed");
    bob.expect_end(0);
}

#[test]
fn text_delivery_can_be_requested() {
    let server = Server::start(&[]);
    let ann = Member::create(&server, "r1", &text("ann"));
    let mut bob = Talker::start(&server, &["--delivery", "text", "join", "r1", "bob"]);
    bob.say("here\n");
    ann.expect("bob joined");
    ann.expect("bob: here");
    ann.say("hi");
    bob.expect("ann: hi");
    ann.say("/exit");
    bob.expect("the room was closed");
    bob.expect_end(0);
}

#[test]
fn bad_line_does_not_stop_the_next() {
    let server = Server::start(&[]);
    let ann = ann_creates(&server, &[]);
    // Name and message may have 4,070 bytes.
    let fits = "x".repeat(4067);
    let input = [fits.as_bytes(), &[b'y'; 4068], b"\xff", b"ok\n"].join(&b'\n');
    let output = run_with_input(&server, &["--history", "0", "join", "r1", "bob"], &input);
    let too_long = "reactor-chat-client: line not sent: it is too long, 4067 bytes fit\n";
    let not_utf8 = "reactor-chat-client: line not sent: it is not UTF-8\n";
    let stdout = format!("* bob joined\nbob: {fits}\nbob: ok\n");
    let count = "reactor-chat-client: lines not accepted: 2\n";
    expect_output(&output, 1, &stdout, &[too_long, not_utf8, count].concat());
    assert!(ann.lines_up_to("* bob left").contains(&format!("bob: {fits}")));
}

#[test]
fn asides_are_shown_once() {
    let stranger = Stranger::start();
    let (bob, at) = bob_in_stream(&stranger, 300);
    let send = |bytes: &[u8]| stranger.udp.send_to(bytes, at).expect("sent");
    send(&stream(1, &[aside(12, 1, 0, ""), aside(10, 1, 0, "ann (host)\x1b"), gone(1)]));
    send(&stream(2, &[message(1, 1, "ann", "a\nbob: b"), gone(3), notice(1, "cy joined")]));
    for line in [
        "* ann (host)\\u{1b}",
        "* 1 message could not be recovered",
        "ann: a bob: b",
        "* 3 messages could not be recovered",
        "* cy joined",
    ] {
        bob.expect(line);
    }
}

#[test]
fn s10_gap_is_shown_in_its_place() {
    let stranger = Stranger::start();
    let (bob, at) = bob_in_stream(&stranger, 300);
    let send = |bytes: &[u8]| stranger.udp.send_to(bytes, at).expect("sent");
    send(&stream(2, &[message(1, 2, "ann", "second")]));
    while stranger.hear_bytes().0 != [&b"\x02"[..], &1_u64.to_be_bytes(), &[0, 1]].concat() {}
    send(&stream(1, &[message(1, 1, "ann", "first")]));
    bob.expect("ann: first");
    bob.expect("ann: second");
}

#[test]
fn s13_closing_is_shown_once() {
    let closed = "the room was closed";
    let in_place = stream(1, &[notice(5, closed), message(1, 1, "ann", "after")]);
    let told = |sequence| stream(sequence, &[aside(5, 1, 0, closed)]);
    let silent = |sequence| stream(sequence, &[aside(5, 1, 0, "")]);
    for (datagrams, lines) in [
        (vec![in_place.clone(), told(3)], vec![CLOSED, "ann: after"]),
        (vec![told(3), told(3), in_place.clone()], vec![CLOSED, "ann: after"]),
        (vec![told(1), told(1)], vec![CLOSED]),
        (vec![silent(1)], vec![CLOSED]),
        // The client stops waiting for entries that the server no longer has.
        (vec![told(9)], vec![CLOSED]),
    ] {
        let stranger = Stranger::start();
        let (mut bob, at) = bob_in_stream(&stranger, 300);
        for datagram in datagrams {
            stranger.udp.send_to(&datagram, at).expect("sent");
        }
        lines.into_iter().for_each(|line| bob.expect(line));
        bob.expect_end(0);
    }
}

#[test]
fn s13_removed_client_ends() {
    let server = Server::start(&[]);
    let mut ann = ann_creates(&server, &[]);
    let mut bob = bob_joins(&server);
    bob.lines_up_to("* bob joined");
    ann.say("/kick bob\n");
    bob.expect("* you were removed from the room by its host");
    bob.expect_end(0);
    ann.lines_up_to("* bob was removed by the host");
}

#[test]
fn stopping_server_is_waited_for() {
    let mut server = Server::start(&[]);
    let mut ann = ann_creates(&server, &[]);
    server.signal("TERM");
    assert!(server.wait().success());
    ann.expect("* the server is shutting down or restarting");
    ann.expect_complaint("reactor-chat-client: trying to get back into r1");
    // Nothing waits to be said, so nothing keeps us.
    ann.end_input();
    ann.expect_end(0);
}

#[test]
fn s13_silent_exit_ends_after_2_s() {
    let stranger = Stranger::start();
    let (mut bob, _) = bob_in_stream(&stranger, 300);
    let start = Instant::now();
    bob.say("/exit\n");
    bob.expect_end(0);
    let waited = start.elapsed();
    assert!((2..5).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn s13_a13_leaving_takes_2_s_at_most() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 300);
    bob.say("hi\n");
    while !stranger.hear_bytes().0.ends_with(b"hi") {}
    let start = Instant::now();
    bob.end_input();
    let answers = [aside(8, 1, 1, ""), aside(12, 1, 1, ""), aside(8, 1, 0, "")];
    let udp = stranger.udp.try_clone().expect("a socket");
    // Longer than the two seconds in which the client must leave.
    let server = thread::spawn(move || {
        while start.elapsed() < Duration::from_secs(4) {
            if udp.send_to(&stream(1, &answers), at).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    bob.expect_complaint("reactor-chat-client: lines not accepted: 1");
    bob.expect_end(1);
    let waited = start.elapsed();
    assert!(waited < Duration::from_millis(3_500), "{waited:?}");
    drop(server);
}

#[test]
fn s13_unaccepted_lines_are_a_failure() {
    let stranger = Stranger::start();
    let (mut bob, _) = bob_in_stream(&stranger, 300);
    bob.say("one\ntwo\n/exit\n");
    bob.expect_complaint("reactor-chat-client: lines not accepted: 2");
    bob.expect_end(1);
}

#[test]
fn exit_goes_behind_typed_lines() {
    let stranger = Stranger::start();
    let (mut bob, at) = bob_in_stream(&stranger, 300);
    bob.say(&[&numbered(0..100), "/exit\n"].concat());
    let mut heard = Vec::new();
    while heard.last().is_none_or(|text| text != "/exit") {
        let (bytes, _) = stranger.hear_bytes();
        let Some((0, body)) = bytes.split_first() else { continue };
        let (id, text) = body.split_first_chunk().expect("an id");
        let id = u32::from_be_bytes(*id);
        if id as usize == heard.len() + 1 {
            let text = String::from_utf8(text.to_vec()).expect("UTF-8");
            let relayed = stream(id.into(), &[message(3, id, "bob", &text)]);
            stranger.udp.send_to(&relayed, at).expect("sent");
            heard.push(text);
        }
    }
    let sent = [&numbered(0..100), "/exit\n"].concat();
    assert_eq!(heard, sent.lines().collect::<Vec<_>>());
    stranger.udp.send_to(&stream(102, &[aside(2, 102, 101, "")]), at).expect("sent");
    bob.lines_up_to("bob: /exit");
    bob.expect_end(0);
}

/// The turn in which stdout fails is not followed by an event that would send `/exit`.
#[test]
fn failed_stdout_leaves_at_once() {
    let stranger = Stranger::start();
    let mut command = stranger.command(&["join", "r1", "bob"]);
    let full = File::options().write(true).open("/dev/full").expect("full(4)");
    command.stdin(Stdio::piped()).stdout(full);
    let mut child = command.spawn().expect("the built client");
    stranger.admit_to_stream(1, 300);
    let (_, at) = stranger.hear_bytes();
    let start = Instant::now();
    // Its `have` is answered, so it has no question to ask for 20 s.
    let answered = stream(1, &[aside(12, 1, 0, ""), message(1, 1, "ann", "hi")]);
    stranger.udp.send_to(&answered, at).expect("sent");
    while !stranger.hear_bytes().0.ends_with(b"/exit") {}
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    stranger.udp.send_to(&stream(2, &[aside(2, 2, 1, "")]), at).expect("sent");
    let _input = child.stdin.take();
    assert_eq!(child.wait_with_output().expect("a child").status.code(), Some(1));
}

#[test]
fn second_signal_does_not_wait() {
    let server = Server::start(&[]);
    let ann = ann_creates(&server, &[]);
    for signal in ["INT", "TERM"] {
        let mut bob = Talker::start(&server, &["--history", "0", "join", "r1", "bob"]);
        bob.expect("* bob joined");
        let start = Instant::now();
        bob.signal(signal);
        bob.expect_end(0);
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "given up, not confirmed: {:?}",
            start.elapsed()
        );
        ann.lines_up_to("* bob left");
    }
    let stranger = Stranger::start();
    let (mut bob, _) = bob_in_stream(&stranger, 300);
    let start = Instant::now();
    bob.signal("INT");
    // The first one is heeded: `/exit` is here.
    while !stranger.hear_bytes().0.ends_with(b"/exit") {}
    bob.signal("INT");
    assert_eq!(bob.wait().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn s3_a9_foreign_tags_are_ignored() {
    let stranger = Stranger::start();
    let (bob, at) = bob_in_stream(&stranger, 300);
    let forger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for forged in [
        stream(1, &[message(1, 1, "ann", "forged")]),
        stream(1, &[gone(1000)]),
        stream(1, &[aside(5, 1, 0, "the room was closed")]),
    ] {
        // Refused, if it is told at all: the client's socket is another's.
        let _ = forger.send_to(&forged, at);
    }
    let mut of_another = stream(1, &[message(1, 1, "ann", "for another member")]);
    of_another[3] = 8;
    stranger.udp.send_to(&of_another, at).expect("sent");
    stranger.udp.send_to(&stream(1, &[message(1, 1, "ann", "real")]), at).expect("sent");
    bob.expect("ann: real");
}

#[test]
fn endless_input_needs_no_memory() {
    let server = Server::start(&["--rate-limit", "0"]);
    let _ann = ann_creates(&server, &[]);
    let mut bob = bob_joins(&server);
    let mut stdin = bob.stdin.take().expect("open");
    let writer = thread::spawn(move || {
        use std::io::Write;
        while stdin.write_all(b"and on and on\n").is_ok() {}
    });
    let start = server.cpu_time();
    let is_busy = || server.cpu_time() - start > Duration::from_millis(50);
    wait_for("a signal to be worth it", || is_busy().then_some(()));
    bob.signal("INT");
    assert_eq!(bob.wait().code(), Some(1));
    writer.join().expect("no panic");
}
