//! A TLS session of the server, over a stream that does not block.
//!
//! rustls has no I/O of its own, so it may hold ciphertext that the stream did not take. These bytes
//! count as unsent. A handshake makes answers while it reads.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::{IoState, ServerConfig, ServerConnection};

use super::records::Records;
use crate::connection::{Protection, Received};

/// Memory of an idle session in bytes: the state of rustls, its keys, and its buffer for the next 4 KiB.
/// Measured with the system's allocator: 4,400 for each of 4,000 sessions.
pub const IDLE_SESSION: usize = 6 * 1024;

/// Ciphertext that a session holds before it takes no more output. It is one record of the largest size, so
/// what a slow reader costs lies in the outbox.
const HELD_LIMIT: usize = 16 * 1024;

/// A session, from the first bytes of its handshake.
#[derive(Debug)]
pub(super) struct Session {
    tls: ServerConnection,
    /// Bytes that were read before they were known to be TLS.
    first: Vec<u8>,
    records: Records,
    /// Plaintext that did not fit the buffer of its reader.
    unread: usize,
    /// Ciphertext that the stream has not taken.
    held_back: usize,
    failure: Option<rustls::Error>,
}

impl Session {
    /// Begins a session with bytes that were read already.
    pub(super) fn new(config: Arc<ServerConfig>, first: &[u8]) -> io::Result<Self> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(HELD_LIMIT));
        Ok(Self {
            tls,
            first: first.to_vec(),
            records: Records::default(),
            unread: 0,
            held_back: 0,
            failure: None,
        })
    }

    /// Returns plaintext that waits, or reads once and decrypts. rustls buffers one record at most, because
    /// nothing is read while plaintext waits.
    pub(super) fn receive(
        &mut self,
        stream: &mut impl Read,
        buffer: &mut [u8],
    ) -> io::Result<Received> {
        if self.failure.is_some() {
            return Ok(Received::End);
        }
        if self.unread == 0 {
            let size = self.read(stream)?;
            if let Err(error) = self.process() {
                self.failure = Some(error);
                return Ok(Received::End);
            }
            if size == 0 && self.unread == 0 {
                // With close_notify or without it: frames carry their sizes.
                return Ok(Received::End);
            }
        }
        self.take_plaintext(buffer)
    }

    /// Encrypts bytes and sends them. What the stream does not take is held back.
    pub(super) fn write(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.send_held(stream)?;
        let mut size = self.tls.writer().write(bytes)?;
        if size == 0 {
            // Before the first byte under new keys, rustls has queued their announcement.
            size = self.tls.writer().write(bytes)?;
        }
        // These bytes are taken. The next call meets the error again.
        let _ = self.send_held(stream);
        Ok(size)
    }

    /// Sends the ciphertext that is held back.
    pub(super) fn send_held(&mut self, stream: &mut impl Write) -> io::Result<()> {
        let outcome = self.write_records(stream);
        self.note_held();
        outcome
    }

    /// Sends close_notify, once.
    pub(super) fn send_end_mark(&mut self, stream: &mut impl Write) -> io::Result<()> {
        self.tls.send_close_notify();
        self.send_held(stream)
    }

    pub(super) fn held_back(&self) -> usize {
        self.held_back
    }

    pub(super) fn incomplete(&self) -> usize {
        self.first.len() + self.records.incomplete() + self.unread
    }

    pub(super) fn held_bytes(&self) -> usize {
        IDLE_SESSION + self.incomplete() + self.held_back
    }

    pub(super) fn protection(&self) -> Protection {
        match (self.tls.is_handshaking(), self.tls.negotiated_key_exchange_group()) {
            (false, _) => Protection::Encrypted,
            (true, Some(_)) => Protection::Handshake,
            (true, None) => Protection::Hello,
        }
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(rustls::Error::to_string)
    }

    /// Reads once, at most 4 KiB. Returns the number of bytes, 0 at the end.
    fn read(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        if self.first.is_empty() {
            return self.tls.read_tls(&mut Noting { stream, records: &mut self.records });
        }
        let mut first = self.first.as_slice();
        let size =
            self.tls.read_tls(&mut Noting { stream: &mut first, records: &mut self.records })?;
        self.first.drain(..size);
        if self.first.is_empty() {
            self.first = Vec::new();
        }
        Ok(size)
    }

    fn process(&mut self) -> Result<(), rustls::Error> {
        let processed = self.tls.process_new_packets();
        if let Ok(state) = &processed {
            self.unread = state.plaintext_bytes_to_read();
        }
        self.note_held();
        processed.map(drop)
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if self.unread == 0 {
            return Ok(Received::Partial);
        }
        let size = self.tls.reader().read(buffer)?;
        self.unread -= size;
        Ok(Received::Bytes(size))
    }

    fn write_records(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(stream) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Updates the count of the bytes that are held back. After an error rustls does not tell how many.
    fn note_held(&mut self) {
        self.held_back = match self.tls.wants_write() {
            false => 0,
            true => {
                let state = self.tls.process_new_packets();
                state.as_ref().map_or(1, IoState::tls_bytes_to_write)
            }
        };
    }
}

/// A stream whose records are noted on their way to rustls.
struct Noting<'a, S> {
    stream: &'a mut S,
    records: &'a mut Records,
}

impl<S: Read> Read for Noting<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.stream.read(buffer)?;
        self.records.note(&buffer[..size]);
        Ok(size)
    }
}
