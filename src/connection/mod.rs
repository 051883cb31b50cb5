//! One byte stream: bytes in, frames out, and an orderly end.
//!
//! This layer moves bytes and does not know their meaning. Readiness is remembered here: the poll
//! reports an edge once, so an event sets a bit, and only a call that would have blocked clears it.
//!
//! A connection ends in three steps, because closing a socket that still has unread input makes the
//! kernel send a reset, which overtakes the last reply (RFC 1122, 4.2.2.13): flush what is queued, shut
//! down the sending half, read until the peer ends too. The owner keeps the deadlines.
//!
#![doc = include_str!("SOCKETS.md")]

mod buffer_pool;
mod inbox;
mod outbox;
mod stream;
mod transport;

use std::io::{self, ErrorKind};

use inbox::Inbox;
use outbox::Outbox;

pub use buffer_pool::BufferPool;
pub use stream::Stream;
pub use transport::{Protection, Received, SMALLEST_READ, Transport};

/// Outcome of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes were read; there may be more.
    Filled(usize),
    /// Bytes have come, but none to pass on yet; there may be more.
    Partial,
    /// Nothing to read now: an event will come.
    Empty,
    /// The peer has ended its half.
    Ended,
    /// The connection is lost.
    Failed(ErrorKind),
}

/// Outcome of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Nothing is left to write.
    Flushed,
    /// The peer has to read first: an event will come.
    Blocked,
    /// The connection is lost.
    Failed(ErrorKind),
}

/// Phases of a connection, up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Both directions are in use.
    Open,
    /// Input is dropped; queued output is still written.
    Finishing,
    /// Our half is shut down; the peer's half is read to its end.
    Lingering,
    /// Both halves have ended, so closing the socket loses nothing.
    Over,
}

/// A byte stream and its buffers.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    inbox: Inbox,
    outbox: Outbox,
    phase: Phase,
    readable: bool,
    writable: bool,
    peer_ended: bool,
}

impl<T: Transport> Connection<T> {
    /// Creates a connection over a new transport. It counts as ready in both directions until a call
    /// says otherwise: bytes that came before it was registered have had their edge already.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            phase: Phase::Open,
            readable: true,
            writable: true,
            peer_ended: false,
        }
    }

    /// Returns the transport, to register it.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Notes an event: reading will not block.
    pub fn note_readable(&mut self) {
        self.readable = true;
    }

    /// Notes an event: writing will not block. Returns true if a flush was blocked until now.
    pub fn note_writable(&mut self) -> bool {
        !std::mem::replace(&mut self.writable, true)
    }

    /// Reads once, through `scratch`, whose size is the limit. After [`Connection::finish`] the bytes
    /// are dropped.
    pub fn fill(&mut self, scratch: &mut [u8]) -> ReadOutcome {
        if !self.readable || self.peer_ended {
            return ReadOutcome::Empty;
        }
        match retry_interrupted(|| self.transport.receive(scratch)) {
            Ok(Received::End) => {
                self.note_peer_end();
                ReadOutcome::Ended
            }
            Ok(Received::Partial) => ReadOutcome::Partial,
            Ok(Received::Bytes(size)) => {
                if self.phase == Phase::Open {
                    self.inbox.extend(&scratch[..size]);
                }
                ReadOutcome::Filled(size)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                ReadOutcome::Empty
            }
            Err(error) => ReadOutcome::Failed(error.kind()),
        }
    }

    /// Returns true if a read may return more.
    pub fn is_readable(&self) -> bool {
        self.readable && !self.peer_ended
    }

    /// Returns true if the peer has ended its half, and all of it was read.
    pub fn has_peer_ended(&self) -> bool {
        self.peer_ended
    }

    /// Copies the next bytes of the peer into `buffer` without reading them, and returns their number.
    pub fn peek(&self, buffer: &mut [u8]) -> usize {
        self.transport.peek(buffer).unwrap_or(0)
    }

    /// Returns the bytes that were read and not consumed yet.
    pub fn input(&self) -> &[u8] {
        self.inbox.bytes()
    }

    /// Drops `size` bytes of the input that were understood.
    pub fn consume(&mut self, size: usize) {
        self.inbox.consume(size);
    }

    /// Queues bytes that go out in one write of their own, if the transport takes them.
    pub fn send(&mut self, bytes: Vec<u8>) {
        if self.phase == Phase::Open {
            self.outbox.push(bytes);
        }
    }

    /// Queues bytes that `encode` writes. They go out together with others that are queued like this
    /// and wait, in writes of up to 16 KiB.
    pub fn append(&mut self, pool: &mut BufferPool, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.phase == Phase::Open {
            self.outbox.append(pool, encode);
        }
    }

    /// Returns memory of the output to the pool if nothing of it is queued.
    pub fn release(&mut self, pool: &mut BufferPool) {
        self.outbox.release(pool);
    }

    /// Returns the number of bytes of input that wait for more: those that were read and not consumed, and
    /// those that the transport could not pass on yet.
    pub fn pending_input(&self) -> usize {
        self.inbox.bytes().len() + self.transport.incomplete()
    }

    /// Returns the number of bytes that are queued and not written, and of those that the transport holds
    /// back.
    pub fn unsent(&self) -> usize {
        self.outbox.len() + self.transport.held_back()
    }

    /// Returns the protection of the bytes on the way.
    pub fn protection(&self) -> Protection {
        self.transport.protection()
    }

    /// Returns true if everything is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.protection() == Protection::Encrypted
    }

    /// Returns the reason why the transport itself has ended the input.
    pub fn failure(&self) -> Option<String> {
        self.transport.failure()
    }

    /// Returns the bytes of memory for input and output, beyond the little that each connection keeps.
    pub fn held_bytes(&self) -> usize {
        self.inbox.held_bytes() + self.outbox.held_bytes() + self.transport.held_bytes()
    }

    /// Writes what is queued, as far as the peer takes it, and continues the end if one was begun.
    pub fn flush(&mut self) -> WriteOutcome {
        match self.write_queued() {
            Ok(()) => WriteOutcome::Flushed,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                WriteOutcome::Blocked
            }
            Err(error) => WriteOutcome::Failed(error.kind()),
        }
    }

    /// Begins the end: what is queued will be flushed, then our half is shut down.
    pub fn finish(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Finishing;
            self.inbox.clear();
        }
    }

    /// Returns true until the end has begun.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Returns true if the connection can be dropped without losing anything.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn write_queued(&mut self) -> io::Result<()> {
        while let Some(next) = self.outbox.front() {
            if !self.writable {
                return Err(ErrorKind::WouldBlock.into());
            }
            match retry_interrupted(|| self.transport.write(next))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                size => self.outbox.consume(size),
            }
        }
        retry_interrupted(|| self.transport.flush())?;
        self.half_close()
    }

    fn half_close(&mut self) -> io::Result<()> {
        if self.phase != Phase::Finishing {
            return Ok(());
        }
        retry_interrupted(|| self.transport.send_end_mark())?;
        if self.peer_ended {
            // Closing the socket does the rest.
            self.phase = Phase::Over;
            return Ok(());
        }
        self.transport.shutdown_write()?;
        self.phase = Phase::Lingering;
        Ok(())
    }

    fn note_peer_end(&mut self) {
        self.peer_ended = true;
        if self.phase == Phase::Lingering {
            self.phase = Phase::Over;
        }
    }
}

/// Repeats a call that a signal has interrupted (signal(7)).
fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
