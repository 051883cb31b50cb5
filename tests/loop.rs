//! Faults that break event loops, on the side of TCP: the rows L and T of tests/README.md.
//!
//! Some tests stop the server until everything is in place. Its next wait then reports all of it in
//! one batch, as on a busy machine.

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::peers::*;
use support::*;

/// More connections than a turn accepts or serves.
const CROWD: usize = 1000;

const MALFORMED: u8 = 9;

fn crowd(server: &Server) -> Vec<Control> {
    allow_a_crowd();
    (0..CROWD).map(|_| Control::connect(server)).collect()
}

#[test]
fn l1_work_over_budget_is_done_next() {
    let server = Server::start(&[]);
    let mut controls = crowd(&server);
    controls.iter_mut().for_each(expect_answer);
    server.freeze();
    for control in &mut controls {
        control.send(&list_frame().repeat(3));
    }
    server.thaw();
    for control in &mut controls {
        for _ in 0..3 {
            control.expect_success();
        }
    }
}

#[test]
fn l1_datagrams_over_budget_are_read() {
    /// More than a turn reads, and few enough for the smallest socket buffer of any system.
    const COUNT: usize = 400;
    let server = Server::start(&["--rate-limit", "0"]);
    let host = Member::create(&server, "r", r#"{"username":"host"}"#);
    let guest = Member::join(&server, "r", r#"{"username":"guest"}"#);
    host.expect("guest joined");
    guest.settle();
    server.freeze();
    (0..COUNT).for_each(|_| guest.say(""));
    guest.say("behind them");
    server.thaw();
    host.expect("guest: behind them");
}

#[test]
fn l2_connection_burst_is_accepted() {
    let server = Server::start(&[]);
    server.freeze();
    let mut controls = crowd(&server);
    for control in &mut controls {
        control.request(LIST, "", b"");
    }
    server.thaw();
    for control in &mut controls {
        control.expect_success();
    }
}

#[test]
fn l3_requests_are_answered_in_order() {
    let server = Server::start(&["--max-unproved", "0"]);
    let mut control = Control::connect(&server);
    expect_answer(&mut control);
    let rooms: Vec<String> = (0..300).map(|number| format!("room {number}")).collect();
    let requests = rooms.iter().map(|room| frame(CREATE, room, br#"{"username":"host"}"#));
    let requests: Vec<u8> = requests.flatten().collect();
    server.freeze();
    control.send(&requests);
    server.thaw();
    for room in &rooms {
        for state in [1, 2] {
            let reply = control.expect_reply();
            assert_eq!((reply.state, reply.room), (state, room.as_bytes().to_vec()));
        }
    }
}

#[test]
fn l3_blocked_requests_are_answered() {
    let server = server_with_a_long_list(&[]);
    let mut control = Control::over(hoard(&server));
    for _ in 0..500 {
        control.expect_success();
    }
    expect_answer(&mut control);
}

#[test]
fn l5_l6_reset_before_accept() {
    let server = Server::start(&[]);
    server.freeze();
    for _ in 0..10 {
        Control::connect(&server).reset();
    }
    let mut patient = Control::connect(&server);
    server.thaw();
    expect_answer(&mut patient);
}

#[test]
fn l7_evicted_request_is_ignored() {
    let server = Server::start(&["--max-connections", "2"]);
    let (mut silent, mut talking) = (Control::connect(&server), Control::connect(&server));
    expect_answer(&mut silent);
    expect_answer(&mut talking);
    server.freeze();
    // The members of this room have no address for its notices.
    silent.request(CREATE, "r", b"alice");
    let mut newcomer = Control::connect(&server);
    server.thaw();
    newcomer.request(LIST, "", b"");
    assert_eq!(newcomer.expect_success(), b"[]");
    expect_answer(&mut talking);
}

#[test]
fn l7_events_after_end_are_ignored() {
    let server = Server::start(&["--max-connections", "50"]);
    for _ in 0..5 {
        let mut controls: Vec<Control> = (0..50).map(|_| Control::connect(&server)).collect();
        expect_answer(&mut controls[0]);
        server.freeze();
        // All these connections are evicted for new ones, and have events of every kind.
        for (number, mut control) in controls.into_iter().enumerate() {
            match number % 3 {
                0 => control.reset(),
                1 => control.end(),
                _ => control.send(&list_frame()),
            }
        }
        let mut newcomers: Vec<Control> = (0..50).map(|_| Control::connect(&server)).collect();
        server.thaw();
        newcomers.iter_mut().for_each(expect_answer);
    }
}

#[test]
fn l8_timer_ignores_reused_slot() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let mut witness = Control::connect(&server);
    expect_answer(&mut witness);
    let descriptors = server.descriptors();
    let mut gone = Control::connect(&server);
    gone.send(b"x");
    // A reset discards unread answers, so these clients read theirs first.
    (0..3).for_each(|_| expect_answer(&mut witness));
    wait_for("the connection", || (server.descriptors() > descriptors).then_some(()));
    gone.reset();
    wait_for("its end", || (server.descriptors() == descriptors).then_some(()));
    let mut tenant = Control::connect(&server);
    expect_answer(&mut tenant);
    let mut later = Control::connect(&server);
    later.send(b"x");
    assert_eq!(later.expect_status(), MALFORMED, "this deadline is over: so is the first");
    expect_answer(&mut tenant);
}

#[test]
fn l8_port_ignores_reused_slot() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", "host");
    let mut control = Control::connect(&server);
    let token = control.enter(JOIN, "r", br#"{"username":"gone"}"#);
    let gone = Member::with_token(server.udp, control.local_ip(), "r", token);
    gone.say("/exit");
    host.expect_sometime("\0gone left");
    let tenant = Member::enter_unproved(&server, JOIN, "r", r#"{"username":"tenant"}"#);
    control.send(&gone.port().to_be_bytes());
    control.end();
    control.expect_end();
    host.say("for the tenant");
    host.settle();
    gone.expect_empty_socket();
    tenant.settle();
    host.say("hi");
    tenant.expect("host: hi");
}

#[test]
fn l9_members_end_during_delivery() {
    let server = Server::start(&[]);
    let member = |name: &str| {
        let payload = format!(r#"{{"username":"{name}"}}"#);
        let operation = if name == "host" { CREATE } else { JOIN };
        let member = Member::enter_unproved(&server, operation, "r", &payload);
        member.prove();
        member
    };
    let [host, speaker, leaving, kicked] = ["host", "speaker", "leaving", "kicked"].map(member);
    [&host, &speaker, &leaving].into_iter().for_each(Member::settle);
    server.freeze();
    leaving.say("/exit");
    speaker.say("1");
    host.say("/kick kicked");
    speaker.say("2");
    server.thaw();
    for text in ["leaving left", "speaker: 1", "kicked was removed by the host", "speaker: 2"] {
        host.expect(text);
    }
    for text in ["leaving left", "kicked was removed by the host"] {
        speaker.expect(text);
    }
    for text in ["leaving left", "speaker: 1", "you were removed from the room by its host"] {
        kicked.expect(text);
    }
    server.freeze();
    speaker.say("3");
    host.say("/exit");
    speaker.say("4");
    server.thaw();
    host.expect("speaker: 3");
    for member in [&host, &speaker] {
        member.expect("the room was closed");
    }
    Member::create(&server, "r", "host").expect_silence();
    [&host, &speaker, &leaving, &kicked].into_iter().for_each(Member::expect_empty_socket);
}

#[test]
fn l10_slow_reader_gets_whole_replies() {
    /// More than the kernel holds for a connection (4 MiB, tcp(7)), so that writes are partial.
    const REQUESTS: usize = 200;
    let server = server_with_a_long_list(&[]);
    let mut control = Control::connect(&server);
    control.request(LIST, "", b"");
    let list = control.expect_success();
    assert!(list.len() > 40_000, "much more than the window");
    let mut expected = Vec::new();
    for (state, payload) in [(1, &[0][..]), (2, &list)] {
        let mut reply = frame(LIST, "", payload);
        reply[2] = state;
        expected.extend(reply);
    }
    let expected = expected.repeat(REQUESTS);
    // With an end of the stream behind the requests every event reports that too, otherwise only the
    // window.
    for is_ended in [false, true] {
        let mut stream = connect_with_a_small_window(&server);
        stream.write_all(&list_frame().repeat(REQUESTS)).expect("sent");
        if is_ended {
            stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        }
        // Each line is a turn, in which the kernel takes what it can and the rest has to wait.
        (0..50).for_each(|_| expect_answer(&mut control));
        let mut heard = Vec::new();
        let mut sizes = [1, 7, 100, 1000, 4096].into_iter().cycle();
        while let Some(size) = sizes.next().filter(|_| heard.len() < expected.len()) {
            let mut chunk = vec![0; size];
            let size = stream.read(&mut chunk).expect("more");
            assert_ne!(size, 0, "an end behind {} bytes", heard.len());
            heard.extend_from_slice(&chunk[..size]);
        }
        assert!(heard == expected, "{} bytes", heard.len());
        if is_ended {
            assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
        }
    }
}

#[test]
fn l11_peer_that_never_reads_is_closed() {
    let server = server_with_a_long_list(&["--handshake-timeout", "2"]);
    let mut bystander = Control::connect(&server);
    expect_answer(&mut bystander);
    let (memory, descriptors) = (server.memory(), server.descriptors());
    let hoarders: Vec<TcpStream> = (0..20).map(|_| hoard(&server)).collect();
    for _ in 0..500 {
        expect_answer(&mut bystander);
    }
    assert_eq!(server.descriptors(), descriptors + hoarders.len(), "they are still there");
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < LITTLE_MEMORY, "{grown} bytes");
    let ended = || (server.descriptors() == descriptors).then_some(());
    wait_for("the end of those that do not read", ended);
    expect_answer(&mut bystander);
}

#[test]
fn l13_last_reply_survives_close() {
    let server = Server::start(&[]);
    let mut controls: Vec<Control> = (0..50).map(|_| Control::connect(&server)).collect();
    controls.iter_mut().for_each(expect_answer);
    server.freeze();
    for control in &mut controls {
        control.send(&[oversized_header(), vec![b'x'; 40_000]].concat());
    }
    server.thaw();
    for control in &mut controls {
        assert_eq!(control.expect_status(), MALFORMED);
        control.expect_end();
    }
}

/// The kernel drops its part of a reply if the socket is closed with unread input.
#[test]
fn l13_buffered_replies_survive_close() {
    /// Many times the peer's window, and little for the server's buffers.
    const REQUESTS: usize = 5;
    let server = server_with_a_long_list(&[]);
    let mut witness = Control::connect(&server);
    let mut stream = connect_with_a_small_window(&server);
    let requests = [list_frame().repeat(REQUESTS), oversized_header()].concat();
    stream.write_all(&requests).expect("sent");
    // Each line is a turn: by then everything is answered.
    (0..10).for_each(|_| expect_answer(&mut witness));
    stream.write_all(&[b'x'; 1000]).expect("sent");
    let mut control = Control::over(stream);
    (0..REQUESTS).for_each(|_| drop(control.expect_success()));
    assert_eq!(control.expect_status(), MALFORMED);
    control.expect_end();
}

#[test]
fn l12_l16_idle_server_sleeps() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "r", "host");
    let _guest = Member::join(&server, "r", "guest");
    let _unproved = Member::enter_unproved(&server, JOIN, "r", "unproved");
    let _fresh: Vec<Control> = (0..100).map(|_| Control::connect(&server)).collect();
    let mut answered = Control::connect(&server);
    let mut half = Control::connect(&server);
    half.send(&list_frame()[..31]);
    expect_answer(&mut answered);
    host.settle();
    expect_idleness(&server);
}

#[test]
fn l16_near_deadline_does_not_spin() {
    let server = Server::start(&["--connect-timeout", "1", "--handshake-timeout", "1"]);
    let mut controls: Vec<Control> = (0..30).map(|_| Control::connect(&server)).collect();
    for control in controls.iter_mut().step_by(2) {
        control.send(b"x");
    }
    expect_idleness(&server);
}

#[test]
fn l16_far_deadline_is_clamped() {
    let year = (365 * 24 * 60 * 60).to_string();
    let names = ["--connect-timeout", "--handshake-timeout", "--idle-timeout"];
    let options: Vec<&str> = names.iter().flat_map(|name| [*name, &year]).collect();
    let server = Server::start(&options);
    let _host = Member::create(&server, "r", "host");
    let mut half = Control::connect(&server);
    half.send(b"x");
    expect_service(&server);
    expect_idleness(&server);
}

#[test]
fn l16_interrupted_wait_resumes() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for _ in 0..20 {
        server.freeze();
        server.thaw();
        expect_answer(&mut control);
    }
}

#[test]
fn l10_l16_blocked_peer_costs_no_cpu() {
    let server = server_with_a_long_list(&["--handshake-timeout", "0"]);
    let mut stream = hoard(&server);
    let mut bystander = Control::connect(&server);
    for _ in 0..200 {
        expect_answer(&mut bystander);
    }
    expect_idleness(&server);
    stream.set_nonblocking(true).expect("an option");
    assert_ne!(stream.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

#[test]
fn t3_announced_size_takes_no_memory() {
    let server = Server::start(&["--max-payload", "0"]);
    let mut header = list_frame();
    // 2^29, the maximum of the protocol.
    header[28] = 0x20;
    let mut liars = crowd(&server);
    liars.iter_mut().for_each(expect_answer);
    let before = (server.memory(), server.reserved_memory());
    for liar in &mut liars {
        liar.send(&header);
        liar.send(&[b' '; 100]);
    }
    expect_service(&server);
    let used = server.memory().saturating_sub(before.0);
    let reserved = server.reserved_memory().saturating_sub(before.1);
    assert!(used < LITTLE_MEMORY && reserved < LITTLE_MEMORY, "{used} used, {reserved} reserved");
}

#[test]
fn t4_held_connections_are_evicted() {
    let server = Server::start(&["--max-connections", "20"]);
    let answered = || {
        let mut control = Control::connect(&server);
        expect_answer(&mut control);
        control
    };
    let held: Vec<Control> = (0..20).map(|_| answered()).collect();
    let mut newcomers: Vec<Control> = (0..20).map(|_| answered()).collect();
    for mut control in held {
        assert_eq!(control.expect_status(), 8);
        control.expect_end();
    }
    newcomers.iter_mut().for_each(expect_answer);
}

#[test]
fn l16_input_counts_before_timers() {
    let server = Server::start(&["--idle-timeout", "3", "--connect-timeout", "3"]);
    let alice = Member::create(&server, "r", r#"{"username":"alice"}"#);
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(LIST, "", b""), 0);
    server.freeze();
    alice.say("");
    control.request(LIST, "", b"");
    // Both deadlines pass while the server is stopped.
    thread::sleep(Duration::from_millis(3200));
    server.thaw();
    control.expect_success();
    alice.expect_silence();
}

/// The kernel's memory for peers that send requests and never read is bounded.
#[test]
fn a13_slow_readers_hold_little_memory() {
    const MOST: usize = 128 * 1024;
    let server = server_with_a_long_list(&[]);
    let stuck: Vec<TcpStream> = (0..2).map(|_| push_until_full(&server)).collect();
    let queues = kernel_queues(server.tcp.port());
    assert!(queues.len() >= stuck.len(), "{queues:?}");
    assert!(queues.iter().all(|queue| *queue <= MOST), "{queues:?}");
    let mut control = Control::connect(&server);
    expect_answer(&mut control);
}

/// Sends requests for lists and reads nothing, until the kernel accepts no more.
fn push_until_full(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.tcp).expect("a connection");
    stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let requests = list_frame().repeat(2_000);
    let is_full = (0..200).any(|_| stream.write_all(&requests).is_err());
    assert!(is_full, "the server never stops reading");
    stream
}

/// Returns the bytes that wait in the kernel for each connection of the server (proc_net(5)).
fn kernel_queues(port: u16) -> Vec<usize> {
    let table = fs::read_to_string("/proc/net/tcp").expect("a table");
    let local = format!("0100007F:{port:04X}");
    let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let connected = rows.filter(|row| row[1] == local && row[3] == "01");
    let size = |hex: &str| usize::from_str_radix(hex, 16).expect("a size");
    connected
        .filter_map(|row| row[4].split_once(':').map(|(sent, read)| size(sent) + size(read)))
        .collect()
}
