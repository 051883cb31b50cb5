//! The keys of servers that the user has accepted: `known_hosts` in the state directory.
//!
//! A line has the host and the port as the user typed them, and the fingerprint, with blanks
//! between. Lines that begin with `#` are comments. A line that is none of this is reported, and
//! stays in the file.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use reactor_chat::fingerprint::Fingerprint;
use reactor_chat::state_file;

use crate::address::ServerAddress;

/// The name of the file.
const NAME: &str = "known_hosts";

/// The file, which may not exist.
pub(crate) struct KnownHosts {
    path: PathBuf,
}

/// The lines of the file about one server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) keys: Vec<Fingerprint>,
    /// The number of the first line about the server, from 1.
    pub(crate) line: Option<usize>,
    /// The numbers of the lines, about any server, that make no sense.
    pub(crate) damaged: Vec<usize>,
}

impl KnownHosts {
    /// Returns the user's file. Returns `None` for a user without a home directory.
    pub(crate) fn of_user() -> Option<Self> {
        let directory = state_file::directory(&|name| env::var_os(name))?;
        Some(Self { path: directory.join(NAME) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the lines about a server.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub(crate) fn pins(&self, server: &ServerAddress) -> io::Result<Pins> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Pins::default()),
            content => Ok(Pins::parse(&content?, server)),
        }
    }

    /// Stores a key, in the place of the keys that the file has for the server.
    ///
    /// # Errors
    /// The host cannot stand in a line, or the file cannot be replaced.
    pub(crate) fn keep(&self, server: &ServerAddress, key: Fingerprint) -> io::Result<()> {
        let (host, port) = (&server.host, server.tcp_port);
        let line = format!("{host} {port} {key}\n");
        if parse_line(line.trim_end().as_bytes()) != Some(Line::Pin { host, port, key }) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "no line can have this host"));
        }
        state_file::update(&self.path, |content| {
            let others = lines_of(content).filter(|line| !is_about(line, server));
            let mut content = others.flat_map(|line| [line, b"\n"]).collect::<Vec<_>>().concat();
            content.extend(line.bytes());
            content
        })
    }
}

impl Pins {
    fn parse(content: &[u8], server: &ServerAddress) -> Self {
        let mut pins = Self::default();
        for (number, line) in (1..).zip(lines_of(content)) {
            match parse_line(line) {
                Some(Line::Pin { host, port, key }) if is_of(host, port, server) => {
                    pins.keys.push(key);
                    pins.line.get_or_insert(number);
                }
                Some(_) => {}
                None => pins.damaged.push(number),
            }
        }
        pins
    }
}

/// A line that makes sense.
#[derive(PartialEq, Eq)]
enum Line<'a> {
    Pin { host: &'a str, port: u16, key: Fingerprint },
    Comment,
}

fn lines_of(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let text = str::from_utf8(line).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [] => Some(Line::Comment),
        [word, ..] if word.starts_with('#') => Some(Line::Comment),
        [host, port, key] => {
            Some(Line::Pin { host, port: port.parse().ok()?, key: key.parse().ok()? })
        }
        _ => None,
    }
}

fn is_about(line: &[u8], server: &ServerAddress) -> bool {
    match parse_line(line) {
        Some(Line::Pin { host, port, .. }) => is_of(host, port, server),
        _ => false,
    }
}

fn is_of(host: &str, port: u16, server: &ServerAddress) -> bool {
    (host, port) == (&server.host, server.tcp_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;
    use std::thread;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of_key(name.as_bytes())
    }

    fn server(host: &str) -> ServerAddress {
        ServerAddress::of_options(Some(host), None, None).expect(host)
    }

    /// A file in a directory of its own, which is removed at the end.
    struct TestFile(KnownHosts);

    impl TestFile {
        fn new(test: &str) -> Self {
            let name = format!("reactor-chat-{test}-{}", process::id());
            Self(KnownHosts { path: env::temp_dir().join(name).join(NAME) })
        }

        fn text(&self) -> String {
            String::from_utf8_lossy(&fs::read(self.0.path()).expect("a file")).into()
        }

        fn write(&self, text: &[u8]) {
            state_file::replace(self.0.path(), text).expect("written");
        }

        fn keys(&self, host: &str) -> Vec<Fingerprint> {
            self.0.pins(&server(host)).expect("pins").keys
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            fs::remove_dir_all(self.0.path().parent().expect("a directory")).expect("removed");
        }
    }

    #[test]
    fn e12_pins_are_by_host_and_port() {
        let file = TestFile::new("pins");
        assert_eq!(file.keys("a.example"), []);
        for (host, name) in [("a.example", "a"), ("a.example:7", "b"), ("[::1]:7", "c")] {
            file.0.keep(&server(host), key(name)).expect("kept");
        }
        assert_eq!(file.keys("a.example"), [key("a")]);
        assert_eq!(file.keys("a.example:7"), [key("b")]);
        assert_eq!(file.keys("[::1]:7"), [key("c")]);
        assert_eq!(file.keys("A.example"), []);
        file.0.keep(&server("a.example"), key("d")).expect("kept");
        assert_eq!(file.keys("a.example"), [key("d")]);
        let [b, c, d] = ["b", "c", "d"].map(key);
        let expected = format!("a.example 7 {b}\n::1 7 {c}\na.example 9001 {d}\n");
        assert_eq!(file.text(), expected);
    }

    #[test]
    fn e12_damaged_lines_stay() {
        let file = TestFile::new("damaged");
        let a = key("a");
        let damaged = ["# mine", "", "a.example 9001", "\u{fffd} x", "b 70000 x"].join("\n");
        file.write(
            &[damaged.as_bytes(), b"\n\xff\na.example 9001 ", a.to_string().as_bytes()].concat(),
        );
        let pins = file.0.pins(&server("a.example")).expect("pins");
        assert_eq!(pins, Pins { keys: vec![a], line: Some(7), damaged: vec![3, 4, 5, 6] });
        file.0.keep(&server("b.example"), a).expect("kept");
        let expected = format!("{damaged}\n\u{fffd}\na.example 9001 {a}\nb.example 9001 {a}\n");
        assert_eq!(file.text(), expected);
    }

    #[test]
    fn e12_clients_at_once_lose_no_line() {
        let file = TestFile::new("at-once");
        thread::scope(|scope| {
            for client in 0..4 {
                let known = &file.0;
                scope.spawn(move || {
                    for count in 0..10 {
                        let host = format!("h{client}-{count}");
                        known.keep(&server(&host), key(&host)).expect("kept");
                    }
                });
            }
        });
        let hosts =
            (0..4).flat_map(|client| (0..10).map(move |count| format!("h{client}-{count}")));
        for host in hosts {
            assert_eq!(file.keys(&host), [key(&host)], "{host}");
        }
    }

    #[test]
    fn e12_unreadable_file_is_an_error() {
        let file = TestFile::new("unreadable");
        fs::create_dir_all(file.0.path()).expect("a directory in its place");
        assert!(file.0.pins(&server("a")).is_err());
        assert!(file.0.keep(&server("a b"), key("a")).is_err());
        assert!(file.0.keep(&server("#a"), key("a")).is_err());
    }
}
