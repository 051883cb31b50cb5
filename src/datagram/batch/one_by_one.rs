//! A call for each datagram, as every system has it.
//!
//! It does not know which of our addresses a datagram was sent to, so a wildcard socket answers from
//! the address that the route takes, nor how many datagrams the kernel has dropped.

use std::io;

use mio::net::UdpSocket;

use crate::sys::{Arrival, Outgoing};

/// The buffer of the calls.
pub(in crate::datagram) struct OneByOne {
    buffer: Vec<u8>,
}

impl OneByOne {
    pub(super) fn new(size: usize) -> Self {
        Self { buffer: vec![0; size] }
    }

    /// Receives one datagram, however many may be: it is called again.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        _max: usize,
        mut take: impl FnMut(Arrival<'_>),
    ) -> io::Result<usize> {
        let (size, remote) = socket.recv_from(&mut self.buffer)?;
        let bytes = &self.buffer[..size];
        take(Arrival { bytes, segment: None, remote, local: None, overflow: None });
        Ok(1)
    }

    /// Sends the first message, however many there are: it is called again.
    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        mut messages: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let Some(message) = messages.next() else { return Ok(0) };
        debug_assert!(message.segment.is_none() && message.pieces.len() == 1);
        for (start, end) in message.pieces {
            let to = message.to.to_socket_addr();
            socket.send_to(&bytes[*start as usize..*end as usize], to)?;
        }
        Ok(1)
    }
}
