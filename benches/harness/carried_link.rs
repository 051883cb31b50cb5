//! A carried member's end of its connection: units over a stream socket, in the clear or inside TLS, or
//! messages of a WebSocket.

use std::io::{self, ErrorKind, Read, Write};

use reactor_chat::connection::Stream;
use reactor_chat::protocol::carried::{self, DecodedUnit, MAX_DOWN, SIZE_FIELD};
use rustls::ClientConnection;

use super::websocket;

/// Limit for one read: a server's largest write.
const READ: usize = 16 * 1024;

pub struct CarriedLink {
    stream: Stream,
    is_websocket: bool,
    tls: Option<Box<ClientConnection>>,
    /// Bytes of units that have arrived.
    input: Vec<u8>,
    /// Bytes to be written.
    output: Vec<u8>,
}

impl CarriedLink {
    /// Continues a connection behind its completion. `input` is what came after that.
    pub fn new(stream: Stream, tls: Option<Box<ClientConnection>>, input: Vec<u8>) -> Self {
        Self { stream, is_websocket: false, tls, input, output: Vec::new() }
    }

    /// Returns the link with messages of a WebSocket in place of units.
    pub fn on_websocket(self) -> Self {
        Self { is_websocket: true, ..self }
    }

    /// Returns the stream, to register it.
    pub fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Sends a unit. Returns false if an earlier one is still to be written.
    pub fn say(&mut self, content: &[u8]) -> bool {
        self.flush();
        let is_free = self.output.is_empty();
        if is_free {
            self.push(content);
        }
        is_free
    }

    /// Sends a unit behind those that are still to be written.
    pub fn push(&mut self, content: &[u8]) {
        match &mut self.tls {
            _ if self.is_websocket => websocket::encode_message(content, &mut self.output),
            None => carried::encode(content, &mut self.output),
            Some(tls) => {
                let mut unit = Vec::new();
                carried::encode(content, &mut unit);
                tls.writer().write_all(&unit).expect("rustls buffers 64 KiB");
                tls.write_tls(&mut self.output).expect("a Vec takes all");
            }
        }
        self.flush();
    }

    /// Writes as much as the stream takes. What is lost with it is not delivered.
    fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(size) => drop(self.output.drain(..size)),
                Err(_) => return,
            }
        }
    }

    /// Reads until nothing is left, and passes the content of each unit to `take`. Returns their number.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = self.take_units(&mut take);
        while self.fill().unwrap_or(0) > 0 {
            count += self.take_units(&mut take);
        }
        count
    }

    /// Reads once. Returns the bytes that came over the stream.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            let start = self.input.len();
            self.input.resize(start + READ, 0);
            let size = self.stream.read(&mut self.input[start..]);
            self.input.truncate(start + *size.as_ref().unwrap_or(&0));
            return size;
        };
        let size = tls.read_tls(&mut self.stream)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        match tls.reader().read_to_end(&mut self.input) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(size),
        }
    }

    fn take_units(&mut self, take: &mut impl FnMut(&[u8])) -> usize {
        if self.is_websocket {
            return self.take_messages(take);
        }
        let (mut count, mut at) = (0, 0);
        while let DecodedUnit::Whole(content) = carried::decode(&self.input[at..], MAX_DOWN) {
            take(content);
            at += SIZE_FIELD + content.len();
            count += 1;
        }
        self.input.drain(..at);
        count
    }

    fn take_messages(&mut self, take: &mut impl FnMut(&[u8])) -> usize {
        let (mut count, mut at) = (0, 0);
        while let Some(frame) = websocket::decode(&self.input[at..]) {
            if frame.is_message() {
                take(frame.content);
                count += 1;
            }
            at += frame.size;
        }
        self.input.drain(..at);
        count
    }
}
