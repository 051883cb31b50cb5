//! The states that the service manager learns, on a socket that the test reads.

use std::time::{Duration, Instant};

use crate::support::manager::Manager;
use crate::support::*;

/// Starts a server under this manager, and reads its first states.
fn ready(manager: &Manager, options: &[&str]) -> Server {
    let server = Server::spawn(manager.command(options), 1);
    manager.expect("READY=1");
    manager.expect("STATUS=rooms 0, members 0");
    server
}

#[test]
fn u5_states_come_in_order() {
    for manager in [Manager::at_path(), Manager::at_name()] {
        let mut server = ready(&manager, &[]);
        let start = Instant::now();
        let (alice, bob) = alice_and_bob(&server);
        manager.expect("STATUS=rooms 1, members 2");
        assert!(start.elapsed() > Duration::from_millis(500), "at most one a second");
        server.signal("HUP");
        let reloading = manager.next();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
        micros.parse::<u64>().expect("a number");
        manager.expect("READY=1");
        server.signal("TERM");
        manager.expect("STOPPING=1");
        assert_eq!(server.wait().code(), Some(0));
        drop((alice, bob));
    }
}

#[test]
fn u5_reload_has_the_time_of_the_clock() {
    let manager = Manager::at_name();
    let server = ready(&manager, &[]);
    let uptime = || {
        let text = std::fs::read_to_string("/proc/uptime").expect("proc(5)");
        let seconds = text.split(' ').next().expect("a word").parse::<f64>();
        Duration::from_secs_f64(seconds.expect("a number"))
    };
    let before = uptime();
    server.signal("HUP");
    let reloading = manager.next();
    let (_, micros) = reloading.split_once("MONOTONIC_USEC=").expect(&reloading);
    let time = Duration::from_micros(micros.parse().expect("a number"));
    // /proc/uptime has hundredths of a second, and counts a suspended machine too.
    assert!(time <= uptime() + Duration::from_millis(10), "{time:?}");
    assert!(time + Duration::from_secs(60) >= before, "{time:?}");
}

#[test]
fn u5_status_changes_once_a_second() {
    let manager = Manager::at_name();
    // A fast machine reaches the limits of members.
    let no_limits = ["--max-unproved", "0", "--max-members-ip", "0", "--max-room-members", "0"];
    let server = ready(&manager, &no_limits);
    let _alice = Member::create(&server, "room", &text("alice"));
    let (start, mut joined, mut told) = (Instant::now(), 0, 0);
    while start.elapsed() < Duration::from_secs(2) {
        joined += 1;
        Member::enter_unproved(&server, JOIN, "room", &text(&format!("m{joined}")));
        told += manager.settle();
    }
    let most = 2 + start.elapsed().as_secs() as usize;
    assert!((1..=most).contains(&told) && joined > most, "{joined} joined, {told} lines");
    // The last change is told, although nothing else wakes the loop.
    let _last = Member::join(&server, "room", &text("last"));
    manager.expect_sometime(&format!("STATUS=rooms 1, members {}", joined + 2));
}

#[test]
fn u5_sleeping_manager_stops_nothing() {
    for manager in [Manager::at_path(), Manager::at_name()] {
        manager.fill();
        let mut command = manager.command(&[]);
        command.env("WATCHDOG_USEC", "100000");
        let mut server = Server::spawn(command, 1);
        let (alice, bob) = alice_and_bob(&server);
        alice.say("hi");
        bob.expect("alice: hi");
        server.expect_rest();
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn u5_late_manager_gets_the_states() {
    let manager = Manager::at_name();
    manager.fill();
    let server = Server::spawn(manager.command(&[]), 1);
    // Nothing but the retry wakes the loop.
    assert_eq!(manager.skip_filling(), "READY=1");
    manager.expect("STATUS=rooms 0, members 0");
    manager.fill();
    for _ in 0..3 {
        server.signal("HUP");
        server.expect_log("SIGHUP: ");
    }
    assert!(manager.skip_filling().starts_with("RELOADING=1\n"));
    manager.expect("READY=1");
    manager.expect_silence(Duration::from_millis(100));
}

/// Starts a server with a watchdog of this time, and waits for its first sign of life.
fn watched(manager: &Manager, micros: &str) -> Server {
    let mut command = manager.command(&[]);
    command.env("WATCHDOG_USEC", micros);
    let server = Server::spawn(command, 1);
    manager.expect_sometime("WATCHDOG=1");
    server
}

/// Checks that a server has used little CPU time since it had used `before`.
fn expect_little_work(server: &Server, before: Duration) {
    let spent = server.cpu_time() - before;
    assert!(spent < Duration::from_millis(200), "it spins: {spent:?}");
}

#[test]
fn u5_watchdog_gets_half_its_time() {
    let manager = Manager::at_name();
    let server = watched(&manager, "2000000");
    let (start, before) = (Instant::now(), server.cpu_time());
    manager.expect("WATCHDOG=1");
    manager.expect("WATCHDOG=1");
    let took = start.elapsed();
    assert!((1_900..3_500).contains(&took.as_millis()), "{took:?}");
    expect_little_work(&server, before);
}

#[test]
fn u5_hasty_watchdog_costs_little() {
    let manager = Manager::at_name();
    let server = watched(&manager, "1");
    let (start, before) = (Instant::now(), server.cpu_time());
    (0..50).for_each(|_| manager.expect_sometime("WATCHDOG=1"));
    // A few may have been in the queue of the socket.
    assert!(start.elapsed() > Duration::from_millis(300));
    expect_little_work(&server, before);
}

#[test]
fn u5_stuck_loop_is_noticed() {
    let manager = Manager::at_name();
    let server = watched(&manager, "200000");
    server.freeze();
    manager.settle();
    manager.expect_silence(Duration::from_millis(500));
    server.thaw();
    manager.expect_sometime("WATCHDOG=1");
}

#[test]
fn u5_watchdog_of_another_process() {
    for (micros, pid) in [("100000", Some("1")), ("0", None), ("soon", None)] {
        let manager = Manager::at_name();
        let mut command = manager.command(&[]);
        command.env("WATCHDOG_USEC", micros);
        pid.map(|pid| command.env("WATCHDOG_PID", pid));
        let mut server = Server::spawn(command, 1);
        manager.expect_sometime("STATUS=rooms 0, members 0");
        manager.expect_silence(Duration::from_millis(200));
        server.signal("TERM");
        manager.expect("STOPPING=1");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn u5_manager_that_is_gone_is_logged() {
    let manager = Manager::at_path();
    let command = manager.command(&[]);
    drop(manager);
    let server = Server::spawn(command, 1);
    let line = server.expect_log("cannot tell the service manager");
    assert!(line.contains("WARN ] "), "{line}");
    assert_eq!(Control::connect(&server).status_of(LIST, "", b""), 0);
    let mut command = Manager::at_name().command(&[]);
    command.env("NOTIFY_SOCKET", "run/notify");
    Server::spawn(command, 1).expect_log("NOTIFY_SOCKET=run/notify: neither a path nor");
}
