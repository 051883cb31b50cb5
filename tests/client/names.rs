//! Names and passwords as people really type them, with the built programs.

use crate::support::program::*;
use crate::support::*;

/// The status of a request to join "room" under this name.
fn status_of_name(control: &mut Control, name: &str) -> u8 {
    control.status_of(JOIN, "room", name.as_bytes())
}

#[test]
fn w7_field_k_real_names_are_accepted() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "room", &text("host"));
    for name in
        ["علی\u{200c}رضا", "ශ්\u{200d}රී", "山田\u{3000}太郎", "👨\u{200d}👩\u{200d}👧", "❤\u{fe0f}"]
    {
        let output = run_with_input(&server, &["join", "room", name], b"hi\n");
        let shown = name.replace('\u{3000}', " ");
        let record = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(record.ends_with(&format!("{shown}: hi\n")), "{record}");
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn w7_field_k_hiding_names_are_refused() {
    let server = Server::start(&[]);
    let _host = Member::create(&server, "room", &text("host"));
    let mut control = Control::connect(&server);
    for name in [
        "ali\u{34f}ce",
        "alice\u{180b}",
        "ali\u{17b4}ce",
        "alice\u{2800}",
        "alice\u{1d159}",
        "alice\u{fe0f}",
        "\u{301}alice",
        "ali\u{200d}ce",
        "alice (host)",
        "alice (private)",
        "ann, alice",
        "alice： hi",
    ] {
        assert_eq!(status_of_name(&mut control, name), 5, "{name:?}");
    }
    assert_eq!(control.status_of(CREATE, "ro\u{200b}om", b"ann"), 4);
    assert_eq!(
        status_of_name(&mut control, "аlice"),
        0,
        "Cyrillic looks alike and is another name"
    );
}

#[test]
fn w8_field_k_normal_forms_are_one_name() {
    let server = Server::start(&[]);
    let host = Member::create(&server, "room", &text("host"));
    let mut control = Control::connect(&server);
    for (name, others) in [
        ("E\u{301}lan", ["\u{e9}lan", "ÉLAN"]),
        ("straße", ["STRASSE", "ｓｔｒａｓｓｅ"]),
        ("❤\u{fe0f}", ["❤", "❤\u{fe0e}"]),
    ] {
        assert_eq!(status_of_name(&mut control, name), 0, "{name}");
        for other in others {
            assert_eq!(status_of_name(&mut control, other), 6, "{name} {other}");
        }
        host.say(&format!("/kick {}", others[0]));
        host.settle();
        for one in [name, others[0], others[1]] {
            assert_eq!(status_of_name(&mut control, one), 11, "{one} was removed");
        }
    }
}

#[test]
fn w8_field_k_room_is_found_in_any_form() {
    let server = Server::start(&[]);
    let (nfc, nfd) = ("caf\u{e9}", "cafe\u{301} ");
    let ann = Member::create(&server, nfd, &text("ann"));
    let mut control = Control::connect(&server);
    assert_eq!(control.status_of(CREATE, nfc, b"bob"), 1);
    control.request(JOIN, nfd, text("bob").as_bytes());
    assert_eq!(control.expect_reply().room, nfd.as_bytes());
    assert_eq!(control.expect_reply().room, nfd.as_bytes());
    let cy = Member::join(&server, nfc, &text("cy"));
    ann.say("from the other form");
    cy.expect("ann: from the other form");
    // A member may write its room as it is kept, too, but not in a third way.
    let other = Member { room: nfc.into(), ..ann.elsewhere() };
    other.say("as it is kept");
    cy.expect("ann: as it is kept");
    let third = Member { room: " cafe\u{301}".into(), ..ann.elsewhere() };
    third.say("dropped");
    other.say("heard");
    cy.expect("ann: heard");
    for prefix in ["cafe\u{301}", "caf\u{e9}", "caf"] {
        control.request(LIST, prefix, b"");
        control.expect_reply();
        let list = String::from_utf8(control.expect_reply().payload).expect("UTF-8");
        assert!(list.contains(nfc), "{prefix}: {list}");
    }
}

#[test]
fn field_k_client_finds_any_normal_form() {
    let server = Server::start(&[]);
    let _ann = Member::create(&server, "caf\u{e9}", &text("ann"));
    let output = run_with_input(&server, &["join", "cafe\u{301}", "bob"], b"hi\n");
    let record = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(record.ends_with("bob: hi\n"), "{record}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn field_k_password_line_end_is_ignored() {
    let server = Server::start(&[]);
    let _ann = Member::create(&server, "room", r#"{"username":"ann","password":"secret"}"#);
    for end in ["\n", "\r\n"] {
        let mut command = client(server.tcp, server.udp, &["join", "room", "bob"]);
        command.env("REACTOR_CHAT_PASSWORD", format!("secret{end}"));
        let output = command.output().expect("the built client");
        assert_eq!(output.status.code(), Some(0), "{end:?}");
        let option = run(&server, &["--password", &format!("secret{end}"), "join", "room", "bob"]);
        assert_eq!(option.status.code(), Some(0), "{end:?}");
    }
    // From a client that does not take them off.
    let _room = Member::create(&server, "other", r#"{"username":"ann","password":"secret\r\n"}"#);
    let _bob = Member::join(&server, "other", r#"{"username":"bob","password":"secret\n"}"#);
}
