//! The stream of a connection to the server: in the clear, or inside TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use rustls::{ClientConnection, Stream};
use socket2::Socket;

/// A stream over some socket: TCP, or a Unix socket. Reads and writes block if those of the socket do.
pub(crate) struct ServerStream<S = Socket> {
    socket: S,
    /// The TLS session, after its handshake.
    session: Option<Box<ClientConnection>>,
    /// Bytes that were read with a reply and belong behind it.
    ahead: Vec<u8>,
}

impl<S: Read + Write> ServerStream<S> {
    pub(crate) fn clear(socket: S) -> Self {
        Self { socket, session: None, ahead: Vec::new() }
    }

    /// Returns the stream inside a TLS session whose handshake is complete.
    pub(crate) fn encrypted(socket: S, session: ClientConnection) -> Self {
        Self { socket, session: Some(Box::new(session)), ahead: Vec::new() }
    }

    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    /// Returns true inside TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.session.is_some()
    }

    /// Returns the socket, the TLS session, and the bytes that come before those of both.
    pub(crate) fn into_parts(self) -> (S, Option<Box<ClientConnection>>, Vec<u8>) {
        (self.socket, self.session, self.ahead)
    }

    /// Returns bytes to the stream. The next reads return them first.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.splice(..0, bytes.iter().copied());
    }

    fn take_ahead(&mut self, buffer: &mut [u8]) -> usize {
        let size = self.ahead.len().min(buffer.len());
        buffer[..size].copy_from_slice(&self.ahead[..size]);
        self.ahead.drain(..size);
        size
    }
}

impl ServerStream {
    /// Ends the sending direction.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.session {
            session.send_close_notify();
        }
        self.flush()?;
        self.socket.shutdown(Shutdown::Write)
    }
}

impl<S: Read + Write> Read for ServerStream<S> {
    /// An end of the connection without the alert of TLS is an end too, because frames carry sizes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return Ok(self.take_ahead(buffer));
        }
        let Some(session) = &mut self.session else { return self.socket.read(buffer) };
        match Stream::new(&mut **session, &mut self.socket).read(buffer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            outcome => outcome,
        }
    }
}

impl<S: Read + Write> Write for ServerStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.write(bytes),
            Some(session) => Stream::new(&mut **session, &mut self.socket).write(bytes),
        }
    }

    /// Writes what the TLS session holds.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.session {
            None => self.socket.flush(),
            Some(session) => Stream::new(&mut **session, &mut self.socket).flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn c1_bytes_behind_reply_stay() {
        let mut stream = ServerStream::clear(Cursor::new(b"cdef".to_vec()));
        stream.put_back(b"b");
        stream.put_back(b"a");
        let mut read = String::new();
        stream.read_to_string(&mut read).expect("bytes");
        assert_eq!(read, "abcdef");
    }
}
