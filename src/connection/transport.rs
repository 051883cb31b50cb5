//! The byte stream under a connection.

use std::io::{self, ErrorKind, Write};

/// The byte stream under a connection. Its calls do not block: they fail with `WouldBlock`, and an event
/// says when to call again.
///
/// [`Write::flush`] sends what the transport itself holds back, as one that encrypts may.
pub trait Transport: Write {
    /// Reads at most once from the peer, into a buffer of at least [`SMALLEST_READ`] bytes.
    ///
    /// # Errors
    /// As read(2).
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Ends the sending half, so that the peer reads an end of stream.
    ///
    /// # Errors
    /// As shutdown(2). After `WouldBlock` the call is repeated.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Returns the number of bytes that a read would return now, up to the size of `buffer`, which has them
    /// then. They stay unread. Not every transport can do that.
    ///
    /// # Errors
    /// As recv(2). `WouldBlock` if there are none, or it cannot be done.
    fn peek(&self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    /// Sends the transport's own mark of the end. It comes before [`Transport::shutdown_write`], and
    /// also before a close. It may be called again.
    ///
    /// # Errors
    /// As write(2).
    fn send_end_mark(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Returns the number of bytes that the transport has accepted and not sent.
    fn held_back(&self) -> usize {
        0
    }

    /// Returns the number of bytes that have come and are not passed on yet, because they need more
    /// bytes.
    fn incomplete(&self) -> usize {
        0
    }

    /// Returns the bytes of memory that the transport holds, beyond the little that each one keeps.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Returns the protection of the bytes on the way.
    fn protection(&self) -> Protection {
        Protection::Clear
    }

    /// Returns the reason why the transport itself has ended the input.
    fn failure(&self) -> Option<String> {
        None
    }
}

/// Bytes that every read has space for.
pub const SMALLEST_READ: usize = 8;

/// Outcome of reading from a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many bytes were read, at least one.
    Bytes(usize),
    /// Bytes have come, but they are the transport's own, or need more bytes.
    Partial,
    /// The peer has ended its half.
    End,
}

/// Protection of the bytes on the way, and the steps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// None, as far as it is known.
    Clear,
    /// A handshake has begun, and the next step is the expensive one.
    Hello,
    /// The expensive step of a handshake is done, and the peer has to finish it.
    Handshake,
    /// The bytes are encrypted.
    Encrypted,
}
