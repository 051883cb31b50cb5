//! W1 to W4: frames, however TCP cuts them.

use crate::support::{CREATE, Control, JOIN, LIST, Server, frame};
use crate::{MALFORMED, MAX_PAYLOAD, OK, acknowledgement, expect_refusal, json, list, settle};

#[test]
fn w1_w10_w11_request_and_replies() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    control.send(b"\x05\x01\x00");
    control.send(&[0; 28]);
    control.send(b"\x14lobby{\"username\":\"alice\"}");
    assert_eq!(control.expect_reply(), acknowledgement(CREATE, "lobby", OK));
    let completion = control.expect_reply();
    assert_eq!((completion.operation, completion.state), (CREATE, 2));
    assert_eq!((&completion.room[..], completion.payload.len()), (&b"lobby"[..], 32));
}

#[test]
fn w1_size_is_big_endian() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    let mut request = frame(CREATE, "r", format!("{:<259}", json("alice")).as_bytes());
    assert_eq!(request[30..32], [1, 3]);
    request.extend(frame(LIST, "", b""));
    control.send(&request);
    control.expect_success();
    assert_eq!(control.expect_reply().operation, LIST, "the next frame begins where it should");
}

#[test]
fn w2_frame_may_be_cut_anywhere() {
    let server = Server::start(&["--max-unproved", "0"]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let size = frame(CREATE, "r00", b"alice").len();
    for cut in 1..size {
        let request = frame(CREATE, &format!("r{cut:02}"), b"alice");
        control.send(&request[..cut]);
        settle(&mut witness);
        control.send(&request[cut..]);
        control.expect_success();
    }
    assert_eq!(list(&server, "r").as_array().map(Vec::len), Some(size - 1));
}

#[test]
fn w2_frame_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    for byte in frame(CREATE, "lobby", json("alice").as_bytes()) {
        control.send(&[byte]);
        settle(&mut witness);
    }
    control.expect_success();
}

#[test]
fn w2_frame_parts_may_come_separately() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let request = frame(CREATE, "lobby", b"alice");
    for part in [&request[..32], &request[32..37], &request[37..]] {
        control.send(part);
        settle(&mut witness);
    }
    control.expect_success();
}

#[test]
fn w2_surplus_belongs_to_next_frame() {
    let server = Server::start(&[]);
    let (mut control, mut witness) = (Control::connect(&server), Control::connect(&server));
    let requests = ["a", "b", "c"].map(|room| frame(CREATE, room, json("alice").as_bytes()));
    let all = requests.concat();
    let middle_of_third = all.len() - 20;
    control.send(&all[..middle_of_third]);
    for room in [b"a", b"b"] {
        assert_eq!(control.expect_reply().room, room);
        assert_eq!(control.expect_reply().room, room);
    }
    settle(&mut witness);
    control.send(&all[middle_of_third..]);
    assert_eq!(control.expect_reply().room, b"c");
}

#[test]
fn w3_excessive_size_is_refused_early() {
    let server = Server::start(&[]);
    for position in 3..=28 {
        let mut control = Control::connect(&server);
        let mut header = frame(JOIN, "", b"");
        header[position] = 1;
        control.send(&header);
        expect_refusal(&mut control, JOIN);
    }
}

#[test]
fn w3_size_at_the_limit_is_taken() {
    let server = Server::start(&[]);
    let mut payload = json("alice").into_bytes();
    payload.resize(MAX_PAYLOAD, b' ');
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(CREATE, "r", &payload), OK);
    payload.push(b' ');
    control.send(&frame(CREATE, "s", &payload)[..32]);
    expect_refusal(&mut control, CREATE);
}

#[test]
fn w4_request_state_is_ignored() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for state in [0, 1, 2, 255] {
        let mut request = frame(CREATE, &format!("r{state}"), b"alice");
        request[2] = state;
        control.send(&request);
        control.expect_success();
    }
}

#[test]
fn w4_w11_unknown_operation_is_malformed() {
    let server = Server::start(&[]);
    let mut control = Control::connect(&server);
    for operation in [0, 5, 255] {
        control.request(operation, "r", b"alice");
        assert_eq!(control.expect_reply(), acknowledgement(operation, "", MALFORMED));
    }
    assert_eq!(control.status_of(CREATE, "r", b"alice"), OK);
}
