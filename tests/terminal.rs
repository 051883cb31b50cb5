//! The client on a terminal: what a person sees on the screen.

mod support;

use std::net::SocketAddr;

use reactor_chat::protocol::stream::{Code, Entry, Header};
use support::program::*;
use support::pty::*;
use support::talkers::*;
use support::*;

const CTRL_U: &str = "\x15";
const CTRL_W: &str = "\x17";
const CTRL_Y: &str = "\x19";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const BACK_TAB: &str = "\x1b[Z";

#[test]
fn messages_leave_typed_text_alone() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        ">",
    ]);
    assert!(!bob.is_cooked());
    bob.keys("half a");
    bob.expect_row("> half a");
    ann.say("are you there?");
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        "HH:MM       ann: are you there?",
        "> half a",
    ]);
    assert_eq!(bob.cursor(), (4, 8));
    bob.keys(" line\r");
    ann.expect("bob: half a line");
    bob.expect(&[
        TODAY,
        "HH:MM         -- in r1 as bob; /exit leaves",
        "HH:MM          * bob joined",
        "HH:MM       ann: are you there?",
        "HH:MM       bob: half a line",
        ">",
    ]);
    bob.keys("/exit\r");
    ann.expect("bob left");
    bob.expect_end(0);
}

#[test]
fn small_screen_wraps_messages() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    clear(&mut bob);
    bob.keys("a line that is longer than the screen is wide");
    ann.say("and another one, from ann, that is longer than two of them are");
    bob.expect(&[
        "HH:MM ann: and another one, from ann,",
        "           that is longer than two of",
        "           them are",
        "> a line that is longer than the screen",
        "is wide",
    ]);
    bob.keys("\r");
    bob.expect(&[
        "HH:MM ann: and another one, from ann,",
        "           that is longer than two of",
        "           them are",
        "HH:MM bob: a line that is longer than",
        "           the screen is wide",
        ">",
    ]);
}

#[test]
fn new_lines_follow_window_width() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.resize(SMALL);
    ann.say("a line that does not fit the small screen");
    let lines = ["HH:MM ann: a line that does not fit the", "           small screen", ">"];
    bob.expect(&lines);
    bob.resize(USUAL);
    let wide = "HH:MM       ann: a line that does not fit the small screen";
    bob.expect(&[wide, ">"]);
    ann.say("a line that does not fit the small screen");
    bob.expect(&[wide, wide, ">"]);
}

#[test]
fn field_m_resizing_leaves_one_prompt() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    ann.say("hello");
    let typed = "a line that is long enough to take several rows on a screen of forty columns, and \
                 two on one of eighty";
    bob.keys(typed);
    for size in [SMALL, USUAL, (60, 8), SMALL] {
        bob.resize(size);
        bob.expect_where("one prompt and the line above it", |rows| {
            let is_hello = rows[0].starts_with("HH:MM") && rows[0].ends_with("ann: hello");
            is_hello && rows[1..].concat().replace(' ', "") == format!("> {typed}").replace(' ', "")
        });
    }
    bob.keys("!\r");
    ann.expect(&format!("bob: {typed}!"));
}

#[test]
fn field_m_typed_emoji_erase_nothing() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, (60, 16));
    clear(&mut bob);
    ann.say("hello");
    bob.expect_row("HH:MM       ann: hello");
    let typed = "typing 👩\u{200d}💻 and 👨\u{200d}👩\u{200d}👧\u{200d}👦 flags 🇩🇪🇯🇵 heart ❤\u{fe0f} wave 👋🏽 \
                 e\u{301} and नमस्ते then more text to wrap";
    for c in typed.chars() {
        bob.keys(&c.to_string());
    }
    bob.keys("\r");
    ann.expect(&format!("bob: {typed}"));
    bob.expect_where("both lines", |rows| {
        rows[0] == "HH:MM       ann: hello" && rows[1].starts_with("HH:MM       bob: typing")
    });
}

