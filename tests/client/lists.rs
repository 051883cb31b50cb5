//! Lists of rooms that do not fit one reply.

use std::collections::BTreeSet;

use crate::support::program::*;
use crate::support::*;
use serde_json::Value;

/// A server with so many rooms.
fn server_with_rooms(count: usize, options: &[&str]) -> Server {
    let limits = ["--max-rooms-ip", "0", "--max-unproved", "0"];
    let server = Server::start(&[&limits, options].concat());
    let mut control = Control::connect(&server);
    for number in 0..count {
        control.enter(CREATE, &name(number), b"host");
    }
    server
}

fn name(number: usize) -> String {
    format!("a room with a longer name {number:04}")
}

fn page(control: &mut Control, payload: &str) -> Vec<Value> {
    control.request(LIST, "", payload.as_bytes());
    assert_eq!(control.expect_status(), 0);
    serde_json::from_slice(&control.expect_reply().payload).expect("a JSON array")
}

#[test]
fn field_h_client_lists_1500_rooms() {
    let server = server_with_rooms(1500, &[]);
    let output = run(&server, &["list"]);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(table.lines().count(), 1501);
    assert!(table.lines().last().is_some_and(|last| last.starts_with(&name(1499))));
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    let output = run(&server, &["list", "--json"]);
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a JSON array");
    let names: BTreeSet<_> = list.iter().map(|room| room["room"].as_str()).collect();
    assert_eq!((list.len(), names.len()), (1500, 1500));
    assert!(list.iter().all(|room| room.get("more").is_none()));
}

#[test]
fn w10_field_h_pages_lose_no_room() {
    let server = server_with_rooms(60, &["--max-payload", "700"]);
    let mut control = Control::connect(&server);
    let (mut seen, mut payload) = (Vec::new(), r#"{"after":""}"#.to_owned());
    loop {
        let rooms = page(&mut control, &payload);
        let (last, others) = rooms.split_last().expect("a room");
        assert!(others.iter().all(|room| room.get("more").is_none()));
        seen.extend(rooms.iter().map(|room| room["room"].as_str().expect("a name").to_owned()));
        if last.get("more").is_none() {
            break;
        }
        assert_eq!(last["more"], true);
        payload = format!(r#"{{"after":{}}}"#, last["room"]);
        // One room before and one behind come meanwhile.
        let came = [format!("a {}", seen.len()), format!("z {}", seen.len())];
        for room in &came {
            control.enter(CREATE, room, b"host");
        }
    }
    let lasting: Vec<_> = seen.iter().filter(|room| room.starts_with("a room")).collect();
    assert_eq!(lasting, (0..60).map(name).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert!(seen.is_sorted() && seen.iter().collect::<BTreeSet<_>>().len() == seen.len());
}

#[test]
fn w10_field_h_bad_after_is_malformed() {
    let server = server_with_rooms(2, &[]);
    let mut control = Control::connect(&server);
    for payload in [r#"{"after":1}"#, r#"{"after":"a"#, "{\"after\":\"\u{7f}\"}x"] {
        assert_eq!(control.status_of(LIST, "", payload.as_bytes()), 9, "{payload}");
    }
    for payload in ["", "anything", "{}", r#"{"after":null}"#, r#"{"after":""}"#] {
        assert_eq!(page(&mut control, payload).len(), 2, "{payload}");
    }
    let _hidden = Member::create(&server, "hidden", r#"{"username":"a","hidden":true}"#);
    let after = format!(r#"{{"after":"{}"}}"#, name(1));
    assert_eq!(page(&mut control, &after), Vec::<Value>::new());
}

#[test]
fn field_h_cut_list_is_shown() {
    let stranger = Stranger::start();
    let mut client = stranger.client(&["list"]);
    let entry = r#"{"room":"lobby","members":1,"capacity":2,"password":false,"more":true}"#;
    let mut frames = [frame(LIST, "", &[0]), frame(LIST, "", format!("[{entry}]").as_bytes())];
    (frames[0][2], frames[1][2]) = (1, 2);
    // Then the connection is closed.
    stranger.answer(&frames.concat());
    client.expect("ROOM   MEMBERS  CAPACITY  PASSWORD");
    client.expect("lobby        1         2  no");
    let told = client.err.recv_timeout(DEADLINE).expect("a complaint");
    assert!(told.contains("the list is cut after 1 rooms"), "{told}");
    client.expect_end(1);
}
