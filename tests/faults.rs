//! Failures of the system and of peers at bad times: no descriptors left, and resets in every state
//! of a connection. Tests that take a crowd or some time are in `faults_slow.rs`.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reactor_chat::config::ACCEPT_PAUSE;
use support::namespace::skip;
use support::peers::*;
use support::*;

/// Clients that connect before the descriptors are used up, and clients that have to wait.
const SERVED: usize = 10;
const WAITING: usize = 20;

#[test]
fn l4_emfile_delays_new_connections_only() {
    let server = Server::start(&[]);
    let idle = server.descriptors();
    let (alice, bob) = alice_and_bob(&server);
    wait_for("the connections to be freed", || (server.descriptors() == idle).then_some(()));
    if let Err(error) = server.leave_descriptors(SERVED) {
        return skip("l4 on the real binary, no prlimit(1)", &error.to_string());
    }
    let mut served: Vec<Control> = (0..SERVED).map(|_| Control::connect(&server)).collect();
    served.iter_mut().for_each(expect_answer);
    let ask = |_| {
        let mut control = Control::connect(&server);
        control.request(LIST, "", b"");
        control
    };
    let mut waiting: Vec<Control> = (0..WAITING).map(ask).collect();

    expect_idleness(&server);
    for number in 0..50 {
        alice.say(&number.to_string());
        bob.expect(&format!("alice: {number}"));
    }
    served.iter_mut().for_each(expect_answer);
    waiting.iter().for_each(Control::expect_nothing);

    expect_succession(&mut served, &mut waiting);
    // Nothing ends, and no event reports that there are descriptors again.
    server.leave_descriptors(WAITING).expect("it has just worked");
    for control in &mut waiting {
        control.expect_success();
    }
    assert!(server.final_counts().contains("accept errors"), "or the test shows nothing");
}

/// Each client that leaves makes room for one that waits. A pause lasts from a failed accept to the
/// next attempt. If only the end of a pause let the next one in, each would take a whole pause.
fn expect_succession(served: &mut Vec<Control>, waiting: &mut Vec<Control>) {
    let next: Vec<Control> = waiting.drain(..SERVED).collect();
    let succeed = |(gone, mut next): (Control, Control)| {
        let start = Instant::now();
        drop(gone);
        next.expect_success();
        (start.elapsed(), next)
    };
    let (took, next): (Vec<Duration>, Vec<Control>) =
        served.drain(..).zip(next).map(succeed).unzip();
    served.extend(next);
    // The first one may have come at the end of a pause.
    let fastest = took[1..].iter().min().expect("some");
    assert!(*fastest < ACCEPT_PAUSE / 2, "{took:?}");
}

/// A connection in the state of its name, to be reset.
type Start = fn(&Server) -> Control;

const STATES: [(&str, Start); 17] = [
    ("just accepted", |server| sent(server, b"")),
    ("in the middle of a header", |server| sent(server, &list_frame()[..20])),
    ("between header and room name", |server| sent(server, &taken_room()[..32])),
    ("in the middle of a body", |server| sent(server, &taken_room()[..40])),
    ("a request, its reply unread", |server| sent(server, &list_frame())),
    ("a room made, the token unread", |server| sent(server, &own_room())),
    ("a reply read", |server| answered(server, &list_frame())),
    ("the token read", |server| answered(server, &own_room())),
    ("a refusal read", |server| {
        let mut control = sent(server, &taken_room());
        assert_ne!(control.expect_status(), 0);
        control
    }),
    ("half a port announced", |server| {
        let mut control = answered(server, &own_room());
        control.send(&[1]);
        control
    }),
    ("a port announced", |server| {
        let mut control = answered(server, &own_room());
        control.send(&[0xff, 0xfe]);
        control
    }),
    ("a port announced and our half ended", |server| {
        let mut control = answered(server, &own_room());
        control.send(&[0xff, 0xfd]);
        control.end();
        control
    }),
    ("many requests", |server| sent(server, &list_frame().repeat(100))),
    ("many requests and our half ended", |server| {
        let mut control = sent(server, &list_frame().repeat(100));
        control.end();
        control
    }),
    ("lingering", |server| {
        let mut control = sent(server, &oversized_header());
        assert_ne!(control.expect_status(), 0);
        control.expect_end();
        control
    }),
    ("garbage", |server| sent(server, &[0xff; 100_000])),
    ("megabytes of replies unread", |server| Control::over(hoard(server))),
];

fn sent(server: &Server, bytes: &[u8]) -> Control {
    let mut control = Control::connect(server);
    control.send(bytes);
    control
}

fn answered(server: &Server, request: &[u8]) -> Control {
    let mut control = sent(server, request);
    control.expect_success();
    control
}

/// A request for a room that exists.
fn taken_room() -> Vec<u8> {
    frame(CREATE, "room", text("x").as_bytes())
}

/// A request for a room that does not exist yet.
fn own_room() -> Vec<u8> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    frame(CREATE, &format!("own {number}"), text("x").as_bytes())
}

#[test]
fn l6_resets_affect_one_peer_only() {
    let server = server_with_a_long_list(&["--rate-limit", "0"]);
    let mut bystander = Control::connect(&server);
    expect_answer(&mut bystander);
    let descriptors = server.descriptors();
    let (alice, bob) = alice_and_bob(&server);
    let expect_peace = |bystander: &mut Control, what: &str| {
        expect_answer(bystander);
        alice.say(what);
        bob.expect(&format!("alice: {what}"));
        alice.expect_silence();
        expect_service(&server);
    };
    for (state, start) in STATES {
        // Input from before the reset is read with it, or earlier.
        for is_seen in [false, true] {
            let control = start(&server);
            if is_seen {
                expect_answer(&mut bystander);
            }
            control.reset();
            expect_peace(&mut bystander, state);
        }
    }
    let controls: Vec<Control> = STATES.iter().map(|(_, start)| start(&server)).collect();
    server.freeze();
    controls.into_iter().for_each(Control::reset);
    server.thaw();
    expect_peace(&mut bystander, "all at once");
    let freed = || (server.descriptors() == descriptors).then_some(());
    wait_for("the connections to be freed", freed);
}
