//! Readers that stop, peers that vanish, bursts, and a loop that does not spin (U2).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use crate::support::carried::Carried;
use crate::support::peers::{LITTLE_MEMORY, allow_a_crowd, expect_answer};
use crate::support::streams::streamed;
use crate::support::unix::*;
use crate::support::*;
use socket2::{Domain, SockAddr, Socket, Type};

/// Far above the CPU time of an idle loop, and far below that of one that spins.
const LITTLE_CPU: Duration = Duration::from_millis(200);

/// Checks that the server uses little CPU time while `member` gets nothing for a second.
#[track_caller]
fn expect_no_spin(server: &Server, member: &mut Carried) {
    let before = server.cpu_time();
    member.expect_quiet_for(Duration::from_secs(1));
    let used = server.cpu_time() - before;
    assert!(used < LITTLE_CPU, "{used:?} in a second");
}

#[test]
fn u2_idle_server_does_not_spin() {
    let unix = UnixServer::start_alone(&[]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let _idle = unix.connect();
    expect_no_spin(&unix.server, &mut alice);
}

#[test]
fn u2_stopped_readers_delay_nobody() {
    const COUNT: u32 = 3000;
    let options = ["--rate-limit", "0", "--fanout-limit", "0"];
    for unix in [UnixServer::start(&options), UnixServer::start_alone(&options)] {
        let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
        let mut stopped = Carried::enter_over(unix.connect(), JOIN, &streamed("stopped", ""));
        let _deaf = Carried::enter_over(unix.connect(), JOIN, &text("deaf"));
        let mut bob = Carried::enter_over(unix.connect(), JOIN, &text("bob"));
        let before = unix.server.memory();
        for number in 1..=COUNT {
            let message = format!("{number:01000}");
            alice.say(&message);
            bob.hear_until(&format!("alice: {message}"));
        }
        let grown = unix.server.memory().saturating_sub(before);
        assert!(grown < LITTLE_MEMORY, "{grown} bytes for {COUNT} kB");
        expect_no_spin(&unix.server, &mut bob);
        stopped.hear_items_until(&format!("{COUNT:01000}"));
    }
}

#[test]
fn u2_killed_peer_leaves() {
    let unix = UnixServer::start_alone(&[]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let bob = Carried::enter_over(unix.connect(), JOIN, &text("bob"));
    alice.expect("bob joined");
    let theirs = OwnedFd::from(bob.control.stream().try_clone().expect("a descriptor"));
    let mut child = Command::new("sleep").arg("60").stdin(theirs).spawn().expect("sleep(1)");
    // The child has the only descriptor.
    drop(bob);
    alice.say("/who");
    alice.expect("alice (host), bob");
    child.kill().expect("a child");
    child.wait().expect("a child");
    alice.expect("bob left");
}

#[test]
fn u1_backlog_takes_a_burst() {
    // More than the backlog of 1,024 that mio asks for.
    const BURST: usize = 1500;
    allow_a_crowd();
    let unix = UnixServer::start_alone(&["--max-connections-ip", "0"]);
    unix.server.freeze();
    let address = SockAddr::unix(&unix.path).expect("an address");
    let connect = |_| -> io::Result<Control> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Otherwise it would wait for a place.
        socket.set_nonblocking(true)?;
        socket.connect(&address)?;
        socket.set_nonblocking(false)?;
        Ok(Control::over_unix(OwnedFd::from(socket).into()))
    };
    let burst: io::Result<Vec<Control>> = (0..BURST).map(connect).collect();
    let mut burst = burst.expect("a place for each");
    unix.server.thaw();
    burst.iter_mut().for_each(expect_answer);
}

#[test]
fn u2_lives_leak_no_descriptor() {
    let unix = UnixServer::start_alone(&[]);
    let _alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let before = unix.server.descriptors();
    for life in 0..1000 {
        let mut bob = Carried::enter_over(unix.connect(), JOIN, &text("bob"));
        match life % 3 {
            0 => bob.say("/exit"),
            1 => bob.control.end(),
            _ => drop(bob.control.stream().shutdown(std::net::Shutdown::Both)),
        }
        drop(bob);
        wait_for("bob's end", || {
            let mut control = unix.connect();
            control.request(LIST, "room", b"");
            let list: serde_json::Value =
                serde_json::from_slice(&control.expect_success()).expect("JSON");
            (list[0]["members"] == 1).then_some(())
        });
    }
    wait_for("the end of all connections", || (unix.server.descriptors() == before).then_some(()));
}

#[test]
fn u2_reset_ends_one_peer() {
    let unix = UnixServer::start_alone(&[]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    // A close with unread bytes is a reset (unix(7), ECONNRESET).
    for _ in 0..10 {
        let mut control = unix.connect();
        control.request(LIST, "", b"");
        wait_for("an answer", || control.has_heard().then_some(()));
        drop(control);
    }
    // So is a request whose sender is gone.
    let mut gone = UnixStream::connect(&unix.path).expect("a connection");
    io::Write::write_all(&mut gone, &frame(LIST, "", b"")).expect("written");
    drop(gone);
    alice.say("/who");
    alice.expect("alice (host)");
}