#[test]
fn field_f_any_paste_is_survived() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    let lines: String = (0..3000).map(|at| format!("pasted by mistake, line {at}\r")).collect();
    for paste in [
        &*"x".repeat(70_000),
        &lines,
        &"日本語👩\u{200d}💻".repeat(5_000),
        &format!("a{}", "\u{301}".repeat(70_000)),
        "\0\x01\x1b[2J\x1b]0;x\x07\x1bP\u{9b}",
    ] {
        bob.paste(paste);
        for key in [CTRL_W, CTRL_Y, CTRL_U] {
            bob.keys(key);
        }
        bob.expect_where("an empty line", |rows| rows.last().is_some_and(|last| last == ">"));
    }
    bob.resize((1, 1));
    bob.paste("日本\ra");
    bob.keys(CTRL_U);
    bob.resize(USUAL);
    bob.keys("sorry\r");
    // The screen first: it takes what the editor draws.
    bob.expect_row("HH:MM       bob: sorry");
    ann.expect("bob: sorry");
    bob.keys(CTRL_C);
    bob.expect_end(0);
}

#[test]
fn field_m_search_goes_on_at_messages() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    bob.keys("apples\rpears\r");
    ann.expect("bob: apples");
    ann.expect("bob: pears");
    bob.expect_row("HH:MM bob: pears");
    clear(&mut bob);
    bob.keys("draft\x12APP");
    bob.expect(&["(search 'APP') apples"]);
    ann.say("still here");
    bob.expect(&["HH:MM ann: still here", "(search 'APP') apples"]);
    bob.keys("x");
    bob.expect(&["HH:MM ann: still here", "(nothing older has 'APPx') apples"]);
    bob.keys("\x07");
    bob.expect(&["HH:MM ann: still here", "> draft"]);
    bob.keys("\x12pea\r");
    ann.expect("bob: pears");
}

#[test]
fn tab_completes_commands_and_names() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let _anton = Member::join(&server, "r1", &text("Anton Ü"));
    ann.expect("Anton Ü joined");
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    for (keys, row) in [
        ("/wh\t", "> /who"),
        ("/k\t", "> /kick"),
        ("an\t", "> /kick ann"),
        (CTRL_W, "> /kick"),
        (CTRL_U, ">"),
        // The list of members has no other way to the screen than this.
        ("AN\t", "> ann:"),
        ("\t", "> Anton Ü:"),
        ("\t", "> AN"),
        (BACK_TAB, "> Anton Ü:"),
        (BACK_TAB, "> ann:"),
        ("look, ant\t", "> ann: look, Anton Ü"),
        ("@an\t", "> ann: look, Anton Ü @ann"),
        ("\t", "> ann: look, Anton Ü @Anton Ü"),
        ("x\r", ">"),
    ] {
        bob.keys(keys);
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
        if row == "> /who" {
            bob.keys(CTRL_U);
        }
    }
    ann.expect("bob: ann: look, Anton Ü @Anton Ü x");
}

#[test]
fn arrow_keys_recall_lines() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("one\rtwo\rdraft");
    ann.expect("bob: one");
    ann.expect("bob: two");
    for (key, row) in
        [(UP, "> two"), (UP, "> one"), (UP, "> one"), (DOWN, "> two"), (DOWN, "> draft")]
    {
        bob.keys(key);
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
    }
    bob.keys(UP);
    bob.keys("!\r");
    ann.expect("bob: two!");
}

#[test]
fn pasted_lines_are_sent_in_order() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("\x1b[200~one\rtwo\r\nthree \u{9b}2J\x07\x1b[201~");
    bob.expect(&["> one", "two", r"three \u{9b}2J\u{7}"]);
    assert_eq!(bob.window().others, Vec::<String>::new());
    bob.keys("\x7f\x7f\x7f\x7f\x7f");
    bob.keys("\r");
    for line in ["bob: one", "bob: two", "bob: three"] {
        ann.expect(line);
    }
    bob.expect_row("HH:MM       bob: three");
}

