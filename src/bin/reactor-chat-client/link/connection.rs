//! The stream of a connection to the server, with calls that do not block.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd as _;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustls::ClientConnection;
use socket2::Socket;

use crate::server_stream::ServerStream;

/// A connection, in the clear or inside TLS.
pub(super) struct Connection {
    socket: Socket,
    session: Option<Box<ClientConnection>>,
    /// Bytes that were read with the reply and belong behind it.
    ahead: Vec<u8>,
}

impl Connection {
    pub(super) fn open(
        (registry, event): (&Registry, Token),
        stream: ServerStream,
    ) -> io::Result<Self> {
        let (socket, session, ahead) = stream.into_parts();
        socket.set_nonblocking(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), event, interest)?;
        Ok(Self { socket, session, ahead })
    }

    /// Reads some bytes. Returns 0 at the end, with or without the alert of TLS, because units carry
    /// their sizes.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if nothing is there now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let size = self.ahead.len().min(buffer.len());
            buffer[..size].copy_from_slice(&self.ahead[..size]);
            self.ahead.drain(..size);
            return Ok(size);
        }
        match &mut self.session {
            None => self.socket.read(buffer),
            Some(session) => read_decrypted(session, &mut self.socket, buffer),
        }
    }

    /// Writes some bytes. TLS holds at most those of one call, until [`Self::flush`] has written
    /// them.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if there is no space now.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        match &mut self.session {
            None => self.socket.write(bytes),
            Some(session) => session.writer().write(bytes),
        }
    }

    /// Writes what TLS holds.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if there is no space now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        while session.wants_write() {
            session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Returns true if TLS holds bytes for the server.
    pub(super) fn wants_flush(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.wants_write())
    }
}

fn read_decrypted(
    session: &mut ClientConnection,
    socket: &mut Socket,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        match session.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
            outcome => return outcome,
        }
        session.read_tls(socket)?;
        session.process_new_packets().map_err(|why| io::Error::new(ErrorKind::InvalidData, why))?;
    }
}
