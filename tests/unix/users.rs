//! The user at the other end of a Unix socket counts as one IP (U3).

use crate::support::carried::Carried;
use crate::support::peers::expect_answer;
use crate::support::streams::{RESUME, streamed};
use crate::support::unix::*;
use crate::support::*;

const OK: u8 = 0;
const ROOM_NOT_FOUND: u8 = 2;
const WRONG_PASSWORD: u8 = 3;
const RATE_LIMITED: u8 = 10;
const BANNED: u8 = 11;

/// A further user without a name.
const STRANGER: u32 = 65533;

/// Returns the status of a request of ours over the Unix socket.
fn status_of(unix: &UnixServer, operation: u8, room: &str, payload: &str) -> u8 {
    unix.connect().status_of(operation, room, payload.as_bytes())
}

fn join_as(unix: &UnixServer, uid: u32, name: &str) -> u8 {
    let mut control = unix.connect_as(uid).expect("a connection");
    control.status_of(JOIN, "room", text(name).as_bytes())
}

/// Checks that the log names us as the one that has reached a limit.
#[track_caller]
fn expect_limit(unix: &UnixServer, limit: &str) {
    unix.server.expect_log(&format!("limit {limit} reached by unix uid {} (count ", user()));
}

/// Reads to the end of a member that the host removes.
#[track_caller]
fn expect_removal(member: &mut Carried) {
    let last = member.hear_to_the_end().pop();
    assert_eq!(last.as_deref(), Some("you were removed from the room by its host"));
}

#[test]
fn u3_connections_are_limited() {
    let unix = UnixServer::start(&["--max-connections-ip", "2"]);
    let settled = |mut control: Control| {
        expect_answer(&mut control);
        control
    };
    let mut over_tcp = settled(Control::connect(&unix.server));
    let mut first = settled(unix.connect());
    let mut second = settled(unix.connect());
    expect_answer(&mut first);
    let mut third = settled(unix.connect());
    assert_eq!(second.expect_status(), RATE_LIMITED);
    second.expect_end();
    [&mut over_tcp, &mut first, &mut third].into_iter().for_each(expect_answer);
    expect_limit(&unix, "--max-connections-ip");
}

#[test]
fn u3_rooms_and_members_are_limited() {
    let unix = UnixServer::start(&["--max-rooms-ip", "1", "--max-members-ip", "2"]);
    let _alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    assert_eq!(status_of(&unix, CREATE, "other", &text("alice")), RATE_LIMITED);
    expect_limit(&unix, "--max-rooms-ip");
    let _bob = Carried::enter_over(unix.connect(), JOIN, &text("bob"));
    assert_eq!(status_of(&unix, JOIN, "room", &text("carol")), RATE_LIMITED);
    expect_limit(&unix, "--max-members-ip");
    let mut over_tcp = Control::connect(&unix.server);
    assert_eq!(over_tcp.status_of(CREATE, "other", text("alice").as_bytes()), OK);
    assert_eq!(over_tcp.status_of(JOIN, "room", text("carol").as_bytes()), OK);
}

