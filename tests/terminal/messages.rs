//! Messages on the screen: colours, marks, history, lines that wait, and text from the network.

use std::net::SocketAddr;

use super::support::program::*;
use super::support::pty::*;
use super::support::talkers::*;
use super::support::*;

#[test]
fn names_and_mentions_have_colours() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    ann.say("hello Bob, not bobby");
    bob.expect_row("HH:MM       ann: hello Bob, not bobby");
    bob.keys("me, bob.\r");
    bob.expect_row("HH:MM       bob: me, bob.");
    let mut cell = |part| bob.find(part).expect(part);
    assert!(cell("in r1 as").dim() && cell("bob joined").dim());
    assert_ne!(cell("ann:").fgcolor(), vt100::Color::Default);
    assert!(cell("bob: me").bold());
    assert!(cell("Bob, not").inverse() && !cell(", not").inverse() && !cell("bobby").inverse());
    assert!(!cell("bob.").inverse(), "our own words");
}

#[test]
fn no_color_is_honoured() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    for (variable, option) in [("1", &[][..]), ("", &["--no-color"])] {
        let args = [option, &["join", "r1", "bob"]].concat();
        let command = client(server.tcp, server.udp, &args);
        let mut bob = Terminal::spawn(&command, USUAL, &[("NO_COLOR", variable)]);
        ann.expect("bob joined");
        bob.expect_row(">");
        ann.say("hello bob");
        bob.expect_row("HH:MM       ann: hello bob");
        for part in ["in r1", "bob joined", "ann:", "hello", "bob"] {
            let cell = bob.find(part).expect(part);
            assert_eq!(cell.fgcolor(), vt100::Color::Default, "{part}");
            assert!(!cell.dim() && !cell.bold() && !cell.inverse(), "{part}");
        }
        bob.keys(CTRL_C);
        ann.expect("bob left");
        bob.expect_end(0);
    }
}

#[test]
fn t6_t8_network_text_is_sanitized() {
    let evil = "a\x1b]0;title\x07\x1b[2J\u{9b}31m\u{202e}dcba\u{2066}";
    let shown = r"a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}dcba\u{2066}";
    for delivery in ["text", "named"] {
        let stranger = Stranger::start();
        let command = stranger.command(&["--delivery", delivery, "join", "r\x071", "bob"]);
        let mut bob = Terminal::spawn(&command, USUAL, &[]);
        stranger.admit();
        let (_, at) = stranger.hear();
        bob.expect_row(">");
        let before: &[u8] = if delivery == "named" { b"\x03ann" } else { b"" };
        let datagram = [before, evil.as_bytes(), b"\nHH:MM ann: forged"].concat();
        stranger.udp.send_to(&datagram, at).expect("sent");
        let name = if delivery == "named" { "      ann:" } else { "          " };
        bob.expect(&[
            TODAY,
            r"HH:MM         -- in r\u{7}1 as bob, not encrypted; /exit leaves",
            &format!("HH:MM {name} {shown}"),
            "                 HH:MM ann: forged",
            ">",
        ]);
        stranger.udp.send_to(b"\x07a\x1b]0;x\x07hi", at).expect("sent");
        let name = if delivery == "named" { r"a\u{1b}]0;x\u{7}: " } else { r"         * \u{7}a" };
        bob.expect_row(&format!("HH:MM {name}"));
        assert_eq!(bob.window().title, r"r\u{7}1 - reactor-chat");
        assert_eq!(bob.window().others, Vec::<String>::new());
    }
}

#[test]
fn thousand_entries_show_at_once() {
    let server = Server::start(&["--rate-limit", "0"]);
    let mut ann = Talker::start(&server, &["--history", "1024", "create", "r1", "ann"]);
    ann.expect("* ann joined");
    let lines: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    ann.say(&lines);
    ann.lines_up_to("ann: line 999");
    let mut bob = Terminal::start(&server, USUAL, &["--history", "1024", "join", "r1", "bob"]);
    bob.expect_where("the last lines", |rows| {
        let tail: Vec<&str> = rows.iter().rev().take(3).map(String::as_str).collect();
        tail == [">", "HH:MM          * bob joined", "            ann: line 999"]
    });
}

#[test]
fn history_has_no_time() {
    let server = Server::start(&[]);
    let mut ann = Talker::start(&server, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    ann.say("early\n");
    ann.expect("ann: early");
    let mut bob = Terminal::start(&server, USUAL, &["join", "r1", "bob"]);
    bob.expect_row("HH:MM          * bob joined");
    ann.say("late\n");
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob, encrypted; /exit leaves",
        "               * ann joined",
        "            ann: early",
        "HH:MM          * bob joined",
        "HH:MM       ann: late",
        ">",
    ]);
}

#[test]
fn every_delivery_looks_alike() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    for delivery in ["named", "text"] {
        let args = ["--delivery", delivery, "join", "r1", "bob"];
        let mut bob = Terminal::start(&server, USUAL, &args);
        ann.expect("bob joined");
        bob.expect_row(">");
        bob.keys("hi\r//who\r/nonsense\r");
        ann.expect("bob: hi");
        ann.expect("bob: /who");
        bob.expect_where("own lines, and the answer", |rows| {
            let own = ["HH:MM       bob: hi", "HH:MM       bob: /who"];
            let answer = "HH:MM          * no such command '/nonsense', /help";
            let is_answered = rows.get(4).is_some_and(|row| row.starts_with(answer));
            rows.get(2..4).is_some_and(|rows| rows == own) && is_answered
        });
        ann.say("hello bob: how are you?");
        bob.expect_row("HH:MM       ann: hello bob: how are you?");
        assert!(bob.find("bob: how").expect("our name").inverse());
        bob.keys(CTRL_C);
        ann.expect("bob left");
        bob.expect_end(0);
    }
}

