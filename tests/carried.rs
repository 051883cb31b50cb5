//! Carried members (C1, C3, C4), on the real binary: their messages travel on the connection of the
//! request.

mod support;

use support::carried::{Carried, carried, unit};
use support::*;

/// The forms of plain delivery: further keys of a request, and a notice in this form.
const FORMS: [(&str, &str); 2] = [("", ""), (r#","delivery":"named""#, "\0")];

/// Returns a message as it arrives in a form.
fn message(form: &str, name: &str, text: &str) -> String {
    match form {
        "" => format!("{name}: {text}"),
        _ => format!("{}{name}{text}", name.len() as u8 as char),
    }
}

#[test]
fn c1_units_replace_datagrams() {
    let server = Server::start(&[]);
    for (form, notice) in FORMS {
        let mut alice = Carried::enter(&server, CREATE, &carried("alice", form));
        let mut bob = Carried::enter(&server, JOIN, &carried("bob", form));
        let carol = format!(r#"{{"username":"carol"{form}}}"#);
        let carol = Member::join(&server, "room", &carol);
        alice.expect(&format!("{notice}bob joined"));
        alice.expect(&format!("{notice}carol joined"));
        bob.expect(&format!("{notice}carol joined"));
        alice.say("one");
        bob.expect(&message(form, "alice", "one"));
        carol.expect(&message(form, "alice", "one"));
        carol.say("two");
        alice.expect(&message(form, "carol", "two"));
        bob.expect(&message(form, "carol", "two"));
        bob.say("/exit");
        alice.expect(&format!("{notice}bob left"));
        carol.expect(&format!("{notice}bob left"));
        assert_eq!(bob.hear_to_the_end(), Vec::<String>::new());
        alice.say("/exit");
        carol.expect(&format!("{notice}the room was closed"));
        assert_eq!(alice.hear_to_the_end(), [format!("{notice}the room was closed")]);
    }
}

#[test]
fn c1_any_cut_of_the_bytes() {
    let mut bytes = frame(JOIN, "room", carried("bob", "").as_bytes());
    for content in ["one", "", "two", "/help"] {
        bytes.extend(unit(content.as_bytes()));
    }
    for step in [1, 3, bytes.len()] {
        let server = Server::start(&[]);
        let alice = Member::create(&server, "room", &text("alice"));
        let mut control = Control::connect(&server);
        bytes.chunks(step).for_each(|piece| control.send(piece));
        let payload = control.expect_success();
        let mut bob = Carried { control, payload };
        assert!(bob.hear_text().starts_with('/'), "the commands");
        alice.expect("bob joined");
        alice.expect("bob: one");
        alice.expect("bob: two");
        bob.say("/exit");
        alice.expect("bob left");
    }
}