#[test]
fn u3_wrong_passwords_are_limited() {
    let unix = UnixServer::start(&["--wrong-passwords", "3"]);
    let with_password =
        |name, password| format!(r#"{{"username":"{name}","password":"{password}"}}"#);
    let mut control = Control::connect(&unix.server);
    control.enter(CREATE, "room", with_password("alice", "right").as_bytes());
    for _ in 0..3 {
        let status = status_of(&unix, JOIN, "room", &with_password("bob", "wrong"));
        assert_eq!(status, WRONG_PASSWORD);
    }
    let right = with_password("bob", "right");
    assert_eq!(status_of(&unix, JOIN, "room", &right), RATE_LIMITED, "it must not show");
    expect_limit(&unix, "--wrong-passwords");
    assert_eq!(control.status_of(JOIN, "room", right.as_bytes()), OK);
}

#[test]
fn u3_log_names_the_user() {
    let unix = UnixServer::start_alone(&["-v"]);
    expect_answer(&mut unix.connect());
    unix.server.expect_log(&format!("unix uid {}: operation 3, room", user()));
}

#[test]
fn u3_limits_are_of_each_user() {
    if !can_be_others("limits of users") {
        return;
    }
    let unix = UnixServer::start_alone(&["--unix-mode", "666", "--max-members-ip", "1"]);
    let _alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let of_nobody = unix.connect_as(NOBODY).expect("a connection");
    let _bob = Carried::enter_over(of_nobody, JOIN, &text("bob"));
    assert_eq!(join_as(&unix, NOBODY, "carol"), RATE_LIMITED);
    unix.server.expect_log(&format!("--max-members-ip reached by unix uid {NOBODY} (count 1)"));
    assert_eq!(join_as(&unix, STRANGER, "carol"), OK);
}

#[test]
fn u3_ban_is_of_a_user() {
    if !can_be_others("bans of users") {
        return;
    }
    let unix = UnixServer::start(&["--unix-mode", "666"]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let of_nobody = unix.connect_as(NOBODY).expect("a connection");
    let mut bob = Carried::enter_over(of_nobody, JOIN, &text("bob"));
    alice.expect("bob joined");
    alice.say("/ban bob");
    expect_removal(&mut bob);
    assert_eq!(join_as(&unix, NOBODY, "carol"), BANNED, "under any name");
    assert_eq!(join_as(&unix, STRANGER, "dave"), OK);
    assert_eq!(status_of(&unix, JOIN, "room", &text("erin")), OK);
    let mut over_tcp = Control::connect(&unix.server);
    assert_eq!(over_tcp.status_of(JOIN, "room", text("frank").as_bytes()), OK);
    alice.say("/unban bob");
    wait_for("the end of the ban", || (join_as(&unix, NOBODY, "carol") == OK).then_some(()));
}

#[test]
fn u3_ban_holds_for_a_resume() {
    if !can_be_others("bans of users") {
        return;
    }
    let unix = UnixServer::start(&["--unix-mode", "666"]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let of_nobody = || unix.connect_as(NOBODY).expect("a connection");
    let mut bob = Carried::enter_over(of_nobody(), JOIN, &text("bob"));
    alice.expect("bob joined");
    alice.say("/ban bob");
    expect_removal(&mut bob);
    let of_stranger = unix.connect_as(STRANGER).expect("a connection");
    let dave = Carried::enter_over(of_stranger, JOIN, &streamed("dave", ""));
    let token = dave.ticket().token;
    assert_eq!(of_nobody().status_of(RESUME, "room", &token), BANNED, "with dave's token");
    let mut over_tcp = Control::connect(&unix.server);
    assert_eq!(over_tcp.status_of(RESUME, "room", &token), ROOM_NOT_FOUND, "in the clear");
    // The token is all that a user without a ban needs.
    let mut moved = dave.resume(unix.connect());
    moved.say_in_stream(1, "from another user");
    alice.hear_until("dave: from another user");
}

#[test]
fn u3_ban_of_root_holds() {
    if !can_be_others("a ban of root") {
        return;
    }
    let unix = UnixServer::start_alone(&["--unix-mode", "666"]);
    let of_nobody = unix.connect_as(NOBODY).expect("a connection");
    let mut alice = Carried::enter_over(of_nobody, CREATE, &text("alice"));
    let mut root = Carried::enter_over(unix.connect(), JOIN, &text("root"));
    root.say("/kick alice");
    root.expect("only the host may do that");
    alice.say("/ban root");
    expect_removal(&mut root);
    assert_eq!(status_of(&unix, JOIN, "room", &text("other")), BANNED);
}

#[test]
fn u3_own_user_is_banned_by_name() {
    let unix = UnixServer::start_alone(&[]);
    let mut alice = Carried::enter_over(unix.connect(), CREATE, &text("alice"));
    let mut bob = Carried::enter_over(unix.connect(), JOIN, &text("bob"));
    alice.say("/ban bob");
    expect_removal(&mut bob);
    assert_eq!(status_of(&unix, JOIN, "room", &text("Bob")), BANNED);
    assert_eq!(status_of(&unix, JOIN, "room", &text("carol")), OK);
}
