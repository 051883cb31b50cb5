//! An upgrade: the service manager keeps the sockets while one server ends and the next one starts.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::directory::Directory;
use crate::support::program::{Talker, bare_client};
use crate::support::supervisor::Supervisor;
use crate::support::talkers::{ann_creates, bob_joins};
use crate::support::*;

const GOING: &str = "the server is shutting down or restarting";

/// Time for a client to come back. It pauses between its attempts for up to 8 s.
const RETURN: Duration = Duration::from_secs(30);

#[test]
fn u5_upgrade_loses_no_member() {
    let directory = Directory::new("upgrade");
    let listener = UnixListener::bind(directory.file()).expect("a free path");
    let supervisor = Supervisor::at([127, 0, 0, 1]).with(listener);
    let mut old = supervisor.start(&[], 1);
    let mut ann = ann_creates(&old, &[]);
    let bob = bob_joins(&old);
    ann.expect("* bob joined");
    let host = format!("unix:{}", directory.file().display());
    let mut carol = Talker::spawn(bare_client(&["--host", &host, "join", "r1", "carol"]));
    for talker in [&ann, &bob, &carol] {
        talker.lines_up_to("* carol joined");
    }
    old.signal("TERM");
    assert_eq!(old.wait().code(), Some(0));
    for talker in [&ann, &bob, &carol] {
        talker.expect(&format!("* {GOING}"));
        talker.expect_complaint("reactor-chat-client: trying to get back into r1");
    }
    let new = supervisor.start(&[], 1);
    assert_eq!((new.tcp, new.udp), (old.tcp, old.udp));
    for talker in [&ann, &bob, &carol] {
        let line = talker.err.recv_timeout(RETURN).expect("a line");
        assert_eq!(line, "reactor-chat-client: in r1 again");
    }
    ann.say("after\n");
    assert!(bob.gets("ann: after", DEADLINE) && carol.gets("ann: after", DEADLINE));
    carol.say("me too\n");
    assert!(ann.gets("carol: me too", DEADLINE));
}

/// Peers that come while no server runs wait for the next one.
#[test]
fn u5_nothing_is_refused_in_between() {
    let directory = Directory::new("between");
    let listener = UnixListener::bind(directory.file()).expect("a free path");
    let supervisor = Supervisor::at([127, 0, 0, 1]).with(listener);
    let mut old = supervisor.start(&[], 1);
    let (alice, _bob) = alice_and_bob(&old);
    old.signal("TERM");
    alice.expect(GOING);
    assert_eq!(old.wait().code(), Some(0));
    let mut waiting = TcpStream::connect(old.tcp).expect("a place in the backlog");
    waiting.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut local = directory.connect();
    for stream in [&mut waiting as &mut dyn Write, &mut local] {
        stream.write_all(&frame(LIST, "", b"")).expect("sent");
    }
    alice.socket.connect(old.udp).expect("a route");
    for _ in 0..2 {
        // An unreachable port would be an error of the next call (udp(7)).
        alice.socket.send(b"lost").expect("a socket is there");
    }
    let server = supervisor.start(&[], 1);
    assert_eq!(Reply::read(&mut waiting).payload, [0]);
    assert_eq!(Reply::read(&mut local).payload, [0]);
    assert!(server.final_counts().contains("datagrams 2, "), "they waited too");
}

/// A second unit with a socket that the server cannot use does not disturb the first one.
#[test]
fn u5_second_unit_is_refused() {
    let supervisor = Supervisor::at([127, 0, 0, 1]);
    let server = supervisor.start(&[], 1);
    let tcp: OwnedFd = supervisor.sockets[0].try_clone().expect("a descriptor");
    let (status, line) = Supervisor::default().with(tcp).refusal(&[]);
    let expected = format!("the passed tcp socket {} needs a udp socket of its IP", server.tcp);
    assert_eq!((status, line), (Some(2), expected));
    let (alice, bob) = alice_and_bob(&server);
    alice.say("hi");
    bob.expect("alice: hi");
}
