//! A full send buffer, on the real binary. Loopback delivers a datagram within the send call, so its
//! buffer is never full. In a network namespace of its own it can be slowed down.

mod support;

use std::io::ErrorKind;
use std::time::Instant;

use support::namespace::in_namespace;
use support::*;

/// 12.5 MB a second: the messages of a test take two seconds, and do not fit the 8 MiB that the
/// kernel grants at most.
const SLOW: &str = "ip link set lo up && \
    tc qdisc add dev lo root tbf rate 100mbit burst 256kb limit 200mb";

const MEMBERS: usize = 100;
/// With their names just below the 256 KiB that may wait in a room.
const MESSAGES: usize = 250;
const SIZE: usize = 1000;

#[test]
fn d6_full_send_buffer_loses_nothing() {
    in_namespace(
        "d6_full_send_buffer_loses_nothing",
        "d6 on the real binary, no slow loopback",
        SLOW,
        everyone_gets_everything_from_a_server_that_has_to_wait,
    );
}

fn everyone_gets_everything_from_a_server_that_has_to_wait() {
    let server = Server::start(&["--rate-limit", "0", "--max-unproved", "0"]);
    let host = Member::create(&server, "r", r#"{"username":"host"}"#);
    let listeners: Vec<Member> = (1..MEMBERS)
        .map(|index| Member::join(&server, "r", &format!(r#"{{"username":"m{index}"}}"#)))
        .collect();
    // A later notice would serve the room again, even if its socket were still full.
    host.hear_of_joins(MEMBERS - 1);
    listeners.iter().for_each(Member::settle);

    let cpu_before = server.cpu_time();
    let start = Instant::now();
    listeners.iter().for_each(prepare);
    server.freeze();
    for number in 0..MESSAGES {
        host.say(&message(number));
    }
    server.thaw();
    hear_all(&listeners);
    let (cpu, took) = (server.cpu_time() - cpu_before, start.elapsed());

    assert!(cpu < took / 4, "{cpu:?} of CPU in {took:?}");
    let counts = server.final_counts();
    assert!(counts.contains("waits for a full socket"), "it was full: {counts}");
    assert!(!counts.contains("send errors") && !counts.contains("room busy"), "{counts}");
}

fn message(number: usize) -> String {
    format!("{number:0SIZE$}")
}

/// Sets the largest receive buffer that the kernel allows: the receiver is not under test.
fn prepare(listener: &Member) {
    listener.socket.set_nonblocking(true).expect("an option");
    let socket = socket2::SockRef::from(&listener.socket);
    socket.set_recv_buffer_size(4 * MESSAGES * SIZE).expect("an option");
}

/// Reads until each listener has had every message in order.
fn hear_all(listeners: &[Member]) {
    let mut next = vec![0; listeners.len()];
    wait_for("every message to everyone", || {
        for (listener, next) in listeners.iter().zip(&mut next) {
            hear_some(listener, next);
        }
        next.iter().all(|next| *next == MESSAGES).then_some(())
    });
}

fn hear_some(listener: &Member, next: &mut usize) {
    let mut buffer = [0; 2 * SIZE];
    loop {
        match listener.socket.recv(&mut buffer) {
            Ok(size) => {
                assert_eq!(&buffer[b"host: ".len()..size], message(*next).as_bytes());
                *next += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks the counters in the opposite case. Otherwise the test above would prove nothing.
#[test]
fn d6_writable_socket_is_not_full() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", r#"{"username":"host"}"#);
    host.say("/who");
    host.expect("host (host)");
    assert!(!server.final_counts().contains("full socket"));
}
