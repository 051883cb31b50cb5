//! The log file of a terminal.

use super::support::program::*;
use super::support::pty::*;
use super::support::*;

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
