//! Rooms over TCP, in raw bytes: statements W1 to W16 of the protocol.

mod connections;
mod frames;
mod payloads;
mod ports;
mod replies;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use support::*;

const OK: u8 = 0;
const ROOM_EXISTS: u8 = 1;
const ROOM_NOT_FOUND: u8 = 2;
const WRONG_PASSWORD: u8 = 3;
const INVALID_ROOM_NAME: u8 = 4;
const INVALID_USER_NAME: u8 = 5;
const NAME_TAKEN: u8 = 6;
const ROOM_FULL: u8 = 7;
const SERVER_FULL: u8 = 8;
const MALFORMED: u8 = 9;
const RATE_LIMITED: u8 = 10;
const KICKED: u8 = 11;

/// Default of `--max-payload`.
const MAX_PAYLOAD: usize = 65_536;

/// Options with deadlines that a test can wait for.
const IMPATIENT: [&str; 4] = ["--connect-timeout", "1", "--handshake-timeout", "1"];

fn acknowledgement(operation: u8, room: &str, status: u8) -> Reply {
    Reply { operation, state: 1, room: room.into(), payload: vec![status] }
}

/// Returns a JSON payload.
fn json(name: &str) -> String {
    format!(r#"{{"username":"{name}"}}"#)
}

/// Returns a JSON payload with a password.
fn json_with(name: &str, password: &str) -> String {
    format!(r#"{{"username":"{name}","password":"{password}"}}"#)
}

/// Waits until the server has read everything that was sent before: it answers another connection.
fn settle(witness: &mut Control) {
    assert_eq!(witness.status_of(LIST, "", b""), OK);
}

/// Checks that the server refuses a malformed frame, and ends the connection.
#[track_caller]
fn expect_refusal(control: &mut Control, operation: u8) {
    assert_eq!(control.expect_reply(), acknowledgement(operation, "", MALFORMED));
    control.expect_end();
}

/// Returns the newest member of a room, as `member` learns from the server.
fn newest_member(member: &Member) -> String {
    member.settle();
    member.say("/who");
    let members = member.hear_text();
    members.rsplit(", ").next().expect("a name").into()
}

/// Returns the list of the rooms whose names begin with `prefix`.
fn list(server: &Server, prefix: &str) -> Value {
    let mut control = Control::connect(server);
    control.request(LIST, prefix, b"");
    serde_json::from_slice(&control.expect_success()).expect("JSON")
}

fn room_names(list: &Value) -> Vec<&str> {
    let rooms = list.as_array().expect("an array");
    rooms.iter().map(|room| room["room"].as_str().expect("a string")).collect()
}

/// A member with a token, a TCP connection, and a socket that the server does not know yet.
struct Newcomer {
    control: Control,
    member: Member,
}

impl Newcomer {
    fn join(server: &Server, name: &str) -> Self {
        let mut control = Control::connect(server);
        let token = control.enter(JOIN, "r", json(name).as_bytes());
        let member = Member::with_token(server.udp, control.local_ip(), "r", token);
        Self { control, member }
    }

    fn announce(&mut self, port: u16) {
        self.control.send(&port.to_be_bytes());
    }

    /// Ends the connection and waits until the server has seen it.
    fn leave_tcp(mut self) -> Member {
        self.control.end();
        self.control.expect_end();
        self.member
    }
}
