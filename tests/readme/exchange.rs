//! Plays the exchanges of PROTOCOL.md against a real server.

use std::collections::HashMap;
use std::io::Read;
use std::net::UdpSocket;

use crate::PROTOCOL;
use crate::support::pages::{block, page};
use crate::support::unix::UnixServer;
use crate::support::*;

/// Bytes of a datagram of a stream before its entries.
const STREAM_HEADER: usize = 12;

#[test]
fn exchange_happens_as_written() {
    play(&block("exchange"));
}

#[test]
fn stream_exchange_happens_as_written() {
    play(&block("stream"));
}

#[test]
fn u2_exchange_happens_as_written() {
    play(&block("unix"));
}

/// Plays an exchange of PROTOCOL.md against a real server, byte by byte.
fn play(script: &str) {
    let unix = UnixServer::start(&[]);
    let mut people: HashMap<String, Person> = HashMap::new();
    assert!(script.lines().count() > 10);
    for line in script.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, transport, direction, ..] = words[..] else { panic!("{line}") };
        let bytes = line.split_once(direction).expect("bytes").1;
        let person = people.entry(name.into()).or_insert_with(|| Person::new(transport, &unix));
        person.step(transport, direction, bytes, &unix.server, line);
    }
}

/// One client of the exchange, with the token and the tag that it got.
struct Person {
    control: Control,
    socket: UdpSocket,
    token: Option<Vec<u8>>,
    tag: Option<[u8; 4]>,
}

impl Person {
    fn new(transport: &str, server: &UnixServer) -> Self {
        let control = match transport {
            "unix" => server.connect(),
            _ => Control::connect(&server.server),
        };
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { control, socket, token: None, tag: None }
    }

    fn step(&mut self, transport: &str, way: &str, text: &str, server: &Server, line: &str) {
        match (transport, way) {
            ("tcp" | "unix" | "unit", ">") => self.control.send(&self.bytes_of(text)),
            ("udp", ">") => {
                let sent = self.socket.send_to(&self.bytes_of(text), server.udp);
                sent.expect("sent");
            }
            ("tcp", "<") if text.trim() == "COMPLETION" => self.expect_completion(),
            ("tcp" | "unix", "<") => self.expect_frame(text, line),
            ("unit", "<") => {
                let mut bytes = self.bytes_of(text);
                self.control.stream().read_exact(&mut bytes).expect(line);
                assert_eq!(bytes, self.bytes_of(text), "{line}");
            }
            ("udp", "<") => {
                let bytes = self.receive(line);
                assert_eq!(bytes, self.bytes_of(text), "{line}");
            }
            _ => panic!("{line}"),
        }
    }

    /// Returns the next datagram. Datagrams without entries depend on the time and are skipped.
    fn receive(&self, line: &str) -> Vec<u8> {
        let mut buffer = [0; 5000];
        loop {
            let size = self.socket.recv(&mut buffer).expect(line);
            if self.tag.is_none() || size > STREAM_HEADER {
                return buffer[..size].into();
            }
        }
    }

    /// Expects a completion with exactly the keys that PROTOCOL.md lists.
    fn expect_completion(&mut self) {
        let completion: serde_json::Value =
            serde_json::from_slice(&self.control.expect_reply().payload).expect("JSON");
        let keys: Vec<&String> = completion.as_object().expect("an object").keys().collect();
        let protocol = page(PROTOCOL);
        let rows = protocol.table("The completion's payload");
        let mut named: Vec<&str> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
        named.sort_unstable();
        assert_eq!(keys, named);
        self.token = completion["token"].as_str().map(|token| token.as_bytes().into());
        let tag = completion["tag"].as_u64().and_then(|tag| u32::try_from(tag).ok());
        self.tag = tag.map(u32::to_be_bytes);
    }

    fn expect_frame(&mut self, text: &str, line: &str) {
        let reply = self.control.expect_reply();
        if reply.state == 2 {
            self.token = Some(reply.payload.clone());
        }
        let room = str::from_utf8(&reply.room).expect("UTF-8");
        let mut bytes = frame(reply.operation, room, &reply.payload);
        bytes[2] = reply.state;
        assert_eq!(bytes, self.bytes_of(text), "{line}");
    }

    /// Returns the bytes of a line: hex bytes, quoted text, `0*N` for N zero bytes, a name in capitals
    /// for its token, and `TAG` for the tag.
    fn bytes_of(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (word, after) = match rest.strip_prefix('"') {
                // A quote ends a text if a blank or nothing follows.
                Some(quoted) => {
                    quoted.split_once("\" ").unwrap_or((quoted.trim_end_matches('"'), ""))
                }
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            match word.split_once('*') {
                _ if rest.starts_with('"') => bytes.extend_from_slice(word.as_bytes()),
                _ if word == "TAG" => bytes.extend(self.tag.expect("a tag by now")),
                Some(("0", count)) => bytes.resize(bytes.len() + number(count), 0),
                _ if word.chars().all(|c| c.is_ascii_uppercase()) && word.len() > 2 => {
                    bytes.extend_from_slice(self.token.as_ref().expect("a token by now"));
                }
                _ => bytes.push(u8::from_str_radix(word, 16).expect("a hex byte")),
            }
            rest = after.trim_start();
        }
        bytes
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
