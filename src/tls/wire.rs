//! A stream that is cleartext or TLS, as its first bytes decide.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;

use super::first_bytes::{self, FirstBytes, Kind};
use super::session::Session;
use crate::connection::{Protection, Received, SMALLEST_READ, Transport};

/// A connection's stream.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    layer: Layer,
}

/// The use of the bytes of a stream.
#[derive(Debug)]
enum Layer {
    /// The first bytes have not decided yet. TLS would take this configuration.
    Undecided(FirstBytes, Arc<ServerConfig>),
    /// The bytes are passed on as they are. This is never checked again.
    Clear,
    /// The bytes are TLS records. Most connections are cleartext or idle, so they do not all hold the
    /// space for this.
    Tls(Box<Session>),
}

impl<S> Wire<S> {
    /// Creates a wire whose first bytes will decide.
    pub fn undecided(stream: S, config: Arc<ServerConfig>) -> Self {
        Self { stream, layer: Layer::Undecided(FirstBytes::default(), config) }
    }

    /// Returns the stream below, for tests.
    #[doc(hidden)]
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Creates a wire that is cleartext, whatever its first bytes are.
    pub fn clear(stream: S) -> Self {
        Self { stream, layer: Layer::Clear }
    }
}

impl<S: Transport + Read> Wire<S> {
    /// Reads once and decides if it can. The bytes that wait stand before the new ones in `buffer`, so
    /// cleartext is not copied again.
    fn receive_first(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        debug_assert!(buffer.len() >= SMALLEST_READ);
        let Layer::Undecided(first, config) = &mut self.layer else {
            return self.stream.receive(buffer);
        };
        let waiting = first.bytes().len();
        buffer[..waiting].copy_from_slice(first.bytes());
        let size = match self.stream.receive(&mut buffer[waiting..])? {
            Received::Bytes(size) => waiting + size,
            // The start of a frame ends as a frame does.
            Received::End if waiting > 0 => {
                self.layer = Layer::Clear;
                return Ok(Received::Bytes(waiting));
            }
            other => return Ok(other),
        };
        match first_bytes::kind(&buffer[..size]) {
            None => first.keep(&buffer[..size]),
            Some(Kind::Clear) => {
                self.layer = Layer::Clear;
                return Ok(Received::Bytes(size));
            }
            Some(Kind::Tls) => {
                let session = Session::new(Arc::clone(config), &buffer[..size])?;
                self.layer = Layer::Tls(Box::new(session));
            }
        }
        Ok(Received::Partial)
    }
}

impl<S: Transport + Read> Transport for Wire<S> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        match &mut self.layer {
            Layer::Clear => self.stream.receive(buffer),
            Layer::Tls(session) => session.receive(&mut self.stream, buffer),
            Layer::Undecided(..) => self.receive_first(buffer),
        }
    }

    fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.layer {
            Layer::Tls(_) => Err(ErrorKind::WouldBlock.into()),
            Layer::Undecided(..) | Layer::Clear => self.stream.peek(buffer),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn send_end_mark(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Tls(session) => session.send_end_mark(&mut self.stream),
            Layer::Undecided(..) | Layer::Clear => Ok(()),
        }
    }

    fn held_back(&self) -> usize {
        match &self.layer {
            Layer::Tls(session) => session.held_back(),
            Layer::Undecided(..) | Layer::Clear => 0,
        }
    }

    fn incomplete(&self) -> usize {
        match &self.layer {
            Layer::Tls(session) => session.incomplete(),
            Layer::Undecided(first, _) => first.bytes().len(),
            Layer::Clear => 0,
        }
    }

    fn held_bytes(&self) -> usize {
        match &self.layer {
            Layer::Tls(session) => session.held_bytes(),
            Layer::Undecided(..) | Layer::Clear => 0,
        }
    }

    fn protection(&self) -> Protection {
        match &self.layer {
            Layer::Tls(session) => session.protection(),
            Layer::Undecided(..) | Layer::Clear => Protection::Clear,
        }
    }

    fn failure(&self) -> Option<String> {
        match &self.layer {
            Layer::Tls(session) => session.failure(),
            Layer::Undecided(..) | Layer::Clear => None,
        }
    }
}

impl<S: Transport> Write for Wire<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Tls(session) => session.write(&mut self.stream, bytes),
            Layer::Undecided(..) | Layer::Clear => self.stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Tls(session) => session.send_held(&mut self.stream),
            Layer::Undecided(..) | Layer::Clear => self.stream.flush(),
        }
    }
}

impl<S: Source> Source for Wire<S> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.stream.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.stream.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.stream.deregister(registry)
    }
}
