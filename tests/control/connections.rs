//! W14 to W16: deadlines and ends of connections.

use std::time::{Duration, Instant};

use crate::support::{CREATE, Control, JOIN, LIST, Member, Server, frame, wait_for};
use crate::{IMPATIENT, Newcomer, expect_refusal, json, settle};

#[test]
fn w14_closing_tcp_is_not_leaving() {
    let server = Server::start(&["--connect-timeout", "1"]);
    let host = Member::create(&server, "r", &json("host"));
    let closed = Newcomer::join(&server, "closed").leave_tcp();
    let reset = Newcomer::join(&server, "reset");
    reset.control.reset();
    let mut kept = Newcomer::join(&server, "kept");
    kept.control.expect_end();
    for member in [&closed, &reset.member, &kept.member] {
        member.prove();
    }
    host.say("/who");
    host.expect_sometime("host (host), closed, reset, kept");
}

#[test]
fn w15_silent_connection_is_closed() {
    let server = Server::start(&IMPATIENT);
    let begun = Instant::now();
    let mut fresh = Control::connect(&server);
    let mut answered = Control::connect(&server);
    settle(&mut answered);
    fresh.expect_end();
    answered.expect_end();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn w11_w15_late_frame_is_malformed() {
    let server = Server::start(&IMPATIENT);
    let begun = Instant::now();
    let request = frame(JOIN, "room", json("alice").as_bytes());
    let mut controls: Vec<(Control, u8)> = [1, 31, 32, request.len() - 1]
        .into_iter()
        .map(|size| {
            let mut control = Control::connect(&server);
            control.send(&request[..size]);
            (control, if size > 1 { JOIN } else { 0 })
        })
        .collect();
    let mut answered = Control::connect(&server);
    settle(&mut answered);
    answered.send(&request[..2]);
    controls.push((answered, JOIN));
    for (control, operation) in &mut controls {
        expect_refusal(control, *operation);
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn w15_truncated_frame_is_malformed() {
    let server = Server::start(&[]);
    for size in [1, 2, 20, 40] {
        let mut control = Control::connect(&server);
        control.send(&frame(JOIN, "room", json("alice").as_bytes())[..size]);
        control.end();
        expect_refusal(&mut control, if size > 1 { JOIN } else { 0 });
    }
}

#[test]
fn w15_frame_deadline_is_absolute() {
    let server = Server::start(&IMPATIENT);
    let mut control = Control::connect(&server);
    control.stream().set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    // Another byte after each 100 ms without an answer, for five seconds.
    let trickle = frame(JOIN, "room", &[b' '; 100]);
    let refused = trickle[..50].iter().any(|byte| {
        control.send(&[*byte]);
        control.stream().peek(&mut [0]).is_ok()
    });
    assert!(refused, "the bytes have put the deadline off");
    expect_refusal(&mut control, JOIN);
}

#[test]
fn w15_each_request_has_its_deadline() {
    let server = Server::start(&IMPATIENT);
    let mut control = Control::connect(&server);
    for _ in 0..6 {
        // Together the pauses are longer than the deadline.
        std::thread::sleep(Duration::from_millis(300));
        let request = frame(LIST, "", b"");
        control.send(&request[..5]);
        control.send(&request[5..]);
        control.expect_success();
    }
}

#[test]
fn w15_longest_idle_is_evicted() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut silent = Control::connect(&server);
    settle(&mut silent);
    let mut talking = Control::connect(&server);
    settle(&mut talking);
    let mut third = Control::connect(&server);
    assert_eq!(silent.expect_status(), 8);
    silent.expect_end();
    settle(&mut talking);
    settle(&mut third);
    // Now the second connection is idle for longer than the third.
    let mut fourth = Control::connect(&server);
    assert_eq!(talking.expect_status(), 8);
    talking.expect_end();
    settle(&mut third);
    settle(&mut fourth);
}

#[test]
fn w16_last_reply_survives_unread_input() {
    let server = Server::start(&[]);
    let mut header = frame(CREATE, "", b"");
    header[3] = 1;
    let garbage = vec![b'x'; 200 * 1024];
    for _ in 0..20 {
        let mut control = Control::connect(&server);
        control.send(&[&header[..], &garbage].concat());
        expect_refusal(&mut control, CREATE);
    }
}

#[test]
fn w16_requests_before_end_are_answered() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.send(&frame(LIST, "", b"").repeat(100));
    control.end();
    for _ in 0..100 {
        assert_eq!(control.expect_success(), b"[]");
    }
    control.expect_end();
}

#[test]
fn w16_linger_lasts_two_seconds() {
    let server = Server::start(&[]);
    let before = server.descriptors();
    let mut control = Control::connect(&server);
    let mut header = frame(CREATE, "", b"");
    header[3] = 1;
    control.send(&header);
    expect_refusal(&mut control, CREATE);
    let begun = Instant::now();
    assert!(server.descriptors() > before, "it is still read on");
    wait_for("the connection to be freed", || (server.descriptors() == before).then_some(()));
    assert!(begun.elapsed() > Duration::from_secs(1));
}
