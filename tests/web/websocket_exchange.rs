//! The exchange on WebSockets of the protocol page, byte by byte (H6, H7).

use std::collections::HashMap;
use std::io::Read;

use crate::support::Server;
use crate::support::pages::block;
use crate::support::websocket::Socket;

/// One client of the exchange, with the token that it got.
struct Person {
    socket: Socket,
    token: Vec<u8>,
}

#[test]
fn h6_h7_exchange_happens_as_written() {
    let server = Server::start(&[]);
    let script = block("websocket");
    let mut people: HashMap<&str, Person> = HashMap::new();
    assert!(script.lines().count() > 10);
    for line in script.lines() {
        let (name, rest) = line.split_once(' ').expect("a name");
        let socket = || Socket::connect(&server);
        let person =
            people.entry(name).or_insert_with(|| Person { socket: socket(), token: Vec::new() });
        match rest.trim().split_once(' ').expect("a transport") {
            ("ws", rest) if rest.starts_with('>') => person.socket.send(&person.bytes(&rest[2..])),
            ("ws", rest) => person.expect(&rest[2..], line),
            _ => panic!("{line}"),
        }
    }
    for (name, mut person) in people {
        assert_eq!(person.socket.read(), None, "{name}");
    }
}

impl Person {
    fn expect(&mut self, text: &str, line: &str) {
        let mut bytes = self.bytes(text);
        if let Some(at) = find(&bytes, TOKEN) {
            bytes.fill(0);
            self.socket.stream.read_exact(&mut bytes).expect(line);
            self.token = bytes[at..at + TOKEN.len()].to_vec();
        } else {
            self.socket.stream.read_exact(&mut bytes).expect(line);
        }
        assert_eq!(bytes, self.bytes(text), "{line}");
    }

    /// Returns the bytes of a line: hex bytes, quoted text, and a name in capitals for its token, which
    /// is [`TOKEN`] until it has come.
    fn bytes(&self, text: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            let (word, after) = match rest.strip_prefix('"') {
                // A quote ends a text if a blank or nothing follows.
                Some(quoted) => {
                    let to_the_end = || quoted.strip_suffix('"').map(|text| (text, ""));
                    quoted.split_once("\" ").or_else(to_the_end).expect("a quote at the end")
                }
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            match word {
                _ if rest.starts_with('"') => bytes.extend_from_slice(word.as_bytes()),
                "ALICE" | "BOB" if self.token.is_empty() => bytes.extend_from_slice(TOKEN),
                "ALICE" | "BOB" => bytes.extend_from_slice(&self.token),
                byte => bytes.push(u8::from_str_radix(byte, 16).expect("a hex byte")),
            }
            rest = after.trim_start();
        }
        bytes
    }
}

/// Stands for a token that is not known yet.
const TOKEN: &[u8; 32] = b"................................";

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