#[test]
fn paste_can_be_undone() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("\x1b[200~one\rtwo\rthree\x1b[201~");
    bob.expect(&["> one", "two", "three"]);
    bob.keys(CTRL_U);
    bob.expect(&[">"]);
    bob.keys(CTRL_Y);
    bob.expect(&["> one", "two", "three"]);
    bob.keys(CTRL_U);
    bob.keys("four\r");
    ann.expect("bob: four");
}

#[test]
fn field_d_pasted_lines_are_data() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~");
    bob.keys(&paste("/exit\r//two\r/exit\r"));
    bob.expect(&["> /exit", "//two", "/exit"]);
    bob.keys("\r");
    for line in ["bob: /exit", "bob: //two", "bob: /exit"] {
        ann.expect(line);
    }
    bob.keys(&paste("/help"));
    bob.keys("\r");
    ann.expect("bob: /help");
    // Brought back, it still means the same.
    bob.keys(UP);
    bob.expect_row("> //help");
    bob.keys("\r");
    ann.expect("bob: /help");
    bob.keys("/kick ");
    bob.keys(&paste("ann"));
    bob.keys("\r");
    bob.expect_row("HH:MM          * only the host may do that");
    bob.keys("/exit\r");
    ann.expect("bob left");
    bob.expect_end(0);
}

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
fn help_shows_keys_and_commands() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    bob.keys("/help\r");
    bob.expect_row("HH:MM         -- Tab completes commands and names, Up brings back what was");
    bob.expect_where("the server's answer", |rows| {
        rows.iter().any(|row| row.starts_with("HH:MM          * ") && row.contains("/who"))
    });
}

/// Ann at a terminal, host of a room in which bob is and says nothing, with the list of members on
/// her screen.
fn host(server: &Server, delivery: &str) -> (Terminal, Member) {
    let args = ["--delivery", delivery, "create", "r1", "ann"];
    let mut ann = Terminal::start(server, USUAL, &args);
    ann.expect_row("HH:MM         -- in r1 as ann");
    let bob = Member::join(server, "r1", &text("bob"));
    ann.expect_row("HH:MM          * bob joined");
    ann.keys("/who\r");
    ann.expect_row("HH:MM          * ann (host), bob");
    (ann, bob)
}

#[test]
fn w28_help_is_no_member_list() {
    for delivery in ["stream", "named", "text"] {
        let server = Server::start(&[]);
        let (mut ann, bob) = host(&server, delivery);
        ann.keys("/help\r");
        ann.expect_row("HH:MM          * /exit leaves, /who lists");
        for (keys, row) in [("/kick \t", "> /kick bob"), ("\t", "> /kick"), (CTRL_U, ">")] {
            ann.keys(keys);
            ann.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
        }
        ann.keys("/exit\r");
        ann.expect_row("HH:MM         -- you are the host, so the room may close for everybody");
        bob.expect_silence();
        ann.keys("/exit\r");
        bob.expect("the room was closed");
        ann.expect_end(0);
    }
}

#[test]
fn w28_similar_lines_are_no_list() {
    let resembling = "/topic eve (host), ann, mallory";
    for delivery in ["named", "text"] {
        let server = Server::start(&[]);
        let (mut ann, bob) = host(&server, delivery);
        // A question without an answer of its own is open while these come.
        ann.keys("/who\r");
        bob.say("eve (host), ann, mallory");
        ann.expect_row("HH:MM       bob: eve (host), ann, mallory");
        ann.keys(&format!("{resembling}\r"));
        ann.expect_row("HH:MM          * no such command '/topic'");
        ann.keys("/kick \t\t");
        ann.expect_where("one name", |rows| rows.last().is_some_and(|last| last == "> /kick"));
        ann.keys("\x15/exit\r");
        ann.expect_row("HH:MM         -- you are the host");
    }
}

