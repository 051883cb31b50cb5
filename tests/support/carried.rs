//! Carried members: their units (C1) are written and read by hand, so that a mistake in the server's
//! codec cannot hide itself.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use super::streams::{Item, Packet, RESUME, Ticket, streamed};
use super::*;

/// Returns a unit with this content.
pub fn unit(content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len()).expect("a unit's size");
    [&size.to_be_bytes()[..], content].concat()
}

/// Returns the payload of a request for a carried member. `more` are further keys, each after a
/// comma.
pub fn carried(name: &str, more: &str) -> String {
    format!(r#"{{"username":"{name}","carry":true{more}}}"#)
}

/// A member whose messages travel on the connection of its request.
pub struct Carried {
    pub control: Control,
    /// The payload of the completion.
    pub payload: Vec<u8>,
}

impl Carried {
    /// Creates "room" with text delivery.
    pub fn create(server: &Server, name: &str) -> Self {
        Self::enter(server, CREATE, &carried(name, ""))
    }

    /// Joins "room" with text delivery.
    pub fn join(server: &Server, name: &str) -> Self {
        Self::enter(server, JOIN, &carried(name, ""))
    }

    /// Enters "room".
    pub fn enter(server: &Server, operation: u8, payload: &str) -> Self {
        Self::enter_over(Control::connect(server), operation, payload)
    }

    /// Enters "room" over a connection.
    pub fn enter_over(mut control: Control, operation: u8, payload: &str) -> Self {
        control.request(operation, "room", payload.as_bytes());
        let payload = control.expect_success();
        Self { control, payload }
    }

    /// Enters "room" with stream delivery.
    pub fn stream(server: &Server, operation: u8, name: &str) -> Self {
        Self::enter(server, operation, &streamed(name, r#","carry":true"#))
    }

    /// Returns the start of its stream.
    pub fn ticket(&self) -> Ticket {
        Ticket::read(&self.payload)
    }

    /// Moves the member to another connection, with an object in place of the bare token.
    pub fn resume(&self, control: Control) -> Self {
        let token = String::from_utf8(self.ticket().token.to_vec()).expect("ASCII");
        let payload = format!(r#"{{"token":"{token}","carry":true}}"#);
        Self::enter_over(control, RESUME, &payload)
    }

    pub fn say(&mut self, message: &str) {
        self.say_bytes(message.as_bytes());
    }

    pub fn say_bytes(&mut self, message: &[u8]) {
        self.control.send(&unit(message));
    }

    /// Sends a message of a stream.
    pub fn say_in_stream(&mut self, id: u32, text: &str) {
        self.say_bytes(&[&[0], &id.to_be_bytes()[..], text.as_bytes()].concat());
    }

    /// Reads one unit, or returns `None` at the end of the stream.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        let mut stream = self.control.stream();
        let mut size = [0; 2];
        match stream.read_exact(&mut size) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
            outcome => outcome.expect("a unit in time"),
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut content).expect("a whole unit");
        assert!(!content.is_empty() && content.len() <= 4094);
        Some(content)
    }

    pub fn hear_text(&mut self) -> String {
        String::from_utf8(self.hear().expect("a unit")).expect("UTF-8")
    }

    /// Checks the next unit.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        assert_eq!(self.hear_text(), text);
    }

    /// Reads units up to this one, and returns those before it.
    pub fn hear_until(&mut self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            match self.hear_text() {
                last if last == text => return heard,
                other => heard.push(other),
            }
        }
    }

    /// Discards everything that the server has sent up to now.
    pub fn settle(&mut self) {
        self.say("/help");
        while !self.hear_text().starts_with('/') {}
    }

    /// Reads one unit of a stream.
    pub fn hear_packet(&mut self) -> Packet {
        let packet = Packet::read(&self.hear().expect("a unit"));
        assert_eq!(packet.tag, self.ticket().tag);
        packet
    }

    /// Reads the entries of a stream up to the message with this text.
    pub fn hear_items_until(&mut self, text: &str) -> Vec<(u64, Item)> {
        let (mut heard, mut is_over) = (Vec::new(), false);
        while !is_over {
            let packet = self.hear_packet();
            let mut number = packet.sequence;
            for item in packet.items {
                is_over |= matches!(&item, Item::Message { text: last, .. } if last == text);
                let numbers = item.numbers();
                heard.push((number, item));
                number += numbers;
            }
        }
        heard
    }

    /// Reads units of a stream up to the end, and returns the number of their entries.
    pub fn hear_to_the_end_of_stream(&mut self) -> usize {
        std::iter::from_fn(|| self.hear()).map(|unit| Packet::read(&unit).items.len()).sum()
    }

    /// Reads units up to the end of the stream.
    pub fn hear_to_the_end(&mut self) -> Vec<String> {
        let units = std::iter::from_fn(|| self.hear());
        units.map(|unit| String::from_utf8(unit).expect("UTF-8")).collect()
    }

    /// Checks that nothing comes for this long.
    #[track_caller]
    pub fn expect_quiet_for(&mut self, time: Duration) {
        let mut stream = self.control.stream();
        stream.set_read_timeout(Some(time)).expect("a timeout");
        let heard = stream.read(&mut [0; 1]);
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        assert!(heard.is_err(), "{heard:?}");
    }
}
