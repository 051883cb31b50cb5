//! Units on the connection of a request (C1).

use std::io::{self, ErrorKind};

use mio::Registry;
use mio::event::Event;

use super::connection::Connection;
use super::{ReceiveOutcome, retry};
use crate::server_stream::ServerStream;
use reactor_chat::protocol::carried::{self, DecodedUnit, MAX_DOWN, SIZE_FIELD};

/// Bytes of one read, and of units that wait to be written: a record of TLS.
const CHUNK: usize = 16 << 10;

/// A connection that carries the messages of a membership.
pub(super) struct CarriedLink {
    connection: Connection,
    /// Bytes of the unit that has begun.
    input: Vec<u8>,
    /// Whole units that wait to be written.
    output: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    has_ended: bool,
}

impl CarriedLink {
    pub(super) fn open(place: (&Registry, mio::Token), stream: ServerStream) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::open(place, stream)?,
            input: Vec::new(),
            output: Vec::new(),
            // TLS may hold bytes already, for which no event comes.
            is_readable: true,
            is_writable: true,
            has_ended: false,
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns true if another unit can be queued.
    pub(super) fn has_space(&self) -> bool {
        !self.has_ended && self.output.len() < CHUNK
    }

    pub(super) fn has_work(&self, is_reading: bool) -> bool {
        let has_output = !self.output.is_empty() || self.connection.wants_flush();
        (is_reading && self.is_readable) || (self.is_writable && has_output)
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        // The next call on the socket returns the error or the end.
        self.is_readable |= event.is_readable() || event.is_error() || event.is_read_closed();
        self.is_writable |= event.is_writable();
    }

    /// Reads until some units are complete, and passes each to `handle`. A keep-alive has no
    /// content.
    pub(super) fn receive(&mut self, mut handle: impl FnMut(&[u8])) -> ReceiveOutcome {
        let mut chunk = [0; CHUNK];
        while self.is_readable {
            match retry(|| self.connection.read(&mut chunk)) {
                Ok(0) => self.end(),
                Ok(size) => {
                    self.input.extend_from_slice(&chunk[..size]);
                    let units = self.take_units(&mut handle);
                    if units > 0 {
                        return ReceiveOutcome::Received(units);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(_) => self.end(),
            }
        }
        ReceiveOutcome::Drained
    }

    fn take_units(&mut self, handle: &mut impl FnMut(&[u8])) -> usize {
        let (mut start, mut units) = (0, 0);
        loop {
            match carried::decode(&self.input[start..], MAX_DOWN) {
                DecodedUnit::Incomplete => break,
                DecodedUnit::Whole(content) => {
                    (start, units) = (start + SIZE_FIELD + content.len(), units + 1);
                    if !content.is_empty() {
                        handle(content);
                    }
                }
                DecodedUnit::TooLarge { .. } => {
                    self.end();
                    break;
                }
            }
        }
        self.input.drain(..start);
        units
    }

    fn end(&mut self) {
        (self.is_readable, self.is_writable, self.has_ended) = (false, false, true);
    }

    /// Queues a unit. [`Self::flush`] writes it, together with others.
    pub(super) fn queue(&mut self, content: &[u8]) {
        carried::encode(content, &mut self.output);
    }

    /// Writes what waits, as far as there is space.
    pub(super) fn flush(&mut self) {
        while self.is_writable && !self.output.is_empty() {
            let written = retry(|| self.connection.write(&self.output));
            self.note_written(written);
        }
        if self.is_writable {
            let flushed = retry(|| self.connection.flush().map(|()| 0));
            self.note_written(flushed);
        }
    }

    fn note_written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(size) => drop(self.output.drain(..size)),
            Err(error) => {
                self.is_writable = false;
                // After a failure only the rest of the input can be read. Its end follows.
                self.is_readable |= error.kind() != ErrorKind::WouldBlock;
            }
        }
    }
}