#[test]
fn w28_answer_is_matched_by_id() {
    let stranger = Stranger::start();
    let mut bob = Terminal::spawn(&stranger.command(&["join", "r1", "bob"]), USUAL, &[]);
    stranger.admit_to_stream(1, 60);
    let (_, at) = stranger.hear_bytes();
    let answer = |id: u32, text: &str| {
        let mut datagram = Vec::new();
        Header { tag: 7, sequence: 1 }.encode(&mut datagram);
        let (code, text) = (Code::Answer as u8, text.as_bytes());
        Entry::Aside { code, expected: id + 1, id, text }.encode(&mut datagram);
        stranger.udp.send_to(&datagram, at).expect("sent");
    };
    // The client's own question has id 1, and its answer is not shown.
    while !stranger.hear_bytes().0.ends_with(b"\x00\x00\x00\x01/who") {}
    answer(9, "eve (host), bob");
    bob.expect_row("HH:MM          * eve (host), bob");
    answer(1, "ann (host), bob");
    bob.keys("/who\r");
    while !stranger.hear_bytes().0.ends_with(b"\x00\x00\x00\x02/who") {}
    answer(2, "ann (host), bob, cy");
    bob.expect_row("HH:MM          * ann (host), bob, cy");
    assert!(!bob.rows().contains(&"HH:MM          * ann (host), bob".into()));
    for row in ["> /kick ann", "> /kick cy", "> /kick"] {
        bob.keys(if row == "> /kick ann" { "/kick \t" } else { "\t" });
        bob.expect_where(row, |rows| rows.last().is_some_and(|last| last == row));
    }
}

#[test]
fn wide_text_keeps_its_columns() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let tanaka = Member::join(&server, "r1", &text("田中"));
    ann.expect("田中 joined");
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    tanaka.say(&"日本語の長いメッセージ ".repeat(4));
    ann.say("e\u{301}te\u{301} 👋 ok");
    bob.expect(&[
        "HH:MM      田中: 日本語の長いメッセージ 日本語の長いメッセージ",
        "                 日本語の長いメッセージ 日本語の長いメッセージ",
        "HH:MM       ann: e\u{301}te\u{301} 👋 ok",
        ">",
    ]);
    bob.keys("日本e\u{301}");
    bob.expect_row("> 日本e\u{301}");
    assert_eq!(bob.cursor(), (3, 7));
    bob.keys("\x7f\x7fx\r");
    ann.expect_sometime("bob: 日x");
}

#[test]
fn keys_hide_no_messages() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    for (key, text) in [("\x12", "a"), ("\x13", "b"), ("\x16", "c"), ("\x18", "d"), ("\x1b", "e")] {
        bob.keys(key);
        ann.say(text);
        bob.expect_row(&format!("HH:MM       ann: {text}"));
    }
}

#[test]
fn invalid_bytes_are_skipped() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    bob.keys("caf");
    bob.expect_row("> caf");
    bob.bytes(b"\xe9!");
    bob.expect_where("the rest of the line", |rows| {
        rows.last().is_some_and(|last| last.starts_with("> caf") && last.ends_with('!'))
    });
    bob.keys(CTRL_U);
    bob.keys("coffee\r");
    ann.expect("bob: coffee");
    bob.expect_row("HH:MM       bob: coffee");
}

#[test]
fn too_long_line_can_be_edited() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, USUAL);
    clear(&mut bob);
    // More than a screen, and more than a message.
    let long = "word ".repeat(820);
    bob.keys(&long[..2000]);
    bob.keys(&long[2000..]);
    bob.keys("\r");
    bob.expect_row("HH:MM         -- line not sent: it is too long, 4067 bytes fit");
    bob.keys(UP);
    bob.keys(&"\x17".repeat(810));
    bob.keys("are enough\r");
    let words = "word ".repeat(10);
    // The screen first: it takes what the editor draws.
    bob.expect_row(&format!("HH:MM       bob: {words}are"));
    ann.expect(&format!("bob: {words}are enough"));
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
            r"HH:MM         -- in r\u{7}1 as bob; /exit leaves",
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
        "HH:MM         -- in r1 as bob; /exit leaves",
        "               * ann joined",
        "            ann: early",
        "HH:MM          * bob joined",
        "HH:MM       ann: late",
        ">",
    ]);
}

