//! SIGUSR1 logs the counters and ends nothing.

use std::process::Command;

use crate::support::*;

const COUNTERS: &str = "rooms 0, members 0, ";

#[test]
fn u8_sigusr1_logs_the_counters() {
    let mut server = Server::start(&[]);
    let _alice = Member::create(&server, "room", &text("alice"));
    server.signal("USR1");
    let line = server.expect_log("rooms 1, members 1, ");
    assert!(line.contains("INFO ] ") && line.contains("connections accepted 1, "), "{line}");
    server.signal("USR1");
    assert_eq!(server.expect_log("rooms ").split_once(']'), line.split_once(']'), "unchanged");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn u8_ignored_sigusr1_is_caught() {
    for trap in ["trap '' USR1", "trap - USR1"] {
        let mut command = Command::new("sh");
        let script = format!("{trap}; exec \"$0\" --tcp-port 0 --udp-port 0");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_reactor-chat")]);
        let server = Server::spawn(command, 1);
        for _ in 0..2 {
            server.signal("USR1");
            server.expect_log(COUNTERS);
        }
    }
}

#[test]
fn u8_sigusr1_keeps_the_drain() {
    let mut server = Server::start(&[]);
    let mut storm = server.storm(&["USR1", "HUP"], 200);
    server.expect_log(COUNTERS);
    server.signal("TERM");
    server.expect_log("closing the rooms");
    // A process keeps its id until it is waited for, so the storm hits no other.
    storm.wait().expect("a shell");
    assert_eq!(server.wait().code(), Some(0));
}