/// Waits for a line of bob's client that begins with this text, and returns its id.
fn said(stranger: &Stranger, text: &str) -> u32 {
    loop {
        let (bytes, _) = stranger.hear_bytes();
        if bytes[0] == 0 && bytes[5..].starts_with(text.as_bytes()) {
            return u32::from_be_bytes(bytes[1..5].try_into().expect("four bytes"));
        }
    }
}

/// Bob is in the room of this server. Returns where he is.
fn arrives(stranger: &Stranger, bob: &mut Terminal) -> SocketAddr {
    let (_, at) = stranger.hear_bytes();
    stranger.udp.send_to(&stream(1, &[notice(1, "bob joined")]), at).expect("sent");
    bob.expect_where("bob joined", |rows| rows.iter().any(|row| row.ends_with("* bob joined")));
    at
}

#[test]
fn unaccepted_lines_are_dim() {
    for size in [USUAL, SMALL] {
        let stranger = Stranger::start();
        let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), size, &[]);
        stranger.admit_to_stream(1, 300);
        let at = arrives(&stranger, &mut bob);
        bob.keys("hello\rand more\rtyping");
        bob.expect_where("both lines, without a time", |rows| {
            let last = &rows[rows.len() - 3..];
            last[0].trim() == "bob: hello"
                && last[1].trim() == "bob: and more"
                && last[2] == "> typing"
        });
        assert!(
            bob.find("hello").expect("hello").dim() && bob.find("bob: and").expect("more").dim()
        );
        let id = said(&stranger, "hello");
        stranger.udp.send_to(&stream(2, &[message(3, id, "bob", "hello")]), at).expect("sent");
        bob.expect_where("the line in its place", |rows| {
            let last = &rows[rows.len() - 3..];
            last[0].starts_with("HH:MM")
                && last[0].ends_with(" bob: hello")
                && last[1].trim() == "bob: and more"
        });
        assert!(!bob.find("hello").expect("hello").dim());
        assert_eq!(bob.rows().iter().filter(|row| row.contains("bob: hello")).count(), 1);
        // The server has refused it, and says so.
        let id = said(&stranger, "and more");
        let refused = aside(9, id + 1, id, "no");
        stranger.udp.send_to(&stream(3, &[refused]), at).expect("sent");
        bob.expect_where("why", |rows| {
            let last = &rows[rows.len() - 2..];
            last[0].ends_with("* no") && last[1] == "> typing"
        });
        bob.signal("INT");
        bob.signal("INT");
        bob.wait();
    }
}

#[test]
fn field_m_mention_rings_the_bell() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    for (options, bells) in
        [(&["join", "r1", "田中"][..], 1), (&["--no-bell", "join", "r1", "田中"], 0)]
    {
        let mut tanaka = Terminal::start(&server, USUAL, options);
        ann.expect("田中 joined");
        tanaka.expect_row(">");
        tanaka.keys("田中です\r");
        ann.expect("田中: 田中です");
        ann.say("hello");
        ann.say("田中さん、こんにちは");
        tanaka.expect_row("HH:MM       ann: 田中さん、こんにちは");
        assert!(tanaka.find("田中さん").expect("the name").inverse());
        assert_eq!(tanaka.window().bells, bells);
        tanaka.keys(CTRL_C);
        ann.expect("田中 left");
        tanaka.expect_end(0);
    }
}

#[test]
fn field_m_first_unseen_message_is_marked() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    assert!(bob.window().tells_focus);
    ann.say("seen");
    bob.expect(&["HH:MM       ann: seen", ">"]);
    bob.keys("\x1b[O");
    bob.keys("mine\r");
    ann.expect("bob: mine");
    ann.say("one");
    ann.say("two");
    let rows = [
        "HH:MM       ann: seen",
        "HH:MM       bob: mine",
        "HH:MM         -- new --",
        "HH:MM       ann: one",
        "HH:MM       ann: two",
    ];
    bob.expect(&[&rows[..], &[">"]].concat());
    bob.keys("\x1b[I");
    bob.keys("back");
    bob.expect(&[&rows[..], &["> back"]].concat());
    ann.say("three");
    bob.expect(&[&rows[..], &["HH:MM       ann: three", "> back"]].concat());
    bob.keys("\x1b[O");
    bob.keys("!");
    bob.expect_row("> back!");
    ann.say("four");
    bob.expect_row("HH:MM       ann: four");
    assert_eq!(bob.rows().iter().filter(|row| row.ends_with("-- new --")).count(), 2);
    bob.keys(CTRL_C);
    bob.expect_end(0);
}

#[test]
fn waiting_lines_take_half_the_screen() {
    let stranger = Stranger::start();
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), SMALL, &[]);
    stranger.admit_to_stream(1, 300);
    let at = arrives(&stranger, &mut bob);
    // More than the client sends at once.
    bob.paste(&(1..=300).map(|at| format!("line {at}\r")).collect::<String>());
    bob.keys("\x7f\r");
    stranger.udp.send_to(&stream(2, &[message(1, 1, "ann", "still here")]), at).expect("sent");
    bob.expect_where("the last lines below ann's", |rows| {
        // A paste that fills the screen has scrolled away what stood there.
        let last = &rows[rows.len().saturating_sub(7)..];
        last.len() == 7
            && last[0] == "HH:MM ann: still here"
            && last[1].trim() == "bob: line 296"
            && last[5].trim() == "bob: line 300"
            && last[6] == ">"
    });
    bob.signal("INT");
    bob.signal("INT");
    bob.wait();
}