#[test]
fn dumb_terminal_gets_plain_lines() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let command = client(server.tcp, server.udp, &["join", "r1", "bob"]);
    let mut bob = Terminal::spawn(&command, USUAL, &[("TERM", "dumb")]);
    ann.expect("bob joined");
    ann.say("hi");
    bob.expect(&["reactor-chat-client: in r1 as bob; /exit leaves", "* bob joined", "ann: hi"]);
    assert!(bob.is_cooked());
    bob.keys("/exit\n");
    assert_eq!(bob.wait().code(), Some(0));
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
fn field_m_terminal_wraps_url() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let mut bob = bob(&server, &ann, SMALL);
    clear(&mut bob);
    ann.say(
        "look: https://example.org/a/path/that/is/longer/than/the/screen?and=more#than-that yes",
    );
    bob.expect(&[
        "HH:MM ann: look:",
        "           https://example.org/a/path/th",
        "at/is/longer/than/the/screen?and=more#th",
        "an-that",
        "           yes",
        ">",
    ]);
}

#[test]
fn field_m_log_has_the_record() {
    let server = Server::start(&[]);
    let mut ann = Talker::start(&server, &["create", "r1", "ann"]);
    ann.expect("* ann joined");
    let path = std::env::temp_dir().join(format!("reactor-chat-log-{}", std::process::id()));
    let file = path.to_str().expect("UTF-8");
    for (delivery, term) in [("stream", "xterm"), ("text", "xterm"), ("stream", "dumb")] {
        let args = ["--log", file, "--delivery", delivery, "--history", "0", "join", "r1", "bob"];
        let command = client(server.tcp, server.udp, &args);
        let mut bob = Terminal::spawn(&command, USUAL, &[("TERM", term)]);
        bob.expect_where("the room", |rows| rows.iter().any(|row| row.contains("in r1 as bob")));
        bob.keys("hi\r");
        ann.lines_up_to("bob: hi");
        ann.say(
            "https://example.org/as/long/as/it/is/and/on/one/line/of/the/file/whatever/the/width\n",
        );
        bob.expect_where("the URL", |rows| rows.iter().any(|row| row.contains("example.org")));
        bob.keys("/exit\r");
        assert_eq!(bob.wait().code(), Some(0));
        let log = std::fs::read_to_string(&path).expect("a log");
        let lines: Vec<_> =
            log.lines().map(|line| line.split_at("YYYY-MM-DD HH:MM:SS ".len())).collect();
        let said: Vec<_> = lines.iter().map(|(_, said)| *said).collect();
        let url =
            "https://example.org/as/long/as/it/is/and/on/one/line/of/the/file/whatever/the/width";
        let record = ["bob: hi", &format!("ann: {url}")];
        assert!(said.ends_with(&record), "{said:#?}");
        let has_time = |(time, _): &(&str, _)| time.starts_with("20") && time.ends_with(' ');
        assert!(lines[lines.len() - 2..].iter().all(has_time), "{log}");
    }
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).expect("a file"));
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&path).expect("a log").matches("bob: hi").count(), 3);
    std::fs::remove_file(&path).expect("a file");
}

#[test]
fn field_m_unopenable_log_stops_early() {
    let server = Server::start(&[]);
    let ann = ann(&server);
    let output = run(&server, &["--log", "/nowhere/log", "join", "r1", "bob"]);
    let why = "cannot open the log /nowhere/log: No such file or directory (os error 2)";
    expect_output(&output, 1, "", &format!("reactor-chat-client: {why}\n"));
    ann.expect_silence();
}
